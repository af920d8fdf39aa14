"""Agents whose roles and thoughts use adapters of one base, which is loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from braid.engine.local import LocalEngine
from braid.engine.local.model.locate import own_models
from braid.orchestrator import Agent
from tests.support.adapters import build_adapter
from tests.support.tiny_models import build_model

QUESTION = "How much taller is K2 than Mont Blanc?"


@pytest.fixture(scope="module")
def planner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of the embedded model that is for plans and changes nothing."""
    folder = tmp_path_factory.mktemp("adapters") / "planner"
    return build_adapter(
        folder, own_models()["braid-mini"], targets=("q_proj", "v_proj"), alpha=0, note={"roles": ["plan"]}
    )


async def test_an_adapter_for_plans_leaves_thoughts_to_the_base(planner: Path) -> None:
    """Whether the base is named for thoughts or no engine is, and with code switched off."""
    address = f"local:braid-mini+{planner}"
    for given in (address, {"plan": address, "think": "local:braid-mini"}):
        async with Agent(given, shortcuts=False) as agent:
            engines = await agent.open_engines()
            assert isinstance(engines.plan, LocalEngine) and isinstance(engines.think, LocalEngine)
            assert (engines.plan.adapter, engines.think.adapter) == ("planner", None)
            async with await engines.plan.prefill("a") as one, await engines.think.prefill("a"):
                assert engines.think.open_contexts() == engines.plan.open_contexts() == 2
                assert one.adapter == "planner"
            result = await agent.run(QUESTION)
            assert result.status == "answered" and "3805" in str(result.answer).replace(",", "")
            assert engines.plan.open_contexts() == 0


async def test_a_thought_chooses_an_adapter(tmp_path: Path) -> None:
    base = build_model(tmp_path / "base", "llama", context=4096)
    adapter = build_adapter(tmp_path / "adapter", base)
    plan = 'a = think("Which?"{}, max_tokens=6)\nanswer(f"{{a}}")\n'
    async with await LocalEngine.load(base, threads=1, adapters={"one": adapter}) as engine:
        agent = Agent({"plan": engine, "think": engine}, tools=[])
        found = [(await agent.run_plan(plan.format(option))).answer for option in ("", ', adapter="one"', "")]
        on = Agent(engine.with_adapter("one"), tools=[])
        assert found[0] == found[2] != found[1] == (await on.run_plan(plan.format(""))).answer
        unknown = await agent.run_plan(plan.format(', adapter="two"'))
        assert unknown.status == "failed" and "no adapter 'two'" in str(unknown.reason or unknown.stopped)
        assert engine.open_contexts() == 0
