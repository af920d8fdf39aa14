"""Questions about changed values: "If the Nile were 20% shorter and the Volga doubled, which would be longer?"."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from evals.planning_set.attributes import Attribute
from evals.planning_set.changes import (
    Change,
    clause,
    described,
    draw_change,
    gerund,
    imperative,
    participle,
    percent,
)
from evals.planning_set.families.common import (
    Draft,
    adjective,
    by_value,
    counted,
    pick_best,
    shown,
    which_tail,
)
from evals.planning_set.program import Amount, Builder, Ref
from evals.planning_set.wording import Choice, listed
from evals.planning_set.world import Thing, World

Phrase = Callable[[Choice, Change, str, Attribute], str]


def joined(rng: random.Random, clauses: Sequence[str]) -> str:
    """Clauses as people string them together."""
    if len(clauses) == 1:
        return clauses[0]
    glue = rng.choice((" and ", ", and ", ", while ", " while ", ", whereas ", ", but "))
    if len(clauses) == 2:
        return glue.join(clauses)
    pick = rng.random()
    if pick < 0.65:
        return ", ".join(clauses[:-1]) + rng.choice((", and ", " and ", ", while ", ", and ")) + clauses[-1]
    if pick < 0.85:
        return f"{clauses[0]}{rng.choice((', while ', ' while ', ', '))}{', '.join(clauses[1:-1])}{rng.choice((' and ', ', and '))}{clauses[-1]}"
    return "; ".join(clauses[:-1]) + "; and " + clauses[-1]


def _situation(
    c: Choice, changes: Sequence[Change], things: Sequence[Thing], attribute: Attribute
) -> tuple[str, bool]:
    """What is supposed to happen, with its opening words; and whether a new sentence must follow it."""
    rng = c.rng
    texts = [thing.text(rng) for thing in things]

    def phrases(phrase: Phrase) -> list[str]:
        return [phrase(c, change, text, attribute) for change, text in zip(changes, texts, strict=True)]

    match rng.choices(
        ("clauses", "participles", "gerunds", "actions", "orders", "described"), (44, 17, 9, 8, 5, 17)
    )[0]:
        case "clauses":
            opener = c.pick(
                "if",
                "if",
                "if",
                "if",
                "if",
                "given that",
                "given that",
                "assuming",
                "assuming that",
                "supposing",
                "supposing that",
                "suppose",
                "provided that",
                "say",
                "considering that",
                "taking into account that",
                "when",
                "once",
                "in case",
                "knowing that",
                "since",
                held=("imagine that", "let's say", "in a world where", "on condition that"),
            )
            if (
                changes[0].by.endswith(("%", "percent"))
                and len(things) > 1
                and rng.random() < 0.1
                and changes[0].suffix == changes[1].suffix
            ):
                return f"{opener} {joined(rng, phrases(clause))}", False
            text = f"{opener} {joined(rng, phrases(clause))}"
            return text, opener in ("imagine that", "let's say") and rng.random() < 0.5
        case "participles":
            opener = c.pick(
                "with",
                "with",
                "with",
                "given",
                "given",
                "considering",
                "taking into account",
                "assuming",
                "having",
                "in view of",
                "seeing",
                held=("bearing in mind", "allowing for"),
            )
            return f"{opener} {listed(phrases(participle), comma=rng.random() < 0.8)}", False
        case "gerunds":
            opener = c.pick(
                "after",
                "after",
                "after",
                "by",
                "upon",
                "when",
                "on",
                "following",
                held=("once you are done", "as a result of"),
            )
            return f"{opener} {listed(phrases(gerund), comma=rng.random() < 0.8)}", False
        case "actions":
            opener = c.pick(
                "if you",
                "if we",
                "if one",
                "if someone",
                "suppose we",
                "suppose you",
                "say you",
                "if I",
                held=("imagine we", "should you"),
            )
            return f"{opener} {listed(phrases(imperative), comma=rng.random() < 0.8)}", False
        case "orders":
            first = imperative(c, changes[0], texts[0], attribute)
            rest = [imperative(c, ch, t, attribute) for ch, t in zip(changes[1:], texts[1:], strict=True)]
            if changes[0].by.endswith("%") and rng.random() < 0.4:
                verb = "add" if changes[0].up else "subtract"
                link = "to" if changes[0].up else rng.choice(("of", "from"))
                first = f"take {texts[0]}, {verb} {changes[0].by} {link} its {rng.choice(attribute.words)}"
            return (
                f"{first}, {rng.choice(('then ', 'and then ', 'and ', 'then '))}{listed(rest)}"
                if rest
                else first,
                True,
            )
        case _:
            opener = c.pick(
                "considering",
                "taking into account",
                "factoring in",
                "given",
                "comparing",
                "with",
                "between",
                "among",
                "of",
                "looking at",
                held=("picture", "weighing up"),
            )
            return f"{opener} {listed(phrases(described), comma=rng.random() < 0.8)}", False


def _draw_changes(rng: random.Random, count: int) -> list[Change]:
    changes = [draw_change(rng) for _ in range(count)]
    if count > 1 and rng.random() < 0.08:
        # One and the same change for all, or its opposite for one of them.
        changes = [changes[0]] * count
    return changes


def _value(b: Builder, ref: Ref, change: Change) -> Ref:
    return b.calculate(ref, change.suffix)


def changed_best(c: Choice, w: World, rank: bool) -> Draft:
    """The extreme of several changed values."""
    rng = c.rng
    attribute, things = w.comparable(rng, counted(rng, rank, (5, 5, 4, 4)))
    changes = _draw_changes(rng, len(things))
    up = rng.random() < 0.55
    if len(things) == 2 and rng.random() < 0.06 and changes[0].by.endswith("%"):
        question = _same_fraction(c, changes, things, attribute, up)
    else:
        situation, stop = _situation(c, changes, things, attribute)
        tail = which_tail(c, attribute, things[0].kind, len(things), up=up)
        if rng.random() < 0.07 and situation.startswith(("if ", "after ", "assuming ", "with ")):
            question = f"{tail} {situation}"
        else:
            question = f"{situation}{'. ' if stop else ', '}{tail[0].upper() + tail[1:] if stop else tail}"
    b = Builder()
    refs = [b.look(attribute.noun, thing.name) for thing in things]
    values = [_value(b, ref, change) for ref, change in zip(refs, changes, strict=True)]
    numbers = [change.apply(thing.number(attribute)) for thing, change in zip(things, changes, strict=True)]
    ordered = by_value(things, numbers, up=up)
    place = 1 if len(things) > 2 and rng.random() < 0.05 else 0
    if place:
        superlative = adjective(c, attribute, up=up, superlative=True)
        if not superlative:
            raise LookupError(f"{attribute.noun} has no superlative")
        situation, stop = _situation(c, changes, things, attribute)
        question = f"{situation}{'. Which' if stop else ', which'} one {rng.choice(('is', 'would be', 'becomes'))} the second {superlative}"
    pick_best(b, [thing.name for thing in things], values, up=up, rank=rank, place=place)
    return Draft(f"{question}?", b, things, ordered[place])


def _same_fraction(
    c: Choice, changes: list[Change], things: Sequence[Thing], attribute: Attribute, up: bool
) -> str:
    """Two changes of one size, the second told by reference to the first; `changes` is brought in line."""
    rng = c.rng
    other = draw_change(rng)
    while not other.by.endswith("%") or (other.up == changes[0].up and rng.random() < 0.7):
        other = draw_change(rng)
    amount = changes[0].by.removesuffix("%")
    if float(amount) >= 100:
        raise LookupError("a fraction of 100% or more cannot be taken away")
    direction = other.up
    same = rng.choice(
        (
            "by the same fraction",
            "by the same percentage",
            "by the same share",
            "by the same proportion",
            "by the same amount in percent",
        )
    )
    changes[1] = percent(amount, direction)
    told = Change(changes[1].suffix, changes[1].apply, direction, same.removeprefix("by "), "by")
    x, y = (thing.text(rng) for thing in things)
    noun = rng.choice(attribute.words)
    verb = "add" if changes[0].up else "subtract"
    first = rng.choice(
        (
            imperative(c, changes[0], x, attribute),
            f"take {x}, {verb} {changes[0].by} {'to' if changes[0].up else 'of'} its {noun}",
        )
    )
    second = f"{rng.choice(('increase', 'raise', 'extend', 'grow') if direction else ('decrease', 'reduce', 'lower', 'cut'))} {y}'s {noun} by {told.by}"
    tail = which_tail(c, attribute, things[0].kind, 2, up=up)
    return f"{first}, then {second}. {tail[0].upper() + tail[1:]}"


def changed_one(c: Choice, w: World, rank: bool) -> Draft:
    """One changed value: "If K2 were 20% taller, how tall would it be?"."""
    rng = c.rng
    attribute, (thing,) = w.comparable(rng, 1)
    (change,) = _draw_changes(rng, 1)
    situation, stop = _situation(c, [change], [thing], attribute)
    noun = rng.choice(attribute.words)
    asked = [
        f"what would its {noun} be",
        f"what would the {noun} be",
        f"what is its new {noun}",
        f"what is the new {noun}",
        f"what is the resulting {noun}",
    ]
    if attribute.how:
        asked += [
            f"how {attribute.how} would it be",
            f"how {attribute.how} is it then",
            f"how {attribute.how} would that be",
        ]
    tail = c.pick(*asked, held=(f"what {noun} results",))
    question = f"{situation}{'. ' if stop else ', '}{tail[0].upper() + tail[1:] if stop else tail}"
    b = Builder()
    ref = b.look(attribute.noun, thing.name)
    b.answer(Amount(_value(b, ref, change), ref))
    return Draft(
        f"{question}?", b, [thing], shown(change.apply(thing.number(attribute)), thing.unit(attribute))
    )


def changed_pair(c: Choice, w: World, rank: bool) -> Draft:
    """Sum, difference or comparison of two changed values."""
    rng = c.rng
    attribute, things = w.comparable(rng, 2)
    changes = _draw_changes(rng, 2)
    numbers = [change.apply(thing.number(attribute)) for thing, change in zip(things, changes, strict=True)]
    situation, stop = _situation(c, changes, things, attribute)
    noun = rng.choice(attribute.words)
    unit = things[0].unit(attribute)
    b = Builder()
    refs = [b.look(attribute.noun, thing.name) for thing in things]
    values = [_value(b, ref, change) for ref, change in zip(refs, changes, strict=True)]
    x, y = (thing.text(rng) for thing in things)
    more = adjective(c, attribute, up=True, superlative=False)
    match rng.choice(("sum", "gap", "compare")):
        case "sum":
            tail = c.pick(
                f"what is their {rng.choice(('combined', 'total'))} {noun}",
                f"what would their combined {noun} be",
                f"what is the sum of their {noun}",
                f"what is the total {noun}",
                held=(f"what {noun} do the two have together",),
            )
            b.answer(Amount(b.calculate(values[0], " + ", values[1]), refs[0]))
            answer = shown(sum(numbers), unit)
        case "gap":
            tail = c.pick(
                f"what is the difference in {noun}",
                f"what would the difference in {noun} be",
                "what is the difference between them",
                "by how much do they differ",
                held=(f"how big is the gap in {noun}",),
            )
            b.answer(Amount(b.calculate("abs(", values[0], " - ", values[1], ")"), refs[0]))
            answer = shown(abs(numbers[0] - numbers[1]), unit)
        case _:
            by_value(things, numbers, up=True)
            word = more or f"greater in {noun}"
            tail = c.pick(
                f"is {x} {word} than {y}",
                f"would {x} be {word} than {y}",
                f"is {x} then {word} than {y}",
                held=(f"does {x} come out {word} than {y}",),
            )
            b.yes_no(values[0], ">", values[1])
            answer = "yes" if numbers[0] > numbers[1] else "no"
    question = f"{situation}{'. ' if stop else ', '}{tail[0].upper() + tail[1:] if stop else tail}"
    return Draft(f"{question}?", b, things, answer)
