"""Values in other units, in millions, and rounded."""

from __future__ import annotations

from braid.training.questions.beyond.common import COUNT, amount, asked_for, different
from braid.training.questions.families import Draft, shown
from braid.training.questions.program import Builder, Ref
from braid.training.questions.quantities import Quantity, changed, fact, gap, mean, total
from braid.training.questions.template import Choice
from braid.training.questions.templates import AREA, LENGTH, POPULATION
from braid.training.questions.units import BASE, OTHER, SAME, Unit, base_unit
from braid.training.questions.world import Thing, World

_SCALES = ((1e9, "billion", "1e9"), (1e6, "million", "1e6"), (1e3, "thousand", "1000"))


def _quantity(c: Choice, w: World) -> Quantity:
    kind = c.rng.choice((fact, fact, changed, gap, gap, total, mean))
    count = 1 if kind in (fact, changed) else c.rng.choice((2, 2, 3)) if kind is not gap else 2
    attribute, things = different(w, c, count)
    return kind(c, attribute, things[0] if count == 1 else things)  # pyright: ignore[reportArgumentType]


def in_other_unit(c: Choice, w: World, rank: bool) -> Draft:
    """A computed value in another unit, rounded now and then: "K2 minus Mont Blanc in feet"."""
    rng = c.rng
    q = _quantity(c, w)
    if q.attribute is None or q.value <= 0:
        raise LookupError("no unit")
    base = base_unit(q.attribute, q.things[0])
    # Often the unit that is asked for is the one that the facts have: then nothing is converted.
    unit = Unit(SAME[base], "", float) if rng.random() < 0.35 else rng.choice(OTHER[base])
    if q.attribute.unit_words[:1] == ("°C",):
        raise LookupError("differences of temperatures are not converted")
    word = rng.choice(unit.words)
    number = unit.convert(q.value)
    rounded = rng.random() < 0.3
    text = q.text
    telegraphic = False
    if len(q.things) == 2 and rng.random() < 0.15:
        attribute = q.attribute
        first, second = sorted(q.things, key=lambda t: -t.number(attribute))
        q = _difference(c, q, [first, second])
        text, number, telegraphic = q.text, unit.convert(q.value), True
    if rounded:
        digits = rng.choice((0, 0, 1, 2))
        round_text = (
            c.fill(
                "[rounded|rounded to the nearest whole number|to the nearest whole number|without decimals]"
            )
            if not digits
            else c.fill("[rounded|] to {d} decimal place[|]", d=COUNT.get(digits, "one"))
            + ("s" if digits > 1 else "")
        )
    else:
        digits, round_text = 0, ""
    inside = c.frame(
        "{q} in {u}",
        "{q} expressed in {u}" if not telegraphic else "{q} in {u}",
        "{q}, in {u}",
        held=("{q}, counted in {u}",),
        q=text,
        u=word,
    )
    question = inside if telegraphic else asked_for(c, inside)
    if round_text:
        question = f"{question}{rng.choice((', ', ' '))}{round_text}"
    b = Builder()
    refs = q.look(b)
    value = q.compute(b, refs)
    if unit.suffix:
        value = b.calculate(value, unit.suffix)
    if rounded:
        value = b.calculate("round(", value, f", {digits})" if digits else ")")
        number = round(number, digits) if digits else round(number)
    b.answer(value, f" {word}")
    return Draft(f"{question}?", b, q.things, f"{shown(number)} {word}")


def _difference(c: Choice, q: Quantity, things: list[Thing]) -> Quantity:
    attribute = q.attribute
    assert attribute is not None
    x, y = (t.text(c.rng) for t in things)
    noun = c.rng.choice(attribute.words)
    return Quantity(
        text=c.fill("[{x} minus {y}|{n} {x} minus {y}|{x} - {y}, {n},]", x=x, y=y, n=noun),
        value=things[0].number(attribute) - things[1].number(attribute),
        unit=q.unit,
        things=things,
        look=lambda b: [b.look(attribute.noun, t.name) for t in things],
        compute=lambda b, refs: b.calculate(refs[0], " - ", refs[1]),
        attribute=attribute,
    )


def scaled_down(c: Choice, w: World, rank: bool) -> Draft:
    """A value in millions, thousands or billions: "What is the population of Peru in millions?"."""
    rng = c.rng
    q = _quantity(c, w)
    if q.attribute is None or (q.attribute.noun in BASE and q.attribute not in (POPULATION, AREA, LENGTH)):
        raise LookupError("nobody counts these in thousands")
    scales = [s for s in _SCALES if q.value >= s[0] * 0.5]
    if not scales:
        raise LookupError("the value is small")
    scale, word, literal = rng.choice(scales[:2])
    digits = rng.choice((None, None, None, 0, 1, 2))
    inside = c.frame(
        "{q} in {s}",
        "{q}, in {s}",
        "{q} expressed in {s}",
        "{q} measured in {s}",
        held=("{q}, with {s} as the unit",),
        q=q.text,
        s=f"{word}s",
    )
    question = asked_for(c, inside)
    if q.attribute.noun == "population" and len(q.things) == 1 and q.value == q.things[0].number(q.attribute):
        x = q.things[0].text(rng)
        if rng.random() < 0.4:
            question = c.frame(
                "how many {s} [of|] people live in {x}".replace("[of|]", "of"),
                "how many {w} [people|inhabitants] does {x} have",
                "how many {w} people are there in {x}",
                held=("{x} counts how many {w} heads",),
                s=f"{word}s",
                w=word,
                x=x,
            )
    if digits is not None:
        end = (
            "[rounded|rounded to the nearest whole number]"
            if digits == 0
            else f"[rounded|] to {COUNT.get(digits, 'one')} decimal{'s' if digits > 1 else ' place'}"
        )
        question += c.fill("[,|] ") + " " + c.fill(end)
    b = Builder()
    value = b.calculate(q.compute(b, q.look(b)), f" / {literal}")
    number = q.value / scale
    if digits is not None:
        value = b.calculate("round(", value, f", {digits})" if digits else ")")
        number = round(number, digits) if digits else round(number)
    b.answer(value, f" {word}")
    return Draft(f"{' '.join(question.split())}?", b, q.things, f"{shown(number)} {word}")


def nearest(c: Choice, w: World, rank: bool) -> Draft:
    """A value rounded to the nearest ten, hundred, thousand or million, or to some digits."""
    rng = c.rng
    q = _quantity(c, w)
    if q.attribute is None or q.value <= 0:
        raise LookupError("no attribute")
    places = [
        (p, t)
        for p, t in (
            (0, "whole number"),
            (1, "ten"),
            (2, "hundred"),
            (3, "thousand"),
            (4, "ten thousand"),
            (6, "million"),
        )
        if q.value > 3 * 10**p
    ]
    decimals = rng.random() < 0.2
    if decimals:
        digits = rng.choice((1, 2, 3))
        end = f"to {COUNT.get(digits, 'one')} decimal {'places' if digits > 1 else 'place'}"
    elif places:
        place, word = rng.choice(places)
        digits, end = -place, f"to the nearest {word}"
    else:
        raise LookupError("the value is small")
    question = c.frame(
        "{a}, rounded {e}",
        "{a} {e}",
        "[round|please round] {q} {e}",
        "{a}, {e}",
        "rounded {e}, [what is|what's] {q}",
        "{e}, [what is|what's] {q}",
        held=("{a}? Round your answer {e}", "[give|state] {q} only {e}"),
        a=asked_for(c, q.text),
        q=q.text,
        e=end,
    )
    b = Builder()
    value = q.compute(b, q.look(b))
    fact_ref = next(i for i, step in enumerate(b.steps) if hasattr(step, "attribute"))
    rounded = b.calculate("round(", value, f", {digits})" if digits else ")")
    b.answer(amount(q.attribute, rounded, Ref(fact_ref)))
    number = round(q.value, digits) if digits else round(q.value)
    return Draft(f"{question}?", b, q.things, shown(number, q.unit or ""))
