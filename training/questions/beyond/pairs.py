"""Extremes over differences, ratios, sums and means of pairs."""

from __future__ import annotations

from braid.training.questions.beyond.common import amount, call, different, mean_of, plus, told
from braid.training.questions.families import Draft, by_value, pick_best, shown
from braid.training.questions.program import Builder, Item, Ref
from braid.training.questions.template import Choice, plural
from braid.training.questions.world import World

_NOUNS = {
    "gap": ("difference", "difference", "gap"),
    "total": ("sum", "total"),
    "mean": ("average", "mean"),
    "ratio": ("ratio",),
}


def _pair(b: Builder, op: str, refs: list[Ref]) -> Ref:
    match op:
        case "gap":
            return b.calculate("abs(", refs[0], " - ", refs[1], ")")
        case "total":
            return b.calculate(*plus(refs))
        case "mean":
            return b.calculate(*mean_of(refs))
        case _:
            return b.calculate(refs[0], " / ", refs[1])


def _value(op: str, x: float, y: float) -> float:
    return {"gap": abs(x - y), "total": x + y, "mean": (x + y) / 2}.get(op, x / y)


def pair_extreme(c: Choice, w: World, rank: bool) -> Draft:
    """Which is smaller: the difference between A and B or between C and D? The value, or the pair."""
    rng = c.rng
    count = rng.choice((2, 2, 2, 3)) if rank else 2
    attribute, things = different(w, c, 2 * count)
    op = rng.choice(("gap", "gap", "gap", "total", "mean", "mean", "ratio"))
    up = rng.random() < 0.5
    noun = rng.choice(attribute.words)
    texts = [t.text(rng) for t in things]
    glue = " to " if op == "ratio" else " and "
    pairs = [f"{texts[i]}{glue}{texts[i + 1]}" for i in range(0, len(texts), 2)]
    big = rng.choice(("larger", "greater", "bigger", "higher") if up else ("smaller", "lower"))
    most = rng.choice(
        ("largest", "greatest", "highest", "maximum") if up else ("smallest", "lowest", "minimum")
    )
    degree = big if count == 2 else most
    link = {"gap": "between", "ratio": "of"}.get(op, "of")
    o = rng.choice(_NOUNS[op])
    phrases = [f"{link} {p}" for p in pairs]
    words = {
        "n": noun,
        "ns": plural(noun),
        "o": o,
        "e": degree,
        "m": most,
        "p": c.listed(phrases, last="or"),
        "q": c.listed(phrases),
        "r": "; ".join(pairs) if rng.random() < 0.3 else c.listed(pairs, last="or"),
        "of": "in the" if op == "gap" else "of the",
        "f": phrases[0],
        "s": c.listed(phrases[1:], last="or"),
    }
    numbers = [
        _value(op, things[i].number(attribute), things[i + 1].number(attribute))
        for i in range(0, len(things), 2)
    ]
    by_value(things[: len(numbers)], numbers, up=True)
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    values = [_pair(b, op, refs[i : i + 2]) for i in range(0, len(refs), 2)]
    best = max(numbers) if up else min(numbers)
    if rng.random() < 0.5:
        asked = {
            "gap": f"{o} in {noun}",
            "total": f"{rng.choice(('total', 'combined'))} {noun}",
            "mean": f"{o} {noun}",
            "ratio": f"ratio of {plural(noun)}",
        }[op]
        question = c.frame(
            "[what is|what's] the {e} [of the two|]: the {a} {f} or [that|the {a}] {s}"
            if count == 2
            else "what is the {m} {a} {p}",
            "[what is|what's|find|give me|tell me|determine] the {e} {a} {p}",
            "[what is|what's|find|give me|calculate] the {m} {a}: {p}",
            "[what is|how big is|how large is] the {e} {a}, {p}",
            "[compare|take|consider] the {a} {q}. [What is the {e} one|How much is the {e} one|Give me the {e} value]",
            "[determine|find|name] the {e} value: the {a} {f} or {s}",
            "the {m} {a} {p}",
            held=(
                "how much is the {e} of these: the {a} {f} or {s}",
                "out of the {a} {q}, state the {m} one",
            ),
            a=asked,
            **words,
        )
        result = b.calculate(*call("max" if up else "min", values))
        if op == "ratio":
            b.answer(result)
            return Draft(f"{question}?", b, things, shown(best))
        b.answer(amount(attribute, result, refs[0]))
        return Draft(f"{question}?", b, things, told(attribute, things[0], best))
    names = [f"{things[i].name} and {things[i + 1].name}" for i in range(0, len(things), 2)]
    those = c.listed([p.replace(" to ", " and ") if op == "ratio" else p for p in pairs], last="or")
    asked = {
        "gap": "[difference|gap] in {n}",
        "total": "[total|combined] {n}",
        "mean": "[average|mean] {n}",
        "ratio": "ratio of the first's {n} to the second's",
    }[op]
    question = c.frame(
        "which pair has the {e} {a}: {t}",
        "which pair has the {e} {a}, {t}",
        "which two have the {e} {a}: {t}",
        "[compare|look at] the pairs {t}. Which [one|pair] has the {e} {a}",
        "[where|for which pair] is the {a} {e}: {t}",
        "[tell me|find|say] which pair has the {e} {a}: {t}",
        held=("{t}: whose {a} is {e}", "name the pair with the {e} {a}: {t}"),
        e=degree,
        a=c.fill(asked, n=noun),
        t=those,
    )
    pick_best(b, names, values, up=up, rank=rank)
    index = numbers.index(best)
    return Draft(f"{question}?", b, things, names[index])


def apart(c: Choice, w: World, rank: bool) -> Draft:
    """Which two of several differ most, or least. Those that differ most are the ends of a ranking."""
    if not rank:
        raise LookupError("without a ranking these are not found")
    rng = c.rng
    most = rng.random() < 0.6
    count = rng.choice((3, 4, 5)) if most else 3
    attribute, things = different(w, c, count)
    noun = rng.choice(attribute.words)
    far = c.fill(
        "[differ the most|are furthest apart|differ most]"
        if most
        else "[differ the least|are closest|are closest to each other|are nearest to each other]"
    )
    question = c.frame(
        "which two of {x} {f} in {n}",
        "{l}: which two {f} in {n}",
        "out of {x}, which two {f} in {n}",
        "[of|among] {x}, which two {f} in {n}",
        held=("in {n}, which two of {x} {f}", "name the two of {x} that {f} in {n}"),
        x=c.listed([t.text(rng) for t in things]),
        l=", ".join(t.text(rng) for t in things),
        f=far,
        n=noun,
    )
    by_size = sorted(things, key=lambda t: -t.number(attribute))
    b = Builder()
    refs = [b.look(attribute.noun, t.name) for t in things]
    if most:
        order = b.rank([t.name for t in things], refs, descending=True)
        b.answer(Item(order.step, 0), " and ", Item(order.step, count - 1))
        return Draft(f"{question}?", b, things, f"{by_size[0].name} and {by_size[-1].name}")
    places = ((0, 1), (0, 2), (1, 2))
    names = [f"{things[i].name} and {things[j].name}" for i, j in places]
    numbers = [abs(things[i].number(attribute) - things[j].number(attribute)) for i, j in places]
    if min(numbers) == sorted(numbers)[1]:
        raise LookupError("two pairs are equally close")
    gaps = [_pair(b, "gap", [refs[i], refs[j]]) for i, j in places]
    order = b.rank(names, gaps, descending=False)
    b.answer(Item(order.step, 0))
    return Draft(f"{question}?", b, things, names[numbers.index(min(numbers))])
