"""best_of_n: the verifier decides, and sees answers alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from braid.engine import InvalidParamsError
from braid.engine.scripted import ScriptedEngine
from braid.reasoning import MethodRun, best_of_n


class Lengths:
    def __init__(self) -> None:
        self.seen: list[str] = []

    async def score(self, question: str, candidates: Sequence[str]) -> list[float]:
        self.seen += candidates
        return [float(len(candidate)) for candidate in candidates]


async def test_the_best_scored_answer_wins() -> None:
    engine, verifier = ScriptedEngine([["answer: 7", "answer: 1234", "", "answer: 42"]]), Lengths()
    async with await engine.prefill("What is it ?") as problem:
        solution = await best_of_n(MethodRun(engine=engine, verifier=verifier), problem, n=4)
    assert solution.answer == "1234"
    assert verifier.seen == ["7", "1234", "42"]
    assert [candidate.weight for candidate in solution.candidates] == [1.0, 4.0, 0.0, 2.0]
    assert engine.open_contexts() == 0


async def test_no_answer_is_no_answer() -> None:
    engine = ScriptedEngine([["", ""]])
    async with await engine.prefill("What is it ?") as problem:
        solution = await best_of_n(MethodRun(engine=engine, verifier=Lengths()), problem, n=2)
    assert (solution.answer, solution.confidence) == ("", 0.0)


async def test_it_needs_a_verifier() -> None:
    engine = ScriptedEngine("x")
    async with await engine.prefill("What is it ?") as problem:
        with pytest.raises(InvalidParamsError, match="verifier"):
            await best_of_n(MethodRun(engine=engine), problem)
