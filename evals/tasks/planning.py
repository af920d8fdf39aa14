"""`planning`: questions about the entries of an atlas, answered by planned look-ups and arithmetic.

Questions, answers and facts are data (`braid.evals.tasks.planning_data`). So a verdict stays the same when
the built-in atlas is corrected.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from braid.engine import Engine
from braid.evals.solvers import SAMPLES_ARGUMENT, plan_samples, planning_metrics, solve_with_agent
from braid.evals.task import Options, Output, Sample, Score, Task
from braid.evals.tasks.planning_data import SPLITS, frozen_tools, questions

DEFAULT_SIZE = 200
TOLERANCE = 1e-3
"""Relative tolerance for the numbers in an answer."""


def load(options: Options) -> Sequence[Sample]:
    """Questions of the split `-T split=...`.

    The default is `heldout`: wording and entities that training never saw.
    """
    plan_samples(options)  # a mistake shows before a model is loaded
    rows = questions(options.arguments.get("split", "heldout"), seed=options.seed)
    return [
        Sample(
            id=row.id,
            question=row.question,
            target=row.answer,
            metadata={"plan": row.plan, "family": row.family},
        )
        for row in rows[: DEFAULT_SIZE if options.limit is None else options.limit]
    ]


async def solve(engine: Engine, sample: Sample, options: Options, *, seed: int) -> Output:
    """One `Agent.run` whose `search` reads the frozen facts."""
    return await solve_with_agent(engine, sample, options, seed=seed, tools=frozen_tools())


_NUMBER = re.compile(r"-?\d+(?:[,\d]*\d)?(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)


def matches(target: str, answer: str) -> bool:
    """Whether `answer` has the words of the true answer `target`, and its numbers within the tolerance.

    Words and numbers must stand in the same order. Letter case and punctuation are ignored.
    """
    given, true = _split(answer), _split(target)
    if given[0] != true[0] or len(given[1]) != len(true[1]):
        return False
    return all(abs(x - y) <= max(TOLERANCE * abs(y), 1e-9) for x, y in zip(given[1], true[1], strict=True))


def _split(text: str) -> tuple[list[str], list[float]]:
    numbers = [float(number.replace(",", "")) for number in _NUMBER.findall(text)]
    words = re.findall(r"[^\W_]+", _NUMBER.sub("#", text).casefold().replace("#", " "))
    return words, numbers


async def score(sample: Sample, output: Output) -> Score:
    """Right when the answer has the words and the numbers of the true one."""
    return planning_metrics(output, matches(sample.target, output.answer))


PLANNING = Task(
    name="planning",
    summary="Look-up and arithmetic questions with frozen facts from the built-in atlas (needs no data)",
    load=load,
    solve=solve,
    score=score,
    arguments={
        "split": f"one of {', '.join(SPLITS)} (default: heldout)",
        "samples": SAMPLES_ARGUMENT,
    },
)
