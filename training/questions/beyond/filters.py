"""Counts, filters, thresholds and places in an order."""

from __future__ import annotations

from braid.training.questions.beyond.common import COUNT, amount, call, different, told
from braid.training.questions.families import Draft, adjective, by_value
from braid.training.questions.program import Answer, Builder, Case, Item, Ref
from braid.training.questions.template import Choice, plural
from braid.training.questions.templates import Attribute
from braid.training.questions.units import number_near, unit_words
from braid.training.questions.world import Thing, World


def _bar(c: Choice, attribute: Attribute, things: list[Thing], *, up: bool) -> tuple[str, str, float]:
    """A threshold among the values: words ("over 1,000 m"), as a plan writes it, and itself."""
    rng = c.rng
    numbers = sorted(t.number(attribute) for t in things)
    text, literal, bar = number_near(rng, rng.choice(numbers))
    if any(abs(n - bar) <= 1e-9 * bar for n in numbers):
        raise LookupError("a value is the threshold")
    unit = unit_words(rng, things[0].unit(attribute)) if rng.random() < 0.75 else ""
    more, less = (
        adjective(c, attribute, up=True, superlative=False),
        adjective(c, attribute, up=False, superlative=False),
    )
    options = ("over", "above", "more than") if up else ("under", "below", "less than")
    word = rng.choice(options)
    noun = rng.choice(attribute.words)
    text = f"{text}{unit}"
    if more and less and unit and rng.random() < 0.5:
        return f"{more if up else less} than {text}", literal, bar
    how = attribute.how
    if how in ("tall", "deep", "long", "wide", "high") and unit and rng.random() < 0.4:
        return f"{word} {text} {how}", literal, bar
    return f"{word} {text} in {noun}", literal, bar


def count_over(c: Choice, w: World, rank: bool) -> Draft:
    """How many of two or three pass a threshold."""
    rng = c.rng
    attribute, things = different(w, c, rng.choice((2, 3, 3)))
    up = rng.random() < 0.65
    words, literal, bar = _bar(c, attribute, things, up=up)
    names = c.listed([t.text(rng) for t in things])
    question = c.frame(
        "how many of {x} are {w}",
        "[count|count up] how many of {x} are {w}",
        "{x}: how many [of them|of these|] are {w}",
        "of {x}, how many are {w}",
        "[tell me|find out] how many of {x} are {w}",
        held=("out of {x}, what number is {w}",),
        x=names,
        w=words,
    )
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    op = ">" if up else "<"
    passing = sum((t.number(attribute) > bar) == up for t in things)
    if len(things) == 2:
        i, j = refs
        b.cases(
            [
                Case(((i, op, literal), (j, op, literal)), Answer(("2",))),
                Case(((i, op, literal), (j, op, literal)), Answer(("1",)), "or"),
            ],
            Answer(("0",)),
        )
    else:
        # The hardest of the three to pass comes first.
        order = ("min", "median", "max") if up else ("max", "median", "min")
        values = [b.calculate(*call(name, refs)) for name in order]
        b.cases(
            [Case(((v, op, literal),), Answer((str(n),))) for v, n in zip(values, (3, 2, 1), strict=True)],
            Answer(("0",)),
        )
    return Draft(f"{question}?", b, things, str(passing))


def which_over(c: Choice, w: World, rank: bool) -> Draft:
    """Which of two pass a threshold: both, one of them, or neither."""
    rng = c.rng
    attribute, things = different(w, c, 2)
    up = rng.random() < 0.65
    words, literal, bar = _bar(c, attribute, things, up=up)
    x, y = (t.text(rng) for t in things)
    question = c.frame(
        "which of {x} and {y} [are|is] {w}",
        "[of|among] {x} and {y}, which [are|is] {w}",
        "{x} and {y}: which [of them|] are {w}",
        "[name|list|tell me] those of {x} and {y} that are {w}",
        "[is|are] {x}, {y}, both or neither {w}".replace("[is|are]", "is"),
        held=("keep from {x} and {y} only what is {w}",),
        x=x,
        y=y,
        w=words,
    )
    b = Builder()
    i, j = (b.look(attribute.noun, t.name) for t in things)
    op = ">" if up else "<"
    a, d = (t.name for t in things)
    both = "both" if "both or neither" in question else f"{a} and {d}"
    b.cases(
        [
            Case(((i, op, literal), (j, op, literal)), Answer((both,))),
            Case(((i, op, literal),), Answer((a,))),
            Case(((j, op, literal),), Answer((d,))),
        ],
        Answer(("neither",)),
    )
    first, second = ((t.number(attribute) > bar) == up for t in things)
    answer = both if first and second else a if first else d if second else "neither"
    return Draft(f"{question}?", b, things, answer)


def both_neither(c: Choice, w: World, rank: bool) -> Draft:
    """Yes or no: both, neither, at least one, or only one of two passes a threshold."""
    rng = c.rng
    attribute, things = different(w, c, 2)
    up = rng.random() < 0.65
    words, literal, bar = _bar(c, attribute, things, up=up)
    x, y = (t.text(rng) for t in things)
    kind = rng.choice(("both", "neither", "either", "one", "first", "ands"))
    slots = {"x": x, "y": y, "w": words}
    first, second = ((t.number(attribute) > bar) == up for t in things)
    b = Builder()
    i, j = (b.look(attribute.noun, t.name) for t in things)
    op, other = (">", "<=") if up else ("<", ">=")
    match kind:
        case "both":
            question = c.frame(
                "are both {x} and {y} {w}",
                "are {x} and {y} both {w}",
                "is it true that {x} and {y} are both {w}",
                "are {x} as well as {y} {w}",
                held=("do {x} and {y} alike pass for {w}",),
                **slots,
            )
            b.yes_no(i, op, literal, (j, op, literal))
            answer = first and second
        case "neither":
            question = c.frame(
                "is neither {x} nor {y} {w}",
                "is it true that neither {x} nor {y} is {w}",
                "are {x} and {y} both not {w}",
                held=("can one say that none of {x} and {y} is {w}",),
                **slots,
            )
            b.yes_no(i, other, literal, (j, other, literal))
            answer = not first and not second
        case "either" | "ands":
            question = c.frame(
                "is [either|at least one|any] of {x} and {y} {w}",
                "is {x} or {y} {w}",
                "is at least one of {x} and {y} {w}",
                held=("does one or the other of {x} and {y} come out {w}",),
                **slots,
            )
            b.yes_no(i, op, literal, (j, op, literal), join="or")
            answer = first or second
        case "first":
            question = c.frame(
                "is {x} but not {y} {w}",
                "is {x}, but not {y}, {w}",
                "is only {x} {w}, and not {y}",
                held=("of {x} and {y}, is {x} alone {w}",),
                **slots,
            )
            b.yes_no(i, op, literal, (j, other, literal))
            answer = first and not second
        case _:
            question = c.frame(
                "is [only|exactly|just] one of {x} and {y} {w}",
                "is one, but not both, of {x} and {y} {w}",
                held=("does a single one of {x} and {y} count as {w}",),
                **slots,
            )
            b.cases(
                [
                    Case(((i, op, literal), (j, op, literal)), Answer(("no",))),
                    Case(((i, op, literal), (j, op, literal)), Answer(("yes",)), "or"),
                ],
                Answer(("no",)),
            )
            answer = first != second
    return Draft(f"{question}?", b, things, "yes" if answer else "no")


def sum_limit(c: Choice, w: World, rank: bool) -> Draft:
    """Yes or no about a sum, a difference, a mean or a ratio: against a number or a third thing."""
    rng = c.rng
    third = rng.random() < 0.5
    attribute, things = different(w, c, 3 if third else 2)
    op = rng.choice(("total", "total", "gap", "mean"))
    up = rng.random() < 0.6
    p, q = (t.number(attribute) for t in things[:2])
    number = {"total": p + q, "gap": abs(p - q), "mean": (p + q) / 2}[op]
    x, y = (t.text(rng) for t in things[:2])
    noun = rng.choice(attribute.words)
    subject = c.fill(
        {
            "total": "the [total|combined|joint] {n} of {x} and {y}",
            "gap": "the [difference|gap] in {n} between {x} and {y}",
            "mean": "the [average|mean] {n} of {x} and {y}",
        }[op],
        n=noun,
        x=x,
        y=y,
    )
    if third:
        bar = things[2].number(attribute)
        goal = f"that of {things[2].text(rng)}" if op != "gap" else f"the {noun} of {things[2].text(rng)}"
        literal: str | Ref = ""
    else:
        text, literal, bar = number_near(rng, number)
        goal = text + (unit_words(rng, things[0].unit(attribute)) if rng.random() < 0.6 else "")
    if abs(number / bar - 1) < 1e-6:
        raise LookupError("too close")
    than = rng.choice(("greater than", "larger than", "more than") if up else ("smaller than", "less than"))
    question = c.frame(
        "is {s} {o} {g}",
        "[is it true|is it the case] that {s} is {o} {g}",
        "[check|tell me|find out] [whether|if] {s} is {o} {g}",
        "[does|would] {s} [exceed|surpass|go beyond] {g}" if up else "does {s} stay [below|under] {g}",
        held=("can {s} be called {o} {g}",),
        s=subject,
        o=than,
        g=goal,
    )
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    i, j = refs[:2]
    match op:
        case "total":
            value = b.calculate(i, " + ", j)
        case "gap":
            value = b.calculate("abs(", i, " - ", j, ")")
        case _:
            value = b.calculate("(", i, " + ", j, ") / 2")
    b.yes_no(value, ">" if up else "<", refs[2] if third else literal)
    return Draft(f"{question}?", b, things, "yes" if (number > bar) == up else "no")


def in_order(c: Choice, w: World, rank: bool) -> Draft:
    """All in order, the second, the middle one or the last but one."""
    rng = c.rng
    if not rank:
        raise LookupError("nothing ranks")
    attribute, things = different(w, c, rng.choice((3, 3, 4, 5)))
    up = rng.random() < 0.6
    most = adjective(c, attribute, up=up, superlative=True)
    least = adjective(c, attribute, up=not up, superlative=True)
    if not most or not least:
        raise LookupError(f"{attribute.noun} has no superlatives")
    ordered = by_value(things, [t.number(attribute) for t in things], up=up)
    names = c.listed([t.text(rng) for t in things])
    either = c.listed([t.text(rng) for t in things], last="or")
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    order = b.rank([t.name for t in things], refs, descending=up)
    kind = rng.choice(("all", "all", "second", "second", "middle", "ends", "value", "two"))
    slots = {
        "x": names,
        "e": either,
        "m": most,
        "l": least,
        "n": rng.choice(attribute.words),
        "k": COUNT[len(things)],
        "ks": plural(things[0].kind),
    }
    match kind:
        case "all":
            question = c.frame(
                "[sort|rank|order|arrange|list] {x} from {m} to {l}",
                "[sort|rank|order|list] {x} by {n}, {m} first",
                "[put|bring] {x} in order from {m} to {l}",
                "{x}: [list|give|order] them from {m} to {l}",
                "from {m} to {l}, how do {x} rank",
                "what is the order of {x} [by {n}|], {m} first",
                held=("line up {x}, the {m} in front", "make a ranking of {x} that starts with the {m}"),
                **slots,
            )
            b.answer(order)
            return Draft(question + rng.choice((".", "", "?")), b, things, ", ".join(ordered))
        case "second":
            question = c.frame(
                "which of {x} is the second {m}",
                "which is the second {m}: {e}",
                "[name|find|tell me] the second {m} of {x}",
                held=("{x}: whose place is second {m}",),
                **slots,
            )
            b.answer(Item(order.step, 1))
            return Draft(f"{question}?", b, things, ordered[1])
        case "middle":
            if len(things) % 2 == 0:
                raise LookupError("there is no middle")
            question = c.frame(
                "which of {x} [is|lies] in the middle [by|in terms of] {n}",
                "which of {x} has the median {n}",
                "{e}: which one is the middle one by {n}",
                "which of {x} is neither the {m} nor the {l}"
                if len(things) == 3
                else "which of {x} has the median {n}",
                held=("of {x}, who takes the middle place in {n}",),
                **slots,
            )
            b.answer(Item(order.step, len(things) // 2))
            return Draft(f"{question}?", b, things, ordered[len(things) // 2])
        case "two":
            question = c.frame(
                "which two of {x} are the {m}",
                "[name|list|give me] the two {m} of {x}",
                "what are the top two of {x} by {n}" if up else "which two of {x} have the smallest {n}",
                held=("pick out the {m} pair of {x}",),
                **slots,
            )
            b.answer(Item(order.step, 0), " and ", Item(order.step, 1))
            return Draft(f"{question}?", b, things, f"{ordered[0]} and {ordered[1]}")
        case "ends":
            question = c.frame(
                "which of {x} is the {m} and which is the {l}",
                "[name|find|tell me] the {m} and the {l} of {x}",
                "what are the {m} and the {l} of {x}",
                held=("of {x}, who stands at either end, {m} and {l}",),
                **slots,
            )
            b.answer(Item(order.step, 0), " and ", Item(order.step, len(things) - 1))
            return Draft(f"{question}?", b, things, f"{ordered[0]} and {ordered[-1]}")
        case _:
            place = rng.choice((1, 1, 2)) if len(things) > 3 else 1
            nth = ("first", "second", "third")[place]
            question = c.frame(
                f"what is the {{n}} of the {nth} {{m}} of {{x}}",
                f"what {{n}} does the {nth} {{m}} of {{x}} have",
                f"how {attribute.how} is the {nth} {{m}} of {{x}}"
                if attribute.how
                else f"what is the {{n}} of the {nth} {{m}} of {{x}}",
                f"[find|take] the {nth} {{m}} of {{x}}. What is its {{n}}",
                held=(f"the {nth} {{m}} of {{x}} has what {{n}}",),
                **slots,
            )
            ref = b.look(attribute.noun, Item(order.step, place))
            b.answer(amount(attribute, ref, ref))
            best = next(t for t in things if t.name == ordered[place])
            return Draft(f"{question}?", b, things, told(attribute, best, best.number(attribute)))


def nearest_to(c: Choice, w: World, rank: bool) -> Draft:
    """Which of two is closer to a third, or to a number."""
    rng = c.rng
    attribute, things = different(w, c, 3)
    goal, *two = things
    distances = [abs(t.number(attribute) - goal.number(attribute)) for t in two]
    ordered = by_value(two, distances, up=False)
    near = rng.random() < 0.75
    z, x, y = (t.text(rng) for t in things)
    question = c.frame(
        "which is {d} to {z} in {n}, {x} or {y}",
        "whose {n} is {d} to that of {z}: {x} or {y}",
        "which of {x} and {y} is {d} to {z} in {n}",
        "is the {n} of {z} {d} to that of {x} or to that of {y}",
        held=("{z} in {n}: is {x} the {d} one, or {y}",),
        d=rng.choice(("closer", "nearer")) if near else "further from".replace(" from", ""),
        n=rng.choice(attribute.words),
        x=x,
        y=y,
        z=z,
    )
    if not near:
        question = question.replace("further to", "further from").replace("or to that", "or from that")
    order = sorted(range(3), key=lambda k: question.find((z, x, y)[k]))
    b = Builder()
    found = {k: b.look(attribute.noun, things[k].name) for k in order}
    values = [b.calculate("abs(", found[k], " - ", found[0], ")") for k in (1, 2)]
    names = [t.name for t in two]
    if rank:
        b.answer(Item(b.rank(names, values, descending=not near).step, 0))
    else:
        b.cases(
            [Case(((values[0], "<" if near else ">", values[1]),), Answer((names[0],)))], Answer((names[1],))
        )
    return Draft(f"{question}?", b, [things[k] for k in order], ordered[0] if near else ordered[1])
