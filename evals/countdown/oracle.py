"""The symbolic demonstrators as an engine: what a model that imitates them perfectly would write.

It runs everything around the model without one: spawn and join, accounting, curves. It gives the ceiling
beside a model's figures.
"""

from __future__ import annotations

from braid.engine import ScriptedEngine
from braid.evals.countdown.demonstrators import demonstrate_serial, demonstrate_spawn
from braid.evals.countdown.notation import (
    CALL,
    END,
    FAIL,
    STATE,
    SUBS,
    TraceError,
    read_equation,
    read_number,
    write_answer,
)
from braid.evals.countdown.search import Equation, solve


def oracle_engine() -> ScriptedEngine:
    """An engine that continues any prefix of a demonstration. Another prompt raises `TraceError`."""
    return ScriptedEngine(continuation, model="countdown-oracle")


def continuation(text: str) -> str:
    """What the demonstrator writes after `text`, with a space before it."""
    words = text.split()
    if STATE not in words:
        raise TraceError(f"no Countdown text: {text!r}")
    at = words.index(STATE)
    after = next((i for i in range(at + 1, len(words)) if words[i] in (CALL, SUBS)), len(words))
    target, *numbers = (read_number(word) for word in words[at + 1 : after])
    state = tuple(numbers)
    match words[:at]:
        case ["DIRECT"]:
            solution = solve(state, target)
            return " " + (FAIL if solution is None else write_answer(solution))
        case ["SERIAL"]:
            return " " + demonstrate_serial(state, target).text
        case ["SPAWN", budget]:
            return _spawning(state, target, read_number(budget), words[after:])
        case mode:
            raise TraceError(f"unknown mode {' '.join(mode)!r}")


def _spawning(state: tuple[int, ...], target: int, threads: int, behind: list[str]) -> str:
    demonstration, _ = demonstrate_spawn(state, target, threads)
    if behind[:1] != [SUBS]:
        return " " + " ".join(demonstration.text.split()[len(behind) :])
    steps = [read_equation(behind[at : at + 5]) for at in range(2, min(len(behind) - 1, 17), 5)]
    return " " + _after_join(steps if END in behind else [])


def _after_join(steps: list[Equation]) -> str:
    return write_answer(steps) if steps else FAIL
