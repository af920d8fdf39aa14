"""Follow-ups on the last answer: what it rests on, sums with it, other units, dates and numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from braid.executors.values import short_form
from braid.planner.follow_up.talk import (
    FollowUp,
    StandaloneQuestion,
    Stated,
    Talk,
    Words,
    is_question,
    name_in,
    quoted,
    unresolved,
    with_unit,
)
from braid.planner.follow_up.wordings import WORDINGS
from braid.planner.follow_up.words import (
    COMPARATIVES,
    COUNTED_IN_THINGS,
    KINDS,
    NUMBERS,
    PARTS,
    PERIODS,
    UNITS,
    YEARS,
    Unit,
)


def read_source(talk: Talk, words: Words) -> FollowUp | None:
    """Read "source?" and "are you sure?": what the last answer rests on."""
    if words.match(WORDINGS["source"]["forms"]) is None or talk.last is None:
        return None
    turn = talk.last if talk.last.lookups or talk.focus is None else talk.focus
    if not turn.lookups:
        return Stated(text=f"It was worked out from the numbers of the question: {talk.last.question}")
    parts = [
        f"{fact.attribute} of {fact.name}: {with_unit(fact.value, fact.unit)}"
        + (f" (source: {fact.source})" if fact.source else f" (looked up with {fact.tool})")
        for fact in turn.lookups
        if fact.value is not None
    ]
    if not parts:
        return Stated(text="Nothing was found, so the last answer rests on no look-up.")
    return Stated(text="It rests on " + "; ".join(parts) + ".")


def read_arithmetic(talk: Talk, words: Words) -> FollowUp | None:
    """Read "double it", and "divide by 3 and then add 4"."""
    words = replace(words, text=_with_earlier_values(talk, words.text))
    steps = [Words.of(step) for step in re.split(r",? (?:and )?then |,? and (?=[a-z]+)", words.text)]
    found = [_operation(step) for step in steps]
    if not all(found):
        found = [_operation(words)]
    if not found[0]:
        return None
    if talk.last is None or not isinstance(talk.last.value, (int, float)):
        return unresolved(words, talk, "the last answer is no number to calculate with")
    value, unit = short_form(talk.last.value), talk.last.unit
    expression = f"({value})" if talk.last.value < 0 else value
    shown = f"{expression} {unit}".rstrip()
    for at, (formula, amounts) in enumerate(each for each in found if each):
        if at:
            expression, shown = f"({expression})", f"({shown})"
        if "**" in formula or "sqrt" in formula or formula == "{n} / {v}":
            unit = ""
        expression, shown = (formula.format(v=each, **amounts) for each in (expression, shown))
    said = f'answer(f"{{a}} {unit}")' if unit else "answer(a)"
    return StandaloneQuestion(
        question=f"What is {shown}?",
        kind="value",
        reason=f"the last value is {with_unit(talk.last.value, talk.last.unit)}",
        plan=f"a = calculate({quoted(expression)})\n{said}\n",
    )


def _with_earlier_values(talk: Talk, text: str) -> str:
    """The text with the values that "the first result" stands for."""
    numbers = [turn.value for turn in talk.turns if isinstance(turn.value, (int, float))]
    places = {"first": 0, "second": 1, "previous": -2, "earlier": -2}

    def value(found: re.Match[str]) -> str:
        at = places[found[1].lower()]
        return short_form(numbers[at]) if -len(numbers) <= at < len(numbers) else found[0]

    pattern = rf"\bthe ({'|'.join(places)}) (?:result|answer|number|value|one)\b"
    return re.sub(pattern, value, text, flags=re.IGNORECASE)


def _operation(words: Words) -> tuple[str, dict[str, str]] | None:
    """The formula that the words ask for, and what stands in it beside the value."""
    for operation in WORDINGS["operations"]:
        if (found := words.match(operation["forms"], before="@what", after="@amounts")) is not None:
            number = found.get("n", "").lower()
            amount = str(NUMBERS.get(number, number.replace(",", "")))
            part = str(PARTS.get(found.get("part", "").lower(), ""))
            return operation["formula"], {"n": amount, "part": part}
    return None


def read_conversion(talk: Talk, words: Words) -> FollowUp | None:
    """Read "and in feet?"."""
    found = words.match(WORDINGS["conversion"]["forms"])
    if found is None or talk.last is None:
        return None
    if re.search(r"\b(?:difference|sum|total)\b", words.text) and talk.last.lookups:
        return unresolved(words, talk)  # it is still to be worked out of what was looked up
    name = found["unit"]
    target = UNITS.get(name.lower())
    if target is None:
        return None
    fits = UNITS.get(talk.last.unit.lower())
    alike = fits is not None and fits.dimension == target.dimension
    if name == words.text and not (words.joined or words.asks or alike):
        return None
    value, source = talk.last.value, UNITS.get(talk.last.unit.lower())
    if not isinstance(value, (int, float)) or source is None or source.dimension != target.dimension:
        given = (
            with_unit(talk.last.value, talk.last.unit) if talk.last.value is not None else talk.last.answer
        )
        return unresolved(words, talk, f"{given!r:.60} is nothing that {name} measure")
    expression = conversion_formula(short_form(value), source, target)
    return StandaloneQuestion(
        question=f"{with_unit(value, talk.last.unit)} in {name}",
        kind="value",
        reason=f"the last value is {with_unit(value, talk.last.unit)}",
        plan=f'a = calculate({quoted(expression)})\nanswer(f"{{a}} {name}")\n',
    )


def conversion_formula(value: str, source: Unit, target: Unit) -> str:
    """The formula that makes a value in one unit one in another."""
    base = f"({value} * {source.factor!r} + {source.offset!r})"
    if source.factor == 1 and not source.offset:
        base = value
    elif not source.offset:
        base = f"{value} * {source.factor!r}"
    if target.offset:
        return f"({base} - {target.offset!r}) / {target.factor!r}"
    return base if target.factor == 1 else f"{base} / {target.factor!r}"


def read_of_things(talk: Talk, words: Words) -> FollowUp | None:
    """Read "how many African elephants is that?" after a weight."""
    found = words.match(WORDINGS["of_things"]["forms"])
    name = name_in(found["name"]) if found is not None else None
    if found is None or name is None or talk.last is None or is_question(name) or name.lower() in KINDS:
        return None
    fact = talk.last.lookups[0] if len(talk.last.lookups) == 1 else None
    if fact is None or fact.value != talk.last.value or fact.attribute not in COUNTED_IN_THINGS:
        return unresolved(words, talk, f"the last answer is nothing that can be counted in {name}")
    if not talk.tool:
        return unresolved(words, talk)
    each = "{x.title} {x.value} {x.unit}"
    return StandaloneQuestion(
        question=f"How many times the {fact.attribute} of {name} is the {fact.attribute} of {fact.name}?",
        kind="comparison",
        reason=f"the last value is {with_unit(talk.last.value or 0, talk.last.unit)}",
        plan=talk.look_ups(fact.attribute, (fact.name, name))
        + 'if a.unit == b.unit:\n    c = calculate(f"{a.value} / {b.value}")\n'
        + f'    answer(f"{{c}} ({each.replace("x.", "a.")}, {each.replace("x.", "b.")})")\n'
        + 'else:\n    decline("the two have different units")\n',
    )


def read_check(talk: Talk, words: Words) -> FollowUp | None:
    """Read "isn't it Istanbul?" after a capital: the last answer, and whether it is that."""
    found = words.match(WORDINGS["check"]["forms"])
    name = name_in(found["name"]) if found is not None else None
    if talk.last is None or len(talk.last.lookups) != 1:
        return None
    (fact,) = talk.last.lookups
    if name is None or not isinstance(fact.value, str) or fact.value != talk.last.value:
        return None
    word = "Yes" if name.casefold() == fact.value.casefold() else "No"
    source = f" (source: {fact.source})" if fact.source else ""
    return Stated(text=f"{word}: the {fact.attribute} of {fact.name} is {fact.value}{source}.")


def read_same(talk: Talk, words: Words) -> FollowUp | None:
    """Read "is it the same in Argentina?"."""
    found = words.match(WORDINGS["same"]["forms"])
    name = name_in(found["name"]) if found is not None else None
    if name is None or not talk.turns:
        return None
    fact = talk.focus.lookups[0] if talk.focus is not None and len(talk.focus.lookups) == 1 else None
    if fact is None or not talk.tool:
        return unresolved(words, talk)
    return StandaloneQuestion(
        question=f"Is the {fact.attribute} of {name} the same as of {fact.name}?",
        kind="comparison",
        reason=f"of {fact.name}, {name}",
        plan=talk.look_ups(fact.attribute, (fact.name, name))
        + 'if a.value == b.value:\n    answer(f"yes: {b}")\nelse:\n    answer(f"no: {b}")\n',
    )


def read_ago(talk: Talk, words: Words) -> FollowUp | None:
    """Read "how many years ago was that?" after a year."""
    if words.match(WORDINGS["ago"]["forms"]) is None or talk.last is None:
        return None
    year = talk.last.value
    dated = len(talk.last.lookups) == 1 and talk.last.lookups[0].attribute in DATED
    if not isinstance(year, int) or year <= 0 or not dated or talk.last.lookups[0].value != year:
        return unresolved(words, talk, "the last answer is no year")
    return StandaloneQuestion(
        question=f"How many years ago was the year {year}?",
        kind="value",
        reason=f"the last value is {year}",
        plan=f'a = now()\nb = calculate(f"{{a.date:.4}} - {year}")\nanswer(f"{{b}} years")\n',
    )


def read_age(talk: Talk, words: Words) -> FollowUp | None:
    """Read "how old is it?", "how old was it in 2000?"."""
    found = words.match(WORDINGS["age"]["forms"])
    if found is None or not talk.turns:
        return None
    name, fact = talk.thing(found["p"]), talk.focus.lookups[-1] if talk.focus else None
    if name is None or not talk.tool or fact is None:
        return unresolved(words, talk)
    attribute = fact.attribute if fact.attribute in DATED else "completion year"
    year = found.get("year", "")
    now = "" if year else "n = now()\n"
    of_year = year or "{n.date:.4}"
    return StandaloneQuestion(
        question=f"How many years before {year or 'now'} was the {attribute} of {name}?",
        kind="attribute",
        reason=f"about {name} still",
        plan=now
        + talk.look_up("a", attribute, name)
        + f'b = calculate(f"{of_year} - {{a.value}}")\nanswer(f"{{b}} years")\n',
    )


def read_date(talk: Talk, words: Words) -> FollowUp | None:
    """Read "and ten days later?" and "which weekday is that?" after a date."""
    dates = re.findall(r"\b\d{1,2} [A-Z][a-z]+ \d{4}\b", talk.last.answer) if talk.last is not None else []
    later, weekday = (words.match(WORDINGS["date"][way]) for way in ("later", "weekday"))
    if (later is None and weekday is None) or talk.last is None:
        return None
    if len({*dates}) != 1:
        return unresolved(words, talk, "the last answer is no date") if later is not None else None
    question = f"What day of the week is {dates[0]}?"
    if later is not None:
        way = "after" if later["way"].lower() in ("later", "after") else "before"
        number = {"a": "1", "an": "1"}.get(later["n"].lower(), later["n"])
        question = f"What date is {number} {later['span']} {way} {dates[0]}?"
    return StandaloneQuestion(question=question, kind="value", reason=f"the last answer is {dates[0]}")


DATED: Final = frozenset(
    {*YEARS.values(), *COMPARATIVES["earlier"].attributes, "construction start", "last eruption"}
)


def read_round(talk: Talk, words: Words) -> FollowUp | None:
    """Read "and the other way round?" after a conversion."""
    found = words.match(WORDINGS["round"]["forms"])
    if found is None or talk.last is None:
        return None
    asked = Words.of(talk.last.question).match(WORDINGS["round"]["asked"])
    if asked is None:
        return unresolved(words, talk, "the last question has no other way round")
    number = found.get("n", asked["n"])
    number = number if number[0].isdigit() else "1"
    question = f"{number} {asked['to']} in {asked['from']}"
    return StandaloneQuestion(question=question, kind="value", reason="the units change places")


def read_travel(talk: Talk, words: Words) -> FollowUp | None:
    """Read "how long would that take at 5 km/h?" of a way, and "how long for 500 m at that speed?"."""
    for kind in ("at_speed", "way", "speed"):
        if (found := words.match(WORDINGS["travel"][kind])) is not None:
            break
    else:
        return None
    if talk.last is None or not isinstance(talk.last.value, (int, float)) or talk.last.value <= 0:
        return unresolved(words, talk, "the last answer is no way or speed to calculate with")
    shown = with_unit(talk.last.value, talk.last.unit)
    number, span = found["n"].replace(",", "").rstrip("."), found.get("span", "").lower()
    unit, other = UNITS.get(talk.last.unit.lower()), UNITS.get(found.get("given", span).lower())
    wanted = {"at_speed": ("length", "speed"), "way": ("speed", "length"), "speed": ("length", "time")}[kind]
    if unit is None or other is None or (unit.dimension, other.dimension) != wanted or not float(number):
        return unresolved(words, talk, "the last answer is no way or speed to calculate with")
    last, this = f"{short_form(talk.last.value)} * {unit.factor!r}", f"{number} * {other.factor!r}"
    upper, lower = (this, last) if kind == "way" else (last, this)
    result = "km/h"
    if kind != "speed":
        here, there = talk.last.value * unit.factor, float(number) * other.factor
        seconds = there / here if kind == "way" else here / there
        result = span or next((name for name, size in _SPANS if seconds >= size), "seconds")
    target = UNITS[result]
    return StandaloneQuestion(
        question=f"How many {result} are {number} {found.get('given', span)} with {shown}?",
        kind="value",
        reason=f"the last value is {shown}",
        plan=f"a = calculate({quoted(f'({upper}) / ({lower}) / {target.factor!r}')})\n"
        f'answer(f"{{a}} {result}")\n',
    )


_SPANS: Final = (("days", 172_800), ("hours", 3600), ("minutes", 60))
"""Units for a time that is not asked for in one, and the seconds from which on each is used."""


def read_number(talk: Talk, words: Words) -> FollowUp | None:
    """Read "And 20%?" after "What is 15% of 80?"."""
    found = words.match(WORDINGS["another"]["number"])
    if found is None:
        return _read_bare_number(talk, words)
    if not words.joined or talk.last is None:
        return None
    unit = re.escape(found["unit"])
    pattern = rf"\d[\d,.]* ?{unit}(?!\w)"
    question, count = re.subn(pattern, lambda _: words.text, talk.last.question, flags=re.IGNORECASE)
    if count != 1:
        return unresolved(words, talk)
    return StandaloneQuestion(question=question, kind="entity", reason=f"with {words.text}")


def _read_bare_number(talk: Talk, words: Words) -> FollowUp | None:
    """Read "and 12?" after "convert 5 miles to km": the only number of the last question is another one."""
    if talk.last is not None and (after := words.match(WORDINGS["another"]["after_word"])) is not None:
        pattern = rf"\b{after['word']} \d[\d,]*(?:\.\d+)?(?!\w)"
        question, count = re.subn(pattern, lambda _: words.text, talk.last.question, flags=re.IGNORECASE)
        if count == 1:
            return StandaloneQuestion(question=question, kind="entity", reason=f"with {words.text}")
    found = words.match(WORDINGS["another"]["bare_number"])
    if found is None or talk.last is None or not (words.joined or not words.text[:1].isdigit()):
        return None
    numbers = [*re.finditer(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?!\w)", talk.last.question)]
    if len(numbers) != 1:
        return unresolved(words, talk, "the last question has no number, or more than one")
    (number,), asked = numbers, talk.last.question
    question = f"{asked[: number.start()]}{found['n']}{asked[number.end() :]}"
    return StandaloneQuestion(question=question, kind="entity", reason=f"with {found['n']}")


def read_period(talk: Talk, words: Words) -> FollowUp | None:
    """Read "and in January?" after a question about July."""
    found = words.match(WORDINGS["another"]["period"])
    if found is None or talk.last is None or not (words.joined or words.asks):
        return None
    alike = next(words for words in PERIODS if found["period"].lower() in words)
    spelled = [
        each
        for each in re.finditer(rf"\b(?:{'|'.join(alike)})\b", talk.last.question, re.IGNORECASE)
        if each[0] not in ("may", "march")  # these are other words
    ]
    if len(spelled) != 1:
        return unresolved(words, talk)
    asked = talk.last.question
    question = f"{asked[: spelled[0].start()]}{found['period'].title()}{asked[spelled[0].end() :]}"
    return StandaloneQuestion(question=question, kind="entity", reason=f"with {found['period'].title()}")
