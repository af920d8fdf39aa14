"""Methods and the fan-out helper, against the scripted engine."""

from __future__ import annotations

import asyncio

import pytest

from braid.engine import Budget, BudgetExceededError, InvalidParamsError
from braid.engine.scripted import ScriptedEngine
from braid.reasoning import MethodRun, UnknownMethodError, get_method, method_names


async def test_self_consistency_takes_the_answer_that_most_samples_give() -> None:
    engine = ScriptedEngine([["Answer: 7", "so, answer: 5", "the answer is 7.0", "", "Answer: 9"]])
    async with await engine.prefill("What is 3 + 4?") as problem:
        solution = await get_method("self_consistency")(MethodRun(engine=engine, seed=1), problem, n=5)
    assert (solution.answer, solution.confidence) == ("7", 2 / 5)
    assert [c.answer for c in solution.candidates] == ["7", "5", "7.0", None, "9"]
    assert solution.reason == "2 of 5 samples agree"
    assert solution.usage.generated_tokens > solution.usage.critical_path_tokens > 0
    assert engine.open_contexts() == 0


async def test_direct_is_one_greedy_sample() -> None:
    engine = ScriptedEngine("I think so.\nAnswer: Paris (France)")
    async with await engine.prefill("Capital of France?") as problem:
        solution = await get_method("direct")(MethodRun(engine=engine), problem)
    assert solution.answer == solution.short_form() == "Paris (France)"
    assert engine.calls[0].params.temperature == 0 and engine.calls[0].params.n == 1


async def test_no_sample_with_an_answer_is_an_empty_answer_without_confidence() -> None:
    engine = ScriptedEngine("")
    async with await engine.prefill("?") as problem:
        solution = await get_method("self_consistency")(MethodRun(engine=engine), problem, n=3)
    assert (solution.answer, solution.confidence) == ("", 0.0)


async def test_unknown_methods_and_options_are_refused() -> None:
    assert {"direct", "self_consistency"} <= set(method_names())
    with pytest.raises(UnknownMethodError, match="self_consistency"):
        get_method("magic")
    engine = ScriptedEngine("x")
    async with await engine.prefill("?") as problem:
        with pytest.raises(InvalidParamsError, match="'m'"):
            await get_method("self_consistency")(MethodRun(engine=engine), problem, m=3)
        with pytest.raises(InvalidParamsError):
            await get_method("self_consistency")(MethodRun(engine=engine), problem, n=0)


async def test_the_run_s_budget_is_charged() -> None:
    engine = ScriptedEngine("Answer: 1")
    async with await engine.prefill("?") as problem:
        with pytest.raises(BudgetExceededError):
            await get_method("direct")(MethodRun(engine=engine, budget=Budget(tokens=3)), problem)
    assert engine.open_contexts() == 0


def test_seeds_depend_on_place_only() -> None:
    run = MethodRun(engine=ScriptedEngine(""), seed=5)
    assert run.seed_for(1) == run.seed_for(1) != run.seed_for(2)
    assert run.seed_for(1, 2) != run.seed_for(12)
    assert run.rng(3).random() == run.rng(3).random()


async def test_fan_out_keeps_places_and_cancels_losers() -> None:
    run = MethodRun(engine=ScriptedEngine(""))
    ended: list[int] = []

    async def work(index: int, seconds: float) -> int:
        try:
            await asyncio.sleep(seconds)
            return index * 10
        finally:
            ended.append(index)

    assert await run.fan_out([work(0, 0.02), work(1, 0.0)]) == {0: 0, 1: 10}
    ended.clear()
    found = await run.fan_out([work(0, 30), work(1, 0.0), work(2, 30)], enough=lambda got: len(got) == 1)
    assert found == {1: 10} and sorted(ended) == [0, 1, 2]
    assert await run.fan_out([]) == {}


async def test_a_failing_branch_ends_the_fan_out() -> None:
    run = MethodRun(engine=ScriptedEngine(""))

    async def fail() -> int:
        raise ValueError("no")

    async def wait() -> int:
        await asyncio.sleep(30)
        return 1

    with pytest.raises(ExceptionGroup) as caught:
        await run.fan_out([wait(), fail()])
    assert isinstance(caught.value.exceptions[0], ValueError)
