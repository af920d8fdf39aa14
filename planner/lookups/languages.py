"""Questions in other languages: the simple ones in English, and a refusal for the rest.

The small model reads English only. A question that it does not understand gets a plan all the same, and a
wrong answer. `languages.toml` knows the most common words of six languages. A question is translated only if
what they leave over is a name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Final

from braid.executors.builtin.atlas import load_atlas
from braid.planner.routing import one_slip, plain

LONGEST: Final = 7
"""Most words of a phrase or a name."""
MIN_MISSPELT: Final = 6
"""Least letters of a name that may differ in one from how it is written in English."""

_TABLE: Final[Mapping[str, Any]] = tomllib.loads(
    files("braid.planner.lookups").joinpath("languages.toml").read_text(encoding="utf-8")
)
_LANGUAGES: Final = {
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
}
_WORD: Final = re.compile(r"[^\W_]+|,")


def languages_of(question: str) -> list[str]:
    """The languages that a question may be written in, the likeliest first. Empty for English."""
    words = _words(question)
    scores = {name: sum(word in marks.split() for word in words) for name, marks in _TABLE["marks"].items()}
    likely = [name for name in _LANGUAGES if scores[name] > scores["en"]]
    # A question word is enough where it stands first. Shorter words are also parts of names: El Salvador.
    first = words[0] if words and len(words[0]) > 3 else ""
    sure = [name for name in likely if scores[name] > 1 or first in _TABLE["marks"][name].split()]
    return sorted(sure, key=lambda name: -scores[name])


def translated(question: str) -> Iterator[str]:
    """`question` in English, for each language in which every word of it can be read."""
    for language in languages_of(question):
        text = _english(_words(question), language)
        if text is not None:
            yield text


def unread(question: str) -> str:
    """The plan that declines a question in another language. Empty for what may be English."""
    if not (found := languages_of(question)):
        return ""
    said = f"I cannot read this question. It seems to be {_LANGUAGES[found[0]]}. Please ask it in English."
    return f'decline("{said}")\n'


def _words(text: str) -> list[str]:
    return _WORD.findall(plain(text))


@cache
def _phrases(language: str) -> Mapping[tuple[str, ...], str]:
    return {
        tuple(phrase.split()): english
        for table in (_TABLE[language], _TABLE["names"])
        for english, phrases in table.items()
        for phrase in phrases
    }


def _english(words: list[str], language: str) -> str | None:
    """The words in English. None where one is neither in the table nor part of a name."""
    phrases = _phrases(language)
    out: list[str] = []
    at = 0
    while at < len(words):
        for size in range(min(LONGEST, len(words) - at), 0, -1):
            piece = tuple(words[at : at + size])
            english = phrases.get(piece)
            if english is None and (size > 1 or piece == (",",)):
                english = "," if piece == (",",) else _title(" ".join(piece))
            if english is None and size == 1:
                english = _title(piece[0]) or _nearly(piece[0])
            if english is not None:
                out.append(english)
                at += size
                break
        else:
            return None
    return " ".join(word for word in out if word)


def _title(name: str) -> str | None:
    entity = load_atlas().get(name) if "," not in name else None
    return entity.title if entity is not None else None


@lru_cache(maxsize=1024)
def _nearly(word: str) -> str | None:
    """The one country or capital that is written nearly so."""
    if len(word) < MIN_MISSPELT:
        return None
    places = load_atlas().of_kind(frozenset({"country", "continent", "territory", "mountain", "river"}))
    near = {entity.title for entity in places if one_slip(word, plain(entity.title))}
    return near.pop() if len(near) == 1 else None
