"""The values of the atlas: facts with their provenance, and the entities that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

Value = int | float | str
Entry = tuple[str, Value, str]
"""One row of a list that answers a query: title, value and unit."""

MEMORY: Final = "memory"
"""Source of what was written from memory. Such a fact is unverified."""


_BESIDE: Final = {"height": ("roof height", "tip height")}
"""Other readings of an attribute, which are said with it."""


def _is_empty(value: object) -> bool:
    return not value


class Source(BaseModel):
    """Where facts come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Its name in a text about a fact: "GeoNames"."""
    edition: str = ""
    """Package and version that the facts were read from."""
    year: int | None = None
    """Year of the edition."""
    licence: str = ""
    url: str = ""


class Fact(BaseModel):
    """One fact: what `search` returns.

    In text it stands as `short_form`, "8611 m". Calculations use `value`.
    """

    # Provenance is for people. It is no part of the tool's signature, which planners are trained on. Where it
    # is empty it is not serialised, so that keys of kept results stay.
    model_config = ConfigDict(frozen=True)

    title: str = Field(description="the entry that the fact is about")
    attribute: str = Field(description="which fact it is, such as 'height'")
    value: int | float | str
    unit: str = Field(default="", description="unit of the value; empty for names and plain numbers")
    text: str = Field(
        default="", description="the fact as a phrase; all facts of the entry if none was asked for"
    )
    source: SkipJsonSchema[str] = Field(default="", exclude_if=_is_empty)
    """Where the value comes from. Empty if that is not recorded."""
    year: SkipJsonSchema[int | None] = Field(default=None, exclude_if=_is_empty)
    """Year of the source's edition."""
    verified: SkipJsonSchema[bool] = Field(default=False, exclude_if=_is_empty)
    """Whether a published source has the value. False for what was written from memory."""
    disputed: SkipJsonSchema[tuple[str, ...]] = Field(default=(), exclude_if=_is_empty)
    """Readings that disagree with `value`, each with its source: "126529100 people (GeoNames)"."""
    entries: SkipJsonSchema[tuple[Entry, ...]] = Field(default=(), exclude_if=_is_empty)
    """The rows of the answer, if a query asked for several."""

    def short_form(self) -> str:
        """Value and unit without thousands separators, "8611 m": it can be read back as a number."""
        return f"{self.value} {self.unit}".rstrip()

    def caution(self) -> str:
        """What a reader should know before trusting the value. Empty if there is nothing."""
        doubts = [] if self.verified or not self.source else ["unverified"]
        doubts += [f"another figure: {reading}" for reading in self.disputed]
        return "; ".join(doubts)


class Entity(BaseModel):
    """An entry of the atlas."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1)
    kind: str
    aliases: tuple[str, ...] = ()
    facts: dict[str, tuple[int | float | str, str]] = Field(min_length=1)
    """Value and unit of each attribute. The first is the main fact."""
    sources: dict[str, str] = {}
    """Key of the source of each attribute. An attribute without one has no recorded source."""
    others: dict[str, tuple[tuple[int | float | str, str], ...]] = {}
    """Readings of an attribute that disagree with its value: each with the key of its source, or a name."""
    namesakes: tuple[str, ...] = ()
    """Titles of other entries that people call by the same name."""

    def fact(self, attribute: str, sources: Mapping[str, Source] | None = None) -> Fact:
        """The fact `attribute`, with a text that names it only.

        Args:
            attribute: Which fact.
            sources: The sources by their keys.

        Raises:
            KeyError: The entry has no such fact.
        """
        value, unit = self.facts[attribute]
        key = self.sources.get(attribute, "")
        source = (sources or {}).get(key)
        readings = [
            f"{f'{other} {unit}'.rstrip()} ({said_by(by, sources or {})})"
            for other, by in self.others.get(attribute, ())
        ]
        fact = Fact(
            title=self.title,
            attribute=attribute,
            value=value,
            unit=unit,
            source=source.name if source else key,
            year=source.year if source else None,
            verified=bool(key) and key != MEMORY,
            disputed=tuple(readings),
        )
        beside = [self.fact(other, sources) for other in _BESIDE.get(attribute, ()) if other in self.facts]
        text = "; ".join(_phrase(said) for said in (fact, *beside))
        return fact.model_copy(update={"text": f"{self.title} ({self.kind}): {text}"})

    def main(self, sources: Mapping[str, Source] | None = None) -> Fact:
        """The main fact, with all the others in its text."""
        facts = [self.fact(attribute, sources) for attribute in self.facts]
        if all(fact.caution() == "unverified" for fact in facts):
            known = "; ".join(f"{fact.attribute} {fact.short_form()}" for fact in facts) + " (all unverified)"
        else:
            known = "; ".join(_phrase(fact) for fact in facts)
        return facts[0].model_copy(update={"text": f"{self.title} ({self.kind}): {known}"})


def _phrase(fact: Fact) -> str:
    """A fact with its provenance: "height 8611 m (unverified)"."""
    origin = f"{fact.source} {fact.year or ''}".rstrip() if fact.verified else ""
    said = "; ".join(part for part in (origin, fact.caution()) if part)
    return f"{fact.attribute} {fact.short_form()}" + (f" ({said})" if said else "")


def said_by(key: str, sources: Mapping[str, Source]) -> str:
    """A source's name for readers: "GeoNames", or "unverified" for memory."""
    return "unverified" if key == MEMORY else sources[key].name if key in sources else key


def entity_of(row: Mapping[str, Any]) -> Entity:
    """An entry from its row of the file, without validation.

    A fact is `[value, unit, source]`, or `[value, unit]` if it is from memory.
    """
    facts: dict[str, Any] = row["facts"]
    return Entity.model_construct(
        title=row["title"],
        kind=row["kind"],
        aliases=tuple(row["aliases"]),
        facts={attribute: (fact[0], fact[1]) for attribute, fact in facts.items()},
        sources={attribute: fact[2] if len(fact) > 2 else MEMORY for attribute, fact in facts.items()},
        others={
            attribute: tuple((value, by) for value, by in readings)
            for attribute, readings in row.get("others", {}).items()
        },
        namesakes=tuple(row.get("namesakes", ())),
    )
