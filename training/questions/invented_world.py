"""A world of invented things, drawn afresh for every question. Nothing in it can be known by heart."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import cast

from braid.training.questions import invented_names as names
from braid.training.questions.template import words
from braid.training.questions.templates import CHAINS, NAMED, NUMERIC, Attribute
from braid.training.questions.units import BASE
from braid.training.questions.world import (
    Article,
    Chain,
    Fact,
    Path,
    Thing,
    choose_attribute,
    named_attribute,
)

_QUANTITIES = words(
    "temperature cost price age score rating budget voltage output capacity strength pressure volume "
    "revenue frequency humidity salinity altitude brightness hardness acidity mileage rainfall width "
    "thickness radius power energy profit debt income memory duration delay distance range turnover "
    "yield wavelength salary rank footprint visitors"
)
_QUALIFIERS = words(
    "average maximum minimum annual mean total estimated surface net gross daily official current peak"
)
_KINDS = words(
    "thing item device company species product city machine crop team metal liquid project planet "
    "engine book film school"
)
_NAMED_NOUNS = words(
    "founder author colour director owner inventor mayor manager birthplace genre sponsor maker motto "
    "president"
)
_LINKED: dict[str, tuple[tuple[str, str], ...]] = {
    "building": (("country", "country"), ("city", "city"), ("architect", "person")),
    "tower": (("country", "country"), ("city", "city")),
    "statue": (("country", "country"), ("designer", "person")),
    "bridge": (("country", "country"), ("designer", "person")),
    "city": (
        ("country", "country"),
        ("country", "country"),
        ("continent", "continent"),
        ("founder", "person"),
    ),
    "country": (("capital", "city"), ("continent", "continent"), ("highest point", "mountain")),
    "moon": (("planet", "planet"), ("discoverer", "person")),
    "invention": (("inventor", "person"),),
    "book": (("author", "person"),),
    "film": (("director", "person"),),
    "company": (("headquarters", "city"), ("founder", "person")),
    "team": (("home town", "city"),),
    "person": (("birthplace", "city"), ("native country", "country")),
}
"""What a kind of thing is linked to, and of which kind that is."""
_ENDS: dict[str, tuple[str, ...]] = {
    "country": (
        "currency",
        "currency",
        "official language",
        "official language",
        "capital",
        "capital",
        "continent",
    ),
    "city": ("country", "country", "continent", "mayor", "time zone"),
    "person": ("birthplace", "native country", "profession"),
    "mountain": ("mountain range", "first climbers"),
    "planet": ("discoverer",),
}
"""Names that a question may ask for at the end of links, by the kind of the last thing."""
_UNITS = ("m", "km", "km2", "kg", "km/h", "people", "years", "m/s", "°C", "")


def _number(rng: random.Random, attribute: Attribute) -> float:
    """A number of any size that people write. Years are years."""
    if attribute.dated:
        return float(rng.randint(1000, 2025))
    if attribute.noun in ("population", "area"):
        return float(int(10 ** rng.uniform(3, 9)))
    return rng.uniform(10, 9000)


class Invented:
    """A `World` whose things exist for one question only. Values are random. Plans do not depend on them."""

    def __init__(self, *, odd_attributes: float = 0.15, links: Sequence[str] = tuple(CHAINS)) -> None:
        self.odd_attributes = odd_attributes
        self.links = list(links)

    def comparable(self, rng: random.Random, count: int) -> tuple[Attribute, list[Thing]]:
        attribute = self._numeric(rng)
        return attribute, self._things(rng, rng.choice(attribute.kinds), [attribute], count)

    def measured(self, rng: random.Random, count: int) -> list[tuple[Attribute, Thing]]:
        return [
            (attribute, things[0]) for attribute, things in (self.comparable(rng, 1) for _ in range(count))
        ]

    def named(self, rng: random.Random, count: int) -> tuple[Attribute, list[Thing]]:
        attribute = rng.choice(NAMED)
        if rng.random() < self.odd_attributes:
            attribute = Attribute(noun=rng.choice(_NAMED_NOUNS), kinds=(rng.choice(_KINDS),), numeric=False)
        return attribute, self._things(rng, rng.choice(attribute.kinds), [attribute], count)

    def chained(self, rng: random.Random, count: int) -> list[Chain]:
        noun = rng.choice(self.links)
        link = next(a for a in NAMED if a.noun == noun)
        attribute = rng.choice(CHAINS[noun])
        things = self._things(rng, rng.choice(link.kinds), [link], count)
        targets = self._things(rng, "city", [attribute], count)
        return [Chain(thing, link, attribute, target) for thing, target in zip(things, targets, strict=True)]

    def having(self, rng: random.Random, attributes: Sequence[str], count: int) -> list[Thing]:
        wanted = [a for a in NUMERIC if a.noun in attributes]
        kinds = set(wanted[0].kinds).intersection(*(a.kinds for a in wanted))
        things = self._things(rng, rng.choice(sorted(kinds)), wanted, count)
        return [
            Thing(
                t.name,
                t.kind,
                t.article,
                {n: (v, "km" if n == "length" else u) for n, (v, u) in t.facts.items()},
            )
            for t in things
        ]

    def path(self, rng: random.Random, links: int, *, like: Path | None = None) -> Path:
        if like:
            (thing,) = self._things(rng, like.thing.kind, like.links[:1], 1)
            followed, attribute = like.links, like.attribute
        else:
            kind = rng.choice([kind for kind in _LINKED if links == 1 or kind not in ("city", "country")])
            (thing,) = self._things(rng, kind, [], 1)
            steps: list[Attribute] = []
            for _ in range(links):
                if kind not in _LINKED:
                    raise LookupError(f"nothing is linked to a {kind}")
                noun, kind = rng.choice(_LINKED[kind])
                if any(step.noun == noun for step in steps):
                    raise LookupError("round in a circle")
                steps.append(named_attribute(noun))
            followed = tuple(steps)
            ends = [a for a in NUMERIC if kind in a.kinds] + [
                named_attribute(n) for n in _ENDS.get(kind, ()) if n not in {step.noun for step in steps}
            ]
            attribute = rng.choice(ends)
        if not attribute.numeric:
            return Path(thing, followed, attribute, names.proper_name(rng), "")
        return Path(
            thing, followed, attribute, _number(rng, attribute), BASE.get(attribute.noun, rng.choice(_UNITS))
        )

    def people(self, rng: random.Random, count: int) -> list[Thing]:
        people: dict[str, Thing] = {}
        while len(people) < count:
            name = f"{names.word(rng).capitalize()} {names.word(rng).capitalize()}"
            near = (
                next(iter(people.values())).facts["birth year"][0] if people and rng.random() < 0.75 else ""
            )
            birth = int(near) + rng.randint(-70, 70) if near else rng.randint(1000, 1940)
            facts: dict[str, Fact] = {
                "birth year": (birth, ""),
                "death year": (birth + rng.randint(18, 84), ""),
            }
            people[name] = Thing(name, "person", "", facts)
        return list(people.values())

    def _numeric(self, rng: random.Random) -> Attribute:
        if rng.random() >= self.odd_attributes:
            return choose_attribute(rng, NUMERIC)
        pick = rng.random()
        noun = (
            rng.choice(_QUANTITIES) if pick < 0.5 else f"{rng.choice(_QUALIFIERS)} {rng.choice(_QUANTITIES)}"
        )
        if pick > 0.8:
            noun = (
                names.word(rng, accents=0.0)
                if pick < 0.9
                else f"{names.word(rng, accents=0.0)} {rng.choice(_QUANTITIES)}"
            )
        return Attribute(noun=noun, kinds=(rng.choice(_KINDS),))

    def _things(
        self, rng: random.Random, kind: str, attributes: Sequence[Attribute], count: int
    ) -> list[Thing]:
        things: dict[str, Thing] = {}
        while len(things) < count:
            name, article = names.thing_name(rng, kind)
            facts: dict[str, Fact] = {
                a.noun: (_number(rng, a), BASE.get(a.noun, rng.choice(_UNITS))) if a.numeric else ("x", "")
                for a in attributes
            }
            things[name] = Thing(name, kind, cast(Article, article), facts)
        return list(things.values())
