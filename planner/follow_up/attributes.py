"""Follow-ups that ask something else of the same thing."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from braid.planner.follow_up.talk import (
    FollowUp,
    StandaloneQuestion,
    Talk,
    Words,
    name_in,
    one_fact,
    quoted,
    unresolved,
)
from braid.planner.follow_up.values import conversion_formula
from braid.planner.follow_up.wordings import WORDINGS
from braid.planner.follow_up.words import (
    ATTRIBUTES,
    NEVER_NAMES,
    UNITS,
    UNITS_OF,
    YEARS,
)

LOOKED_UP: Final = re.compile(r'a = (?P<tool>\w+)\((?P<query>"(?:[^"\\]|\\.)*")\)\nanswer\(a\)\n')


def read_attribute_in(talk: Talk, words: Words) -> FollowUp | None:
    """Read "how high is it in feet?" and "its melting point in F": an attribute that is to be converted."""
    found = words.match(WORDINGS["attribute"]["in_unit"])
    if found is None or talk.last is None:
        return None
    target = UNITS[found["unit"].lower()]
    source = UNITS.get(talk.last.unit.lower())
    if source is not None and source.dimension == target.dimension and not found["asked"].startswith("its"):
        return None  # the last value itself can be what is meant
    asked = read_attribute(talk, Words(found["asked"], joined=True, asks=True))
    return in_unit(talk, asked, found["unit"])


def in_unit(talk: Talk, asked: FollowUp | None, name: str) -> StandaloneQuestion | None:
    """A question for one fact, in another unit."""
    if not isinstance(asked, StandaloneQuestion) or talk.focus is None:
        return None
    attribute = asked.question.removeprefix("What is the ").partition(" of ")[0]
    fact, target = talk.focus.lookups[-1], UNITS[name.lower()]
    unit = fact.unit if fact.attribute == attribute else UNITS_OF.get(attribute, "")
    source = UNITS.get(unit.lower())
    if source is None or source.dimension != target.dimension or LOOKED_UP.fullmatch(asked.plan) is None:
        return None
    lookup, _, _ = asked.plan.partition("\n")
    expression = conversion_formula("{a.value}", source, target)
    return replace(
        asked,
        question=f"{asked.question.removesuffix('?')} in {name}?",
        plan=f'{lookup}\nb = calculate(f"{expression}")\nanswer(f"{{b}} {name}")\n',
    )


def read_attribute(talk: Talk, words: Words) -> FollowUp | None:
    """Read "and its capital?" and "where is it?"."""
    for attribute, forms in WORDINGS["asked"].items():
        if (found := words.match(forms)) is not None and (found or talk.turns):
            return _attribute(talk, words, found.get("p", "it"), attribute)
    found = words.match(WORDINGS["attribute"]["theirs"])
    singular = found["attr"].lower() if found is not None else ""
    asked = ATTRIBUTES.get(singular, ATTRIBUTES.get(f"{singular.removesuffix('ie')}y"))
    if asked is not None and len(talk.group(2)) == 2 and talk.tool:
        return _of_each(talk, asked)
    found = words.match(WORDINGS["attribute"]["its"])
    if found is None:
        found = words.match(WORDINGS["attribute"]["the"])
        if found is None or ("p" not in found and not (words.joined or (words.asks and talk.turns))):
            return _read_explicit(talk, words)
    asked = found["attr"].lower()
    if asked not in ATTRIBUTES and NEVER_NAMES.intersection(asked.split()):
        return None
    if asked in ATTRIBUTES:
        return _attribute(talk, words, found.get("p", "it"), ATTRIBUTES[asked])
    name = talk.thing(found.get("p", "it"))
    if name is None or not talk.tool:
        return unresolved(words, talk)
    return StandaloneQuestion(
        question=f"What is the {asked} of {name}?",
        kind="attribute",
        reason=f"about {name} still",
        otherwise=unresolved(words, talk, f"nothing is known here of the {asked} of {name}").reason,
        names_nothing=True,
    )


def read_when(talk: Talk, words: Words) -> FollowUp | None:
    """Read "and when?" after "who built it?"."""
    if words.match(WORDINGS["when"]["forms"]) is None or not talk.turns:
        return None
    facts = {each.name: each for each in talk.focus.lookups} if talk.focus is talk.last and talk.focus else {}
    (name, fact) = next(iter(facts.items())) if len(facts) == 1 else ("", None)
    if fact is None or not talk.tool or fact.attribute not in YEARS:
        return unresolved(words, talk)
    return one_fact(talk, YEARS[fact.attribute], name, kind="attribute")


def read_more(talk: Talk, words: Words) -> FollowUp | None:
    """Read "what else do you know about it?"."""
    found = words.match(WORDINGS["more"]["forms"])
    if found is None or not talk.turns:
        return None
    name = talk.thing(found.get("p", "it"))
    if name is None or not talk.tool:
        return unresolved(words, talk)
    return StandaloneQuestion(
        question=f"What is known about {name}?",
        kind="attribute",
        reason=f"about {name} still",
        plan=f"a = {talk.tool}({quoted(name)})\nanswer(a.text)\n",
    )


def read_meant(talk: Talk, words: Words) -> FollowUp | None:
    """Read "the planet" after something that several things are called."""
    found = words.match(WORDINGS["meant"]["forms"])
    facts = {each.name: each for each in talk.focus.lookups} if talk.focus is not None else {}
    if found is None or len(facts) != 1 or not talk.tool or found["kind"].lower() in ATTRIBUTES:
        return None
    (fact,) = facts.values()
    name = re.sub(r" \([^)]*\)$", "", fact.name)
    return one_fact(talk, fact.attribute, f"{name} ({found['kind'].lower()})", kind="entity")


def _read_explicit(talk: Talk, words: Words) -> FollowUp | None:
    """Read "and the population of Italy?". It names both, and is no full question."""
    found = words.match(WORDINGS["attribute"]["of"])
    if found is None or not words.joined or not talk.tool or (name := name_in(found["name"])) is None:
        return None
    return one_fact(talk, ATTRIBUTES[found["attr"].lower()], name, kind="entity")


def _of_each(talk: Talk, attribute: str) -> StandaloneQuestion:
    """Read "and their capitals?" after two questions about one thing each."""
    names = [each.name for each in talk.group(2)]
    return StandaloneQuestion(
        question=f"What are the {attribute} of {names[0]} and the {attribute} of {names[1]}?",
        kind="attribute",
        reason=f"about {' and '.join(names)} still",
        plan=talk.look_ups(attribute, names) + 'answer(f"{a.title}: {a}, {b.title}: {b}")\n',
    )


def _attribute(talk: Talk, words: Words, word: str, attribute: str) -> FollowUp:
    name = talk.thing(word, attribute)
    if name is None or not talk.tool:
        return unresolved(words, talk)
    return one_fact(talk, attribute, name, kind="attribute")
