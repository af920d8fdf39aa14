"""The families of questions: each draws things from a world, and gives question, program and true answer.

A true answer is computed here from the facts, not by running the program, so that a wrong program shows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evals.planning_set.attributes import AREA, LENGTH, POPULATION, SPEED, Attribute
from evals.planning_set.program import Amount, Answer, Block, Builder, Item, Ref
from evals.planning_set.wording import Choice, listed, plural
from evals.planning_set.world import Thing, World


@dataclass(frozen=True)
class Draft:
    """A question before it is written out for a set of tools."""

    question: str
    program: Builder
    things: Sequence[Thing]
    answer: str


Family = Callable[[Choice, World, bool], Draft]
"""Draws a question; the flag says whether the tools include one that ranks."""


def shown(value: float | str, unit: str = "") -> str:
    """A value as an answer shows it: at most ten significant digits, and the unit behind."""
    text = value if isinstance(value, str) else f"{value:.10g}"
    return f"{text} {unit}".strip()


def adjective(c: Choice, attribute: Attribute, *, up: bool, superlative: bool) -> str:
    """A comparative or superlative; attributes without their own get "greater" and "smallest"."""
    if superlative:
        words = attribute.most if up else attribute.least
    else:
        words = attribute.more if up else attribute.less
    return c.rng.choice(words) if words else ""


def which_tail(c: Choice, attribute: Attribute, kind: str, count: int, *, up: bool) -> str:
    """The end of a superlative question: "which one would be the deepest?"."""
    rng = c.rng
    noun = rng.choice(attribute.words)
    superlative = adjective(c, attribute, up=up, superlative=True)
    comparative = adjective(c, attribute, up=up, superlative=False)
    one = rng.choice(("one", "one", kind, kind, kind, "of them", "of these", f"of the {plural(kind)}", "among them"))
    if count == 2:
        one = rng.choice(("one", "one", kind, kind, "of the two", "of them"))
    be = rng.choice(("is", "is", "would be", "would be", "becomes", "will be", "ends up", "would then be", "is now"))
    have = rng.choice(("has", "has", "would have", "ends up with", "will have", "boasts", "shows", "would boast"))
    great = rng.choice(("greatest", "greatest", "highest", "largest", "biggest", "maximum", "most"))
    small = rng.choice(("least", "smallest", "smallest", "lowest", "minimum"))
    extreme = great if up else small
    extreme = extreme if extreme != "most" else "greatest"
    word = superlative if superlative and (count > 2 or rng.random() < 0.3) else comparative
    options = [f"which {one} {have} the {extreme} {noun}", f"what {kind} {have} the {extreme} {noun}"]
    if word:
        the = "the " if word in attribute.most + attribute.least and rng.random() < 0.85 else ""
        options += [f"which {one} {be} {the}{word}"] * 4
        options += [
            f"which {one} {rng.choice(('comes out', 'emerges as', 'turns out', 'proves to be', 'stands'))} {the}{word}",
            f"what {be} the {superlative}" if superlative else f"which {one} {be} {word}",
            f"which {kind} among them {be} {the}{word}",
            f"tell me which {one} {be} {the}{word}",
            f"which {one} {have} the {comparative} {noun}" if noun == attribute.noun else f"which {one} {be} {the}{word}",
        ]
    tails = attribute.most_tails if up else attribute.least_tails
    if tails:
        options += [f"which {one} {rng.choice(tails)}"] * 2
    if up:
        options += [f"which {one} would {rng.choice(('surpass', 'exceed', 'beat', 'outdo', 'top'))} the other{'s' if count > 2 else ''} in {noun}",
                    f"which {one} {rng.choice(('comes out on top', 'leads', 'ranks first', 'comes first'))} in {noun}"]
    else:
        options += [f"which {one} {rng.choice(('comes last', 'ranks last', 'comes in last', 'trails the others'))} in {noun}"]
    held = [f"name the {kind} with the {extreme} {noun}"]
    if superlative:
        held += [f"which {one} can then call itself the {superlative}", f"who or what is the {superlative} {'of the two' if count == 2 else 'of all'}"]
    return c.pick(*options, held=held)


def pick_best(b: Builder, names: Sequence[str], values: Sequence[Ref], *, up: bool, rank: bool, place: int = 0) -> None:
    """End the program with the name that is first (or in a later place) by value."""
    if rank:
        order = b.rank(names, values, descending=up)
        b.answer(Item(order.step, place))
        return
    first, second = names if place == 0 else reversed(names)
    b.branch(values[0], ">" if up else "<", values[1], Block((), Answer((first,))), Block((), Answer((second,))))


def by_value(things: Sequence[Thing], values: Sequence[float], *, up: bool) -> list[str]:
    """Names in order of value; LookupError where two are so close that rounding could decide."""
    order = sorted(zip(values, (t.name for t in things), strict=True), reverse=up)
    for (x, _), (y, _) in zip(order, order[1:], strict=False):
        if abs(x - y) <= 1e-6 * max(abs(x), abs(y)):
            raise LookupError(f"{x} and {y} are too close to be told apart")
    return [name for _, name in order]


def counted(rng: random.Random, rank: bool, weights: Sequence[int] = (5, 5, 4, 3)) -> int:
    return rng.choices((2, 3, 4, 5), weights)[0] if rank else 2


def single(c: Choice, w: World, rank: bool) -> Draft:
    """One fact: "How tall is K2?"."""
    attribute, (thing,) = w.comparable(c.rng, 1)
    text = thing.text(c.rng)
    noun = c.rng.choice(attribute.words)
    options = [f"what is the {noun} of {text}", f"what's {text}'s {noun}", f"give me the {noun} of {text}",
               f"I need the {noun} of {text}", f"{noun} of {text}", f"do you know the {noun} of {text}"]
    if attribute.how:
        options += [f"how {attribute.how} is {text}"] * 3
    question = c.pick(*options, held=(f"find out the {noun} of {text} for me", f"could you tell me {text}'s {noun}"))
    b = Builder()
    ref = b.look(attribute.noun, thing.name)
    b.answer(Amount(ref, ref))
    return Draft(f"{question}?", b, [thing], shown(thing.number(attribute), thing.unit(attribute)))


def single_name(c: Choice, w: World, rank: bool) -> Draft:
    """Facts that are names: "What are the capitals of Peru and Chile?"."""
    rng = c.rng
    attribute, things = w.named(rng, rng.choices((1, 2, 3), (5, 3, 1))[0])
    noun = rng.choice(attribute.words)
    names = listed([t.text(rng) for t in things])
    plurals = plural(noun)
    if len(things) == 1:
        question = c.pick(f"what is the {noun} of {names}", f"what's the {noun} of {names}", f"which is the {noun} of {names}",
                          f"what is {names}'s {noun}", f"name the {noun} of {names}", held=(f"can you tell me {names}'s {noun}",))
    else:
        question = c.pick(f"what are the {plurals} of {names}", f"name the {plurals} of {names}", f"give the {noun} of {names}",
                          f"list the {plurals} of {names}", held=(f"I would like to know the {plurals} of {names}",))
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    parts: list[str | Ref] = []
    for ref in refs:
        parts += [ref] if not parts else ["; ", ref]
    b.answer(*parts)
    return Draft(f"{question}?", b, things, "; ".join(shown(t.facts[attribute.noun][0]) for t in things))


def several(c: Choice, w: World, rank: bool) -> Draft:
    """Several facts side by side: "What are the heights of K2 and Mont Blanc?"."""
    rng = c.rng
    attribute, things = w.comparable(rng, rng.choices((2, 3, 4), (4, 3, 1))[0])
    noun = rng.choice(attribute.words)
    names = listed([t.text(rng) for t in things])
    options = [f"what are the {plural(noun)} of {names}", f"what is the {noun} of {names}", f"give me the {plural(noun)} of {names}",
               f"list the {noun} of {names}"]
    if attribute.how:
        options += [f"how {attribute.how} are {names}"] * 2
    question = c.pick(*options, held=(f"find the {noun} of each of {names}",))
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    parts: list[str | Amount] = []
    for ref in refs:
        parts += [Amount(ref, ref)] if not parts else ["; ", Amount(ref, ref)]
    b.answer(*parts)
    return Draft(f"{question}?", b, things, "; ".join(shown(t.number(attribute), t.unit(attribute)) for t in things))


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
    options = [f"by how much does the {noun} of {x} {'exceed' if up else 'fall short of'} that of {y}",
               f"how much {greater} is the {noun} of {x} than that of {y}", f"how much {greater} is {x}'s {noun} than {y}'s"]
    if more:
        options += [f"how much {more} is {x} than {y}"] * 4 + [f"by how much is {x} {more} than {y}", f"{x} is how much {more} than {y}"]
    if attribute is POPULATION:
        options += [f"how many {'more' if up else 'fewer'} people live in {x} than in {y}", f"how many {'more' if up else 'fewer'} inhabitants does {x} have than {y}"]
    if attribute.unit_words and more:
        options += [f"how many {rng.choice(attribute.unit_words)} {more} is {x} than {y}"]
    held = (f"compared with {y}, how much {more or greater} is {x}" if more else f"compared with {y}'s, how much {greater} is {x}'s {noun}",
            f"what do you get when you take the {noun} of {y} away from the {noun} of {x}" if up else f"how much does {x} lack in {noun} against {y}")
    question = c.pick(*options, held=held)
    b = Builder()
    i, j = b.look(attribute.noun, first.name), b.look(attribute.noun, second.name)
    swapped = question.startswith("compared with") or question.startswith("what do you get")
    if swapped:
        b = Builder()
        j, i = b.look(attribute.noun, second.name), b.look(attribute.noun, first.name)
    d = b.calculate(i, " - ", j) if up else b.calculate(j, " - ", i)
    b.answer(Amount(d, Ref(0)))
    value = abs(first.number(attribute) - second.number(attribute))
    return Draft(f"{question}?", b, things, shown(value, first.unit(attribute)))


def gap(c: Choice, w: World, rank: bool) -> Draft:
    """A difference without a direction: "What is the difference in height between K2 and Mont Blanc?"."""
    rng = c.rng
    attribute, things = w.comparable(rng, 2)
    x, y = (t.text(rng) for t in things)
    noun = rng.choice(attribute.words)
    question = c.pick(f"what is the difference in {noun} between {x} and {y}", f"what's the difference between the {noun} of {x} and the {noun} of {y}",
                      f"what is the {noun} difference between {x} and {y}", f"how far apart are {x} and {y} in {noun}",
                      f"how much do {x} and {y} differ in {noun}", held=(f"how big is the gap in {noun} between {x} and {y}",))
    b = Builder()
    i, j = (b.look(attribute.noun, t.name) for t in things)
    d = b.calculate("abs(", i, " - ", j, ")")
    b.answer(Amount(d, i))
    return Draft(f"{question}?", b, things, shown(abs(things[0].number(attribute) - things[1].number(attribute)), things[0].unit(attribute)))


def ratio(c: Choice, w: World, rank: bool) -> Draft:
    """How many times, or what share: "How many times taller is K2 than the Eiffel Tower?"."""
    rng = c.rng
    attribute, things = w.comparable(rng, 2)
    large, small = sorted(things, key=lambda t: t.number(attribute), reverse=True)
    b = Builder()
    noun = rng.choice(attribute.words)
    if rng.random() < 0.55:
        x, y = large.text(rng), small.text(rng)
        more = adjective(c, attribute, up=True, superlative=False)
        options = [f"what is the ratio of the {noun} of {x} to {'that' if rng.random() < 0.5 else f'the {noun}'} of {y}",
                   f"how many times the {noun} of {y} is the {noun} of {x}", f"how many times greater is {x}'s {noun} than {y}'s"]
        if more:
            options += [f"how many times {more} is {x} than {y}"] * 3
        if attribute.how:
            options += [f"how many times as {attribute.how} as {y} is {x}"]
        question = c.pick(*options, held=(f"how often does the {noun} of {y} fit into the {noun} of {x}", f"the {noun} of {x} is how many times that of {y}"))
        first, second = (large, small) if question.find(x) < question.find(y) else (small, large)
        i, j = b.look(attribute.noun, first.name), b.look(attribute.noun, second.name)
        top, bottom = (i, j) if first is large else (j, i)
        r = b.calculate(top, " / ", bottom)
        b.answer(r)
        return Draft(f"{question}?", b, things, shown(large.number(attribute) / small.number(attribute)))
    part, whole = things
    x, y = part.text(rng), whole.text(rng)
    question = c.pick(f"what percentage of the {noun} of {y} is the {noun} of {x}", f"what percent of {y}'s {noun} is {x}'s {noun}",
                      f"what is the {noun} of {x} as a percentage of the {noun} of {y}", f"express {x}'s {noun} as a percentage of {y}'s",
                      held=(f"if the {noun} of {y} is 100%, how many percent is the {noun} of {x}",))
    first, second = (part, whole) if question.find(x) < question.find(y) else (whole, part)
    i, j = b.look(attribute.noun, first.name), b.look(attribute.noun, second.name)
    top, bottom = (i, j) if first is part else (j, i)
    r = b.calculate("100 * ", top, " / ", bottom)
    b.answer(r, "%")
    return Draft(f"{question}?", b, things, f"{shown(100 * part.number(attribute) / whole.number(attribute))}%")


def total(c: Choice, w: World, rank: bool) -> Draft:
    """Sum or average: "What is the combined height of K2 and Mont Blanc?"."""
    rng = c.rng
    attribute, things = w.comparable(rng, rng.choices((2, 3, 4), (4, 4, 2))[0])
    noun = rng.choice(attribute.words)
    names = listed([t.text(rng) for t in things])
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    terms: list[str | Ref] = []
    for ref in refs:
        terms += [" + ", ref] if terms else [ref]
    value = sum(t.number(attribute) for t in things)
    if rng.random() < 0.6:
        question = c.pick(f"what is the {rng.choice(('combined', 'total', 'summed', 'joint', 'overall'))} {noun} of {names}",
                          f"what is the sum of the {plural(noun)} of {names}", f"how much do the {plural(noun)} of {names} add up to",
                          f"add up the {plural(noun)} of {names}", f"what {noun} do {names} have together", f"what is the {noun} of {names} combined",
                          *([f"how {attribute.how} are {names} together", f"how {attribute.how} are {names} combined"] if attribute.how else []),
                          *([f"how many people live in {names} combined", f"how many people live in {names} together"] if attribute is POPULATION else []),
                          held=(f"if you put {names} together, what {noun} do you get", f"taken together, what is the {noun} of {names}"))
        d = b.calculate(*terms)
    else:
        question = c.pick(f"what is the {rng.choice(('average', 'mean'))} {noun} of {names}", f"what's the average of the {plural(noun)} of {names}",
                          f"on average, how {attribute.how} are {names}" if attribute.how else f"on average, what {noun} do {names} have",
                          f"compute the {rng.choice(('average', 'mean'))} {noun} of {names}", held=(f"averaged over {names}, what is the {noun}",))
        d = b.calculate("(", *terms, f") / {len(things)}")
        value /= len(things)
    b.answer(Amount(d, Ref(0)))
    return Draft(f"{question}?", b, things, shown(value, things[0].unit(attribute)))


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
    options = [f"{tail}, {either}", f"{tail}: {either}", f"of {both}, {tail}", f"{tail}: {both}", f"out of {both}, {tail}", f"between {both}, {tail}", f"among {both}, {tail}"]
    if word:
        the = "the " if len(things) > 2 else ""
        options += [f"which is {the}{word}, {either}", f"which is {the}{word}: {either}", f"which {kind} is {the}{word}, {either}",
                    f"what is {the}{word}, {either}", f"is {texts[0]} or {texts[1]} {word}" if len(things) == 2 else f"which of {both} is the {word}",
                    f"which of {both} is {the or 'the '}{word}"]
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
        question = c.pick(f"{rng.choice(('rank', 'sort', 'order', 'arrange', 'put'))} {both} {'in order ' if rng.random() < 0.2 else ''}from {first} to {last}",
                          f"{rng.choice(('rank', 'sort', 'order', 'list'))} {both} by {noun}, {first} first",
                          f"{rng.choice(('rank', 'sort', 'order', 'list'))} {both} by {rng.choice(('descending', 'decreasing') if up else ('ascending', 'increasing'))} {noun}",
                          held=(f"starting with the {first}, list {both}",))
        b.answer(order)
        return Draft(f"{question}.", b, things, ", ".join(ordered))
    place = 1 if len(things) == 3 else rng.choice((1, 1, 2))
    ordinal = ("second", "third")[place - 1] if rng.random() < 0.8 else ("2nd", "3rd")[place - 1]
    word = most if up else least
    question = c.pick(f"which of {both} is the {ordinal} {word}", f"which {kind} is the {ordinal} {word}: {both}", f"what is the {ordinal} {word} of {both}",
                      f"of {both}, which is the {ordinal} {word}", f"among {both}, which one is the {ordinal} {word}",
                      held=(f"if {both} were lined up by {noun}, {word} first, which would be {ordinal}",))
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
    options = [f"is the {noun} of {x} {greater} than the {noun} of {y}", f"does {x} have a {greater} {noun} than {y}", f"is {x}'s {noun} {greater} than {y}'s"]
    if more:
        options += [f"is {x} {more} than {y}"] * 4 + [f"is it true that {x} is {more} than {y}"]
    if attribute is POPULATION:
        options += [f"does {x} have {'more' if up else 'fewer'} {rng.choice(('people', 'inhabitants'))} than {y}", f"do {'more' if up else 'fewer'} people live in {x} than in {y}"]
    question = c.pick(*options, held=(f"would you say that {x} is {more} than {y}" if more else f"would you say that {x}'s {noun} is {greater} than {y}'s",
                                      f"true or not: {x} has {'more' if up else 'less'} {noun} than {y}"))
    b = Builder()
    i, j = b.look(attribute.noun, first.name), b.look(attribute.noun, second.name)
    b.yes_no(i, ">" if up else "<", j)
    holds = first.number(attribute) > second.number(attribute) if up else first.number(attribute) < second.number(attribute)
    return Draft(f"{question}?", b, [first, second], "yes" if holds else "no")


def threshold(rng: random.Random, value: float) -> str:
    """A round number in the neighbourhood of `value`, never equal to it."""
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
    over = rng.choice(("more than", "over", "above", "greater than") if up else ("less than", "under", "below"))
    options = [f"is the {noun} of {x} {over} {number}{unit}", f"does {x} have a {noun} of {over} {number}{unit}", f"is {x}'s {noun} {over} {number}{unit}"]
    if more:
        options += [f"is {x} {more} than {number}{unit}"] * 3
    if attribute.how and attribute.how not in ("populous", "massive"):
        options += [f"is {x} {over.replace('greater', 'more')} {number}{unit} {attribute.how}"]
    if attribute is POPULATION:
        options += [f"do {over.replace('above', 'over').replace('greater', 'more')} {number} people live in {x}"]
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
    question = c.pick(f"is the {rng.choice(('combined', 'total'))} {noun} of {x} and {y} {greater} than {'that' if rng.random() < 0.5 else f'the {noun}'} of {z}",
                      f"are {x} and {y} together {more} than {z}" if more else f"do {x} and {y} together have a {greater} {noun} than {z}",
                      f"is the sum of the {plural(noun)} of {x} and {y} {greater} than the {noun} of {z}",
                      held=(f"put together, are {x} and {y} {more} than {z}" if more else f"put together, do {x} and {y} have a {greater} {noun} than {z}",))
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
    over = rng.choice(("more than", "greater than", "larger than", "bigger than") if above else ("less than", "smaller than"))
    more = adjective(c, attribute, up=up, superlative=False)
    noun, noun2 = rng.choice(attribute.words), rng.choice(other.words)
    opening = f"how much {more} is {x} than {y}" if more else f"how much {'greater' if up else 'smaller'} is the {noun} of {x} than that of {y}"
    question = c.pick(f"{opening}, and is that {over} the {noun2} of {z}", f"{opening}, and is that {over} {z}'s {noun2}",
                      f"{opening}? Is that {over} the {noun2} of {z}", f"{opening}, and is the difference {over} the {noun2} of {z}",
                      held=(f"{opening}, and does this gap come to {over} the {noun2} of {z}",))
    b = Builder()
    i, j = b.look(attribute.noun, first.name), b.look(attribute.noun, second.name)
    k = b.look(other.noun, third.name)
    d = b.calculate(i, " - ", j) if up else b.calculate(j, " - ", i)
    value, bar = abs(first.number(attribute) - second.number(attribute)), third.number(other)
    if value == bar:
        raise LookupError("the difference equals the third")
    b.branch(d, ">" if above else "<", k, Block((), Answer((Amount(d, i), "; yes"))), Block((), Answer((Amount(d, i), "; no"))))
    return Draft(f"{question}?", b, [first, second, third], f"{shown(value, first.unit(attribute))}; {'yes' if (value > bar) == above else 'no'}")


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
    question = c.pick(f"{tail}, {either}, and by how much", f"{tail}, {either}, and what is the difference", f"{tail}: {either}? By how much",
                      f"{tail}, {either}, and how big is the difference", held=(f"{tail}, {either}? And how large is the gap",))
    b = Builder()
    i, j = (b.look(attribute.noun, t.name) for t in things)
    d = b.calculate("abs(", i, " - ", j, ")")
    names = [t.name for t in things]
    if rank:
        order = b.rank(names, [i, j], descending=up)
        b.answer(Item(order.step, 0), "; ", Amount(d, i))
    else:
        b.branch(i, ">" if up else "<", j, Block((), Answer((f"{names[0]}; ", Amount(d, i)))), Block((), Answer((f"{names[1]}; ", Amount(d, i)))))
    values = [t.number(attribute) for t in things]
    return Draft(f"{question}?", b, things, f"{by_value(things, values, up=up)[0]}; {shown(abs(values[0] - values[1]), things[0].unit(attribute))}")


def hop(c: Choice, w: World, rank: bool) -> Draft:
    """Two hops: "What is the population of the capital of Peru?"."""
    rng = c.rng
    (chain,) = w.chained(rng, 1)
    x = chain.thing.text(rng)
    link, noun = rng.choice(chain.link.words), rng.choice(chain.attribute.words)
    target = rng.choice((f"the {link} of {x}", f"{x}'s {link}"))
    options = [f"what is the {noun} of {target}", f"what's the {noun} of {target}", f"give me the {noun} of {target}"]
    if chain.attribute.how:
        options += [f"how {chain.attribute.how} is {target}"] * 2
    if chain.attribute is POPULATION:
        options += [f"how many people live in {target}", f"how many inhabitants does {target} have"]
    question = c.pick(*options, held=(f"take {target}: what is its {noun}",))
    b = Builder()
    found = b.look(chain.link.noun, chain.thing.name)
    ref = b.look(chain.attribute.noun, found)
    b.answer(Amount(ref, ref))
    return Draft(f"{question}?", b, [chain.thing], shown(chain.target.number(chain.attribute), chain.target.unit(chain.attribute)))


def hop_compare(c: Choice, w: World, rank: bool) -> Draft:
    """Two hops, twice: "Which country's capital has more people, Peru or Chile?"."""
    rng = c.rng
    chains = w.chained(rng, 2)
    attribute = chains[0].attribute
    up = rng.random() < 0.65
    either = listed([chain.thing.text(rng) for chain in chains], last="or")
    both = listed([chain.thing.text(rng) for chain in chains])
    kind = chains[0].thing.kind
    link, noun = rng.choice(chains[0].link.words), rng.choice(attribute.words)
    more = adjective(c, attribute, up=up, superlative=False)
    great = rng.choice(("greater", "larger", "higher") if up else ("smaller", "lower"))
    options = [f"which {kind}'s {link} has the {great} {noun}, {either}", f"which has a {link} with a {great} {noun}, {either}", f"whose {link} has the {great} {noun}, {either}"]
    if more:
        options += [f"which {kind}'s {link} is {more}, {either}", f"whose {link} is {more}, {either}", f"which {kind} has the {more} {link}, {either}"]
    if attribute is POPULATION:
        options += [f"which {kind}'s {link} has {'more' if up else 'fewer'} people, {either}"]
    question = c.pick(*options, held=(f"between {both}, whose {link} has the {great} {noun}",))
    b = Builder()
    found = [b.look(chain.link.noun, chain.thing.name) for chain in chains]
    refs = [b.look(attribute.noun, ref) for ref in found]
    things = [chain.thing for chain in chains]
    pick_best(b, [t.name for t in things], refs, up=up, rank=rank)
    return Draft(f"{question}?", b, things, by_value(things, [chain.target.number(attribute) for chain in chains], up=up)[0])


def conditional(c: Choice, w: World, rank: bool) -> Draft:
    """A look-up that depends: "If A is taller than B, what is the depth of C, otherwise the length of D?"."""
    rng = c.rng
    attribute, (first, second) = w.comparable(rng, 2)
    (left, third), (right, fourth) = w.measured(rng, 2)
    up = rng.random() < 0.65
    x, y, z, u = (t.text(rng) for t in (first, second, third, fourth))
    more = adjective(c, attribute, up=up, superlative=False)
    noun, then, other = rng.choice(attribute.words), rng.choice(left.words), rng.choice(right.words)
    holds = f"{x} is {more} than {y}" if more else f"the {noun} of {x} is {'greater' if up else 'smaller'} than that of {y}"
    question = c.pick(f"if {holds}, {rng.choice(('give me', 'tell me', 'find'))} the {then} of {z}, otherwise the {other} of {u}.",
                      f"if {holds}, what is the {then} of {z}? Otherwise, what is the {other} of {u}?",
                      f"give me the {then} of {z} if {holds}, {rng.choice(('else', 'otherwise'))} the {other} of {u}.",
                      f"what is the {then} of {z} if {holds}, and the {other} of {u} otherwise?",
                      held=(f"in case {holds}, I want the {then} of {z}; if not, the {other} of {u}.",))
    b = Builder()
    swapped = question.find(z) < question.find(x)
    i, j = b.look(attribute.noun, first.name), b.look(attribute.noun, second.name)
    del swapped
    p = b.look(left.noun, third.name)
    q = b.look(right.noun, fourth.name)
    b.branch(i, ">" if up else "<", j, Block((p.step,), Answer((Amount(p, p),))), Block((q.step,), Answer((Amount(q, q),))))
    true = (first.number(attribute) > second.number(attribute)) == up
    answer = shown(third.number(left), third.unit(left)) if true else shown(fourth.number(right), fourth.unit(right))
    return Draft(question, b, [first, second, third, fourth], answer)


def density(c: Choice, w: World, rank: bool) -> Draft:
    """People per area: "How many people per square kilometre live in Peru?"."""
    rng = c.rng
    (thing,) = w.having(rng, (POPULATION.noun, AREA.noun), 1)
    x = thing.text(rng)
    question = c.pick(f"what is the population density of {x}", f"how many people live per square kilometre in {x}", f"how many people per square kilometer live in {x}",
                      f"how densely populated is {x}", f"what is {x}'s population density", held=(f"how many people share one square kilometre of {x}",))
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
    question = c.pick(f"how many hours would {x} at {rng.choice(('top speed', 'full speed', 'its top speed'))} need for the length of {y}",
                      f"how long would it take {x} at top speed to travel the length of {y}", f"at its top speed, how many hours does {x} need to cover the length of {y}",
                      f"how many hours does {x} take to run the length of {y}", held=(f"moving flat out, in how many hours could {x} follow the whole of {y}",))
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
    attribute, (thing,) = w.comparable(rng, 1)
    x, noun = thing.text(rng), rng.choice(attribute.words)
    of = rng.choice((f"the {noun} of {x}", f"{x}'s {noun}"))
    b = Builder()
    i = b.look(attribute.noun, thing.name)
    value = thing.number(attribute)
    pick = rng.random()
    if pick < 0.45:
        p = str(rng.randint(1, 99))
        question, d, value = c.pick(f"what is {p}% of {of}", f"how much is {p} percent of {of}", f"calculate {p}% of {of}", held=(f"work out {p}% of {of}",)), b.calculate(i, f" * {p} / 100"), value * int(p) / 100
    elif pick < 0.75:
        k = str(rng.randint(2, 20))
        question, d, value = c.pick(f"what is {k} times {of}", f"multiply {of} by {k}", f"how much is {of} times {k}", held=(f"what would {k} times {of} be",)), b.calculate(i, f" * {k}"), value * int(k)
    else:
        word, size = rng.choice((("half", 2), ("a third", 3), ("a quarter", 4), ("one fifth", 5), ("a tenth", 10)))
        question, d, value = c.pick(f"what is {word} of {of}", f"how much is {word} of {of}", held=(f"work out {word} of {of}",)), b.calculate(i, " * 0.5" if size == 2 else f" / {size}"), value / size
    b.answer(Amount(d, i))
    return Draft(f"{question}?", b, [thing], shown(value, thing.unit(attribute)))


def arithmetic(c: Choice, w: World, rank: bool) -> Draft:
    """No look-up at all: "What is 12 * (3 + 4)?"."""
    rng = c.rng
    x, y, z = (rng.randint(2, 999) for _ in range(3))
    text, value = rng.choice(((f"{x} + {y}", x + y), (f"{x} * {y}", x * y), (f"{x} - {y}", x - y), (f"{x} / {y}", x / y),
                              (f"({x} + {y}) * {z}", (x + y) * z), (f"{x} + {y} * {z}", x + y * z), (f"{x} * {y} - {z}", x * y - z)))
    question = c.pick(f"what is {text}", f"calculate {text}", f"compute {text}", f"how much is {text}", held=(f"work out {text}",))
    b = Builder()
    b.answer(b.calculate(text))
    return Draft(f"{question}?", b, [], shown(value))
