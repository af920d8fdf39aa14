"""Aggregates over several values, of which some change: mean, total, spread, ratio of extremes, order."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from braid.training.questions.beyond.common import (
    COUNT,
    amount,
    asked_for,
    call,
    different,
    mean_of,
    plus,
    told,
)
from braid.training.questions.changes import STILL
from braid.training.questions.families import (
    Draft,
    adjective,
    by_value,
    changed_value,
    draw_changes,
    in_either_order,
    pick_best,
    shown,
    situation_of,
)
from braid.training.questions.program import Builder, Ref
from braid.training.questions.quantities import Quantity, changed, fact, scaled
from braid.training.questions.template import Choice, plural
from braid.training.questions.templates import Attribute, clause
from braid.training.questions.world import Thing, World

_KINDS = (
    "mean",
    "mean",
    "total",
    "total",
    "spread",
    "spread",
    "ratio",
    "ratio",
    "percent",
    "median",
    "extreme",
)


def aggregate_tail(c: Choice, kind: str, attribute: Attribute, things: Sequence[Thing], *, up: bool) -> str:
    """What is asked about all of them: "what would their average height be"."""
    rng = c.rng
    noun = rng.choice(attribute.words)
    most = adjective(c, attribute, up=True, superlative=True) or "largest"
    least = adjective(c, attribute, up=False, superlative=True) or "smallest"
    more = adjective(c, attribute, up=True, superlative=False)
    words = {
        "n": noun,
        "ns": plural(noun),
        "k": COUNT[len(things)],
        "ks": plural(things[0].kind),
        "m": most,
        "l": least,
        "w": more or "larger",
    }
    two = len(things) == 2
    match kind:
        case "mean":
            return c.frame(
                "what [is|would be] [the|their] [average|mean] {n}",
                "what [is|would be] the [average|mean] of [the|their|the new|the resulting|these] {ns}",
                "what would the [average|mean] {n} [of the {k}|of these {ks}|] be",
                "[find|calculate|compute|give me|work out|tell me] [the|their] [average|mean] {n}",
                "what's [the|their] [average|mean] {n} [now|then|]",
                "what {n} do they have on average",
                "[and|so] the [average|mean] {n} [is|would be]",
                held=(
                    "what {n} does that give on average",
                    "if you average the {ns}, what comes out",
                ),
                **words,
            )
        case "total":
            return c.frame(
                "what [is|would be] [the|their] [total|combined|overall|joint] {n}",
                "what do [the {k}|their {ns}|the new {ns}] add up to",
                "what [is|would be] the sum of [the|their|the new|all] {ns}",
                "what would they [add up to|come to|total] [altogether|in total|together|]",
                "[find|calculate|compute|give me|work out|tell me] [the|their] [total|combined] {n}",
                "what {n} [do|would] they have [together|altogether|combined|in total]",
                "how much is that [in total|altogether|all together]",
                held=("what is the grand total in {n}", "pool their {ns}: what do you get"),
                **words,
            )
        case "spread":
            return c.frame(
                "what [is|would be] the [difference|gap] between the {m} and the {l}",
                "what [is|would be] the [difference|gap] between the [largest|highest|biggest] and the [smallest|lowest] {n}",
                "how far apart [are|would be] the [largest|highest] and the [smallest|lowest] {n}",
                "by how much [does|would] the {m} [exceed|surpass|beat] the {l}",
                "what [is|would be] the [range|spread] of [the|their] {ns}",
                "how much {w} [is|would] the {m} [than the {l}|be than the {l}]".replace(
                    "[is|would] the {m} [than the {l}|be than the {l}]",
                    "[is the {m}|would the {m} be] than the {l}",
                ),
                "what [is|would be] the [maximum|largest] {n} minus the [minimum|smallest]",
                "[find|calculate|compute|give me] the [gap|difference] between the [top|largest] and the [bottom|smallest] {n}",
                held=("how wide is the range of {ns}", "from the {l} to the {m}, how big a step is it"),
                **words,
            )
        case "ratio":
            return c.frame(
                "how many times [as large as|] the [smallest|lowest] {n} [is|would be] the [largest|highest]",
                "what [is|would be] the ratio of the [largest|highest|biggest] [{n}|] to the [smallest|lowest] [{n}|]",
                "what [is|would be] the ratio [of|between] the {m} [to|and] the {l}".replace(
                    "[of|between] the {m} [to|and] the {l}",
                    "[of the {m} to the {l}|between the {m} and the {l}]",
                ),
                "by what factor [does|would] the {m} [exceed|surpass|beat] the {l}",
                "how many times {w} [is the {m}|would the {m} be] than the {l}",
                "how many times the {n} of the {l} [is|would be] that of the {m}",
                "[divide|what do you get if you divide] the [largest|highest] {n} by the [smallest|lowest]",
                "[find|calculate|compute|give me] the ratio of the [largest|maximum] to the [smallest|minimum] {n}",
                held=(
                    "how often does the {l} fit into the {m}",
                    "the {m} is what multiple of the {l}",
                ),
                **words,
            )
        case "percent":
            return c.frame(
                "by [what percentage|how many percent] [does|would] the {m} [exceed|surpass] the {l}",
                "by [what percentage|how many percent] [is the {m}|would the {m} be] {w} than the {l}",
                "how many percent {w} [is the {m}|would the {m} be] than the {l}",
                "what percentage {w} [is|would be] the {m} than the {l}",
                held=("the {m} is {w} than the {l} by how many percent",),
                **words,
            )
        case "median":
            return c.frame(
                "what [is|would be] [the|their] median {n}",
                "what [is|would be] the [middle one|middle value|median] of the [{k}|new|] {ns}",
                "[find|calculate|give me|tell me] the median {n}",
                held=("which {n} has as many above as below it",),
                **words,
            )
        case _:
            high = "larger|greater|higher" if two else "largest|greatest|highest|maximum"
            low = "smaller|lower" if two else "smallest|lowest|minimum"
            return c.frame(
                f"what [is|would be] the [{high if up else low}] {{n}} [of the {{k}}|among them|then|]",
                f"how much [is|would be] the [{high if up else low}] {{n}}",
                f"[give me|tell me|find] the [{high if up else low}] of the {{k}} {{ns}}",
                held=("what figure does the {m} reach" if up else "what figure does the {l} reach",),
                **words,
            )


def aggregate(b: Builder, kind: str, values: Sequence[Ref], *, up: bool) -> Ref:
    """Adds the arithmetic of an aggregate."""
    match kind:
        case "mean":
            return b.calculate(*mean_of(values))
        case "total":
            return b.calculate(*plus(values))
        case "spread":
            return b.calculate(*call("max", values), " - ", *call("min", values))
        case "ratio":
            return b.calculate(*call("max", values), " / ", *call("min", values))
        case "percent":
            top, low = call("max", values), call("min", values)
            return b.calculate("100 * (", *top, " - ", *low, ") / ", *low)
        case "median":
            return b.calculate(*call("median", values))
        case _:
            return b.calculate(*call("max" if up else "min", values))


def aggregated(kind: str, numbers: Sequence[float], *, up: bool) -> float:
    """What the aggregate of these numbers is."""
    match kind:
        case "mean":
            return fmean(numbers)
        case "total":
            return sum(numbers)
        case "spread":
            return max(numbers) - min(numbers)
        case "ratio":
            return max(numbers) / min(numbers)
        case "percent":
            return 100 * (max(numbers) - min(numbers)) / min(numbers)
        case "median":
            return median(numbers)
        case _:
            return max(numbers) if up else min(numbers)


def _finish(
    b: Builder, kind: str, attribute: Attribute, thing: Thing, result: Ref, number: float, fact: Ref
) -> str:
    """Ends the program with the aggregate. Gives the true answer."""
    if kind == "ratio":
        b.answer(result)
        return shown(number)
    if kind == "percent":
        b.answer(result, "%")
        return f"{shown(number)}%"
    b.answer(amount(attribute, result, fact))
    return told(attribute, thing, number)


def _kind(c: Choice, count: int) -> str:
    kind = c.rng.choice(_KINDS)
    if kind == "median" and count % 2 == 0:
        raise LookupError("the median of an even number of values is their mean in the middle")
    return kind


def changed_aggregate(c: Choice, w: World, rank: bool) -> Draft:
    """An aggregate over two to five values that change or stay: "..., what would their average depth be?"."""
    rng = c.rng
    attribute, things = different(w, c, rng.choices((2, 3, 4, 5), (2, 5, 4, 2))[0])
    changes = draw_changes(rng, attribute, things)
    if len(things) > 2 and rng.random() < 0.35:
        changes[rng.randrange(len(things))] = STILL
    numbers = [ch.apply(t.number(attribute)) for t, ch in zip(things, changes, strict=True)]
    if min(numbers) <= 0:
        raise LookupError("nothing is left")
    kind, up = _kind(c, len(things)), rng.random() < 0.5
    situation, stop = situation_of(c, changes, things, attribute)
    tail = aggregate_tail(c, kind, attribute, things, up=up)
    if rng.random() < 0.15 and not stop and tail.startswith("what "):
        tail = c.fill("[tell me|find out|calculate|I want to know|can you tell me] ") + " " + tail
        tail = tail.replace(" is the ", " the ", 1) + (" is" if " is the " in tail else "")
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    values = [changed_value(b, ref, ch) for ref, ch in zip(refs, changes, strict=True)]
    result = aggregate(b, kind, values, up=up)
    answer = _finish(b, kind, attribute, things[0], result, aggregated(kind, numbers, up=up), refs[0])
    return Draft(f"{in_either_order(rng, situation, tail, stop)}?", b, things, answer)


def plain_aggregate(c: Choice, w: World, rank: bool) -> Draft:
    """An aggregate over values as they are: "how many times the smallest of A, B and C is the largest?"."""
    rng = c.rng
    attribute, things = different(w, c, rng.choices((2, 3, 4, 5), (2, 5, 4, 2))[0])
    kind, up = _kind(c, len(things)), rng.random() < 0.5
    names = c.listed([t.text(rng) for t in things])
    noun = rng.choice(attribute.words)
    tail = aggregate_tail(c, kind, attribute, things, up=up)
    question = c.frame(
        "[take|consider|look at|compare] {x}. {u}",
        "{x}: {t}",
        "[for|of|among] {x}, {t}",
        "[given|considering|looking at|with] the {ns} of {x}, {t}",
        "[look up|find|get] the {ns} of {x}. {u}",
        "[look up|find|get] the {ns} of {x} and [tell me|work out] the {r}",
        "[what is|what's|give me|calculate] the {r} of {x}",
        "[what is|what's|give me|calculate] the {r} of {x}",
        "{r} of {x}",
        held=("{x}, all of them: {t}", "when it comes to {x}, {t}"),
        x=names,
        t=tail,
        u=tail[:1].upper() + tail[1:],
        ns=plural(noun),
        r=_named(c, kind, noun, len(things), up=up),
    )
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    result = aggregate(b, kind, refs, up=up)
    numbers = [t.number(attribute) for t in things]
    answer = _finish(b, kind, attribute, things[0], result, aggregated(kind, numbers, up=up), refs[0])
    return Draft(f"{question}?", b, things, answer)


def _named(c: Choice, kind: str, noun: str, count: int, *, up: bool) -> str:
    """The aggregate as a noun that "of A, B and C" follows."""
    pattern = {
        "mean": "[average|mean] {n}",
        "total": "[total|combined] {n}",
        "spread": "[difference|gap] between the [largest|highest] and the [smallest|lowest] {n}",
        "ratio": "ratio of the [largest|highest] to the [smallest|lowest] {n}",
        "percent": "percentage by which the [largest|highest] {n} exceeds the [smallest|lowest]",
        "median": "median {n}",
        "extreme": "[largest|highest|maximum] {n}" if up else "[smallest|lowest|minimum] {n}",
    }[kind]
    return c.fill(pattern, n=noun)


def phrase_aggregate(c: Choice, w: World, rank: bool) -> Draft:
    """An aggregate over noun phrases, each a fact, a changed fact or a part of one."""
    rng = c.rng
    attribute, things = different(w, c, rng.choices((2, 3, 4), (4, 5, 2))[0])
    terms: list[Quantity] = [
        rng.choice((fact, changed, changed, scaled))(c, attribute, thing) for thing in things
    ]
    kind = rng.choice(("mean", "mean", "total", "total", "spread", "ratio", "extreme"))
    numbers, up = [t.value for t in terms], rng.random() < 0.5
    if min(numbers) <= 0:
        raise LookupError("nothing is left")
    texts = [t.text for t in terms]
    either = "the larger of" if up else "the smaller of"
    extreme = (
        either if len(terms) == 2 else either.replace("larger", "largest").replace("smaller", "smallest")
    )
    head = {
        "mean": "the [average|mean] of",
        "total": "the [sum|total] of",
        "spread": "the difference between the largest and the smallest of"
        if len(terms) > 2
        else "the [difference|gap] between",
        "ratio": "the ratio of the largest to the smallest of" if len(terms) > 2 else "the ratio of",
        "extreme": extreme,
    }[kind]
    glue = "to" if kind == "ratio" and len(terms) == 2 else "and"
    question = asked_for(c, c.fill("{h} {x}", h=c.fill(head), x=c.listed(texts, last=glue)))
    b = Builder()
    facts = [t.look(b)[0] for t in terms]
    values = [t.compute(b, [ref]) for t, ref in zip(terms, facts, strict=True)]
    if kind == "spread" and len(terms) == 2:
        result = b.calculate("abs(", values[0], " - ", values[1], ")")
    elif kind == "ratio" and len(terms) == 2:
        result = b.calculate(values[0], " / ", values[1])
    else:
        result = aggregate(b, kind, values, up=up)
    number = (
        numbers[0] / numbers[1] if kind == "ratio" and len(terms) == 2 else aggregated(kind, numbers, up=up)
    )
    answer = _finish(b, kind, attribute, things[0], result, number, facts[0])
    return Draft(f"{question}?", b, things, answer)


def one_changed(c: Choice, w: World, rank: bool) -> Draft:
    """A superlative, an order or an aggregate over a list of which one member changes."""
    rng = c.rng
    attribute, things = different(w, c, rng.choices((3, 4, 5), (5, 4, 2))[0])
    at = rng.randrange(len(things))
    (change,) = draw_changes(rng, attribute, things[at : at + 1])
    if not change.suffix:
        raise LookupError("nothing changes")
    numbers = [t.number(attribute) for t in things]
    numbers[at] = change.apply(numbers[at])
    up = rng.random() < 0.6
    word = adjective(c, attribute, up=up, superlative=True)
    if not word or not rank:
        raise LookupError(f"{attribute.noun} has no superlative")
    ordered = by_value(things, numbers, up=up)
    texts = [t.text(rng) for t in things]
    if_changed = clause(c, change, texts[at], attribute)
    place = rng.choice((0, 0, 0, 1))
    other = adjective(c, attribute, up=not up, superlative=True) or "last"
    whole = rng.random() < 0.25
    nth = f"second {word}" if place else word
    if whole:
        question = c.frame(
            "[sort|rank|order] {x} from {m} to {l} [if|assuming|supposing] {c}",
            "[if|suppose|assuming] {c}, [what is|what would be|give me] the order of {x} from {m} to {l}",
            "[if|assuming] {c}, [sort|rank|order|list] {x} from {m} to {l}",
            held=("put {x} in order, {m} first, given that {c}",),
            x=c.listed(texts),
            m=word,
            l=other,
            c=if_changed,
        )
    else:
        question = c.frame(
            "[of|among|out of] {x}, which [is|would be] the {m} [if|assuming] {c}",
            "if {c}, which of {x} [is|would be] the {m}",
            "which of {x} [is|would be] the {m} [if|in case|supposing] {c}",
            "{x}: which [is|would be] the {m} if {c}",
            "[suppose|assume] {c}. Which [of|among] {x} [is|would then be|is now] the {m}",
            "[take|consider] {x}. If {c}, which [one|] would be the {m}",
            held=("granting that {c}, {x}: who is the {m}",),
            x=c.listed(texts, last=rng.choice(("and", "and", "or"))),
            m=nth,
            c=if_changed,
        )
    b = Builder()
    order = sorted(range(len(things)), key=lambda i: question.find(texts[i]))
    named = [things[i] for i in order]
    found = {i: b.look(attribute.noun, things[i].name) for i in order}
    values = [found[i] if i != at else changed_value(b, found[i], change) for i in order]
    names = [t.name for t in named]
    if whole:
        b.answer(b.rank(names, values, descending=up))
        return Draft(f"{question}.", b, named, ", ".join(ordered))
    pick_best(b, names, values, up=up, rank=True, place=place)
    return Draft(f"{question}?", b, named, ordered[place])
