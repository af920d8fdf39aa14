"""Questions whose answer is computed: differences, ratios, sums, averages, shares, densities, arithmetic."""

from __future__ import annotations

from braid.training.questions.families.common import Draft, adjective, scalable, shown
from braid.training.questions.program import Amount, Builder, Ref
from braid.training.questions.quantities import has_unit, shown_part
from braid.training.questions.template import Choice, plural
from braid.training.questions.templates import AREA, LENGTH, POPULATION, SPEED
from braid.training.questions.units import SAME
from braid.training.questions.world import World


def difference(c: Choice, w: World, rank: bool) -> Draft:
    """How much more: "How much taller is K2 than Mont Blanc?"."""
    rng = c.rng
    attribute, things = w.comparable(rng, 2)
    up = rng.random() < 0.6
    first, second = sorted(things, key=lambda t: t.number(attribute), reverse=up)
    x, y = first.text(rng), second.text(rng)
    noun = rng.choice(attribute.words)
    more = adjective(c, attribute, up=up, superlative=False)
    greater = rng.choice(("greater", "larger", "higher", "bigger") if up else ("smaller", "less", "lower"))
    options = [
        f"by how much does the {noun} of {x} {'exceed' if up else 'fall short of'} that of {y}",
        f"how much {greater} is the {noun} of {x} than that of {y}",
        f"how much {greater} is {x}'s {noun} than {y}'s",
    ]
    if more:
        options += [f"how much {more} is {x} than {y}"] * 4 + [
            f"by how much is {x} {more} than {y}",
            f"{x} is how much {more} than {y}",
            f"how much {more} than {y} is {x}",
            f"than {y}, how much {more} is {x}",
            f"by what amount is {x} {more} than {y}",
        ]
    if attribute is POPULATION:
        options += [
            f"how many {'more' if up else 'fewer'} people live in {x} than in {y}",
            f"how many {'more' if up else 'fewer'} inhabitants does {x} have than {y}",
        ]
    if more and first.unit(attribute) in SAME:
        options += [f"how many {rng.choice(SAME[first.unit(attribute)])} {more} is {x} than {y}"]
    if attribute.dated:
        earlier, later = (y, x) if up else (x, y)
        options = [
            f"how many years [lie|are] between the {noun} of {x} and that of {y}",
            f"how many years {more} is {x} than {y}",
            f"how much {more} is {x} than {y}",
            f"by how many years is {x} {more} than {y}",
            f"by how many years did the {noun} of {earlier} [precede|come before] that of {later}"
            if noun == attribute.noun
            else f"by how many years is {x} {more} than {y}",
            f"[by how many years|how many years] did the {noun} of {later} [follow|come after] [that|the {noun}] of {earlier}",
            f"how many years [after|later than] {earlier} [was|is] {later} [dated by its {noun}|in {noun}]",
            f"how many years [passed|went by] [from|between] the {noun} of {earlier} [to|and] [that|the {noun}] of {later}",
        ]
    options += [
        f"what must be added to the {noun} of {y} to get the {noun} of {x}"
        if up
        else f"how much {greater} is {x}'s {noun} than {y}'s",
        f"[find|calculate|compute|tell me|determine] how much {more or greater} {x} is than {y}"
        if more
        else f"by how much is the {noun} of {x} {greater} than that of {y}",
        f"[compare|take|consider] {x} and {y}. How much {more} is [the former|the first one|the first]"
        if more
        else f"how much {greater} is the {noun} of {x} than {y}'s",
        f"[I wonder|tell me|I'd like to know] by how much {x} is {more} than {y}"
        if more
        else f"tell me how much {greater} the {noun} of {x} is than {y}'s",
        f"what is the {noun} of {x} minus [the {noun}|that] of {y}"
        if up
        else f"how much {greater} is {x}'s {noun} than {y}'s",
        f"{x} is {more} than {y}, [but|] by how much"
        if more
        else f"{x}'s {noun} is {greater} than {y}'s, by how much",
    ]
    held = (
        f"compared with {y}, how much {more or greater} is {x}"
        if more
        else f"compared with {y}'s, how much {greater} is {x}'s {noun}",
        f"what do you get when you take the {noun} of {y} away from the {noun} of {x}"
        if up
        else f"how much does {x} lack in {noun} against {y}",
        f"{x} against {y}: how much {more or greater} is it"
        if more
        else f"{x} against {y}: how much {greater} is the {noun}",
        f"by what margin is {x} {more} than {y}"
        if more
        else f"by what margin is the {noun} of {x} {greater} than {y}'s",
        f"how big a lead does {x} have over {y} in {noun}" if up else f"how far is {x} behind {y} in {noun}",
    )
    question = c.frame(*options, held=held)
    b = Builder()
    i, j = b.look(attribute.noun, first.name), b.look(attribute.noun, second.name)
    swapped = question.find(y) < question.find(x)
    if swapped:
        b = Builder()
        j, i = b.look(attribute.noun, second.name), b.look(attribute.noun, first.name)
    d = b.calculate(i, " - ", j) if up else b.calculate(j, " - ", i)
    b.answer(shown_part(has_unit(attribute), d, Ref(0)))
    value = abs(first.number(attribute) - second.number(attribute))
    return Draft(
        f"{question}?", b, things, shown(value, first.unit(attribute) if has_unit(attribute) else "")
    )


def gap(c: Choice, w: World, rank: bool) -> Draft:
    """A difference without a direction: "What is the difference in height between K2 and Mont Blanc?"."""
    rng = c.rng
    attribute, things = w.comparable(rng, 2)
    x, y = (t.text(rng) for t in things)
    noun = rng.choice(attribute.words)
    if attribute.dated:
        question = c.frame(
            "how many years [lie|are there|passed] between the {n} of {x} and [that|the {n}] of {y}",
            "how many years [apart|] are [the {ns} of|] {x} and {y}".replace(
                "[apart|] are [the {ns} of|] {x} and {y}", "are there between {x} and {y} in {n}"
            ),
            "what is the difference in years between the {n} of {x} and that of {y}",
            "what is the difference between the {n} of {x} and [that|the {n}] of {y}",
            held=("{x} and {y}: how many years apart is their {n}",),
            n=noun,
            ns=plural(noun),
            x=x,
            y=y,
        )
    else:
        question = c.frame(
            "[what is|what's|give me|find|tell me|calculate|compute] the [difference|gap] in {n} between {x} and {y}",
            "[what is|what's] the [difference|gap] between the {n} of {x} and [the {n}|that] of {y}",
            "[what is|what's|calculate|find] the {n} [difference|gap] between {x} and {y}",
            "how far apart are {x} and {y} in {n}",
            "[how much|by how much] do {x} and {y} differ in {n}",
            "{x} and {y}: what is the [difference|gap] in {n}",
            "[compare|take] {x} and {y}. What is the [difference|gap] [in {n}|in their {ns}]",
            "[how much|by how much] do the {ns} of {x} and {y} differ",
            "[what is|what's|find] the [difference|gap] between {x} and {y} in [terms of|] {n}",
            "{n} difference between {x} and {y}",
            held=(
                "how [big|large|wide] is the gap in {n} between {x} and {y}",
                "{x} versus {y}: how much lies between them in {n}",
                "what {n} separates {x} from {y}",
            ),
            n=noun,
            ns=plural(noun),
            x=x,
            y=y,
        )
    b = Builder()
    i, j = (b.look(attribute.noun, t.name) for t in things)
    d = b.calculate("abs(", i, " - ", j, ")")
    b.answer(shown_part(has_unit(attribute), d, i))
    return Draft(
        f"{question}?",
        b,
        things,
        shown(
            abs(things[0].number(attribute) - things[1].number(attribute)),
            things[0].unit(attribute) if has_unit(attribute) else "",
        ),
    )


def ratio(c: Choice, w: World, rank: bool) -> Draft:
    """How many times, or what share: "How many times taller is K2 than the Eiffel Tower?"."""
    rng = c.rng
    attribute, things = scalable(w, rng, 2)
    large, small = sorted(things, key=lambda t: t.number(attribute), reverse=True)
    b = Builder()
    noun = rng.choice(attribute.words)
    if rng.random() < 0.55:
        x, y = large.text(rng), small.text(rng)
        more = adjective(c, attribute, up=True, superlative=False)
        options = [
            f"what is the ratio of the {noun} of {x} to {'that' if rng.random() < 0.5 else f'the {noun}'} of {y}",
            f"how many times the {noun} of {y} is the {noun} of {x}",
            f"how many times greater is {x}'s {noun} than {y}'s",
        ]
        options += [
            f"[by what factor|by which factor] is the {noun} of {x} greater than [that of|the {noun} of] {y}",
            f"[divide|what do you get if you divide] the {noun} of {x} by [that|the {noun}] of {y}",
            f"[calculate|find|compute|give me|tell me] the ratio of {x}'s {noun} to {y}'s",
            f"{x}'s {noun} is how many times {y}'s",
        ]
        if more:
            options += [f"how many times {more} is {x} than {y}"] * 3
            options += [
                f"[by what factor|how many times] is {x} {more} than {y}",
                f"{x} is how many times {more} than {y}",
                f"[I wonder|tell me|find out|do you know] how many times {more} {x} is than {y}",
            ]
        if attribute.how:
            options += [
                f"how many times as {attribute.how} as {y} is {x}",
                f"{x} is how many times as {attribute.how} as {y}",
                f"how many times as {attribute.how} is {x} as {y}",
            ]
        if attribute.noun in ("population", "area"):
            options += [
                f"how many times {rng.choice(('larger', 'bigger', 'greater'))} is {x} than {y} [in|by|in terms of] {noun}"
            ]
        question = c.frame(
            *options,
            held=(
                f"how often does the {noun} of {y} fit into the {noun} of {x}",
                f"{x} against {y} in {noun}: how many times as much",
                f"the {noun} of {x} is how many times that of {y}",
            ),
        )
        first, second = (large, small) if question.find(x) < question.find(y) else (small, large)
        i, j = b.look(attribute.noun, first.name), b.look(attribute.noun, second.name)
        top, bottom = (i, j) if first is large else (j, i)
        r = b.calculate(top, " / ", bottom)
        b.answer(r)
        return Draft(f"{question}?", b, things, shown(large.number(attribute) / small.number(attribute)))
    part, whole = things
    x, y = part.text(rng), whole.text(rng)
    question = c.pick(
        f"what percentage of the {noun} of {y} is the {noun} of {x}",
        f"what percent of {y}'s {noun} is {x}'s {noun}",
        f"what is the {noun} of {x} as a percentage of the {noun} of {y}",
        f"express {x}'s {noun} as a percentage of {y}'s",
        held=(f"if the {noun} of {y} is 100%, how many percent is the {noun} of {x}",),
    )
    first, second = (part, whole) if question.find(x) < question.find(y) else (whole, part)
    i, j = b.look(attribute.noun, first.name), b.look(attribute.noun, second.name)
    top, bottom = (i, j) if first is part else (j, i)
    r = b.calculate("100 * ", top, " / ", bottom)
    b.answer(r, "%")
    return Draft(
        f"{question}?", b, things, f"{shown(100 * part.number(attribute) / whole.number(attribute))}%"
    )


def total(c: Choice, w: World, rank: bool) -> Draft:
    """Sum or average: "What is the combined height of K2 and Mont Blanc?"."""
    rng = c.rng
    attribute, things = scalable(w, rng, rng.choices((2, 3, 4), (4, 4, 2))[0])
    noun = rng.choice(attribute.words)
    names = c.listed([t.text(rng) for t in things])
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    terms: list[str | Ref] = []
    for ref in refs:
        terms += [" + ", ref] if terms else [ref]
    value = sum(t.number(attribute) for t in things)
    if rng.random() < 0.6:
        question = c.frame(
            f"what is the {rng.choice(('combined', 'total', 'summed', 'joint', 'overall'))} {noun} of {names}",
            f"what is the sum of the {plural(noun)} of {names}",
            f"how much do the {plural(noun)} of {names} add up to",
            f"[add|sum|add together|total|sum up] the {plural(noun)} of {names}",
            f"[find|calculate|compute|tell me|give me|determine|work out] the [sum|total] of the {plural(noun)} of {names}",
            f"{names}: what is their [combined|total|joint] {noun}",
            f"[if|when] you [add|add up|sum] the {plural(noun)} of {names}, what do you get",
            f"what [is|would be] the {noun} of {names} [put together|all together|in total|added up]",
            f"[combining|adding up|putting together] {names}, what is the [total|] {noun}",
            f"add up the {plural(noun)} of {names}",
            f"what {noun} do {names} have together",
            f"what is the {noun} of {names} combined",
            *(
                [f"how {attribute.how} are {names} together", f"how {attribute.how} are {names} combined"]
                if attribute.how
                else []
            ),
            *(
                [f"how many people live in {names} combined", f"how many people live in {names} together"]
                if attribute is POPULATION
                else []
            ),
            held=(
                f"if you put {names} together, what {noun} do you get",
                f"{names} in one heap: what is the {noun}",
                f"lump {names} together and tell me the {noun}",
                f"taken together, what is the {noun} of {names}",
            ),
        )
        d = b.calculate(*terms)
    else:
        question = c.frame(
            f"what is the {rng.choice(('average', 'mean'))} {noun} of {names}",
            f"what's the average of the {plural(noun)} of {names}",
            f"on average, how {attribute.how} are {names}"
            if attribute.how
            else f"on average, what {noun} do {names} have",
            f"compute the {rng.choice(('average', 'mean'))} {noun} of {names}",
            f"[find|calculate|tell me|give me|what's|work out] the [average|mean] {noun} of {names}",
            f"{names}: what is their [average|mean] {noun}",
            f"what {noun} do {names} have [on average|in the mean]",
            f"what is the [average|mean] {noun} [across|for|among|between] {names}",
            held=(
                f"averaged over {names}, what is the {noun}",
                f"if {names} shared evenly, what {noun} would each have",
            ),
        )
        d = b.calculate("(", *terms, f") / {len(things)}")
        value /= len(things)
    b.answer(Amount(d, Ref(0)))
    return Draft(f"{question}?", b, things, shown(value, things[0].unit(attribute)))


def density(c: Choice, w: World, rank: bool) -> Draft:
    """People per area: "How many people per square kilometre live in Peru?"."""
    rng = c.rng
    (thing,) = w.having(rng, (POPULATION.noun, AREA.noun), 1)
    x = thing.text(rng)
    question = c.frame(
        f"what is the population density of {x}",
        f"how many people live per square kilometre in {x}",
        f"how many people per square kilometer live in {x}",
        f"how densely populated is {x}",
        f"[how many people are there|how many inhabitants are there|how many live] per square [kilometre|kilometer|km] in {x}",
        f"[calculate|find|tell me|give me] the population density of {x}",
        f"[divide|what is] {x}'s population [divided|] by its area".replace(
            "[divide|what is] {x}'s population [divided|] by", "what do you get dividing {x}'s population by"
        ).replace("{x}", x),
        f"what is {x}'s population density",
        held=(f"how many people share one square kilometre of {x}",),
    )
    b = Builder()
    i, j = b.look(POPULATION.noun, thing.name), b.look(AREA.noun, thing.name)
    b.answer(b.calculate(i, " / ", j))
    return Draft(f"{question}?", b, [thing], shown(thing.number(POPULATION) / thing.number(AREA)))


def journey(c: Choice, w: World, rank: bool) -> Draft:
    """Time from length and speed: "How many hours would a cheetah need for the length of the Nile?"."""
    rng = c.rng
    (runner,) = w.having(rng, (SPEED.noun,), 1)
    (way,) = w.having(rng, (LENGTH.noun,), 1)
    if way.unit(LENGTH) != "km":
        raise LookupError("the way is not measured in kilometres")
    x, y = runner.text(rng), way.text(rng)
    question = c.frame(
        f"how many hours would {x} at {rng.choice(('top speed', 'full speed', 'its top speed'))} need for the length of {y}",
        f"how long would it take {x} at top speed to travel the length of {y}",
        f"at its top speed, how many hours does {x} need to cover the length of {y}",
        f"how many hours does {x} take to run the length of {y}",
        held=(f"moving flat out, in how many hours could {x} follow the whole of {y}",),
    )
    b = Builder()
    if question.find(x) < question.find(y):
        i, j = b.look(SPEED.noun, runner.name), b.look(LENGTH.noun, way.name)
    else:
        j, i = b.look(LENGTH.noun, way.name), b.look(SPEED.noun, runner.name)
    b.answer(b.calculate(j, " / ", i), " hours")
    return Draft(f"{question}?", b, [runner, way], shown(way.number(LENGTH) / runner.number(SPEED), "hours"))


def portion(c: Choice, w: World, rank: bool) -> Draft:
    """Arithmetic on one fact: "What is 15% of the height of K2?"."""
    rng = c.rng
    attribute, (thing,) = scalable(w, rng, 1)
    x, noun = thing.text(rng), rng.choice(attribute.words)
    of = rng.choice((f"the {noun} of {x}", f"{x}'s {noun}"))
    b = Builder()
    i = b.look(attribute.noun, thing.name)
    value = thing.number(attribute)
    pick = rng.random()
    if pick < 0.45:
        p = str(rng.randint(1, 99))
        question, d, value = (
            c.frame(
                f"what is {p}% of {of}",
                f"how much is {p} percent of {of}",
                f"calculate {p}% of {of}",
                held=(f"work out {p}% of {of}",),
            ),
            b.calculate(i, f" * {p} / 100"),
            value * int(p) / 100,
        )
    elif pick < 0.75:
        k = str(rng.randint(2, 20))
        question, d, value = (
            c.frame(
                f"what is {k} times {of}",
                f"multiply {of} by {k}",
                f"how much is {of} times {k}",
                held=(f"what would {k} times {of} be",),
            ),
            b.calculate(i, f" * {k}"),
            value * int(k),
        )
    else:
        word, size = rng.choice(
            (("half", 2), ("a third", 3), ("a quarter", 4), ("one fifth", 5), ("a tenth", 10))
        )
        question, d, value = (
            c.frame(
                f"what is {word} of {of}", f"how much is {word} of {of}", held=(f"work out {word} of {of}",)
            ),
            b.calculate(i, " * 0.5" if size == 2 else f" / {size}"),
            value / size,
        )
    b.answer(Amount(d, i))
    return Draft(f"{question}?", b, [thing], shown(value, thing.unit(attribute)))


def arithmetic(c: Choice, w: World, rank: bool) -> Draft:
    """No look-up at all: "What is 12 * (3 + 4)?"."""
    rng = c.rng
    x, y, z = (rng.randint(2, 999) for _ in range(3))
    text, value = rng.choice(
        (
            (f"{x} + {y}", x + y),
            (f"{x} * {y}", x * y),
            (f"{x} - {y}", x - y),
            (f"{x} / {y}", x / y),
            (f"({x} + {y}) * {z}", (x + y) * z),
            (f"{x} + {y} * {z}", x + y * z),
            (f"{x} * {y} - {z}", x * y - z),
        )
    )
    question = c.pick(
        f"what is {text}",
        f"calculate {text}",
        f"compute {text}",
        f"how much is {text}",
        held=(f"work out {text}",),
    )
    b = Builder()
    b.answer(b.calculate(text))
    return Draft(f"{question}?", b, [], shown(value))
