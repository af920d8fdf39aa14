"""Countdown as text: one word is one token.

    `DIRECT S 24 8 6 3 1 ANS 8 - 6 = 2 2 + 1 = 3 ...`      answer without search: one equation for each step
    `SERIAL S 24 8 6 3 1 8 - 6 = 2 ; 3 1 2 ...`            search in one text
    `SPAWN 3 S 24 8 6 3 1 CALL 1 8 - 6 = 2 ; 3 1 2 ...`    search with 3 threads

The header names the mode, then come `S`, the target and the numbers. An explored state is its step, `;` and
the numbers it leaves. Behind a state of two numbers stands what they give by + - * /, and then `NO`. When one
of these is the target, `ANS` follows with all steps from the header's numbers. `FAIL` says that nothing was
found. Depth-first search needs no other marks. A state of three numbers follows from the header's four, a
state of two from the last state of three.

With threads, `CALL` lists numbered states and `END` closes the list. Each is then searched in a text of its
own, whose header is `SERIAL` with these numbers. In place of the list come `SUBS`, the successful threads
(number, step, and steps of the answer) and `END`. Then comes the `ANS` or `FAIL` of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from braid.evals.countdown.problems import Problem
from braid.evals.countdown.search import LARGEST_NUMBER, Equation, State

Mode = Literal["DIRECT", "SERIAL", "SPAWN"]

STATE, ANSWER, NO, FAIL = "S", "ANS", "NO", "FAIL"
CALL, SUBS, END = "CALL", "SUBS", "END"
SIGNS = ("+", "-", "*", "/")
WORDS = ("DIRECT", "SERIAL", "SPAWN", STATE, ANSWER, NO, FAIL, CALL, SUBS, END, "=", ";", *SIGNS)
"""Every word that is no number."""

MAX_THREADS = 10

_NUMBER = re.compile(r"0|[1-9][0-9]{0,2}")


class TraceError(ValueError):
    """A text is no Countdown text. The message says where."""


def prompt(mode: Mode, target: int, numbers: Sequence[int], *, threads: int | None = None) -> str:
    """The header that a model continues. `threads` (0 to 10) is for `SPAWN` alone.

    Raises:
        TraceError: A number outside 0..999, or `threads` where it does not belong.
    """
    if (mode == "SPAWN") != (threads is not None) or not 0 <= (threads or 0) <= MAX_THREADS:
        raise TraceError(
            f"SPAWN takes 0 to {MAX_THREADS} threads, other modes none; got {mode} with {threads!r}"
        )
    for value in (target, *numbers):
        if not 0 <= value <= LARGEST_NUMBER:
            raise TraceError(f"numbers must lie in 0..{LARGEST_NUMBER}, got {value}")
    budget = "" if threads is None else f" {threads}"
    return f"{mode}{budget} {STATE} {target} {' '.join(map(str, numbers))}"


def write_equation(equation: Equation) -> str:
    """An equation in five words."""
    return f"{equation.left} {equation.sign} {equation.right} = {equation.result}"


def write_state(equation: Equation, state: State) -> str:
    """An explored state: the step to it and the numbers it leaves."""
    return f"{write_equation(equation)} ; {' '.join(map(str, state))}"


def write_answer(steps: Sequence[Equation]) -> str:
    """`ANS` and the steps."""
    return f"{ANSWER} {' '.join(map(write_equation, steps))}"


def read_number(word: str) -> int:
    """The number that `word` is.

    Raises:
        TraceError: It is no number from 0 to 999 without leading zeros.
    """
    if not _NUMBER.fullmatch(word):
        raise TraceError(f"expected a number from 0 to {LARGEST_NUMBER}, got {word!r}")
    return int(word)


def read_equation(words: Sequence[str]) -> Equation:
    """The equation of five words. Its arithmetic may be wrong.

    Raises:
        TraceError: The words are no equation.
    """
    if len(words) != 5 or words[1] not in SIGNS or words[3] != "=":
        raise TraceError(f"expected an equation such as 8 - 6 = 2, got {' '.join(words)!r}")
    return Equation(read_number(words[0]), words[1], read_number(words[2]), read_number(words[4]))


def answer_equations(text: str) -> list[Equation] | None:
    """The steps behind the last `ANS` of `text`. None without it, or if no equations follow."""
    words = text.split()
    if ANSWER not in words:
        return None
    steps = words[len(words) - words[::-1].index(ANSWER) :]
    try:
        return [read_equation(steps[at : at + 5]) for at in range(0, len(steps), 5)]
    except TraceError:
        return None


def solves(steps: Sequence[Equation] | None, numbers: Sequence[int], target: int) -> bool:
    """Whether `steps` make `target` of `numbers` by right arithmetic, each number used exactly once."""
    if steps is None or len(steps) != len(numbers) - 1:
        return False
    left = list(numbers)
    for step in steps:
        for used in (step.left, step.right):
            if used not in left:
                return False
            left.remove(used)
        if not step.holds:
            return False
        left.append(step.result)
    return left == [target]


def answers(text: str, problem: Problem) -> bool:
    """Whether the answer in `text` solves `problem`."""
    return solves(answer_equations(text), problem.numbers, problem.target)
