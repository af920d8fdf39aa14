"""What the further families share: words for counts, expressions over several results, ways to ask for a value."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from braid.training.questions.families import shown
from braid.training.questions.program import Amount, Part, Ref
from braid.training.questions.quantities import has_unit
from braid.training.questions.template import Choice
from braid.training.questions.templates import Attribute
from braid.training.questions.world import Thing, World

COUNT = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}

Parts = list["str | Ref"]


class Wording(NamedTuple):
    """Patterns of `Choice.frame`, and those that training never shows."""

    patterns: tuple[str, ...]
    held: tuple[str, ...]


def plus(refs: Sequence[Ref]) -> Parts:
    """`a + b + c`."""
    return _between(refs, " + ")


def call(name: str, refs: Sequence[Ref]) -> Parts:
    """`max(a, b, c)`."""
    return [f"{name}(", *_between(refs, ", "), ")"]


def mean_of(refs: Sequence[Ref]) -> Parts:
    """`(a + b + c) / 3`."""
    return ["(", *plus(refs), f") / {len(refs)}"]


def _between(refs: Sequence[Ref], glue: str) -> Parts:
    parts: Parts = [refs[0]]
    for ref in refs[1:]:
        parts += [glue, ref]
    return parts


def amount(attribute: Attribute, value: Ref, fact: Ref) -> Part:
    """A number as part of an answer, with the unit of its fact where the attribute has one."""
    return Amount(value, fact) if has_unit(attribute) else value


def told(attribute: Attribute, thing: Thing, value: float) -> str:
    """A value as the answer shows it, in the unit of the thing's fact."""
    return shown(value, thing.unit(attribute) if has_unit(attribute) else "")


def asked_for(c: Choice, q: str) -> str:
    """A question for the value that a noun phrase names."""
    return c.frame(
        "[what is|what's|what would be] {q}",
        "[what is|what's] {q}",
        "[give me|tell me|find|calculate|compute|work out|figure out|determine] {q}",
        "[can|could] you [work out|calculate|tell me|find] {q}",
        "[I need|I'd like to know|I want to know] {q}",
        "{q}",
        "[do you know|any idea] what {q} is",
        held=("[do the sums for|put a figure on] {q}", "{q}, [if you would|what does it come to]"),
        q=q,
    )


def different(w: World, c: Choice, count: int) -> tuple[Attribute, list[Thing]]:
    """Things of an attribute whose values are no years and positive, and far enough apart to be told apart."""
    attribute, things = w.comparable(c.rng, count)
    if attribute.dated or attribute.unit_words[:1] == ("°C",):
        raise LookupError("these are not scaled")
    numbers = sorted(t.number(attribute) for t in things)
    if numbers[0] <= 0 or any(b / a < 1.0001 for a, b in pairwise(numbers)):
        raise LookupError("the values are too close")
    return attribute, things
