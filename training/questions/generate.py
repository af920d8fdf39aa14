"""Drawing samples: families in proportion, splits by wording and by entity, everything from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from braid.training.questions.families import FAMILIES, Family
from braid.training.questions.program import Builder, Toolset, render
from braid.training.questions.template import Choice
from braid.training.questions.typing_noise import dressed, lowered
from braid.training.questions.world import World, load_atlas

Split = Literal["train", "heldout-templates", "heldout-entities", "heldout"]
"""Wording and entities: both as in training, either held out, or both held out."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A question, a plan that answers it with the built-in tools, and the true answer.

    Args:
        template: the family and the wording drawn in it.
        entities: the titles that the question names.
    """

    id: str
    question: str
    plan: str
    answer: str
    template: str
    entities: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One question before it is written for a set of tools."""

    family: str
    template: str
    question: str
    program: Builder
    entities: tuple[str, ...]
    answer: str


def draw(
    rng: random.Random,
    world: World,
    *,
    held_out: bool,
    ranker: bool = True,
    families: Mapping[str, tuple[Family, float]] = FAMILIES,
) -> Drawn:
    """One question from `world`, in wording that training sees or, with `held_out`, that it never sees."""
    names = list(families)
    weights = [weight for _, weight in families.values()]
    while True:
        family = rng.choices(names, weights)[0]
        choice = Choice(rng, held_out)
        try:
            draft = families[family][0](choice, world, ranker)
        except (LookupError, ZeroDivisionError):
            continue
        if held_out and not any(step.startswith("h") for step in choice.trail):
            continue
        question = draft.question
        while question.endswith((".?", "??", "..", "?.")):
            question = question[:-2] + ("?" if question.endswith("??") else question[-2])
        names = tuple(thing.name for thing in draft.things)
        program, entities, answer = draft.program, names if draft.copied else (), draft.answer
        question = dressed(choice, question, (*names, *draft.verbatim))
        if rng.random() < 0.08:
            question = question.lower()
            program = lowered(program, sorted((*names, *draft.verbatim), key=len, reverse=True))
            entities = tuple(name.lower() for name in entities)
        return Drawn(
            family=family,
            template=f"{family}/{'.'.join(choice.trail)}",
            question=question,
            program=program,
            entities=entities,
            answer=answer,
        )


def generate(split: Split, n: int, *, seed: int = 0) -> Iterator[Sample]:
    """`n` samples of a split about the built-in atlas, the same for the same seed.

    Sample `i` depends on the seed and `i` alone, so a longer set begins with the shorter one.
    """
    world = load_atlas("heldout" if split in ("heldout-entities", "heldout") else "train")
    held_out = split in ("heldout-templates", "heldout")
    for index in range(n):
        drawn = draw(random.Random(f"{split}/{seed}/{index}"), world, held_out=held_out)
        yield Sample(
            id=f"{split}-{seed}-{index}",
            question=drawn.question,
            plan=render(drawn.program, Toolset()),
            answer=drawn.answer,
            template=drawn.template,
            entities=drawn.entities,
        )
