"""Hypothetical changes to a value: by 15 %, to a third, doubled, by 4.5 times, by 500 metres."""

from __future__ import annotations

import random

from braid.training.questions.templates import Attribute, Change
from braid.training.questions.units import number_near, unit_words
from braid.training.questions.world import Thing

FRACTIONS = {"third": 3, "quarter": 4, "fifth": 5, "tenth": 10, "half": 2, "sixth": 6, "eighth": 8}
PARTS = {
    "half": 2,
    "one-half": 2,
    "a third": 3,
    "one-third": 3,
    "one third": 3,
    "a quarter": 4,
    "one-quarter": 4,
    "one-fourth": 4,
    "a fifth": 5,
    "one-fifth": 5,
    "one fifth": 5,
    "one-sixth": 6,
    "a tenth": 10,
    "one-tenth": 10,
    "one-eighth": 8,
}
WHOLE = {"doubled": 2, "tripled": 3, "quadrupled": 4}


def number(rng: random.Random) -> str:
    """A factor such as people name: 2, 3.5, 10."""
    pick = rng.random()
    if pick < 0.5:
        return str(rng.choice((2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 50, 100)))
    return f"{rng.randint(1, 9)}.{rng.choice((5, 5, 5, rng.randint(1, 9), rng.randint(11, 99)))}"


def percentage(rng: random.Random) -> str:
    """A number of percent: 20, 7, 12.5."""
    pick = rng.random()
    if pick < 0.45:
        return str(5 * rng.randint(1, 19))
    if pick < 0.9:
        return str(rng.randint(1, 99))
    if pick < 0.95:
        return f"{rng.randint(1, 99)}.{rng.randint(1, 9)}"
    return str(rng.choice((100, 110, 120, 125, 150, 175, 200, 250, 300)))


def percent(amount: str, up: bool, word: str = "%") -> Change:
    """More or less by a number of percent."""
    value = float(amount) / 100
    sign = "+" if up else "-"
    factor = 1 + value if up else 1 - value
    return Change(f" * (1 {sign} {amount} / 100)", lambda v: v * factor, up, f"{amount}{word}", "by")


def times(amount: str, up: bool, by: str, form: str = "by") -> Change:
    """More by a factor, or divided by it."""
    value = float(amount)
    if up:
        return Change(f" * {amount}", lambda v: v * value, up, by, form)
    return Change(f" / {amount}", lambda v: v / value, up, by, form)


HALF = Change(" * 0.5", lambda v: v * 0.5, False, "half", "by")
STILL = Change("", lambda v: v, True, "", "none")
"""No change, said of one thing among others that change."""


def absolute(rng: random.Random, attribute: Attribute, thing: Thing, up: bool) -> Change:
    """A change by an amount in the fact's own unit: "500 metres"."""
    value = thing.number(attribute)
    text, literal, number = number_near(rng, value * rng.choice((0.02, 0.1, 0.3, 0.5)))
    if not up and number >= value:
        raise LookupError(f"{number} cannot be taken from {value}")
    sign = "+" if up else "-"
    by = text + unit_words(rng, thing.unit(attribute))
    return Change(f" {sign} {literal}", lambda v: v + number if up else v - number, up, by, "by")


def draw_change(rng: random.Random, attribute: Attribute | None = None, thing: Thing | None = None) -> Change:
    """A random change. Most are plain percentages, as people ask. Amounts need the thing that changes."""
    up = rng.random() < 0.5
    if attribute and thing and rng.random() < 0.09:
        return absolute(rng, attribute, thing, up)
    kind = rng.random()
    if kind < 0.74:
        amount = percentage(rng)
        if not up and float(amount) >= 100:
            amount = str(rng.randint(5, 95))
        return percent(amount, up, rng.choice(("%",) * 9 + (" percent", " per cent")))
    if kind < 0.87:
        amount = number(rng)
        by = rng.choice((f"{amount} times", f"a factor of {amount}", f"a factor of {amount}"))
        return times(amount, up, by)
    if kind < 0.92:
        word, size = rng.choice(list(FRACTIONS.items()))
        if word == "half" and not up:
            return HALF
        factor = 1 + 1 / size if up else 1 - 1 / size
        sign = "+" if up else "-"
        by = "half" if word == "half" else rng.choice((f"a {word}", f"one {word}"))
        return Change(f" * (1 {sign} 1 / {size})", lambda v: v * factor, up, by, "by")
    if kind < 0.95 and not up and rng.random() < 0.4:
        share = str(rng.choice((rng.randint(5, 95), 10 * rng.randint(1, 9))))
        return Change(f" * {share} / 100", lambda v: v * float(share) / 100, False, f"{share}%", "to")
    if kind < 0.97 and not up:
        word, size = rng.choice(list(PARTS.items()))
        if size == 2:
            return Change(" * 0.5", lambda v: v * 0.5, False, word, "to")
        return Change(f" / {size}", lambda v: v / size, False, word, "to")
    if up:
        word, size = rng.choice(list(WHOLE.items()))
        return Change(f" * {size}", lambda v: v * size, True, word, "whole")
    return Change(" * 0.5", lambda v: v * 0.5, False, "halved", "whole")
