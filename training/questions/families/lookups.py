"""Questions whose answer is a fact: one, several, in two hops, or one that depends on another."""

from __future__ import annotations

from braid.training.questions.families.common import Draft, adjective, by_value, pick_best, shown
from braid.training.questions.program import Amount, Answer, Block, Builder, Part, Ref
from braid.training.questions.quantities import has_unit, shown_part
from braid.training.questions.template import Choice, plural
from braid.training.questions.templates import POPULATION
from braid.training.questions.world import World


def single(c: Choice, w: World, rank: bool) -> Draft:
    """One fact: "How tall is K2?"."""
    attribute, (thing,) = w.comparable(c.rng, 1)
    text = thing.text(c.rng)
    noun = c.rng.choice(attribute.words)
    if attribute.asks and c.rng.random() < 0.6:
        question = c.frame(*attribute.asks, held=attribute.held_asks, x=text)
    else:
        question = c.frame(
            "[what is|what's|what was] the {n} of {x}",
            "[what is|what's] {x}'s {n}",
            "[give me|tell me|find|find me|show me|look up|get me|fetch|state|report] [the {n} of {x}|{x}'s {n}]",
            "I [need|want|would like|am looking for] the {n} of {x}",
            "{n} of {x}",
            "{x} {n}",
            "{x}'s {n}",
            "[do you know|any idea of|who knows|can you find] the {n} of {x}",
            "what {n} does {x} have",
            "{x}: what is its {n}",
            "[please|can you|could you] [tell me|give me] {x}'s {n}",
            "[I want to know|I'd like to know|let me know|find out] what the {n} of {x} is",
            "[take|consider] {x}. What is its {n}",
            held=(
                "[find out|discover|ascertain] the {n} of {x} for me",
                "could you tell me [{x}'s {n}|about the {n} of {x}]",
                "the {n} of {x} is what I am after",
                "when it comes to {x}, what is the {n}",
                "as for {x}, I need its {n}",
            ),
            n=noun,
            x=text,
        )
    b = Builder()
    ref = b.look(attribute.noun, thing.name)
    b.answer(shown_part(has_unit(attribute), ref, ref))
    return Draft(
        f"{question}?",
        b,
        [thing],
        shown(thing.number(attribute), thing.unit(attribute) if has_unit(attribute) else ""),
    )


def single_name(c: Choice, w: World, rank: bool) -> Draft:
    """Facts that are names: "What are the capitals of Peru and Chile?"."""
    rng = c.rng
    attribute, things = w.named(rng, rng.choices((1, 2, 3), (5, 3, 1))[0])
    noun = rng.choice(attribute.words)
    names = c.listed([t.text(rng) for t in things])
    plurals = plural(noun)
    if len(things) == 1:
        question = c.frame(
            f"what is the {noun} of {names}",
            f"what's the {noun} of {names}",
            f"which is the {noun} of {names}",
            f"what is {names}'s {noun}",
            f"[name|tell me|give me|find|look up] [the {noun} of {names}|{names}'s {noun}]",
            f"{noun} of {names}",
            f"[do you know|who knows] the {noun} of {names}",
            f"what {noun} does {names} have",
            held=(f"can you tell me {names}'s {noun}",),
        )
    else:
        question = c.frame(
            f"what are the {plurals} of {names}",
            f"[name|give me|tell me|find|look up] the {plurals} of {names}",
            f"[give|tell me|state] the {noun} of {names}",
            f"{names}: what are their {plurals}",
            f"list the {plurals} of {names}",
            held=(f"I would like to know the {plurals} of {names}",),
        )
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
    names = c.listed([t.text(rng) for t in things])
    options = [
        f"what are the {plural(noun)} of {names}",
        f"what is the {noun} of {names}",
        f"give me the {plural(noun)} of {names}",
        f"list the {noun} of {names}",
        f"[tell me|find|look up|show me|get] the {plural(noun)} of {names}",
        f"{names}: what are their {plural(noun)}",
        f"what {plural(noun)} do {names} have",
        f"[look up|find|give me] the {noun} [of each of|for|for each of] {names}",
    ]
    if attribute.how:
        options += [f"how {attribute.how} are {names}"] * 2
    question = c.frame(
        *options,
        held=(f"go through {names} and note the {noun} of each", f"one by one, the {noun} of {names}"),
    )
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    parts: list[Part] = []
    for ref in refs:
        one = shown_part(has_unit(attribute), ref, ref)
        parts += [one] if not parts else ["; ", one]
    b.answer(*parts)
    units = [t.unit(attribute) if has_unit(attribute) else "" for t in things]
    return Draft(
        f"{question}?",
        b,
        things,
        "; ".join(shown(t.number(attribute), unit) for t, unit in zip(things, units, strict=True)),
    )


def hop(c: Choice, w: World, rank: bool) -> Draft:
    """Two hops: "What is the population of the capital of Peru?"."""
    rng = c.rng
    (chain,) = w.chained(rng, 1)
    x = chain.thing.text(rng)
    link, noun = rng.choice(chain.link.words), rng.choice(chain.attribute.words)
    target = rng.choice((f"the {link} of {x}", f"{x}'s {link}"))
    options = [
        f"what is the {noun} of {target}",
        f"what's the {noun} of {target}",
        f"[give me|tell me|find|look up|find out] [the {noun} of {target}|{target}'s {noun}]",
        f"what {noun} does {target} have",
        f"[find|take|look up|name] {target}. What is its {noun}",
        f"{target} has what {noun}",
        f"I [need|want] the {noun} of {target}",
        f"{noun} of {target}",
    ]
    if chain.attribute.asks:
        options += [p.replace("{x}", target) for p in chain.attribute.asks]
    if chain.attribute.how:
        options += [f"how {chain.attribute.how} is {target}"] * 2
    if chain.attribute is POPULATION:
        options += [f"how many people live in {target}", f"how many inhabitants does {target} have"]
    question = c.frame(
        *options,
        held=(
            f"take {target}: what is its {noun}",
            f"about {target}: I'd like to learn its {noun}",
            f"for {x}, first find the {link}, then its {noun}",
        ),
    )
    b = Builder()
    found = b.look(chain.link.noun, chain.thing.name)
    ref = b.look(chain.attribute.noun, found)
    b.answer(Amount(ref, ref))
    return Draft(
        f"{question}?",
        b,
        [chain.thing],
        shown(chain.target.number(chain.attribute), chain.target.unit(chain.attribute)),
    )


def hop_compare(c: Choice, w: World, rank: bool) -> Draft:
    """Two hops, twice: "Which country's capital has more people, Peru or Chile?"."""
    rng = c.rng
    chains = w.chained(rng, 2)
    attribute = chains[0].attribute
    up = rng.random() < 0.65
    either = c.listed([chain.thing.text(rng) for chain in chains], last="or")
    both = c.listed([chain.thing.text(rng) for chain in chains])
    kind = chains[0].thing.kind
    link, noun = rng.choice(chains[0].link.words), rng.choice(attribute.words)
    more = adjective(c, attribute, up=up, superlative=False)
    great = rng.choice(("greater", "larger", "higher") if up else ("smaller", "lower"))
    options = [
        f"which {kind}'s {link} has the {great} {noun}, {either}",
        f"which has a {link} with a {great} {noun}, {either}",
        f"whose {link} has the {great} {noun}, {either}",
        f"[compare|take] the {plural(link)} of {both}. Which {kind}'s has the {great} {noun}",
        f"[of|among|between] {both}, which [one|] has the {link} with the {great} {noun}",
        f"{either}: whose {link} has [a|the] {great} {noun}",
    ]
    if more:
        options += [
            f"which {kind}'s {link} is {more}, {either}",
            f"whose {link} is {more}, {either}",
            f"which {kind} has the {more} {link}, {either}",
        ]
    if attribute is POPULATION:
        options += [f"which {kind}'s {link} has {'more' if up else 'fewer'} people, {either}"]
    question = c.frame(
        *options,
        held=(
            f"between {both}, whose {link} has the {great} {noun}",
            f"looking at the {plural(link)} of {both}, which {kind} comes out {'ahead' if up else 'behind'} in {noun}",
        ),
    )
    b = Builder()
    found = [b.look(chain.link.noun, chain.thing.name) for chain in chains]
    refs = [b.look(attribute.noun, ref) for ref in found]
    things = [chain.thing for chain in chains]
    pick_best(b, [t.name for t in things], refs, up=up, rank=rank)
    return Draft(
        f"{question}?",
        b,
        things,
        by_value(things, [chain.target.number(attribute) for chain in chains], up=up)[0],
    )


def conditional(c: Choice, w: World, rank: bool) -> Draft:
    """A look-up that depends: "If A is taller than B, what is the depth of C, otherwise the length of D?"."""
    rng = c.rng
    attribute, (first, second) = w.comparable(rng, 2)
    (left, third), (right, fourth) = w.measured(rng, 2)
    up = rng.random() < 0.65
    x, y, z, u = (t.text(rng) for t in (first, second, third, fourth))
    more = adjective(c, attribute, up=up, superlative=False)
    noun, then, other = rng.choice(attribute.words), rng.choice(left.words), rng.choice(right.words)
    holds = (
        f"{x} is {more} than {y}"
        if more
        else f"the {noun} of {x} is {'greater' if up else 'smaller'} than that of {y}"
    )
    question = c.frame(
        f"if {holds}, {rng.choice(('give me', 'tell me', 'find'))} the {then} of {z}, otherwise the {other} of {u}.",
        f"if {holds}, what is the {then} of {z}? Otherwise, what is the {other} of {u}?",
        f"give me the {then} of {z} if {holds}, {rng.choice(('else', 'otherwise'))} the {other} of {u}.",
        f"what is the {then} of {z} if {holds}, and the {other} of {u} otherwise?",
        f"[check|see|find out] [whether|if] {holds}. If [so|yes], [give me|tell me] the {then} of {z}, [if not|otherwise], the {other} of {u}.",
        f"is it true that {holds}? If [so|yes], what is the {then} of {z}? If [not|no], what is the {other} of {u}?",
        f"[should|suppose] {holds}, then [I want|give me] the {then} of {z}, [else|otherwise] the {other} of {u}.".replace(
            "should ", "if "
        ),
        f"the {then} of {z} if {holds}, [else|otherwise] the {other} of {u}",
        held=(
            f"depending on whether {holds}, tell me the {then} of {z} or else the {other} of {u}.",
            f"in case {holds}, I want the {then} of {z}; if not, the {other} of {u}.",
        ),
    )
    b = Builder()
    i, j = b.look(attribute.noun, first.name), b.look(attribute.noun, second.name)
    p = b.look(left.noun, third.name)
    q = b.look(right.noun, fourth.name)
    b.branch(
        i,
        ">" if up else "<",
        j,
        Block((p.step,), Answer((Amount(p, p),))),
        Block((q.step,), Answer((Amount(q, q),))),
    )
    true = (first.number(attribute) > second.number(attribute)) == up
    answer = (
        shown(third.number(left), third.unit(left))
        if true
        else shown(fourth.number(right), fourth.unit(right))
    )
    return Draft(question, b, [first, second, third, fourth], answer)
