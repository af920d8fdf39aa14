"""Values, comparisons, differences and shares of one or two quantities, which may themselves be computed."""

from __future__ import annotations

from collections.abc import Sequence

from braid.training.questions.families.common import Draft, shown
from braid.training.questions.program import Answer, Block, Builder, Part, Ref
from braid.training.questions.quantities import (
    Quantity,
    density,
    draw_quantity,
    gap,
    has_unit,
    journey,
    linked,
    mean,
    shown_part,
    total,
)
from braid.training.questions.template import Choice
from braid.training.questions.world import World


def one_quantity(c: Choice, w: World) -> Quantity:
    """A quantity that is more than a fact."""
    rng = c.rng
    pick = rng.random()
    if pick < 0.07:
        return density(c, w, rng.choice((1, 1, 2, 2, 3)))
    if pick < 0.1:
        return journey(c, w)
    if pick < 0.14:
        return linked(c, w)
    count = rng.choices((1, 2, 3, 4), (3, 8, 4, 1))[0]
    attribute, things = w.comparable(rng, count)
    return draw_quantity(c, w, attribute, things, plain=0.0)


def two_quantities(c: Choice, w: World) -> tuple[Quantity, Quantity]:
    """Two quantities of one attribute, or now and then of two, about different things."""
    rng = c.rng
    pick = rng.random()
    if pick < 0.06:
        return density(c, w, 1), density(c, w, rng.choice((1, 1, 2)))
    if pick < 0.13:
        return linked(c, w), linked(c, w)
    if pick < 0.35:
        (a, x), (b, y) = w.measured(rng, 2)
        if a.dated or b.dated or a.noun == b.noun:
            raise LookupError("these two are not compared")
        return draw_quantity(c, w, a, [x], plain=0.6), draw_quantity(c, w, b, [y], plain=0.6)
    sizes = rng.choice(((2, 2), (2, 2), (2, 2), (2, 1), (1, 2), (1, 1), (3, 1), (3, 2), (1, 3)))
    attribute, things = w.comparable(rng, sum(sizes))
    left, right = things[: sizes[0]], things[sizes[0] :]
    if sizes == (2, 2) and rng.random() < 0.6:
        kind = rng.choice((gap, gap, gap, total, total, mean)) if not attribute.dated else gap
        return kind(c, attribute, left), kind(c, attribute, right)
    first = draw_quantity(c, w, attribute, left, plain=0.5)
    return first, draw_quantity(c, w, attribute, right, plain=0.5)


def written(b: Builder, quantities: Sequence[Quantity]) -> tuple[list[Ref], list[Ref]]:
    """All look-ups, then all arithmetic. Gives each quantity's number and the first fact behind it."""
    facts = [quantity.look(b) for quantity in quantities]
    return [q.compute(b, refs) for q, refs in zip(quantities, facts, strict=True)], [
        refs[0] for refs in facts
    ]


def shown_value(quantity: Quantity, value: float) -> str:
    """A value with the quantity's unit, if it has one."""
    return shown(value, quantity.unit if has_unit(quantity.attribute) else "")


def part_of(quantity: Quantity, value: Ref, fact: Ref) -> Part:
    """A number as part of an answer, with the unit of its fact."""
    return shown_part(has_unit(quantity.attribute), value, fact)


def value(c: Choice, w: World, rank: bool) -> Draft:
    """One computed quantity: "What is the combined height of K2 and Mont Blanc?"."""
    q = one_quantity(c, w)
    question = c.frame(
        "[what is|what's|what would be|what is|tell me|give me|find|find out|calculate|compute|determine|work out|I need|I want to know|show me|figure out] {q}",
        "[can|could|would] you [please|] [tell me|give me|find|work out|calculate|compute] {q}",
        "[how big|how large|how much] is {q}",
        "{q}",
        "{q} [is what|equals what|comes to what|- what is it|, what is it|please]",
        "[do you know|any idea what|I wonder what|I'm curious what|what do you get for|what value has] {q} [is|]",
        "[I'd|I would] like to [know|have|see] {q}",
        "what [does|would] {q} [come to|amount to|work out to|add up to|equal]",
        held=(
            "[let me have|kindly provide|put a number on] {q}",
            "[quantify|establish] {q}",
            "[I'm after|what I'm looking for is|the thing I need is] {q}",
        ),
        q=q.text,
    )
    b = Builder()
    (ref,), (fact,) = written(b, [q])
    if q.unit == "hours":
        b.answer(ref, " hours")
        return Draft(f"{question}?", b, q.things, shown(q.value, "hours"))
    b.answer(part_of(q, ref, fact))
    return Draft(f"{question}?", b, q.things, shown_value(q, q.value))


def lesser_value(c: Choice, w: World, rank: bool) -> Draft:
    """The smaller or larger value: "Determine the smaller value: the depth of A or that of B"."""
    rng = c.rng
    first, second = two_quantities(c, w)
    up = rng.random() < 0.5
    word = rng.choice(("larger", "greater", "bigger", "higher") if up else ("smaller", "lesser", "lower"))
    top = rng.choice(
        ("largest", "maximum", "highest", "biggest") if up else ("smallest", "minimum", "lowest")
    )
    question = c.frame(
        "[determine|find|give|give me|compute|calculate|report|return|tell me|work out|select|choose|pick] the {w} value: {q} or {r}",
        "[determine|find|give|compute|calculate|report|tell me|state] the {w} [value|number|figure|one] of {q} and {r}",
        "[what is|what's|which is] the {w} [value|number|figure|of these two values|of the two values]: {q} or {r}",
        "what is the {t} of [these|the following]: {q}, {r}",
        "[between|of|comparing] {q} and {r}, what is the {w} [value|number|figure]",
        "[take|consider|look at] {q} and {r}. What is the {w} [value|of the two values|number]",
        "what is the value of the {w} [one|] [of|between] {q} and {r}",
        held=(
            "{q}, {r}: [print|name] the {w} figure",
            "of the two numbers {q} and {r}, I only want the {w}",
            "weigh {q} against {r} and hand me the {w} value",
        ),
        w=word,
        t=top,
        q=first.text,
        r=second.text,
    )
    b = Builder()
    (i, j), (fact, _) = written(b, (first, second))
    best = b.calculate("max(" if up else "min(", i, ", ", j, ")")
    b.answer(part_of(first, best, fact))
    number = max(first.value, second.value) if up else min(first.value, second.value)
    return Draft(
        f"{question}?" if rng.random() < 0.6 else f"{question}.",
        b,
        [*first.things, *second.things],
        shown_value(first, number),
    )


def greater_one(c: Choice, w: World, rank: bool) -> Draft:
    """Which of two quantities is greater. The answer repeats its words."""
    rng = c.rng
    first, second = two_quantities(c, w)
    up = rng.random() < 0.6
    word = rng.choice(
        ("larger", "greater", "bigger", "higher", "more") if up else ("smaller", "less", "lower")
    )
    question = c.frame(
        "[which is|what is|what's] {w}, {q} or {r}",
        "[which is|what is] {w}: {q} or {r}",
        "is {q} or {r} {w}",
        "[tell me|can you tell me|say] [which|what] is {w}: {q} or {r}",
        held=("{q} or {r} - [which comes out|which of them turns out] {w}",),
        w=word,
        q=first.text,
        r=second.text,
    )
    b = Builder()
    (i, j), _ = written(b, (first, second))
    if first.value == second.value:
        raise LookupError("the two are equal")
    b.branch(i, ">" if up else "<", j, Block((), Answer((first.text,))), Block((), Answer((second.text,))))
    right = first if (first.value > second.value) == up else second
    return Draft(
        f"{question}?", b, [*first.things, *second.things], right.text, verbatim=(first.text, second.text)
    )


def compare_two(c: Choice, w: World, rank: bool) -> Draft:
    """Yes or no about two quantities."""
    rng = c.rng
    first, second = two_quantities(c, w)
    up = rng.random() < 0.65
    word = rng.choice(
        ("larger", "greater", "bigger", "higher", "more") if up else ("smaller", "less", "lower")
    )
    question = c.frame(
        "is {q} {w} than {r}",
        "[would you say|is it true|is it correct|can one say|do you think] that {q} is {w} than {r}",
        "[does|would] {q} {v} {r}",
        "[check|find out|verify|tell me|see] [whether|if] {q} is {w} than {r}",
        "{q} is {w} than {r}, [right|is that true|true or false|isn't it|yes or no]",
        "is {r} {o} than {q}",
        held=(
            "[am I right in thinking|could it be] that {q} is {w} than {r}",
            "[set against|measured against] {r}, is {q} {w}",
            "true or not: {q} [{v}s] {r}",
        ),
        w=word,
        v=rng.choice(
            ("exceed", "top", "surpass", "beat") if up else ("fall short of", "stay below", "stay under")
        ),
        o=rng.choice(
            ("smaller", "lower", "less") if up else ("larger", "greater", "higher", "bigger", "more")
        ),
        q=first.text,
        r=second.text,
    )
    question = (
        question.replace("fall short ofs", "falls short of")
        .replace("stay belows", "stays below")
        .replace("stay unders", "stays under")
        .replace("surpasss", "surpasses")
    )
    b = Builder()
    swapped = question.find(second.text) < question.find(first.text)
    pair = (second, first) if swapped else (first, second)
    (i, j), _ = written(b, pair)
    if first.value == second.value:
        raise LookupError("the two are equal")
    # The plan compares in the order of the question: "is r smaller than q" asks for r < q.
    b.yes_no(i, ("<" if up else ">") if swapped else (">" if up else "<"), j)
    holds = (first.value > second.value) == up
    return Draft(f"{question}?", b, [*first.things, *second.things], "yes" if holds else "no")


def gap_two(c: Choice, w: World, rank: bool) -> Draft:
    """The difference of two quantities."""
    rng = c.rng
    first, second = two_quantities(c, w)
    b = Builder()
    if rng.random() < 0.45:
        question = c.frame(
            "[what is|what's|find|calculate|compute|determine|tell me|give me] the [difference|gap|distance] between {q} and {r}",
            "[how far apart|how different] are {q} and {r}",
            "[by how much|how much] do {q} and {r} differ",
            "what [difference|gap] is there between {q} and {r}",
            "{q} and {r}: [what is the|how large is the|find the] [difference|gap]",
            "[compare|take|consider] {q} and {r}. [What is the difference|How much do they differ|How far apart are they]",
            "[what lies|how much lies|how much is] between {q} and {r}",
            "how [big|large|great|wide] is the [difference|gap] between {q} and {r}",
            held=(
                "{q} versus {r}: [how big is the difference|what separates them]",
                "what margin lies between {q} and {r}",
            ),
            q=first.text,
            r=second.text,
        )
        (i, j), (fact, _) = written(b, (first, second))
        d = b.calculate("abs(", i, " - ", j, ")")
        number = abs(first.value - second.value)
    else:
        up = rng.random() < 0.65
        if (first.value > second.value) != up:
            first, second = second, first
        question = c.frame(
            "[how much|by how much] {w} is {q} than {r}",
            "by how much [does {q} {v}|is {q} {w} than] {r}",
            "{q} is how much {w} than {r}",
            "how much {w} than {r} is {q}",
            "[tell me|find|find out|calculate|I wonder|I'd like to know] [how much|by how much] {q} is {w} than {r}",
            "[take|consider] {q} and {r}. How much {w} is the former",
            "[subtract|deduct|take away] {r} from {q}" if up else "[subtract|deduct] {q} from {r}",
            "what [remains|is left] [if|when] [you|we] [subtract|take] {r} from {q}"
            if up
            else "[how much|by how much] {w} is {q} than {r}",
            "what is {q} minus {r}" if up else "what is {r} minus {q}",
            held=(
                "compared [to|with] {r}, how much {w} is {q}",
                "to what extent is {q} {w} than {r}",
                "by what amount [must|would] {r} [grow|increase] to [reach|equal] {q}"
                if up
                else "how much does {q} lack to reach {r}",
            ),
            w=rng.choice(
                ("larger", "greater", "bigger", "higher", "more") if up else ("smaller", "less", "lower")
            ),
            v=rng.choice(("exceed", "surpass", "top") if up else ("fall short of", "stay below")),
            q=first.text,
            r=second.text,
        )
        question = question.replace("exceed is", "exceed").replace("surpass than", "surpass")
        swapped = question.find(second.text) < question.find(first.text)
        pair = (second, first) if swapped else (first, second)
        (i, j), (fact, _) = written(b, pair)
        # The larger one comes first in the arithmetic.
        d = b.calculate(i, " - ", j) if pair[0].value > pair[1].value else b.calculate(j, " - ", i)
        first, second = pair
        number = abs(first.value - second.value)
    b.answer(part_of(first, d, fact))
    return Draft(f"{question}?", b, [*first.things, *second.things], shown_value(first, number))
