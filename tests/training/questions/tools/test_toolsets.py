"""Toolsets hold what a program needs."""

from __future__ import annotations

import random

from braid.executors.tools.spec import ToolSpec
from braid.training.questions.tools import draw_toolbox


def test_toolboxes_hold_what_the_program_needs() -> None:
    attributes = [("height", "mountain", True), ("capital", "country", False)]
    for number in range(300):
        rng = random.Random(number)
        try:
            box = draw_toolbox(rng, attributes, ranker=True, calculator=True, ranks=True)
        except LookupError:
            continue
        names = [spec.name for spec in box.specs]
        assert len(set(names)) == len(names)
        assert {box.toolset.calculate, *(box.toolset.lookup(noun).name for noun, _, _ in attributes)} <= set(
            names
        )
        assert box.toolset.rank is not None and box.toolset.rank.name in names
        assert len(names) <= 8
        assert all(isinstance(spec, ToolSpec) for spec in box.specs)
