"""self_consistency: the answer that most samples give."""

from __future__ import annotations

from braid.engine.scripted import ScriptedEngine
from braid.reasoning import MethodRun, get_method


async def test_self_consistency_takes_the_answer_that_most_samples_give() -> None:
    engine = ScriptedEngine([["Answer: 7", "so, answer: 5", "the answer is 7.0", "", "Answer: 9"]])
    async with await engine.prefill("What is 3 + 4?") as problem:
        solution = await get_method("self_consistency")(MethodRun(engine=engine, seed=1), problem, n=5)
    assert (solution.answer, solution.confidence) == ("7", 2 / 5)
    assert [c.answer for c in solution.candidates] == ["7", "5", "7.0", None, "9"]
    assert solution.reason == "2 of 5 samples agree"
    assert solution.usage.generated_tokens > solution.usage.critical_path_tokens > 0
    assert engine.open_contexts() == 0


async def test_no_sample_with_an_answer_is_an_empty_answer_without_confidence() -> None:
    engine = ScriptedEngine("")
    async with await engine.prefill("?") as problem:
        solution = await get_method("self_consistency")(MethodRun(engine=engine), problem, n=3)
    assert (solution.answer, solution.confidence) == ("", 0.0)
