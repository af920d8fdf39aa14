"""The same two things asked in both directions and with different operations.

A difference, a ratio, a percentage of, a percentage more, a share: which one, and which operand comes first,
stands in small words alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from braid.training.questions.beyond.common import amount, different, told
from braid.training.questions.families import (
    Draft,
    adjective,
    changed_value,
    draw_changes,
    followed,
    shown,
    situation_of,
)
from braid.training.questions.program import Builder, Ref
from braid.training.questions.template import Choice
from braid.training.questions.templates import POPULATION
from braid.training.questions.world import World

Expression = Callable[[Ref, Ref], tuple["str | Ref", ...]]


@dataclass(frozen=True)
class Operation:
    """How two values are set against each other.

    `{x}` and `{y}` in the patterns are the things, x having the greater value unless `either`. `{n}` is the
    noun, `{w}` and `{v}` are "taller" and "shorter", `{h}` is "tall". `parts` takes the values of x and y.
    """

    patterns: tuple[str, ...]
    held: tuple[str, ...]
    parts: Expression
    value: Callable[[float, float], float]
    unit: str = ""
    """"%", "" for a bare number, or "own" for the unit of the facts."""
    either: bool = False


_OPERATIONS = (
    Operation(
        (
            "how much {w} is {x} than {y}",
            "by how much is {x} {w} than {y}",
            "how much {w} than {y} is {x}",
            "{x} is how much {w} than {y}",
            "how much more {n} does {x} have than {y}",
            "by how much does the {n} of {x} exceed that of {y}",
            "[tell me|find|calculate] how much {w} {x} is than {y}",
        ),
        ("by what margin does {x} lead {y} in {n}",),
        lambda x, y: (x, " - ", y),
        lambda x, y: x - y,
        "own",
    ),
    Operation(
        (
            "how much {v} is {y} than {x}",
            "by how much is {y} {v} than {x}",
            "how much {v} than {x} is {y}",
            "{y} is how much {v} than {x}",
            "how much less {n} does {y} have than {x}",
            "by how much does the {n} of {y} fall short of that of {x}",
        ),
        ("by what margin does {y} trail {x} in {n}",),
        lambda x, y: (x, " - ", y),
        lambda x, y: x - y,
        "own",
    ),
    Operation(
        (
            "how much [{n}|] would {y} need to [gain|add] to [reach|match|equal] {x}",
            "how much [would|must] {y} [grow|gain] to [be as {h} as|catch up with|match] {x}",
            "what [does|would] {y} need to reach the {n} of {x}",
            "what [must|has to] be added to the {n} of {y} to get [that|the {n}] of {x}",
            "how much is missing for {y} to [reach|match] the {n} of {x}",
            "how much does {y} lack compared to {x} in {n}",
        ),
        ("what is {y} short of to draw level with {x} in {n}",),
        lambda x, y: (x, " - ", y),
        lambda x, y: x - y,
        "own",
    ),
    Operation(
        (
            "how much [{n}|] would {x} have to [lose|give up] to [be down to|match|equal] {y}",
            "what must be taken [away|] from the {n} of {x} to get [that|the {n}] of {y}",
            "how much would {x} have to shrink to be as {h} as {y}",
            "how much is left of the {n} of {x} if you take away that of {y}",
        ),
        ("what does {x} have to part with to come down to {y} in {n}",),
        lambda x, y: (x, " - ", y),
        lambda x, y: x - y,
        "own",
    ),
    Operation(
        (
            "[what is|what's|calculate|compute|] the {n} of {x} minus [that|the {n}] of {y}",
            "{x}'s {n} minus {y}'s",
            "{n} of {x} minus {n} of {y}",
            "subtract the {n} of {y} from [that|the {n}] of {x}",
            "take the {n} of {x} and subtract [that|the {n}] of {y}",
            "[what do you get|what is left] when you subtract {y}'s {n} from {x}'s",
            "{x} minus {y} in {n}",
        ),
        ("{n}: {x} less {y}",),
        lambda x, y: (x, " - ", y),
        lambda x, y: x - y,
        "own",
        either=True,
    ),
    Operation(
        (
            "[what is|what's] the [difference|gap] [in {n}|] between {x} and {y} in {n}",
            "how far apart are {x} and {y} in {n}",
            "by how much do {x} and {y} differ in {n}",
            "{n} difference [between|of] {x} and {y}",
        ),
        ("what stands between {x} and {y} in {n}",),
        lambda x, y: ("abs(", x, " - ", y, ")"),
        lambda x, y: abs(x - y),
        "own",
        either=True,
    ),
    Operation(
        (
            "how many times as {h} as {y} is {x}",
            "how many times {w} is {x} than {y}",
            "how many times the {n} of {y} is the {n} of {x}",
            "how many times does the {n} of {y} go into that of {x}",
            "by what factor is {x} {w} than {y}",
            "by what factor would {y} have to grow to [reach|match] {x}",
            "{x} is how many times as {h} as {y}",
            "what multiple of {y}'s {n} is {x}'s {n}",
        ),
        ("{x} equals {y} how many times over in {n}",),
        lambda x, y: (x, " / ", y),
        lambda x, y: x / y,
    ),
    Operation(
        (
            "what is the ratio of the {n} of {x} to [that|the {n}] of {y}",
            "[what is|find|compute] the ratio of {x}'s {n} to {y}'s",
            "divide the {n} of {x} by [that|the {n}] of {y}",
            "{x}'s {n} divided by {y}'s",
            "what do you get when you divide {x}'s {n} by {y}'s",
            "ratio of {x} to {y} in {n}",
        ),
        ("{n} of {x} over {n} of {y}",),
        lambda x, y: (x, " / ", y),
        lambda x, y: x / y,
        either=True,
    ),
    Operation(
        (
            "what percentage of the {n} of {y} is [the {n}|that] of {x}",
            "what percent of {y}'s {n} is {x}'s",
            "how many percent of the {n} of {y} is [the {n}|that] of {x}",
            "[express|give|what is] {x}'s {n} as a percentage of {y}'s",
            "the {n} of {x} is what percentage of that of {y}",
            "{x} is what percent of {y} in {n}",
            "if {y}'s {n} is 100%, what [percentage|percent] is {x}'s",
        ),
        ("taking the {n} of {y} for a hundred percent, how many does {x} have",),
        lambda x, y: ("100 * ", x, " / ", y),
        lambda x, y: 100 * x / y,
        "%",
        either=True,
    ),
    Operation(
        (
            "by what percentage is {x} {w} than {y}",
            "how many percent {w} is {x} than {y}",
            "by how many percent does the {n} of {x} exceed that of {y}",
            "what percentage {w} is {x} than {y}",
            "{x} is {w} than {y} by what percentage",
            "by [what percentage|how many percent] would {y} have to grow to [reach|match] {x} in {n}",
            "[in percent|percentage-wise], how much {w} is {x} than {y}",
        ),
        ("{x} tops {y} in {n} by how many percent",),
        lambda x, y: ("100 * (", x, " - ", y, ") / ", y),
        lambda x, y: 100 * (x - y) / y,
        "%",
    ),
    Operation(
        (
            "by what percentage is {y} {v} than {x}",
            "how many percent {v} is {y} than {x}",
            "by how many percent does the {n} of {y} fall short of that of {x}",
            "what percentage {v} is {y} than {x}",
            "by [what percentage|how many percent] would {x} have to shrink to [reach|match] {y} in {n}",
            "[in percent|percentage-wise], how much {v} is {y} than {x}",
        ),
        ("{y} stays below {x} in {n} by how many percent",),
        lambda x, y: ("100 * (", x, " - ", y, ") / ", x),
        lambda x, y: 100 * (x - y) / x,
        "%",
    ),
    Operation(
        (
            "what is the percentage change from the {n} of {y} to [that|the {n}] of {x}",
            "going from the {n} of {y} to that of {x}, what is the change in percent",
            "from {y}'s {n} to {x}'s, what is the percentage increase",
        ),
        ("moving from {y} up to {x}, by how many percent does the {n} change",),
        lambda x, y: ("100 * (", x, " - ", y, ") / ", y),
        lambda x, y: 100 * (x - y) / y,
        "%",
    ),
    Operation(
        (
            "what [share|percentage] of the [combined|total] {n} of {x} and {y} [is|comes from] {x}".replace(
                "[is|comes from] {x}", "[is {x}'s|comes from {x}|belongs to {x}]"
            ),
            "how many percent of the total {n} of {x} and {y} does {x} have",
            "{x} and {y} together: what percentage of the {n} is {x}'s",
            "of the [total|combined] {n} of {x} and {y}, what [share|percentage] is {x}'s",
            "[in percent|as a percentage], what is {x}'s share of the combined {n} of {x} and {y}",
        ),
        ("how large a slice of the joint {n} of {x} and {y} is {x}'s, in percent",),
        lambda x, y: ("100 * ", x, " / (", x, " + ", y, ")"),
        lambda x, y: 100 * x / (x + y),
        "%",
        either=True,
    ),
    Operation(
        (
            "what [share|percentage] of the [combined|total] {n} of {x} and {y} does the [larger|bigger|greater] one have",
            "{x} and {y} together: what percentage of the {n} belongs to the larger one",
            "what is the share of the larger one in the total {n} of {x} and {y}, in percent",
        ),
        ("how many percent of what {x} and {y} have together in {n} has the larger of the two",),
        lambda x, y: ("100 * max(", x, ", ", y, ") / (", x, " + ", y, ")"),
        lambda x, y: 100 * max(x, y) / (x + y),
        "%",
        either=True,
    ),
    Operation(
        (
            "what [share|percentage] of the [combined|total] {n} of {x} and {y} does the smaller one have",
            "{x} and {y} together: what percentage of the {n} belongs to the smaller one",
            "what is the share of the smaller one in the total {n} of {x} and {y}, in percent",
        ),
        ("how many percent of what {x} and {y} have together in {n} has the smaller of the two",),
        lambda x, y: ("100 * min(", x, ", ", y, ") / (", x, " + ", y, ")"),
        lambda x, y: 100 * min(x, y) / (x + y),
        "%",
        either=True,
    ),
    Operation(
        (
            "what [lies|is] [halfway|exactly in the middle] between the {n} of {x} and [that|the {n}] of {y}",
            "what {n} is halfway between {x}'s and {y}'s",
        ),
        ("what is the midpoint of the {ns} of {x} and {y}".replace("{ns}", "{n}s"),),
        lambda x, y: ("(", x, " + ", y, ") / 2"),
        lambda x, y: (x + y) / 2,
        "own",
        either=True,
    ),
    Operation(
        (
            "what is the product of the {n} of {x} and that of {y}",
            "multiply the {n} of {x} by [that|the {n}] of {y}",
        ),
        ("{n} of {x} times {n} of {y}",),
        lambda x, y: (x, " * ", y),
        lambda x, y: x * y,
        either=True,
    ),
)
_WEIGHTS = (4, 5, 4, 3, 5, 2, 5, 4, 6, 5, 5, 3, 5, 2, 2, 1, 1)
_PEOPLE = Operation(
    (
        "out of every 100 people [in|living in] {x} and {y}, how many live in {x}",
        "how many out of 100 people in {x} and {y} [together|combined] live in {x}",
        "out of 100 inhabitants of {x} and {y}, how many are from {x}",
    ),
    ("pick 100 people of {x} and {y}: how many of them live in {x}",),
    lambda x, y: ("100 * ", x, " / (", x, " + ", y, ")"),
    lambda x, y: 100 * x / (x + y),
    either=True,
)


def direction(c: Choice, w: World, rank: bool) -> Draft:
    """Two things and an operation. One of them may change first."""
    rng = c.rng
    attribute, things = different(w, c, 2)
    op = rng.choices(_OPERATIONS, _WEIGHTS)[0]
    if attribute is POPULATION and rng.random() < 0.08:
        op = _PEOPLE
    moved = rng.random() < 0.22
    changes = draw_changes(rng, attribute, things[:1]) if moved else []
    numbers = [t.number(attribute) for t in things]
    if changes:
        numbers[0] = changes[0].apply(numbers[0])
    if min(numbers) <= 0 or max(numbers) / min(numbers) < 1.0001:
        raise LookupError("the values are too close")
    if op.either:
        i, j = rng.sample((0, 1), 2)
    else:
        i, j = (0, 1) if numbers[0] > numbers[1] else (1, 0)
    texts = [t.text(rng) for t in things]
    noun = rng.choice(attribute.words)
    if noun.startswith(("number", "head")):
        noun = "population"
    more = adjective(c, attribute, up=True, superlative=False)
    less = adjective(c, attribute, up=False, superlative=False)
    patterns = op.patterns
    if not more or not less or not attribute.how:
        patterns = tuple(p for p in patterns if not any(s in p for s in ("{w}", "{v}", "{h}")))
    if not patterns:
        raise LookupError(f"{attribute.noun} has no adjectives")
    question = c.frame(
        *patterns,
        held=op.held,
        n=noun,
        w=more,
        v=less,
        h=attribute.how,
        x=texts[i],
        y=texts[j],
    )
    if changes:
        situation, stop = situation_of(c, changes, things[:1], attribute)
        if question.startswith(("express", "divide", "subtract", "take", "if ")):
            stop = True
        question = followed(situation, question, stop)
    first = sorted((0, 1), key=lambda k: question.find(texts[k]))
    b = Builder()
    found = {k: b.look(attribute.noun, things[k].name) for k in first}
    if changes:
        found[0] = changed_value(b, found[0], changes[0])
    result = b.calculate(*op.parts(found[i], found[j]))
    number = op.value(numbers[i], numbers[j])
    named = [things[k] for k in first]
    if op.unit == "own":
        b.answer(amount(attribute, result, Ref(0)))
        return Draft(f"{question}?", b, named, told(attribute, things[0], number))
    if op.unit:
        b.answer(result, op.unit)
    else:
        b.answer(result)
    return Draft(f"{question}?", b, named, shown(number) + op.unit)
