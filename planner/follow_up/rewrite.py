"""Follow-ups: a question that leans on earlier ones becomes a question that stands by itself.

`rewrite` works on the typed turns of the conversation, without a model. It explains every word of the
follow-up or leaves it. Where the words lean on something that cannot be told, it says so (`Unresolved`),
since a guess would be answered with confidence. A question that stands by itself is left alone.

    How high is K2?
    And Mont Blanc?              -> What is the height of Mont Blanc?
    Which of the two is higher?  -> Which has the greater height, K2 or Mont Blanc?
    and in feet?                 -> 8611 m in feet

A rewritten question comes with its plan, since the shape of the last plan says what is wanted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from braid.planner.follow_up.another import read_entity, read_entity_in
from braid.planner.follow_up.attributes import (
    LOOKED_UP,
    read_attribute,
    read_attribute_in,
    read_meant,
    read_more,
    read_when,
)
from braid.planner.follow_up.comparisons import (
    read_before,
    read_both,
    read_comparison,
    read_ranking,
    read_share,
    read_than,
)
from braid.planner.follow_up.leaning import is_leaning, named_instead, stands_alone, stands_by_names
from braid.planner.follow_up.talk import (
    LEANING,
    FollowUp,
    StandaloneQuestion,
    Stated,
    Talk,
    Words,
    is_small_talk,
    mended,
    unresolved,
)
from braid.planner.follow_up.turns import LookUp, Turn
from braid.planner.follow_up.values import (
    read_age,
    read_ago,
    read_arithmetic,
    read_check,
    read_conversion,
    read_date,
    read_number,
    read_of_things,
    read_period,
    read_round,
    read_same,
    read_source,
    read_travel,
)
from braid.planner.follow_up.wordings import WORDINGS, compiled, groups_of
from braid.planner.follow_up.words import NUMBERS, THINGS

MAX_FOLLOW_UP: Final = 200
"""Most characters of a follow-up. A longer question is taken to stand by itself."""

MAX_QUESTION: Final = 2000
"""Most characters of a question that is read for remarks. A longer one is left as it is."""


def rewrite(question: str, turns: Sequence[Turn]) -> FollowUp | None:
    """Read a question in the light of the turns before it. None for one that stands by itself."""
    if len(question) > MAX_FOLLOW_UP or is_small_talk(question):
        return None
    question = _without_remarks(question)
    found = _read_one(question, turns)
    certain = isinstance(found, Stated) or (isinstance(found, StandaloneQuestion) and not found.otherwise)
    return found if certain else _read_two(question, turns) or found


def bare_question(question: str) -> str:
    """A question that stands by itself, without the remarks and the politeness around it.

    "Hi! My son asks. Could you tell me how long the Danube is?" is "how long is the Danube?".
    """
    if len(question) > MAX_QUESTION:
        return question
    text = _without_remarks(mended(question))
    if text != question and is_leaning(Words.of(text)):
        text = mended(question)  # the remark says what it is about
    indirect = compiled(_INDIRECT["lead"] + _INDIRECT["asked"]).fullmatch(text)
    if indirect is None:
        return text
    found = groups_of(indirect)
    if "be" in found:
        return f"{found['asks']} {found['be']} {found['thing']}?"
    return f"{found['direct'].rstrip(' ?.!')}?"


_INDIRECT: Final = WORDINGS["indirect"]


def _read_one(question: str, turns: Sequence[Turn]) -> FollowUp | None:
    """Read one question without remarks around it."""
    words, talk = Words.of(question), Talk(tuple(turns))
    if not words.text:
        return None
    for read in _READERS:
        if (found := read(talk, words)) is not None:
            return found
    if not is_leaning(words) or stands_by_names(words, talk):
        plain = words.text.split()
        named = any(word[:1].isupper() or word[:1].isdigit() for word in plain)
        fragment = words.joined or (len(plain) <= _FRAGMENT and not named)
        plainly = compiled(LEANING["plain"]).search(words.text) is not None
        plainly = plainly or (fragment and not stands_alone(words.text))
        return unresolved(words, talk) if talk.turns and plainly else None
    return named_instead(talk, words) or unresolved(words, talk)


_FRAGMENT: Final = 4
"""Most words of a phrase that is no question: "day of the week"."""


def _without_remarks(question: str) -> str:
    """A question without the sentences around it that ask nothing and name nothing: "That is a lot!"."""
    sentences = re.split(r"(?<=[!?…])\s+|(?<=[a-z0-9]{3}\.)\s+", question.strip())  # but not at "St."
    asking = [each for each in sentences if not is_small_talk(each)]
    while len(asking) > 1 and _is_remark(asking[0]):
        asking = asking[1:]
    while len(asking) > 1 and asking[-2].endswith("?") and _is_aside(asking[-1]):
        asking = asking[:-1]
    return " ".join(asking) if asking else question


def _is_aside(sentence: str) -> bool:
    """Whether a sentence behind a question only tells something of the person: "My teacher asks that."."""
    doubts = Words.of(sentence).match(WORDINGS["source"]["forms"]) is not None
    return _is_remark(sentence) and not doubts and _OF_ME.search(sentence) is not None


_OF_ME: Final = re.compile(r"\b(?:I|my|me|we|our)\b", re.IGNORECASE)


def _is_remark(sentence: str) -> bool:
    plain = sentence.split()
    names = [word for word in plain[1:] if word[:1].isupper() and word.split("'")[0] != "I"]
    guesses = Words.of(sentence).match(_TWO["guess"]) is not None
    counted = any(char.isdigit() for char in sentence) or not NUMBERS.keys().isdisjoint(
        sentence.lower().split()
    )
    says = guesses or counted or sentence.endswith("?")
    return not says and not names


def _read_two(question: str, turns: Sequence[Turn]) -> FollowUp | None:
    """Read "And Peru? Which is bigger?": another thing, and a question about it.

    The first part can also be a guess: "I thought it was Sydney. Which of the two is bigger?".
    """
    for cut in compiled(_TWO["cut"]).finditer(question):
        first, rest = question[: cut.start() + 1].strip(), question[cut.end() :].strip()
        if not first or not rest:
            continue
        if before := _guessed(first, turns):
            if isinstance(said := _read_one(rest, turns), Stated):
                return said
            second = _read_one(rest, before)
            if isinstance(second, StandaloneQuestion) and second.kind == "comparison":
                return second
        new = _read_one(f"and {first.strip(' ,?.!;')}?" if groups_of(cut) else first, turns)
        if not isinstance(new, StandaloneQuestion) or (looked := LOOKED_UP.fullmatch(new.plan)) is None:
            continue
        query = str(json.loads(looked["query"]))
        attribute, _, name = query.partition(" of ")
        unit = next((each.unit for each in Talk(tuple(turns)).group() if each.attribute == attribute), "")
        fact = LookUp(name=name, attribute=attribute, value=0, unit=unit, tool=looked["tool"], query=query)
        second = _read_one(rest, [*turns, Turn(question=new.question, answer="", lookups=(fact,))])
        if not isinstance(second, StandaloneQuestion) or not second.plan:
            continue
        if groups_of(cut):
            return second  # the thing comes first, and only then the question: "And Etna, how high is it?"
        plan = _ANSWERED.sub(lambda said: _also(said["said"]), second.plan)
        return replace(
            second,
            question=f"{new.question} {second.question}",
            plan=f"y = {looked['tool']}({looked['query']})\n{plan}",
        )
    return None


def _guessed(remark: str, turns: Sequence[Turn]) -> list[Turn]:
    """The turns with the last answer and a guess at it as things of their own: "I thought it was Sydney."."""
    names = re.findall(r"(?<!^)(?<!\. )\b(?!I\b)[A-Z][\w'-]*(?: [A-Z][\w'-]*)*", remark)
    guess = Words.of(remark).match(_TWO["guess"])
    if not names and guess is not None:
        names = [guess["name"].title()]
    last = turns[-1] if turns else None
    if remark.endswith("?") or len(names) != 1 or last is None or len(last.lookups) != 1:
        return []
    (fact,) = last.lookups
    if fact.attribute not in THINGS or not isinstance(fact.value, str) or fact.value != last.value:
        return []
    things = [
        fact.model_copy(update={"name": name, "query": name, "attribute": "", "value": None})
        for name in (fact.value, names[0])
    ]
    return [*turns[:-1], *(Turn(question=last.question, answer=e.name, lookups=(e,)) for e in things)]


_TWO: Final = WORDINGS["two"]


_ANSWERED: Final = re.compile(r"(?<=answer\()(?P<said>.*)(?=\)$)", re.MULTILINE)


def _also(said: str) -> str:
    """What is said of the second question, behind the answer to the first."""
    if said.startswith('f"'):
        return f'f"{{y}}; {said[2:]}'
    return f'f"{{y}}; {said[1:]}' if said.startswith('"') else f'f"{{y}}; {{{said}}}"'


_READERS: Final[tuple[Callable[[Talk, Words], FollowUp | None], ...]] = (
    read_check,
    read_same,
    read_source,
    read_round,
    read_arithmetic,
    read_both,
    read_share,
    read_before,
    read_travel,
    read_than,
    read_ranking,
    read_comparison,
    read_attribute_in,
    read_conversion,
    read_ago,
    read_age,
    read_date,
    read_when,
    read_more,
    read_meant,
    read_attribute,
    read_of_things,
    read_number,
    read_period,
    read_entity_in,
    read_entity,
)
