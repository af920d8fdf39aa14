"""The lines of a plan, as code puts them together."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from braid.planner.follow_up import UNITS
from braid.planner.lookups.facts import Found


def quoted(text: str) -> str:
    """`text` as a literal of the plan language."""
    return json.dumps(text, ensure_ascii=False)


def escaped(text: str) -> str:
    """`text` as a part of an f-string."""
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("{", "{{").replace("}", "}}")


def digits_of(value: float) -> int:
    """How many decimals show a value to five significant digits."""
    return 0 if not value else max(0, 4 - math.floor(math.log10(abs(value))))


def factor(source: str, target: str) -> str:
    """What a value is multiplied with for another unit: " * 1000 / 1609.344".

    Raises:
        ValueError: One unit cannot be converted into the other by a factor.
    """
    one, other = UNITS.get(source.lower()), UNITS.get(target.lower())
    if one is None or other is None or one.dimension != other.dimension or one.offset or other.offset:
        raise ValueError(f"{source!r} cannot be converted to {target!r} by a factor")
    return "" if one == other else f" * {one.factor!r} / {other.factor!r}"


@dataclass
class Draft:
    """A plan that is being written."""

    lines: list[str] = field(default_factory=list[str])
    tools: set[str] = field(default_factory=set[str])

    def look_up(self, name: str, query: str, *, template: bool = False) -> None:
        """Look `query` up, which is an f-string if `template` says so."""
        self.tools.add("search")
        self.lines.append(f"{name} = search(f{query})" if template else f"{name} = search({quoted(query)})")

    def calculate(self, name: str, expression: str) -> None:
        """Work out an expression, which may read values."""
        self.tools.add("calculate")
        self.lines.append(f"{name} = calculate(f{quoted(expression)})")

    def rank(self, name: str, found: Sequence[Found], labels: Sequence[str], *, ascending: bool) -> None:
        """Order labels by the figures of `found`."""
        self.tools.add("rank")
        values = ", ".join(f"{letter}.value" for letter in letters(len(found)))
        order = "ascending" if ascending else "descending"
        self.lines.append(f'{name} = rank([{", ".join(labels)}], [{values}], "{order}")')

    def answer(self, *parts: str, indent: bool = False) -> None:
        """Answer with f-strings, given without their quotes."""
        said = ", ".join(f'f"{part}"' for part in parts)
        self.lines.append(f"{'    ' if indent else ''}answer({said})")

    def line(self, text: str) -> None:
        """Add a line as it is."""
        self.lines.append(text)

    def __str__(self) -> str:
        return "\n".join((*self.lines, ""))


def letters(count: int) -> str:
    """The names of the first look-ups."""
    return "abcdefghijklmnop"[:count]


def looked_up(found: Sequence[Found]) -> Draft:
    """A plan that begins with these look-ups. Nothing in them waits for another."""
    draft = Draft()
    for letter, each in zip(letters(len(found)), found, strict=True):
        draft.look_up(letter, each.query)
    return draft


def figures(found: Sequence[Found]) -> str:
    """The look-ups with their names, for an f-string: "K2 {a}, Mont Blanc {b}"."""
    pairs = zip(letters(len(found)), found, strict=True)
    return ", ".join(f"{escaped(each.title)} {{{letter}}}" for letter, each in pairs)
