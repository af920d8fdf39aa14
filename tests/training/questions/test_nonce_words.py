"""Words that mean nothing."""

from __future__ import annotations

import random

from braid.training.questions import estranged


def test_strange_words_leave_names_and_numbers_alone() -> None:
    rng = random.Random(0)
    question = "If the Nile were 15% shorter and Lake Given twice as long, which one would be the longest?"
    for _ in range(50):
        other = estranged(rng, question, ("Nile", "Lake Given"))
        assert other != question
        assert all(word in other for word in ("Nile", "15% shorter", "Lake Given twice", "longest?"))
