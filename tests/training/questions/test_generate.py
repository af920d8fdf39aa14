"""The planning set: its splits, and that its reference plans give its true answers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import AsyncIterator
from typing import get_args

import pytest

from braid.evals.tasks.planning import matches
from braid.evals.tasks.planning_data import frozen_tools
from braid.executors import GraphPatch, RunContext, TaskGraph, ToolRegistry, run_graph
from braid.executors.values.values import short_form
from braid.planner import compile_plan
from braid.training.questions import Split, generate
from braid.training.questions.families import FAMILIES
from braid.training.questions.world import held_out

SPLITS: tuple[Split, ...] = get_args(Split)
DRAWN: dict[Split, str] = {
    "train": "467497173b330344f0f7f49877b820f62a2ea8ec9e9e45382e0a7598fa4bf224",
    "heldout-templates": "d6e51512bb84c06e2ac5c8cf85c6cc0098fedf6a7d2f09ee60f2b3e686c7b8dc",
    "heldout-entities": "c3052d09af929ef6b01f43c94c6ed3d46cf757f754675ddefb5897392cc46400",
    "heldout": "b6100f5801257dbfb59f834f6b5442113c3f160603ac8d0168c07f268c30c3d1",
}
"""SHA-256 of the first 1,000 samples of each split, as JSON."""


async def run(plan: str) -> str:
    """The answer of a plan, executed with the built-in tools and the facts of the draw."""
    registry = ToolRegistry(frozen_tools())
    graph = TaskGraph()
    nodes, errors = compile_plan(plan, registry.specs())
    assert not errors, errors

    async def patches() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(graph.version, tuple(nodes))

    outcome = await run_graph(graph, patches(), RunContext(tools=registry))
    assert outcome.answer is not None, outcome.failures
    return ", ".join(short_form(value) for value in outcome.answer)


@pytest.mark.parametrize("split", SPLITS)
async def test_reference_plans_give_the_true_answers(split: Split) -> None:
    for sample in generate(split, 120, seed=11):
        answer = await run(sample.plan)
        assert matches(sample.answer, answer), (
            f"{sample.question}\n{sample.plan}{answer!r}, not {sample.answer!r}"
        )


def test_a_sample_depends_on_seed_and_number_alone() -> None:
    short, long = list(generate("heldout", 5, seed=3)), list(generate("heldout", 20, seed=3))
    assert long[:5] == short
    assert list(generate("heldout", 5, seed=4)) != short


@pytest.mark.parametrize("split", SPLITS)
def test_the_samples_drawn_are_what_they_were(split: Split) -> None:
    digest = hashlib.sha256()
    for sample in generate(split, 1000):
        # The hashes are from a version whose samples had a constant tolerance, too.
        digest.update(json.dumps(dataclasses.asdict(sample) | {"tolerance": 1e-3}).encode())
    assert digest.hexdigest() == DRAWN[split], (
        "the generator draws other samples than it did; if that is meant, put the new hash into DRAWN"
    )


def test_entities_of_the_splits_are_apart() -> None:
    for split in SPLITS:
        wanted = split in ("heldout-entities", "heldout")
        for sample in generate(split, 200, seed=1):
            for title in sample.entities:
                assert held_out(title) is wanted, (split, title)


def test_held_out_wording_is_marked_and_never_in_training() -> None:
    for split in SPLITS:
        marked = [bool(re.search(r"[/.]h\d", sample.template)) for sample in generate(split, 200, seed=2)]
        assert all(marked) if split in ("heldout-templates", "heldout") else not any(marked)


def test_questions_name_their_entities_and_plans_copy_them() -> None:
    for sample in generate("train", 300, seed=5):
        for title in sample.entities:
            assert title.casefold() in sample.question.casefold()
            assert title in sample.plan


def test_questions_are_typed_as_people_type() -> None:
    questions = [sample.question for sample in generate("train", 600, seed=8)]
    assert 0.02 < sum(question == question.lower() for question in questions) / 600 < 0.2
    assert 0.1 < sum(question.endswith("?") for question in questions) / 600 < 0.95
    assert len({question.split()[0].lower() for question in questions}) > 60


def test_units_are_converted_where_a_question_wants_another() -> None:
    asked = [s for s in generate("train", 1500, seed=9) if s.template.startswith("in-units/")]
    assert asked
    for sample in asked:
        assert "calculate(" in sample.plan, sample


def test_every_family_is_drawn() -> None:
    drawn = {sample.template.split("/")[0] for sample in generate("train", 2500, seed=6)}
    assert drawn == set(FAMILIES)
