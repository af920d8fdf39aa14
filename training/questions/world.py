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

from braid.training.questions.templates import CHAINS, ELEVATION, NAMED, NUMERIC, Attribute

Article = Literal["", "the", "a"]
Fact = tuple[float | str, str]
"""A value and its unit. The unit of a name is empty."""

LINKS = ("country", "country", "capital", "capital", "city", "continent", "state", "planet", "ocean", "mouth")
"""What a path may follow, the frequent ones twice."""

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


@dataclass(frozen=True)
class Path:
    """A question over several links: `attribute` of the last of `links` ... of `thing`, which is `value`."""

    thing: Thing
    links: tuple[Attribute, ...]
    attribute: Attribute
    value: float | str
    unit: str


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

    def path(self, rng: random.Random, links: int, *, like: Path | None = None) -> Path:
        """A question over so many links, or one about another thing over the links of `like`."""
        ...

    def people(self, rng: random.Random, count: int) -> list[Thing]:
        """`count` people with the years of their birth and death."""
        ...


class SameThings:
    """A world that draws from another one, the same things for the same wish each time."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._seed = seed

    def comparable(self, rng: random.Random, count: int) -> tuple[Attribute, list[Thing]]:
        return self._world.comparable(random.Random(f"{self._seed}/{count}"), count)

    def measured(self, rng: random.Random, count: int) -> list[tuple[Attribute, Thing]]:
        return self._world.measured(rng, count)

    def named(self, rng: random.Random, count: int) -> tuple[Attribute, list[Thing]]:
        return self._world.named(rng, count)

    def chained(self, rng: random.Random, count: int) -> list[Chain]:
        return self._world.chained(rng, count)

    def having(self, rng: random.Random, attributes: Sequence[str], count: int) -> list[Thing]:
        return self._world.having(rng, attributes, count)

    def path(self, rng: random.Random, links: int, *, like: Path | None = None) -> Path:
        return self._world.path(rng, links, like=like)

    def people(self, rng: random.Random, count: int) -> list[Thing]:
        return self._world.people(rng, count)


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

    def path(self, rng: random.Random, links: int, *, like: Path | None = None) -> Path:
        thing = at = rng.choice(self.things)
        followed: list[Attribute] = []
        for number in range(links):
            been = {a.noun for a in followed}
            nouns = (
                [like.links[number].noun]
                if like
                else [n for n in LINKS if n not in been and self._linked(at, n)]
            )
            noun = rng.choice(nouns) if nouns else ""
            target = self._linked(at, noun)
            if not target or target.name == at.name:
                raise LookupError(f"{at.name} has no such link")
            followed.append(named_attribute(noun))
            at = target
        ends = (
            [like.attribute]
            if like
            else [a for a in (*NUMERIC[:6], ELEVATION, *NAMED) if a.noun in at.facts and a not in followed]
        )
        if (like and like.attribute.noun not in at.facts) or not ends or at.name == thing.name:
            raise LookupError(f"{at.name} has no such attribute")
        if like and thing.name == like.thing.name:
            raise LookupError(f"{thing.name} was drawn twice")
        attribute = rng.choice(ends)
        return Path(thing, tuple(followed), attribute, *at.facts[attribute.noun])

    def people(self, rng: random.Random, count: int) -> list[Thing]:
        raise LookupError("the atlas has no people")

    def _linked(self, thing: Thing, noun: str) -> Thing | None:
        """What `thing` is linked to. The built-in `search` knows the country of what has a city or a place."""
        facts = thing.facts
        if noun == "country" and "country" not in facts:
            city = self._everything.get(str(facts["city"][0])) if "city" in facts else None
            place = city.facts.get("country") if city else facts.get("location")
            target = self._everything.get(str(place[0])) if place else None
            return target if target and target.kind == "country" else None
        return self._everything.get(str(facts[noun][0])) if noun in facts else None

    def _attribute(self, rng: random.Random, attributes: Sequence[Attribute]) -> tuple[Attribute, str]:
        """An attribute and one of the kinds that have it, however many things of each the atlas holds."""
        kinds = {a.noun: [kind for noun, kind in self._by_kind if noun == a.noun] for a in attributes}
        attribute = choose_attribute(rng, [a for a in attributes if kinds[a.noun]])
        weights = [len(self._by_kind[attribute.noun, kind]) for kind in kinds[attribute.noun]]
        return attribute, rng.choices(kinds[attribute.noun], weights)[0]


def named_attribute(noun: str) -> Attribute:
    """The attribute of this noun, whose value is a name."""
    return next((a for a in NAMED if a.noun == noun), Attribute(noun=noun, numeric=False))


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
