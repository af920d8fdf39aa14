"""Follow-ups that ask the same of another thing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from braid.planner.follow_up.attributes import in_unit
from braid.planner.follow_up.comparisons import DEGREES, comparison_of
from braid.planner.follow_up.leaning import is_leaning
from braid.planner.follow_up.talk import (
    LETTERS,
    MAX_THINGS,
    FollowUp,
    StandaloneQuestion,
    Talk,
    Words,
    is_question,
    is_same,
    name_in,
    one_fact,
    quoted,
    unresolved,
)
from braid.planner.follow_up.turns import LookUp, Turn
from braid.planner.follow_up.wordings import WORDINGS, compiled
from braid.planner.follow_up.words import (
    ATTRIBUTES,
)


def read_entity_in(talk: Talk, words: Words) -> FollowUp | None:
    """Read "and the Mississippi, in miles?"."""
    found = words.match(WORDINGS["another"]["in_unit"])
    if found is None or not (words.joined or compiled("@choice").fullmatch(found["asked"])):
        return None
    words = replace(words, joined=True)
    return in_unit(talk, read_entity(talk, replace(words, text=found["asked"])), found["unit"])


def read_entity(talk: Talk, words: Words) -> FollowUp | None:
    """Read "And Mont Blanc?" after "How high is K2?"."""
    found = words.match(WORDINGS["another"]["name"])
    terse = talk.last is not None and len(talk.last.question.split()) <= 3
    bare = (words.asks or terse) and len(words.text.split()) <= 3
    if found is None or not (words.joined or bare or "p" in found):
        return None
    if "p" in found:
        choice = compiled("@choice").fullmatch(found["p"])
        whole = compiled("(?:the|that)(?: whole| entire)? (?:country|nation)").fullmatch(found["p"])
        name = talk.thing(found["p"]) if choice or whole else None
        last = talk.focus.lookups[0] if talk.focus is not None else None
        if name is not None and last is not None and talk.tool and (choice or name != last.name):
            return one_fact(talk, last.attribute, name, kind="entity")
        return unresolved(words, talk)
    else:
        name = name_in(found["name"])
        if name is not None and not words.joined and is_question(name):
            return None
    turn = talk.focus
    if name is None or turn is None:
        leans = is_leaning(words) or ("prep" in found and talk.turns)
        return _same_place(talk, found) or (unresolved(words, talk) if leans else None)
    ranked = compiled(r"(?<!\w)@best(?!\w)").search(turn.question)
    if turn is talk.last and ranked and found.get("prep") == "in" and (there := _same_place(talk, found)):
        return there  # "and in Africa?" after the longest river in Europe
    (fact, *others) = {each.name: each for each in turn.lookups}.values()
    if fact.name[:1].isupper() and name.islower():
        name = " ".join(word if word in ("of", "the", "and") else word.capitalize() for word in name.split())
    simple = len(turn.lookups) == 1 and turn.value == fact.value and talk.tool
    after_conversion = turn is not talk.last and talk.last is not None and not talk.last.lookups
    if simple and not (after_conversion and isinstance(fact.value, str)):
        same = one_fact(talk, _attribute_of(turn, fact), name, kind="entity")
        converted = talk.last if after_conversion else None
        if converted is not None and converted.unit.lower() not in (fact.unit.lower(), ""):
            return in_unit(talk, same, converted.unit) or same  # "and a lion?" after "in mph?"
        return same
    if others:
        several = {(each.attribute, each.tool) for each in turn.lookups}
        if len(several) == 1 and turn.value is None and turn.plan and talk.tool and "prep" not in found:
            return one_fact(talk, fact.attribute, name, kind="entity")
        if found.get("prep") is None and (both := _and_compared(talk, turn, name)) is not None:
            return both
        if found.get("prep") != "than" or len(others) != 1:
            return unresolved(words, talk, "it does not say which of the two it takes the place of")
        fact = others[0]
    return _same_shape(turn, fact, name) or unresolved(words, talk)


def _and_compared(talk: Talk, turn: Turn, name: str) -> StandaloneQuestion | None:
    """Read "and the Danube?" after "Which is longer, the Nile or the Amazon?": it joins the comparison."""
    facts = list({each.name: each for each in turn.lookups}.values())
    if len(facts) >= MAX_THINGS:
        return None
    ranked = re.search(r'rank\(\[.*"(descending|ascending)"\)', turn.plan)
    alike = len({(each.attribute, each.unit) for each in facts}) == 1
    if not ranked or not alike or not talk.tool or not any(is_same(str(turn.value), each) for each in facts):
        return None
    order = "descending" if ranked[1] == "descending" else "ascending"
    attribute = facts[0].attribute
    found = comparison_of(talk, "which", [*(each.name for each in facts), name], attribute, order)
    last = LETTERS[len(facts)]
    most = f"{{z[0]}} has the {DEGREES[order][1]} {attribute}"
    said = f'answer(f"{{{last}}} for {{{last}.title}}; of these, {most}")'
    return replace(found, kind="entity", plan=found.plan.replace("answer(z[0])", said))


def _attribute_of(turn: Turn, fact: LookUp) -> str:
    """What the turn asked for: what its question names, where its plan looked up something else."""
    named = re.findall(compiled(r"(?<!\w)(?:@attr)(?!\w)").pattern, turn.question, re.IGNORECASE)
    attributes = {ATTRIBUTES[phrase.lower()] for phrase in named} - {
        "elevation",
        "area",
        "surface temperature",
    }
    return attributes.pop() if len(attributes) == 1 else fact.attribute


def _same_place(talk: Talk, found: Mapping[str, str]) -> StandaloneQuestion | None:
    """Read "And in Rome?" after a question that ends with "in Paris"."""
    if talk.last is None or "prep" not in found or (name := name_in(found["name"])) is None:
        return None
    pattern = rf"(?<!\w){found['prep']} (?!.*\b{found['prep']}\b)[^,;]+$"
    asked = talk.last.question.rstrip(" ?")
    question, count = re.subn(pattern, lambda _: f"{found['prep']} {name}?", asked, flags=re.IGNORECASE)
    return StandaloneQuestion(question=question, kind="entity", reason=f"about {name}") if count else None


def _same_shape(turn: Turn, fact: LookUp, name: str) -> StandaloneQuestion | None:
    """The last question and its plan with another name in it."""
    for mention in dict.fromkeys((fact.asked, fact.name)):
        pattern = rf"(?<!\w){re.escape(mention)}(?!\w)"
        question, count = re.subn(pattern, lambda _: name, turn.question, flags=re.IGNORECASE)
        if count != 1:
            continue
        plan, in_plan = re.subn(pattern, lambda _: quoted(name)[1:-1], turn.plan)
        return StandaloneQuestion(
            question=question, kind="entity", reason=f"about {name}", plan=plan if in_plan else ""
        )
    return None
