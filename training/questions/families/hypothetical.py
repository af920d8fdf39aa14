"""Questions about changed values, such as "If the Nile doubled, would it be longer than the Volga?"."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress

from braid.training.questions.changes import STILL, draw_change, percent
from braid.training.questions.families.common import (
    Draft,
    adjective,
    by_value,
    counted,
    pick_best,
    scalable,
    shown,
    which_tail,
)
from braid.training.questions.program import Amount, Builder, Ref
from braid.training.questions.template import Choice, listed
from braid.training.questions.templates import (
    DOWN_MOVE,
    UP_MOVE,
    Attribute,
    Change,
    clause,
    described,
    elliptic,
    gerund,
    imperative,
    participle,
)
from braid.training.questions.world import Thing, World

_SENTENCES = (
    "imagine that", "let's say", "imagine", "suppose", "assume", "assume that", "let's assume", "let's assume that",
    "let us suppose", "pretend that", "now suppose", "let's pretend", "what if", "say", "picture that",
)  # fmt: skip
"""Openings after which the situation may be a sentence of its own."""

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


def situation_of(
    c: Choice, changes: Sequence[Change], things: Sequence[Thing], attribute: Attribute
) -> tuple[str, bool]:
    """What is supposed to happen, with its opening words, and whether a new sentence must follow it."""
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
                "what if",
                "imagine",
                "let's assume",
                "let's assume that",
                "let us suppose",
                "pretend that",
                "in the event that",
                "as long as",
                "hypothetically, if",
                "in a scenario where",
                "if it happened that",
                "now suppose",
                "were it the case that",
                "let's pretend",
                "assume",
                "assume that",
                held=(
                    "imagine that",
                    "let's say",
                    "in a world where",
                    "on condition that",
                    "picture that",
                    "granted that",
                    "thinking of a case in which",
                ),
            )
            if (
                changes[0].by.endswith(("%", "percent"))
                and len(things) > 1
                and rng.random() < 0.1
                and changes[0].suffix == changes[1].suffix
            ):
                return f"{opener} {joined(rng, phrases(clause))}", False
            clauses = phrases(clause)
            if len(things) > 1 and rng.random() < 0.3:
                with suppress(LookupError):
                    clauses = elliptic(c, changes, texts, attribute)
            text = f"{opener} {joined(rng, clauses)}"
            if rng.random() < 0.12:
                # Told as if it had happened.
                return c.fill(
                    "[|||now |one day |by a miracle, |in a story, |some day ]{t}", t=joined(rng, clauses)
                ), True
            stop = opener in _SENTENCES and rng.random() < 0.6
            return text + ("?" if opener == "what if" and stop else ""), stop
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
                "after",
                "supposing",
                "in the case of",
                "if there were",
                "thanks to",
                held=("bearing in mind", "allowing for", "granted", "in light of"),
            )
            return f"{opener} {c.listed(phrases(participle), comma=0.8)}", False
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
                "if we are",
                "if you start",
                "through",
                held=("once you are done", "as a result of", "having finished"),
            )
            return f"{opener} {c.listed(phrases(gerund), comma=0.8)}", False
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
                "if they",
                "if people",
                "let's",
                "what if we",
                "imagine you",
                "were we to",
                "if I were to",
                held=("imagine we", "should you", "say I were to", "had we to"),
            )
            return f"{opener} {c.listed(phrases(imperative), comma=0.8)}", False
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
            return f"{opener} {c.listed(phrases(described), comma=0.8)}", False


def draw_changes(rng: random.Random, attribute: Attribute, things: Sequence[Thing]) -> list[Change]:
    """A change for each thing."""
    count = len(things)
    changes = [draw_change(rng, attribute, thing) for thing in things]
    if count > 1 and rng.random() < 0.08:
        # One and the same change for all, or its opposite for one of them.
        changes = [draw_change(rng)] * count
    elif count > 1 and rng.random() < 0.08:
        changes[rng.randrange(count)] = STILL
    return changes


_TRAILING = (
    "if ",
    "after ",
    "assuming ",
    "with ",
    "supposing ",
    "given that ",
    "in case ",
    "provided ",
    "once ",
    "when ",
)


def followed(situation: str, tail: str, stop: bool) -> str:
    """The situation and what is asked, in one sentence or two."""
    if not stop:
        return f"{situation}, {tail}"
    return f"{situation}{'' if situation.endswith('?') else '.'} {tail[0].upper() + tail[1:]}"


def in_either_order(rng: random.Random, situation: str, tail: str, stop: bool) -> str:
    """Situation and question in either order."""
    if (
        rng.random() < 0.12
        and not stop
        and situation.startswith(_TRAILING)
        and " its " not in f" {tail} "
        and " it " not in f" {tail} "
    ):
        return f"{tail} {situation}"
    return followed(situation, tail, stop)


def changed_value(b: Builder, ref: Ref, change: Change) -> Ref:
    """The reference with a change applied to it."""
    return b.calculate(ref, change.suffix) if change.suffix else ref


def changed_best(c: Choice, w: World, rank: bool) -> Draft:
    """The extreme of several changed values."""
    rng = c.rng
    attribute, things = scalable(w, rng, counted(rng, rank, (5, 5, 4, 4)))
    changes = draw_changes(rng, attribute, things)
    up = rng.random() < 0.55
    if len(things) == 2 and rng.random() < 0.06 and changes[0].by.endswith("%"):
        question = _same_fraction(c, changes, things, attribute, up)
    else:
        situation, stop = situation_of(c, changes, things, attribute)
        tail = which_tail(c, attribute, things[0].kind, len(things), up=up)
        if rng.random() < 0.12 and not stop and situation.startswith(_TRAILING):
            question = f"{tail} {situation}"
        else:
            question = followed(situation, tail, stop)
    b = Builder()
    refs = [b.look(attribute.noun, thing.name) for thing in things]
    values = [changed_value(b, ref, change) for ref, change in zip(refs, changes, strict=True)]
    numbers = [change.apply(thing.number(attribute)) for thing, change in zip(things, changes, strict=True)]
    ordered = by_value(things, numbers, up=up)
    place = 1 if len(things) > 2 and rng.random() < 0.05 else 0
    if place:
        superlative = adjective(c, attribute, up=up, superlative=True)
        if not superlative:
            raise LookupError(f"{attribute.noun} has no superlative")
        situation, stop = situation_of(c, changes, things, attribute)
        question = f"{situation}{'. Which' if stop else ', which'} one {rng.choice(('is', 'would be', 'becomes'))} the second {superlative}"
    pick_best(b, [thing.name for thing in things], values, up=up, rank=rank, place=place)
    return Draft(f"{question}?", b, things, ordered[place])


def _same_fraction(
    c: Choice, changes: list[Change], things: Sequence[Thing], attribute: Attribute, up: bool
) -> str:
    """Two changes of one size, the second told by reference to the first. `changes` is brought in line."""
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
    attribute, (thing,) = scalable(w, rng, 1)
    (change,) = draw_changes(rng, attribute, [thing])
    situation, stop = situation_of(c, [change], [thing], attribute)
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
    asked += [
        f"{c.rng.choice(('tell me', 'find', 'calculate', 'compute', 'give me', 'work out'))} {c.rng.choice(('its', 'the', 'the new', 'the resulting', 'its new'))} {noun}",
        f"what {noun} would it {c.rng.choice(('have', 'reach', 'end up with'))}",
        f"what {c.rng.choice(('does', 'would'))} its {noun} {c.rng.choice(('become', 'come to', 'be then', 'amount to'))}",
    ]
    tail = c.pick(
        *asked,
        held=(f"what {noun} results", f"I'd like its {noun} then", f"where does that leave its {noun}"),
    )
    question = in_either_order(rng, situation, tail, stop)
    b = Builder()
    ref = b.look(attribute.noun, thing.name)
    b.answer(Amount(changed_value(b, ref, change), ref))
    return Draft(
        f"{question}?", b, [thing], shown(change.apply(thing.number(attribute)), thing.unit(attribute))
    )


def changed_twice(c: Choice, w: World, rank: bool) -> Draft:
    """One value that changes twice: "If K2 grew by 10% and then shrank by 5%, how tall would it be?"."""
    rng = c.rng
    attribute, (thing,) = scalable(w, rng, 1)
    first, second = draw_change(rng), draw_change(rng)
    if second.form != "by" or first.form != "by":
        raise LookupError("only changes by an amount follow one another")
    x, noun = thing.text(rng), rng.choice(attribute.words)
    opening = clause(c, first, x, attribute)
    then = rng.choice(UP_MOVE if second.up else DOWN_MOVE)
    question = c.frame(
        "if {o} and then {p} by {a}, [what would its {n} be|what is the {n} then]",
        "[suppose|imagine|say|assume] {o}, and [then|afterwards|later] {p} by {a}. What [is|would be] [its|the] [new|final|] {n}",
        "first {o}, [then|and after that|later] it {p} by {a}[. What|: what|; what] [is|would be] its {n} [now|then|in the end|]",
        "{x} {k} by {h}[,|;|, and] [then|after that|afterwards|next] it {p} by {a}[. What|: what] [is|would be] its [new|final|] {n}",
        "what {n} [does|would] {x} have [if|when] it {k} by {h} and [then|afterwards|later] {p} by {a}",
        "if {x} {k} by {h}, then {p} by {a}, what {n} [is that|would that be|does that give|do we get]",
        "what [is|would be] the {n} of {x} after [first|] {g} by {h} and then {q} by {a}",
        held=("{o}, whereupon it {p} by {a}: what {n} is left",),
        o=opening,
        p=rng.choice((then.past, then.third)),
        a=second.by,
        n=noun,
        x=x,
        g=(start := rng.choice(UP_MOVE if first.up else DOWN_MOVE)).gerund,
        k=rng.choice((start.past, start.third)),
        h=first.by,
        q=then.gerund,
    )
    b = Builder()
    ref = b.look(attribute.noun, thing.name)
    b.answer(Amount(b.calculate(changed_value(b, ref, first), second.suffix), ref))
    number = second.apply(first.apply(thing.number(attribute)))
    return Draft(f"{question}?", b, [thing], shown(number, thing.unit(attribute)))
