"""What a question asks for, as far as its words tell, and whether an answer can be that.

Only types are compared: the kind of the answer (a name, a number, a year), and the quantity that the units of
its facts stand for. Where the words or the types do not tell, there is no doubt. The words are English.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

from braid.executors import TaskGraph
from braid.executors.builtin.atlas import Fact
from braid.executors.nodes import Answer, refs
from braid.executors.values import preview

Kind = Literal["name", "place", "number", "year", "unknown"]
"""The kind of an answer. A place is a name, or a plain number such as that of a shelf."""

Quantity = Literal["length", "area", "people", "speed", "mass", "temperature", "duration"]

_UNITS: Final[dict[str, Quantity]] = {
    **dict.fromkeys(("m", "km", "cm", "mm", "ft", "mi", "million km", "light-years"), "length"),
    **dict.fromkeys(("km2", "m2", "ha"), "area"),
    "people": "people",
    **dict.fromkeys(("km/h", "m/s", "mph"), "speed"),
    **dict.fromkeys(("kg", "g", "t"), "mass"),
    **dict.fromkeys(("°C", "°F", "K"), "temperature"),
    **dict.fromkeys(("years", "days", "hours", "h", "min", "s"), "duration"),
}
"""The quantity that a unit measures. Others are not known, and raise no doubt."""

_POSITIVE: Final = frozenset({"area", "people", "speed", "mass", "duration"})
"""Quantities that are never negative. A length may be, as an elevation below the sea."""

_NOUNS: Final[dict[str, Quantity]] = {
    "height": "length",
    "length": "length",
    "depth": "length",
    "area": "area",
    "population": "people",
    "weight": "mass",
    "temperature": "temperature",
}

_NAMED: Final = "currency|money|capital|(?:official |national )?languages?|continent|religion"

_PEOPLE: Final = "people|inhabitants|residents|citizens"

_WORDS: Final[tuple[tuple[str, Kind, tuple[Quantity, ...], str], ...]] = (
    (rf"(?:what|which)(?:'s| is| are)?(?: the)? (?:{_NAMED})\b", "name", (), "a name"),
    (r"who\b", "name", (), "a name"),
    (r"where\b", "place", (), "a place"),
    (r"when\b|(?:in )?(?:what|which) year\b", "year", (), "a year"),
    (rf"how many (?:{_PEOPLE}) (?:live|are there|does|do)\b", "number", ("people",), "a number of people"),
    (r"how (?:tall|deep|wide)\b", "number", ("length",), "a length"),
    (r"how long (?:is|are|was)\b", "number", ("length", "duration"), "a length"),
    (r"how (?:heavy\b|much (?:does|do) .* weigh\b)", "number", ("mass",), "a weight"),
    (r"how fast\b", "number", ("speed",), "a speed"),
    (r"how (?:hot|cold)\b", "number", ("temperature",), "a temperature"),
    (r"how many\b", "number", (), "a number"),
)
"""How a question may begin, the kind of its answer, its quantities (any, if none is given), and its name."""

_ATTRIBUTE: Final = re.compile(rf"what(?:'s| is) the ({'|'.join(_NOUNS)}) of\b")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a question asks for."""

    kind: Kind = "unknown"
    quantities: tuple[Quantity, ...] = ()
    """What the number may measure. Empty where the words do not tell."""
    shown: str = ""
    """The same in words."""


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Why an answer cannot be what was asked for."""

    reason: str


def asked(question: str) -> Asked:
    """What `question` asks for. Its first words decide, so of two questions in one, the first."""
    text = " ".join(question.casefold().split())
    if found := _ATTRIBUTE.match(text):
        quantity = _NOUNS[found[1]]
        return Asked(kind="number", quantities=(quantity,), shown=f"a {found[1]}")
    for pattern, kind, quantities, shown in _WORDS:
        if re.match(pattern, text):
            return Asked(kind=kind, quantities=quantities, shown=shown)
    return Asked()


def doubt_of(question: str, values: Sequence[object], graph: TaskGraph) -> Doubt | None:
    """Why `values`, the answer of `graph`, do not answer `question`. None where that cannot be told.

    One part of the answer that fits is enough. What was computed, ranked or thought has no type to compare.
    """
    wanted = asked(question)
    facts = list(_facts(graph))
    for fact in facts:
        if _is_absurd(fact):
            return Doubt(reason=f"found {_shown(fact)}, which cannot be")
    if facts and not any(_fits(fact, wanted) for fact in facts):
        return Doubt(reason=f"found {_shown(facts[0])}, but the question asks for {wanted.shown}")
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if wanted.kind == "name" and values and len(numbers) == len(values):
        return Doubt(reason=f"found {preview(numbers[0])}, but the question asks for {wanted.shown}")
    return None


def _facts(graph: TaskGraph) -> Iterator[Fact]:
    """The facts that the answer is made of. None if it is made of anything else too."""
    found: list[Fact] = []
    for entry in graph.entries.values():
        op = entry.node.op
        if not isinstance(op, Answer) or entry.state != "done" or op.declines:
            continue
        found.clear()  # the last answer counts
        for name in {ref.name for value in op.values for ref in refs(value)}:
            for node in graph.binders(name):
                if graph.state(node.id) != "done":
                    continue
                result = graph.result(node.id)
                items = cast("list[object]", result) if isinstance(result, list) else [result]
                if not all(isinstance(item, Fact) for item in items):
                    return
                found += [item for item in items if isinstance(item, Fact)]
    yield from found


def _fits(fact: Fact, wanted: Asked) -> bool:
    is_name = isinstance(fact.value, str)
    match wanted.kind:
        case "name" | "place":
            return is_name
        case "year":
            return is_name or not fact.unit
        case "number":
            quantity = _UNITS.get(fact.unit)
            known = bool(wanted.quantities) and quantity is not None
            return not is_name and (not known or quantity in wanted.quantities)
        case "unknown":
            return True


def _is_absurd(fact: Fact) -> bool:
    """Whether no thing of this world has such a value."""
    if isinstance(fact.value, str):
        return False
    quantity = _UNITS.get(fact.unit)
    if quantity == "people" and fact.value > 1e10:
        return True
    if fact.unit in ("m", "km") and fact.attribute in ("height", "elevation"):
        return abs(fact.value) * (1000 if fact.unit == "km" else 1) > 30_000  # Olympus Mons has 22 km
    return quantity in _POSITIVE and fact.value < 0


def _shown(fact: Fact) -> str:
    return f"{fact.short_form()} ({fact.attribute} of {fact.title})"
