"""The words of a follow-up, the turns that it can lean on, and what reading it gives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from braid.executors.values import short_form
from braid.planner.follow_up.turns import LookUp, Turn
from braid.planner.follow_up.wordings import WORDINGS, compiled, groups_of
from braid.planner.follow_up.words import (
    ATTRIBUTES,
    COMPARATIVES,
    KINDS,
    MISSPELLED,
    NEVER_NAMES,
    POSITIVES,
    SPELLINGS,
    THING_NOUNS,
    THINGS,
    UNITS,
)
from braid.planner.routing import one_slip


@dataclass(frozen=True, kw_only=True)
class StandaloneQuestion:
    """The follow-up as a question that stands by itself."""

    question: str
    kind: Literal["entity", "attribute", "comparison", "value"]
    """What is new: the thing that is asked about, what is asked of it, or what is done with values."""
    reason: str
    """What the words were taken for, for a person."""
    plan: str = ""
    """Its plan. Empty where a planner must write it."""
    otherwise: str = ""
    """Why there is no answer where no look-up explains the question. Empty where a planner may try."""
    names_nothing: bool = False
    """Whether later questions are still about what was spoken of where there is no answer."""


@dataclass(frozen=True, kw_only=True)
class Stated:
    """The follow-up asks about the last answer itself. This is what is to be said."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Unresolved:
    """The question leans on something that cannot be told. It is to be declined."""

    reason: str
    names_nothing: bool = False
    """Whether it names nothing of its own, so that later questions are still about what was spoken of."""


FollowUp: TypeAlias = StandaloneQuestion | Stated | Unresolved


def mended(question: str) -> str:
    """A question with the usual spelling of the words that ask: "wich", "ppl"."""
    words = re.split(r"(\W+)", question.replace("’", "'"))
    return "".join(_spelled(word) for word in words)


_RANKED: Final = re.compile(r"\b(?:\w{3,}est|most|least) ", re.IGNORECASE)


def _spelled(word: str) -> str:
    """A word as it is usual: one that asks may have two letters in the wrong order, or one too few."""
    if (known := MISSPELLED.get(word.lower())) is not None:
        return known
    if not word.islower() or word in SPELLINGS or len(word) < _SHORTEST_SLIP:
        return word

    def slipped(meant: str) -> bool:
        swapped = sorted(word) == sorted(meant)
        missing = len(meant) == len(word) + 1 > _SHORTEST_SLIP + 1 and (word[0], word[-1]) == (
            meant[0],
            meant[-1],
        )
        return (swapped or missing) and one_slip(word, meant)

    return next(filter(slipped, sorted(SPELLINGS)), word)


_SHORTEST_SLIP: Final = 5
"""Fewest letters of a word in which two changed places. One in which one is missing has more."""


def is_small_talk(question: str) -> bool:
    """Whether it only thanks, greets or agrees: it neither leans on a turn nor is one."""
    return Words.of(question).match(WORDINGS["small_talk"]["forms"]) is not None


@dataclass(frozen=True)
class Words:
    """A question without greeting, punctuation and short forms."""

    text: str
    joined: bool = False
    """Whether it began as a continuation: "and", "what about"."""
    asks: bool = False
    """Whether it ended with a question mark."""

    @classmethod
    def of(cls, question: str) -> Words:
        text = " ".join(mended(question).split())
        asks = text.endswith("?")
        text = text.strip(" ?!.…,;:")
        for short, full in _SHORT_FORMS:
            text = re.sub(short, full, text, flags=re.IGNORECASE)
        text = compiled(f"^{_EDGES['polite']}").sub("", text)
        lead, joined = compiled(rf"(?:{'|'.join(_EDGES['lead'])})(?:,\s*|\s+|\.\s*)"), False
        while (found := lead.match(text)) and found.end() < len(text):
            joined = joined or "joins" in groups_of(found)
            text = text[found.end() :]
        joined = joined or text.lower() in ("and", "and then", "or")
        return cls(compiled(_EDGES["tail"] + "$").sub("", text).strip(" ,"), joined, asks)

    def match(self, forms: Sequence[str], before: str = "", after: str = "") -> dict[str, str] | None:
        """What the groups of the first form took that takes the whole text."""
        for form in forms:
            if (found := compiled(f"{before}(?:{form}){after}").fullmatch(self.text)) is not None:
                return groups_of(found)
        return None


_SHORT_FORMS: Final[tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]] = (
    (r"\b(what|where|who|how|that)'?s\b", r"\1 is"),
    (r"\b(it|there|when|which)'s\b", r"\1 is"),
    (r"\b(what|where|who|how)'?re\b", r"\1 are"),
    (r"\bthey're\b", "they are"),
    (r"\bdon't\b", "do not"),
    (r"\b(?:even|exactly|actually|really) (?=\w)", ""),
    (r"\bsuch an? \w+\b", "it"),
    (r"\bthan (?:us|ours|we (?:do|have)|here)\b", "than Earth"),
    (
        rf"\bmore ({'|'.join(POSITIVES.keys() - {'much', 'many'})})\b",
        lambda found: POSITIVES[found[1].lower()],
    ),
)


_EDGES: Final = WORDINGS["edges"]


class Talk:
    """The turns, and what words can refer to in them."""

    def __init__(self, turns: tuple[Turn, ...]) -> None:
        self.turns = turns
        self.last = turns[-1] if turns else None
        spoken: list[Turn] = []
        for turn in reversed(turns):
            if turn.lookups:
                spoken.insert(0, turn)
            elif not isinstance(turn.value, (int, float)):
                break  # it was about something that no look-up tells
        self.focus = spoken[-1] if spoken else None
        """The last turn that looked something up."""
        self._spoken = spoken

    def group(self, size: int | None = None) -> list[LookUp]:
        """What the last turns were about, a look-up for each thing, the earliest first.

        Args:
            size: How many things. None takes those of the last turn, or of the last turns about one thing.
        """
        found: dict[str, LookUp] = {}
        for turn in reversed(self._spoken):
            things = {each.name: each for each in turn.lookups}
            if found and (len(found) == size or (len(things) > 1 and len({*found, *things}) != size)):
                break
            found = {name: each for name, each in things.items() if name not in found} | found
            if len(things) > 1:
                break
        return list(found.values())

    def thing(self, word: str, attribute: str = "") -> str | None:
        """The name of what a pronoun stands for, or None where that cannot be told."""
        word = word.lower().removesuffix("'s")
        if compiled("@choice").fullmatch(word):
            return self._chosen(word)
        if self.focus is None:
            return None
        looked_up = {each.name: each for each in self.focus.lookups}
        if len(looked_up) == 1:
            (only,) = looked_up.values()
            if word in _PERSONS and self.focus.value == only.value and isinstance(only.value, str):
                return None  # it is the person that was named, of whom nothing is known
            if self.focus is self.last and self.focus.value is None and _RANKED.search(self.focus.question):
                return None  # "the biggest island in the Mediterranean" is not that sea
            if word.split()[-1] in ("city", "town", "country", "nation") and (told := self._told(only, word)):
                return told
            if (owner := self._owner_of(only, word)) is not None:
                return owner
            if self._answers_with_thing(only, word, attribute):
                return str(only.value)
            if only.value is None and word.split()[-1] in THING_NOUNS.get(only.attribute, "").split():
                return None  # "that city" after a capital that was not found
            return only.name
        if word in ("they", "them", "their"):
            return None
        return self._answered(looked_up.values())

    def _answers_with_thing(self, fact: LookUp, word: str, attribute: str) -> bool:
        if self.focus is not self.last or fact.value is None or self.focus is None:
            return False
        if fact.value != self.focus.value or fact.attribute not in THINGS:
            return False
        noun = word.removesuffix("'s").split()[-1]
        if noun in KINDS:
            return noun in THING_NOUNS[fact.attribute].split()
        return attribute.replace(" ", "-") in THINGS[fact.attribute].split()

    def _told(self, fact: LookUp, word: str) -> str | None:
        """The city or country that an earlier turn told of the same thing: "that city"."""
        if self.focus is not self.last:
            return None
        noun = word.rsplit(maxsplit=1)[-1]
        for turn in reversed(self.turns[:-1]):
            for each in turn.lookups:
                named = noun in THING_NOUNS.get(each.attribute, "").split() and each.name == fact.name
                if named and isinstance(each.value, str) and fact.attribute not in THINGS:
                    return each.value
        return None

    def _owner_of(self, fact: LookUp, word: str) -> str | None:
        """The country of which the thing is the capital, for "in the whole country?" after both."""
        if word.rsplit(maxsplit=1)[-1] not in ("country", "nation"):
            return None
        told = (each for turn in self.turns for each in turn.lookups)
        return next(
            (each.name for each in told if each.attribute == "capital" and each.value == fact.name), None
        )

    def _answered(self, things: object) -> str | None:
        """The one of several things that the last answer named."""
        said = self.focus.value if self.focus is not None else None
        assert self.focus is not None
        named = [e for e in self.focus.lookups if isinstance(said, str) and is_same(said, e)]
        return named[0].name if named else None

    def _chosen(self, word: str) -> str | None:
        group = self.group(2)
        if len(group) < 2:  # of the things that an earlier turn listed
            lists = (turn.lookups for turn in reversed(self._spoken) if len(turn.lookups) > 1)
            group = [*next(lists, ())]
        if len(group) < 2:
            return None
        compared = word.split(maxsplit=1)[1].removesuffix(" one")
        if (comparative := COMPARATIVES.get(compared)) is not None:
            alike = {each.attribute for each in group} <= {*comparative.attributes} or comparative.any_number
            values = [each.value for each in group if isinstance(each.value, (int, float))]
            one_attribute = len({(each.attribute, each.unit) for each in group}) == 1
            if not alike or not one_attribute or len({*values}) < len(group):
                return None
            best = max(values) if comparative.order == "descending" else min(values)
            return next(each.name for each in group if each.value == best)
        if "other" in word:
            if len(group) != 2:
                return None
            assert self.focus is not None
            several = len({each.name for each in self.focus.lookups}) > 1
            now = self._answered(group) if several else group[-1].name
            return next((each.name for each in group if each.name != now), None) if now else None
        at = next(at for key, at in _PLACES.items() if key in word)
        if at >= len(group):
            return None
        told = word.rsplit(maxsplit=1)[-1] in THING_NOUNS.get(group[at].attribute, "").split()
        return str(group[at].value) if told else group[at].name  # "the first city" of two capitals

    @property
    def tool(self) -> str:
        """The tool of the last look-up, if it takes one text."""
        fact = self.focus.lookups[-1] if self.focus is not None else None
        return fact.tool if fact is not None and fact.query else ""

    def look_up(self, variable: str, attribute: str, name: str) -> str:
        return f"{variable} = {self.tool}({quoted(f'{attribute} of {name}')})\n"

    def look_ups(self, attribute: str, names: Sequence[str]) -> str:
        """A look-up for each of at most `MAX_THINGS` names, bound to a, b, ..."""
        return "".join(self.look_up(x, attribute, name) for x, name in zip(LETTERS, names, strict=False))


LETTERS: Final = "abcdefghijklmnopqrst"
MAX_THINGS: Final = len(LETTERS)
"""Most things that are compared or told of at once."""

_PLACES: Final = {
    "first": 0, "former": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1, "latter": -1,
}  # fmt: skip
_PERSONS: Final = frozenset({"he", "she", "him", "her", "his", "who"})


def is_same(name: str, fact: LookUp) -> bool:
    """Whether a fact is about what is called `name`."""
    return name.casefold() in (fact.name.casefold(), fact.asked.casefold())


def quoted(text: str) -> str:
    """A text as a plan has it."""
    return json.dumps(text, ensure_ascii=False)


def with_unit(value: float | str, unit: str = "") -> str:
    """A value as people read it."""
    return f"{short_form(value)} {unit}".rstrip()


def one_fact(
    talk: Talk, attribute: str, name: str, *, kind: Literal["entity", "attribute"]
) -> StandaloneQuestion:
    """The question for one fact, with its plan."""
    if attribute == "population density":
        people, area = talk.look_up("a", "population", name), talk.look_up("b", "area", name)
        plan = (
            people + area + 'c = calculate(f"{a.value} / {b.value}")\nanswer(f"{c} {a.unit} per {b.unit}")\n'
        )
    else:
        plan = talk.look_up("a", attribute, name) + "answer(a)\n"
    reason = f"about {name}" if kind == "entity" else f"about {name} still"
    return StandaloneQuestion(
        question=f"What is the {attribute} of {name}?", kind=kind, reason=reason, plan=plan
    )


def name_in(text: str) -> str | None:
    """`text` as a name. None where it has words that stand in no name."""
    text = re.sub(r"^(?:(?:in|of|for) )?(?:the |a |an )?", "", text.strip(), flags=re.IGNORECASE)
    text = re.sub(r"'s$|(?<=\w) one$", "", text)  # "the golden gate one"
    plain = text.lower().replace("'s", "").split()
    if not plain or NEVER_NAMES.intersection(plain) or all(word.isdigit() for word in plain):
        return None
    if {*plain} & UNITS.keys() or plain[0].isdigit():
        return None
    return text


def is_question(text: str) -> bool:
    """Whether a bare phrase says itself what it asks for: "K2's height", "height of K2"."""
    plain = text.lower().replace("'s", "").split()
    return bool({*plain} & ({"of"} | ATTRIBUTES.keys() | COMPARATIVES.keys()))


LEANING: Final = WORDINGS["leaning"]


def unresolved(words: Words, talk: Talk, why: str = "") -> Unresolved:
    """What is said where it cannot be told what the words lean on."""
    if not talk.turns:
        why = "nothing was asked before"
    return Unresolved(
        names_nothing=_names_nothing(words),
        reason=f"I cannot tell what {words.text!r} refers to{f': {why}' if why else ''}. "
        "Ask it as a question that stands by itself.",
    )


def _names_nothing(words: Words) -> bool:
    """Whether a question has nothing but a pronoun to say what it is about: "who built it?"."""
    if compiled(LEANING["pronouns"]).search(words.text) is None or " than " in words.text:
        return False
    if compiled(LEANING["another"]).match(words.text):
        return False  # it asks for another thing, which later questions can be about
    return not any(word[:1].isupper() or word[:1].isdigit() for word in words.text.split()[1:])
