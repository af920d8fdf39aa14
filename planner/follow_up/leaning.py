"""Whether a question leans on earlier ones where no reader explains it."""

from __future__ import annotations

from typing import Final

from braid.planner.follow_up.talk import LEANING, FollowUp, StandaloneQuestion, Talk, Words, unresolved
from braid.planner.follow_up.wordings import compiled

_LONGEST_LEANING: Final = 8
"""Most words of a question that has nothing but a pronoun for what it is about."""


def named_instead(talk: Talk, words: Words) -> FollowUp | None:
    """Read "when was it opened?" as a question with the name in the pronoun's place.

    Only a look-up that explains all of it may answer it: of what it asks for, nothing is known here.
    """
    found = [*compiled(LEANING["replaced"]).finditer(words.text)]
    indefinite = [each for each in found if each[0].lower() == "they"]
    if len(found) > 1 and len(found) - len(indefinite) == 1:
        found = [each for each in found if each not in indefinite]  # "did they start building it"
    if len(found) != 1 or not talk.tool:
        return None
    (pronoun,) = found
    word = pronoun[0].lower()
    owner = word in ("its", "their", "his", "her") or word.endswith("'s")
    bare = {"its": "it", "their": "they", "his": "he", "her": "she"}.get(word, word.removesuffix("'s"))
    name = talk.thing(bare)
    if name is None:
        return None
    named = f"{name}'s" if owner else f"in {name}" if word == "there" else name
    question = f"{words.text[: pronoun.start()]}{named}{words.text[pronoun.end() :]}?"
    refused = unresolved(words, talk, f"nothing that is known of {name} answers it")
    return StandaloneQuestion(
        question=question,
        kind="attribute",
        reason=f"about {name} still",
        otherwise=refused.reason,
        names_nothing=refused.names_nothing,
    )


def is_leaning(words: Words) -> bool:
    """Whether a question plainly leans on what was said before."""
    if compiled(LEANING["operators"]).match(words.text):
        return True
    if words.joined and len(words.text.split()) <= _LONGEST_LEANING and not stands_alone(words.text):
        return True
    if compiled(LEANING["expletives"]).search(words.text):
        return False
    return compiled(LEANING["pronouns"]).search(words.text) is not None and not _has_own_referent(words.text)


def stands_by_names(words: Words, talk: Talk) -> bool:
    """Whether its pronouns rather stand for what it names itself: "With its depth, does Loch Ness ...".

    Where nothing was asked before, a long question or one with a name is none that leans.
    """
    plain = words.text.split()
    long = len(plain) > _LONGEST_LEANING
    named = any(word[:1].isupper() or word[:1].isdigit() for word in plain[1:] if word[:2] not in ("I", "I'"))
    return (long and named) if talk.turns else (long or named)


def stands_alone(text: str) -> bool:
    """Whether it is a full question about something that it names."""
    asks = compiled(LEANING["questions"]).match(text)
    return asks is not None and not compiled(LEANING["pronouns"]).search(text)


def _has_own_referent(text: str) -> bool:
    """Whether the question names something before its pronoun: "How high is K2 and where is it?"."""
    pronoun = compiled(LEANING["pronouns"]).search(text)
    before = text[: pronoun.start()] if pronoun else text
    names = [
        word for word in before.split()[1:] if word[:1].isupper() or any(char.isdigit() for char in word)
    ]
    return bool([word for word in names if word not in ("I", "I'm")])
