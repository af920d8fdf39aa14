"""The decision before the plan: which questions are answered in code, and which go to the planner.

A question is decided here only where one reader explains every word of it. A wrong shortcut is worse than none,
so what is left over in a question sends all of it to the plan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from braid.planner.events import RouteKind
from braid.planner.routing.arithmetic import Worked, arithmetic
from braid.planner.routing.conversion import conversion
from braid.planner.routing.dates import dated
from braid.planner.routing.nonsense import lone_word, mashed, sum_of_words, unbound, wordless
from braid.planner.routing.talk import (
    Installation,
    about,
    about_answer,
    reply,
    talk,
    wants_explaining,
    wants_writing,
)

_LONGEST = 1000


@dataclass(frozen=True, kw_only=True)
class Route:
    """The decision about one question."""

    kind: RouteKind
    reason: str
    """Why, in a few words."""
    answer: str | None = None
    """What is answered. None for `direct` and `plan`."""
    value: int | float | str | bool | None = None
    """The value behind the answer."""
    unit: str = ""
    """The unit of a number."""
    declined: bool = False
    """Whether the answer says that there is none."""
    question: str = ""
    """What is left to answer for `direct` and `plan`: the question without a greeting."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a decision depends on beside the question."""

    now: datetime = field(default_factory=lambda: datetime.now().astimezone())
    here: Installation = field(default_factory=Installation)
    known_name: Callable[[str], bool] | None = None
    """Whether a text names something that can be looked up. None where only tools can tell."""
    conversation: bool = False
    """Whether there are earlier turns, to which a pronoun may refer."""

    @property
    def judged(self) -> bool:
        """Whether code can judge what is no question. Tools of the user's own may understand anything."""
        return not self.here.other_tools and (self.here.facts or not self.here.tools)


def route(question: str, around: Surroundings | None = None) -> Route:
    """Decide where `question` goes. It asks no model and runs no tool."""
    around = around or Surroundings()
    text = question.strip()
    if not text:
        return _declined("empty", "no input", "Please ask a question, such as: How deep is Lake Baikal?")
    if len(text) > _LONGEST:
        return _onward(text, around)
    if around.judged and wordless(text) and not any(char in "0123456789" for char in text):
        return _declined("nonsense", "no words", "I see no question in that. What would you like to know?")
    said = talk(text)
    if said.intent is not None and not _for_the_agent(said.intent, around):
        answer, declined = reply(said.intent, said.language, around.here)
        return Route(kind="small_talk", reason=said.intent, answer=answer, value=answer, declined=declined)
    text = said.question or text
    for kind, read in _READERS.items():
        found = read(text, around)
        if found is not None:
            value = found.value if found.value is not None else found.answer
            return Route(
                kind=kind,
                reason=kind,
                answer=found.answer,
                value=value,
                unit=found.unit,
                declined=found.declined,
            )
    intent = about(text, around.here)
    if intent is not None:
        answer = about_answer(intent, around.here)
        return Route(kind="about_braid", reason=intent, answer=answer, value=answer)
    return _odd(text, around) or _onward(text, around)


_READERS: dict[Literal["arithmetic", "conversion", "date"], Callable[[str, Surroundings], Worked | None]] = {
    "arithmetic": lambda text, around: arithmetic(text),
    "date": lambda text, around: dated(text, around.now),
    "conversion": lambda text, around: conversion(text),
}


def _for_the_agent(intent: str, around: Surroundings) -> bool:
    """Whether the agent has more to say to small talk: a joke that it can write, or a `yes` to its question."""
    if intent == "joke":
        return around.here.chat
    return (
        around.here.other_tools
        and around.conversation
        and intent in ("praise", "complaint", "sorry", "leave")
    )


def _odd(text: str, around: Surroundings) -> Route | None:
    """Input that is no question."""
    if mashed(text, around.known_name):
        return _declined(
            "nonsense", "no words of a language", "I do not understand that. Please ask in other words."
        )
    word = lone_word(text)
    known = around.known_name
    if word is None or known is None or around.here.chat or around.conversation or not word.isascii():
        pass
    elif not known(word):
        return _declined(
            "nonsense",
            "a single word",
            f'I do not know what to do with "{word}" alone. Please ask a whole question about it.',
        )
    if known is not None and not around.here.chat and sum_of_words(text, known):
        return _declined(
            "nonsense", "a sum of what is no number", "That makes no sense to me: these are no numbers to reckon with."
        )  # fmt: skip
    pronoun = None if around.conversation or not around.judged else unbound(text)
    if pronoun is not None:
        return _declined(
            "nonsense",
            "a pronoun without a name",
            f'I do not know what "{pronoun}" stands for. Please name it in the question.',
        )
    return None


def _onward(text: str, around: Surroundings) -> Route:
    """`direct` for what a model that writes does without tools, else `plan`."""
    here = around.here
    writing = wants_writing(text)
    if here.chat:
        if not here.tools:
            return Route(kind="direct", reason="there are no tools", question=text)
        given = '"' in text or ":" in text or "\n" in text
        if writing and (given or not here.other_tools):
            return Route(kind="direct", reason="a text is to be written", question=text)
        if wants_explaining(text) and not here.other_tools and not any(char.isdigit() for char in text):
            return Route(kind="direct", reason="an explanation is to be written", question=text)
    elif writing and here.facts and not here.other_tools:
        return _declined(
            "about_braid", "a text is to be written",
            "That needs a model that writes texts. The small model here only plans look-ups and sums. --engine connects another one.",
        )  # fmt: skip
    return Route(kind="plan", reason="it needs a plan", question=text)


def _declined(kind: RouteKind, reason: str, answer: str) -> Route:
    return Route(kind=kind, reason=reason, answer=answer, value=answer, declined=True)
