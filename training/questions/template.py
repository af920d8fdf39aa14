"""Small English: verb forms, lists, plurals, and the drawing of alternatives of which some are held out."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

IRREGULAR = {
    "grow": ("grew", "grown"),
    "rise": ("rose", "risen"),
    "shrink": ("shrank", "shrunk"),
    "fall": ("fell", "fallen"),
    "cut": ("cut", "cut"),
    "go": ("went", "gone"),
    "sink": ("sank", "sunk"),
    "lose": ("lost", "lost"),
    "spread": ("spread", "spread"),
    "run": ("ran", "run"),
    "build": ("built", "built"),
    "bring": ("brought", "brought"),
    "put": ("put", "put"),
    "take": ("took", "taken"),
    "make": ("made", "made"),
    "let": ("let", "let"),
    "have": ("had", "had"),
    "speed": ("sped", "sped"),
    "slow": ("slowed", "slowed"),
    "knock": ("knocked", "knocked"),
    "shallow": ("shallowed", "shallowed"),
    "narrow": ("narrowed", "narrowed"),
    "swell": ("swelled", "swollen"),
    "shoot": ("shot", "shot"),
    "creep": ("crept", "crept"),
    "leap": ("leapt", "leapt"),
    "slide": ("slid", "slid"),
    "wear": ("wore", "worn"),
    "blow": ("blew", "blown"),
}
_DOUBLING = {"cut", "drop", "trim", "dip", "run", "put", "let", "step", "slip", "chop", "slim", "top", "thin"}


@dataclass(frozen=True)
class Verb:
    """The forms of a verb. Particles ("scale up") stay behind each form."""

    base: str
    third: str
    past: str
    participle: str
    gerund: str

    @classmethod
    def of(cls, text: str) -> Verb:
        head, _, particle = text.replace("-", " ").partition(" ")
        tail = f" {particle}" if particle else ""
        past, participle = IRREGULAR.get(head, (_past(head), _past(head)))
        third = head + ("es" if head.endswith(("s", "sh", "ch", "x", "o")) else "s")
        if head.endswith("y") and head[-2] not in "aeiou":
            third = head[:-1] + "ies"
        if head == "have":
            third = "has"
        stem = head[:-1] if head.endswith("e") and not head.endswith("ee") else head
        if head in _DOUBLING:
            stem = head + head[-1]
        return cls(head + tail, third + tail, past + tail, participle + tail, stem + "ing" + tail)


def _past(head: str) -> str:
    if head in _DOUBLING:
        return head + head[-1] + "ed"
    if head.endswith("e"):
        return head + "d"
    if head.endswith("y") and head[-2] not in "aeiou":
        return head[:-1] + "ied"
    return head + "ed"


def verbs(text: str) -> tuple[Verb, ...]:
    """Verbs from a line of dictionary forms. A hyphen joins a particle ("scale-up")."""
    return tuple(Verb.of(word) for word in text.split())


def words(text: str) -> list[str]:
    """The words of a line, one list entry each. A word that stands twice is drawn twice as often."""
    return text.split()


def phrases(text: str) -> list[str]:
    """Phrases that a line separates by "|"."""
    return text.split("|")


@dataclass
class Choice:
    """Draws among alternatives.

    Those passed as `held` are used only where `held_out` is set, and then more often than not. Such sentences
    contain wording that no training question has.

    `trail` records what was drawn where, as the name of the template.
    """

    rng: random.Random
    held_out: bool = False
    trail: list[str] = field(default_factory=list[str])

    def pick(self, *options: str, held: Sequence[str] = ()) -> str:
        if self.held_out and held and self.rng.random() < 0.65:
            index = self.rng.randrange(len(held))
            self.trail.append(f"h{index}")
            return held[index]
        index = self.rng.randrange(len(options))
        self.trail.append(str(index))
        return options[index]

    def frame(self, *patterns: str, held: Sequence[str] = (), **slots: str) -> str:
        """One of the patterns, written out: `[a|b|]` draws one of its alternatives, `{x}` is a slot."""
        return self.fill(self.pick(*patterns, held=held), **slots)

    def fill(self, pattern: str, **slots: str) -> str:
        """A pattern written out, without noting it in the trail."""
        text = alternatives(self.rng, pattern)
        for name, value in slots.items():
            text = text.replace(f"{{{name}}}", value)
        return " ".join(text.split())

    def listed(self, items: Sequence[str], *, last: str = "and", comma: float = 0.6) -> str:
        """`a, b, and c`, with the last comma in a share of `comma` of the cases."""
        return listed(items, last=last, comma=self.rng.random() < comma)


_ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")


def alternatives(rng: random.Random, pattern: str) -> str:
    """`pattern` with each `[a|b]`, innermost first, replaced by one of its alternatives."""
    while match := _ALTERNATIVES.search(pattern):
        pattern = pattern[: match.start()] + rng.choice(match[1].split("|")) + pattern[match.end() :]
    return pattern


def listed(items: Sequence[str], *, last: str = "and", comma: bool = True) -> str:
    """`a, b, and c`."""
    if len(items) < 3:
        return f" {last} ".join(items)
    return ", ".join(items[:-1]) + ("," if comma else "") + f" {last} " + items[-1]


def plural(noun: str) -> str:
    """The plural of a noun."""
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith(("s", "sh", "ch", "x")):
        return noun + "es"
    return "fish" if noun == "fish" else noun + "s"


def sentence(text: str) -> str:
    """`text` with a capital first letter and single spaces."""
    text = " ".join(text.split())
    return text[:1].upper() + text[1:]
