"""Quantities that questions are built from: a fact, a changed fact, a sum, a difference, a mean, a share.

A quantity knows how it is named in a question, what it comes to, and which steps compute it. A question about
two quantities is then one sentence around two noun phrases, whatever each of them is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from braid.training.questions.changes import draw_change
from braid.training.questions.program import Amount, Builder, Part, Ref
from braid.training.questions.template import Choice, plural
from braid.training.questions.templates import (
    AREA,
    LENGTH,
    POPULATION,
    SPEED,
    Attribute,
    Change,
    changed_noun,
)
from braid.training.questions.world import Thing, World


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A number that a question speaks of.

    Args:
        text: a noun phrase, such as "the combined height of K2 and Mont Blanc".
        value: what it comes to, in `unit`.
        look: adds the look-ups, in the order in which the text names them, and gives their results.
        compute: adds the arithmetic on these results and gives the number.
        attribute: what kind of number it is. None for ratios and shares.
    """

    text: str
    value: float
    unit: str
    things: Sequence[Thing]
    look: Callable[[Builder], list[Ref]]
    compute: Callable[[Builder, list[Ref]], Ref]
    attribute: Attribute | None


def shown_part(quantity_unit: bool, value: Ref, unit: Ref) -> Part:
    """A number as an answer shows it, with its unit where it has one."""
    return Amount(value, unit) if quantity_unit else value


def has_unit(attribute: Attribute | None) -> bool:
    """Whether answers about the attribute show a unit."""
    return attribute is not None and not attribute.dated and attribute.noun != "moons"


def noun_of(c: Choice, attribute: Attribute, text: str) -> str:
    """The attribute of a thing as a noun phrase."""
    noun = c.rng.choice(attribute.words)
    if attribute is POPULATION and noun.startswith(("number", "head")):
        return c.fill("the {n} [of|in] {x}", n=noun, x=text)
    return c.fill("[the {n} of {x}|{x}'s {n}]", n=noun, x=text)


def asked(c: Choice, attribute: Attribute, text: str) -> str:
    """The attribute of a thing as an indirect question: "how tall K2 is"."""
    if attribute.how:
        return f"how {attribute.how} {text} is"
    return f"what the {c.rng.choice(attribute.words)} of {text} is"


def fact(c: Choice, attribute: Attribute, thing: Thing) -> Quantity:
    """A fact as it is."""
    return Quantity(
        text=noun_of(c, attribute, thing.text(c.rng)),
        value=thing.number(attribute),
        unit=thing.unit(attribute),
        things=[thing],
        look=lambda b: [b.look(attribute.noun, thing.name)],
        compute=lambda b, refs: refs[0],
        attribute=attribute,
    )


def changed(c: Choice, attribute: Attribute, thing: Thing) -> Quantity:
    """A fact under a change."""
    change: Change = draw_change(c.rng, attribute, thing)
    return Quantity(
        text=changed_noun(c, change, thing.text(c.rng), attribute),
        value=change.apply(thing.number(attribute)),
        unit=thing.unit(attribute),
        things=[thing],
        look=lambda b: [b.look(attribute.noun, thing.name)],
        compute=lambda b, refs: b.calculate(refs[0], change.suffix),
        attribute=attribute,
    )


def scaled(c: Choice, attribute: Attribute, thing: Thing) -> Quantity:
    """A multiple or a part: "three times the height of K2", "a quarter of the Nile's length"."""
    rng = c.rng
    of = noun_of(c, attribute, thing.text(rng))
    pick = rng.random()
    if pick < 0.4:
        n = rng.choice((2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 20, 50, 100))
        small = {
            2: "twice",
            3: "three times",
            4: "four times",
            5: "five times",
            6: "six times",
            10: "ten times",
        }
        times = small[n] if n in small and rng.random() < 0.7 else f"{n} times"
        text, suffix, factor = f"{times} {of}", f" * {n}", float(n)
    elif pick < 0.7:
        word, size = rng.choice(
            (
                ("half", 2),
                ("a third", 3),
                ("one third", 3),
                ("a quarter", 4),
                ("one fifth", 5),
                ("a tenth", 10),
                ("an eighth", 8),
            )
        )
        text = f"{word} {'' if word == 'half' and rng.random() < 0.4 else 'of '}{of}"
        suffix, factor = (" * 0.5", 0.5) if size == 2 else (f" / {size}", 1 / size)
    else:
        p = rng.choice((rng.randint(1, 99), 5 * rng.randint(1, 30)))
        text, suffix, factor = (
            f"{p}{rng.choice(('%', '%', ' percent', ' per cent'))} of {of}",
            f" * {p} / 100",
            p / 100,
        )
    return Quantity(
        text=text,
        value=thing.number(attribute) * factor,
        unit=thing.unit(attribute),
        things=[thing],
        look=lambda b: [b.look(attribute.noun, thing.name)],
        compute=lambda b, refs: b.calculate(refs[0], suffix),
        attribute=attribute,
    )


def total(c: Choice, attribute: Attribute, things: Sequence[Thing]) -> Quantity:
    """The sum of an attribute over things."""
    rng = c.rng
    names = c.listed([t.text(rng) for t in things])
    noun = rng.choice(attribute.words)
    text = c.frame(
        "the [combined|total|joint|summed|overall|added|cumulative|collective|aggregate] {n} of {x}",
        "the sum of the {ns} of {x}",
        "the {n} of {x} [combined|together|taken together|put together|in total|added up]",
        "the [combined|total] {ns} of {x}",
        "{x}'s [combined|total|joint] {n}",
        "the {ns} of {x} [combined|added together|put together]",
        "what {x} [have|come to] together in {n}",
        held=(
            "the {n} of {x} lumped together",
            "the {ns} of {x} all added up",
            "the {n} {x} make when joined",
        ),
        n=noun,
        ns=plural(noun),
        x=names,
    )

    def compute(b: Builder, refs: list[Ref]) -> Ref:
        terms: list[str | Ref] = [refs[0]]
        for ref in refs[1:]:
            terms += [" + ", ref]
        return b.calculate(*terms)

    return Quantity(
        text=text,
        value=sum(t.number(attribute) for t in things),
        unit=things[0].unit(attribute),
        things=things,
        look=lambda b: [b.look(attribute.noun, t.name) for t in things],
        compute=compute,
        attribute=attribute,
    )


def mean(c: Choice, attribute: Attribute, things: Sequence[Thing]) -> Quantity:
    """The mean of an attribute over things."""
    rng = c.rng
    names = c.listed([t.text(rng) for t in things])
    noun = rng.choice(attribute.words)
    text = c.frame(
        "the [average|mean] {n} of {x}",
        "the [average|mean] of the {ns} of {x}",
        "the {n} of {x} on average",
        "{x}'s [average|mean] {n}",
        "the [average|mean] {n} [across|for|among|over] {x}",
        held=("the {n} that {x} have in the mean", "the middle value, by averaging, of the {ns} of {x}"),
        n=noun,
        ns=plural(noun),
        x=names,
    )

    def compute(b: Builder, refs: list[Ref]) -> Ref:
        terms: list[str | Ref] = ["(", refs[0]]
        for ref in refs[1:]:
            terms += [" + ", ref]
        return b.calculate(*terms, f") / {len(refs)}")

    return Quantity(
        text=text,
        value=sum(t.number(attribute) for t in things) / len(things),
        unit=things[0].unit(attribute),
        things=things,
        look=lambda b: [b.look(attribute.noun, t.name) for t in things],
        compute=compute,
        attribute=attribute,
    )


def gap(c: Choice, attribute: Attribute, things: Sequence[Thing]) -> Quantity:
    """The difference of an attribute between two things."""
    rng = c.rng
    x, y = (t.text(rng) for t in things)
    noun = rng.choice(attribute.words)
    unit = f" in {rng.choice(attribute.unit_words)}" if attribute.unit_words and rng.random() < 0.15 else ""
    if attribute.unit_words and things[0].unit(attribute) not in unit.split():
        unit = ""
    if attribute.dated:
        text = c.frame(
            "the number of years between the {n} of {x} and [that of {y}|the {n} of {y}]",
            "the [difference|gap] between the {n} of {x} and [that of {y}|the {n} of {y}]",
            "the difference in {n} between {x} and {y}",
            held=("the years that separate the {n} of {x} from that of {y}",),
            n=noun,
            x=x,
            y=y,
        )
    else:
        text = c.frame(
            "the [difference|gap] in {n}{u} between {x} and {y}",
            "the {n} [difference|gap]{u} between {x} and {y}",
            "the [difference|gap] between the {n} of {x} and [that of {y}|the {n} of {y}]{u}",
            "the [difference|gap] between {x}'s {n} and {y}'s{u}",
            "the [difference|gap] between the {ns} of {x} and {y}{u}",
            "the {n} [difference|gap]{u} of {x} and {y}",
            held=(
                "the distance in {n} that separates {x} from {y}",
                "the {n} discrepancy{u} of {x} versus {y}",
            ),
            n=noun,
            ns=plural(noun),
            u=unit,
            x=x,
            y=y,
        )
    return Quantity(
        text=text,
        value=abs(things[0].number(attribute) - things[1].number(attribute)),
        unit=things[0].unit(attribute),
        things=things,
        look=lambda b: [b.look(attribute.noun, t.name) for t in things],
        compute=lambda b, refs: b.calculate("abs(", refs[0], " - ", refs[1], ")"),
        attribute=attribute,
    )


def extreme(c: Choice, attribute: Attribute, things: Sequence[Thing]) -> Quantity:
    """The value of the greatest or smallest of several."""
    rng = c.rng
    up = rng.random() < 0.6
    names = c.listed([t.text(rng) for t in things])
    noun = rng.choice(attribute.words)
    words = attribute.most if up else attribute.least
    patterns = [
        "the [greatest|highest|largest|maximum|biggest] {n} [among|of|out of] {x}"
        if up
        else "the [smallest|lowest|least|minimum] {n} [among|of|out of] {x}"
    ]
    if words:
        patterns += [f"the {{n}} of the {rng.choice(words)} [of|among|out of] {{x}}"] * 2
        patterns += [f"the {{n}} of the {rng.choice(words)} {things[0].kind} [of|among|out of] {{x}}"]
    text = c.frame(
        *patterns,
        held=("the [top|peak] {n} to be found among {x}" if up else "the bottom {n} to be found among {x}",),
        n=noun,
        x=names,
    )

    def compute(b: Builder, refs: list[Ref]) -> Ref:
        terms: list[str | Ref] = ["max(" if up else "min(", refs[0]]
        for ref in refs[1:]:
            terms += [", ", ref]
        return b.calculate(*terms, ")")

    values = [t.number(attribute) for t in things]
    return Quantity(
        text=text,
        value=max(values) if up else min(values),
        unit=things[0].unit(attribute),
        things=things,
        look=lambda b: [b.look(attribute.noun, t.name) for t in things],
        compute=compute,
        attribute=attribute,
    )


def spread(c: Choice, attribute: Attribute, things: Sequence[Thing]) -> Quantity:
    """The difference between the extremes of several."""
    rng = c.rng
    names = c.listed([t.text(rng) for t in things])
    noun = rng.choice(attribute.words)
    most = rng.choice(attribute.most) if attribute.most else f"greatest in {noun}"
    least = rng.choice(attribute.least) if attribute.least else f"smallest in {noun}"
    text = c.frame(
        "the [difference|gap] in {n} between the {m} and the {l} of {x}",
        "the [difference|gap] between the {m} and the {l} [of|among] {x}",
        "the range of the {ns} of {x}",
        "the {n} [difference|gap] between the {m} and {l} [of|among] {x}",
        held=("the spread in {n} across {x}",),
        n=noun,
        ns=plural(noun),
        m=most,
        l=least,
        x=names,
    )

    def compute(b: Builder, refs: list[Ref]) -> Ref:
        values: list[str | Ref] = [refs[0]]
        for ref in refs[1:]:
            values += [", ", ref]
        return b.calculate("max(", *values, ") - min(", *values, ")")

    numbers = [t.number(attribute) for t in things]
    return Quantity(
        text=text,
        value=max(numbers) - min(numbers),
        unit=things[0].unit(attribute),
        things=things,
        look=lambda b: [b.look(attribute.noun, t.name) for t in things],
        compute=compute,
        attribute=attribute,
    )


def density(c: Choice, w: World, merged: int = 1) -> Quantity:
    """People per area, of one country or of several that become one."""
    rng = c.rng
    things = w.having(rng, (POPULATION.noun, AREA.noun), merged)
    names = c.listed([t.text(rng) for t in things])
    per = "people per square [kilometre|kilometer|km]"
    if merged == 1:
        text = c.frame(
            "the population density of {x}",
            "{x}'s population density",
            f"the number of {per} in {{x}}",
            held=(f"how many {per} {{x}} has",),
            x=names,
        )
    else:
        text = c.frame(
            "the population density of {x} [combined|together|taken together|merged into one|put together|as one]",
            "the [combined|overall|joint] population density of {x}",
            "the population density of a [merged|united|single|new] country [made of|made up of|out of] {x}",
            "the population density [of the merger|of a merger|after a merger] of {x}",
            held=("the density of people in {x} if they were one land",),
            x=names,
        )

    def look(b: Builder) -> list[Ref]:
        people = [b.look(POPULATION.noun, t.name) for t in things]
        return people + [b.look(AREA.noun, t.name) for t in things]

    def compute(b: Builder, refs: list[Ref]) -> Ref:
        return b.calculate(*summed(refs[:merged]), " / ", *summed(refs[merged:]))

    return Quantity(
        text=text,
        value=sum(t.number(POPULATION) for t in things) / sum(t.number(AREA) for t in things),
        unit="",
        things=things,
        look=look,
        compute=compute,
        attribute=None,
    )


def summed(refs: Sequence[Ref]) -> list[str | Ref]:
    """`(a + b)` as parts of an expression. One alone stands without brackets."""
    if len(refs) == 1:
        return [refs[0]]
    terms: list[str | Ref] = ["(", refs[0]]
    for ref in refs[1:]:
        terms += [" + ", ref]
    return [*terms, ")"]


def linked(c: Choice, w: World) -> Quantity:
    """A fact in two hops: "the population of the capital of Peru"."""
    rng = c.rng
    (chain,) = w.chained(rng, 1)
    x = chain.thing.text(rng)
    link = rng.choice(chain.link.words)
    target = rng.choice((f"the {link} of {x}", f"{x}'s {link}"))

    def look(b: Builder) -> list[Ref]:
        return [b.look(chain.attribute.noun, b.look(chain.link.noun, chain.thing.name))]

    return Quantity(
        text=noun_of(c, chain.attribute, target),
        value=chain.target.number(chain.attribute),
        unit=chain.target.unit(chain.attribute),
        things=[chain.thing],
        look=look,
        compute=lambda b, refs: refs[0],
        attribute=chain.attribute,
    )


def journey(c: Choice, w: World) -> Quantity:
    """Hours that something needs for a way."""
    rng = c.rng
    (runner,) = w.having(rng, (SPEED.noun,), 1)
    (way,) = w.having(rng, (LENGTH.noun,), 1)
    if way.unit(LENGTH) != "km" or runner.unit(SPEED) not in ("km/h", "km"):
        raise LookupError("the way is not measured in kilometres")
    text = c.frame(
        "the [time|number of hours] [{x} needs|it takes {x}|{x} would need|it would take {x}] [at top speed|at full speed|going flat out] [for|to cover|to travel|to run] the length of {y}",
        held=("the hours {x}, never slowing down, spends on the length of {y}",),
        x=runner.text(rng),
        y=way.text(rng),
    )
    return Quantity(
        text=text,
        value=way.number(LENGTH) / runner.number(SPEED),
        unit="hours",
        things=[runner, way],
        look=lambda b: [b.look(SPEED.noun, runner.name), b.look(LENGTH.noun, way.name)],
        compute=lambda b, refs: b.calculate(refs[1], " / ", refs[0]),
        attribute=None,
    )


def draw_quantity(
    c: Choice, w: World, attribute: Attribute, things: Sequence[Thing], *, plain: float = 0.35
) -> Quantity:
    """A quantity of one attribute over all of `things`: one of the kinds that fit their number."""
    rng = c.rng
    if len(things) == 1:
        if attribute.dated or rng.random() < plain:
            return fact(c, attribute, things[0])
        return changed(c, attribute, things[0]) if rng.random() < 0.55 else scaled(c, attribute, things[0])
    if attribute.dated:
        if len(things) == 2:
            return gap(c, attribute, things)
        raise LookupError("years are not added up")
    if len(things) == 2:
        return rng.choice((total, total, gap, gap, mean, extreme))(c, attribute, things)
    return rng.choice((total, total, mean, extreme, spread))(c, attribute, things)
