"""Questions with a choice: ranges, all or any of several, a fact about the extreme, many things, no tool."""

from __future__ import annotations

from braid.training.questions.families.common import Draft, adjective, by_value, scalable, shown
from braid.training.questions.program import Amount, Builder, Item
from braid.training.questions.quantities import has_unit, shown_part
from braid.training.questions.template import Choice, phrases, plural
from braid.training.questions.templates import NAMED, NUMERIC, POPULATION, Attribute
from braid.training.questions.units import number_near, unit_words
from braid.training.questions.world import World

NO_TOOL = "I have no tool for that."
"""How a plan declines what its tools cannot do."""


def within(c: Choice, w: World, rank: bool) -> Draft:
    """Yes or no about a range: "Is K2 between 8000 and 9000 m tall?"."""
    rng = c.rng
    attribute, (thing,) = scalable(w, rng, 1)
    x, noun = thing.text(rng), rng.choice(attribute.words)
    drawn = sorted((number_near(rng, thing.number(attribute)) for _ in range(2)), key=lambda n: n[2])
    if drawn[0][2] >= drawn[1][2]:
        raise LookupError("the range is empty")
    (low, first, least), (high, second, most) = drawn
    unit = unit_words(rng, thing.unit(attribute)) if rng.random() < 0.5 else ""
    patterns = [
        "is the {n} of {x} [between|in the range|somewhere between] {a} and {b}{u}",
        "does the {n} of {x} lie between {a} and {b}{u}",
        "is {x}'s {n} [more|greater|higher] than {a} [but|and] [less|lower|smaller] than {b}{u}",
        "[is it true|would you say] that the {n} of {x} [is|lies] between {a} and {b}{u}",
    ]
    if attribute.how:
        patterns += [f"is {{x}} [between|somewhere between] {{a}} and {{b}}{{u}} {attribute.how}"]
    question = c.frame(
        *patterns,
        held=("does the {n} of {x} fall inside {a} to {b}{u}",),
        n=noun,
        x=x,
        a=low,
        b=high,
        u=unit,
    )
    b = Builder()
    ref = b.look(attribute.noun, thing.name)
    b.yes_no(ref, ">", first, (ref, "<", second))
    return Draft(f"{question}?", b, [thing], "yes" if least < thing.number(attribute) < most else "no")


def all_or_any(c: Choice, w: World, rank: bool) -> Draft:
    """Yes or no about several: "Is K2 taller than both A and B?" or "Is either of A and B taller than C?"."""
    rng = c.rng
    attribute, (first, second, third) = w.comparable(rng, 3)
    up = rng.random() < 0.65
    word = adjective(c, attribute, up=up, superlative=False)
    if not word:
        raise LookupError(f"{attribute.noun} has no comparative")
    x, y, z = (t.text(rng) for t in (first, second, third))
    operator = ">" if up else "<"
    b = Builder()
    i, j, k = (b.look(attribute.noun, t.name) for t in (first, second, third))
    values = [t.number(attribute) if up else -t.number(attribute) for t in (first, second, third)]
    pick = rng.choice(("both", "either", "each"))
    match pick:
        case "both":
            question = c.frame(
                "is {x} {w} than [both|] {y} and {z}",
                "is {x} {w} than {y} and [also|] [than|] {z}",
                "[is it true|would you say] that {x} is {w} than [both|] {y} and {z}",
                held=("does {x} come out {w} than {y} as well as {z}",),
                x=x, y=y, z=z, w=word,
            )  # fmt: skip
            b.yes_no(i, operator, j, (i, operator, k))
            holds = values[0] > values[1] and values[0] > values[2]
        case "each":
            question = c.frame(
                "are [both|] {x} and {y} {w} than {z}",
                "are {x} and {y} both {w} than {z}",
                "is it true that {x} and {y} are [both|each] {w} than {z}",
                held=("do {x} and {y} each turn out {w} than {z}",),
                x=x, y=y, z=z, w=word,
            )  # fmt: skip
            b.yes_no(i, operator, k, (j, operator, k))
            holds = values[0] > values[2] and values[1] > values[2]
        case _:
            question = c.frame(
                "is [either|either of|at least one of] {x} or {y} {w} than {z}",
                "is {x} or {y} {w} than {z}",
                "is {x} {w} than {y} or [than|] {z}",
                held=("is any of the two, {x} or {y}, {w} than {z}",),
                x=x, y=y, z=z, w=word,
            )  # fmt: skip
            if f"{word} than {y}" in question:
                b.yes_no(i, operator, j, (i, operator, k), join="or")
                holds = values[0] > values[1] or values[0] > values[2]
            else:
                b.yes_no(i, operator, k, (j, operator, k), join="or")
                holds = values[0] > values[2] or values[1] > values[2]
    return Draft(f"{question}?", b, [first, second, third], "yes" if holds else "no")


def best_then(c: Choice, w: World, rank: bool) -> Draft:
    """A fact about the extreme of several: "What is the capital of the most populous of A, B and C?"."""
    rng = c.rng
    if not rank:
        raise LookupError("the extreme is found by ranking")
    attribute, things = w.comparable(rng, rng.choices((2, 3, 4), (3, 4, 2))[0])
    up = rng.random() < 0.65
    word = adjective(c, attribute, up=up, superlative=True)
    if not word:
        raise LookupError(f"{attribute.noun} has no superlative")
    others: list[Attribute] = [
        a for a in (*NAMED, *NUMERIC) if a.noun != attribute.noun and all(a.noun in t.facts for t in things)
    ]
    if not others:
        raise LookupError("the things have nothing else to ask for")
    then = rng.choice(others)
    noun, kind = rng.choice(then.words), things[0].kind
    both = c.listed([t.text(rng) for t in things])
    either = c.listed([t.text(rng) for t in things], last="or")
    question = c.frame(
        "what is the {n} of the {w} [of|among|out of] {x}",
        "[what's|give me|tell me|find|look up] the {n} of the {w} {k} [of|among|out of] {x}",
        "[which|what] is the {n} of whichever is {w}, {y}",
        "[of|among|out of] {x}, what is the {n} of the {w} [one|{k}|]",
        "[find|take|determine|pick] the {w} of {x}. What is its {n}",
        "[take|find] the {w} [{k}|] [of|among] {x} and [tell me|give me] its {n}",
        "which of {x} is the {w}, and what is its {n}",
        "[what|which] is the {n} of the {k} with the {g} {m}, {y}",
        "[what's|give me|tell me|find] the {n} of the {k} [with|that has] the {g} {m}[,|:] {y}",
        "[take|find] [whichever of {x}|the one of {x} that] has the {g} {m}. What is its {n}",
        "the {k} with the {g} {m}, {y}: what is its {n}",
        *(
            (
                f"what is the {{n}} of the {{k}} with {'more' if up else 'fewer'} [people|inhabitants|residents], {{y}}",
                f"[of|among|between] {{x}}, what is the {{n}} of the [one|{{k}}] [with|that has] the {'most' if up else 'fewest'} people",
            )
            if attribute is POPULATION
            else ()
        ),
        held=("{x}: for the {w} one, look up the {n}", "the {n}, please, of whichever {k} is the {w}: {y}"),
        n=noun, w=word, k=kind, x=both, y=either, m=rng.choice(attribute.words),
        g=rng.choice(("greatest", "largest", "highest", "biggest") if up else ("smallest", "lowest", "least"))
        if len(things) > 2 or rng.random() < 0.3
        else rng.choice(("greater", "larger", "higher") if up else ("smaller", "lower")),
    )  # fmt: skip
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    order = b.rank([t.name for t in things], refs, descending=up)
    best = Item(order.step, 0)
    found = b.look(then.noun, best)
    name = by_value(things, [t.number(attribute) for t in things], up=up)[0]
    thing = next(t for t in things if t.name == name)
    if then.numeric:
        answer = shown(thing.number(then), thing.unit(then) if has_unit(then) else "")
        part = shown_part(has_unit(then), found, found)
    else:
        answer, part = shown(thing.facts[then.noun][0]), found
    if " and what is its " in question:
        b.answer(best, "; ", part)
        answer = f"{name}; {answer}"
    else:
        b.answer(part)
    return Draft(f"{question}?", b, things, answer)


def many(c: Choice, w: World, rank: bool) -> Draft:
    """Six to eight things, looked up by a map: the extreme, a later place, or the whole order."""
    rng = c.rng
    if not rank:
        raise LookupError("many things are ranked")
    attribute, things = w.comparable(rng, rng.choices((6, 7, 8), (5, 3, 2))[0])
    up = rng.random() < 0.6
    both = c.listed([t.text(rng) for t in things])
    either = c.listed([t.text(rng) for t in things], last="or")
    noun = rng.choice(attribute.words)
    word = adjective(c, attribute, up=up, superlative=True) or f"{'greatest' if up else 'smallest'} in {noun}"
    ordered = by_value(things, [t.number(attribute) for t in things], up=up)
    b = Builder()
    names = [t.name for t in things]
    found = b.look_each(attribute.noun, names)
    order = b.rank(names, found, descending=up)
    pick = rng.random()
    if pick < 0.55:
        question = c.frame(
            "which [one|] of {x} is the {w}",
            "which is the {w}: {y}",
            "which {k} is the {w}, {y}",
            "[of|among|out of] {x}, which is the {w}",
            "[find|name|tell me|give me] the {w} of {x}",
            held=("going through {x}, which one is the {w}",),
            x=both, y=either, w=word, k=things[0].kind,
        )  # fmt: skip
        b.answer(Item(order.step, 0))
        return Draft(f"{question}?", b, things, ordered[0])
    if pick < 0.75:
        question = c.frame(
            "which of {x} is the second {w}",
            "[of|among] {x}, which [one|] is the second {w}",
            "what is the second {w} of {x}",
            held=("{x}: who is runner-up for the {w}",),
            x=both, w=word,
        )  # fmt: skip
        b.answer(Item(order.step, 1))
        return Draft(f"{question}?", b, things, ordered[1])
    question = c.frame(
        "[rank|sort|order|arrange|list] {x} by {n}, [the|] {w} first",
        "[rank|sort|order] {x} [from|starting with] the {w}",
        "[rank|sort|order|arrange] {x} by [descending|decreasing] {n}" if up else "[rank|sort|order|arrange] {x} by [ascending|increasing] {n}",
        held=("put {x} into a list with the {w} on top",),
        x=both, n=noun, w=word,
    )  # fmt: skip
    b.answer(order)
    return Draft(f"{question}.", b, things, ", ".join(ordered))


def in_a_sentence(c: Choice, w: World, rank: bool) -> Draft:
    """A fact, a difference or a sum, to be told in a sentence."""
    rng = c.rng
    attribute, things = scalable(w, rng, rng.choices((1, 2), (3, 2))[0])
    noun = rng.choice(attribute.words)
    names = c.listed([t.text(rng) for t in things])
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    unit = things[0].unit(attribute) if has_unit(attribute) else ""
    if len(things) == 1:
        asked = c.frame("[what is|tell me|give me] the {n} of {x}", "what is {x}'s {n}", n=noun, x=names)
        words, number, value = f"The {noun} of {things[0].name} is ", refs[0], things[0].number(attribute)
    elif rng.random() < 0.5:
        asked = c.frame(
            "what is the [combined|total] {n} of {x}",
            "what is the sum of the {ns} of {x}",
            n=noun,
            ns=plural(noun),
            x=names,
        )
        words, number = f"The {noun} together is ", b.calculate(refs[0], " + ", refs[1])
        value = sum(t.number(attribute) for t in things)
    else:
        asked = c.frame(
            "what is the difference in {n} between {x}", "how much do {x} differ in {n}", n=noun, x=names
        )
        words = f"The difference in {noun} is "
        number = b.calculate("abs(", refs[0], " - ", refs[1], ")")
        value = abs(things[0].number(attribute) - things[1].number(attribute))
    question = c.frame(
        "[answer|reply|respond] [in|with] [a|one|a full|a complete] sentence: {q}?",
        "{q}? [Answer|Reply|Respond|Tell me] [in|with] [a|one|a full|a complete] sentence.",
        "[in|with] [a|one] [full|complete|whole|short|] sentence, {q}?",
        "{q}? [I want|I'd like|please write] a [full|complete|whole] sentence.",
        held=("{q}? Put it in a proper sentence.", "{q}? No bare number, a sentence please."),
        q=asked,
    )
    b.answer(words, Amount(number, refs[0]) if unit else number, ".")
    return Draft(question, b, things, f"{words}{shown(value, unit)}.")


_NO_TOOL_ORDERS = (
    "[book|reserve] [a table|a room|two seats|a flight|a train ticket|a hotel] [in|near|to] {x} [for tonight|for Friday|next week|]",
    "[send|write|forward] [an e-mail|a message|a text|a letter] to {x}",
    "[play|put on] [some music|a song|the radio] [in|for|by] {x}",
    "[order|buy|get] me [a pizza|two tickets|flowers|a present|a taxi] [in|for|to] {x}",
    "[order|buy|get|fetch|bring] [me|us|my mother] [a|some|the|two] {i} [with {i}|with {i} and {i}|from {x}|for tonight|at once|]",
    "[wash|clean|iron|feed|walk|wake|repaint|mow|rent|sell|lend|print|sign|scan|mail|record|film|tweet|post] [my|the|our|this] {i} [in {x}|for {x}|before noon|tomorrow|]",
    "[make|prepare|sing|compose|design|plan|organise|schedule|cancel|hire] [me|us|] [a|the|my] {i} [for {x}|with {i}|next Monday|]",
    "[turn|switch] [on|off] the [lights|heating|alarm|TV] in {x}",
    "[call|phone|ring] {x} [for me|tomorrow|]",
    "[draw|paint|sketch] [a picture|a map|a portrait] of {x}",
    "[set|make] [an alarm|a reminder|an appointment] for {x}",
    "[delete|move|rename|upload] the [file|folder|photos] [called|named] {x}",
    "[translate|say] {x} [into|in] [French|German|Latin|Japanese|Spanish]",
    "[pay|transfer|send] [50|100|20] [euros|dollars] to {x}",
    "[open|close|lock] the [door|window|garage] [at|of|in] {x}",
)
_HELD_ORDERS = (
    "[post|publish] a photo of {x}",
    "[cook|bake] something for {x}",
    "water the plants in {x}",
    "[fix|repair] the [car|bike] of {x}",
)


_GOODS = phrases(
    "pizza|mushrooms|coffee|sandwich|burger|salad|bicycle|shirt|dog|cat|car|lawn|piano|poem|lullaby|cake|"
    "report|contract|invoice|letter|newspaper|umbrella|dinner|soup|noodles|cheese|chairs|garden|boat|lamp|"
    "carpet|birthday party|meeting|haircut|dentist|video|postcard|parcel|ladder|guitar|jacket|rice|fries|"
    "onions|tea|bread|wine|keys|phone|laptop|printer|fence|roof|babysitter|wedding|concert|logo"
)


def declined(c: Choice, w: World, rank: bool) -> Draft:
    """Something that no tool does."""
    rng = c.rng
    _, (thing,) = w.comparable(rng, 1)
    order = c.frame(*_NO_TOOL_ORDERS, held=_HELD_ORDERS, x=thing.text(rng))
    while "{i}" in order:
        order = order.replace("{i}", rng.choice(_GOODS), 1)
    question = c.fill(
        "[|please |can you |could you |I want you to |I need you to |now |would you ]{q}", q=order
    )
    b = Builder()
    b.answer(NO_TOOL)
    end = "?" if question.startswith(("can", "could", "would")) else rng.choice((".", ".", "", "!"))
    return Draft(question + end, b, [thing], NO_TOOL, copied=False)
