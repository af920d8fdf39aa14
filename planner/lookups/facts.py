"""The facts that a question about several things rests on, each with the query that finds it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Final

from braid.executors.builtin.atlas import Entity, Fact, ask, fold, load_atlas
from braid.executors.tools import ToolError
from braid.planner.lookups.names import Mention

_GROUPS: Final = {
    "volcano": "mountain",
    "territory": "country",
    "building": "structure",
    "tower": "structure",
    "statue": "structure",
}
"""Kinds that are compared as if they were one."""

_SIZES: Final = {"city": ("population", "area"), "animal": ("weight", "length", "height")}
"""What "big" means for a kind, where it is not the same as for most."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A fact that a plan looks up."""

    entity: Entity
    fact: Fact
    query: str

    @property
    def title(self) -> str:
        """The name of what it is about."""
        return self.entity.title

    @property
    def number(self) -> float:
        """The value of a fact that is a number."""
        return float(self.fact.value)

    @property
    def readings(self) -> tuple[float, ...]:
        """Every figure that a source gives."""
        others = [value for value, _ in self.entity.others.get(self.fact.attribute, ())]
        return (self.number, *(float(value) for value in others if not isinstance(value, str)))


def group_of(entity: Entity) -> str:
    """The kind of an entry, with near kinds taken together."""
    return _GROUPS.get(entity.kind, entity.kind)


def found_of(entity: Entity, attribute: str) -> Found | None:
    """The fact of an entry. None where it has none, or no query finds it."""
    if attribute not in entity.facts:
        return None
    query = f"{attribute} of {entity.title}"
    fact = _looked_up(query)
    if fact is None or (fact.title, fact.attribute, fact.value) != (
        entity.title,
        attribute,
        entity.facts[attribute][0],
    ):
        return None
    return Found(entity=entity, fact=fact, query=query)


@lru_cache(maxsize=1024)
def _looked_up(query: str) -> Fact | None:
    try:
        return ask(load_atlas(), query) or load_atlas().lookup(query)
    except ToolError:
        return None


def shared(mentions: Sequence[Mention], attributes: Sequence[str], *, numbers: bool = True) -> list[Found]:
    """A fact of each of `mentions`, all of the first attribute that they share. Empty where there is none.

    Args:
        mentions: What is asked about.
        attributes: The attributes that may be meant, best first.
        numbers: Whether they must be numbers of one unit.
    """
    entities = _meant(mentions, attributes)
    if entities is None or not attributes or len({entity.title for entity in entities}) < len(mentions):
        return []
    kinds = {group_of(entity) for entity in entities}
    if "area" in attributes and len(attributes) > 1 and len(kinds) == 1:
        attributes = (*_SIZES.get(kinds.pop(), ()), *attributes)
    for attribute in attributes:
        if not all(attribute in entity.facts for entity in entities):
            continue
        found = [each for each in (found_of(entity, attribute) for entity in entities) if each is not None]
        if len(found) < len(entities):
            return []
        texts = any(isinstance(each.fact.value, str) for each in found)
        if numbers and (texts or len({each.fact.unit for each in found}) > 1):
            return []
        return found
    return []


def _meant(mentions: Sequence[Mention], attributes: Sequence[str]) -> tuple[Entity, ...] | None:
    """The entry that each of `mentions` means. None where that cannot be told.

    A name with two meanings means the one that is of the same kind as the others.
    """
    choices = [
        tuple(entity for entity in mention.entities if _may_have(entity, attributes)) for mention in mentions
    ]
    if not all(choices):
        return None
    first = tuple(entities[0] for entities in choices)
    if len(mentions) == 1 or len({group_of(entity) for entity in first}) == 1:
        return first
    alike = [chosen for chosen in _combinations(choices) if len({group_of(entity) for entity in chosen}) == 1]
    if alike:
        return alike[0] if len(alike) == 1 else None
    return first if all(len(entities) == 1 for entities in choices) else None


def _may_have(entity: Entity, attributes: Sequence[str]) -> bool:
    sizes = _SIZES.get(entity.kind, ()) if "area" in attributes and len(attributes) > 1 else ()
    return not {*attributes, *sizes}.isdisjoint(entity.facts)


def _combinations(choices: Sequence[tuple[Entity, ...]]) -> Iterator[tuple[Entity, ...]]:
    return product(*choices)


def found_as(query: str) -> Entity | None:
    """The entry that the tool finds for `query`."""
    fact = _looked_up(query)
    return load_atlas().get(fact.title) if fact is not None else None


def best_of(query: str) -> Fact | None:
    """The fact about the winner that a query such as "highest mountain in Africa" asks for."""
    try:
        return ask(load_atlas(), query)
    except ToolError:
        return None


@lru_cache(maxsize=8)
def values_of(attribute: str) -> dict[tuple[str, ...], str]:
    """Every name that some entry has as this attribute, by its folded words: currencies, languages."""
    return {
        fold(value): value
        for entity in load_atlas().of_kind(frozenset({"country", "territory"}))
        if attribute in entity.facts
        for value in parts_of(str(entity.facts[attribute][0]))
    }


def parts_of(value: str) -> list[str]:
    """The names in a value that is a list: "Nepal and China"."""
    return [part.strip() for part in re.split(r", | and |; ", value)]
