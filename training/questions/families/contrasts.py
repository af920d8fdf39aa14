"""Questions that set changed values against each other or against unchanged ones."""

from __future__ import annotations

from braid.training.questions.families.common import Draft, adjective, by_value, pick_best, scalable, shown
from braid.training.questions.families.hypothetical import (
    changed_value,
    draw_changes,
    followed,
    in_either_order,
    situation_of,
)
from braid.training.questions.program import Amount, Builder
from braid.training.questions.template import Choice, plural
from braid.training.questions.world import World


def changed_pair(c: Choice, w: World, rank: bool) -> Draft:
    """Sum, difference or comparison of two changed values."""
    rng = c.rng
    attribute, things = scalable(w, rng, 2)
    changes = draw_changes(rng, attribute, things)
    numbers = [change.apply(thing.number(attribute)) for thing, change in zip(things, changes, strict=True)]
    situation, stop = situation_of(c, changes, things, attribute)
    noun = rng.choice(attribute.words)
    unit = things[0].unit(attribute)
    b = Builder()
    refs = [b.look(attribute.noun, thing.name) for thing in things]
    values = [changed_value(b, ref, change) for ref, change in zip(refs, changes, strict=True)]
    x, y = (thing.text(rng) for thing in things)
    kind = rng.choice(("sum", "gap", "gap", "compare", "compare", "ratio", "mean", "more", "extreme"))
    words = {"n": noun, "ns": plural(noun), "x": x, "y": y}
    match kind:
        case "sum":
            tail = c.frame(
                "what is their [combined|total|joint] {n}",
                "what would their [combined|total] {n} be",
                "what [is|would be] the [sum|total] of their {ns}",
                "what is the [total|combined] {n}",
                "what do [they|the two|both] add up to [in {n}|]",
                "[find|calculate|compute|tell me] [their|the] [total|combined] {n}",
                "what would [both|the two] come to [together|in total]",
                "how much [{n}|] [would|do] they have [together|in total|combined]",
                held=("what {n} do the two have together", "how much is it for both of them added"),
                **words,
            )
            b.answer(Amount(b.calculate(values[0], " + ", values[1]), refs[0]))
            answer = shown(sum(numbers), unit)
        case "mean":
            tail = c.frame(
                "what [is|would be] their [average|mean] {n}",
                "what would the [average|mean] of their {ns} be",
                "[find|calculate|compute|tell me] their [average|mean] {n}",
                "what [is|would be] the [average|mean] {n}",
                held=("what {n} would they have on average",),
                **words,
            )
            b.answer(Amount(b.calculate("(", values[0], " + ", values[1], ") / 2"), refs[0]))
            answer = shown(sum(numbers) / 2, unit)
        case "gap":
            tail = c.frame(
                "what [is|would be] the [difference|gap] in {n}",
                "what would the [difference|gap] in {n} be",
                "what [is|would be] the [difference|gap] [between them|between the two|then|]",
                "[by how much|how much] [do|would] they differ [in {n}|]",
                "what would be the [new|resulting] [difference|gap] [in {n}|between their {ns}|]",
                "[find|calculate|compute|tell me] the [difference|gap] [between them|in {n}|between their {ns}]",
                "how far apart [are they|would they be] [in {n}|]",
                "what would be the {n} difference",
                "what [is|would be] the difference between {x} and {y} [then|]",
                "what difference [is there|remains|would remain] between [{x} and {y}|the two|them]",
                "how much [{n}|] [lies|would lie] between [them|the two]",
                held=(
                    "how big is the gap in {n}",
                    "what separates the two in {n}",
                    "with what distance do they end up",
                ),
                **words,
            )
            b.answer(Amount(b.calculate("abs(", values[0], " - ", values[1], ")"), refs[0]))
            answer = shown(abs(numbers[0] - numbers[1]), unit)
        case "ratio":
            tail = c.frame(
                "what [is|would be] the ratio of [their {ns}|{x} to {y}|the first to the second]",
                "how many times [the {n} of|] {y} [is|would be] {x}",
                "what [is|would be] the ratio [between them|between the two|of {x}'s {n} to {y}'s]",
                "[find|calculate|compute] the ratio of [their {ns}|the former to the latter]",
                held=("how do {x} and {y} then compare as a ratio",),
                **words,
            )
            b.answer(b.calculate(values[0], " / ", values[1]))
            answer = shown(numbers[0] / numbers[1])
        case "more":
            up = numbers[0] > numbers[1]
            first, second = (x, y) if rng.random() < 0.5 else (y, x)
            above = (numbers[0] > numbers[1]) == (first == x)
            word = (
                adjective(c, attribute, up=above, superlative=False)
                or f"{'greater' if above else 'smaller'} in {noun}"
            )
            tail = c.frame(
                "how much {m} [would {a} be|is {a}] than {b}",
                "how much {m} [would {a} be|is {a}|is {a} then|is {a} now|would {a} then be]",
                "how much {m} than {b} [would {a} be|is {a}]",
                "by how much [would {a} be|is {a}] {m} than {b}",
                "by how much [would|does] {a} [exceed|surpass] {b}"
                if above
                else "how much {m} would {a} be than {b}",
                held=("{a} is {m} than {b} by what",),
                m=word,
                a=first,
                b=second,
            )
            larger, smaller = (0, 1) if up else (1, 0)
            b.answer(Amount(b.calculate(values[larger], " - ", values[smaller]), refs[0]))
            answer = shown(abs(numbers[0] - numbers[1]), unit)
        case "extreme":
            up = rng.random() < 0.6
            tail = c.frame(
                "what [is|would be] the [greater|larger|higher|bigger] {n}"
                if up
                else "what [is|would be] the [smaller|lower|lesser] {n}",
                "what [is|would be] the {n} of the [larger|bigger|greater] one"
                if up
                else "what [is|would be] the {n} of the smaller one",
                held=(
                    "which {n} is the larger, as a number" if up else "which {n} is the smaller, as a number",
                ),
                **words,
            )
            b.answer(Amount(b.calculate("max(" if up else "min(", values[0], ", ", values[1], ")"), refs[0]))
            answer = shown(max(numbers) if up else min(numbers), unit)
        case _:
            by_value(things, numbers, up=True)
            up = rng.random() < 0.7
            word = (
                adjective(c, attribute, up=up, superlative=False)
                or f"{'greater' if up else 'smaller'} in {noun}"
            )
            tail = c.frame(
                "[is|would|will] {x} {m} than {y}".replace(
                    "[is|would|will] {x}",
                    "[is {x}|would {x} be|will {x} be|is {x} then|does {x} become|would {x} then be|would {x} still be]",
                ),
                "would the former be {m} than the latter",
                "is it [true|the case] that {x} [is|would be] {m} than {y}",
                "does [{x}|the first] have the [greater|larger|higher|bigger] {n}"
                if up
                else "does [{x}|the first] have the [smaller|lower|lesser] {n}",
                held=(
                    "does {x} come out {m} than {y}",
                    "could {x} call itself {m} than {y}",
                    "{x} {m} than {y}, yes or no",
                ),
                m=word,
                **words,
            )
            b.yes_no(values[0], ">" if up else "<", values[1])
            answer = "yes" if (numbers[0] > numbers[1]) == up else "no"
    question = in_either_order(rng, situation, tail, stop)
    return Draft(f"{question}?", b, things, answer)


def changed_against(c: Choice, w: World, rank: bool) -> Draft:
    """Some change, one does not: "If K2 were 20% taller, would it be taller than Mount Everest?"."""
    rng = c.rng
    attribute, things = scalable(w, rng, rng.choices((2, 3), (4, 1))[0] if rank else 2)
    moved, still = things[:-1], things[-1]
    changes = draw_changes(rng, attribute, moved)
    situation, stop = situation_of(c, changes, moved, attribute)
    noun, unit = rng.choice(attribute.words), things[0].unit(attribute)
    x, y = moved[0].text(rng), still.text(rng)
    b = Builder()
    refs = [b.look(attribute.noun, thing.name) for thing in things]
    values = [
        *(changed_value(b, ref, change) for ref, change in zip(refs[:-1], changes, strict=True)),
        refs[-1],
    ]
    numbers = [change.apply(t.number(attribute)) for t, change in zip(moved, changes, strict=True)] + [
        still.number(attribute)
    ]
    ordered = by_value(things, numbers, up=True)
    up = rng.random() < 0.65
    more = adjective(c, attribute, up=up, superlative=False) or f"{'greater' if up else 'smaller'} in {noun}"
    most = adjective(c, attribute, up=up, superlative=True)
    words = {"n": noun, "x": x, "y": y, "m": more}
    names = [t.name for t in things]
    kind = rng.choice(("yes", "yes", "which", "gap", "share"))
    if len(things) == 3:
        kind = "which"
    match kind:
        case "yes":
            tail = c.frame(
                "[would|will] it be {m} than {y}",
                "[is it|does it become|would it become|would it then be|would it still be|is {x}] {m} than {y}",
                "[would|will|can] [it|{x}] [then|still|now|] [be|become] {m} than {y}",
                "is [it|{x}] [then|still|now] {m} than {y}",
                "would {x} be {m} than {y}",
                "would it [beat|surpass|overtake|exceed|top|outdo] {y}" if up else "would it fall behind {y}",
                "would it have a [greater|larger|higher|bigger] {n} than {y}"
                if up
                else "would it have a [smaller|lower] {n} than {y}",
                held=(
                    "does that make it {m} than {y}",
                    "is that enough to be {m} than {y}" if up else "does that bring it below {y}",
                ),
                **words,
            )
            b.yes_no(values[0], ">" if up else "<", values[1])
            answer = "yes" if (numbers[0] > numbers[1]) == up else "no"
        case "which":
            either = c.listed([*(t.text(rng) for t in moved), y], last="or")
            if len(things) == 2:
                either = rng.choice((either, f"it or {y}", f"{x} or {y}"))
                word = more
            else:
                word = f"the {most}" if most else f"the {'greatest' if up else 'smallest'} in {noun}"
            tail = c.frame(
                "which [is|would be|one is|one would be] {w}, {e}",
                "which [is|would be] {w}: {e}",
                "[tell me|say|find] which is {w}, {e}",
                held=("{e}: which ends up {w}",),
                w=word,
                e=either,
            )
            pick_best(b, names, values, up=up, rank=rank)
            answer = ordered[0] if up else ordered[-1]
        case "gap":
            above = numbers[0] > numbers[1]
            more = (
                adjective(c, attribute, up=above, superlative=False)
                or f"{'greater' if above else 'smaller'} in {noun}"
            )
            tail = c.frame(
                "how much {m} [would it be|is it|would {x} be] than {y}",
                "by how much [would it be|is it] {m} than {y}",
                "by how much would it [exceed|surpass|top] {y}"
                if above
                else "how much {m} would it be than {y}",
                held=("how much {m} than {y} does that make it",),
                m=more,
                x=x,
                y=y,
            )
            larger, smaller = (0, 1) if above else (1, 0)
            b.answer(Amount(b.calculate(values[larger], " - ", values[smaller]), refs[0]))
            answer = shown(abs(numbers[0] - numbers[1]), unit)
        case _:
            tail = c.frame(
                "how many times [the {n} of|] {y} would it be",
                "what would be the ratio of its {n} to that of {y}",
                "what would [its|the] ratio to {y} be",
                held=("as a multiple of {y}, what would it be",),
                **words,
            )
            b.answer(b.calculate(values[0], " / ", values[1]))
            answer = shown(numbers[0] / numbers[1])
    return Draft(f"{followed(situation, tail, stop)}?", b, things, answer)
