"""An engine for each role: what each does, what it costs, and what a resumed run has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from braid.engine import Budget, Price
from braid.engine.scope import NoPriceError
from braid.engine.scripted import ScriptedEngine
from braid.orchestrator import Agent, ConfigurationError, compare_with_sequential
from braid.orchestrator.settings import RunSpec, load_settings
from tests.support.interrupted_runs import interrupted
from tests.support.scripted_server import serving

PLAN = 'a = think("Which is it?")\nanswer(f"{a}")\n'


class Height(BaseModel):
    metres: int


def engines(plan: Any, think: Any) -> tuple[ScriptedEngine, ScriptedEngine]:
    return ScriptedEngine(plan, model="planner"), ScriptedEngine(think, model="thinker")


async def test_one_plans_and_the_other_thinks() -> None:
    plan, think = engines(PLAN, "K2")
    agent = Agent({"plan": plan, "think": think}, tools=[])
    result = await agent.run("?")
    assert (result.answer, len(plan.calls), len(think.calls)) == ("K2", 1, 1)
    assert [(call.kind, call.node, call.engine) for call in result.calls] == [
        ("plan", "", "scripted:planner"),
        ("think", "a", "scripted:thinker"),
    ]
    await compare_with_sequential(agent, result)
    assert (len(plan.calls), len(think.calls)) == (1, 2)
    assert plan.open_contexts() == think.open_contexts() == 0


async def test_direct_answers_and_typed_outputs_are_of_the_one_that_thinks() -> None:
    plan, think = engines('answer("8611 m")\n', ["A poem.", '{"metres": 8611}'])
    agent = Agent({"plan": plan, "think": think}, tools=[])
    assert (await agent.run("Write a poem about the sea.")).calls[0].engine == "scripted:thinker"
    result = await agent.run("How tall is K2?", output_type=Height, sequential=True)
    assert result.output == Height(metres=8611)
    assert [(call.kind, call.engine) for call in result.calls] == [
        ("plan", "scripted:planner"),
        ("output", "scripted:thinker"),
    ]


async def test_a_small_planner_is_helped_by_a_model_that_writes() -> None:
    details = {"prompt_style": "compact"}
    plan = ScriptedEngine([], capabilities=["cut"], details=details, model="small")
    think = ScriptedEngine("A poem.", model="thinker")
    result = await Agent({"plan": plan, "think": think}).run("Write a poem about the sea.")
    assert (result.answer, result.route) == ("A poem.", "direct")
    about = await Agent({"plan": plan, "think": think}).run("Which model are you?")
    assert "small and thinker" in about.answer


@pytest.mark.parametrize("given", [{}, {"plan": "scripted"}, {"think": None}])
async def test_a_role_that_is_not_named_has_the_engine_of_plan(given: dict[str, Any]) -> None:
    engine = ScriptedEngine([PLAN, "K2"])
    named = engine if not given else {"plan": engine, **{role: None for role in given if role != "plan"}}
    assert (await Agent(named, tools=[]).run("?")).answer == "K2"  # type: ignore[arg-type]
    assert len(engine.calls) == 2


@pytest.mark.parametrize(
    ("wrong", "said"), [({"draft": "x:y"}, "plan, think, got 'draft'"), ({"plan": 3}, "plan"), (7, "7")]
)
def test_other_roles_and_other_things_are_refused(wrong: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Agent(wrong, tools=[])


async def test_each_has_its_own_price() -> None:
    plan, think = engines([PLAN] * 2, ["K2"] * 2)
    agent = Agent({"plan": plan, "think": think}, tools=[])
    prices = {"planner": Price(generated=1e6), "thinker": Price(generated=1e9)}
    result = await agent.run("?", budget=Budget(prices=prices))
    cost = sum(
        call.usage.generated_tokens * prices[call.engine.removeprefix("scripted:")].generated / 1e6
        for call in result.calls
    )
    assert result.budget["cost"].spent == pytest.approx(cost) and cost > 1000
    with pytest.raises(NoPriceError, match="thinker"):
        await agent.run("?", budget=Budget(cost=5, prices={"planner": Price()}))


def test_an_engine_that_is_given_is_for_all_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_THINK_ENGINE", "nowhere:thinker")
    settings = load_settings()
    assert RunSpec.of(settings).think_engine == "nowhere:thinker"
    assert RunSpec.of(settings, engine="nowhere:x").think_engine is None
    assert RunSpec.of(settings, engine="nowhere:x", think_engine="nowhere:y").think_engine == "nowhere:y"


async def test_a_resumed_run_has_both(tmp_path: Path) -> None:
    file, hanging = tmp_path / "runs.db", asyncio.Event()
    with serving(PLAN) as planner, serving("Mont Blanc") as thinker:

        def hang(messages: Any) -> str:
            hanging.set()
            return "K2"

        thinker.pause = 60
        thinker.reply = hang
        named: Any = {"plan": planner.uri, "think": thinker.uri}
        first = Agent(named, tools=[], journal=file, shortcuts=False)
        await interrupted(first, hanging)
        thinker.pause = 0
        async with Agent(tools=[], journal=file, shortcuts=False) as agent:
            result = await agent.resume("last")
    assert result.answer == "K2" and len(planner.requests) == 1
    assert [call.engine for call in result.calls if call.kind == "think"] == [thinker.uri]
