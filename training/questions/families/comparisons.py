"""Questions that compare: which one, in what order, yes or no, and by how much."""

from __future__ import annotations

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
from braid.training.questions.program import Amount, Answer, Block, Builder, Item
from braid.training.questions.template import Choice, plural
from braid.training.questions.templates import POPULATION
from braid.training.questions.units import number_near, unit_words
from braid.training.questions.world import World


def superlative(c: Choice, w: World, rank: bool) -> Draft:
    """The extreme of several: "Which is taller, K2 or Mont Blanc?"."""
    rng = c.rng
    attribute, things = w.comparable(rng, counted(rng, rank, (6, 5, 3, 2)))
    up = rng.random() < 0.6
    kind = things[0].kind
    texts = [t.text(rng) for t in things]
    either, both = c.listed(texts, last="or"), c.listed(texts)
    word = adjective(c, attribute, up=up, superlative=len(things) > 2)
    tail = which_tail(c, attribute, kind, len(things), up=up)
    the = "the " if len(things) > 2 else rng.choice(("", "the "))
    patterns = [
        "{t}, {y}",
        "{t}: {y}",
        "[of|out of|between|among|comparing] {x}, {t}",
        "{t}: {x}",
        "{y}: {t}",
        "{x}: {t}",
        "{t} [out of|of|among] {x}",
        "[take|consider|compare|look at|given] {x}[.|:] {t}",
        "[I have|here are|there are] {x}[.|:] {t}",
        "[which|what] of these has the {gr} {n}: {y}",
        "[of|among] {x}, [name|tell me|find] the one with the {gr} {n}",
        "the one with the {gr} {n}: {y}",
        "who or what has the {gr} {n}, {y}"
        if kind in ("animal", "bird")
        else "[where|for which] is the {n} {gr}: {y}",
        "[I can't decide between|I'm comparing|I want to compare] {x}[.|:|, so] {t}",
    ]
    if word:
        patterns += [
            "[which|what] is {the}{w}, {y}",
            "[which|what] is {the}{w}: {y}",
            "[which|what] {k} is {the}{w}, {y}",
            "which of {x} is the {w}",
            "which of {x} is {the}{w}",
            "[tell me|name|give me|find|pick|say|show me|identify] the {w} [of|among|out of] {x}",
            "the {w} [of|among] {x}[ is|]",
            "{y}, [which|what] is {the}{w}",
            "who is {the}{w}, {y}" if kind in ("animal", "bird") else "what's {the}{w}, {y}",
            "[which|what] [would|do] you [say|think] is {the}{w}, {y}",
        ]
        if len(things) == 2:
            patterns += [f"is {texts[0]} or {texts[1]} {{w}}", f"{texts[0]} or {texts[1]}, {{w}}"] * 2
    question = c.frame(
        *patterns,
        held=(
            "[considering|concerning|regarding] {x}, {t}",
            "[I wonder about|my question is about] {x}: {t}",
            "{t} if you [put|set] {x} side by side",
            "from the following, {t}: {y}",
            f"{{y}} - [who wins|which one takes it] when it comes to being the {word}"
            if word
            else "{x} - {t}",
            f"which one deserves to be called the {word}, {{y}}" if word else "seen from {x}, {t}",
        ),
        t=tail,
        x=both,
        y=either,
        w=word,
        the=the,
        k=kind,
        n=rng.choice(attribute.words),
        gr=rng.choice(
            (("greatest", "largest", "highest", "biggest") if up else ("smallest", "lowest", "least"))
            if len(things) > 2 or rng.random() < 0.4
            else (("greater", "larger", "higher", "bigger") if up else ("smaller", "lower"))
        ),
    )
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
    both = c.listed([t.text(rng) for t in things])
    noun = rng.choice(attribute.words)
    most = adjective(c, attribute, up=True, superlative=True) or f"greatest {noun}"
    least = adjective(c, attribute, up=False, superlative=True) or f"smallest {noun}"
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    ordered = by_value(things, [t.number(attribute) for t in things], up=up)
    order = b.rank([t.name for t in things], refs, descending=up)
    if rng.random() < 0.5:
        first, last = (most, least) if up else (least, most)
        question = c.frame(
            f"{rng.choice(('rank', 'sort', 'order', 'arrange', 'put'))} {both} {'in order ' if rng.random() < 0.2 else ''}from {first} to {last}",
            f"{rng.choice(('rank', 'sort', 'order', 'list'))} {both} by {noun}, {first} first",
            f"{rng.choice(('rank', 'sort', 'order', 'list'))} {both} by {rng.choice(('descending', 'decreasing') if up else ('ascending', 'increasing'))} {noun}",
            f"[rank|sort|order] {both} [from|starting with] the {first}",
            f"[rank|sort|order] {both} [according to|in terms of|based on] {noun}, {first} first",
            f"[list|give me|show me|write down] {both} in [descending|decreasing|falling] order of {noun}"
            if up
            else f"[list|give me|show me] {both} in [ascending|increasing|rising] order of {noun}",
            f"what is the order of {both} from {first} to {last}",
            f"[can you|could you|please] [rank|sort|order] {both}, {first} first",
            f"{both}: [rank|sort|order] them from {first} to {last}",
            held=(
                f"starting with the {first}, [list|write out] {both}",
                f"[line up|bring into order] {both} by {noun} with the {first} at the front",
            ),
        )
        b.answer(order)
        return Draft(f"{question}.", b, things, ", ".join(ordered))
    place = 1 if len(things) == 3 else rng.choice((1, 1, 2))
    ordinal = ("second", "third")[place - 1] if rng.random() < 0.8 else ("2nd", "3rd")[place - 1]
    word = most if up else least
    question = c.frame(
        f"[name|tell me|give me|find] the {ordinal} {word} [of|among] {both}",
        f"{both}: which [one|] is the {ordinal} {word}",
        f"which [one|] comes {ordinal} [by {noun}|in {noun}] [of|among] {both}, {word} first",
        f"who is {ordinal} if {both} are [ranked|sorted] by {noun}, {word} first",
        f"which of {both} is the {ordinal} {word}",
        f"which {kind} is the {ordinal} {word}: {both}",
        f"what is the {ordinal} {word} of {both}",
        f"of {both}, which is the {ordinal} {word}",
        f"among {both}, which one is the {ordinal} {word}",
        held=(
            f"if {both} were lined up by {noun}, {word} first, which would be {ordinal}",
            f"leaving out the {word} one{' and the next' if place == 2 else ''}, which is the {word} of {both}",
        ),
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
    patterns = [
        "is the {n} of {x} {g} than [the {n}|that] of {y}",
        "does {x} have a {g} {n} than {y}",
        "is {x}'s {n} {g} than {y}'s",
        "[does|would] {x} [beat|surpass|exceed|outdo|top] {y} in {n}"
        if up
        else "does {x} [fall behind|trail|come after] {y} in {n}",
        "[check|tell me|find out] [if|whether] {x} has a {g} {n} than {y}",
        "{x} has a {g} {n} than {y}, [right|true or false|is that so|yes or no]",
    ]
    if more:
        patterns += ["is {x} {m} than {y}"] * 4 + [
            "[is it true|is it correct|is it a fact|do you think|am I right|can one say] that {x} is {m} than {y}",
            "[check|tell me|find out|verify|say] [if|whether] {x} is {m} than {y}",
            "{x} is {m} than {y}, [right|true or false|isn't it|is that so|yes or no|correct]",
            "{x}: [is it|would it be] {m} than {y}",
            "[compared to|compared with|next to] {y}, is {x} {m}",
            "[take|consider|think of] {x} and {y}. Is the [former|first|first one] {m} than the [latter|second|second one|other]",
            "is {x} [really|actually|in fact|indeed] {m} than {y}",
        ]
    if attribute is POPULATION:
        patterns += [
            "does {x} have {f} [people|inhabitants|residents] than {y}",
            "do {f} people live in {x} than in {y}",
            "are there {f} [people|inhabitants] in {x} than in {y}",
        ]
    question = c.frame(
        *patterns,
        held=(
            f"would you say that {{x}} is {more} than {{y}}"
            if more
            else "would you say that {x}'s {n} is {g} than {y}'s",
            "true or not: {x} has {s} {n} than {y}",
            f"{{x}} or {{y}}: is the former the {more} one"
            if more
            else "{x} or {y}: has the former the {g} {n}",
            f"[could|can|might] it be that {{x}} is {more} than {{y}}"
            if more
            else "could it be that {x} has the {g} {n}, not {y}",
            f"{{x}} {more} than {{y}}, yes or no" if more else "is it {x} that has the {g} {n}, and not {y}",
        ),
        n=noun,
        x=x,
        y=y,
        g=greater,
        m=more,
        f="more" if up else "fewer",
        s="more" if up else "less",
    )
    b = Builder()
    if question.find(y) < question.find(x):
        j, i = b.look(attribute.noun, second.name), b.look(attribute.noun, first.name)
    else:
        i, j = b.look(attribute.noun, first.name), b.look(attribute.noun, second.name)
    b.yes_no(i, ">" if up else "<", j)
    holds = (
        first.number(attribute) > second.number(attribute)
        if up
        else first.number(attribute) < second.number(attribute)
    )
    return Draft(f"{question}?", b, [first, second], "yes" if holds else "no")


def limit(c: Choice, w: World, rank: bool) -> Draft:
    """Yes or no against a number: "Is the Nile longer than 6000 km?"."""
    rng = c.rng
    attribute, (thing,) = w.comparable(rng, 1)
    up = rng.random() < 0.6
    x = thing.text(rng)
    noun = rng.choice(attribute.words)
    if attribute.dated:
        raise LookupError("years have no amount")
    shown_number, number, bar = number_near(rng, thing.number(attribute))
    unit = unit_words(rng, thing.unit(attribute)) if rng.random() < 0.85 else ""
    more = adjective(c, attribute, up=up, superlative=False)
    over = rng.choice(
        ("more than", "over", "above", "greater than", "in excess of", "beyond")
        if up
        else ("less than", "under", "below", "smaller than", "short of")
    )
    patterns = [
        "is the {n} of {x} {o} {v}",
        "does {x} have a {n} of {o} {v}",
        "is {x}'s {n} {o} {v}",
        "[is it true|is it correct|would you say|can I say] that the {n} of {x} is {o} {v}",
        "[does|would] the {n} of {x} [exceed|surpass|top|go beyond] {v}"
        if up
        else "does the {n} of {x} [stay below|fall below|stay under] {v}",
        "[check|tell me|find out|verify] [if|whether] {x}'s {n} is {o} {v}",
        "{x} has a {n} of {o} {v}, [right|true or false|is that so|yes or no]",
        "is {v} [less|smaller] than the {n} of {x}" if up else "is {v} [more|greater] than the {n} of {x}",
    ]
    if more:
        patterns += [f"is {{x}} {more} than {{v}}"] * 3 + [
            f"[is it true|do you think] that {{x}} is {more} than {{v}}"
        ]
    if attribute.how and attribute.how not in ("populous", "massive"):
        patterns += [f"is {{x}} {over.replace('greater', 'more')} {{v}} {attribute.how}"]
    if attribute is POPULATION:
        amount = over.replace("above", "over").replace("greater", "more").replace("smaller", "fewer")
        shown_people = shown_number
        patterns += [
            f"do {amount} {shown_people} people live in {{x}}",
            f"does {{x}} have {amount} {shown_people} [people|inhabitants|residents]",
            f"are there {amount} {shown_people} people in {{x}}",
        ]
    question = c.frame(
        *patterns,
        held=(
            f"does {{x}} go {'beyond' if up else 'below'} {{v}} in {{n}}",
            f"{{v}}: [is|would] the {{n}} of {{x}} [be|] {'past' if up else 'short of'} that",
            f"with its {{n}}, does {{x}} [get|come] {'past' if up else 'in under'} {{v}}",
        ),
        n=noun,
        x=x,
        o=over,
        v=shown_number + unit,
    )
    b = Builder()
    b.yes_no(b.look(attribute.noun, thing.name), ">" if up else "<", number)
    holds = thing.number(attribute) > bar if up else thing.number(attribute) < bar
    return Draft(f"{question}?", b, [thing], "yes" if holds else "no")


def sum_compare(c: Choice, w: World, rank: bool) -> Draft:
    """Yes or no about a sum: "Are A and B together longer than C?"."""
    rng = c.rng
    attribute, (first, second, third) = scalable(w, rng, 3)
    x, y, z = first.text(rng), second.text(rng), third.text(rng)
    noun = rng.choice(attribute.words)
    up = rng.random() < 0.7
    more = adjective(c, attribute, up=up, superlative=False)
    greater = rng.choice(("greater", "larger", "more") if up else ("smaller", "less"))
    question = c.frame(
        f"is the {rng.choice(('combined', 'total'))} {noun} of {x} and {y} {greater} than {'that' if rng.random() < 0.5 else f'the {noun}'} of {z}",
        f"are {x} and {y} together {more} than {z}"
        if more
        else f"do {x} and {y} together have a {greater} {noun} than {z}",
        f"is the sum of the {plural(noun)} of {x} and {y} {greater} than the {noun} of {z}",
        f"[do|would] {x} and {y} [together|combined|taken together] [exceed|surpass|outdo] {z} in {noun}"
        if up
        else f"do {x} and {y} combined have less {noun} than {z}",
        f"if you [add|add up|combine] the {plural(noun)} of {x} and {y}, do you get {'more' if up else 'less'} than the {noun} of {z}",
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


_MULTIPLES = (
    (2, "twice"), (2, "two times"), (2, "double"), (3, "three times"), (3, "3 times"), (4, "four times"),
    (5, "five times"), (10, "ten times"), (10, "10 times"), (1.5, "1.5 times"), (2.5, "2.5 times"),
    (0.5, "half"), (0.5, "half"),
)  # fmt: skip


def multiple(c: Choice, w: World, rank: bool) -> Draft:
    """Yes or no about a multiple: "Is K2 more than twice as tall as Mont Blanc?"."""
    rng = c.rng
    attribute, things = scalable(w, rng, 2)
    first, second = things
    x, y, noun = first.text(rng), second.text(rng), rng.choice(attribute.words)
    up = rng.random() < 0.7
    factor, told = rng.choice(_MULTIPLES)
    if second.number(attribute) * factor == first.number(attribute):
        raise LookupError("the one is exactly that multiple of the other")
    patterns = [
        "is the {n} of {x} {o} {t} [that|the {n}] of {y}",
        "is {x}'s {n} {o} {t} [{y}'s|that of {y}|the {n} of {y}]",
        "does {x} have {o} {t} the {n} of {y}",
        "[is it true|would you say] that {x} has {o} {t} the {n} of {y}",
    ]
    if attribute.how and told != "double":
        patterns += [f"is {{x}} {{o}} {{t}} as {attribute.how} as {{y}}"] * 4 + [
            f"[is it true|do you think|can one say] that {{x}} is {{o}} {{t}} as {attribute.how} as {{y}}",
            f"{{x}} is {{o}} {{t}} as {attribute.how} as {{y}}, [right|true or false|isn't it|yes or no]",
        ]
    if attribute is POPULATION:
        patterns += [
            "do {o} {t} as many people live in {x} as in {y}",
            "does {x} have {o} {t} as many people as {y}",
        ]
    question = c.frame(
        *patterns,
        held=("with its {n}, does {x} come to {o} {t} that of {y}",),
        x=x,
        y=y,
        n=noun,
        t=told,
        o=rng.choice(
            ("more than", "more than", "over", "at least")
            if up
            else ("less than", "less than", "under", "not even")
        ),
    )
    b = Builder()
    i, j = b.look(attribute.noun, first.name), b.look(attribute.noun, second.name)
    b.yes_no(i, ">" if up else "<", b.calculate(j, f" * {factor}"))
    above = first.number(attribute) > second.number(attribute) * factor
    return Draft(f"{question}?", b, things, "yes" if above == up else "no")


def gap_and_limit(c: Choice, w: World, rank: bool) -> Draft:
    """A difference and its size: "How much taller is A than B, and is that more than the depth of C?"."""
    rng = c.rng
    attribute, things = scalable(w, rng, 2)
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
    question = c.frame(
        f"{opening}? [And is that|Is this|Is it|Would that be] {over} the {noun2} of {z}",
        f"{opening}, and is it {over} {z}'s {noun2}",
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
    either = c.listed([t.text(rng) for t in things], last="or")
    tail = which_tail(c, attribute, things[0].kind, 2, up=up)
    more = adjective(c, attribute, up=up, superlative=False)
    tail = f"which is {more}" if more and rng.random() < 0.4 else tail
    if attribute is POPULATION and rng.random() < 0.4:
        tail = f"which has {'more' if up else 'fewer'} people"
    question = c.frame(
        f"{tail}, {either}[, and|? And] [by how much|how big is the gap|what's the difference|how large is the difference]",
        f"{either}: {tail}[, and|? And] [by how much|how big is the gap|what is the difference]",
        f"[find out|tell me|say] {tail}, {either}, and by how much",
        f"{tail}, {either}, and by how much",
        f"{tail}, {either}, and what is the difference",
        f"{tail}: {either}? By how much",
        f"{tail}, {either}, and how big is the difference",
        f"{tail}, {either}, and how much {more or rng.choice(('more', 'larger', 'greater'))}"
        if up or more
        else f"{tail}, {either}, and by how much",
        f"[of|between] {either.replace(' or ', ' and ')}, {tail}[,|] and [by how much|how much {more or 'more'}]"
        if " or " not in things[0].name + things[1].name
        else f"{tail}, {either}, and by how much",
        held=(
            f"{tail}, {either}? And [what margin is there|with what lead]",
            f"{either} - {tail}, plus the margin please",
        ),
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
