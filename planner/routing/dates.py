"""Questions about dates, times and time zones. The present time is given, so that tests can set it.

Each reader gets the words of a question with dates, times and places as marks (`clock`). It answers only where
every other word belongs to the asking.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Final

from braid.planner.routing.arithmetic import Worked
from braid.planner.routing.clock import MONTHS, WEEKDAYS, Marked, marked
from braid.planner.routing.numbers import ENGLISH, digits
from braid.planner.routing.wording import plain, respelt, table

_TIMELY: Final = re.compile(
    r"\b(time|clock|date|days?|weekday|week|weeks|months?|years?|hours?|minutes?|today'?s?|tomorrow|yesterday|leap|born|old|age|"
    r"noon|midnight|when|until|till|til|how long|zone|oclock|o'clock|am|pm|decade|sleeps|today|\d\d?:\d\d|\d(am|pm)|uhr)\b"
)
_ASKING: Final = frozenset(
    [
        "what",
        "what's",
        "whats",
        "which",
        "is",
        "it",
        "it's",
        "its",
        "the",
        "a",
        "an",
        "of",
        "on",
        "in",
        "at",
        "do",
        "we",
        "have",
        "i",
        "you",
        "now",
        "right",
        "currently",
        "current",
        "present",
        "exact",
        "exactly",
        "tell",
        "me",
        "please",
        "and",
        "so",
        "be",
        "will",
        "would",
        "was",
        "by",
        "here",
        "there",
        "this",
        "that",
        "then",
        "for",
        "give",
        "know",
        "can",
        "could",
        "need",
        "say",
        "show",
        "us",
        "like",
        "to",
        "let",
        "my",
        "your",
        "please",
    ]
)
_WORDS: Final = frozenset(
    [
        "time",
        "date",
        "day",
        "days",
        "week",
        "weeks",
        "month",
        "months",
        "year",
        "years",
        "hour",
        "hours",
        "minute",
        "minutes",
        "weekday",
        "today",
        "tomorrow",
        "yesterday",
        "until",
        "between",
        "from",
        "since",
        "after",
        "before",
        "leap",
        "born",
        "when",
        "christmas",
        "many",
        "long",
        "difference",
        "ahead",
        "behind",
        "what",
        "which",
        "many",
        "noon",
        "midnight",
        "till",
        "untill",
        "til",
        "february",
        "january",
        "september",
        "november",
        "december",
        "october",
        "easter",
        "halloween",
    ]
)


def dated(text: str, now: datetime) -> Worked | None:
    """The answer to a question about dates and times. None where it is no such question."""
    lowered = _english(plain(text))
    if not _TIMELY.search(lowered):
        return None
    lowered = digits(" ".join(respelt(re.sub(r"[?!]+", " ", lowered).split(), _known())))
    places = bool(
        re.search(
            r"\b(time|clock|date|day|hours?|today|zone|noon|midnight|am|pm|when)\b|\d(am|pm)\b|\d:\d\d|o'clock",
            lowered,
        )
    )
    asked = marked(_spoken_times(lowered), now, places=places)
    for read in _READERS:
        found = read(asked, now)
        if found is not None:
            return found
    if asked.ambiguous is not None and re.search(r"\b(days?|weeks?|weekday|between|until|since)\b", lowered):
        return Worked(
            answer=f"{asked.ambiguous} may be read in two ways. Please write the month as a word.",
            value=None,
            declined=True,
        )
    return None


@cache
def _known() -> frozenset[str]:
    return frozenset({*_WORDS, *ENGLISH, *_ASKING, *(month.casefold() for month in MONTHS)})


def _english(text: str) -> str:
    """A question of another language with its frame in English."""
    bare = re.sub(r"[?!.¿¡]+", " ", text).replace("-", " ").replace("'", " ").split()
    joined = " ".join(bare)
    foreign = table("places")["foreign"]
    for english, phrases in foreign.items():
        if english in ("in", "now"):
            continue
        for phrase in sorted(phrases, key=len, reverse=True):
            if joined == phrase or joined.startswith(phrase + " "):
                rest = joined[len(phrase) :].split()
                rest = [
                    "in" if word in foreign["in"] else word for word in rest if word not in foreign["now"]
                ]
                return " ".join([english, *rest])
    return text


def _spoken_times(text: str) -> str:
    def spoken(match: re.Match[str]) -> str:
        minutes = {"half": 30, "( 1 / 2 )": 30, "0.5": 30, "quarter": 15, "a quarter": 15, "0.25": 15}.get(
            match[1]
        ) or int(match[1])
        hour = int(match[3]) if match[2] == "past" else int(match[3]) - 1
        return f"{hour % 24}:{minutes if match[2] == 'past' else 60 - minutes:02d}"

    return (
        re.sub(
            r"\b(half|0\.5|a quarter|quarter|0\.25|[1-5]?\d)(?: minutes)? (past|to) (\d\d?)\b(?! (?:days|weeks|to|in))",
            spoken,
            text,
        )
        if re.search(r"\b(past|quarter to|0\.25 to)\b", text)
        else text
    )


def _only(words: list[str], *allowed: str) -> bool:
    return all(word in _ASKING or word in allowed for word in words)


def said_day(day: date, *, weekday: bool = True) -> str:
    """`Sunday, 20 July 1969`."""
    return f"{WEEKDAYS[day.weekday()]}, " * weekday + f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def _present(asked: Marked, now: datetime) -> Worked | None:
    """What time, day, date, month or year it is, here or in a place."""
    words = [word for word in asked.words if word not in asked.zones]
    several = _several(asked)
    if several:
        words = [word for word in words if word not in several.split()]
    if asked.days or asked.times or len(asked.zones) > 1 or not words:
        return None
    zone = next(iter(asked.zones.values()), None)
    there = now.astimezone(zone.info) if zone is not None else now
    where = f" in {zone.place}" if zone is not None else ""
    if {"time", "clock", "late"} & {*words} and _only(
        words,
        "time",
        "local",
        "clock",
        "late",
        "how",
        "o'clock",
        "moment",
        "today",
        "does",
        "says",
        "got",
        "actual",
        "zone",
        "people",
        "they",
        "over",
    ):
        if "zone" in words:
            name = there.tzname() or "unknown"
            return Worked(
                answer=f"The time zone{where} is {name} (UTC{there:%z}).".replace("00).", "00)."), value=name
            )
        if several:
            return Worked(
                answer="That country has several time zones: please name a city.", value=None, declined=True
            )
        return Worked(
            answer=f"It is {there:%H:%M}{where} ({said_day(there.date())}).", value=f"{there:%H:%M}"
        )
    names = {
        "day",
        "date",
        "today",
        "today's",
        "todays",
        "tomorrow",
        "yesterday",
        "weekday",
        "month",
        "year",
        "week",
        "days",
        "tomorrow's",
    }
    asks = {*words} & names
    if (
        not asks
        or several
        or not _only(
            words,
            *names,
            "number",
            "after",
            "before",
            "day's",
            "calendar",
            "how",
            "many",
            "are",
            "todays",
            "name",
        )
    ):
        return None
    if {"many", "after", "before", "how"} & {*words} and not {"tomorrow", "yesterday"} & {*words}:
        return None
    if (
        "a" in words
        or "an" in words
        or ("many" in words)
        or words in (["date"], ["day"], ["week"], ["month"], ["year"])
    ):
        return None
    if not {
        "what",
        "what's",
        "whats",
        "which",
        "today's",
        "todays",
        "is",
        "tell",
        "today",
        "date",
        "current",
        "give",
    } & {*words}:
        return None
    shift = 1 if {"tomorrow", "tomorrow's"} & asks else -1 if "yesterday" in asks else 0
    if shift and ("after" in words or "before" in words):
        shift *= 2
    day = there.date() + timedelta(days=shift)
    verb = "was" if shift < 0 else "is"
    if "week" in asks and "day" not in asks and "weekday" not in asks:
        return Worked(
            answer=f"It is week {day.isocalendar().week} of {day.isocalendar().year}.",
            value=day.isocalendar().week,
        )
    if asks <= {"year", "today"} and "year" in asks:
        return Worked(answer=f"It is {day.year}{where}.", value=day.year)
    if asks <= {"month", "today"} and "month" in asks:
        return Worked(answer=f"It is {MONTHS[day.month - 1]} {day.year}{where}.", value=MONTHS[day.month - 1])
    if {"what", "is", "the"} >= {*words} - {"day"} and "day" in words and "it" not in words:
        return None
    name = {0: "Today", 1: "Tomorrow", -1: "Yesterday"}.get(shift, "That")
    value = (
        WEEKDAYS[day.weekday()]
        if {"weekday"} & asks or ("week" in asks and "day" in asks)
        else day.isoformat()
    )
    return Worked(answer=f"{name} {verb} {said_day(day)}{where}.", value=value)


def _several(asked: Marked) -> str:
    joined = " ".join(asked.words)
    names = sorted(table("places")["several"]["names"], key=len, reverse=True)
    return next((name for name in names if joined.endswith(f" in {name}") or f" in {name} " in joined), "")


def _elsewhere(asked: Marked, now: datetime) -> Worked | None:
    """`noon in Paris in Tokyo time`."""
    if len(asked.times) != 1 or not 1 <= len(asked.zones) <= 2:
        return None
    marks = {*asked.times, *asked.zones, *asked.days}
    rest = [word for word in asked.words if word not in marks]
    if not _only(
        rest,
        "time",
        "when",
        "if",
        "local",
        "convert",
        "from",
        "clock",
        "o'clock",
        "does",
        "equal",
        "=",
        "?",
        "meeting",
        "call",
        "morning",
        "evening",
        "afternoon",
        "will",
        "as",
        "into",
        "early",
        "people",
        "they",
        "how",
        "late",
        "over",
    ):
        return None
    (mark,) = asked.times
    at = asked.words.index(mark)
    between = ("in", "at", "time", "on", "the", "local", "morning", "from", "of", *asked.days)
    behind = at + 1
    while behind < len(asked.words) and asked.words[behind] in between:
        behind += 1
    source = asked.words[behind] if behind < len(asked.words) and asked.words[behind] in asked.zones else None
    order = [word for word in asked.words if word in asked.zones]
    if len(order) == 2:
        if source is None:
            return None
        target = order[1] if source == order[0] else order[0]
        here, there = asked.zones[source], asked.zones[target]
    elif source is not None and (
        re.search(r"\b(here|my time|local time|for me)\b", " ".join(rest)) or asked.words[behind + 1 :] == []
    ):
        if not {"here", "my", "me"} & {*rest}:
            return None
        here, there = asked.zones[source], None
    else:
        here, there = None, asked.zones[order[0]]
        if source is not None:
            return None
    day = now.date()
    if asked.days:
        (named,) = list(asked.days.values())[:1]
        day = named.next(now.date()) + timedelta(days=14 * named.alone)
    moment = datetime.combine(day, asked.times[mark], tzinfo=here.info if here is not None else now.tzinfo)
    result = moment.astimezone(there.info if there is not None else now.tzinfo)
    shift = (result.date() - moment.date()).days
    note = {0: "", 1: " on the next day", -1: " on the day before"}[shift]
    place = f" in {there.place}" if there is not None else " here"
    return Worked(answer=f"It is {result:%H:%M}{place}{note}.", value=f"{result:%H:%M}")


def _apart(asked: Marked, now: datetime) -> Worked | None:
    """The time difference of two places."""
    words = [word for word in asked.words if word not in asked.zones]
    if asked.times or asked.days or not 1 <= len(asked.zones) <= 2:
        return None
    if not {"difference", "ahead", "behind", "apart"} & {*words} or not (
        {"time", "hours", "hour"} & {*words}
    ):
        return None
    if not _only(
        words,
        "time",
        "difference",
        "between",
        "hours",
        "hour",
        "how",
        "many",
        "ahead",
        "behind",
        "apart",
        "from",
        "are",
        "much",
        "zone",
        "zones",
        "big",
        "far",
        "with",
        "here",
    ):
        return None
    zones = [asked.zones[word] for word in asked.words if word in asked.zones]
    offsets = [now.astimezone(zone.info).utcoffset() or timedelta() for zone in zones]
    if len(zones) == 1:
        offsets.append(now.utcoffset() or timedelta())
    places = [zone.place for zone in zones] + ["here"] * (len(zones) == 1)
    apart = offsets[0] - offsets[1]
    hours = abs(apart.total_seconds()) / 3600
    shown = f"{hours:g} hour{'s' * (hours != 1)}"
    if not hours:
        return Worked(answer="None: it is the same time in both places at present.", value=0)
    first, second = places if apart > timedelta() else reversed(places)
    return Worked(
        answer=f"{shown}: {first} is ahead of {second} at present.",
        value=int(hours) if hours.is_integer() else hours,
        unit="hours",
    )


_SPAN_UNITS: Final = {
    "day": "day", "days": "day", "week": "week", "weeks": "week", "month": "month", "months": "month", "year": "year",
    "years": "year", "hours": "hour", "hour": "hour", "minutes": "minute", "sleeps": "day", "nights": "day",
}  # fmt: skip


def _span(asked: Marked, now: datetime) -> Worked | None:
    """Days until, since and between dates."""
    words = [word for word in asked.words if word not in asked.days]
    if asked.zones or asked.times or not asked.days or len(asked.days) > 2:
        return None
    units = [_SPAN_UNITS[word] for word in words if word in _SPAN_UNITS]
    until = {"until", "till", "til", "before", "left", "away", "'til", "untill", "to", "off"} & {*words}
    since = {"since", "passed", "ago", "gone"} & {*words}
    between = {"between", "from"} & {*words}
    fillers = (
        "how", "many", "much", "long", "are", "left", "has", "had", "gone", "passed", "more", "remaining", "go", "must", "wait", "next",
        "coming", "away", "far", "off", "still", "got", "number", "since", "ago", "between", "from", "until", "till", "til", "before",
        "untill", "'til", "days", "day", "hours", "weeks", "months", "years", "time", "there's", "inclusive", "calculate", "count", "up", "does", "take", "as", "elapsed", "were", "sleeps", "nights", "only", "have", "been", "today", "soon", "minutes", "compute", "get",
    )  # fmt: skip
    if (
        not _only(words, *fillers)
        or len(set(units)) > 1
        or not ({"how", "number", "many", "count", "calculate", "days", "compute"} & {*words})
    ):
        return None
    if not units and not {"long", "far"} & {*words}:
        return None
    unit = units[0] if units else "day"
    today = now.date()
    days = [asked.days[word] for word in asked.words if word in asked.days]
    if any(day.alone and day.year is None and len(days) == 2 for day in days):
        return None
    if len(days) == 2:
        if not (between or until or since or "and" in words):
            return None
        first, second = days[0].fixed(today), days[1].fixed(today)
        if second < first and days[1].year is None:
            second = days[1].on(first.year + 1)
        return _lasting(min(first, second), max(first, second), unit, "")
    if since and not until:
        begin = days[0].last(today)
        return (
            _lasting(begin, today, unit, f" since {said_day(begin, weekday=False)}")
            if begin <= today
            else None
        )
    if until or "from" in words or "are" in words or "is" in words:
        if not until:
            return None
        end = days[0].next(today)
        if end == today:
            return Worked(answer="It is today.", value=0)
        if end < today:
            return _lasting(end, today, unit, f" since {said_day(end, weekday=False)}, which is past")
        if unit in ("hour", "minute"):
            seconds = (datetime.combine(end, time(), tzinfo=now.tzinfo) - now).total_seconds()
            amount = int(seconds // (3600 if unit == "hour" else 60))
            return Worked(
                answer=f"{amount:,} {unit}s until {said_day(end)} begins.", value=amount, unit=f"{unit}s"
            )
        return _lasting(today, end, unit, f" until {said_day(end)}")
    return None


def _lasting(begin: date, end: date, unit: str, note: str) -> Worked:
    days = (end - begin).days
    total = _plural(days, "day")
    if unit == "week":
        weeks, rest = divmod(days, 7)
        text = _plural(weeks, "week") + (f" and {_plural(rest, 'day')}" if rest else "")
        return Worked(
            answer=f"{text}{note} ({total})." if note else f"{text} ({total})",
            value=weeks if not rest else days / 7,
            unit="weeks",
        )
    if unit in ("month", "year"):
        months = (end.year - begin.year) * 12 + end.month - begin.month - (end.day < begin.day)
        years, rest = divmod(months, 12)
        text = (
            _plural(months, "month")
            if unit == "month"
            else _plural(years, "year") + (f" and {_plural(rest, 'month')}" if rest else "")
        )
        left = (end - _months_later(begin, months)).days
        text += f" and {_plural(left, 'day')}" if left and (unit == "month" or not rest) else ""
        return Worked(
            answer=f"{text}{note} ({total})", value=months if unit == "month" else years, unit=f"{unit}s"
        )
    if unit in ("hour", "minute"):
        amount = days * (24 if unit == "hour" else 1440)
        return Worked(answer=f"{_plural(amount, unit)}{note} ({total})", value=amount, unit=f"{unit}s")
    return Worked(answer=f"{total}{note}{'.' if note else ''}", value=days, unit="days")


def _plural(amount: int, word: str) -> str:
    return (
        f"{amount:,} {word}{'s' * (amount != 1)}"
        if amount > 9999
        else f"{amount} {word}{'s' * (amount != 1)}"
    )


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _weekday(asked: Marked, now: datetime) -> Worked | None:
    """The weekday of a date, and when a holiday is."""
    words = [word for word in asked.words if word not in asked.days]
    if asked.zones or asked.times or len(asked.days) != 1:
        return None
    (named,) = asked.days.values()
    if named.alone or not _only(
        words,
        "day",
        "weekday",
        "week",
        "fall",
        "falls",
        "did",
        "does",
        "date",
        "when",
        "were",
        "year",
        "next",
        "born",
        "dow",
        "land",
        "happen",
        "celebrated",
        "are",
        "if",
        "calculate",
    ):
        return None
    today = now.date()
    if not {"day", "weekday", "when", "date"} & {*words}:
        return None
    if (
        "when" in words
        and not {"day", "weekday"} & {*words}
        and named.year is None
        and named.rule is None
        and (named.month, named.day) not in _fixed_holidays()
    ):
        return None
    if named.year is not None:
        day = named.fixed(today)
    else:
        day = named.last(today) if {"was", "were", "did"} & {*words} else named.next(today)
    verb = "was" if day < today else "is"
    if "when" in words and not {"day", "weekday"} & {*words}:
        return Worked(answer=f"It {verb} on {said_day(day)}.", value=day.isoformat())
    return Worked(
        answer=f"{said_day(day, weekday=False)} {verb} a {WEEKDAYS[day.weekday()]}.",
        value=WEEKDAYS[day.weekday()],
    )


@cache
def _fixed_holidays() -> frozenset[tuple[int, int]]:
    return frozenset(
        (int(when[:2]), int(when[3:]))
        for when in table("places")["holidays"]
        if re.fullmatch(r"\d\d-\d\d", when)
    )


def _shifted(asked: Marked, now: datetime) -> Worked | None:
    """The date, or the time, that is some days, weeks or hours from another."""
    text = " ".join(asked.words)
    unit = r"(?P<n>\d+) (?P<unit>minute|hour|day|week|fortnight|month|year)s?"
    match = (
        re.search(
            rf"{unit} (?P<way>from|after|before|past|prior to) (?P<base>now|today|tomorrow|yesterday|[@!]\d+)(?: on)?",
            text,
        )
        or re.search(rf"(?P<sign>add|subtract) {unit} (?P<way>to|from) (?P<base>today|now|[@!]\d+)", text)
        or re.search(rf"{unit} (?P<way>ago|later|hence|earlier)", text)
        or re.search(rf"(?P<way>in) {unit}(?: time)?(?! \d)", text)
    )
    if match is None or asked.zones:
        return None
    rest = (text[: match.start()] + " " + text[match.end() :]).split()
    if not _only(
        rest,
        "date",
        "day",
        "weekday",
        "week",
        "time",
        "when",
        "fall",
        "does",
        "clock",
        "if",
        "today",
        "month",
        "year",
        "calendar",
        "o'clock",
        "calculate",
        "how",
    ):
        return None
    if (
        not {"date", "day", "weekday", "time", "when", "what", "what's", "whats", "month", "year"} & {*rest}
        and match.groupdict().get("sign") is None
    ):
        return None
    if {"@", "!"} & {word[0] for word in rest}:
        return None
    amount, size, way = int(match["n"]), match["unit"], match["way"]
    back = way in ("ago", "before", "earlier", "prior to") or match.groupdict().get("sign") == "subtract"
    if amount > 1_000_000:
        return None
    amount = -amount if back else amount
    base = match.groupdict().get("base") or "now"
    if size in ("minute", "hour"):
        start = now if base in ("now", "today") else None
        if base in asked.times:
            start = datetime.combine(now.date(), asked.times[base], tzinfo=now.tzinfo)
        if start is None or (match["way"] == "in" and "time" not in rest and "o'clock" not in rest):
            return None
        there = start + timedelta(**{f"{size}s": amount})
        return Worked(
            answer=f"{there:%H:%M}, {said_day(there.date())}"
            if base not in asked.times
            else f"{there:%H:%M}",
            value=f"{there:%H:%M}",
        )
    if base in asked.times or asked.times:
        return None
    today = now.date()
    day = {"tomorrow": today + timedelta(days=1), "yesterday": today - timedelta(days=1)}.get(base, today)
    if base in asked.days:
        day = asked.days[base].fixed(today)
    try:
        if size in ("month", "year"):
            there_day = _months_later(day, amount * (12 if size == "year" else 1))
        else:
            there_day = day + timedelta(days=amount * {"day": 1, "week": 7, "fortnight": 14}[size])
    except (OverflowError, ValueError):
        return Worked(answer="That date is beyond the calendar that I have (years 1 to 9999).", value=None)
    if "year" in rest and not {"date", "day"} & {*rest}:
        return Worked(answer=str(there_day.year), value=there_day.year)
    verb = "was" if there_day < today else "is"
    return Worked(answer=f"That {verb} {said_day(there_day)}.", value=there_day.isoformat())


def _leap(asked: Marked, now: datetime) -> Worked | None:
    """Leap years."""
    text = " ".join(asked.words)
    if "leap" not in asked.words:
        return None
    year = now.year
    if match := re.fullmatch(
        r"(?:is|was|will|are|were) (?:the year )?(?P<year>\d{1,4}|this year|next year|last year)(?: be| been)? ?(?:a )?leap years?",
        text,
    ):
        named = {"this year": year, "next year": year + 1, "last year": year - 1}.get(match["year"]) or int(
            match["year"]
        )
        leap = calendar.isleap(named)
        verb = "was" if named < year else "is"
        return Worked(
            answer=f"{'Yes' if leap else 'No'}, {named} {verb} {'a' if leap else 'no'} leap year.", value=leap
        )
    if re.fullmatch(
        r"(?:when|what|which)?(?: year)? ?(?:is|was|will)? ?(?:be )?(?:the )?(?P<which>next|last|previous) (?:leap year|leap day)(?: be)?",
        text,
    ):
        step = 1 if "next" in asked.words else -1
        named = next(there for there in range(year + step, year + 20 * step, step) if calendar.isleap(there))
        return Worked(answer=f"{named}", value=named)
    return None


_SPAN_WORDS = (
    "how",
    "many",
    "days",
    "are",
    "does",
    "has",
    "month",
    "year",
    "number",
    "left",
    "remaining",
    "next",
    "last",
    "still",
)


def _length(asked: Marked, now: datetime) -> Worked | None:
    """How many days a month or a year has, and how many are left."""
    words = [word for word in asked.words if word not in asked.days]
    if "days" not in words or asked.zones or asked.times or len(asked.days) > 1:
        return None
    if not _only(words, *_SPAN_WORDS) and not re.search(r"\b[12]\d{3}\b", " ".join(words)):
        return None
    if not {"how", "number"} & {*words} or {"until", "since", "before", "to"} & {*words}:
        return None
    today = now.date()
    if asked.days:
        (named,) = asked.days.values()
        if not named.alone or "left" in words:
            return None
        name = MONTHS[named.month - 1]
        if named.month == 2 and named.year is None:
            return Worked(answer="February has 28 days, and 29 in a leap year.", value=28)
        days = calendar.monthrange(named.year or today.year, named.month)[1]
        return Worked(answer=f"{name}{f' {named.year}' if named.year else ''} has {days} days.", value=days)
    years = [int(word) for word in words if re.fullmatch(r"[12]\d{3}", word)]
    others = [word for word in words if not re.fullmatch(r"[12]\d{3}", word)]
    if not _only(others, *_SPAN_WORDS):
        return None
    left = {"left", "remaining"} & {*words}
    if left and {"this", "the"} & {*words} and {"year", "month"} & {*words} and not years:
        end = (
            date(today.year, 12, 31)
            if "year" in words
            else date(today.year, today.month, calendar.monthrange(today.year, today.month)[1])
        )
        days = (end - today).days
        return Worked(answer=f"{_plural(days, 'day')} after today.", value=days)
    shift = {"this": 0, "next": 1, "last": -1}
    named_year = years[0] if len(years) == 1 else None
    if (
        named_year is None
        and "year" in words
        and (which := next((word for word in words if word in shift), None))
    ):
        named_year = today.year + shift[which]
    if named_year is None or left:
        return None
    days = 366 if calendar.isleap(named_year) else 365
    return Worked(answer=f"{named_year} has {days} days.", value=days)


_PERSON: Final = (
    "how", "old", "am", "are", "someone", "somebody", "person", "who", "were", "if", "he", "she", "they", "age", "people", "born",
    "today", "year", "years", "man", "woman", "turn", "turning", "anyone", "one", "guy", "when", "i'm", "get", "child", "kid", "birthday", "since", "calculate", "now", "birth", "with",
)  # fmt: skip


def _age(asked: Marked, now: datetime) -> Worked | None:
    """Ages from a year or a day of birth, and years of birth from an age."""
    words = [word for word in asked.words if word not in asked.days]
    if "born" not in words and "birth" not in words and "birthday" not in words:
        return None
    if asked.zones or asked.times:
        return None
    numbers = [int(word) for word in words if word.isdigit()]
    if not _only([word for word in words if not word.isdigit()], *_PERSON):
        return None
    today = now.date()
    asks_age = {"old", "age"} & {*words} or {"turn"} & {*words}
    if len(asked.days) == 1 and not numbers and asks_age:
        (named,) = asked.days.values()
        if named.year is None or named.alone or named.fixed(today) > today:
            return None
        born = named.fixed(today)
        age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
        return Worked(answer=f"{age} years old", value=age, unit="years")
    if not asked.days and len(numbers) == 1 and 1850 <= numbers[0] <= today.year and asks_age:
        age = today.year - numbers[0]
        if not age:
            return Worked(answer="Less than a year old", value=0)
        return Worked(answer=f"{age} years old, or {age - 1} before this year's birthday", value=age)
    if not asked.days and len(numbers) == 1 and 0 < numbers[0] < 125 and "year" in words:
        year = today.year - numbers[0]
        return Worked(answer=f"{year}, or {year - 1} if this year's birthday is still to come", value=year)
    return None


def _hours(asked: Marked, now: datetime) -> Worked | None:
    """The time between two times of day."""
    if len(asked.times) != 2 or asked.zones or asked.days:
        return None
    words = [word for word in asked.words if word not in asked.times]
    if not _only(
        words,
        "how",
        "many",
        "much",
        "long",
        "hours",
        "minutes",
        "between",
        "from",
        "until",
        "till",
        "are",
        "time",
        "passes",
        "difference",
        "hour",
        "number",
        "many",
    ):
        return None
    if not {"hours", "minutes", "long", "time"} & {*words}:
        return None
    first, second = (asked.times[word] for word in asked.words if word in asked.times)
    minutes = (second.hour * 60 + second.minute - first.hour * 60 - first.minute) % 1440
    if "minutes" in words and "hours" not in words:
        return Worked(answer=_plural(minutes, "minute"), value=minutes, unit="minutes")
    hours, rest = divmod(minutes, 60)
    text = " and ".join(
        part
        for part in (
            _plural(hours, "hour") if hours or not rest else "",
            _plural(rest, "minute") if rest else "",
        )
        if part
    )
    return Worked(answer=text, value=hours if not rest else minutes / 60, unit="hours")


_READERS: Final[tuple[Callable[[Marked, datetime], Worked | None], ...]] = (
    _leap, _elsewhere, _apart, _age, _shifted, _length, _span, _hours, _weekday, _present,
)  # fmt: skip
