"""Nonce words in place of words that matter little. What is left must be enough to understand."""

from __future__ import annotations

import random
from collections.abc import Sequence

from braid.training.questions.invented_names import syllable
from braid.training.questions.template import words
from braid.training.questions.typing_noise import free_words

NONCE_SHARE = 0.15
"""Share of the questions that get such words."""

_LIGHT = frozenset(
    words(
        "if given assuming suppose supposing imagine considering when once provided assume pretend with after "
        "tell find give compute calculate determine name pick say show work look take consider identify report "
        "was were would be becomes become will ends gets been turns comes have has boasts shows "
        "then now so just exactly please actually really still current present usual own "
        "me us you we they people one ones these those that it its them both"
    )
)
_ENDINGS = ("", "", "", "ing", "ed", "s", "er", "ly")


def strange_word(rng: random.Random) -> str:
    """A word of one or two syllables that means nothing."""
    return "".join(syllable(rng) for _ in range(rng.choice((1, 1, 2)))) + rng.choice(_ENDINGS)


def estranged(rng: random.Random, question: str, kept: Sequence[str]) -> str:
    """`question` with one to three light words replaced by nonce words. `kept` stay letter by letter."""
    light = [m for m in free_words(question, "[A-Za-z]+", kept) if m[0].lower() in _LIGHT]
    for m in sorted(rng.sample(light, min(len(light), rng.randint(1, 3))), key=lambda m: -m.start()):
        word = strange_word(rng)
        word = word.capitalize() if m[0][0].isupper() else word
        question = question[: m.start()] + word + question[m.end() :]
    return question
