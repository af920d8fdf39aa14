"""Input that is no question: no words at all, keys hit at random, or a pronoun that stands for nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from braid.planner.routing.wording import plain

_ROWS: Final = ("qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm", "1234567890")
_NEVER: Final = {
    "b": "qx", "c": "xv", "d": "qx", "f": "qvxz", "g": "jx", "h": "jqx", "j": "bdfghjlmqrtvwxyz", "k": "qxz", "m": "jx", "p": "qxz",
    "q": "bcdefghjkmnoprtvwxyz", "s": "xj", "v": "bcfghjmpqvwxz", "w": "cgjqvxz", "x": "gjkqrvwz", "y": "qx", "z": "gjpqrtvxb", "l": "xqj", "t": "xqj",
}  # fmt: skip
"""Pairs of letters that no word of the usual languages has."""
_ASKED: Final = frozenset(
    [
        "how",
        "what",
        "where",
        "who",
        "when",
        "which",
        "is",
        "was",
        "are",
        "were",
        "big",
        "tall",
        "high",
        "long",
        "deep",
        "far",
        "old",
        "heavy",
        "fast",
        "large",
        "wide",
        "much",
        "many",
        "hot",
        "cold",
        "expensive",
        "about",
        "and",
        "the",
        "of",
        "does",
        "do",
        "did",
        "can",
        "could",
        "weigh",
        "cost",
        "size",
        "height",
        "length",
        "weight",
        "age",
        "so",
        "then",
        "there",
        "located",
        "born",
        "a",
        "year",
        "in",
        "or",
        "its",
        "why",
        "made",
        "made",
        "from",
        "close",
        "near",
        "strong",
        "dangerous",
        "big",
        "bigger",
        "tell",
        "me",
        "more",
        "describe",
        "explain",
        "to",
    ]
)
_PRONOUNS: Final = frozenset(
    ["it", "that", "they", "them", "those", "these", "this", "he", "she", "him", "her", "his", "its"]
)


def wordless(text: str) -> bool:
    """Whether `text` has neither letters nor digits."""
    return not any(char.isalnum() for char in text)


def mashed(text: str, known_name: Callable[[str], bool] | None) -> bool:
    """Whether `text` is nothing but keys hit at random."""
    words = re.findall(r"[^\W_]+", text)
    if not words or len(words) > 12:
        return False
    oddness = [_oddness(word) for word in words]
    if not all(oddness) or 2 not in oddness:
        return False
    return known_name is None or not known_name(text)


_NO_SIDE = frozenset(
    [
        "how",
        "what",
        "which",
        "many",
        "does",
        "than",
        "it",
        "la",
        "le",
        "les",
        "el",
        "los",
        "il",
        "lo",
        "est",
        "es",
        "de",
        "du",
        "da",
        "der",
        "die",
        "das",
        "quel",
        "quelle",
        "cual",
        "que",
        "quale",
        "qual",
        "o",
    ]
)
"""Words that no side of a sum has. "Plus" and "minus" are words of other languages, too: "la plus haute"."""


def sum_of_words(text: str, known_name: Callable[[str], bool]) -> bool:
    """Whether `text` reckons with things that are no numbers and have none: `blue plus tuesday`."""
    found = re.fullmatch(
        r"(?:.*?\b(?:is|are|of|in) )?(?:the |a |an )?([^\d?]+?) (?:plus|minus|times|multiplied by|divided by) ([^\d?]+?)[?!. ]*",
        plain(text),
    )
    if found is None or not _NO_SIDE.isdisjoint(" ".join(found.groups()).split()):
        return False
    return all(len(side.split()) < 4 and not known_name(side) for side in found.groups())


def _oddness(word: str) -> int:
    """0 for what may be a word, 1 for what hardly is, 2 for what cannot be."""
    lower = plain(word)
    if not lower.isascii():
        return 0
    if lower.isdigit():
        return 1 if len(lower) > 3 else 0
    if not lower.isalpha() or len(lower) < 3:
        return 0
    if _repeated(lower):
        return 2
    if word.isupper() and len(word) < 6:
        return 0  # an abbreviation
    if len(lower) > 3 and not set(lower) & set("aeiouy"):
        return 2
    runs = _runs(lower)
    if sum(runs) >= 0.6 * len(lower) and max(runs, default=0) > 3:
        return 2
    never = sum(b in _NEVER.get(a, "") for a, b in pairwise(lower))
    consonants = max((len(run) for run in re.findall(r"[^aeiouy]+", lower)), default=0)
    if never > 1 or consonants > 6 or (never and consonants > 4):
        return 2
    return 1 if never or consonants > 4 or sum(runs) >= 0.75 * len(lower) else 0


def _repeated(word: str) -> bool:
    """One or two letters over and over."""
    return (len(word) > 4 and any(word == (word[:size] * len(word))[: len(word)] for size in (1, 2))) or (
        len(word) > 8 and word == (word[:3] * len(word))[: len(word)]
    )


def _runs(word: str) -> list[int]:
    """Lengths of the pieces of 3 or more letters that are neighbours on a keyboard, in one direction."""
    found: list[int] = []
    at = 0
    while at < len(word) - 2:
        longest = 0
        for row in _ROWS:
            for line in (row, row[::-1]):
                size = 0
                begin = line.find(word[at])
                while (
                    begin >= 0
                    and at + size < len(word)
                    and begin + size < len(line)
                    and line[begin + size] == word[at + size]
                ):
                    size += 1
                longest = max(longest, size)
        if longest > 2:
            found.append(longest)
        at += longest if longest > 2 else 1
    return found


def lone_word(text: str) -> str | None:
    """The word that `text` consists of. None where there are more, or none."""
    words = re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text)
    return words[0] if len(words) == 1 and any(char.isalpha() for char in text) else None


def unbound(text: str) -> str | None:
    """The pronoun of a question that names nothing else. None where it names something."""
    words = re.findall(r"[^\W_]+", plain(text))
    found = [word for word in words if word in _PRONOUNS]
    if not found or len(words) < 3 or not all(word in _ASKED or word in _PRONOUNS for word in words):
        return None
    return found[0] if {"how", "what", "where", "who", "when", "which", "why"} & {*words} else None
