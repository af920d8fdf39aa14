"""What the families share: the draft of a question, adjectives, and the ends of superlative questions.

A family draws things from a world and gives question, program and true answer. A true answer is computed from
the facts, not by running the program, so that a wrong program shows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from braid.training.questions.program import Answer, Block, Builder, Item, Ref
from braid.training.questions.template import Choice, plural
from braid.training.questions.templates import Attribute
from braid.training.questions.world import Thing, World


@dataclass(frozen=True)
class Draft:
    """A question before it is written out for a set of tools.

    `verbatim` are phrases that the answer repeats. `copied` says whether the plan names the things.
    """

    question: str
    program: Builder
    things: Sequence[Thing]
    answer: str
    verbatim: Sequence[str] = ()
    copied: bool = True


Family = Callable[[Choice, World, bool], Draft]
"""Draws a question. The flag says whether the tools include one that ranks."""


def shown(value: float | str, unit: str = "") -> str:
    """A value as an answer shows it: at most ten significant digits, and the unit behind."""
    text = value if isinstance(value, str) else f"{value:.10g}"
    return f"{text} {unit}".strip()


def adjective(c: Choice, attribute: Attribute, *, up: bool, superlative: bool) -> str:
    """A comparative or superlative. Attributes without their own get "greater" and "smallest"."""
    high, low = (attribute.most, attribute.least) if superlative else (attribute.more, attribute.less)
    words = high if up else low
    return c.rng.choice(words) if words else ""


def which_tail(c: Choice, attribute: Attribute, kind: str, count: int, *, up: bool) -> str:
    """The end of a superlative question: "which one would be the deepest?"."""
    rng = c.rng
    noun = rng.choice(attribute.words)
    superlative = adjective(c, attribute, up=up, superlative=True)
    comparative = adjective(c, attribute, up=up, superlative=False)
    one = rng.choice(
        (
            "one",
            "one",
            kind,
            kind,
            kind,
            "of them",
            "of these",
            f"of the {plural(kind)}",
            f"of these {plural(kind)}",
            "among them",
        )
    )
    if count == 2:
        one = rng.choice(("one", "one", kind, kind, "of the two", "of them"))
    be = rng.choice(
        ("is", "is", "would be", "would be", "becomes", "will be", "ends up", "would then be", "is now")
    )
    have = rng.choice(
        ("has", "has", "would have", "ends up with", "will have", "boasts", "shows", "would boast")
    )
    great = rng.choice(("greatest", "greatest", "highest", "largest", "biggest", "maximum", "most"))
    small = rng.choice(("least", "smallest", "smallest", "lowest", "minimum"))
    extreme = great if up else small
    extreme = extreme if extreme != "most" else "greatest"
    word = superlative if superlative and (count > 2 or rng.random() < 0.3) else comparative
    spans = rng.choice(("spans", "shows", "reaches", "attains"))
    greater = (
        rng.choice(("greater", "larger", "higher")) if up else rng.choice(("smaller", "lesser", "lower"))
    )
    options = [
        f"which {one} {have} the {extreme} {noun}",
        f"what {kind} {have} the {extreme} {noun}",
        f"which {one} {spans} {f'a {greater}' if rng.random() < 0.5 else f'the {extreme}'} {noun}",
    ]
    the = ""
    if word:
        the = "the " if word in attribute.most + attribute.least and rng.random() < 0.85 else ""
        options += [f"which {one} {be} {the}{word}"] * 4
        options += [
            f"which {one} {rng.choice(('comes out', 'emerges as', 'turns out', 'proves to be', 'stands'))} {the}{word}",
            f"what {be} the {superlative}" if superlative else f"which {one} {be} {word}",
            f"which {kind} among them {be} {the}{word}",
            f"tell me which {one} {be} {the}{word}",
            f"which {one} {have} the {comparative} {noun}"
            if noun == attribute.noun
            else f"which {one} {be} {the}{word}",
        ]
    tails = attribute.most_tails if up else attribute.least_tails
    if tails:
        options += [f"which {one} {rng.choice(tails)}"] * 2
    if up:
        options += [
            f"which {one} would {rng.choice(('surpass', 'exceed', 'beat', 'outdo', 'top'))} the other{'s' if count > 2 else ''} in {noun}",
            f"which {one} {rng.choice(('comes out on top', 'leads', 'ranks first', 'comes first'))} in {noun}",
        ]
    else:
        options += [
            f"which {one} {rng.choice(('comes last', 'ranks last', 'comes in last', 'trails the others'))} in {noun}"
        ]
    options += [
        f"{rng.choice(('tell me', 'find', 'determine', 'give me', 'pick', 'identify', 'find out', 'say'))} which {one} {have} the {extreme} {noun}",
        f"who {have} the {extreme} {noun}"
        if kind in ("animal", "bird")
        else f"what {have} the {extreme} {noun}",
        f"{rng.choice(('whose', 'which one has the'))} {noun} {rng.choice(('is', 'would be', 'becomes'))} {rng.choice(('the ', ''))}{extreme}".replace(
            "which one has the " + noun, f"which one's {noun}"
        ),
        f"where {rng.choice(('is', 'would'))} the {noun} {rng.choice(('', 'be '))}{extreme}".replace(
            "is the " + noun + " be", "is the " + noun
        ),
    ]
    if word:
        options += [
            f"{rng.choice(('tell me', 'find', 'identify', 'determine', 'pick', 'give me', 'name', 'say'))} the {superlative or word}{rng.choice(('', ' one', f' {kind}'))}",
            f"what {rng.choice(('is', 'would be'))} the {superlative or word} {kind}",
            f"which {rng.choice(('one ', f'{kind} ', ''))}{rng.choice(('will', 'would', 'is going to'))} {rng.choice(('come out', 'turn out', 'end up', 'be', 'become', 'prove'))} {the}{word}",
            f"who {rng.choice(('is', 'would be'))} {the}{word}"
            if kind in ("animal", "bird")
            else f"which {rng.choice(('is', 'would be'))} {the}{word}",
        ]
    held = [
        f"name the {kind} with the {extreme} {noun}",
        f"which {one} {'tops' if up else 'is at the bottom of'} the list by {noun}",
        f"where do we find the {extreme} {noun}",
    ]
    if superlative:
        held += [
            f"which {one} can then call itself the {superlative}",
            f"which {kind} deserves the title of {superlative}",
            f"who or what is the {superlative} {'of the two' if count == 2 else 'of all'}",
        ]
    return c.pick(*options, held=held)


def pick_best(
    b: Builder, names: Sequence[str], values: Sequence[Ref], *, up: bool, rank: bool, place: int = 0
) -> None:
    """End the program with the name that is first (or in a later place) by value."""
    if rank:
        order = b.rank(names, values, descending=up)
        b.answer(Item(order.step, place))
        return
    first, second = names if place == 0 else reversed(names)
    b.branch(
        values[0], ">" if up else "<", values[1], Block((), Answer((first,))), Block((), Answer((second,)))
    )


def by_value(things: Sequence[Thing], values: Sequence[float], *, up: bool) -> list[str]:
    """Names in order of value.

    Raises:
        LookupError: Two are so close that rounding could decide.
    """
    order = sorted(zip(values, (t.name for t in things), strict=True), reverse=up)
    for (x, _), (y, _) in pairwise(order):
        if abs(x - y) <= 1e-6 * max(abs(x), abs(y)):
            raise LookupError(f"{x} and {y} are too close to be told apart")
    return [name for _, name in order]


def scalable(w: World, rng: random.Random, count: int) -> tuple[Attribute, list[Thing]]:
    """Things of an attribute whose values may be added, scaled and averaged: no years."""
    attribute, things = w.comparable(rng, count)
    if attribute.dated:
        raise LookupError("years are not scaled")
    return attribute, things


def counted(rng: random.Random, rank: bool, weights: Sequence[int] = (5, 5, 4, 3)) -> int:
    """A number of things. Without a tool that ranks, it is 2."""
    return rng.choices((2, 3, 4, 5), weights)[0] if rank else 2
