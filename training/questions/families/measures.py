"""Questions about shares, limits, multiples and units of quantities."""

from __future__ import annotations

from braid.training.questions.families.combined import one_quantity, two_quantities, written
from braid.training.questions.families.common import Draft, shown
from braid.training.questions.program import Builder
from braid.training.questions.quantities import has_unit, shown_part
from braid.training.questions.template import Choice
from braid.training.questions.units import OTHER, SAME, base_unit, number_near
from braid.training.questions.world import World


def share_two(c: Choice, w: World, rank: bool) -> Draft:
    """Ratio, percentage, or percent more or less of two quantities."""
    rng = c.rng
    first, second = two_quantities(c, w)
    if min(abs(first.value), abs(second.value)) == 0:
        raise LookupError("a share of nothing")
    kind = rng.choice(("times", "times", "ratio", "percent", "percent-more"))
    b = Builder()
    if kind in ("times", "percent-more") and first.value < second.value:
        first, second = second, first
    word = rng.choice(("larger", "greater", "bigger", "higher"))
    if kind == "percent-more" and rng.random() < 0.4:
        kind, word = "percent-less", rng.choice(("smaller", "lower", "less"))
        shared = first.attribute if first.attribute is second.attribute else None
        if shared and shared.less and len(first.things) == len(second.things) == 1:
            word = rng.choice(shared.less)
    match kind:
        case "times":
            question = c.frame(
                "how many times {w} is {q} than {r}",
                "how many times [as large as|as big as|greater than|larger than|bigger than] {r} is {q}",
                "{q} is how many times {r}",
                "how many times [does|would|can] {r} [fit into|go into] {q}",
                "[by what factor|by which factor] [is {q} {w} than|does {q} exceed] {r}",
                "how many times {r} is {q}",
                held=(
                    "{q} [equals|makes] {r} how many times over",
                    "how often [can you put|do you find] {r} in {q}",
                ),
                w=word,
                q=first.text,
                r=second.text,
            )
        case "ratio":
            question = (
                c.frame(
                    "[what is|what's|find|calculate|compute|give me|determine] the ratio [of|between] {q} [to|and] {r}",
                    "[divide|what do you get if you divide|what is] {q} [divided|] by {r}",
                    "what is the quotient of {q} and {r}",
                    "[express|give] {q} as a multiple of {r}",
                    held=("{q} over {r} - what is the ratio", "how does {q} relate to {r} as a ratio"),
                    q=first.text,
                    r=second.text,
                )
                .replace("what is what", "what")
                .replace("divide divided", "divide")
            )
        case "percent":
            question = c.frame(
                "what [percentage|percent|share|proportion] of {r} is {q}",
                "how many percent of {r} is {q}",
                "{q} is [what percentage|what percent|how many percent] of {r}",
                "what is {q} as a [percentage|percent|share] of {r}",
                "[express|give] {q} [as a percentage|in percent] of {r}",
                "[what percentage|how many percent] [does {q} make up|does {q} represent|is {q}] of {r}",
                held=(
                    "taking {r} as 100%, [where does {q} stand|what is {q}]",
                    "how large a percentage of {r} [would|does] {q} [cover|make]",
                ),
                q=first.text,
                r=second.text,
            )
        case "percent-less":
            question = c.frame(
                "[by what percentage|by how many percent|by what percent] is {q} {w} than {r}",
                "[how many percent|what percentage|what percent] {w} than {r} is {q}",
                "{q} is [how many percent|what percentage] {w} than {r}",
                "[in percent|in percentage terms|percentage-wise], how much {w} is {q} than {r}",
                "by [what percentage|how many percent] does {q} [fall short of|stay below|trail] {r}",
                held=("what percentage must be taken from {r} to get {q}",),
                w=word,
                q=second.text,
                r=first.text,
            )
        case _:
            question = c.frame(
                "[by what percentage|by how many percent|by what percent] is {q} {w} than {r}",
                "[how many percent|what percentage|what percent] {w} is {q} than {r}",
                "by [what percentage|how many percent] does {q} [exceed|surpass|top] {r}",
                "{q} is [how many percent|what percentage] {w} than {r}",
                "[in percent|in percentage terms|percentage-wise], how much {w} is {q} than {r}",
                held=("what percentage must be added to {r} to get {q}",),
                w=word,
                q=first.text,
                r=second.text,
            )
    swapped = question.find(second.text) < question.find(first.text)
    pair = (second, first) if swapped else (first, second)
    (i, j), _ = written(b, pair)
    top, bottom = (j, i) if swapped else (i, j)
    things = [*pair[0].things, *pair[1].things]
    if kind == "percent":
        b.answer(b.calculate("100 * ", top, " / ", bottom), "%")
        return Draft(f"{question}?", b, things, f"{shown(100 * first.value / second.value)}%")
    if kind in ("percent-more", "percent-less"):
        whole, base = (bottom, second) if kind == "percent-more" else (top, first)
        b.answer(b.calculate("100 * (", top, " - ", bottom, ") / ", whole), "%")
        return Draft(f"{question}?", b, things, f"{shown(100 * (first.value - second.value) / base.value)}%")
    b.answer(b.calculate(top, " / ", bottom))
    return Draft(f"{question}?", b, things, shown(first.value / second.value))


def limit_one(c: Choice, w: World, rank: bool) -> Draft:
    """Yes or no about a quantity and a number."""
    rng = c.rng
    q = one_quantity(c, w)
    up = rng.random() < 0.6
    text, literal, number = number_near(rng, q.value)
    unit = (
        f" {rng.choice(SAME.get(q.unit, (q.unit,)))}"
        if q.unit and rng.random() < 0.7 and has_unit(q.attribute)
        else ""
    )
    question = c.frame(
        "is {q} {o} {n}",
        "[does|would] {q} [come to|amount to|add up to] {o} {n}",
        "[is it true|would you say|is it correct] that {q} is {o} {n}",
        "[check|find out|tell me] [if|whether] {q} is {o} {n}",
        "{q} is {o} {n}, [right|is that true|true or false|yes or no]",
        "[does|will|would] {q} {v} {n}",
        held=(
            "{n}: is {q} [beyond|past] that" if up else "{n}: does {q} stay [short of|within] that",
            "do we get {o} {n} for {q}",
        ),
        o=rng.choice(
            ("more than", "over", "above", "greater than", "larger than", "at least", "higher than")
            if up
            else ("less than", "under", "below", "smaller than", "lower than", "fewer than")
        ),
        v=rng.choice(
            ("exceed", "surpass", "go beyond", "top", "pass")
            if up
            else ("stay below", "stay under", "fall below", "fall short of")
        ),
        n=text + unit,
        q=q.text,
    )
    b = Builder()
    (ref,), _ = written(b, [q])
    operator = ">=" if " at least " in question else ">" if up else "<"
    b.yes_no(ref, operator, literal)
    return Draft(f"{question}?", b, q.things, "yes" if (q.value > number) == up else "no")


def stacked(c: Choice, w: World, rank: bool) -> Draft:
    """How many of one make the other, and what several of one come to."""
    rng = c.rng
    attribute, things = w.comparable(rng, 2)
    if attribute.dated:
        raise LookupError("years are not stacked")
    small, large = sorted(things, key=lambda t: t.number(attribute))
    x, y, noun = small.text(rng), large.text(rng), rng.choice(attribute.words)
    b = Builder()
    if rng.random() < 0.6:
        question = c.frame(
            "how many {x} [would|do] [you|we|I|one] [have to|need to] [stack|pile up|put together|line up|combine] to [reach|match|equal] the {n} of {y}",
            "how many {x} [would it take|does it take|are needed|would be needed] to [reach|match|equal|get to] the {n} of {y}",
            "how many times [would|does|could] {x} fit [into|in] {y} [by {n}|in {n}|, going by {n}|, measured by {n}]",
            "how many {x} [make|would make|equal] one {y} in {n}",
            "how many {x} [put on top of each other|laid end to end|side by side] [match|reach|give] the {n} of {y}",
            held=(
                "{y} has the {n} of how many {x}",
                "to get the {n} of {y}, how many {x} [must I pile up|are necessary]",
            ),
            x=x,
            y=y,
            n=noun,
        )
        swapped = question.find(y) < question.find(x)
        order = (large, small) if swapped else (small, large)
        i, j = (b.look(attribute.noun, t.name) for t in order)
        b.answer(b.calculate(i, " / ", j) if swapped else b.calculate(j, " / ", i))
        return Draft(f"{question}?", b, things, shown(large.number(attribute) / small.number(attribute)))
    n = rng.choice((2, 3, 4, 5, 6, 8, 10, 12, 20, 50, 100))
    word = {
        2: "two",
        3: "three",
        4: "four",
        5: "five",
        6: "six",
        8: "eight",
        10: "ten",
        12: "twelve",
        20: "twenty",
    }.get(n, str(n))
    count = word if rng.random() < 0.5 else str(n)
    question = c.frame(
        "what [is|would be] the [total|combined|] {n} of {k} {x}",
        "[what {n}|how much {n}] [do|would] {k} {x} [have|come to|make] [together|]",
        "[if|when] [you|we] [stacked|put|lined up|combined] {k} {x}, what [would be the|is the] {n}",
        held=("{k} times {x}: what {n} [is that|does that make]",),
        k=count,
        x=x,
        n=noun,
    )
    i = b.look(attribute.noun, small.name)
    b.answer(shown_part(has_unit(attribute), b.calculate(i, f" * {n}"), i))
    unit = small.unit(attribute) if has_unit(attribute) else ""
    return Draft(f"{question}?", b, [small], shown(small.number(attribute) * n, unit))


def in_units(c: Choice, w: World, rank: bool) -> Draft:
    """A fact in another unit, or against a number in another unit."""
    rng = c.rng
    attribute, (thing,) = w.comparable(rng, 1)
    base = base_unit(attribute, thing)
    unit = rng.choice(OTHER[base])
    word = rng.choice(unit.words)
    x, noun = thing.text(rng), rng.choice(attribute.words)
    converted = unit.convert(thing.number(attribute))
    b = Builder()
    ref = b.look(attribute.noun, thing.name)
    number = b.calculate(ref, unit.suffix)
    if rng.random() < 0.6:
        patterns = [
            "[what is|what's|tell me|give me|find|express|convert] {q} [in|into|expressed in] {u}",
            "[in {u}|expressed in {u}|measured in {u}], what is {q}",
            "how many {u} is {q}",
            "I need {q} in {u}",
            "{q} in {u}",
        ]
        if attribute.how:
            patterns += ["how {h} is {x} in {u}"] * 2 + ["how many {u} {h} is {x}", "in {u}, how {h} is {x}"]
        question = c.frame(
            *patterns,
            held=("what would {q} be if I measured it in {u}", "put {q} into {u} for me"),
            q=f"the {noun} of {x}" if rng.random() < 0.6 else f"{x}'s {noun}",
            u=word,
            h=attribute.how,
            x=x,
        )
        b.answer(number, f" {word}")
        return Draft(f"{question}?", b, [thing], f"{shown(converted)} {word}")
    up = rng.random() < 0.6
    text, literal, bar = number_near(rng, converted)
    more = attribute.more if up else attribute.less
    over = rng.choice(("more than", "over", "above") if up else ("less than", "under", "below"))
    patterns = [
        "is {q} {o} {n} {u}",
        "does {x} have a {m} of {o} {n} {u}",
        "[check|tell me] whether {q} is {o} {n} {u}",
    ]
    if more:
        patterns += [f"is {{x}} {rng.choice(more)} than {{n}} {{u}}"] * 2
    question = c.frame(
        *patterns,
        held=("do we have {o} {n} {u} of {m} with {x}",),
        q=f"the {noun} of {x}" if rng.random() < 0.6 else f"{x}'s {noun}",
        m=noun,
        x=x,
        o=over,
        n=text,
        u=word,
    )
    b.yes_no(number, ">" if up else "<", literal)
    return Draft(f"{question}?", b, [thing], "yes" if (converted > bar) == up else "no")
