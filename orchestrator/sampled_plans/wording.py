"""What the words of a question tell about its answer: direction, kind, names and numbers. English only.

Where the words do not tell, nothing is said. Each reading is one pattern, so that a check can be read beside
the words that it rests on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from braid.executors.builtin.atlas import fold

_GAP: Final = re.compile(
    r"\b(?:how (?:much|many)(?: [a-z]+){0,3} (?:more|less|fewer|[a-z]{2,}er)(?! by\b)\b"
    r"|by (?:how much|what (?:margin|amount))\b"
    r"|(?:what|how (?:big|large|wide|great)) (?:is |was |'s )?(?:the )?(?:difference|gap|margin|lead)\b"
    r"|how many (?:years|days|months|weeks|hours) (?:[a-z]+ ){0,4}"
    r"(?:after|before|later|earlier|older|younger)\b)"
)
_GROWTH: Final = re.compile(r"\b(?:change|growth|balance|net|differ from zero|below sea)\b")
_SHARE: Final = re.compile(
    r"\bwhat (?:share|fraction|proportion|part|portion) of\b|\b(?:what|which) percent(?:age)? of\b"
    r"|\bhow many percent of\b|\bwhat per cent of\b"
)
_RATIO: Final = re.compile(
    r"\bhow many times (?:as |more |larger|bigger|taller|longer|heavier|deeper|faster|higher)"
)
_NUMERIC: Final = re.compile(
    r"\b(?:how (?:much|many|tall|long|deep|wide|far|heavy|fast|high|hot|cold|old|big|large)\b"
    r"|what (?:is|was|'s) the (?:[a-z]+ )?"
    r"(?:difference|gap|total|sum|mean|average|median|ratio|combined|spread)\b)"
)
_WHICH: Final = re.compile(
    r"^(?:who|whose"
    r"|which(?! (?:year|date|day|month|decade|century|number|percent|share|amount|figure|value)))\b"
)
_YES_OR_NO: Final = re.compile(
    r"^(?:is|are|was|does|do|did|has|have|can|could|will|would)\b(?! (?:you|tell|say|give|let)\b)"
)
_CHOICE: Final = re.compile(r"\bor\b")
_ALL: Final = re.compile(
    r"\b(?:average|mean|median|total|sum|combined|altogether|together|in all|overall|spread|range)\b"
)
_OPENING: Final = re.compile(r"(?:^|[.?!:;]\s+)[\"'(]*")
_WORD: Final = re.compile(r"[^\W_](?:[\w'’.&-]*[^\W_])?")
_LINKS: Final = frozenset(
    {"of", "the", "de", "da", "do", "la", "le", "el", "von", "van", "der", "di", "du", "and"}
)
_INSIDE: Final = _LINKS - {"and"}
_NUMBER: Final = re.compile(r"(?<![\w.,])\d+(?:,\d{3})*(?:\.\d+)?(?![\w]|\.\d)")
_SHOUTING: Final = 0.6
"""Share of words in capitals from which on capitals say nothing about names."""


@dataclass(frozen=True, kw_only=True)
class Wording:
    """What a question says about its answer."""

    gap: bool = False
    """It asks how far two things are apart, so the answer has no sign."""
    share: bool = False
    """It asks for a part of a whole."""
    ratio: bool = False
    """It asks how many times one thing is the other."""
    numeric: bool = False
    """It asks for a number, first of all."""
    naming: bool = False
    """It asks which or who, and so for a name first of all."""
    yes_or_no: bool = False
    """It can be answered by yes or no, and offers no choice."""
    over_all: bool = False
    """It asks for something over all that it lists, such as a mean."""
    words: frozenset[str] = frozenset()
    """All its words, folded."""
    names: tuple[tuple[str, ...], ...] = ()
    """The names in it, each as folded words."""
    numbers: tuple[float, ...] = field(default=())
    """The numbers in digits."""


def read_wording(question: str) -> Wording:
    """What `question` says about its answer."""
    text = " ".join(question.casefold().replace("’", "'").split())
    yes_or_no = _YES_OR_NO.match(text) is not None and _CHOICE.search(text) is None
    return Wording(
        gap=_GAP.search(text) is not None and _GROWTH.search(text) is None,
        share=_SHARE.search(text) is not None,
        ratio=_RATIO.search(text) is not None,
        numeric=_NUMERIC.match(text) is not None and " which " not in text,
        naming=_WHICH.match(text) is not None,
        yes_or_no=yes_or_no,
        over_all=_ALL.search(text) is not None,
        words=frozenset(fold(question)),
        names=tuple(names_in(question)),
        numbers=tuple(float(n.replace(",", "")) for n in _NUMBER.findall(question)),
    )


def names_in(question: str) -> list[tuple[str, ...]]:
    """The names in a question: runs of words in capitals, as folded words.

    The first word of a sentence has a capital in any case, so it is none. Where most words have one, none is.
    """
    words = list(_WORD.finditer(question))
    capital = [word[0][0].isupper() for word in words]
    if not words or sum(capital) > max(3, _SHOUTING * len(words)):
        return []
    openings = {found.end() for found in _OPENING.finditer(question)}
    names: list[tuple[str, ...]] = []
    at = 0
    while at < len(words):
        word = words[at]
        if not capital[at] or word.start() in openings or word[0] == "I" or word[0].startswith("I'"):
            at += 1
            continue
        end = at + 1
        while end < len(words) and question[words[end - 1].end() : words[end].start()] == " ":
            if capital[end] or any(c.isdigit() for c in words[end][0]):
                end += 1
            elif words[end][0] in _INSIDE and end + 1 < len(words) and capital[end + 1]:
                end += 2
            else:
                break
        names.append(fold(question[word.start() : words[end - 1].end()]))
        at = end
    return [name for name in names if name]
