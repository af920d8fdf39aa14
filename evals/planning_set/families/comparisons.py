"""Questions that compare: which one, in what order, yes or no, and by how much."""

from __future__ import annotations

import random

from evals.planning_set.attributes import POPULATION
from evals.planning_set.families.common import (
    Draft,
    adjective,
    by_value,
    counted,
    pick_best,
    shown,
    which_tail,
)
from evals.planning_set.program import Amount, Answer, Block, Builder, Item
from evals.planning_set.wording import Choice, listed, plural
from evals.planning_set.world import World


def superlative(c: Choice, w: World, rank: bool) -> Draft:
    """The extreme of several: "Which is taller, K2 or Mont Blanc?"."""
    rng = c.rng
    attribute, things = w.comparable(rng, counted(rng, rank, (6, 5, 3, 2)))
    up = rng.random() < 0.6
    kind = things[0].kind
    texts = [t.text(rng) for t in things]
    either, both = listed(texts, last="or"), listed(texts)
    word = adjective(c, attribute, up=up, superlative=len(things) > 2)
    tail = which_tail(c, attribute, kind, len(things), up=up)
    options = [
        f"{tail}, {either}",
        f"{tail}: {either}",
        f"of {both}, {tail}",
        f"{tail}: {both}",
        f"out of {both}, {tail}",
        f"between {both}, {tail}",
        f"among {both}, {tail}",
    ]
    if word:
        the = "the " if len(things) > 2 else ""
        options += [
            f"which is {the}{word}, {either}",
            f"which is {the}{word}: {either}",
            f"which {kind} is {the}{word}, {either}",
            f"what is {the}{word}, {either}",
            f"is {texts[0]} or {texts[1]} {word}" if len(things) == 2 else f"which of {both} is the {word}",
            f"which of {both} is {the or 'the '}{word}",
        ]
    question = c.pick(*options, held=(f"considering {both}, {tail}", f"I wonder about {both}: {tail}"))
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    pick_best(b, [t.name for t in things], refs, up=up, rank=rank)
    return Draft(f"{question}?", b, things, by_value(things, [t.number(attribute) for t in things], up=up)[0])


def placed(c: Choice, w: World, rank: bool) -> Draft:
    """A later place or the whole order: "Which of A, B and C is the second longest?"."""
    rng = c.rng
    attribute, things = w.comparable(rng, rng.choices((3, 4, 5), (4, 3, 2))[0])
    if not rank:
        raise LookupError("a full order needs a ranking tool")
    up = rng.random() < 0.6
    kind = things[0].kind
    both = listed([t.text(rng) for t in things])
    noun = rng.choice(attribute.words)
    most = adjective(c, attribute, up=True, superlative=True) or f"greatest {noun}"
    least = adjective(c, attribute, up=False, superlative=True) or f"smallest {noun}"
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    ordered = by_value(things, [t.number(attribute) for t in things], up=up)
    order = b.rank([t.name for t in things], refs, descending=up)
    if rng.random() < 0.5:
        first, last = (most, least) if up else (least, most)
        question = c.pick(
            f"{rng.choice(('rank', 'sort', 'order', 'arrange', 'put'))} {both} {'in order ' if rng.random() < 0.2 else ''}from {first} to {last}",
            f"{rng.choice(('rank', 'sort', 'order', 'list'))} {both} by {noun}, {first} first",
            f"{rng.choice(('rank', 'sort', 'order', 'list'))} {both} by {rng.choice(('descending', 'decreasing') if up else ('ascending', 'increasing'))} {noun}",
            held=(f"starting with the {first}, list {both}",),
        )
        b.answer(order)
        return Draft(f"{question}.", b, things, ", ".join(ordered))
    place = 1 if len(things) == 3 else rng.choice((1, 1, 2))
    ordinal = ("second", "third")[place - 1] if rng.random() < 0.8 else ("2nd", "3rd")[place - 1]
    word = most if up else least
    question = c.pick(
        f"which of {both} is the {ordinal} {word}",
        f"which {kind} is the {ordinal} {word}: {both}",
        f"what is the {ordinal} {word} of {both}",
        f"of {both}, which is the {ordinal} {word}",
        f"among {both}, which one is the {ordinal} {word}",
        held=(f"if {both} were lined up by {noun}, {word} first, which would be {ordinal}",),
    )
    b.answer(Item(order.step, place))
    return Draft(f"{question}?", b, things, ordered[place])


def compare(c: Choice, w: World, rank: bool) -> Draft:
    """Yes or no about two things: "Is K2 taller than Mont Blanc?"."""
    rng = c.rng
    attribute, (first, second) = w.comparable(rng, 2)
    up = rng.random() < 0.6
    x, y = first.text(rng), second.text(rng)
    noun = rng.choice(attribute.words)
    more = adjective(c, attribute, up=up, superlative=False)
    greater = rng.choice(("greater", "larger", "higher") if up else ("smaller", "lower", "less"))
    options = [
        f"is the {noun} of {x} {greater} than the {noun} of {y}",
        f"does {x} have a {greater} {noun} than {y}",
        f"is {x}'s {noun} {greater} than {y}'s",
    ]
    if more:
        options += [f"is {x} {more} than {y}"] * 4 + [f"is it true that {x} is {more} than {y}"]
    if attribute is POPULATION:
        options += [
            f"does {x} have {'more' if up else 'fewer'} {rng.choice(('people', 'inhabitants'))} than {y}",
            f"do {'more' if up else 'fewer'} people live in {x} than in {y}",
        ]
    question = c.pick(
        *options,
        held=(
            f"would you say that {x} is {more} than {y}"
            if more
            else f"would you say that {x}'s {noun} is {greater} than {y}'s",
            f"true or not: {x} has {'more' if up else 'less'} {noun} than {y}",
        ),
    )
    b = Builder()
    i, j = b.look(attribute.noun, first.name), b.look(attribute.noun, second.name)
    b.yes_no(i, ">" if up else "<", j)
    holds = (
        first.number(attribute) > second.number(attribute)
        if up
        else first.number(attribute) < second.number(attribute)
    )
    return Draft(f"{question}?", b, [first, second], "yes" if holds else "no")


def threshold(rng: random.Random, value: float) -> str:
    """A round number in the neighbourhood of `value`, never equal to it."""
    if abs(value) >= 1e12:
        raise LookupError(f"nobody writes a threshold near {value} in digits")
    guess = value * rng.uniform(0.6, 1.5)
    digits = max(0, len(str(int(abs(guess)))) - rng.choice((1, 2, 2)))
    text = str(int(round(guess, -digits))) if abs(guess) >= 5 else f"{guess:.1f}"
    if float(text) == value:
        raise LookupError(f"{text} does not tell {value} from less or more")
    return text


def limit(c: Choice, w: World, rank: bool) -> Draft:
    """Yes or no against a number: "Is the Nile longer than 6000 km?"."""
    rng = c.rng
    attribute, (thing,) = w.comparable(rng, 1)
    up = rng.random() < 0.6
    x = thing.text(rng)
    noun = rng.choice(attribute.words)
    number = threshold(rng, thing.number(attribute))
    unit = f" {rng.choice(attribute.unit_words)}" if attribute.unit_words and rng.random() < 0.85 else ""
    more = adjective(c, attribute, up=up, superlative=False)
    over = rng.choice(
        ("more than", "over", "above", "greater than") if up else ("less than", "under", "below")
    )
    options = [
        f"is the {noun} of {x} {over} {number}{unit}",
        f"does {x} have a {noun} of {over} {number}{unit}",
        f"is {x}'s {noun} {over} {number}{unit}",
    ]
    if more:
        options += [f"is {x} {more} than {number}{unit}"] * 3
    if attribute.how and attribute.how not in ("populous", "massive"):
        options += [f"is {x} {over.replace('greater', 'more')} {number}{unit} {attribute.how}"]
    if attribute is POPULATION:
        options += [
            f"do {over.replace('above', 'over').replace('greater', 'more')} {number} people live in {x}"
        ]
    question = c.pick(*options, held=(f"does {x} go {'beyond' if up else 'below'} {number}{unit} in {noun}",))
    b = Builder()
    b.yes_no(b.look(attribute.noun, thing.name), ">" if up else "<", number)
    holds = thing.number(attribute) > float(number) if up else thing.number(attribute) < float(number)
    return Draft(f"{question}?", b, [thing], "yes" if holds else "no")


def sum_compare(c: Choice, w: World, rank: bool) -> Draft:
    """Yes or no about a sum: "Are A and B together longer than C?"."""
    rng = c.rng
    attribute, (first, second, third) = w.comparable(rng, 3)
    x, y, z = first.text(rng), second.text(rng), third.text(rng)
    noun = rng.choice(attribute.words)
    up = rng.random() < 0.7
    more = adjective(c, attribute, up=up, superlative=False)
    greater = rng.choice(("greater", "larger", "more") if up else ("smaller", "less"))
    question = c.pick(
        f"is the {rng.choice(('combined', 'total'))} {noun} of {x} and {y} {greater} than {'that' if rng.random() < 0.5 else f'the {noun}'} of {z}",
        f"are {x} and {y} together {more} than {z}"
        if more
        else f"do {x} and {y} together have a {greater} {noun} than {z}",
        f"is the sum of the {plural(noun)} of {x} and {y} {greater} than the {noun} of {z}",
        held=(
            f"put together, are {x} and {y} {more} than {z}"
            if more
            else f"put together, do {x} and {y} have a {greater} {noun} than {z}",
        ),
    )
    b = Builder()
    i, j, k = (b.look(attribute.noun, t.name) for t in (first, second, third))
    b.yes_no(b.calculate(i, " + ", j), ">" if up else "<", k)
    both, one = first.number(attribute) + second.number(attribute), third.number(attribute)
    if both == one:
        raise LookupError("the sum equals the third")
    return Draft(f"{question}?", b, [first, second, third], "yes" if (both > one) == up else "no")


def gap_and_limit(c: Choice, w: World, rank: bool) -> Draft:
    """A difference and what it means: "How much taller is A than B, and is that more than the depth of C?"."""
    rng = c.rng
    attribute, things = w.comparable(rng, 2)
    ((other, third),) = w.measured(rng, 1)
    up = rng.random() < 0.75
    first, second = sorted(things, key=lambda t: t.number(attribute), reverse=up)
    x, y, z = first.text(rng), second.text(rng), third.text(rng)
    above = rng.random() < 0.7
    over = rng.choice(
        ("more than", "greater than", "larger than", "bigger than")
        if above
        else ("less than", "smaller than")
    )
    more = adjective(c, attribute, up=up, superlative=False)
    noun, noun2 = rng.choice(attribute.words), rng.choice(other.words)
    opening = (
        f"how much {more} is {x} than {y}"
        if more
        else f"how much {'greater' if up else 'smaller'} is the {noun} of {x} than that of {y}"
    )
    question = c.pick(
        f"{opening}, and is that {over} the {noun2} of {z}",
        f"{opening}, and is that {over} {z}'s {noun2}",
        f"{opening}? Is that {over} the {noun2} of {z}",
        f"{opening}, and is the difference {over} the {noun2} of {z}",
        held=(f"{opening}, and does this gap come to {over} the {noun2} of {z}",),
    )
    b = Builder()
    i, j = b.look(attribute.noun, first.name), b.look(attribute.noun, second.name)
    k = b.look(other.noun, third.name)
    d = b.calculate(i, " - ", j) if up else b.calculate(j, " - ", i)
    value, bar = abs(first.number(attribute) - second.number(attribute)), third.number(other)
    if value == bar:
        raise LookupError("the difference equals the third")
    b.branch(
        d,
        ">" if above else "<",
        k,
        Block((), Answer((Amount(d, i), "; yes"))),
        Block((), Answer((Amount(d, i), "; no"))),
    )
    return Draft(
        f"{question}?",
        b,
        [first, second, third],
        f"{shown(value, first.unit(attribute))}; {'yes' if (value > bar) == above else 'no'}",
    )


def which_and_gap(c: Choice, w: World, rank: bool) -> Draft:
    """Which one, and by how much: "Which has more people, France or Italy, and by how much?"."""
    rng = c.rng
    attribute, things = w.comparable(rng, 2)
    up = rng.random() < 0.65
    either = listed([t.text(rng) for t in things], last="or")
    tail = which_tail(c, attribute, things[0].kind, 2, up=up)
    more = adjective(c, attribute, up=up, superlative=False)
    tail = f"which is {more}" if more and rng.random() < 0.4 else tail
    if attribute is POPULATION and rng.random() < 0.4:
        tail = f"which has {'more' if up else 'fewer'} people"
    question = c.pick(
        f"{tail}, {either}, and by how much",
        f"{tail}, {either}, and what is the difference",
        f"{tail}: {either}? By how much",
        f"{tail}, {either}, and how big is the difference",
        held=(f"{tail}, {either}? And how large is the gap",),
    )
    b = Builder()
    i, j = (b.look(attribute.noun, t.name) for t in things)
    d = b.calculate("abs(", i, " - ", j, ")")
    names = [t.name for t in things]
    if rank:
        order = b.rank(names, [i, j], descending=up)
        b.answer(Item(order.step, 0), "; ", Amount(d, i))
    else:
        b.branch(
            i,
            ">" if up else "<",
            j,
            Block((), Answer((f"{names[0]}; ", Amount(d, i)))),
            Block((), Answer((f"{names[1]}; ", Amount(d, i)))),
        )
    values = [t.number(attribute) for t in things]
    return Draft(
        f"{question}?",
        b,
        things,
        f"{by_value(things, values, up=up)[0]}; {shown(abs(values[0] - values[1]), things[0].unit(attribute))}",
    )
