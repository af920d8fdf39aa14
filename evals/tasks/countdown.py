"""`countdown`: reach a target from four numbers, in one of the modes of a Countdown reasoner."""

from __future__ import annotations

import time
from collections.abc import Sequence

from braid.engine import Engine, Usage
from braid.evals.countdown import (
    MAX_THREADS,
    Attempt,
    Problem,
    attempt_direct,
    attempt_serial,
    attempt_spawn,
    generate,
)
from braid.evals.task import EvalError, Options, Output, Sample, Score, Task

DEFAULT_SIZE = 200
MODES = ("direct", "serial", "spawn")


def load(options: Options) -> Sequence[Sample]:
    """Problems of the split `-T split=...`.

    The default is `validation`. Tune there, and open the test split once.
    """
    split = options.arguments.get("split", "validation")
    if split != "validation" and split != "test":
        raise EvalError(f"unknown split {split!r}; there are: validation, test")
    mode = options.arguments.get("mode", "spawn")
    if mode not in MODES:
        raise EvalError(f"unknown mode {mode!r}; there are: {', '.join(MODES)}")
    if _number(options, "threads", 10) > MAX_THREADS:
        raise EvalError(f"threads must lie in 0..{MAX_THREADS}, got {options.arguments['threads']!r}")
    size = DEFAULT_SIZE if options.limit is None else options.limit
    return [
        Sample(
            id=problem.id,
            question=f"Make {problem.target} of {', '.join(map(str, problem.numbers))}.",
            target=str(problem.target),
            metadata={"numbers": list(problem.numbers)},
        )
        for problem in generate(split, size, seed=options.seed)
    ]


async def solve(engine: Engine, sample: Sample, options: Options, *, seed: int) -> Output:
    """One attempt in the mode `-T mode=...`. Its `detail` has tokens, longest sequence and threads."""
    problem = Problem(tuple(sample.metadata["numbers"]), int(sample.target))
    began = time.perf_counter()
    attempts: tuple[Attempt, ...]
    match options.arguments.get("mode", "spawn"):
        case "direct":
            attempts = await attempt_direct(
                engine, problem, samples=max(1, _number(options, "samples", 16)), seed=seed
            )
        case "serial":
            attempts = (await attempt_serial(engine, problem, window=_number(options, "window", 256)),)
        case _:
            attempts = (
                await attempt_spawn(
                    engine,
                    problem,
                    threads=_number(options, "threads", 10),
                    window=_number(options, "window", 256),
                ),
            )
    best = next((attempt for attempt in attempts if attempt.solved), attempts[0])
    return Output(
        answer=best.text,
        seconds=time.perf_counter() - began,
        usage=Usage.parallel(attempt.usage for attempt in attempts),
        detail={
            "solved": best.solved,
            "tokens": sum(attempt.tokens for attempt in attempts),
            "longest_sequence": max(attempt.longest_sequence for attempt in attempts),
            "threads": best.threads,
        },
    )


async def score(sample: Sample, output: Output) -> Score:
    """Right when the equations use each number once, hold, and end at the target."""
    return Score(correct=float(output.detail["solved"]))


def _number(options: Options, name: str, default: int) -> int:
    given = options.arguments.get(name, str(default))
    if not given.isascii() or not given.isdigit():
        raise EvalError(f"{name} must be a whole number, got {given!r}")
    return int(given)


COUNTDOWN = Task(
    name="countdown",
    summary="Four numbers, one target: for braid-countdown or a model of its kind (-e local:braid-countdown)",
    load=load,
    solve=solve,
    score=score,
    arguments={
        "split": "validation or test (default: validation)",
        "mode": "direct, serial or spawn (default: spawn)",
        "samples": "answers drawn in mode direct, of which the verifier takes one (default: 16)",
        "threads": "threads in mode spawn, 0 to 10 (default: 10)",
        "window": "tokens that each sequence may hold (default: 256)",
    },
)
