"""The questions of the `planning` benchmark and the facts that answer them: JSON lines in `planning/`.

Each split has a file of its own. The first four were drawn once by a generator: 300 questions with seed 0 and
100 with seed 1. Wording and entities are as in training, either is held out, or both are.

The other three were written one by one. No model is trained on them, and none is chosen by them. The first
and the later forty are development data: what a model got wrong in them has led to wider generators. The
latest forty were written when the generators had taken their form, before any model was asked. Their answers
were worked out from the atlas without the plans.

`facts.jsonl` is the whole atlas as it stood then. Entries that no question rests on count too. They decide
what a misspelt or ambiguous name is taken for.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from braid.evals.task import EvalError
from braid.executors import Tool
from braid.executors.builtin import builtin_tools, search_tool
from braid.executors.builtin.atlas import Atlas, Entity

SPLITS = (
    "train",
    "heldout-templates",
    "heldout-entities",
    "heldout",
    "handwritten",
    "handwritten-later",
    "handwritten-latest",
)


class Question(BaseModel):
    """One row: a question, its true answer, and a plan that finds it with the built-in tools."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    seed: int | None = None
    """Seed of the draw. None if the question was not drawn."""
    family: str
    """Kind of question."""
    question: str
    answer: str
    plan: str
    facts: tuple[tuple[str, str], ...]
    """What the plan looks up: pairs of a title and an attribute."""


def questions(split: str, *, seed: int = 0) -> list[Question]:
    """The questions of a split in their order: those drawn with `seed`, or all if nothing was drawn.

    Raises:
        EvalError: There is no such split, or no question in it was drawn with that seed.
    """
    if split not in SPLITS:
        raise EvalError(f"unknown split {split!r}; there are: {', '.join(SPLITS)}")
    rows = [Question.model_validate_json(line) for line in _lines(split)]
    chosen = [row for row in rows if row.seed in (seed, None)]
    if not chosen:
        seeds = dict.fromkeys(str(row.seed) for row in rows)
        raise EvalError(
            f"split {split!r} has questions of the seeds {' and '.join(seeds)}, and none of seed {seed}; "
            "to ask the same questions several times, use --epochs"
        )
    return chosen


@cache
def frozen_atlas() -> Atlas:
    """The atlas that the answers were worked out from."""
    return Atlas(Entity.model_validate_json(line) for line in _lines("facts"))


@cache
def frozen_tools() -> tuple[Tool, ...]:
    """The built-in tools, with a `search` that reads the frozen atlas."""
    return tuple(search_tool(frozen_atlas) if tool.name == "search" else tool for tool in builtin_tools())


def _lines(name: str) -> list[str]:
    text = (files("braid.evals.tasks") / "planning" / f"{name}.jsonl").read_text(encoding="utf-8")
    return [line for line in text.split("\n") if line]
