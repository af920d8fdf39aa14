"""The forms of questions: `wordings.toml` as regular expressions over questions with signs for names."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from braid.executors.builtin.atlas import COMMON, FILLER, PHRASES, fold
from braid.planner.follow_up import COMPARATIVES, KINDS, UNITS, Comparative, filled, groups_of

WORDINGS: Final[dict[str, Any]] = tomllib.loads(
    files("braid.planner.lookups").joinpath("wordings.toml").read_text(encoding="utf-8")
)
_OWN: Final[dict[str, Comparative]] = {
    word: Comparative(tuple(row["attributes"]), row.get("order", "descending"))
    for row in WORDINGS["comparatives"]
    for word in row["words"]
}
COMPARING: Final = COMPARATIVES | _OWN
"""What each comparative and superlative compares."""

_MEASURED: Final = frozenset({"difference", "sum", "mean"})
"""Kinds of questions of which the result is a measure."""

_SCALES: Final = {"thousand": 10**3, "k": 10**3, "million": 10**6, "m": 10**6, "billion": 10**9, "bn": 10**9}
_NUMBER: Final = re.compile(r"(\d[\d,]*(?:\.\d+)?) ?(thousand|million|billion|bn|k)?")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One way in which a form takes a question."""

    kind: str
    groups: dict[str, str]


def _plurals(phrase: str) -> str:
    """A folded phrase in the singular and in the plural, as a pattern."""
    last = phrase[:-1] + "(?:y|ies)" if phrase.endswith("y") else phrase + "(?:e?s)?"
    return last


def _one_of(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(sorted(words, key=len, reverse=True))})"


def _nouns() -> list[str]:
    """The phrases that name an attribute: "population", and no "how long is a day"."""
    found = ["size", *(" ".join(words) for words, phrase in PHRASES.items() if phrase.strength == 3)]
    return [
        noun
        for noun in found
        if not re.match(r"(?:how|from|people \w)\b|\w+ called", noun)
        and not re.search(r" (?:on|into)$", noun)
    ]


_ADJECTIVES: Final = [
    " ".join(words)
    for words, phrase in PHRASES.items()
    if phrase.strength == 1 and len(words) == 1 and (*words,) not in {("where",), ("weigh",), ("size",)}
]
_PARTS: Final[dict[str, str]] = {
    "attr": _one_of(_plurals(noun) for noun in _nouns()),
    "comp": _one_of(map(re.escape, COMPARING)),
    "adj": _one_of(_ADJECTIVES),
    "unit": _one_of(map(re.escape, UNITS)),
    "kind": _one_of(_plurals(kind) for kind in (*KINDS, "thing", "structure", "person")),
    "number": r"\d[\d,]*(?:\.\d+)?(?: ?(?:thousand|million|billion|bn|k)\b)?",
    "verb": _one_of(WORDINGS["verbs"]),
    **WORDINGS["parts"],
}


_ANY_WORDS: Final = r"[^\s#]+(?: [^\s#]+){0,4}?"
_ROUGH_PARTS: Final = _PARTS | dict.fromkeys(("attr", "comp", "adj", "unit", "kind", "verb"), _ANY_WORDS)
"""The same with any words in place of the long lists. Such patterns are compiled in a tenth of the time."""


@cache
def _forms() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    """Kind and text of each form, and a pattern that takes all that the form takes, and more."""
    unit = WORDINGS["edges"]["unit"]
    texts = [
        (kind, form + (unit if kind in _MEASURED else ""))
        for kind, forms in WORDINGS["forms"].items()
        for form in forms
    ]
    return tuple((kind, form, filled(form, _ROUGH_PARTS)) for kind, form in texts)


@cache
def _exact(form: str) -> re.Pattern[str]:
    return filled(form, _PARTS)


@cache
def _edge(side: str) -> re.Pattern[str]:
    return re.compile(WORDINGS["edges"][side])


@cache
def known_words() -> frozenset[str]:
    """Every word that stands in a form, and that is no misspelling therefore."""
    patterns = [
        *WORDINGS["edges"].values(),
        *WORDINGS["parts"].values(),
        *WORDINGS["verbs"],
        *(form for forms in WORDINGS["forms"].values() for form in forms),
    ]
    text = re.sub(r"\(\?P<\w+>|@\w+|\\[wdb]", " ", " ".join(patterns)).replace("'?", "'")
    text = re.sub(r"(\w)\?", r"\1 ", re.sub(r"(\w+)(\w)\?", r"\1\2 \1 ", text))
    words = {*re.findall(r"[a-z]+(?:'[a-z]+)*", text)}
    words |= {word for noun in (*_nouns(), *_ADJECTIVES, *COMPARING, *UNITS) for word in noun.split()}
    words |= {*KINDS}
    words |= {f"{word}s" for word in words} | {w[:-1] + "ies" for w in words if w.endswith("y")}
    return frozenset(words | COMMON | FILLER | {*_SCALES})


def readings(text: str) -> Iterable[Reading]:
    """The ways in which forms take the whole of `text`."""
    while (found := re.match(rf"(?:{_edge('front').pattern}) ", text)) is not None:
        text = text[found.end() :]
    while (found := re.search(rf" (?:{_edge('back').pattern})$", text)) is not None:
        text = text[: found.start()]
    text = re.sub(r"\bnumber of (?!#)", "", text)
    for kind, form, rough in _forms():
        if rough.fullmatch(text) is not None and (match := _exact(form).fullmatch(text)) is not None:
            yield Reading(kind=kind, groups=groups_of(match))


def amount(text: str) -> int | float:
    """A number as it is written in a question: "2.5 million"."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no number; expected one such as '6000' or '2.5 million'")
    number = found[1].replace(",", "")
    value = (float(number) if "." in number else int(number)) * _SCALES.get(found[2] or "", 1)
    return int(value) if value == int(value) else value


def attributes_named(phrase: str) -> tuple[str, ...]:
    """The attributes that a phrase of a form asks for, best first."""
    words = fold(phrase)
    if words not in PHRASES:
        words = (*words[:-1], re.sub(r"ie$", "y", words[-1]))
    return PHRASES[words].attributes if words in PHRASES else ()


def attributes_of(groups: dict[str, str]) -> tuple[tuple[str, ...], Comparative | None] | None:
    """The attributes that a reading may be about, best first, and its comparative.

    None where they disagree, or where there are none.
    """
    comparative = COMPARING[groups["comp"]] if "comp" in groups else None
    named: tuple[str, ...] | None = None
    if "attr" in groups:
        named = attributes_named(groups["attr"])
    elif "adj" in groups:
        named = attributes_named(groups["adj"])
    if "verb" in groups:
        verb = next(attrs for form, attrs in WORDINGS["verbs"].items() if re.fullmatch(form, groups["verb"]))
        named = tuple(verb)
    if comparative is None:
        return (named, None) if named else None
    if named is None:
        return comparative.attributes, comparative
    fits = comparative.any_number or not {*comparative.attributes}.isdisjoint(named)
    return (named, comparative) if fits else None
