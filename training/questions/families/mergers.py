"""Questions about population densities, and about countries that merge."""

from __future__ import annotations

from braid.training.questions.families.combined import written
from braid.training.questions.families.common import Draft, by_value, pick_best, shown
from braid.training.questions.program import Builder, Ref
from braid.training.questions.quantities import density, shown_part, summed
from braid.training.questions.template import Choice
from braid.training.questions.templates import AREA, POPULATION, Attribute
from braid.training.questions.world import World


def best_derived(c: Choice, w: World, rank: bool) -> Draft:
    """The extreme of several by a computed value: population density, or the fact of something linked."""
    rng = c.rng
    count = rng.choices((2, 3, 4), (4, 4, 1))[0] if rank else 2
    quantities = [density(c, w, 1) for _ in range(count)]
    things = [q.things[0] for q in quantities]
    if len({t.name for t in things}) < count:
        raise LookupError("one thing was drawn twice")
    up = rng.random() < 0.65
    texts = [t.text(rng) for t in things]
    question = c.frame(
        "which [one|] [of|among] {x} [has|is the one with|shows] the {e} population density",
        "which is [the|] [{m}] densely populated, {y}",
        "which [country|place|of them|one] is the {m} densely populated: {y}",
        "which has [the {e}|a {h}] population density: {y}",
        "[of|among|between] {x}, which is the {m} densely populated",
        "[where do people live|where is it] the {m} crowded, in {y}",
        "[rank|compare] {x} by population density. Which is the {m} [crowded|densely populated|dense]",
        held=(
            "in which of {x} [do people live closest together|is it most crowded]"
            if up
            else "in which of {x} do people have most room",
        ),
        e=rng.choice(("highest", "greatest", "largest") if up else ("lowest", "smallest")),
        h="higher" if up else "lower",
        m="most" if up else "least",
        x=c.listed(texts),
        y=c.listed(texts, last="or"),
    )
    b = Builder()
    values, _ = written(b, quantities)
    pick_best(b, [t.name for t in things], values, up=up, rank=rank)
    return Draft(f"{question}?", b, things, by_value(things, [q.value for q in quantities], up=up)[0])


def merger(c: Choice, w: World, rank: bool) -> Draft:
    """Things that become one: "If A and B merged, what would be the largest population density?"."""
    rng = c.rng
    both = rng.random() < 0.6
    sizes = (2, 2) if both else (rng.choice((2, 2, 3)),)
    things = w.having(rng, (POPULATION.noun, AREA.noun), sum(sizes))
    groups = [things[: sizes[0]], *([things[sizes[0] :]] if both else [])]
    names = [c.listed([t.text(rng) for t in group]) for group in groups]
    kind = things[0].kind
    one = rng.choice((f"one {kind}", f"a single {kind}", "one", "a single country", f"a new {kind}"))
    merge = rng.choice(
        (
            "merged",
            "were to merge",
            "united",
            "joined together",
            "were combined",
            "merge",
            f"became {one}",
            f"were to become {one}",
            f"merged into {one}",
            f"were to merge and become {one}",
            "were merged",
            f"formed {one}",
            "fused",
        )
    )
    second = (
        c.fill(
            "[, as well as {y}|, and {y} did too|, and so did {y}|, and {y} {m}|, and {y} too|, as did {y}]",
            y=names[-1],
            m=merge,
        )
        if both
        else ""
    )
    opener = rng.choice(
        ("if", "if", "if", "suppose", "assuming", "supposing", "imagine", "say", "in case", "were it that")
    )
    measure = rng.choice(("density", "density", "population", "area"))
    up = rng.random() < 0.6
    extreme_word = rng.choice(
        ("largest", "highest", "greatest", "biggest", "larger", "higher")
        if up
        else ("smallest", "lowest", "smaller", "lower")
    )
    noun = {
        "density": "population density",
        "population": rng.choice(POPULATION.words),
        "area": rng.choice(AREA.words),
    }[measure]
    if both:
        tail = c.frame(
            "what would be the {e} {n} [among|of|between] [these|the|those] [2|two] new [states|countries|places|{ks}]",
            "what [is|would be] the {e} {n} [of the two|of the two new ones|among them|then]",
            "what would the {e} {n} [of the two|among the two|be]",
            "[give me|find|compute] the {e} {n} of the two [new ones|results|mergers]",
            held=("how much would the {e} of the two {n} figures be",),
            e=extreme_word,
            n=noun,
            ks=kind,
        )
    else:
        tail = (
            c.frame(
                "what would [be the|be their|the] {n} [be|]",
                "what [is|would be] the [resulting|new|combined] {n}",
                "what {n} would [it|the result|the new one] have",
                "what would its {n} be",
                held=("what {n} comes out of this",),
                n=noun,
            )
            .replace("would be the " + noun + " be", "would be the " + noun)
            .replace("would be their " + noun + " be", "would be their " + noun)
            .replace("would the " + noun + "?", "would the " + noun + " be?")
        )
    question = f"{opener} {names[0]} {merge}{second}, {tail}"
    b = Builder()
    people: list[list[Ref]] = []
    land: list[list[Ref]] = []
    for group in groups:
        if measure != "area":
            people.append([b.look(POPULATION.noun, t.name) for t in group])
        if measure != "population":
            land.append([b.look(AREA.noun, t.name) for t in group])
    numbers = {
        "density": [sum(t.number(POPULATION) for t in g) / sum(t.number(AREA) for t in g) for g in groups],
        "population": [sum(t.number(POPULATION) for t in g) for g in groups],
        "area": [sum(t.number(AREA) for t in g) for g in groups],
    }[measure]

    def bare(refs: list[Ref]) -> list[str | Ref]:
        return [part for part in summed(refs) if part not in ("(", ")")]

    match measure:
        case "density":
            values = [b.calculate(*summed(p), " / ", *summed(a)) for p, a in zip(people, land, strict=True)]
        case "population":
            values = [b.calculate(*bare(p)) for p in people]
        case _:
            values = [b.calculate(*bare(a)) for a in land]
    result = b.calculate("max(" if up else "min(", values[0], ", ", values[1], ")") if both else values[0]
    number = (max(numbers) if up else min(numbers)) if both else numbers[0]
    if measure == "density":
        b.answer(result)
        return Draft(f"{question}?", b, things, shown(number))
    attribute: Attribute = POPULATION if measure == "population" else AREA
    b.answer(shown_part(True, result, Ref(0)))
    return Draft(f"{question}?", b, things, shown(number, things[0].unit(attribute)))
