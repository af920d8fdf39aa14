"""One more step: what is done with a result."""

from __future__ import annotations

from collections.abc import Callable

from braid.training.questions.beyond.common import Wording, asked_for, different
from braid.training.questions.families import Draft, shown
from braid.training.questions.program import Builder, Part, Ref
from braid.training.questions.quantities import (
    Quantity,
    changed,
    draw_quantity,
    fact,
    gap,
    linked,
    mean,
    shown_part,
    total,
)
from braid.training.questions.template import Choice
from braid.training.questions.world import Thing, World

_STEPS = (
    (Wording(("double {it}", "multiply {it} by two"), ("make {it} twice as much",)), " * 2", 2.0),
    (Wording(("triple {it}", "multiply {it} by three"), ("make {it} three times as much",)), " * 3", 3.0),
    (
        Wording(("halve {it}", "take half of {it}", "divide {it} by two"), ("cut {it} down to half",)),
        " / 2",
        0.5,
    ),
    (Wording(("take a third of {it}", "divide {it} by three"), ("reduce {it} to a third",)), " / 3", 1 / 3),
    (Wording(("take a quarter of {it}", "divide {it} by four"), ("reduce {it} to a quarter",)), " / 4", 0.25),
)


def _step(c: Choice, value: float) -> tuple[str, str, float]:
    """An operation on "it": how it is said, how it is written behind the value, and what comes out."""
    rng = c.rng
    pick = rng.random()
    if pick < 0.45:
        wording, suffix, factor = rng.choice(_STEPS)
        return c.pick(*wording.patterns, held=wording.held), suffix, value * factor
    if pick < 0.65:
        p = rng.choice((5, 10, 15, 20, 25, 30, 40, 60, 75, rng.randint(1, 99)))
        return (
            c.pick(f"take {p}% of {{it}}", f"find {p}% of {{it}}", held=(f"keep {p}% of {{it}}",)),
            f" * {p} / 100",
            value * p / 100,
        )
    if pick < 0.85:
        p = rng.choice((5, 10, 15, 20, 25, 50))
        up = rng.random() < 0.5
        return (
            c.pick(
                f"{'increase' if up else 'reduce'} {{it}} by {p}%",
                f"{'add' if up else 'take off'} {p}%",
                held=(f"{'raise' if up else 'lower'} {{it}} by {p} hundredths",),
            ),
            f" * (1 {'+' if up else '-'} {p} / 100)",
            value * (1 + p / 100 if up else 1 - p / 100),
        )
    n = rng.choice((4, 5, 6, 7, 8, 10, 12, 100))
    times = rng.random() < 0.5
    return (
        c.pick(
            f"{'multiply' if times else 'divide'} {{it}} by {n}",
            held=(f"{'blow up' if times else 'break down'} {{it}} by {n}",),
        ),
        f" {'*' if times else '/'} {n}",
        value * n if times else value / n,
    )


def _base(c: Choice, w: World) -> Quantity:
    kind = c.rng.choice((fact, fact, changed, gap, gap, total, total, mean, linked))
    if kind is linked:
        return linked(c, w)
    count = 1 if kind in (fact, changed) else 2 if kind is gap else c.rng.choice((2, 2, 3))
    attribute, things = different(w, c, count)
    return kind(c, attribute, things[0] if count == 1 else things)  # pyright: ignore


def and_then(c: Choice, w: World, rank: bool) -> Draft:
    """A value, and one or two operations on it: "Take the height of K2 and double it"."""
    rng = c.rng
    q = _base(c, w)
    said, suffix, number = _step(c, q.value)
    steps = [(said.replace("{it}", rng.choice(("it", "that"))), suffix)]
    if rng.random() < 0.35:
        said, suffix, number = _step(c, number)
        steps.append((said.replace("{it}", rng.choice(("the result", "that", "it"))), suffix))
    if len(steps) > 1 and ("%" in steps[0][0]) != ("%" in steps[1][0]) and "it" not in steps[1][0]:
        raise LookupError("what is meant is unclear")
    first = steps[0][0]
    chain = (
        first if len(steps) == 1 else f"{first}{rng.choice((' and then ', ', then ', ' and '))}{steps[1][0]}"
    )
    question = c.frame(
        "[take|start with|find|look up] {q} and {s}",
        "[take|find|work out|look up] {q}, then {s}",
        "{a}? [Then|Now] {s}",
        "[take|find|start with] {q}. [Then|Now] {s}[. What do you get|. What is the result|. What comes out|]",
        "what do [you|I|we] get if [you|I|we] [take|find] {q} and {s}",
        "{s1} {q}" if len(steps) == 1 and suffix.startswith((" * 2", " * 3", " / 2")) else "take {q} and {s}",
        held=("[grab|fetch] {q}, after that {s}",),
        q=q.text,
        a=asked_for(c, q.text),
        s=chain,
        s1={" * 2": "double", " * 3": "triple", " / 2": "halve"}.get(suffix, ""),
    )
    b = Builder()
    refs = q.look(b)
    value = q.compute(b, refs)
    for _, suffix in steps:
        value = b.calculate(value, suffix)
    fact_step = next(i for i, s in enumerate(b.steps) if hasattr(s, "attribute"))
    part: Part = shown_part(
        bool(q.unit) and q.attribute is not None, value, refs[0] if refs else Ref(fact_step)
    )
    b.answer(part)
    return Draft(f"{question}?", b, q.things, shown(number, q.unit))


def against_another(c: Choice, w: World, rank: bool) -> Draft:
    """A value set against a further thing: divided by, minus, as a percentage of, how many times."""
    rng = c.rng
    size = rng.choice((2, 2, 3))
    attribute, things = different(w, c, size + 1)
    q = draw_quantity(c, w, attribute, things[:size])
    other: Thing = things[size]
    other_number = other.number(attribute)
    if q.value <= 0 or abs(q.value / other_number - 1) < 1e-4:
        raise LookupError("too close")
    r = fact(c, attribute, other)
    op = rng.choice(("over", "over", "percent", "minus", "times", "plus", "under"))
    if op == "minus" and q.value < other_number:
        raise LookupError("negative")
    ways: dict[str, tuple[Wording, Callable[[Ref, Ref], tuple[str | Ref, ...]], float]] = {
        "over": (
            Wording(
                (
                    "[take|find|work out] {q}[ and|, then] divide [it|that] by {r}",
                    "divide {q} by {r}",
                    "{q}, divided by {r}",
                    "what is the ratio of {q} to {r}",
                    "{a}? [Then divide|Now divide] [that|it] by {r}",
                ),
                ("{q} spread over {r}",),
            ),
            lambda x, y: (x, " / ", y),
            q.value / other_number,
        ),
        "times": (
            Wording(
                (
                    "how many times {r} is {q}",
                    "how many times does {r} fit into {q}",
                    "{q} is how many times {r}",
                ),
                ("in multiples of {r}, what is {q}",),
            ),
            lambda x, y: (x, " / ", y),
            q.value / other_number,
        ),
        "under": (
            Wording(
                ("how many times {q} is {r}", "divide {r} by {q}", "{r} divided by {q}"),
                ("in multiples of {q}, what is {r}",),
            ),
            lambda x, y: (y, " / ", x),
            other_number / q.value,
        ),
        "percent": (
            Wording(
                (
                    "what percentage of {r} is {q}",
                    "[express|give me] {q} as a percentage of {r}",
                    "{q} is what percent of {r}",
                ),
                ("{q}, where {r} counts as 100 percent",),
            ),
            lambda x, y: ("100 * ", x, " / ", y),
            100 * q.value / other_number,
        ),
        "minus": (
            Wording(
                (
                    "[take|find] {q}[ and|, then] subtract {r}",
                    "{q} minus {r}",
                    "by how much does {q} exceed {r}",
                    "subtract {r} from {q}",
                ),
                ("{q} once {r} is gone from it",),
            ),
            lambda x, y: (x, " - ", y),
            q.value - other_number,
        ),
        "plus": (
            Wording(
                ("[take|find] {q}[ and|, then] add {r}", "{q} plus {r}", "add {r} to {q}"),
                ("{q} with {r} on top",),
            ),
            lambda x, y: (x, " + ", y),
            q.value + other_number,
        ),
    }
    wording, parts, number = ways[op]
    question = c.frame(*wording.patterns, held=wording.held, q=q.text, r=r.text, a=asked_for(c, q.text))
    b = Builder()
    if question.find(r.text) < question.find(q.text):
        (second,) = r.look(b)
        refs = q.look(b)
    else:
        refs = q.look(b)
        (second,) = r.look(b)
    result = b.calculate(*parts(q.compute(b, refs), second))
    if op in ("minus", "plus"):
        b.answer(shown_part(True, result, refs[0]))
        return Draft(f"{question}?", b, things, shown(number, q.unit))
    if op == "percent":
        b.answer(result, "%")
        return Draft(f"{question}?", b, things, f"{shown(number)}%")
    b.answer(result)
    return Draft(f"{question}?", b, things, shown(number))
