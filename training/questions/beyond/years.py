"""Years, ages and centuries: how many years after, how old when, which is older and by how much."""

from __future__ import annotations

import math

from braid.training.questions.families import Draft, pick_best, shown
from braid.training.questions.program import Builder, Item, Ref
from braid.training.questions.template import Choice
from braid.training.questions.templates import Attribute
from braid.training.questions.world import Thing, World

_BORN = {
    "completion year": ("was {x} built", "was {x} completed", "was {x} finished"),
    "opening year": ("did {x} open", "was {x} opened"),
    "launch year": ("was {x} launched",),
    "first flight": ("did {x} first fly", "did {x} make its first flight"),
    "first ascent": ("was {x} first climbed", "was {x} climbed for the first time"),
    "admission year": ("did {x} become a state", "was {x} admitted to the union"),
}
"""How an event in a year is asked for, as the end of "in which year"."""
_EVENT = {
    "completion year": ("the completion of {x}", "the building of {x}"),
    "opening year": ("the opening of {x}",),
    "launch year": ("the launch of {x}",),
    "first flight": ("the first flight of {x}",),
    "first ascent": ("the first ascent of {x}",),
    "admission year": ("the admission of {x}",),
}
_AGED = ("completion year", "opening year", "launch year")


def _dated(c: Choice, w: World, count: int) -> tuple[Attribute, list[Thing]]:
    for _ in range(60):
        try:
            attribute, things = w.comparable(c.rng, count)
        except LookupError:
            continue
        if attribute.dated and attribute.noun in _BORN:
            return attribute, things
    raise LookupError("no years were drawn")


def _clause(c: Choice, attribute: Attribute, text: str) -> str:
    """The event as a question's end: "was the Eiffel Tower built"."""
    return c.rng.choice(_BORN[attribute.noun]).replace("{x}", text)


def _event(c: Choice, attribute: Attribute, text: str) -> str:
    return c.rng.choice(_EVENT[attribute.noun]).replace("{x}", text)


def years_between(c: Choice, w: World, rank: bool) -> Draft:
    """How many years after or before."""
    rng = c.rng
    attribute, things = _dated(c, w, 2)
    early, late = sorted(things, key=lambda t: t.number(attribute))
    x, y = early.text(rng), late.text(rng)
    words = {
        "x": x,
        "y": y,
        "ye": _clause(c, attribute, y),
        "xe": _clause(c, attribute, x),
        "xn": _event(c, attribute, x),
        "yn": _event(c, attribute, y),
    }
    patterns = [
        "how many years after {xn} {ye}",
        "how many years after {x} {ye}",
        "how many years before {yn} {xe}",
        "how many years before {y} {xe}",
        "how many years passed between {xn} and {yn}",
        "how [long|many years] after {xn} [did|came] {yn}".replace("[did|came] {yn}", "came {yn}"),
        "how many years [later|after that] {ye} than {x}".replace("[later|after that]", "later"),
        "how many years earlier {xe} than {y}",
        "how many years [lie|are there] between {xn} and {yn}",
        "by how many years did {xn} precede {yn}",
        "by how many years did {yn} follow {xn}",
    ]
    if attribute.noun in _AGED:
        patterns += [
            "how old was {x} when {y} was [finished|new|inaugurated]",
            "how many years older is {x} than {y}",
            "how many years younger is {y} than {x}",
            "by how many years is {x} older than {y}",
        ]
    question = c.frame(
        *patterns,
        held=("what stretch of years separates {xn} from {yn}", "count the years from {xn} to {yn}"),
        **words,
    )
    order = sorted((early, late), key=lambda t: question.find(x if t is early else y))
    b = Builder()
    found = {t.name: b.look(attribute.noun, t.name) for t in order}
    b.answer(b.calculate(found[late.name], " - ", found[early.name]))
    number = late.number(attribute) - early.number(attribute)
    return Draft(f"{question}?", b, order, shown(number))


def ages(c: Choice, w: World, rank: bool) -> Draft:
    """How old something is in a given year, its jubilee, its century, or whether it was there by then."""
    rng = c.rng
    attribute, (thing,) = _dated(c, w, 1)
    x, year = thing.text(rng), thing.number(attribute)
    b = Builder()
    ref = b.look(attribute.noun, thing.name)
    other = int(year) + rng.choice((10, 25, 50, 75, 100, 200, rng.randint(1, 400)))
    match rng.choice(("old", "old", "when", "century", "by", "since")):
        case "old":
            if attribute.noun not in _AGED:
                raise LookupError("it has no age")
            question = c.frame(
                "how old [was|is|will|would] {x} in {t}".replace(
                    "[was|is|will|would] {x}", "[was {x}|would {x} be|will {x} be]"
                ),
                "[what was|what is] the age of {x} in {t}",
                "in {t}, how old [was|would] {x}".replace("[was|would] {x}", "[was {x}|would {x} be]"),
                "how many years old [was {x}|would {x} be] in the year {t}",
                held=("what age had {x} reached by {t}",),
                x=x,
                t=str(other),
            )
            b.answer(b.calculate(f"{other} - ", ref))
            return Draft(f"{question}?", b, [thing], shown(other - year))
        case "since":
            question = c.frame(
                "how many years [passed|went by] from {e} to {t}",
                "how many years after {e} was {t}".replace("was {t}", "is the year {t}"),
                "how many years before {t} {c}",
                held=("{e} lies how many years before {t}",),
                e=_event(c, attribute, x),
                c=_clause(c, attribute, x),
                t=str(other),
            )
            b.answer(b.calculate(f"{other} - ", ref))
            return Draft(f"{question}?", b, [thing], shown(other - year))
        case "when":
            n = rng.choice((10, 20, 25, 40, 50, 60, 75, 100, 125, 150, 200, 250, 300))
            question = c.frame(
                "in [what|which] year [will|did|would] {x} [turn|become|be] {n} years old".replace(
                    "[will|did|would]", "[would|will]"
                ),
                "[what|which] year is {n} years after {e}",
                "when is the {n}th anniversary of {e}",
                "[what|which] year comes {n} years after {e}",
                held=("{n} years on from {e}, what year do we write",),
                x=x,
                n=str(n),
                e=_event(c, attribute, x),
            )
            b.answer(b.calculate(ref, f" + {n}"))
            return Draft(f"{question}?", b, [thing], shown(year + n))
        case "century":
            question = c.frame(
                "in [what|which] century {c}",
                "[what|which] century does {e} [fall in|belong to]",
                "[tell me|find out] the century of {e}",
                held=("{e} belongs to which century",),
                c=_clause(c, attribute, x),
                e=_event(c, attribute, x),
            )
            b.answer(b.calculate("ceil(", ref, " / 100)"))
            return Draft(f"{question}?", b, [thing], shown(math.ceil(year / 100)))
        case _:
            before = rng.random() < 0.5
            bar = int(year) + rng.choice((-1, 1)) * rng.randint(1, 80)
            question = c.frame(
                "{c} {o} {t}",
                "[is it true that {e} was|was {e}] {o} {t}",
                held=("can {e} be dated {o} {t}",),
                c=_clause(c, attribute, x),
                e=_event(c, attribute, x),
                o="before" if before else "after",
                t=str(bar),
            )
            b.yes_no(ref, "<" if before else ">", str(bar))
            return Draft(f"{question}?", b, [thing], "yes" if (year < bar) == before else "no")


def older_and_by(c: Choice, w: World, rank: bool) -> Draft:
    """Which of two is older, and by how many years."""
    rng = c.rng
    attribute, things = _dated(c, w, 2)
    if attribute.noun not in _AGED or not rank:
        raise LookupError("neither has an age")
    up = rng.random() < 0.4
    x, y = (t.text(rng) for t in things)
    word = "younger" if up else "older"
    question = c.frame(
        "which is {m}, {x} or {y}, and by how many years",
        "is {x} or {y} {m}, and by how [much|many years]",
        "which of {x} and {y} is {m}, and by how [much|many years]",
        "{x} or {y}: which is {m} and by how many years",
        "how many years is the {m} of {x} and {y} {m} than the other, and which one is it",
        held=("tell me the {m} of {x} and {y} and its lead in years",),
        m=rng.choice((word, word, "newer" if up else "older")),
        x=x,
        y=y,
    )
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    order = b.rank([t.name for t in things], refs, descending=up)
    gap = b.calculate("abs(", refs[0], " - ", refs[1], ")")
    b.answer(Item(order.step, 0), ", ", gap, " years")
    numbers = [t.number(attribute) for t in things]
    best = things[0] if (numbers[0] > numbers[1]) == up else things[1]
    return Draft(f"{question}?", b, things, f"{best.name}, {shown(abs(numbers[0] - numbers[1]))} years")


def lives(c: Choice, w: World, rank: bool) -> Draft:
    """People: how old they got, who lived longer, how old one was when another was born."""
    rng = c.rng
    kind = rng.choice(("age", "age", "longer", "at", "after", "overlap", "in"))
    people = w.people(rng, 1 if kind in ("age", "in") else 2)
    texts = [p.name for p in people]
    births = [float(p.facts["birth year"][0]) for p in people]
    deaths = [float(p.facts["death year"][0]) for p in people]
    b = Builder()

    def life(i: int) -> Ref:
        born = b.look("birth year", people[i].name)
        return b.calculate(b.look("death year", people[i].name), " - ", born)

    match kind:
        case "age":
            question = c.frame(
                "how old [was {x} when [he|she|they] died|did {x} get|did {x} become]".replace(
                    "[he|she|they]", rng.choice(("he", "she", "they"))
                ),
                "at what age did {x} die",
                "how [long|many years] did {x} live",
                "what age did {x} reach",
                held=("{x} died at what age",),
                x=texts[0],
            )
            b.answer(life(0))
            return Draft(f"{question}?", b, people, shown(deaths[0] - births[0]))
        case "in":
            year = int(births[0]) + rng.randint(5, int(deaths[0] - births[0]))
            question = c.frame(
                "how old was {x} in {t}",
                "what was the age of {x} in the year {t}",
                "in {t}, how old was {x}",
                held=("{x} had which age in {t}",),
                x=texts[0],
                t=str(year),
            )
            b.answer(b.calculate(f"{year} - ", b.look("birth year", people[0].name)))
            return Draft(f"{question}?", b, people, shown(year - births[0]))
        case "longer":
            spans = [d - a for a, d in zip(births, deaths, strict=True)]
            if spans[0] == spans[1]:
                raise LookupError("both lived as long")
            up = rng.random() < 0.7
            question = c.frame(
                "who lived {m}, {x} or {y}",
                "who {g}, {x} or {y}",
                "{x} or {y}: who {g}",
                held=("whose life was the {m} one, {x}'s or {y}'s",),
                m="longer" if up else "shorter",
                g="got older" if up else "died younger",
                x=texts[0],
                y=texts[1],
            )
            values = [life(0), life(1)]
            pick_best(b, texts, values, up=up, rank=rank)
            best = texts[0] if (spans[0] > spans[1]) == up else texts[1]
            return Draft(f"{question}?", b, people, best)
        case "at":
            early, late = (0, 1) if births[0] < births[1] else (1, 0)
            if births[0] == births[1]:
                raise LookupError("both are of one age")
            question = c.frame(
                "how old was {x} when {y} was born",
                "what age was {x} at the birth of {y}",
                "how many years older was {x} than {y}",
                "how many years before {y} was {x} born",
                held=("{y} was born when {x} was how old",),
                x=texts[early],
                y=texts[late],
            )
            order = sorted((early, late), key=lambda i: question.find(texts[i]))
            found = {i: b.look("birth year", people[i].name) for i in order}
            b.answer(b.calculate(found[late], " - ", found[early]))
            return Draft(f"{question}?", b, people, shown(births[late] - births[early]))
        case "after":
            first, second = (0, 1) if deaths[0] < births[1] else (1, 0)
            if deaths[first] >= births[second]:
                raise LookupError("their lives overlap")
            question = c.frame(
                "how many years after the death of {x} was {y} born",
                "how many years after {x} died was {y} born",
                "how many years lie between the death of {x} and the birth of {y}",
                held=("{x} had been dead for how many years when {y} was born",),
                x=texts[first],
                y=texts[second],
            )
            died = b.look("death year", people[first].name)
            born = b.look("birth year", people[second].name)
            b.answer(b.calculate(born, " - ", died))
            return Draft(f"{question}?", b, people, shown(births[second] - deaths[first]))
        case _:
            question = c.frame(
                "was {x} [already|] born when {y} died",
                "did {x} [come into the world|live] before {y} died".replace(
                    "come into the world|live", "come into the world"
                ),
                held=("by the time {y} died, had {x} been born",),
                x=texts[0],
                y=texts[1],
            )
            if question.find(texts[1]) < question.find(texts[0]):
                died = b.look("death year", people[1].name)
                born = b.look("birth year", people[0].name)
            else:
                born = b.look("birth year", people[0].name)
                died = b.look("death year", people[1].name)
            if births[0] == deaths[1]:
                raise LookupError("the same year")
            b.yes_no(born, "<", died)
            return Draft(f"{question}?", b, people, "yes" if births[0] < deaths[1] else "no")
