"""Arithmetic on numbers that the question gives: word problems and bare sums."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from braid.training.questions.families import Draft, shown
from braid.training.questions.program import Builder
from braid.training.questions.template import Choice, words
from braid.training.questions.world import World

Numbers = Mapping[str, float]

_PEOPLE = words(
    "Anna Ben Carla David Emma Farid Grace Hugo Ines Jonas Kim Lena Marco Nadia Olga Pablo Rosa Sam Tom Uma "
    "Victor Wendy Yusuf Zoe Priya Chen Amara Diego Mia Leo"
)
_ITEMS = words(
    "apples pencils books tickets marbles cards eggs bottles chairs stamps cookies boxes shirts oranges cups "
    "candles tiles bricks flowers coins"
)
_MONEY = ("dollars", "euros", "pounds", "dollars", "euros", "francs")


@dataclass(frozen=True)
class Problem:
    """A kind of problem.

    Patterns have the slots of the drawn numbers (`{a}`), `{p}` and `{q}` for people, `{i}` for things and `{m}`
    for money. `sum` is the expression in the same slots. `draw` gives the numbers. `value` is the true result.
    """

    patterns: tuple[str, ...]
    held: tuple[str, ...]
    sum: str
    value: Callable[[Numbers], float]
    draw: Callable[[random.Random], Numbers]
    unit: str = ""


def _between(**ranges: tuple[float, float]) -> Callable[[random.Random], Numbers]:
    """Whole numbers between bounds. A lower bound that is no whole number draws with one decimal."""

    def draw(rng: random.Random) -> Numbers:
        return {
            n: rng.randint(int(lo), int(hi)) if isinstance(lo, int) else round(rng.uniform(lo, hi), 1)
            for n, (lo, hi) in ranges.items()
        }

    return draw


def _less(**ranges: tuple[float, float]) -> Callable[[random.Random], Numbers]:
    """As `_between`, and b is drawn below a."""
    plain = _between(**ranges)

    def draw(rng: random.Random) -> Numbers:
        drawn = dict(plain(rng))
        if drawn["a"] <= drawn["b"]:
            raise LookupError("b is not below a")
        return drawn

    return draw


def _price(rng: random.Random) -> float:
    return rng.choice((rng.randint(2, 90), round(rng.uniform(0.5, 40), 2), rng.randint(1, 30) + 0.5))


def _shop(rng: random.Random) -> Numbers:
    return {"a": rng.randint(2, 20), "b": _price(rng), "c": rng.randint(2, 12), "d": _price(rng)}


def _discount(rng: random.Random) -> Numbers:
    return {
        "a": rng.choice((rng.randint(10, 900), _price(rng) + 10)),
        "b": rng.choice((5, 10, 12, 15, 20, 25, 30, 35, 40, 60)),
    }


def _change(rng: random.Random) -> Numbers:
    a, b = rng.randint(2, 9), round(rng.uniform(0.5, 9), 2)
    return {"a": a, "b": b, "c": rng.choice((50, 100)) if a * b < 50 else 100}


def _times(rng: random.Random) -> Numbers:
    start = rng.randint(6, 14)
    end = rng.randint(start + 2, 23)
    return {
        "a": start,
        "b": rng.choice((0, 10, 15, 20, 30, 40, 45, 50, 5)),
        "c": end,
        "d": rng.choice((0, 5, 10, 15, 25, 30, 45, 55)),
    }


def _years(rng: random.Random) -> Numbers:
    a = rng.randint(1000, 1990)
    return {"a": a, "b": a + rng.randint(3, 500)}


def _several(rng: random.Random) -> Numbers:
    return {n: rng.choice((rng.randint(1, 100), rng.randint(10, 5000))) for n in "abc"}


def _ratio(rng: random.Random) -> Numbers:
    a, b = rng.randint(1, 7), rng.randint(1, 7)
    return {"a": a, "b": b, "c": (a + b) * rng.randint(3, 60)}


_BIG = {"a": (2, 9999), "b": (2, 9999)}
_PROBLEMS = (
    Problem(
        (
            "[what is|what's|calculate|compute|how much is|] {a} [times|x|*|multiplied by] {b}",
            "multiply {a} [by|and] {b}",
            "{a} times {b} equals what",
            "the product of {a} and {b}",
        ),
        ("{a} taken {b} times makes what",),
        "{a} * {b}",
        lambda n: n["a"] * n["b"],
        _between(a=(2, 400), b=(2, 400)),
    ),
    Problem(
        (
            "[what is|what's|how much is|calculate|] {a} [plus|+|and|added to] {b}".replace("|and", ""),
            "add {a} [and|to] {b}",
            "the sum of {a} and {b}",
        ),
        ("{a} joined with {b} makes what",),
        "{a} + {b}",
        lambda n: n["a"] + n["b"],
        _between(**_BIG),
    ),
    Problem(
        (
            "[what is|what's|how much is|calculate|] {a} [minus|-|less] {b}",
            "take {b} away from {a}",
            "subtract {b} from {a}",
            "[what is left|what remains] when you take {b} from {a}",
        ),
        ("remove {b} from {a}: what stays",),
        "{a} - {b}",
        lambda n: n["a"] - n["b"],
        _less(**_BIG),
    ),
    Problem(
        (
            "[what is|what's|how much is|calculate|] {a} [divided by|over|/] {b}",
            "divide {a} by {b}",
            "split {a} into {b} equal parts. How [big|large] is each",
            "how many times does {b} go into {a}",
        ),
        ("{a} shared by {b} gives what",),
        "{a} / {b}",
        lambda n: n["a"] / n["b"],
        _less(a=(20, 9999), b=(2, 99)),
    ),
    Problem(
        (
            "[what is|what's|how much is|calculate|] {a}[%| percent| per cent] of {b}",
            "[find|work out] {a}% of {b}",
            "take {a}% of {b}",
            "{a} percent of {b} is [what|how much]",
        ),
        ("{b}, and of that {a} percent",),
        "{a} / 100 * {b}",
        lambda n: n["b"] * n["a"] / 100,
        _between(a=(1, 150), b=(10, 5000)),
    ),
    Problem(
        (
            "what percentage of {b} is {a}",
            "{a} is what [percent|percentage] of {b}",
            "[express|what is] {a} as a percentage of {b}",
            "how many percent of {b} is {a}",
            "{a} out of {b} in percent",
            "{a} out of {b} is what percentage",
        ),
        ("if {b} is everything, {a} is how many percent",),
        "100 * {a} / {b}",
        lambda n: 100 * n["a"] / n["b"],
        _between(a=(1, 300), b=(20, 900)),
        "%",
    ),
    Problem(
        (
            "by [what percentage|how many percent] is {a} larger than {b}",
            "what is the percentage increase from {b} to {a}",
            "{b} grows to {a}. By how many percent [is that|did it grow]",
            "how many percent more than {b} is {a}",
            "a value went from {b} to {a}. What is the rise in percent",
        ),
        ("up from {b} to {a}: how many percent",),
        "100 * ({a} - {b}) / {b}",
        lambda n: 100 * (n["a"] - n["b"]) / n["b"],
        _less(a=(20, 900), b=(10, 800)),
        "%",
    ),
    Problem(
        (
            "by [what percentage|how many percent] is {b} smaller than {a}",
            "what is the percentage decrease from {a} to {b}",
            "{a} falls to {b}. By how many percent [is that|did it fall]",
            "how many percent less than {a} is {b}",
            "the price drops from {a} to {b} {m}. How many percent is that",
        ),
        ("down from {a} to {b}: how many percent",),
        "100 * ({a} - {b}) / {a}",
        lambda n: 100 * (n["a"] - n["b"]) / n["a"],
        _less(a=(20, 900), b=(10, 800)),
        "%",
    ),
    Problem(
        (
            "{p} has {a} {i} and buys {b} more. How many [{i}|] does {p} have [now|then|]",
            "{p} has {a} {i} and gets {b} from {q}. How many does {p} have now",
            "there are {a} {i} in a box and {b} are added. How many are there [now|then]",
        ),
        ("{b} {i} join the {a} that {p} already owned. How many make that",),
        "{a} + {b}",
        lambda n: n["a"] + n["b"],
        _between(a=(3, 400), b=(2, 400)),
    ),
    Problem(
        (
            "{p} has {a} {i} and gives {b} [of them|] to {q}. How many are left",
            "{p} had {a} {i}. {q} took {b}. How many remain",
            "of {a} {i}, {b} were sold. How many are left",
            "if {p} loses {b} of {a} {i}, how many does {p} still have",
        ),
        ("{a} {i}, {b} gone. How many remain to {p}",),
        "{a} - {b}",
        lambda n: n["a"] - n["b"],
        _less(a=(5, 400), b=(2, 390)),
    ),
    Problem(
        (
            "{p} buys {a} {i} at {b} {m} each and {c} {i2} at {d} {m} each. [How much does {p} pay|How much is that in total|What is the total]",
            "how much do {a} {i} at {b} {m} and {c} {i2} at {d} {m} cost [together|in total]",
            "{a} {i} cost {b} {m} each, {c} {i2} cost {d} {m} each. What does {p} pay for all",
        ),
        ("for {a} {i} ({b} {m} apiece) and {c} {i2} ({d} {m} apiece), what goes over the counter",),
        "{a} * {b} + {c} * {d}",
        lambda n: n["a"] * n["b"] + n["c"] * n["d"],
        _shop,
        "money",
    ),
    Problem(
        (
            "one of the {i} costs {b} {m}. How much do {a} cost",
            "how much do {a} {i} cost at {b} {m} each",
            "{p} buys {a} {i} for {b} {m} each. What does {p} pay",
            "if {i} cost {b} {m} each, what is the price of {a}",
        ),
        ("{a} {i}, {b} {m} apiece: what is the bill",),
        "{a} * {b}",
        lambda n: n["a"] * n["b"],
        lambda r: {"a": r.randint(2, 60), "b": _price(r)},
        "money",
    ),
    Problem(
        (
            "{p} pays {c} {m} for {a} {i} at {b} {m} each. How much change does {p} get",
            "{p} buys {a} {i} for {b} {m} each and pays with {c} {m}. What is the change",
            "if {p} has {c} {m} and buys {a} {i} at {b} {m}, how much [money|] is left",
        ),
        ("out of {c} {m}, {a} {i} at {b} {m} are paid. What does {p} get back",),
        "{c} - {a} * {b}",
        lambda n: n["c"] - n["a"] * n["b"],
        _change,
        "money",
    ),
    Problem(
        (
            "a coat costs {a} {m} and is reduced by {b}%. What is the new price",
            "what do I pay for something that costs {a} {m} with {b}% off",
            "{a} {m} minus {b}% discount",
            "the price is {a} {m}, less {b}%. How much is that",
            "{p} gets {b}% off a bill of {a} {m}. How much is left to pay",
        ),
        ("{b}% come off {a} {m}. What remains to be paid",),
        "{a} * (1 - {b} / 100)",
        lambda n: n["a"] * (100 - n["b"]) / 100,
        _discount,
        "money",
    ),
    Problem(
        (
            "a meal costs {a} {m}. With a tip of {b}%, how much [is it|do I pay]",
            "{a} {m} plus {b}% tax",
            "what is {a} {m} with {b}% VAT added",
            "{p} earns {a} {m} and gets {b}% more. What does {p} earn now",
            "increase {a} by {b}%",
            "a rent of {a} {m} goes up by {b}%. What is the new rent",
        ),
        ("{b}% are put on top of {a} {m}. How much is due",),
        "{a} * (1 + {b} / 100)",
        lambda n: n["a"] * (100 + n["b"]) / 100,
        _discount,
        "money?",
    ),
    Problem(
        (
            "a train [travels|goes|runs] {a} km in {b} hours. [What is its average speed|How fast is it|What is its speed in km/h]",
            "{p} drives {a} km in {b} hours. How fast is that on average",
            "what is the average speed of a car that covers {a} km in {b} hours",
        ),
        ("{a} km took {b} hours. What speed was kept on average",),
        "{a} / {b}",
        lambda n: n["a"] / n["b"],
        _between(a=(40, 900), b=(1.5, 9.5)),
        "km/h",
    ),
    Problem(
        (
            "a [train|bus|boat] [covers|does|travels] {a} km in {b} hours and {c} minutes. "
            "[What is its average speed in km/h|How many km/h is that on average]",
            "{p} [walks|cycles|drives] {a} km in {b} h {c} min. What speed is that in km/h",
            "{a} km in {b} hours {c} minutes, how many km per hour",
        ),
        ("after {b} hours and {c} minutes it had done {a} km. At what average speed",),
        "{a} / ({b} + {c} / 60)",
        lambda n: n["a"] / (n["b"] + n["c"] / 60),
        _between(a=(20, 900), b=(1, 9), c=(1, 59)),
        "km/h",
    ),
    Problem(
        (
            "a ticket costs {a} {m}, and children pay half. What do {b} adults and {c} children pay [together|]",
            "adults pay {a} {m}, children half of that. How much is it for {b} adults and {c} children",
            "entry is {a} {m}, half price for children: what do {b} adults with {c} children pay",
        ),
        ("at {a} {m} a head and half for the young, what do {b} grown-ups and {c} children owe",),
        "{a} * {b} + {a} / 2 * {c}",
        lambda n: n["a"] * n["b"] + n["a"] / 2 * n["c"],
        _between(a=(2.5, 40.5), b=(2, 9), c=(2, 9)),
        "money",
    ),
    Problem(
        (
            "how far does a car go in {b} hours at {a} km/h",
            "{p} cycles for {b} hours at {a} km/h. How many km is that",
            "at {a} km/h, what distance do you cover in {b} hours",
        ),
        ("{b} hours on the road at {a} km/h: how many km",),
        "{a} * {b}",
        lambda n: n["a"] * n["b"],
        _between(a=(10, 140), b=(1.5, 9.5)),
        "km",
    ),
    Problem(
        (
            "how long does it take to [drive|travel|go] {a} km at {b} km/h",
            "how many hours does {p} need for {a} km at {b} km/h",
            "a ship sails {a} km at {b} km/h. How many hours [does it take|is it under way]",
        ),
        ("{a} km lie ahead and {p} does {b} km/h. For how many hours",),
        "{a} / {b}",
        lambda n: n["a"] / n["b"],
        _between(a=(60, 2000), b=(8, 130)),
        "hours",
    ),
    Problem(
        (
            "what is the [average|mean] of {a}, {b} and {c}",
            "[average|mean] of {a}, {b}, {c}",
            "[find|calculate] the average of {a}, {b} and {c}",
            "{p} scored {a}, {b} and {c} points. What is the average",
        ),
        ("even out {a}, {b} and {c}: what does each become",),
        "({a} + {b} + {c}) / 3",
        lambda n: (n["a"] + n["b"] + n["c"]) / 3,
        _several,
    ),
    Problem(
        (
            "what is the [sum|total] of {a}, {b} and {c}",
            "add up {a}, {b} and {c}",
            "{a} + {b} + {c}",
            "{p} has {a} {i}, {q} has {b} and their friend {c}. How many do they have together",
        ),
        ("throw {a}, {b} and {c} together: how much is it",),
        "{a} + {b} + {c}",
        lambda n: n["a"] + n["b"] + n["c"],
        _several,
    ),
    Problem(
        (
            "what is the [difference|gap] between the [largest|biggest] and the smallest of {a}, {b} and {c}",
            "of {a}, {b} and {c}, how far are the largest and the smallest apart",
        ),
        ("from the lowest to the highest of {a}, {b} and {c}, how big is the step",),
        "max({a}, {b}, {c}) - min({a}, {b}, {c})",
        lambda n: max(n.values()) - min(n.values()),
        _several,
    ),
    Problem(
        (
            "[what is|what's|calculate|] {a} [to the power of|**|^|to the power] {b}",
            "raise {a} to the power [of|] {b}".replace("[of|]", "of"),
            "{a} to the {b}th power".replace("{b}th", "{b}th"),
        ),
        ("{a} multiplied by itself until there are {b} of them",),
        "{a} ** {b}",
        lambda n: n["a"] ** n["b"],
        lambda r: {"a": r.randint(2, 12), "b": r.randint(4, 9)},
    ),
    Problem(
        (
            "[what is|what's|calculate|] {a} squared",
            "the square of {a}",
            "[what is|] {a} to the power of two",
            "how big is a square with sides of {a} m in m2",
        ),
        ("{a} by {a}, as an area, is what",),
        "{a} ** 2",
        lambda n: n["a"] ** 2,
        _between(a=(3, 500)),
    ),
    Problem(
        (
            "[what is|what's|calculate|] the square root of {a}",
            "sqrt of {a}",
            "square root of {a}",
            "which number squared is {a}",
        ),
        ("what must be squared to get {a}",),
        "sqrt({a})",
        lambda n: n["a"] ** 0.5,
        lambda r: {"a": r.choice((r.randint(2, 99) ** 2, r.randint(2, 5000)))},
    ),
    Problem(
        (
            "a train leaves at {a}:{b:02d} and arrives at {c}:{d:02d}. How many minutes does it take",
            "how many minutes are there between {a}:{b:02d} and {c}:{d:02d}",
            "from {a}:{b:02d} to {c}:{d:02d}, how many minutes is that",
            "{p} works from {a}:{b:02d} to {c}:{d:02d}. How many minutes is that",
        ),
        ("the clock goes from {a}:{b:02d} to {c}:{d:02d}. How many minutes went by",),
        "({c} * 60 + {d}) - ({a} * 60 + {b})",
        lambda n: n["c"] * 60 + n["d"] - n["a"] * 60 - n["b"],
        _times,
        "minutes",
    ),
    Problem(
        (
            "how many [minutes|] are {a} hours and {b} minutes".replace("[minutes|]", "minutes"),
            "{a} hours and {b} minutes in minutes",
            "convert {a} hours {b} minutes to minutes",
        ),
        ("{a} hours plus {b} minutes, as minutes",),
        "{a} * 60 + {b}",
        lambda n: n["a"] * 60 + n["b"],
        _between(a=(2, 30), b=(1, 59)),
        "minutes",
    ),
    Problem(
        (
            "how many [days|] are {a} weeks and {b} days".replace("[days|]", "days"),
            "{a} weeks and {b} days: how many days is that",
            "how many days are there in {a} weeks plus {b} days",
        ),
        ("{a} weeks with {b} days on top, in days",),
        "{a} * 7 + {b}",
        lambda n: n["a"] * 7 + n["b"],
        _between(a=(2, 60), b=(2, 6)),
        "days",
    ),
    Problem(
        (
            "how many years [lie between|are there from|passed from] {a} [to|and] {b}".replace(
                "[lie between|are there from|passed from] {a} [to|and]",
                "[lie between {a} and|are there from {a} to|passed from {a} to]",
            ),
            "how many years after {a} is {b}",
            "{p} was born in {a}. How old [was|is] {p} in {b}",
            "something was built in {a}. How old was it in {b}",
        ),
        ("between {a} and {b}, how many New Years were rung in",),
        "{b} - {a}",
        lambda n: n["b"] - n["a"],
        _years,
        "years?",
    ),
    Problem(
        (
            "{p} is {a} years old and {q} is {b} years older. How old are they together",
            "{q} is {b} years older than {p}, who is {a}. What is the sum of their ages",
        ),
        ("{p} counts {a} years, {q} {b} more. What do their ages add up to",),
        "{a} + ({a} + {b})",
        lambda n: 2 * n["a"] + n["b"],
        _between(a=(5, 70), b=(2, 30)),
    ),
    Problem(
        (
            "{p} is {a} and {q} is {b} times as old. How many years apart are they",
            "{q} is {b} times as old as {p}, who is {a}. How much older is {q}",
        ),
        ("{p} is {a}. {q} has {b} times the years. What lies between their ages",),
        "{b} * {a} - {a}",
        lambda n: n["a"] * (n["b"] - 1),
        _between(a=(4, 20), b=(2, 5)),
        "years?",
    ),
    Problem(
        (
            "{c} {m} are shared in the ratio {a} to {b}. How much is the [first|] share".replace(
                "[first|]", "first"
            ),
            "divide {c} in the ratio {a}:{b}. What is the first part",
            "{p} and {q} share {c} {i} in the ratio {a} to {b}. How many does {p} get",
        ),
        ("split {c} as {a} to {b} and tell me the former part",),
        "{c} * {a} / ({a} + {b})",
        lambda n: n["c"] * n["a"] / (n["a"] + n["b"]),
        _ratio,
    ),
    Problem(
        (
            "{a} {i} are shared equally among {b} [children|people|friends]. How many does each get",
            "{p} puts {a} {i} into {b} boxes, the same number in each. How many are in a box",
            "if {b} friends share {a} {i} equally, how many does each get",
        ),
        ("{b} hands, {a} {i}, all alike. How many go into each",),
        "{a} / {b}",
        lambda n: n["a"] / n["b"],
        lambda r: {"b": (b := r.randint(2, 12)), "a": b * r.randint(3, 40)},
    ),
    Problem(
        (
            "how many {i} are left over when {a} are packed in boxes of {b}",
            "what is the remainder of {a} divided by {b}",
            "{a} modulo {b}",
            "{a} {i} are packed in boxes of {b}. How many are left over",
        ),
        ("after dividing {a} by {b}, what does not fit",),
        "{a} % {b}",
        lambda n: n["a"] % n["b"],
        _less(a=(30, 999), b=(3, 29)),
    ),
    Problem(
        (
            "a [field|room|garden] is {a} m long and {b} m wide. What is its area",
            "what is the area of a rectangle of {a} by {b} metres",
            "how many square metres is a room of {a} m by {b} m",
        ),
        ("{a} m one way, {b} m the other: how much ground is that",),
        "{a} * {b}",
        lambda n: n["a"] * n["b"],
        _between(a=(3, 120), b=(2.5, 60.5)),
        "m2",
    ),
    Problem(
        (
            "what is the perimeter of a rectangle of {a} by {b} metres",
            "how much fence does {p} need around a garden of {a} m by {b} m",
            "a field is {a} m long and {b} m wide. How long is the way around it",
        ),
        ("once round a yard of {a} m by {b} m, how far is it",),
        "2 * ({a} + {b})",
        lambda n: 2 * (n["a"] + n["b"]),
        _between(a=(3, 220), b=(2, 160)),
        "m",
    ),
    Problem(
        (
            "{p} earns {a} {m} an hour and works {b} hours a day for {c} days. How much is that",
            "at {a} {m} an hour, what does {p} earn in {c} days of {b} hours",
        ),
        ("{c} days of {b} hours at {a} {m} each hour: what is the pay",),
        "{a} * {b} * {c}",
        lambda n: n["a"] * n["b"] * n["c"],
        _between(a=(9, 60), b=(3, 10), c=(2, 22)),
        "money",
    ),
    Problem(
        (
            "[what is|calculate|] ({a} + {b}) * {c}",
            "add {a} and {b} and multiply [the result|that|it] by {c}",
            "{a} plus {b}, [all of it|that] times {c}",
            "take the sum of {a} and {b}, then multiply it by {c}",
        ),
        ("the sum of {a} and {b}, {c} times over",),
        "({a} + {b}) * {c}",
        lambda n: (n["a"] + n["b"]) * n["c"],
        _between(a=(2, 300), b=(2, 300), c=(2, 30)),
    ),
    Problem(
        (
            "subtract {b} from {a} and divide [the result|that|it] by {c}",
            "[what is|calculate|] ({a} - {b}) / {c}",
            "{a} minus {b}, [all of it|that] divided by {c}",
        ),
        ("the difference of {a} and {b}, cut into {c}",),
        "({a} - {b}) / {c}",
        lambda n: (n["a"] - n["b"]) / n["c"],
        _less(a=(100, 900), b=(2, 300), c=(2, 30)),
    ),
    Problem(
        (
            "double {a} and [then|] [add|plus] {b}".replace("[add|plus]", "add"),
            "what is twice {a} plus {b}",
            "take {a}, double it and add {b}",
        ),
        ("two times {a} with {b} on top",),
        "2 * {a} + {b}",
        lambda n: 2 * n["a"] + n["b"],
        _between(a=(3, 800), b=(2, 500)),
    ),
    Problem(
        (
            "what is [a third|one third] of {a}",
            "how much is a third of {a}",
            "divide {a} into three equal parts",
        ),
        ("{a}, cut down to its third",),
        "{a} / 3",
        lambda n: n["a"] / 3,
        _between(a=(9, 3000)),
    ),
    Problem(
        (
            "{a} {m} are saved every month for {b} years. How much is that",
            "{p} saves {a} {m} a month. How much is that after {b} years",
            "a phone costs {a} {m} a month. What does it cost in {b} years",
        ),
        ("{b} years of {a} {m} a month, all told",),
        "{a} * 12 * {b}",
        lambda n: n["a"] * 12 * n["b"],
        _between(a=(5, 600), b=(2, 25)),
        "money",
    ),
    Problem(
        (
            "{a} {m} at {b}% interest for {c} years, compounded [yearly|every year]. How much is it then",
            "what do {a} {m} grow to in {c} years at {b}% [interest|] a year",
            "{p} puts {a} {m} in a bank at {b}% a year. How much is there after {c} years with compound interest",
        ),
        ("with {b}% a year on {a} {m}, what stands in the account after {c} years",),
        "{a} * (1 + {b} / 100) ** {c}",
        lambda n: n["a"] * (1 + n["b"] / 100) ** n["c"],
        _between(a=(100, 9000), b=(1, 9), c=(2, 20)),
        "money",
    ),
    Problem(
        (
            "a class has {a} girls and {b} boys. What percentage are girls",
            "of {a} red and {b} blue {i}, what percentage is red",
            "{a} people said yes and {b} said no. What share said yes, in percent",
        ),
        ("{a} ayes, {b} noes: how many percent are ayes",),
        "100 * {a} / ({a} + {b})",
        lambda n: 100 * n["a"] / (n["a"] + n["b"]),
        _between(a=(2, 90), b=(2, 90)),
        "%",
    ),
    Problem(
        (
            "a car uses {a} litres per 100 km. How much does it need for {b} km",
            "at {a} litres for 100 km, how many litres are {b} km",
            "how much petrol does {p} need for {b} km at {a} litres per 100 km",
        ),
        ("{b} km on {a} litres a hundred, how much fuel",),
        "{a} * {b} / 100",
        lambda n: n["a"] * n["b"] / 100,
        _between(a=(3.5, 12.5), b=(120, 1800)),
        "litres",
    ),
    Problem(
        (
            "if {a} {i} cost {b} {m}, how much do {c} cost",
            "{a} {i} cost {b} {m}. What do {c} {i} cost",
            "{p} pays {b} {m} for {a} {i}. What would {c} cost",
        ),
        ("at {b} {m} for {a} {i}, what is the price of {c}",),
        "{b} / {a} * {c}",
        lambda n: n["b"] * n["c"] / n["a"],
        _between(a=(2, 12), b=(3, 90), c=(13, 60)),
        "money",
    ),
)


def _written(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


def word_problem(c: Choice, w: World, rank: bool) -> Draft:
    """One of the problems. Now and then a comma stands in a large number."""
    rng = c.rng
    problem = rng.choice(_PROBLEMS)
    numbers = problem.draw(rng)
    pattern = c.frame(*problem.patterns, held=problem.held)
    p, q = rng.sample(_PEOPLE, 2)
    i, i2 = rng.sample(_ITEMS, 2)
    money = rng.choice(_MONEY)
    commas = rng.random() < 0.3
    text = pattern
    for name, value in numbers.items():
        spoken = f"{value:,}" if commas and isinstance(value, int) and value >= 1000 else _written(value)
        if problem.draw is _years:
            spoken = _written(value)
        text = text.replace(f"{{{name}:02d}}", f"{int(value):02d}").replace(f"{{{name}}}", spoken)
    for name, word in {"p": p, "q": q, "i": i, "i2": i2, "m": money}.items():
        text = text.replace(f"{{{name}}}", word)
    if money in ("dollars", "euros", "pounds") and rng.random() < 0.25:
        sign = {"dollars": "$", "euros": "€", "pounds": "£"}[money]
        text = _signed(text, money, sign)
    expression = problem.sum
    for name, value in numbers.items():
        expression = expression.replace(f"{{{name}}}", _written(value))
    unit = problem.unit
    b = Builder()
    result = b.calculate(expression)
    value = problem.value(numbers)
    if unit == "money" or (unit == "money?" and money in text) or unit == "years?":
        named = money if unit.startswith("money") and money in text else ""
        unit = named if rng.random() < 0.6 else ""
    elif unit == "money?":
        unit = ""
    glue = "" if unit == "%" else " "
    text = " ".join(text.split())
    if unit:
        b.answer(result, f"{glue}{unit}")
        answer = f"{shown(value)}{glue}{unit}"
    else:
        b.answer(result)
        answer = shown(value)
    return Draft(f"{text}?", b, [], answer, copied=False)


def _signed(text: str, money: str, sign: str) -> str:
    """`20 dollars` as `$20`."""
    words_ = text.split(" ")
    for at in range(len(words_) - 1, 0, -1):
        if words_[at].strip(".,?") == money and words_[at - 1].replace(",", "").replace(".", "").isdigit():
            end = words_[at][len(money) :]
            words_[at - 1 : at + 1] = [f"{sign}{words_[at - 1]}{end}"]
    return " ".join(words_)


def bare_sum(c: Choice, w: World, rank: bool) -> Draft:
    """A chain of two to four operations as people say it: "17 plus 4, times 3"."""
    rng = c.rng
    start = rng.randint(2, 500)
    expression, text = str(start), str(start)
    value = float(start)
    steps = rng.randint(1, 3)
    operations = ("plus", "minus", "times", "divided by")
    for step in range(steps):
        op, n = rng.choice(operations), rng.randint(2, 99)
        symbol = {"plus": "+", "minus": "-", "times": "*", "divided by": "/"}[op]
        if step and symbol in "*/":
            expression = f"({expression})"
        expression = f"{expression} {symbol} {n}"
        value = {"+": value + n, "-": value - n, "*": value * n, "/": value / n}[symbol]
        glue = ", then " if step and rng.random() < 0.6 else ", " if step else " "
        text += f"{glue}{op} {n}"
    question = c.frame(
        "[what is|what's|how much is|calculate|compute|work out] {t}",
        "start with {t}. [What do you get|What is the result|Where do you end up]",
        "take {t}. What comes out",
        "{t} [is what|equals|makes|= ?]",
        held=("from {t}, what emerges",),
        t=text,
    )
    b = Builder()
    b.answer(b.calculate(expression))
    return Draft(f"{question}?", b, [], shown(value), copied=False)
