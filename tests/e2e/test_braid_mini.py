"""The embedded model through the real planner and the real local engine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from braid.engine import connect
from braid.planner import LLMPlanner, PlannerFinished, PlanningError, PlanTask
from tests.support.plan_tools import plan_tools


def model_folder() -> Path:
    spec = find_spec("braid.engine.local")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "models" / "braid-mini"


@pytest.mark.skipif(
    not (model_folder() / "model.safetensors").exists(),
    reason="the embedded model is not there: engine/local/models/braid-mini has no model.safetensors",
)
async def test_the_embedded_model_plans_in_its_own_style() -> None:
    tools = plan_tools().specs()
    question = "How much taller is K2 than Mont Blanc?"
    async with await connect("local:braid-mini") as engine:
        planner = LLMPlanner(engine, max_repairs=0, max_tokens=256)
        assert planner.style == "compact"
        finished: list[PlannerFinished] = []
        for _ in range(2):
            try:
                async for event in planner.plan(PlanTask(question=question, tools=tools)):
                    if isinstance(event, PlannerFinished):
                        finished.append(event)
            except PlanningError as error:
                # How good its plans are is for the planning set to measure; here they have to be told apart.
                assert error.errors and error.text
        assert engine.open_contexts() == 0
    first, second = finished
    assert first.text == second.text
    assert first.generated_tokens > 0 and first.prompt_tokens > 0
    assert first.valid == bool(first.statements and first.plan.strip() and second.valid)
