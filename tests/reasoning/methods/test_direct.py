"""direct: one greedy sample."""

from __future__ import annotations

import pytest

from braid.engine import Budget, BudgetExceededError
from braid.engine.scripted import ScriptedEngine
from braid.reasoning import MethodRun, get_method


async def test_direct_is_one_greedy_sample() -> None:
    engine = ScriptedEngine("I think so.\nAnswer: Paris (France)")
    async with await engine.prefill("Capital of France?") as problem:
        solution = await get_method("direct")(MethodRun(engine=engine), problem)
    assert solution.answer == solution.short_form() == "Paris (France)"
    assert engine.calls[0].params.temperature == 0 and engine.calls[0].params.n == 1


async def test_the_run_s_budget_is_charged() -> None:
    engine = ScriptedEngine("Answer: 1")
    async with await engine.prefill("?") as problem:
        with pytest.raises(BudgetExceededError):
            await get_method("direct")(MethodRun(engine=engine, budget=Budget(tokens=3)), problem)
    assert engine.open_contexts() == 0
