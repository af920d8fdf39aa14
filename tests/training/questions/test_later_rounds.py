"""Questions that are shown in a later round."""

from __future__ import annotations

import random

from braid.training.questions import Builder, Toolset, later_round


def test_a_failed_look_up_is_told() -> None:
    b = Builder()
    b.answer(b.look("height", "K2"))
    told = {later_round(random.Random(number), b, Toolset()) for number in range(40)}
    assert any(
        before.startswith('# a = search("height of K2")  # failed: ')
        and plan == 'answer("I could not find the height of K2.")\n'
        for before, plan in told
    )
    assert any(
        before.startswith('a = search("height of K2")  # ') and plan == "answer(a.value)\n"
        for before, plan in told
    )
