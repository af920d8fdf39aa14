"""Plans for questions about several things, and for yes or no.

Each writer gets a reading of the question, and gives a plan. None where the facts do not fit the reading:
another reading, or a model, may do better. A plan computes from what it looks up. What is known here only
decides whether the plan makes sense.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from braid.executors.builtin.atlas import fold, load_atlas
from braid.planner.follow_up import COMPARATIVES, UNITS
from braid.planner.lookups.draft import Draft, digits_of, escaped, factor, figures, letters, looked_up, quoted
from braid.planner.lookups.facts import Found, best_of, group_of, parts_of, shared, values_of
from braid.planner.lookups.forms import WORDINGS, Reading, amount, attributes_named, attributes_of
from braid.planner.lookups.names import Mention

MOST: Final = 8
"""Most things that are compared."""

_YEARS: Final = frozenset(
    {"completion year", "opening year", "launch year", "first flight", "founding year", "admission year"}
    | {"invention year", "discovery year", "first ascent", "last eruption", "construction start"}
)
_NO_SUMS: Final = _YEARS | {"surface temperature", "melting point", "boiling point", "density", "moons"}
"""Attributes that do not add up."""
_NO_RATIOS: Final = _YEARS | {"surface temperature", "melting point", "boiling point", "elevation"}
_SIMPLE: Final = {
    "length": ("length", "height", "depth"),
    "area": ("area",),
    "mass": ("weight", "mass"),
    "speed": ("top speed",),
    "people": ("population",),
}


class _Question:
    """A reading with what its names mean."""

    def __init__(self, reading: Reading, mentions: Sequence[Mention]) -> None:
        self.kind = reading.kind
        self.groups: Mapping[str, str] = reading.groups
        self.mentions = mentions

    def named(self, group: str) -> list[Mention]:
        return [self.mentions[int(at)] for at in re.findall(r"\d+", self.groups[group])]

    @property
    def things(self) -> list[Mention]:
        if "all" in self.groups:
            return self.named("all")
        return [*self.named("left"), *self.named("right")] if "right" in self.groups else self.named("left")

    @property
    def ascending(self) -> bool:
        if "first" in self.groups:
            return self.groups["first"].split()[0] in ("first", "earlier", "earliest", "before")
        asked = attributes_of(dict(self.groups))
        return asked is not None and asked[1] is not None and asked[1].order == "ascending"

    def found(self, things: Sequence[Mention] | None = None) -> list[Found]:
        """The facts of everything that is named, of the attribute that the words name."""
        things = self.things if things is None else things
        if "deed" in self.groups:
            return shared(things, _DEEDS[self.groups["deed"]])
        asked = attributes_of(dict(self.groups))
        return shared(things, asked[0]) if asked is not None and asked[0] and len(things) <= MOST else []

    def unit(self, fact_unit: str) -> tuple[str, str] | None:
        """The unit of a difference, and what it is multiplied with. None where it cannot be had."""
        wanted = self.groups.get("unit", "")
        if not wanted or wanted == fact_unit.lower():
            return fact_unit, ""
        if wanted in ("people", "inhabitants", "residents"):
            return (fact_unit, "") if fact_unit == "people" else None
        if wanted == "years" and not fact_unit:
            return "", ""
        try:
            by = factor(fact_unit, wanted)
        except ValueError:
            return None
        return (wanted, by) if by else (fact_unit, "")


def _with_unit(number: str, unit: str) -> str:
    return f"{{{number}}} {escaped(unit)}".rstrip()


def _gap(draft: Draft, question: _Question, found: Sequence[Found]) -> str | None:
    """The difference of two facts, for an f-string."""
    unit = question.unit(found[0].fact.unit)
    if unit is None:
        return None
    shown, by = unit
    years = found[0].fact.attribute in _YEARS
    expression = f"abs({{a.value}} - {{b.value}}){by}"
    if by:
        expression = f"round({expression}, {digits_of(found[0].number - found[1].number)})"
    draft.calculate("d", expression)
    return _with_unit("d", "years" if years else shown)


def _close(found: Sequence[Found], *, ascending: bool) -> str:
    """A warning where sources disagree about the order of the first two."""
    first, second, *_ = sorted(found, key=lambda each: each.number, reverse=not ascending)
    pairs = [(one, other) for one in first.readings for other in second.readings]
    flips = any(one > other if ascending else one < other for one, other in pairs)
    return "; sources disagree, and by other figures it is the other way round" if flips else ""


def _which(question: _Question) -> Draft | None:
    found = question.found()
    if not found or ("gap" in question.groups and len(found) != 2):
        return None
    ordered = sorted((each.number for each in found), reverse=not question.ascending)
    draft = looked_up(found)
    if ordered[0] == ordered[1]:
        if len(found) > 2:
            return None
        draft.answer(f"neither: they are equal ({figures(found)})")
        return draft
    gap = _gap(draft, question, found) if "gap" in question.groups else ""
    if gap is None:
        return None
    draft.rank("z", found, [quoted(each.title) for each in found], ascending=question.ascending)
    by = f", by {gap}" if gap else ""
    draft.answer(f"{{z[0]}}{by} ({figures(found)}{_close(found, ascending=question.ascending)})")
    return draft


def _than(question: _Question) -> Draft | None:
    found = question.found()
    if not found:
        return None
    draft = looked_up(found)
    gap = _gap(draft, question, found)
    if gap is None:
        return None
    sign = "<" if question.ascending else ">"
    draft.line(f"if a.value {sign} b.value:")
    warning = _close(found, ascending=found[0].number < found[1].number)
    draft.answer(f"yes, by {gap} ({figures(found)}{warning})", indent=True)
    draft.line("elif a.value == b.value:")
    draft.answer(f"no, they are equal ({figures(found)})", indent=True)
    draft.line("else:")
    draft.answer(f"no ({figures(found)}{warning})", indent=True)
    return draft


def _bound(question: _Question, things: Sequence[Mention]) -> tuple[list[Found], str, str] | None:
    """The facts that are compared with a number, the sign, and the number in their unit."""
    groups = question.groups
    unit = groups.get("unit", "")
    over = groups.get("over") or groups["under"]
    given = dict(groups)
    word = over.split()[0]
    if "attr" not in given and "adj" not in given and word in COMPARATIVES and COMPARATIVES[word].attributes:
        given["comp"] = word
    asked = attributes_of(given)
    if unit in ("people", "inhabitants", "residents"):
        unit, asked = "people", asked or (("population",), None)
    if asked is None or not asked[0]:
        dimension = UNITS[unit].dimension if unit in UNITS else ""
        fits = [name for name in _SIMPLE.get(dimension, ()) if shared(things, (name,))]
        if len(fits) != 1:
            return None
        asked = ((fits[0],), None)
    found = shared(things, asked[0])
    if not found:
        return None
    number = str(amount(groups["n"]))
    own = found[0].fact.unit
    if unit and unit != own.lower():
        try:
            number += factor(unit, own)
        except ValueError:
            return None
    sign = (">=" if over == "at least" else ">") if "over" in groups else "<"
    return found, sign, number


def _limit(question: _Question) -> Draft | None:
    bound = _bound(question, question.named("left"))
    if bound is None:
        return None
    found, sign, number = bound
    draft = looked_up(found)
    value, said = number, figures(found)
    if "*" in number:
        draft.calculate("n", number)
        value = "n"
    draft.line(f"if a.value {sign} {value}:")
    draft.answer(f"yes ({said})", indent=True)
    draft.line("else:")
    draft.answer(f"no ({said})", indent=True)
    return draft


def _filter(question: _Question) -> Draft | None:
    """Which of several things are above a number. An answer leaves out what a condition skipped."""
    bound = _bound(question, question.things)
    if bound is None:
        return None
    found, sign, number = bound
    draft = looked_up(found)
    value = number
    if "*" in number:
        draft.calculate("n", number)
        value = "n"
    tests = [f"{letter}.value {sign} {value}" for letter in letters(len(found))]
    for letter, each, test in zip(letters(len(found)), found, tests, strict=True):
        draft.line(f"if {test}:")
        draft.tools.add("rank")
        draft.line(f'    {letter * 2} = rank([f"{escaped(each.title)} ({{{letter}}})"], [{letter}.value])')
    draft.line(f"if {' or '.join(tests)}:")
    draft.line(f"    answer({', '.join(f'{letter * 2}[0]' for letter in letters(len(found)))})")
    draft.line("else:")
    draft.answer(f"none of them ({figures(found)})", indent=True)
    return draft


def _count(question: _Question) -> Draft | None:
    """How many of several things are above a number."""
    bound = _bound(question, question.things)
    if bound is None or bound[1] == ">=":
        return None
    found, sign, number = bound
    over = [
        f"{{{letter}.value}} - {number}" if sign == ">" else f"{number} - {{{letter}.value}}"
        for letter in letters(len(found))
    ]
    draft = looked_up(found)
    # One for each that is over, since a comparison is no number.
    draft.calculate("d", " + ".join(f"min(1, max(0, ceil(({gap}) / 10**15)))" for gap in over))
    draft.answer(f"{{d}} ({figures(found)})")
    return draft


def _difference(question: _Question) -> Draft | None:
    found = question.found()
    if len(found) != 2:
        return None
    draft = looked_up(found)
    gap = _gap(draft, question, found)
    if gap is None:
        return None
    comparative = question.groups.get("comp", "")
    if not comparative or "left" not in question.groups:
        draft.answer(f"{gap} ({figures(found)})")
        return draft
    sign = "<" if question.ascending else ">"
    draft.line(f"if a.value {sign} b.value:")
    draft.answer(f"{gap} ({figures(found)})", indent=True)
    draft.line("else:")
    draft.answer(f"{gap}, but the other way round ({figures(found)})", indent=True)
    return draft


def _ratio(question: _Question) -> Draft | None:
    found = question.found()
    return _divided(found, "") if len(found) == 2 and found[0].fact.attribute not in _NO_RATIOS else None


def _fits(question: _Question) -> Draft | None:
    """How many of one thing fit into another: by area, or by height for what stands."""
    left, right = question.named("left"), question.named("right")
    if "verb" in question.groups:
        found = shared([*left, *right], ("weight", "mass"))
        return _divided([found[1], found[0]], "") if found else None
    for attributes, groups in ((("area",), None), (("height",), {"mountain", "structure", "waterfall"})):
        found = shared([*left, *right], attributes)
        if found and (groups is None or {group_of(each.entity) for each in found} <= groups):
            return _divided([found[1], found[0]], f"by {attributes[0]}, ")
    return None


def _divided(found: Sequence[Found], by: str) -> Draft | None:
    if not found[1].number or found[0].number / found[1].number <= 0:
        return None
    draft = looked_up(found)
    draft.calculate("d", f"round({{a.value}} / {{b.value}}, {digits_of(found[0].number / found[1].number)})")
    draft.answer(f"{{d}} ({by}{figures(found)})")
    return draft


def _sum(question: _Question) -> Draft | None:
    found = question.found()
    if "stack" in question.groups:
        found = shared(question.things, ("height",))
    if not found or found[0].fact.attribute in _NO_SUMS:
        return None
    total = " + ".join(f"{{{letter}.value}}" for letter in letters(len(found)))
    return _measure(question, found, total, sum(each.number for each in found))


def _measure(question: _Question, found: Sequence[Found], expression: str, near: float) -> Draft | None:
    """The plan for something that is computed, and measured in the unit of the facts or in another."""
    unit = question.unit(found[0].fact.unit)
    if unit is None:
        return None
    draft = looked_up(found)
    shown, by = unit
    draft.calculate("d", f"round(({expression}){by}, {digits_of(near)})" if by else expression)
    draft.answer(f"{_with_unit('d', shown)} ({figures(found)})")
    return draft


def _mean(question: _Question) -> Draft | None:
    found = question.found()
    attribute = found[0].fact.attribute if found else ""
    if not found or f"average {attribute}" in {name for each in found for name in each.entity.facts}:
        return None  # "the average depth" is a fact of its own
    values = ", ".join(f"{{{letter}.value}}" for letter in letters(len(found)))
    mean = sum(each.number for each in found) / len(found)
    return _measure(question, found, f"round(mean({values}), {digits_of(mean)})", mean)


def _order(question: _Question) -> Draft | None:
    groups = question.groups
    if "last" in groups:
        one, other = COMPARATIVES.get(groups["comp"]), COMPARATIVES.get(groups["last"])
        if one is None or other is None or one.order == other.order:
            return None
    found = question.found()
    if not found:
        return None
    draft = looked_up(found)
    labels = [
        f'f"{escaped(each.title)} ({{{letter}}})"'
        for letter, each in zip(letters(len(found)), found, strict=True)
    ]
    draft.rank("z", found, labels, ascending=question.ascending or "up" in groups)
    draft.line("answer(z)")
    return draft


def _each(question: _Question) -> Draft | None:
    asked = attributes_of(dict(question.groups))
    found = shared(question.things, asked[0], numbers=False) if asked else []
    if not found:
        return None
    draft = looked_up(found)
    draft.answer(
        *(
            f"{escaped(each.title)}: {{{letter}}}"
            for letter, each in zip(letters(len(found)), found, strict=True)
        )
    )
    return draft


def _facts(question: _Question) -> Draft | None:
    """Several facts of one thing."""
    found: list[Found] = []
    for group in ("attr", "second", "third"):
        if group in question.groups:
            found += shared(question.named("left"), attributes_named(question.groups[group]), numbers=False)
    groups = {"attr", "second", "third"}.intersection(question.groups)
    if len(found) < len(groups) or len({each.query for each in found}) < len(found):
        return None
    draft = looked_up(found)
    pairs = zip(letters(len(found)), found, strict=True)
    draft.answer(*(f"{each.fact.attribute}: {{{letter}}}" for letter, each in pairs))
    return draft


def _density(question: _Question) -> Draft | None:
    people, area = (shared(question.named("left"), (name,)) for name in ("population", "area"))
    if not people or not area or people[0].entity is not area[0].entity:
        return None
    found = [*people, *area]
    draft = looked_up(found)
    draft.calculate("d", f"round({{a.value}} / {{b.value}}, {digits_of(found[0].number / found[1].number)})")
    draft.answer("{d} people per km2 ({a}, {b})")
    return draft


def _convert(question: _Question) -> Draft | None:
    groups = dict(question.groups)
    if groups.get("attr") in ("year", "day"):
        attributes: Sequence[str] = ("orbital period",) if groups["attr"] == "year" else ("day length",)
    elif groups.get("verb") == "heavy":
        attributes = ("weight", "mass")
    elif groups.get("attr", "").startswith("from "):
        attributes = ("distance from the sun",) if "sun" in groups["attr"] else ("distance from Earth",)
    else:
        asked = attributes_of(groups)
        attributes = asked[0] if asked else ()
    found = shared(question.named("left"), attributes)
    if not found or groups["unit"] not in UNITS:
        return None
    unit, target = UNITS.get(found[0].fact.unit.lower()), UNITS[groups["unit"]]
    if unit is None or unit.dimension != target.dimension:
        return None
    value = (found[0].number * unit.factor + unit.offset - target.offset) / target.factor
    base = "{a.value}"
    if unit == target:
        expression = base
    elif unit.offset or target.offset:
        shifted = f"({base} * {unit.factor!r} + {unit.offset!r} - {target.offset!r}) / {target.factor!r}"
        expression = f"round({shifted}, {digits_of(value)})"
    else:
        expression = f"round({base} * {unit.factor!r} / {target.factor!r}, {digits_of(value)})"
    draft = looked_up(found)
    draft.calculate("d", expression)
    draft.answer(f"{_with_unit('d', groups['unit'])} ({figures(found)})")
    return draft


def _hop(question: _Question) -> Draft | None:
    """A fact of what a fact names: the population of the capital."""
    asked = attributes_of(dict(question.groups))
    via = attributes_named(question.groups["via"])
    first = next(iter(shared(question.named("left"), via, numbers=False)), None)
    if asked is None or first is None or not isinstance(first.fact.value, str):
        return None
    value = first.fact.value
    middle = load_atlas().get(value)
    if middle is None or middle.title != value or len(parts_of(value)) > 1:
        return None
    second = next(iter(shared([Mention(text=value, entities=(middle,))], asked[0], numbers=False)), None)
    if second is None or second.fact.attribute == first.fact.attribute:
        return None
    draft = looked_up([first])
    draft.look_up("b", f'"{second.fact.attribute} of {{a.value}}"', template=True)
    figure = _with_unit("b.value", second.fact.unit)
    draft.answer(f"{figure} ({{a.value}})")
    return draft


def _is(question: _Question) -> Draft | None:
    """Whether something is the capital, or another named fact."""
    attributes = attributes_named(question.groups["attr"])
    found = shared(question.named("right"), attributes, numbers=False)
    left = question.named("left")[0]
    if not found or not isinstance(found[0].fact.value, str):
        return None
    titles = [entity.title for entity in left.entities]
    titles = titles or _values_named(left.text, found[0].fact.attribute)
    if not titles:
        return None
    return _holds(found[0], titles, f"the {found[0].fact.attribute} of {found[0].title} is")


def _values_named(text: str, attribute: str) -> list[str]:
    value = values_of(attribute).get(fold(text)) if attribute in ("currency", "official language") else None
    return [value] if value else []


def _uses(question: _Question) -> Draft | None:
    """Whether a country uses a currency or speaks a language."""
    attribute = "official language" if "speak" in question.groups else "currency"
    found = shared(question.named("left"), (attribute,), numbers=False)
    titles = _values_named(question.named("right")[0].text, attribute)
    if not found or not titles:
        return None
    # People speak more than the official languages.
    no = "not officially" if attribute == "official language" else "no"
    return _holds(found[0], titles, f"the {attribute} of {found[0].title} is", no=no)


def _superlative(question: _Question) -> Draft | None:
    """Whether something is the highest, the largest and so on."""
    rest = re.sub(r"#(\d+)", lambda at: question.mentions[int(at[1])].text, question.groups["rest"])
    fact = best_of(rest)
    titles = {entity.title for entity in question.named("left")[0].entities}
    if fact is None or not fact.entries or fact.attribute in ("list", "count") or not titles:
        return None
    winners = [title for title, _, _ in fact.entries]
    if len(winners) > 1 or fact.title != winners[0]:
        return None
    title = winners[0] if winners[0] in titles else question.named("left")[0].entities[0].title
    draft = Draft()
    draft.look_up("a", rest)
    draft.line(f"if a.title == {quoted(title)}:")
    draft.answer(f"yes ({escaped(fact.attribute)} {{a}})", indent=True)
    draft.line("else:")
    draft.answer("no, it is {a.title} ({a})", indent=True)
    return draft


def _holds(found: Found, titles: Sequence[str], otherwise: str, *, no: str = "no") -> Draft | None:
    """Whether a fact is, or lists, one of `titles`."""
    value = str(found.fact.value)
    listed = parts_of(value)
    title = next((title for title in titles if title in listed or title == value), titles[0])
    holds = title in listed or title == value
    alone = title == value or len(listed) == 1
    if not alone and (title in value) != holds:
        return None  # a part of another name: Guinea in Equatorial Guinea
    draft = looked_up([found])
    draft.line(f"if a.value == {quoted(title)}:" if alone else f"if {quoted(title)} in a.value:")
    draft.answer("yes" + ("" if alone else f": {escaped(otherwise)} {{a.value}}"), indent=True)
    draft.line("else:")
    draft.answer(f"{no}, {escaped(otherwise)} {{a.value}}", indent=True)
    return draft


def _borders(question: _Question) -> Draft | None:
    things = question.things
    if len(things) != 2:
        return None
    found = shared(things, ("borders",), numbers=False)
    if not found:
        return None
    return _holds(found[0], [found[1].title], f"the neighbours of {found[0].title} are")


_SPREAD: Final = frozenset(
    {"river", "sea", "ocean", "desert", "forest", "lake", "island", "canyon", "ocean trench"}
)
"""Kinds of which the atlas may not name every place."""


def _within(question: _Question) -> Draft | None:
    left, right = question.named("left")[0], question.named("right")[0]
    place = right.entities[0]
    attributes = {
        "continent": ("continent",),
        "country": ("country", "location"),
        "US state": ("state",),
        "city": ("city",),
    }.get(place.kind, ())
    found = shared([left], attributes, numbers=False)
    if not found:
        return None
    lies_there = place.title in parts_of(str(found[0].fact.value))
    many = found[0].entity.kind in _SPREAD or found[0].title in WORDINGS["places"]["on_two_continents"]
    if many and not lies_there:
        return None  # the atlas may name only the main one
    return _holds(found[0], [place.title], f"the {found[0].fact.attribute} of {found[0].title} is")


_DEEDS: Final = {
    "built": ("completion year", "opening year"),
    "constructed": ("completion year", "opening year"),
    "completed": ("completion year", "opening year"),
    "finished": ("completion year",),
    "opened": ("opening year", "completion year"),
    "founded": ("founding year",),
    "launched": ("launch year",),
    "invented": ("invention year",),
    "discovered": ("discovery year",),
    "climbed": ("first ascent",),
    "first climbed": ("first ascent",),
    "admitted": ("admission year",),
}


def _made(question: _Question) -> Draft | None:
    found = shared(question.named("left"), _DEEDS[question.groups["deed"]])
    if not found:
        return None
    draft = looked_up(found)
    said = f"{escaped(found[0].title)}: {found[0].fact.attribute} {{a.value}}"
    draft.line(f"if a.value == {question.groups['year']}:")
    draft.answer(f"yes ({said})", indent=True)
    draft.line("else:")
    draft.answer(f"no ({said})", indent=True)
    return draft


_BEGINNINGS: Final = ("completion year", "opening year", "launch year", "first flight", "founding year")


def _age(question: _Question) -> Draft | None:
    """How old a thing is: the years since it was completed."""
    things = question.named("left")
    if any("lifespan" in entity.facts for entity in things[0].entities):
        return None
    found = shared(things, _BEGINNINGS)
    if not found:
        return None
    draft = looked_up(found)
    draft.tools.add("now")
    draft.line("t = now()")
    draft.calculate("d", "{t.date:.4} - {a.value}")
    draft.answer(f"{{d}} years ({found[0].fact.attribute} {{a.value}})")
    return draft


WRITERS: Final[dict[str, Callable[[_Question], Draft | None]]] = {
    "which": _which,
    "than": _than,
    "limit": _limit,
    "filter": _filter,
    "count": _count,
    "difference": _difference,
    "ratio": _ratio,
    "fits": _fits,
    "sum": _sum,
    "mean": _mean,
    "order": _order,
    "each": _each,
    "facts": _facts,
    "density": _density,
    "convert": _convert,
    "hop": _hop,
    "is": _is,
    "superlative": _superlative,
    "uses": _uses,
    "borders": _borders,
    "within": _within,
    "made": _made,
    "age": _age,
}


def written(reading: Reading, mentions: Sequence[Mention]) -> Draft | None:
    """The plan of a reading. None where the facts do not fit it."""
    writer = WRITERS.get(reading.kind)
    return writer(_Question(reading, mentions)) if writer is not None else None
