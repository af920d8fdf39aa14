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
from braid.executors.builtin.atlas import PHRASES, Entity, Fact, fold, load_atlas
from braid.executors.nodes import Answer, Map, ToolCall, refs
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

_PLACES: Final = "mountain|river|lake|sea|ocean|desert|island|volcano|country|city|planet|animal|building"

_REGIONS: Final = "countries|country|cities|city|continents?|oceans?|seas?|rivers?|states?|islands?"

_PEOPLE: Final = "people|inhabitants|residents|citizens"

_WORDS: Final[tuple[tuple[str, Kind, tuple[Quantity, ...], str], ...]] = (
    (rf"(?:what|which)(?:'s| is| are)?(?: the)? (?:{_NAMED})\b", "name", (), "a name"),
    (
        r"(?:what|which)(?:'s| is| are)(?: the)?(?: [a-z]+)? (?:[a-z]+est|most [a-z]+)(?: [a-z]+)?? "
        rf"(?:{_PLACES})\b",
        "name",
        (),
        "a name",
    ),
    (rf"(?:through|in|on|into|over|from|to|at|by) (?:what|which) (?:{_REGIONS})\b", "name", (), "a name"),
    (r"who\b", "name", (), "a name"),
    (r"where\b", "place", (), "a place"),
    (r"when\b(?! you)|(?:in )?(?:what|which) year\b", "year", (), "a year"),
    (rf"how many (?:{_PEOPLE}) (?:live|are there|does|do)\b", "number", ("people",), "a number of people"),
    (r"how (?:tall|deep|wide|far)\b", "number", ("length",), "a length"),
    (r"how long (?:does|do|did|will|would) it take\b", "number", ("duration",), "a time"),
    (r"how long (?:is|are|was)\b", "number", ("length", "duration"), "a length"),
    (r"how (?:heavy\b|much (?:does|do) .* weigh\b)", "number", ("mass",), "a weight"),
    (r"how fast\b", "number", ("speed",), "a speed"),
    (r"how (?:hot|cold)\b", "number", ("temperature",), "a temperature"),
    (r"how many\b", "number", (), "a number"),
)
"""How a question may begin, the kind of its answer, its quantities (any, if none is given), and its name."""

_ATTRIBUTE: Final = re.compile(rf"what(?:'s| is) the ({'|'.join(_NOUNS)}) of\b")


_YES_OR_NO: Final = re.compile(
    r"(?:will|does|do|did|is|are|was|were|has|have|should) (?!you\b)", re.IGNORECASE
)

_CLAUSE: Final = re.compile(r"[.!?;:,] (?:(?:and|so|but|then|now|ok) )*|\b(?:tell me|know|and|so|but|then) ")
"""Where a question can begin: behind what is said first, or behind a word that leads to it."""


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
    """What `question` asks for. Its first clause that asks decides, so of two questions in one, the first."""
    text = " ".join(question.casefold().replace("’", "'").split())
    for clause in (text[start:] for start in (0, *(found.end() for found in _CLAUSE.finditer(text)))):
        if found := _ATTRIBUTE.match(clause):
            quantity = _NOUNS[found[1]]
            return Asked(kind="number", quantities=(quantity,), shown=f"a {found[1]}")
        for pattern, kind, quantities, shown in _WORDS:
            if re.match(pattern, clause):
                return Asked(kind=kind, quantities=quantities, shown=shown)
    return Asked()


def doubt_of(
    question: str, values: Sequence[object], graph: TaskGraph, *, small: bool = False
) -> Doubt | None:
    """Why `values`, the answer of `graph`, do not answer `question`. None where that cannot be told.

    One part of the answer that fits is enough. What was computed, ranked or thought has no type to compare.

    Args:
        question: The question.
        values: The values of the answer.
        graph: The graph of the run.
        small: Whether the embedded model wrote the plan, with the built-in atlas to look things up in.
    """
    if small and (doubt := _doubt_of_small(question, graph)) is not None:
        return doubt
    wanted = asked(question)
    facts = list(_facts(graph))
    said = any(isinstance(value, str) and value[:1].isalpha() for value in values)
    numeric = facts and not said and not any(isinstance(fact.value, str) for fact in facts)
    if numeric and _YES_OR_NO.match(question):
        return Doubt(reason=f"found {_shown(facts[0])}, but the question asks for yes or no")
    for fact in facts:
        if _is_absurd(fact):
            return Doubt(reason=f"found {_shown(fact)}, which cannot be")
    named = wanted.kind == "name" and any(_tells(value, facts) for value in values)
    if facts and not named and not any(_fits(fact, wanted) for fact in facts):
        return Doubt(reason=f"found {_shown(facts[0])}, but the question asks for {wanted.shown}")
    if facts and (other := _other_attribute(question, facts)):
        return Doubt(reason=f"found {_shown(facts[0])}, but the question asks for the {other}")
    if facts and _is_name(question) and not any(_tells(value, facts) for value in values):
        return Doubt(reason=f"found {_shown(facts[0])}, but the question is a name and asks for nothing")
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if wanted.kind == "name" and values and len(numbers) == len(values):
        return Doubt(reason=f"found {preview(numbers[0])}, but the question asks for {wanted.shown}")
    return None


def _doubt_of_small(question: str, graph: TaskGraph) -> Doubt | None:
    """Why an answer of the embedded model is none, which writes a plan for every question.

    Its answer must rest on a look-up. Of the things that the question names, it must be about one.
    """
    looked_up = False
    timely = _OF_TIME.search(question) is not None
    facts: list[Fact] = []
    for entry in graph.entries.values():
        if entry.state != "done" or entry.node.round < 0 or isinstance(entry.node.op, Answer):
            continue
        op = entry.node.op
        idle = _REWORDING if timely else _REWORDING | {"now"}
        looked_up = looked_up or isinstance(op, Map) or (isinstance(op, ToolCall) and op.tool not in idle)
        value: object = entry.value
        values = cast("list[object]", value) if isinstance(value, list) else [value]
        facts += [each for each in values if isinstance(each, Fact)]
    if not looked_up:
        return Doubt(reason="nothing was looked up for it, and its sums were not understood word by word")
    calculated = any(
        isinstance(entry.node.op, ToolCall) and entry.node.op.tool == "calculate"
        for entry in graph.entries.values()
    )
    if calculated and len(facts) > 1 and len({(fact.title, fact.attribute) for fact in facts}) == 1:
        return Doubt(reason=f"found only {_shown(facts[0])}, which cannot be compared with itself")
    named = _named(question)
    if facts and named and not any(_is_about(fact, named) for fact in facts):
        return Doubt(reason=f"found {_shown(facts[0])}, but the question is about {' and '.join(named)}")
    return None


_REWORDING: Final = frozenset({"calculate", "rank"})
"""Tools that only make something of what is given to them."""


_OF_TIME: Final = re.compile(
    r"\b(?:times?|dates?|days?|today\w*|tomorrow|yesterday|now|years?|months?|weeks?|hours?|minutes?|ago|old|age"
    r"|since|until|till|clock|current\w*|young\w*|late|early|next|last|when)\b",
    re.IGNORECASE,
)


def _named(question: str) -> dict[str, Entity]:
    """The entries of the atlas that a question names in capitals, by their titles."""
    atlas, found = load_atlas(), dict[str, Entity]()
    words = re.findall(r"[^\s?!.,;:]+", question)
    at = 1  # the first word has a capital in any case
    while at < len(words):
        for size in range(min(4, len(words) - at), 0, -1):
            name = " ".join(words[at : at + size]).removesuffix("'s")
            if name[:1].isupper() and (entity := atlas.get(name)) is not None:
                found[entity.title] = entity
                at += size - 1
                break
        at += 1
    return found


def _is_about(fact: Fact, named: dict[str, Entity]) -> bool:
    """Whether a fact is of one of the named things, or of something that lies in one or is its part."""
    if fact.title in named or fact.value in named or fact.entries:
        return True
    entity = load_atlas().get(fact.title)
    held = {str(value) for value, _ in entity.facts.values()} if entity is not None else set[str]()
    if any(title in value for title in named for value in held):
        return True
    return any(fact.title in {str(value) for value, _ in each.facts.values()} for each in named.values())


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


_ATTRIBUTES: Final = frozenset(name for phrase in PHRASES.values() for name in phrase.attributes)
_NOUNS_OF_FACTS: Final = {
    words: phrase.attributes for words, phrase in PHRASES.items() if phrase.strength == 3
}
_OFTEN_ELSE: Final = frozenset({("surface",), ("course",), ("moon",), ("people",), ("food",), ("money",)})
"""Nouns that are often said of something else. They raise no doubt."""

_LONGEST: Final = max(map(len, _NOUNS_OF_FACTS))
_LONGEST_NAME: Final = 6


def _other_attribute(question: str, facts: Sequence[Fact]) -> str:
    """The attribute that the question names where all facts are about others. Empty if there is none."""
    tokens = fold(question)
    titles = {word for fact in facts for word in fold(fact.title)}
    found = {fact.attribute for fact in facts}
    if not found <= _ATTRIBUTES or any(fact.entries for fact in facts) or titles.isdisjoint(tokens):
        return ""
    named: list[tuple[str, ...]] = []
    certain: list[str] = []
    at = 0
    while at < len(tokens):
        sizes = range(min(_LONGEST, len(tokens) - at), 0, -1)
        size = next((size for size in sizes if tokens[at : at + size] in _NOUNS_OF_FACTS), 0)
        if size and titles.isdisjoint(tokens[at : at + size]):
            named.append(_NOUNS_OF_FACTS[tokens[at : at + size]])
            certain += named[-1][:1] if tokens[at : at + size] not in _OFTEN_ELSE else ()
        at += size or 1
    if not certain or any(found.intersection(attributes) for attributes in named):
        return ""
    return certain[0]


def asks_for(question: str, query: str) -> bool:
    """Whether `query`, the look-up of a small model, is for something that `question` has words for.

    Such a model invents attributes: "lifespan of Oslo" for the price of petrol.
    """
    attribute = fold(query.rpartition(" of ")[0])
    tokens = fold(question)
    if not attribute or {*attribute}.issubset(tokens):
        return True
    starts = range(len(tokens))
    spans = {tokens[start : start + size] for start in starts for size in range(1, _LONGEST + 1)}
    phrases = [phrase for words, phrase in PHRASES.items() if words in spans]
    return any(attribute == fold(name) for phrase in phrases for name in phrase.attributes)


def _is_name(question: str) -> bool:
    return len(question.split()) <= _LONGEST_NAME and load_atlas().get(question) is not None


def _tells(value: object, facts: Sequence[Fact]) -> bool:
    """Whether a value says more than a figure."""
    return isinstance(value, str) and any(fact.title in value for fact in facts)


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
