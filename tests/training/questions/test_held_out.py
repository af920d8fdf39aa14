"""What training must not show is found in questions."""

from __future__ import annotations

import random

import pytest

from braid.evals.tasks.planning_data import questions
from braid.training.questions import (
    FAMILIES,
    FAMILIES_BEYOND,
    Toolset,
    draw,
    forbidden_text,
    load_atlas,
    render,
)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("How tall is K2?", "title 'k2'"),
        ("How high is the Matterhorn in feet?", "title 'matterhorn'"),
        ("Imagine that the Rhine were 10% longer. How long would it be?", "wording 'imagine that'"),
        ("Which is longer, the Rhine or the Elbe?", None),
        ("How far is Neptune from the sun?", None),
        ("How high is Washington, D.C.?", None),
    ],
)
def test_titles_and_wordings(question: str, reason: str | None) -> None:
    found = forbidden_text(question, "")
    assert (found is None) if reason is None else (found is not None and reason in found), found


def test_the_frozen_set_is_found_whole() -> None:
    for split in ("train", "heldout", "handwritten-latest"):
        for row in questions(split):
            assert forbidden_text(row.question.upper(), "")
            assert forbidden_text("What is it?", row.plan)


@pytest.mark.parametrize("families", [FAMILIES, FAMILIES_BEYOND])
def test_held_out_draws_are_found_and_others_let_through(families: dict[str, tuple[object, float]]) -> None:
    def share(held_out: bool) -> float:
        world = load_atlas("train")
        found = 0
        for number in range(300):
            drawn = draw(random.Random(number), world, held_out=held_out, families=families)  # pyright: ignore
            found += forbidden_text(drawn.question, render(drawn.program, Toolset())) is not None
        return found / 300

    assert share(True) > 0.7
    assert share(False) < 0.1
