"""Relations of relations: the currency of the country where a tower stands, the height of the highest mountain there."""

from __future__ import annotations

from braid.training.questions.families import Draft, adjective, shown
from braid.training.questions.program import Amount, Builder, Part, Ref
from braid.training.questions.quantities import has_unit
from braid.training.questions.template import Choice
from braid.training.questions.templates import Attribute
from braid.training.questions.units import number_near
from braid.training.questions.world import Path, World

_PLACES: dict[str, tuple[str, ...]] = {
    "country": ("the country {x} is in", "the country where {x} is", "the country of {x}", "{x}'s country"),
    "country of a building": (
        "the country where {x} stands",
        "the country {x} is in",
        "the country in which {x} stands",
        "the country that has {x}",
    ),
    "city": ("the city where {x} stands", "the city {x} is in", "the city in which {x} is", "{x}'s city"),
    "location": ("the place where {x} is", "the country where {x} is", "the country {x} is in"),
    "capital": ("the capital of {x}", "{x}'s capital", "the capital city of {x}"),
    "largest city": ("the largest city of {x}", "{x}'s biggest city", "the biggest city in {x}"),
    "continent": ("the continent {x} is on", "the continent {x} belongs to", "the continent of {x}"),
    "state": ("the state {x} is in", "the state of {x}"),
    "planet": ("the planet that {x} orbits", "the planet {x} belongs to", "the planet {x} circles"),
    "ocean": ("the ocean {x} is in", "the ocean of {x}", "the ocean where {x} lies"),
    "mouth": ("the water that {x} flows into", "the sea at the mouth of {x}"),
    "highest mountain": (
        "the highest mountain of {x}",
        "the tallest mountain in {x}",
        "{x}'s highest mountain",
    ),
    "longest river": ("the longest river of {x}", "the longest river in {x}", "{x}'s longest river"),
    "largest lake": ("the largest lake of {x}", "the biggest lake in {x}", "{x}'s largest lake"),
    "birthplace": ("the birthplace of {x}", "the city where {x} was born", "{x}'s birthplace"),
}
_NAMES: dict[str, tuple[str, ...]] = {
    "currency": (
        "what [is the|'s the] currency [of|in] {t}".replace("[is the|'s the]", "is the"),
        "what currency [is used|do they use|do people use|is paid with] in {t}",
        "which [currency|money] [would I need|do I need|is used|do people pay with] in {t}",
        "[tell me|find|look up|name] the currency of {t}",
        "currency of {t}",
    ),
    "official language": (
        "[what|which] language [is spoken|do they speak|do people speak] in {t}",
        "what is the [official|] language of {t}",
        "[tell me|find|look up|name] the official language of {t}",
        "which official language does {t} have",
    ),
    "continent": (
        "on [which|what] continent is {t}",
        "[which|what] continent [is {t} on|does {t} belong to]",
        "what is the continent of {t}",
    ),
    "country": ("[which|what] country is {t} in", "in which country is {t}", "what is the country of {t}"),
    "state": ("[which|what] state is {t} in", "in which state is {t}"),
}


def target(c: Choice, path: Path) -> str:
    """The end of the links as a noun phrase: "the capital of the country where the Eiffel Tower stands"."""
    text = path.thing.text(c.rng)
    kind = path.thing.kind
    for link in path.links:
        key = link.noun
        if key == "country" and kind in ("building", "tower", "statue", "bridge"):
            key = "country of a building"
        options = _PLACES.get(key, ("the {n} of {x}",))
        if link is not path.links[0]:
            options = tuple(o for o in options if o.endswith("of {x}") or o.endswith("in {x}")) or options
        text = c.rng.choice(options).replace("{n}", c.rng.choice(link.words)).replace("{x}", text)
        kind = link.noun
    return text


def _asks(c: Choice, path: Path) -> str:
    rng = c.rng
    t = target(c, path)
    attribute = path.attribute
    noun = rng.choice(attribute.words)
    patterns = list(_NAMES.get(attribute.noun, ()))
    if attribute.numeric and attribute.asks:
        patterns += [p.replace("{x}", "{t}") for p in attribute.asks]
    patterns += [
        "what is the {n} of {t}",
        "[tell me|find|look up|give me|I need] the {n} of {t}",
        "{n} of {t}",
    ]
    return c.frame(
        *patterns,
        held=("[start from|think of] {t}: what {n} does it have", "the {n} I am after is that of {t}"),
        n=noun,
        t=t,
    )


def follow(b: Builder, path: Path) -> Ref:
    """Adds the look-ups of all links and of the attribute."""
    at: str | Ref = path.thing.name
    for link in path.links:
        at = b.look(link.noun, at)
    return b.look(path.attribute.noun, at)


def _part(attribute: Attribute, ref: Ref) -> Part:
    return Amount(ref, ref) if attribute.numeric and has_unit(attribute) else ref


def _shown(path: Path) -> str:
    return shown(path.value, path.unit if has_unit(path.attribute) else "")


def relation(c: Choice, w: World, rank: bool) -> Draft:
    """A fact at the end of one to three links."""
    path = w.path(c.rng, c.rng.choices((1, 2, 3), (4, 5, 1))[0])
    b = Builder()
    question = _asks(c, path)
    b.answer(_part(path.attribute, follow(b, path)))
    return Draft(f"{question}?", b, [path.thing], _shown(path))


def same_relation(c: Choice, w: World, rank: bool) -> Draft:
    """Whether two things share a currency, a language, a continent or a country."""
    rng = c.rng
    attribute, things = w.named(rng, 2)
    if attribute.noun not in (
        "currency",
        "official language",
        "continent",
        "country",
        "state",
        "planet",
        "mouth",
    ):
        raise LookupError("nobody asks whether these are the same")
    x, y = (t.text(rng) for t in things)
    same = rng.random() < 0.6
    noun = attribute.noun
    how = {
        "currency": ("use", "pay with"),
        "official language": ("have", "speak"),
        "mouth": ("have", "share"),
    }.get(noun, ("belong to", "lie in"))
    question = c.frame(
        "do {x} and {y} [have|share] the same {n}" if same else "do {x} and {y} have different {ns}",
        "is the {n} of {x} [the same as|equal to] [that|the {n}] of {y}"
        if same
        else "is the {n} of {x} different from that of {y}",
        f"do {{x}} and {{y}} {rng.choice(how)} the same {{n}}" if same else "do {x} and {y} differ in {n}",
        held=("{x} and {y}: one and the same {n}" if same else "{x} and {y}: two {ns}",),
        n=noun,
        ns=noun[:-1] + "ies" if noun.endswith("y") else noun + "s",
        x=x,
        y=y,
    )
    b = Builder()
    i, j = (b.look(noun, t.name) for t in things)
    b.yes_no(i, "==" if same else "!=", j)
    equal = things[0].facts[noun][0] == things[1].facts[noun][0]
    return Draft(f"{question}?", b, things, "yes" if equal == same else "no")


def relation_numbers(c: Choice, w: World, rank: bool) -> Draft:
    """Arithmetic on numbers behind links: a difference, a ratio, a threshold, a sum."""
    rng = c.rng
    first = w.path(rng, rng.choice((1, 1, 2)))
    if not first.attribute.numeric or first.attribute.dated:
        raise LookupError("no number")
    second = w.path(rng, len(first.links), like=first)
    x, y = target(c, first), target(c, second)
    attribute = first.attribute
    p, q = _number(first), _number(second)
    if p <= 0 or q <= 0 or abs(p / q - 1) < 1e-4:
        raise LookupError("too close")
    noun = rng.choice(attribute.words)
    if noun.startswith(("number", "head")):
        noun = "population"
    more = adjective(c, attribute, up=True, superlative=False)
    b = Builder()
    unit = first.unit if has_unit(attribute) else ""
    kind = rng.choice(("gap", "more", "ratio", "total", "yes", "limit", "percent"))
    words = {"x": x, "y": y, "n": noun, "w": more or "greater"}
    if kind == "more" and p < q:
        first, second, p, q = second, first, q, p
        words |= {"x": y, "y": x}
    if kind == "limit":
        up = rng.random() < 0.6
        text, literal, bar = number_near(rng, p)
        question = c.frame(
            "is the {n} of {x} {o} {t}",
            "does {x} have a {n} of {o} {t}",
            held=("does the {n} of {x} come out at {o} {t}",),
            o=rng.choice(("over", "above", "more than") if up else ("under", "below", "less than")),
            t=text,
            **words,
        )
        ref = follow(b, first)
        b.yes_no(ref, ">" if up else "<", literal)
        return Draft(f"{question}?", b, [first.thing], "yes" if (p > bar) == up else "no")
    i, j = follow(b, first), follow(b, second)
    part = Amount if unit else None
    match kind:
        case "gap":
            question = c.frame(
                "what is the [difference|gap] in {n} between {x} and {y}",
                "how [much|far] [do {x} and {y} differ|apart are {x} and {y}] in {n}".replace(
                    "how [much|far] [do {x} and {y} differ|apart are {x} and {y}]",
                    "[how much do {x} and {y} differ|how far apart are {x} and {y}]",
                ),
                held=("{x} and {y}: how big is the step in {n}",),
                **words,
            )
            result, number = b.calculate("abs(", i, " - ", j, ")"), abs(p - q)
        case "more":
            question = c.frame(
                "by how much does the {n} of {x} exceed that of {y}",
                "how much {w} is {x} than {y}"
                if more
                else "how much greater is the {n} of {x} than that of {y}",
                held=("what is the lead of {x} over {y} in {n}",),
                **words,
            )
            result, number = b.calculate(i, " - ", j), p - q
        case "total":
            question = c.frame(
                "what is the [combined|total] {n} of {x} and {y}",
                "add the {n} of {x} to [that|the {n}] of {y}",
                held=("{x} plus {y}: what is the {n}",),
                **words,
            )
            result, number = b.calculate(i, " + ", j), p + q
        case "ratio":
            question = c.frame(
                "what is the ratio of the {n} of {x} to that of {y}",
                "how many times the {n} of {y} is [that|the {n}] of {x}",
                held=("the {n} of {x} over that of {y}",),
                **words,
            )
            if question.find(y) < question.find(x):
                b = Builder()
                j, i = follow(b, second), follow(b, first)
            b.answer(b.calculate(i, " / ", j))
            return Draft(f"{question}?", b, [first.thing, second.thing], shown(p / q))
        case "percent":
            question = c.frame(
                "what percentage of the {n} of {y} is [that|the {n}] of {x}",
                "the {n} of {x} is what percentage of that of {y}",
                held=("{x} against {y} in {n}, in percent of the latter",),
                **words,
            )
            if question.find(y) < question.find(x):
                b = Builder()
                j, i = follow(b, second), follow(b, first)
            b.answer(b.calculate("100 * ", i, " / ", j), "%")
            return Draft(f"{question}?", b, [first.thing, second.thing], f"{shown(100 * p / q)}%")
        case _:
            up = rng.random() < 0.6
            question = c.frame(
                "does {x} have a {g} {n} than {y}",
                "is the {n} of {x} {g} than that of {y}",
                held=("has {x} the {g} {n}, set against {y}",),
                g=rng.choice(("larger", "greater", "higher") if up else ("smaller", "lower")),
                **words,
            )
            b.yes_no(i, ">" if up else "<", j)
            return Draft(f"{question}?", b, [first.thing, second.thing], "yes" if (p > q) == up else "no")
    b.answer(part(result, i) if part else result)
    return Draft(f"{question}?", b, [first.thing, second.thing], shown(number, unit))


def _number(path: Path) -> float:
    if isinstance(path.value, str):
        raise LookupError("no number")
    return path.value
