"""Countdown as text: headers and the exact checker."""

from __future__ import annotations

import pytest

from braid.evals.countdown.notation import TraceError, answers, prompt, solves
from braid.evals.countdown.problems import Problem
from braid.evals.countdown.search import Equation

PROBLEM = Problem((45, 43, 7, 4), 54)


@pytest.mark.parametrize(
    "answer",
    [
        "ANS 43 - 7 = 36 36 / 4 = 9",  # a number is left
        "ANS 43 - 7 = 36 36 / 4 = 9 45 + 9 = 55",  # the sum is wrong
        "ANS 43 - 7 = 36 36 / 4 = 9 45 + 8 = 53",  # 8 is nowhere
        "ANS 43 - 7 = 36 43 + 7 = 50 50 + 4 = 54",  # 43 twice
        "ANS 43 - 7 = 36 36 / 4 = 9 45 + 9 = 54 54",
        "ANS 43 - 7 = 36 36 / 4 = 9 45 + 9 = __import__('os')",
        "43 - 7 = 36 36 / 4 = 9 45 + 9 = 54",
        "ANS",
        "",
    ],
)
def test_the_checker_is_exact(answer: str) -> None:
    assert answers("x NO ANS 43 - 7 = 36 36 / 4 = 9 45 + 9 = 54", PROBLEM)
    assert not answers(answer, PROBLEM)


def test_division_by_zero_is_wrong_and_no_error() -> None:
    assert not solves([Equation(5, "/", 0, 0)], (5, 0), 0)


def test_headers_are_checked() -> None:
    assert prompt("SPAWN", 54, (45, 4), threads=3) == "SPAWN 3 S 54 45 4"
    for mode, threads in (("SERIAL", 3), ("SPAWN", None), ("SPAWN", 11)):
        with pytest.raises(TraceError):
            prompt(mode, 54, (45, 4), threads=threads)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TraceError, match="1000"):
        prompt("SERIAL", 54, (1000, 4))
