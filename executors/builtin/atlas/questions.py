"""Whole questions in plain words, answered from the atlas without a plan.

`answer_query("who first climbed K2?")` gives the facts that answer a question, if every word of it is
explained and one look-up or one query is all that it takes. Otherwise it gives nothing, and a planner is
asked. A wrong reading costs more than a plan: comparisons, conditions, other units and yes-or-no questions
are left.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from braid.executors.builtin.atlas.entities import Fact
from braid.executors.builtin.atlas.lookup import MAX_QUERY, Atlas, AtlasError, load_atlas
from braid.executors.builtin.atlas.queries import SUPERLATIVES, ask
from braid.executors.builtin.atlas.vocabulary import GENERIC, KIND_WORDS, NAMED_AFTER, Tokens, fold

_POLITE: Final = re.compile(
    r"^(?:(?:hi|hey|hello|ok|okay|so|well|and|um|please|pls|quick question|"
    r"(?:can|could|would|will) (?:you|u) (?:please )?(?:tell|give|show) me|(?:please )?(?:tell|give|show) me|"
    r"do you (?:happen to )?know|(?:can|could) you say|i (?:want|would like|'d like) to know|"
    r"i wonder|look up|find out|search for|what about)\b[\s,:!.]*)+",
    re.IGNORECASE,
)
_TRAILING: Final = re.compile(
    r"[\s,]*\b(?:please|pls|plz|thanks|thank you|thx|exactly|again)\b[\s?!.]*$", re.IGNORECASE
)
_YES_OR_NO: Final = frozenset(
    fold(
        "is are was were am does do did has have had can could would will should isn't aren't wasn't don't "
        "doesn't"
    )
)
_CONDITIONS: Final = frozenset(
    fold("if or per not versus vs than whether both between either without except plus minus times half")
)
"""Words that are left out of look-ups as fillers, and that change what a question means."""

_AND_WHEN: Final = re.compile(
    r"[\s,]*\band (?:when|(?:in )?(?:what|which) year)\b(?: was (?:it|that))?[\s?.!]*$", re.IGNORECASE
)
_DEGREES: Final = frozenset(fold("many big large tall high deep long fast heavy old hot cold wide far dense"))
_AND_ASKED: Final = re.compile(r"\band (?:how|what|who|where|when|which|its)\b", re.IGNORECASE)
"""A second question."""
_VERBS: Final = frozenset(fold("do does did can could will would should must"))
_UNITS: Final[dict[str, frozenset[str]]] = {
    unit: frozenset(fold(words))
    for unit, words in {
        "m": "metre meter m",
        "km": "kilometre kilometer km",
        "million km": "kilometre kilometer km",
        "km2": "square km2 kilometre kilometer km sq",
        "km/h": "kilometre kilometer km hour kmh kph",
        "kg": "kilogram kilogramme kg",
        "°C": "celsius degree",
        "years": "year",
        "days": "day earth",
        "hours": "hour",
    }.items()
}
_ALL_UNITS: Final = frozenset[str]().union(
    *_UNITS.values(),
    fold("feet foot ft mile mph inch yard pound lb ounce ton tonne gram fahrenheit kelvin acre hectare knot"),
) - {*fold("degree year hour day earth")}


def answer_query(question: str, *, atlas: Callable[[], Atlas] = load_atlas) -> tuple[Fact, ...]:
    """The facts that answer a whole question, or none if it is not understood word by word.

    Several facts come back where the question asks for several ("who first climbed K2, and when"). A list
    ("the five largest countries") is one fact with `entries`. A question for the highest, the largest and so
    on is answered by the name of the winner.

    Args:
        question: What a person typed.
        atlas: Gives the atlas that is asked.
    """
    text = _TRAILING.sub("", _POLITE.sub("", question.strip()))
    tokens = fold(text)
    if len(tokens) < 2 or len(text) > MAX_QUERY:
        return ()
    if tokens[0] in _YES_OR_NO or not _CONDITIONS.isdisjoint(tokens):
        return ()
    try:
        if found := ask(atlas(), text, name=True):
            return (found,) if _in_its_unit(found, tokens) else ()
        facts = _looked_up(atlas(), text)
    except AtlasError:
        return ()
    if (len(facts) > 1 and "and" not in tokens) or not SUPERLATIVES.isdisjoint(tokens):
        return ()
    if any(_is_named_after(atlas(), fact, tokens) or _is_around(atlas(), fact, tokens) for fact in facts):
        return ()
    return facts if all(_in_its_unit(fact, tokens) and _measures(fact, tokens) for fact in facts) else ()


def _looked_up(atlas: Atlas, text: str) -> tuple[Fact, ...]:
    """The facts of one entry.

    Raises:
        AtlasError: A word is not explained, or a fact is not there.
    """
    if ending := _AND_WHEN.search(text):
        first = text[: ending.start()]
        when = re.sub(r"^\s*(?:by whom|who|where|how)\b", "when", first, flags=re.IGNORECASE)
        return (*atlas.answers(first), *atlas.answers(when)) if when != first else ()
    return () if _AND_ASKED.search(text) else atlas.answers(text)


_AROUND: Final = frozenset(fold("continent country nation state ocean planet city capital"))
"""What a thing lies in. "The area of Peru's continent" does not ask about Peru."""


def _is_around(atlas: Atlas, fact: Fact, tokens: Tokens) -> bool:
    """Whether the question names something around the thing that was found, and not the thing."""
    entity = atlas.get(fact.title)
    if entity is None or fact.attribute in ("location", "country", "state", "city"):
        return False
    words = {*fold(fact.attribute), *KIND_WORDS.get(entity.kind, ()), *fold(entity.title)}
    words |= {word for alias in entity.aliases for word in fold(alias)}
    return not {*tokens} & _AROUND <= words


def _in_its_unit(fact: Fact, tokens: Tokens) -> bool:
    """Whether the question names no unit, or the unit of the fact."""
    return {*tokens}.intersection(_ALL_UNITS) <= _UNITS.get(fact.unit, frozenset())


def _measures(fact: Fact, tokens: Tokens) -> bool:
    """Whether a fact is what "how old" and "how long does it" ask for: a time, and no year and no length.

    "How many" asks for a number.
    """
    asked_number = any(pair[0] == "how" and pair[1] in _DEGREES for pair in pairwise(tokens))
    if asked_number and isinstance(fact.value, str):
        return False
    if "far" in tokens and not fact.attribute.startswith(("distance", "depth")):
        return False
    if "old" in tokens:
        return fact.attribute == "lifespan"
    asked_time = any(pair[0] == "long" and pair[1] in _VERBS for pair in pairwise(tokens))
    return not (asked_time and fact.attribute == "length")


def _is_named_after(atlas: Atlas, fact: Fact, tokens: Tokens) -> bool:
    """Whether a building or the like was taken for the one word of its name: the sky for Sky Tower."""
    entity = atlas.get(fact.title)
    if entity is None or entity.kind not in NAMED_AFTER:
        return False
    names = [fold(name) for name in (entity.title, *entity.aliases)]
    if any({*name} <= {*tokens} for name in names):
        return False
    return all(len({*name} - GENERIC) < 2 for name in names)
