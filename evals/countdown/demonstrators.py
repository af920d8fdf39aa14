"""Symbolic search as the text that a model learns to continue: direct, serial, and spawn/join.

All three are deterministic given the problem, up to the choice among a problem's solutions in the direct
mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from braid.evals.countdown.notation import (
    CALL,
    END,
    FAIL,
    NO,
    SUBS,
    prompt,
    write_answer,
    write_equation,
    write_state,
)
from braid.evals.countdown.search import Equation, State, children, ranked_children, results


@dataclass(frozen=True)
class Demonstration:
    """A prompt and the text that a model should write behind it."""

    prompt: str
    text: str


@dataclass(frozen=True)
class Thread:
    """A spawned state."""

    number: int
    """Its number in the list."""
    step: Equation
    """The step to it."""
    state: State
    child: Demonstration
    """Its own search."""
    found: tuple[Equation, ...] | None
    """Its steps to the target, or None."""


def demonstrate_direct(numbers: State, target: int, solution: Sequence[Equation]) -> Demonstration:
    """The answer alone."""
    return Demonstration(prompt("DIRECT", target, numbers), write_answer(solution))


def demonstrate_serial(numbers: State, target: int) -> Demonstration:
    """Depth-first search.

    From four numbers, the most promising states of three come first. States of two come in systematic order.
    """
    text, _ = _search(numbers, target)
    return Demonstration(prompt("SERIAL", target, numbers), text)


def demonstrate_spawn(numbers: State, target: int, threads: int) -> tuple[Demonstration, list[Thread]]:
    """The spawning text for the `threads` most promising states, and what each of them finds.

    With no threads, the text searches the most promising state itself.
    """
    header = prompt("SPAWN", target, numbers, threads=threads)
    if threads == 0:
        return Demonstration(header, _search(numbers, target, width=1)[0]), []
    spawned: list[Thread] = []
    for number, (state, step) in enumerate(ranked_children(numbers, target)[:threads], start=1):
        text, found = _search(state, target)
        child = Demonstration(prompt("SERIAL", target, state), text)
        spawned.append(Thread(number, step, state, child, None if found is None else tuple(found)))
    listed = " ".join(f"{t.number} {write_state(t.step, t.state)}" for t in spawned)
    return Demonstration(header, f"{CALL} {listed} {END}"), spawned


def demonstrate_join(numbers: State, target: int, threads: int, spawned: Sequence[Thread]) -> Demonstration:
    """The parent behind its join. It takes the first answer, or gives up."""
    found = [(t.number, [t.step, *t.found]) for t in spawned if t.found is not None]
    header = prompt("SPAWN", target, numbers, threads=threads)
    answer = write_answer(found[0][1]) if found else FAIL
    return Demonstration(f"{header} {write_join(found)}", answer)


def write_join(found: Sequence[tuple[int, Sequence[Equation]]]) -> str:
    """The join's text: number and steps of each successful thread."""
    listed = [f"{number} {' '.join(map(write_equation, steps))}" for number, steps in found]
    return " ".join([SUBS, *listed, END])


def _search(numbers: State, target: int, width: int | None = None) -> tuple[str, list[Equation] | None]:
    """Text and steps of a depth-first search from `numbers`, over at most `width` children of the root."""
    if len(numbers) == 3:
        words: list[str] = []
        found = _last_two(numbers, target, words, ())
        return _ended(words, found)
    words = []
    for state, step in ranked_children(numbers, target)[:width]:
        words.append(write_state(step, state))
        found = _last_two(state, target, words, (step,))
        if found is not None:
            return _ended(words, found)
    return _ended(words, None)


def _last_two(
    state: State, target: int, words: list[str], path: tuple[Equation, ...]
) -> list[Equation] | None:
    for child, step in children(state).items():
        words.append(write_state(step, child))
        left, right = max(child), min(child)
        for sign, result in results(left, right):
            words.append(str(result))
            if result == target:
                return [*path, step, Equation(left, sign, right, result)]
        words.append(NO)
    return None


def _ended(words: list[str], found: list[Equation] | None) -> tuple[str, list[Equation] | None]:
    return " ".join([*words, FAIL if found is None else write_answer(found)]), found
