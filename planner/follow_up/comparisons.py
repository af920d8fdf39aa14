"""Follow-ups that compare what was spoken of: places in a ranking, differences, sums, ratios."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from braid.executors.values import short_form
from braid.planner.follow_up.talk import (
    LETTERS,
    MAX_THINGS,
    FollowUp,
    StandaloneQuestion,
    Talk,
    Words,
    is_same,
    name_in,
    quoted,
    unresolved,
    with_unit,
)
from braid.planner.follow_up.turns import LookUp, Turn
from braid.planner.follow_up.values import DATED, conversion_formula
from braid.planner.follow_up.wordings import WORDINGS, compiled, groups_of
from braid.planner.follow_up.words import (
    ATTRIBUTES,
    COMPARATIVES,
    ORDINALS,
    POSITIVES,
    SUPERLATIVES,
    THINGS,
    UNITS,
    Comparative,
)


def read_ranking(talk: Talk, words: Words) -> FollowUp | None:
    """Read "and the second longest?" and "and the biggest?" after a question for the longest river."""
    found = words.match(WORDINGS["ranking"]["forms"])
    if found is None or talk.last is None:
        return None
    ordinal = ORDINALS.get(found.get("ordinal", "").lower(), "")
    best, kind = found.get("comp", "").lower(), found.get("kind", "").lower()
    many = len(talk.group()) > 1
    asked = talk.last.question
    ranked = [*compiled(r"(?<!\w)(?:@place[ -])?(?P<comp>@best)(?!\w)").finditer(asked)]
    if not ordinal and many:
        return read_comparison(talk, replace(words, text=f"which is the {best}"))
    if not best and compiled("@choice").fullmatch(words.text) and (many or talk.thing(words.text)):
        return None  # "the second one" of two
    if len(ranked) != 1 or kind not in asked.lower():
        return unresolved(words, talk) if words.joined or words.asks else None
    was = groups_of(ranked[0])["comp"].lower()
    if best and best != was:
        counted = [each in ("most", "least", "fewest") for each in (best, was)]
        related = re.search(r"\b(?:to|from)\b", asked[ranked[0].end() :])
        if counted[0] != counted[1] or related:
            return unresolved(words, talk)
    place = f"{ordinal} {best or was}".strip()
    question = f"{asked[: ranked[0].start()]}{place}{asked[ranked[0].end() :]}"
    return StandaloneQuestion(
        question=question,
        kind="attribute",
        reason=f"another place in the ranking of {asked!r}",
        otherwise=unresolved(words, talk, f"nothing that is known answers {question!r}").reason,
    )


_SIZES: Final = {"two": 2, "both": 2, "three": 3, "four": 4, "five": 5}


def read_comparison(talk: Talk, words: Words) -> FollowUp | None:
    """Read "which is longer?", "what is the difference?", and "which is longer, and by how much?"."""
    gap = compiled(WORDINGS["comparison_gap"]["form"]).search(words.text)
    if gap is None:
        return _read_comparison(talk, words)
    which = _read_comparison(talk, replace(words, text=words.text[: gap.start()]))
    if not isinstance(which, StandaloneQuestion) or "    answer(z[0])\n" not in which.plan:
        return which
    difference, fact = "abs({a.value} - {b.value})", talk.group(2)[-1]
    shown, unit = "{a.unit}", groups_of(gap).get("unit", "")
    if unit and unit not in _COUNTS:
        if (formula := _difference_in(f"({difference})", fact, unit)) is None:
            return unresolved(words, talk, f"the {fact.attribute} is nothing that {unit} measure")
        difference, shown = formula, unit
    said = f'    d = calculate(f"{difference}")\n    answer(f"{{z[0]}}, by {{d}} {shown}")\n'
    question = f"{which.question.removesuffix('?')}, and by how much?"
    return replace(which, question=question, plan=which.plan.replace("    answer(z[0])\n", said))


_COUNTS: Final = frozenset({"years", "people"})
"""What is counted, not measured, in the words of a question."""


def _difference_in(value: str, fact: LookUp, unit: str) -> str | None:
    """The formula for a difference of facts like `fact` in another unit. None if that does not measure it."""
    source, target = UNITS.get(fact.unit.lower()), UNITS[unit.lower()]
    if source is None or source.dimension != target.dimension:
        return None
    return f"{value} * {source.factor!r} / {target.factor!r}"


def _read_comparison(talk: Talk, words: Words) -> FollowUp | None:
    found, how = None, "which"
    for how, forms in WORDINGS["comparison"].items():  # noqa: B007
        if (found := words.match(forms)) is not None:
            break
    if found is None:
        return None
    word = found.get("comp", "").lower()
    word = POSITIVES.get(word, word)
    if "kind" in found and word in SUPERLATIVES:
        return None  # "which country is the largest?" means all countries
    comparative = COMPARATIVES.get(word, Comparative((), any_number=True))
    sized = next((size for key, size in _SIZES.items() if f" {key}" in f" {words.text.lower()}"), None)
    all_of_them = word in SUPERLATIVES or how in ("sum", "mean")
    if (numbers := _of_numbers(talk, words, how, sized)) is not None:
        return numbers
    if "who" in found and not any(is_same(found["who"], each) for each in talk.group(2)):
        return _with_another(talk, words, how, found, comparative, word)
    group = talk.group(sized or (None if all_of_them else 2))
    if len(group) < 2 or (sized is not None and len(group) != sized) or not talk.tool:
        return unresolved(words, talk, "there are not enough things to compare")
    if (how in ("difference", "ratio") and len(group) != 2) or len(group) > MAX_THINGS:
        return unresolved(words, talk, "there are too many things")
    asked = ATTRIBUTES.get(found.get("attr", "").lower(), "")
    things = _answers(group, asked, comparative) if word else None
    if things:
        asked, group = things
    attribute = asked or _compared(talk, group, comparative, word)
    if not attribute:
        return unresolved(words, talk, f"{words.text!r} does not say what is to be compared")
    compared = comparison_of(talk, how, [each.name for each in group], attribute, comparative.order)
    if (name := found.get("unit", "")) == "":
        return compared
    return _told_in(talk, words, compared, group[-1], attribute, name)


def _told_in(
    talk: Talk, words: Words, compared: StandaloneQuestion, fact: LookUp, attribute: str, unit: str
) -> FollowUp:
    """A difference in another unit."""
    formula = _difference_in("{z}", fact, unit) if fact.attribute == attribute else None
    if formula is None:
        return unresolved(words, talk, f"the {attribute} is nothing that {unit} measure")
    said = f'y = calculate(f"{formula}")\nanswer(f"{{y}} {unit}")\n'
    question = f"{compared.question.removesuffix('?')} in {unit}?"
    return replace(compared, question=question, plan=compared.plan.replace('answer(f"{z} {a.unit}")\n', said))


def _with_another(
    talk: Talk, words: Words, how: str, found: Mapping[str, str], comparative: Comparative, word: str
) -> FollowUp | None:
    """Read "how much lower is Snowdon?": the last thing, and one that the words name."""
    name = name_in(found["who"])
    fact = talk.focus.lookups[-1] if talk.focus is not None else None
    if how not in ("difference", "ratio") or "than" in words.text or name is None or fact is None:
        return None  # it names something of its own
    attribute = ATTRIBUTES.get(found.get("attr", "").lower()) or _compared(
        talk, [fact, fact], comparative, word
    )
    if not attribute or not talk.tool or len({each.name for each in talk.group()}) != 1:
        return unresolved(words, talk)
    return comparison_of(talk, how, [name, fact.name], attribute, comparative.order)


def _answers(group: list[LookUp], asked: str, comparative: Comparative) -> tuple[str, list[LookUp]] | None:
    """What is compared where the answers of the group are things themselves: two capitals, "more people".

    Returns:
        The attribute, and the answers as things. None where the things asked about are meant.
    """
    told = {each.attribute for each in group}
    if len(told) != 1 or not all(isinstance(each.value, str) for each in group):
        return None
    fitting = THINGS.get(told.pop(), "").split()
    wanted = [asked] if asked else [*comparative.attributes]
    if not wanted or (wanted[0].replace(" ", "-") not in fitting and (asked or wanted[0] != "height")):
        return None
    attribute = next((each for each in wanted if each.replace(" ", "-") in fitting), "")
    if not attribute:
        return None
    return attribute, [each.model_copy(update={"name": str(each.value), "attribute": ""}) for each in group]


def _of_numbers(talk: Talk, words: Words, how: str, sized: int | None) -> StandaloneQuestion | None:
    """Read "add the two" after two turns that were calculated."""
    numbers: list[Turn] = []
    for turn in reversed(talk.turns):
        if turn.lookups or not isinstance(turn.value, (int, float)):
            break
        numbers.insert(0, turn)
    size = sized or 2
    units = {turn.unit for turn in numbers[-size:]}
    if how not in _OF_NUMBERS or len(numbers) < size or (sized is None and len(numbers) != size):
        return None
    taken = words.match(WORDINGS["comparison"][how])
    if len(units) != 1 or taken is None or taken.get("attr") or taken.get("unit"):
        return None
    values = [short_form(turn.value) for turn in numbers[-size:] if turn.value is not None]
    if any(value.startswith("-") for value in values):
        values = [f"({value})" for value in values]
    if how == "difference" and size != 2:
        return None
    (unit,) = units
    said = f'answer(f"{{a}} {unit}")' if unit else "answer(a)"
    expression = _OF_NUMBERS[how](values)
    return StandaloneQuestion(
        question=f"What is {expression}?",
        kind="value",
        reason=f"the last values are {', '.join(values)}",
        plan=f"a = calculate({quoted(expression)})\n{said}\n",
    )


_OF_NUMBERS: Final[Mapping[str, Callable[[Sequence[str]], str]]] = {
    "sum": " + ".join,
    "difference": lambda values: f"abs({' - '.join(values)})",
    "mean": lambda values: f"({' + '.join(values)}) / {len(values)}",
}


def _compared(talk: Talk, group: Sequence[LookUp], comparative: Comparative, word: str) -> str:
    """The attribute that a comparison is about. Empty where it cannot be told."""
    latest = group[-1]
    shared = all(
        (each.attribute, each.unit) == (latest.attribute, latest.unit)
        and isinstance(each.value, (int, float))
        for each in group
    )
    alike = latest.attribute in comparative.attributes or (
        comparative.any_number
        and not (word in ("higher", "highest", "lower", "lowest") and latest.unit in ("km", "km2"))
    )
    if shared and alike:
        return latest.attribute
    if shared:
        return ""
    if latest.attribute in comparative.attributes and all(e.attribute == latest.attribute for e in group):
        return latest.attribute
    return comparative.attributes[0] if comparative.attributes else ""


def comparison_of(
    talk: Talk,
    how: Literal["which", "difference", "sum", "mean", "ratio"],
    names: Sequence[str],
    attribute: str,
    order: Literal["descending", "ascending"],
) -> StandaloneQuestion:
    """The question that compares at most `MAX_THINGS` things by an attribute, with its plan."""
    letters, plan = LETTERS[: len(names)], talk.look_ups(attribute, names)
    of_each = [f"the {attribute} of {name}" for name in names]
    values = [f"{{{x}.value}}" for x in letters]
    listed = f"{', '.join(names[:-1])} or {names[-1]}"
    each = f"{', '.join(of_each[:-1])} and {of_each[-1]}"
    if how == "which":
        question = f"Which has the {DEGREES[order][len(names) > 2]} {attribute}, {listed}?"
        literal = ", ".join(map(quoted, names))
        numbers = ", ".join(f"{x}.value" for x in letters)
        if len(names) == 2:
            plan += (
                'if a.value == b.value:\n    answer("neither: both have the same value")\nelse:\n'
                f'    z = rank([{literal}], [{numbers}], "{order}")\n    answer(z[0])\n'
            )
        else:
            plan += f'z = rank([{literal}], [{numbers}], "{order}")\nanswer(z[0])\n'
        return StandaloneQuestion(
            question=question, kind="comparison", reason=f"of {', '.join(names)}", plan=plan
        )
    formulas = {
        "difference": f"abs({' - '.join(values)})",
        "sum": " + ".join(values),
        "mean": f"({' + '.join(values)}) / {len(values)}",
        "ratio": f"max({', '.join(values)}) / min({', '.join(values)})",
    }
    questions = {
        "difference": f"What is the difference between {each}?",
        "sum": f"What is the sum of {each}?",
        "mean": f"What is the average of {each}?",
        "ratio": f"What is the ratio of {each}?",
    }
    plan += f'z = calculate(f"{formulas[how]}")\n'
    # Years have no unit: "1889 and 1931" are 42 years apart.
    plan += "answer(z)\n" if how == "ratio" else 'answer(f"{z} {a.unit}")\n'
    return StandaloneQuestion(
        question=questions[how], kind="comparison", reason=f"of {', '.join(names)}", plan=plan
    )


def read_share(talk: Talk, words: Words) -> FollowUp | None:
    """Read "what percentage of the first is the second?" and "what share of Italy is that?"."""
    found = words.match(WORDINGS["share"]["forms"])
    if found is None or not talk.turns:
        return None
    fact = talk.focus.lookups[-1] if talk.focus is not None else None
    sides = [
        words_of.match([WORDINGS["share"]["of"]]) or {}
        for words_of in map(Words, (found["left"], found["right"]))
    ]
    names = [
        talk.thing(each["name"]) if compiled("@thing").fullmatch(each["name"]) else name_in(each["name"])
        for each in sides
    ]
    leans = any(compiled("@thing").fullmatch(each["name"]) for each in sides)
    asked = {ATTRIBUTES[each["attr"].lower()] for each in sides if "attr" in each}
    if fact is None or not leans:
        return None
    if None in names or names[0] == names[1] or not asked <= {fact.attribute} or not talk.tool:
        return unresolved(words, talk)
    left, right = (str(name) for name in names)
    attribute = fact.attribute
    return StandaloneQuestion(
        question=f"What percentage of the {attribute} of {right} is the {attribute} of {left}?",
        kind="comparison",
        reason=f"of {left}, {right}",
        plan=talk.look_ups(attribute, (left, right))
        + 'if a.unit == b.unit:\n    c = calculate(f"100 * {a.value} / {b.value}")\n    answer(f"{c} %")\n'
        + 'else:\n    decline("the two have different units")\n',
    )


def read_before(talk: Talk, words: Words) -> FollowUp | None:
    """Read "was that before or after the Eiffel Tower was finished?"."""
    found = words.match(WORDINGS["before"]["forms"])
    if found is None or not talk.turns:
        return None
    fact = talk.focus.lookups[-1] if talk.focus is not None and talk.focus is talk.last else None
    name = name_in(found["right"])
    if fact is None or name is None or not isinstance(fact.value, int) or not talk.tool:
        return unresolved(words, talk)
    built = re.search(r"built|finished|completed", found.get("built", "") + found.get("done", ""))
    attribute = "completion year" if built else fact.attribute
    return StandaloneQuestion(
        question=f"Is the {fact.attribute} of {fact.name} before the {attribute} of {name}?",
        kind="comparison",
        reason=f"of {fact.name}, {name}",
        plan=talk.look_up("a", fact.attribute, fact.name)
        + talk.look_up("b", attribute, name)
        + 'if a.value < b.value:\n    answer(f"before ({a.value}, {b.value})")\nelse:\n'
        + '    answer(f"not before ({a.value}, {b.value})")\n',
    )


def read_both(talk: Talk, words: Words) -> FollowUp | None:
    """Read "both in square miles, please": what was spoken of, each in another unit."""
    found = words.match(WORDINGS["both"]["forms"])
    if found is None or not talk.turns:
        return None
    group, target = talk.group(2), UNITS[found["unit"].lower()]
    sources = [UNITS.get(each.unit.lower()) for each in group]
    if not 2 <= len(group) <= len(_VALUES) or not talk.tool:
        return unresolved(words, talk, "there are not enough things, or too many")
    plan, said = "", list[str]()
    for x, y, each, source in zip(LETTERS, _VALUES, group, sources, strict=False):
        if source is None or source.dimension != target.dimension:
            return unresolved(
                words, talk, f"{found['unit']} do not measure the {each.attribute} of {each.name}"
            )
        formula = conversion_formula(f"{{{x}.value}}", source, target)
        plan += talk.look_up(x, each.attribute, each.name) + f'{y} = calculate(f"{formula}")\n'
        said.append(f"{{{x}.title}}: {{{y}}} {found['unit']}")
    names = " and ".join(f"the {each.attribute} of {each.name}" for each in group)
    return StandaloneQuestion(
        question=f"What are {names} in {found['unit']}?",
        kind="comparison",
        reason=f"of {', '.join(each.name for each in group)}",
        plan=f'{plan}answer(f"{", ".join(said)}")\n',
    )


_VALUES: Final = "uvwxyz"
"""Names for values in another unit."""


def read_than(talk: Talk, words: Words) -> FollowUp | None:
    """Read "Is Etna higher than that?" and "how much higher is it than Etna?": one side is a pronoun."""
    found, asks = None, "forms"
    for asks in ("ratio", "which", "forms", "doing", "how_much", "years"):
        if (found := words.match(WORDINGS["than"][asks])) is not None:
            break
    if found is None:
        return None
    measures = asks in ("how_much", "years")
    if ("left" not in found or "right" not in found) and not talk.turns:
        return None
    sides = [found.get("left", "it"), found.get("right", "it")]
    leaning = [compiled("@thing").fullmatch(side) is not None for side in sides]
    if not any(leaning):
        return None
    word = found.get("comp", "").lower()
    word = POSITIVES.get(word, word)
    comparative = COMPARATIVES.get(word, Comparative((), any_number=True))
    if (amount := Words(sides[1]).match(WORDINGS["than"]["amount"])) is not None:
        return _than_amount(talk, words, comparative, amount, measures=measures)
    names: list[str] = []
    for side, leans in zip(sides, leaning, strict=True):
        name = talk.thing(side) if leans else name_in(side)
        if name is None:
            return unresolved(words, talk)
        names.append(name)
    if len({*names}) < 2 and all(leaning):
        group = talk.group(2)  # "is it higher than that?": the last thing, and the one before it
        names = [each.name for each in reversed(group)]
    attribute = _between(talk, found, comparative, word, names)
    if len({*names}) < 2 or not attribute or not talk.tool:
        return unresolved(words, talk)
    if asks == "ratio":
        compared = comparison_of(talk, "ratio", names, attribute, comparative.order)
        larger = "max({a.value}, {b.value}) / min({a.value}, {b.value})"
        upside = compared.plan.replace(larger, "{a.value} / {b.value}")
        return compared if word else replace(compared, plan=upside)
    if asks == "years" and attribute not in DATED:
        return unresolved(words, talk, "the last answer is no year")
    if measures:
        compared = comparison_of(talk, "difference", names, attribute, comparative.order)
        unit = found.get("unit", "").lower()
        fact = talk.group()[-1]
        return compared if unit in ("", *_COUNTS) else _told_in(talk, words, compared, fact, attribute, unit)
    if asks == "which":
        return comparison_of(talk, "which", names, attribute, comparative.order)
    yes, no = (word, found["other"].lower()) if "other" in found else ("yes", "no")
    sign = ">" if comparative.order == "descending" else "<"
    degree = "greater" if comparative.order == "descending" else "smaller"
    return StandaloneQuestion(
        question=f"Is the {attribute} of {names[0]} {degree} than the {attribute} of {names[1]}?",
        kind="comparison",
        reason=f"of {', '.join(names)}",
        plan=talk.look_ups(attribute, names)
        + f'if a.value {sign} b.value:\n    answer("{yes}")\nelse:\n    answer("{no}")\n',
    )


def _between(
    talk: Talk, found: Mapping[str, str], comparative: Comparative, word: str, names: Sequence[str]
) -> str:
    """The attribute by which two things are compared. Empty where it cannot be told."""
    attribute = ATTRIBUTES.get(found.get("attr", "").lower(), _DEEDS.get(found.get("deed", "").lower(), ""))
    if attribute or talk.focus is None:
        return attribute
    known = talk.focus.lookups[-1]
    if known.attribute in THINGS and known.value in names:
        told = THINGS[known.attribute].split()
        return next((each for each in comparative.attributes if each in told), "")
    return _compared(talk, [known, known], comparative, word) or "".join(comparative.attributes[:1])


_DEEDS: Final = {
    "outrun": "top speed", "overtake": "top speed", "catch": "top speed", "outweigh": "weight",
    "outlive": "lifespan", "outlast": "lifespan", "tower over": "height",
}  # fmt: skip


def _than_amount(
    talk: Talk, words: Words, comparative: Comparative, amount: Mapping[str, str], *, measures: bool
) -> FollowUp:
    """Read "Is that more than 8000 m?", of the last value."""
    last = talk.last
    given, unit = amount["n"].replace(",", "").rstrip("."), amount.get("unit", "").lower()
    source, target = UNITS.get(last.unit.lower()) if last else None, UNITS.get(unit)
    if last is None or not isinstance(last.value, (int, float)) or measures:
        return unresolved(words, talk)
    if unit and unit != last.unit.lower():
        if source is None or target is None or source.dimension != target.dimension or source.offset:
            return unresolved(words, talk)
        given = f"{given} * {target.factor!r} / {source.factor!r}"
    sign = ">" if comparative.order == "descending" else "<"
    value = with_unit(last.value, last.unit)
    return StandaloneQuestion(
        question=f"Is {value} {'more' if sign == '>' else 'less'} than {' '.join(amount.values())}?",
        kind="value",
        reason=f"the last value is {value}",
        plan=f"a = calculate({quoted(f'{short_form(last.value)} {sign} {given}')})\nanswer(a)\n",
    )


DEGREES: Final = {"descending": ("greater", "greatest"), "ascending": ("smaller", "smallest")}
