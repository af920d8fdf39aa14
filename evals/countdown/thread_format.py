"""The format in which `braid.reasoning.methods.spawn_join` reads and writes threads of a Countdown text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from braid.evals.countdown.demonstrators import write_join
from braid.evals.countdown.notation import (
    CALL,
    END,
    TraceError,
    answer_equations,
    prompt,
    read_equation,
    read_number,
    solves,
)
from braid.evals.countdown.search import Equation
from braid.reasoning import ThreadCall, ThreadResult


class CountdownThreads:
    """Threads start as fresh contexts that know their state alone. The join lists their answers.

    A thread's answer is believed, as in Adaptive Parallel Reasoning. With `check` its arithmetic is verified
    at the join.
    """

    spawn = f" {CALL}"
    close = f" {END}"
    start: Literal["fresh", "forked"] = "fresh"

    def __init__(self, *, check: bool = False) -> None:
        self.check = check

    def calls(self, problem: str, block: str) -> list[ThreadCall]:
        """The threads listed in `block`: a number, an equation, `;` and three numbers each.

        Raises:
            TraceError: `block` is no such list, or `problem` is no header.
        """
        target = _target(problem)
        words = block.split()
        found: list[ThreadCall] = []
        for at in range(0, len(words), 10):
            entry = words[at : at + 10]
            if len(entry) != 10 or entry[6] != ";":
                raise TraceError(f"expected a thread such as 1 8 - 6 = 2 ; 3 1 2, got {' '.join(entry)!r}")
            read_number(entry[0])
            read_equation(entry[1:6])
            state = tuple(read_number(word) for word in entry[7:])
            found.append(ThreadCall(name=" ".join(entry[:6]), prompt=prompt("SERIAL", target, state)))
        return found

    def join(self, results: Sequence[ThreadResult]) -> str:
        """Number and steps of each thread that claims an answer."""
        found: list[tuple[int, Sequence[Equation]]] = []
        for result in results:
            steps = answer_equations(result.text)
            header = result.call.prompt.split()
            numbers = [int(word) for word in header[3:]]
            if steps is None or (self.check and not solves(steps, numbers, int(header[2]))):
                continue
            number, *step = result.call.name.split()
            found.append((int(number), [read_equation(step), *steps]))
        return " " + write_join(found)


def _target(header: str) -> int:
    words = header.split()
    if "S" not in words[:-1]:
        raise TraceError(f"expected a header such as SPAWN 3 S 24 8 6 3 1, got {header!r}")
    return read_number(words[words.index("S") + 1])
