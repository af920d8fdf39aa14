"""Training examples: a question of the planning set, tools drawn at random, and the plan for these tools."""

from __future__ import annotations

import random
from dataclasses import dataclass

from evals.planning_set.attributes import NAMED
from evals.planning_set.generate import draw
from evals.planning_set.program import Builder, Calculate, Lookup, Rank, Toolset, render
from evals.planning_set.world import Atlas, World, load_atlas
from planner.compact import STOP, compact_prompt
from training.errands import draw_errands
from training.invented import Invented
from training.toolbox import draw_toolbox

_NAMED_NOUNS = frozenset(attribute.noun for attribute in NAMED)


@dataclass(frozen=True)
class Example:
    """What the model reads and what it should write.

    Args:
        prompt: ends behind the plan marker.
        plan: the statements and the stop token.
        names: what must be copied from the question.
        tools: the tool names that the plan calls.
    """

    prompt: str
    plan: str
    names: tuple[str, ...]
    tools: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Shares of the training data.

    Args:
        atlas: share of questions about real things (the training part of the atlas).
        errands: share of questions that ask for tools of any kind.
        no_ranker: share of questions for which no ranking tool is offered.
    """

    atlas: float = 0.15
    errands: float = 0.04
    no_ranker: float = 0.12


DEFAULT_MIXTURE = Mixture()


def draw_example(
    rng: random.Random, mixture: Mixture = DEFAULT_MIXTURE, *, held_out: bool = False
) -> Example:
    """A fresh example; `held_out` draws wording that training never shows (for measuring)."""
    while True:
        try:
            if rng.random() < mixture.errands and not held_out:
                return _errands(rng)
            return _question(rng, mixture, held_out=held_out)
        except LookupError:
            continue


def _errands(rng: random.Random) -> Example:
    errands = draw_errands(rng)
    prompt = compact_prompt(errands.question, errands.specs)
    return Example(
        prompt, render(errands.program, Toolset()) + STOP, (), tuple(s.name for s in errands.specs)
    )


def _question(rng: random.Random, mixture: Mixture, *, held_out: bool) -> Example:
    world: World = _ATLAS if rng.random() < mixture.atlas else _INVENTED
    ranker = rng.random() >= mixture.no_ranker
    drawn = draw(rng, world, held_out=held_out, ranker=ranker)
    steps = drawn.program.steps
    attributes = [
        (
            step.attribute,
            "thing" if not isinstance(step.entity, str) else "place",
            step.attribute not in _NAMED_NOUNS,
        )
        for step in steps
        if isinstance(step, Lookup)
    ]
    box = draw_toolbox(
        rng,
        attributes,
        ranker=ranker,
        calculator=any(isinstance(step, Calculate) for step in steps),
        ranks=any(isinstance(step, Rank) for step in steps),
    )
    prompt = compact_prompt(drawn.question, box.specs)
    return Example(
        prompt, render(drawn.program, box.toolset) + STOP, drawn.entities, _called(drawn.program, box.toolset)
    )


def _called(program: Builder, toolset: Toolset) -> tuple[str, ...]:
    names: list[str] = []
    for step in program.steps:
        match step:
            case Lookup(attribute):
                names.append(toolset.lookup(attribute).name)
            case Calculate():
                names.append(toolset.calculate)
            case Rank():
                names.append(toolset.rank.name if toolset.rank else "")
            case _:
                pass
    return tuple(dict.fromkeys(names))


_INVENTED = Invented()
_ATLAS: Atlas = load_atlas("train")
