"""The wordings of follow-ups: `wordings.toml`, as regular expressions."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from braid.planner.follow_up.words import (
    ATTRIBUTES,
    COMPARATIVES,
    KINDS,
    NUMBERS,
    ORDINALS,
    PARTS,
    PERIODS,
    POSITIVES,
    SUPERLATIVES,
    UNITS,
)

WORDINGS: Final[dict[str, Any]] = tomllib.loads(
    files("braid.planner.follow_up").joinpath("wordings.toml").read_text(encoding="utf-8")
)


def _one_of(words: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


_PARTS: Final[dict[str, str]] = {
    "kind": _one_of(KINDS),
    "attr": _one_of(ATTRIBUTES),
    "comp": _one_of(COMPARATIVES),
    "superlative": _one_of(SUPERLATIVES),
    "ordinal": rf"(?P<ordinal>{_one_of(ORDINALS)})",
    "place": rf"(?P<ordinal>{_one_of(ORDINALS.keys() - NUMBERS.keys() - {*map(str, NUMBERS.values())})})",
    "period": rf"(?P<period>{_one_of(word for words in PERIODS for word in words)})",
    "lead": WORDINGS["ranking"]["lead"],
    "best": WORDINGS["ranking"]["best"],
    "positive": _one_of(POSITIVES),
    "unit": _one_of(UNITS),
    "part": _one_of(PARTS),
    "n": rf"(?P<n>\d[\d,]*(?:\.\d+)?|\.\d+|{_one_of(NUMBERS)})",
    "p": "(?: (?:in |of )?@thing)",
    **WORDINGS["parts"],
}


@cache
def compiled(form: str) -> re.Pattern[str]:
    """A form of follow-ups as a pattern."""
    return filled(form, _PARTS)


def filled(form: str, parts: Mapping[str, str]) -> re.Pattern[str]:
    """A form with its parts filled in. Alternatives may have groups of one name (`groups_of`)."""
    while (longer := re.sub(r"@(\w+)", lambda part: parts[part[1]], form)) != form:
        form = longer
    count = itertools.count()
    own = re.sub(r"\(\?P<(\w+)>", lambda group: f"(?P<{group[1]}__{next(count)}>", form)
    return re.compile(own, re.IGNORECASE)


def groups_of(found: re.Match[str]) -> dict[str, str]:
    """What the groups of a form took."""
    return {name.partition("__")[0]: text for name, text in found.groupdict().items() if text}
