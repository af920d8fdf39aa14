"""What questions are about: things with facts. The atlas is one such world. Training adds invented ones."""

from __future__ import annotations

import functools
import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, Protocol, TypeVar

from braid.training.questions.templates import CHAINS, NAMED, NUMERIC, Attribute

Article = Literal["", "the", "a"]
Fact = tuple[float | str, str]
"""A value and its unit. The unit of a name is empty."""

HELD_OUT_SHARE = 0.2
"""Share of the atlas' titles that no training question names."""


@dataclass(frozen=True)
class Thing:
    """Something that can be looked up.

    Args:
        name: as a plan writes it, without article.
        kind: what it is, in the singular.
        article: what stands before the name in running text.
    """

    name: str
    kind: str
    article: Article
    facts: Mapping[str, Fact]

    def text(self, rng: random.Random) -> str:
        """The name in running text."""
        match self.article:
            case "":
                return self.name
            case "the":
                return f"the {self.name}" if rng.random() < 0.85 else self.name
            case "a":
                indefinite = "an" if self.name[:1].lower() in "aeiou" else "a"
                return f"{rng.choice((indefinite, indefinite, 'the'))} {self.name}"

    def number(self, attribute: Attribute) -> float:
        value = self.facts[attribute.noun][0]
        if isinstance(value, str):
            raise TypeError(f"{attribute.noun} of {self.name!r} is {value!r}; a number was expected")
        return value

    def unit(self, attribute: Attribute) -> str:
        return self.facts[attribute.noun][1]


@dataclass(frozen=True)
class Chain:
    """A question in two hops: `attribute` of the `link` of `thing`, which is `target`."""

    thing: Thing
    link: Attribute
    attribute: Attribute
    target: Thing


class World(Protocol):
    """Where a question's things come from. Draws that cannot be met raise LookupError, and are drawn anew."""

    def comparable(self, rng: random.Random, count: int) -> tuple[Attribute, list[Thing]]:
        """A numeric attribute and `count` things of one kind that have it. Values differ, units do not."""
        ...

    def measured(self, rng: random.Random, count: int) -> list[tuple[Attribute, Thing]]:
        """`count` numeric attributes, each with a thing. Kinds and units may differ."""
        ...

    def named(self, rng: random.Random, count: int) -> tuple[Attribute, list[Thing]]:
        """An attribute whose value is a name, and `count` things that have it."""
        ...

    def chained(self, rng: random.Random, count: int) -> list[Chain]:
        """`count` two-hop questions with the same link and attribute."""
        ...

    def having(self, rng: random.Random, attributes: Sequence[str], count: int) -> list[Thing]:
        """`count` things that have all the attributes named by `attributes`."""
        ...


class Atlas:
    """The world of the frozen atlas, or the part of it that a split may see."""

    def __init__(self, things: Iterable[Thing], everything: Mapping[str, Thing]) -> None:
        self.things = [*things]
        self._everything = everything
        self._by_kind: dict[tuple[str, str], list[Thing]] = {}
        for thing in self.things:
            for noun in thing.facts:
                self._by_kind.setdefault((noun, thing.kind), []).append(thing)

    def comparable(self, rng: random.Random, count: int) -> tuple[Attribute, list[Thing]]:
        attribute, kind = self._attribute(rng, NUMERIC)
        pool = self._by_kind[attribute.noun, kind]
        unit = rng.choice(pool).unit(attribute)
        pool = [thing for thing in pool if thing.unit(attribute) == unit]
        things = _sample(rng, pool, count)
        if len({thing.number(attribute) for thing in things}) < count:
            raise LookupError(f"two of {[thing.name for thing in things]} have the same {attribute.noun}")
        return attribute, things

    def measured(self, rng: random.Random, count: int) -> list[tuple[Attribute, Thing]]:
        drawn: list[tuple[Attribute, Thing]] = []
        for _ in range(count):
            attribute, kind = self._attribute(rng, NUMERIC)
            drawn.append((attribute, rng.choice(self._by_kind[attribute.noun, kind])))
        return drawn

    def named(self, rng: random.Random, count: int) -> tuple[Attribute, list[Thing]]:
        attribute, kind = self._attribute(rng, NAMED)
        return attribute, _sample(rng, self._by_kind[attribute.noun, kind], count)

    def chained(self, rng: random.Random, count: int) -> list[Chain]:
        noun = rng.choice([noun for noun in CHAINS if any(key[0] == noun for key in self._by_kind)])
        link = next(attribute for attribute in NAMED if attribute.noun == noun)
        attribute = rng.choice(CHAINS[noun])
        pool: list[Chain] = []
        for (key, _), things in self._by_kind.items():
            if key != noun:
                continue
            for thing in things:
                target = self._everything.get(str(thing.facts[noun][0]))
                # A thing of the same name (a country and its capital) would be looked up in the first one's
                # place.
                if target and attribute.noun in target.facts and target.name != thing.name:
                    pool.append(Chain(thing, link, attribute, target))
        return _sample(rng, pool, count)

    def having(self, rng: random.Random, attributes: Sequence[str], count: int) -> list[Thing]:
        return _sample(
            rng, [thing for thing in self.things if all(a in thing.facts for a in attributes)], count
        )

    def _attribute(self, rng: random.Random, attributes: Sequence[Attribute]) -> tuple[Attribute, str]:
        """An attribute and one of the kinds that have it, however many things of each the atlas holds."""
        kinds = {a.noun: [kind for noun, kind in self._by_kind if noun == a.noun] for a in attributes}
        attribute = choose_attribute(rng, [a for a in attributes if kinds[a.noun]])
        weights = [len(self._by_kind[attribute.noun, kind]) for kind in kinds[attribute.noun]]
        return attribute, rng.choices(kinds[attribute.noun], weights)[0]


def choose_attribute(rng: random.Random, attributes: Sequence[Attribute]) -> Attribute:
    """One of `attributes`, those that people compare most (the first ones) being the likeliest."""
    return rng.choice(attributes[:6] if rng.random() < 0.65 else attributes)


_T = TypeVar("_T")


def _sample(rng: random.Random, pool: Sequence[_T], count: int) -> list[_T]:
    if len(pool) < count:
        raise LookupError(f"{count} things were asked for, {len(pool)} are there")
    return rng.sample(pool, count)


def held_out(title: str) -> bool:
    """Whether a title belongs to the held-out entities. Its hash alone decides."""
    digest = hashlib.sha256(title.casefold().encode()).digest()
    return digest[0] / 256 < HELD_OUT_SHARE


@functools.cache
def load_atlas(part: Literal["train", "heldout", "all"] = "all") -> Atlas:
    """The atlas that the planning benchmark froze, or the training or held-out part of its titles.

    Draws are repeatable because this file never changes. The atlas of the built-in `search` does.
    """
    text = (files("braid.evals.tasks") / "planning" / "facts.jsonl").read_text(encoding="utf-8")
    things: list[Thing] = []
    titles: set[str] = set()
    ambiguous: set[str] = set()
    for line in text.splitlines():
        row = json.loads(line)
        for name in {row["title"].casefold(), *(alias.casefold() for alias in row["aliases"])}:
            (ambiguous if name in titles else titles).add(name)
        things.append(_thing(row))
    # A name that two entries share (Georgia, Mercury) has no one true answer.
    things = [thing for thing in things if thing.name.casefold() not in ambiguous]
    everything = {thing.name: thing for thing in things}
    if part == "all":
        return Atlas(things, everything)
    return Atlas([t for t in things if held_out(t.name) == (part == "heldout")], everything)


_KINDS = {"ocean trench": "trench", "US state": "state"}
_LAST_WORDS = (
    "Wall",
    "Bridge",
    "Canyon",
    "Tunnel",
    "Rainforest",
    "Forest",
    "Moon",
    "Sun",
    "Islands",
    "Republic",
)


def _thing(row: Mapping[str, Any]) -> Thing:
    title = str(row["title"])
    kind = _KINDS.get(row["kind"], str(row["kind"]))
    facts: Mapping[str, tuple[float | str, str]] = row["facts"]
    article: Article = ""
    if kind == "animal":
        article = "a"
    elif (
        kind in ("river", "desert", "sea", "ocean", "trench", "canal")
        or title.rsplit(maxsplit=1)[-1] in _LAST_WORDS
        or (kind == "tower" and title.endswith("Tower"))
    ):
        article = "the"
    return Thing(title, kind, article, {noun: (value, unit) for noun, (value, unit) in facts.items()})
