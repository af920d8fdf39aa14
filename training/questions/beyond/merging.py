"""Countries that become one: their density and totals, and how a third compares."""

from __future__ import annotations

from braid.training.questions.beyond.common import plus
from braid.training.questions.families import Draft, shown
from braid.training.questions.program import Amount, Builder, Ref
from braid.training.questions.quantities import summed
from braid.training.questions.template import Choice
from braid.training.questions.templates import AREA, POPULATION
from braid.training.questions.world import Thing, World

_DENSITY = (
    "how many people [would live|would there be|live|are there] per [square km|square kilometre|square kilometer|km2]",
    "what would [be the|the] population density [be|]".replace(
        "what would [be the|the] population density [be|]",
        "[what would be the population density|what would the population density be|what is the population density]",
    ),
    "how densely [would it be populated|populated would it be]",
    "how many people would share [each|one|a] square kilometre",
    "what would its population density be",
    "how crowded would it be, in people per km2",
)


def _lands(c: Choice, w: World, count: int) -> list[Thing]:
    things = w.having(c.rng, (POPULATION.noun, AREA.noun), count)
    if {t.kind for t in things} not in ({"country"}, {"state"}, {"island"}):
        raise LookupError("these do not go together")
    return things


def merged(c: Choice, w: World, rank: bool) -> Draft:
    """Two or three become one, and then a change, a third country, or nothing: density, population or area."""
    rng = c.rng
    size = rng.choice((2, 2, 2, 3))
    then = rng.choice(("", "", "grow", "more", "times", "share", "gap"))
    count = size + (then in ("more", "times", "gap"))
    things = _lands(c, w, count)
    group, others = things[:size], things[size:]
    texts = [t.text(rng) for t in things]
    names = c.listed(texts[:size])
    x = names
    third = texts[-1]
    situation = c.frame(
        "[if|suppose|assuming|imagine|say|supposing] {x} [merged|united|became one country|were one country|joined together|formed one state|were merged into one|were combined into a single country]",
        "[with|after] {x} [merged into one country|united|joined into one state]",
        "[if you|if we] [merged|united|joined|combined] {x} [into one country|into a single state|]",
        held=("let {x} become a single land", "say that {x} fuse"),
        x=x,
    )
    if "were {x}" in situation or (
        situation.startswith("with") and "into" not in situation and "united" not in situation
    ):
        raise LookupError("this cannot be said so")
    measure = "density" if then in ("", "grow", "more", "gap") else rng.choice(("population", "area"))
    if then == "" and rng.random() < 0.3:
        measure = rng.choice(("population", "area"))
    noun = {"density": "population density", "population": "population", "area": "area"}[measure]
    needs_people, needs_land = measure != "area", measure != "population"
    b = Builder()
    people = [b.look(POPULATION.noun, t.name) for t in group] if needs_people else []
    land = [b.look(AREA.noun, t.name) for t in group] if needs_land else []
    total_people = sum(t.number(POPULATION) for t in group)
    total_land = sum(t.number(AREA) for t in group)
    density = total_people / total_land
    extra = ""
    match then:
        case "grow":
            percent = rng.choice((5, 10, 15, 20, 25, 30, 40, 50, rng.randint(1, 95)))
            up = rng.random() < 0.6
            extra = c.frame(
                " and [its|the] [population|number of people] [then|] {v} by {p}%",
                " and then {d} {p}% of [its|their] people",
                held=(" only for its population to {w} by {p}%",),
                v=rng.choice(("grew", "rose", "increased") if up else ("fell", "dropped", "shrank")),
                d="gained" if up else "lost",
                w="grow" if up else "fall",
                p=str(percent),
            )
            grown = b.calculate(*summed(people), f" * (1 {'+' if up else '-'} {percent} / 100)")
            result = b.calculate(grown, " / ", *summed(land))
            number = density * (1 + percent / 100 if up else 1 - percent / 100)
            tail = c.frame(*_DENSITY, held=("what density of people would that give",))
            b.answer(result)
            answer = shown(number)
        case "more" | "gap":
            other = others[0]
            p, a = b.look(POPULATION.noun, other.name), b.look(AREA.noun, other.name)
            mine = b.calculate(*summed(people), " / ", *summed(land))
            theirs = b.calculate(p, " / ", a)
            that = other.number(POPULATION) / other.number(AREA)
            if abs(density / that - 1) < 1e-6:
                raise LookupError("too close")
            if then == "more":
                up = rng.random() < 0.6
                tail = c.frame(
                    "would [it|the new country] be {m} [densely populated|crowded] than {t}",
                    "would its population density be {h} than [that of {t}|{t}'s]",
                    "would there be {m} people per square kilometre than in {t}",
                    held=("is it then {m} crowded than {t}",),
                    m="more" if up else "less",
                    h="higher" if up else "lower",
                    t=third,
                ).replace("less people", "fewer people")
                b.yes_no(mine, ">" if up else "<", theirs)
                answer = "yes" if (density > that) == up else "no"
            else:
                tail = c.frame(
                    "how many times as [dense|densely populated] as {t} would it be",
                    "what would be the ratio of its population density to [that of {t}|{t}'s]",
                    held=("its density would be what multiple of that of {t}",),
                    t=third,
                )
                b.answer(b.calculate(mine, " / ", theirs))
                answer = shown(density / that)
        case "times" | "share":
            attribute = POPULATION if measure == "population" else AREA
            refs = people or land
            whole = total_people if measure == "population" else total_land
            if then == "share":
                i = rng.randrange(size)
                tail = c.frame(
                    "what [percentage|share in percent] of [its|the] {n} would [come from|be that of|belong to] {y}",
                    "what percentage of the {n} would {y} [make up|contribute|account for]",
                    "how many percent of the {n} would {y} have",
                    held=("how big would {y}'s part of the {n} be, in percent",),
                    n=noun,
                    y=texts[i],
                )
                b.answer(b.calculate("100 * ", refs[i], " / ", *summed(refs)), "%")
                answer = f"{shown(100 * group[i].number(attribute) / whole)}%"
            else:
                other = others[0]
                ref = b.look(attribute.noun, other.name)
                tail = c.frame(
                    "how many times the {n} of {t} would it have",
                    "how many times as {l} as {t} would it be",
                    "what would be the ratio of its {n} to that of {t}",
                    held=("its {n} would be what multiple of {t}'s",),
                    n=noun,
                    l="populous" if measure == "population" else "large",
                    t=third,
                )
                b.answer(b.calculate(*summed(refs), " / ", ref))
                answer = shown(whole / other.number(attribute))
        case _:
            if measure == "density":
                tail = c.frame(*_DENSITY, held=("what density of people would that give",))
                b.answer(b.calculate(*summed(people), " / ", *summed(land)))
                answer = shown(density)
            else:
                attribute = POPULATION if measure == "population" else AREA
                refs = people or land
                tail = c.frame(
                    *(
                        (
                            "how many [people|inhabitants] would [it|the new country] have",
                            "how many people would live there",
                            "what would [its|the total|the combined] population be",
                        )
                        if measure == "population"
                        else (
                            "how [large|big] would [it|the new country] be",
                            "what area would it [cover|have]",
                            "how much land would it [cover|take up]",
                        )
                    ),
                    held=("what would the new {n} amount to",),
                    n=noun,
                )
                b.answer(Amount(b.calculate(*plus(refs)), refs[0]))
                whole = total_people if measure == "population" else total_land
                answer = shown(whole, group[0].unit(attribute))
    if situation.startswith(("if", "assuming", "supposing", "with", "after")) or rng.random() < 0.4:
        return Draft(f"{situation}{extra}, {tail}?", b, things, answer)
    return Draft(f"{situation}{extra}. {tail[:1].upper() + tail[1:]}?", b, things, answer)


def crowded(c: Choice, w: World, rank: bool) -> Draft:
    """The density of one country, plain or after a change of its people or its land, against another's."""
    rng = c.rng
    kind = rng.choice(("plain", "changed", "ratio", "gap", "same"))
    things = _lands(c, w, 1 if kind in ("plain", "changed") else 2)
    texts = [t.text(rng) for t in things]
    b = Builder()
    densities = [t.number(POPULATION) / t.number(AREA) for t in things]
    people: list[Ref] = []
    land: list[Ref] = []
    for thing in things:
        people.append(b.look(POPULATION.noun, thing.name))
        land.append(b.look(AREA.noun, thing.name))
    if kind == "plain":
        question = c.frame(
            "how many people [live|are there] [per square kilometre|on each square kilometre|per km2|on a square km] in {x}",
            "[what is|what's|calculate] the population density of {x}",
            "how densely populated is {x}",
            "how much [land|area] [does each person in {x} have|is there per person in {x}|per inhabitant does {x} have]",
            held=("on one km2 of {x}, how many people live",),
            x=texts[0],
        )
        if "how much" in question:
            b.answer(b.calculate(land[0], " / ", people[0]))
            return Draft(f"{question}?", b, things, shown(1 / densities[0]))
        b.answer(b.calculate(people[0], " / ", land[0]))
        return Draft(f"{question}?", b, things, shown(densities[0]))
    if kind == "changed":
        percent = rng.choice((5, 10, 20, 25, 30, 50, rng.randint(2, 90)))
        up, of_people = rng.random() < 0.6, rng.random() < 0.7
        question = c.frame(
            "if {x} {v} {p}% [of its|more|] {o}, how many people per [square kilometre|km2] would it have".replace(
                "{v} {p}% [of its|more|] {o}", "{v} {p}% {m} {o}"
            ),
            "how many people per [square kilometre|km2] would {x} have [if|after] its {n} [{d}|{d}] by {p}%".replace(
                "[if|after] its {n} [{d}|{d}]", "if its {n} {d}"
            ),
            "suppose the {n} of {x} {d} by {p}%. What would [be its population density|its population density be]",
            held=("with the {n} of {x} {d} by {p}%, how dense would it get",),
            x=texts[0],
            v="had" if up else "lost",
            m="more" if up else "of its",
            o="people" if of_people else "land",
            n="population" if of_people else "area",
            d=rng.choice(("grew", "rose", "increased") if up else ("fell", "shrank", "decreased")),
            p=str(percent),
        )
        factor = f" * (1 {'+' if up else '-'} {percent} / 100)"
        number = 1 + percent / 100 if up else 1 - percent / 100
        if of_people:
            changed = b.calculate(people[0], factor)
            b.answer(b.calculate(changed, " / ", land[0]))
            return Draft(f"{question}?", b, things, shown(densities[0] * number))
        changed = b.calculate(land[0], factor)
        b.answer(b.calculate(people[0], " / ", changed))
        return Draft(f"{question}?", b, things, shown(densities[0] / number))
    values = [b.calculate(p, " / ", a) for p, a in zip(people, land, strict=True)]
    if densities[0] < densities[1]:
        high, low = 1, 0
    else:
        high, low = 0, 1
    if kind == "ratio":
        question = c.frame(
            "how many times as densely populated [as {y} is {x}|is {x} as {y}]",
            "what is the ratio of the population density of {x} to that of {y}",
            held=("{x} is how many times as crowded as {y}",),
            x=texts[0],
            y=texts[1],
        )
        b.answer(b.calculate(values[0], " / ", values[1]))
        if question.find(texts[1]) < question.find(texts[0]):
            raise LookupError("the other way round")
        return Draft(f"{question}?", b, things, shown(densities[0] / densities[1]))
    if kind == "gap":
        question = c.frame(
            "how many more people per [square kilometre|km2] [live|are there] in {h} than in {l}",
            "by how much does the population density of {h} exceed that of {l}",
            "how many fewer people per [square kilometre|km2] [live|are there] in {l} than in {h}",
            held=("how much denser is {h} than {l}, in people per km2",),
            h=texts[high],
            l=texts[low],
        )
        if question.find(texts[1]) < question.find(texts[0]):
            raise LookupError("the other way round")
        b.answer(b.calculate(values[high], " - ", values[low]))
        return Draft(f"{question}?", b, things, shown(densities[high] - densities[low]))
    question = c.frame(
        "how many people would {x} have if it were as [densely populated|crowded] as {y}",
        "with the population density of {y}, how many people would live in {x}",
        "if {x} had the population density of {y}, how many people would live there",
        held=("fill {x} as densely as {y}: how many people is that",),
        x=texts[0],
        y=texts[1],
    )
    if question.find(texts[1]) < question.find(texts[0]):
        raise LookupError("the other way round")
    b = Builder()
    area = b.look(AREA.noun, things[0].name)
    p, a = b.look(POPULATION.noun, things[1].name), b.look(AREA.noun, things[1].name)
    value = b.calculate(area, " * ", p, " / ", a)
    b.answer(value)
    return Draft(f"{question}?", b, things, shown(things[0].number(AREA) * densities[1]))
