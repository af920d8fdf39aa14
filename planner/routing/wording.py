"""The wording of a question, made regular: signs, polite words, slips of the keyboard, other languages."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from braid.planner.routing.numbers import foreign_numbers

_SIGNS: Final = str.maketrans(
    {
        **{"×": "*", "·": "*", "∙": "*", "÷": "/", "−": "-", "–": "-", "—": "-", "∕": "/", "⁄": "/"},
        **{"’": "'", "‘": "'", "´": "'", "“": '"', "”": '"', "′": "'", "″": '"', "º": "°"},
        **{"²": "^2 ", "³": "^3 ", "⁴": "^4 ", "ß": "ss", "ø": "o", "æ": "ae", "œ": "oe"},
        **{"¼": " 1/4", "½": " 1/2", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3", "⅛": " 1/8", "⅜": " 3/8"},
        **{"⅝": " 5/8", "⅞": " 7/8", "⅕": " 1/5", "¿": " ", "¡": " ", "\u00a0": " ", "\u202f": " "},
    }
)
_GROUPS: Final = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_DECIMAL_COMMA: Final = re.compile(r"(?<=\d),(?=\d{1,2}(?!\d)|\d{4,}(?!\d))")
_LISTED: Final = re.compile(
    r"\d,\d+,\d|\b(average|avg|mean|median|max|min|sum|product|gcd|lcm|of|between|add)\b"
)
"""Where a comma without a space stands between the items of a list."""
_TOKEN: Final = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+(?![a-z]))?|\.\d+|[^\W\d_]+(?:'[^\W\d_]+)*|\*\*|\S")
_FOREIGN_TOKEN: Final = re.compile(r"\d[\d.,]*\d|\d|[^\W\d_]+|\*\*|\S")
_SUFFIX: Final = re.compile(r"[\s?!.;]+$")
_HYPHEN: Final = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_])")

LANGUAGES: Final = ("de", "fr", "es", "it", "pt")


@cache
def table(name: str) -> Mapping[str, Any]:
    """A table of wordings beside this module."""
    with (Path(__file__).parent / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


def plain(text: str) -> str:
    """`text` in lower case, without accents, and with one form of each sign."""
    text = unicodedata.normalize("NFKD", text.translate(_SIGNS)).casefold()
    return " ".join("".join(char for char in text if not unicodedata.combining(char)).split())


def tokens(text: str) -> list[str]:
    """Words, numbers and signs of a plain text. Commas between thousands are gone."""
    text = _GROUPS.sub(lambda match: match[0].replace(",", ""), _SUFFIX.sub("", plain(text)))
    if not _LISTED.search(text):
        text = _DECIMAL_COMMA.sub(".", text)
    found = _TOKEN.findall(_HYPHEN.sub(" ", text))
    return ["0" + token if token.startswith(".") and len(token) > 1 else token for token in found]


def unwrapped(words: list[str]) -> list[str]:
    """`words` without what only makes a question of them: `could you tell me what ... is please`."""
    front, back = _phrases("front"), _phrases("back")
    changed = True
    while changed and words:
        changed = False
        for size in range(min(7, len(words)), 0, -1):
            if tuple(words[:size]) in front:
                words, changed = words[size:], True
                break
        for size in range(min(5, len(words)), 0, -1):
            if tuple(words[-size:]) in back:
                words, changed = words[:-size], True
                break
    return words


@cache
def _phrases(side: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(tokens(phrase)) for phrase in table("wordings")["wrapping"][side])


def respelt(words: list[str], known: frozenset[str]) -> list[str]:
    """`words`, with a word that is not known replaced by the one known word that is one slip away."""
    return [word if word in known else _nearest(word, known) or word for word in words]


@lru_cache(maxsize=4096)
def _nearest(word: str, known: frozenset[str]) -> str | None:
    if len(word) < 4 or not word.isalpha():
        return None
    near = [other for other in known if len(other) > 3 and other[0] == word[0] and one_slip(word, other)]
    return near[0] if len(near) == 1 else None


def one_slip(word: str, other: str) -> bool:
    """Whether one letter is missing, too much, wrong, or two neighbours have changed places."""
    if word == other or abs(len(word) - len(other)) > 1:
        return word == other
    at = next(
        (i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other))
    )
    a, b = word[at:], other[at:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


@lru_cache(maxsize=64)
def translations(text: str) -> tuple[tuple[str, list[str]], ...]:
    """The tokens of `text` in English for each language in which some of it can be read.

    Only what the tables know is translated: numbers, operations, the frames of questions.
    """
    return tuple(_translated(text))


def _translated(text: str) -> Iterator[tuple[str, list[str]]]:
    for language in LANGUAGES:
        numbers = foreign_numbers(language)
        phrases: Mapping[tuple[str, ...], list[str]] = _dictionary(language)
        found = _FOREIGN_TOKEN.findall(_foreign_plain(text, language))
        local = [_local(word) for word in found]
        words = [word for word in local if word is not None]
        if len(words) < len(local):
            continue
        out: list[str] = []
        changed, at = False, 0
        while at < len(words):
            for size in range(min(6, len(words) - at), 0, -1):
                piece = tuple(words[at : at + size])
                if piece in phrases:
                    out += phrases[piece]
                elif size < 5 and " ".join(piece) in numbers:
                    out.append(str(numbers[" ".join(piece)]))
                else:
                    continue
                changed, at = True, at + size
                break
            else:
                out.append(words[at])
                at += 1
        if changed:
            yield language, out


def _foreign_plain(text: str, language: str) -> str:
    text = _SUFFIX.sub("", plain(text)).replace("'", " ").replace("-", " - " if language != "fr" else "-")
    return re.sub(r"(?<=[^\W\d_])-(?=[^\W\d_])", " ", text)


def _local(word: str) -> str | None:
    """A number with a decimal comma as one with a point. None where it may be read in two ways."""
    if not word[0].isdigit():
        return word
    if re.fullmatch(r"\d{1,3}(\.\d{3})+(,\d+)?", word):
        return word.replace(".", "").replace(",", ".")
    if re.fullmatch(r"\d{1,3},\d{3}", word):
        return None
    return word.replace(",", ".") if re.fullmatch(r"\d+([.,]\d+)?", word) else None


@cache
def _dictionary(language: str) -> Mapping[tuple[str, ...], list[str]]:
    return {
        tuple(re.findall(r"[^\W\d_]+|\S", _foreign_plain(phrase, language))): english.split()
        for english, phrases in table("wordings")[language].items()
        for phrase in phrases
    }
