"""Conversions between units: `how many feet are 5 metres`, `100 F in C`, `6 foot 2 in cm`.

The table is exact. A unit whose name has two readings, such as the gallon, is answered in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Final

from braid.planner.routing.arithmetic import Worked
from braid.planner.routing.numbers import (
    ENGLISH,
    PLAIN,
    digits,
    grouped,
    plain_value,
    rounded,
    said,
    terminating,
)
from braid.planner.routing.wording import respelt, table, tokens, translations, unwrapped


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A unit of the table."""

    id: str
    measures: str
    size: Fraction
    zero: Fraction
    one: str
    many: str
    beside: str | None
    """The other unit of the same name."""


@cache
def _units() -> Mapping[tuple[str, str], Unit]:
    return {
        (measures, id): Unit(
            id=id,
            measures=measures,
            size=Fraction(row["size"]),
            zero=Fraction(row.get("zero", "0")),
            one=row["one"],
            many=row["many"],
            beside=row.get("beside"),
        )
        for measures, rows in table("units").items()
        for id, row in rows.items()
    }


@cache
def _names() -> Mapping[tuple[str, ...], tuple[Unit, ...]]:
    """Units by the words of their names. A word such as `year` names one unit of each measure."""
    found: dict[tuple[str, ...], list[Unit]] = {}
    for (measures, id), unit in _units().items():
        row = table("units")[measures][id]
        for name in dict.fromkeys((row["one"], row["many"], *row["names"])):
            key = tuple(tokens(name)) or (name,)
            if name and unit not in found.setdefault(key, []):
                found[key].append(unit)
    return {key: tuple(units) for key, units in found.items()}


@cache
def _known_words() -> frozenset[str]:
    frames = "how many convert into what are there there's have does much long tall heavy fast hot cold change from contains degrees"
    return frozenset(
        {*frames.split(), *ENGLISH, *(word for name in _names() for word in name if len(word) > 3)}
    )


_IN: Final = r"(?:in|into|to|as|expressed in|->|=|in terms of|converted to|converted into|equals how many|is how many|are how many|equal to how many|in how many|to how many|how many)"
_LINK: Final = r"(?:(?:is|are|do|does|would|will|make|makes|made up of|equals?)(?: there)?(?: in)?|in|there are in|are there in|there in|go into|fit in|fit into|fits in|per|to|for|you have in|equal|of|make up|are contained in|is equal to|are equal to|would be|are equivalent to)"
_FRAMES: Final = [
    re.compile(pattern)
    for pattern in (
        rf"(?:how (?:many|much)|what|number of|the number of|amount of) (?P<to>.+?) {_LINK} (?P<from>.+?)(?: have| contain| has| make| equal| be| there| is| are)?",
        rf"(?:convert |change |turn |translate |express )?(?P<from>.+?) (?:is|are|be|equals?)? ?{_IN} (?P<to>.+)",
        r"(?:how (?:long|tall|big|far|heavy|fast|hot|cold|warm|high|much|many|old|wide|deep)) (?:is|are|would|does|do|be) (?P<from>.+?) (?:be )?(?:in|into|expressed in) (?P<to>.+)",
        r"(?:my \w+ is|i am|i'm|he is|she is|it is|it's|that is|a \w+ is) (?P<from>.+?) ?(?:tall|long|heavy|away|high|wide|deep)? ?,? (?:how (?:many|much)|what) (?:is that in |would that be in |is it in )?(?P<to>.+?)(?: is that| is it| are that| would that be| am i| is he| is she| does that make)?",
        r"(?P<from>.+?) ?,? how many (?P<to>.+?) (?:is that|is it|are that|are they|are those|would that be|is this)",
        r"(?:the )?(?P<to>.+?) (?:in|of) (?P<from>.+)",
    )
]
_AMOUNT: Final = re.compile(r"(?:a|an|one|the|1 single|exactly|about|only)")


def conversion(text: str) -> Worked | None:
    """The result of a question about two units. None where it is no such question."""
    if (added := _added(tokens(text))) is not None:
        return added
    text = re.sub(r"^(\d)'\s?(\d{1,2})\"?(?= (?:in|to|into) )", r"\1 feet \2 inches", text.strip())
    text = re.sub(r"^(\d+) stone (\d{1,2})(?= (?:in|to|into) )", r"\1 stone \2 pounds", text)
    found = _converted(tokens(text))
    if found is not None:
        return found
    for _, words in translations(text):
        if (found := _converted(words)) is not None:
            return found
    return None


def _added(words: list[str]) -> Worked | None:
    """`2 kg + 500 g`, in the larger of the two units."""
    found = re.fullmatch(r"([^+]+?) (\+|-|plus|minus) ([^+]+)", digits(" ".join(unwrapped(words))))
    if found is None:
        return None
    for first in _amounts(found[1].split()):
        for second in _amounts(found[3].split()):
            if first[0][1].measures != second[0][1].measures or first[0][1].measures in (
                "temperature",
                "count",
            ):
                continue
            sign = -1 if found[2] in ("-", "minus") else 1
            unit = max((first[0][1], second[0][1]), key=lambda each: each.size)
            return _said([*first, *((sign * amount, of) for amount, of in second)], unit)
    return None


def _converted(words: list[str]) -> Worked | None:
    words = respelt(words, _known_words())
    for reading in (words, unwrapped(words)):
        sentence = digits(" ".join(reading))
        for candidate in dict.fromkeys((sentence, _feet_and_inches(sentence))):
            for frame in _FRAMES:
                for match in _matches(frame, candidate):
                    found = _answer(match["from"].split(), match["to"].split())
                    if found is not None:
                        return found
        if " and " not in sentence and (found := _pair(sentence.split())) is not None:
            return found
    return None


def _matches(frame: re.Pattern[str], sentence: str) -> Iterator[re.Match[str]]:
    """The match, and where the sentence has several places for `in`, one for each."""
    if match := frame.fullmatch(sentence):
        yield match
        # The slots are lazy: the last `in` is tried as the link too, for inches.
        greedy = re.compile(
            frame.pattern.replace("(?P<from>.+?)", "(?P<from>.+)").replace("(?P<to>.+?)", "(?P<to>.+)")
        )
        if second := greedy.fullmatch(sentence):
            yield second


def _feet_and_inches(sentence: str) -> str:
    """`5 ' 11 "` and `6 foot 2` with their units written out."""
    sentence = re.sub(r"(\d+) ' (\d+(?:\.\d+)?) ?(?:\"|' ')?", r"\1 feet \2 inches", sentence)
    return re.sub(
        r"(\d+) (?:foot|feet|ft) (?:and )?(\d+(?:\.\d+)?)(?= (?!inch|in\b|inches|feet|ft)|$| in (?!in\b))",
        r"\1 feet \2 inches",
        sentence,
    )


def _pair(words: list[str]) -> Worked | None:
    """`km to miles` and `10 km miles`: two units with nothing between them are too little, one amount is enough."""
    for link in ("to", "in", "into"):
        if words.count(link) == 1:
            at = words.index(link)
            return _answer(["1", *words[:at]], words[at + 1 :]) if words[:at] else None
    return None


def _answer(source: Sequence[str], target: Sequence[str]) -> Worked | None:
    targets = _unit_of([word for word in target if word != "whole"])
    if targets is None:
        return None
    amounts = list(_amounts(list(source)))
    for parts in amounts:
        for unit in targets:
            if all(part.measures == unit.measures for _, part in parts):
                return _said(parts, unit)
    for parts in amounts:  # ounces and fluid ounces share a name
        if {part.measures for _, part in parts} == {"volume"} and any(unit.id == "oz" for unit in targets):
            return _said(parts, _units()["volume", "floz"])
        if all(part.id == "oz" for _, part in parts) and (
            volume := [u for u in targets if u.measures == "volume"]
        ):
            return _said([(amount, _units()["volume", "floz"]) for amount, _ in parts], volume[0])
        if any(unit.measures == "time" for unit in targets) and any(part.id == "month" for _, part in parts):
            return _months(parts, targets)
    if amounts:
        of, to = amounts[0][0][1], targets[0]
        if of.measures == "months" or to.measures == "months":
            return None
        return Worked(
            answer=f"That cannot be converted: {of.many} measure {of.measures}, {to.many} measure {to.measures}.",
            value=None,
        )
    return None


def _months(parts: list[tuple[Fraction, Unit]], targets: Sequence[Unit]) -> Worked | None:
    if len(parts) != 1 or parts[0][0] != 1 or targets[0].id not in ("day", "week"):
        return None
    if targets[0].id == "week":
        return Worked(
            answer="A month has a little more than 4 weeks: 4 to 4.43, as it has 28 to 31 days.", value=None
        )
    return Worked(answer="A month has 28 to 31 days, February 28 or 29.", value=None)


def _unit_of(words: Sequence[str]) -> tuple[Unit, ...] | None:
    words = list(words)
    while words and words[0] in ("the", "degrees", "degree") and tuple(words) not in _names():
        words = words[1:]
    return _names().get(tuple(words))


def _amounts(words: list[str]) -> Iterator[list[tuple[Fraction, Unit]]]:
    """The readings of `5 feet 11 inches`, as amounts and units of one measure."""
    while words and _AMOUNT.fullmatch(words[0]) and len(words) > 1:
        words = ["1", *words[1:]] if not PLAIN.fullmatch(words[1]) and words[1] != "(" else words[1:]
        if PLAIN.fullmatch(words[0]):
            break
    if words and words[0] in ("-", "minus", "negative") and len(words) > 1 and PLAIN.fullmatch(words[1]):
        words = ["-" + words[1], *words[2:]]
    yield from _parts(words)


def _parts(words: list[str]) -> Iterator[list[tuple[Fraction, Unit]]]:
    if not words:
        return
    amount, rest = _amount(words)
    if amount is None:
        return
    while rest and rest[0] in ("of", "a", "an") and len(rest) > 1:
        rest = rest[1:]
    for size in range(min(4, len(rest)), 0, -1):
        for unit in _names().get(tuple(rest[:size]), ()):
            behind = rest[size:]
            if behind and behind[0] in ("and", ",", "plus"):
                behind = behind[1:]
            if not behind:
                yield [(amount, unit)]
            for others in _parts(behind):
                if (
                    others[0][1].measures == unit.measures
                    and others[0][1].size < unit.size
                    and others[0][0] >= 0
                ):
                    yield [(amount, unit), *others]


def _amount(words: list[str]) -> tuple[Fraction | None, list[str]]:
    if words[0] == "(" and words[2:3] == ["/"] and words[4:5] == [")"]:
        return Fraction(int(words[1]), int(words[3])), words[5:]
    if re.fullmatch(r"-?\d+(\.\d+)?(e\d{1,2})?", words[0]):
        if words[1:2] == ["/"] and len(words) > 3 and words[2].isdigit() and int(words[2]):
            return Fraction(words[0]) / int(words[2]), words[3:]
        if (
            len(words) > 4
            and words[2:3] == ["/"]
            and words[1].isdigit()
            and words[3].isdigit()
            and int(words[3])
        ):
            return Fraction(words[0]) + Fraction(int(words[1]), int(words[3])), words[4:]
        return Fraction(words[0]), words[1:]
    if tuple(words) in _names():
        return Fraction(1), words
    return None, words


def _said(parts: list[tuple[Fraction, Unit]], unit: Unit) -> Worked | None:
    if unit.measures == "temperature":
        (amount, of) = parts[0]
        kelvin = amount * of.size + of.zero
        if len(parts) > 1:
            return None
        if kelvin < 0:
            return Worked(answer="There is no such temperature: it is below absolute zero.", value=None)
        total = (kelvin - unit.zero) / unit.size
    else:
        total = sum((amount * of.size for amount, of in parts), Fraction(0)) / unit.size
    if len(parts) == 1 and parts[0][1] == unit and unit.measures != "count":
        return Worked(answer=_with_unit(total, unit), value=plain_value(total), unit=unit.many)
    answer = _with_unit(total, unit)
    twice = next((of for _, of in parts if of.beside), None) or (unit if unit.beside else None)
    if twice is not None and unit.measures != "count":
        other = _units()[twice.measures, str(twice.beside)]
        if twice == unit:
            answer += f", or {_with_unit(total * unit.size / other.size, other)}"
        else:
            shift = sum(
                (amount * (other.size if of == twice else of.size) for amount, of in parts), Fraction(0)
            )
            system = "metric tons" if twice.id == "t" else twice.many
            answer += f" for {system}, {_with_unit(shift / unit.size, unit)} for {other.many}"
    if (
        any(of.id == "year" for _, of in parts)
        and unit.id in ("day", "h", "min", "s", "week")
        and parts[0][0] == 1
        and len(parts) == 1
    ):
        leap = Fraction(31622400) / unit.size
        answer += f" ({_number(leap)} in a leap year)"
    return Worked(answer=answer, value=plain_value(total), unit=unit.many)


def _with_unit(value: Fraction, unit: Unit) -> str:
    return f"{_number(value)} {unit.one if abs(value) == 1 else unit.many}".strip()


def _number(value: Fraction) -> str:
    exact = terminating(value, 6)
    if exact is not None:
        return said(value)
    return f"about {grouped(rounded(value, 6))}"
