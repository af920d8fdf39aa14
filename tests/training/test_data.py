"""The training data: valid plans, names that can be copied, and a tokenizer that makes copying easy."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from executors.tools import ToolSpec
from planner import compile_plan
from planner.compact import PLAN, QUESTION, STOP
from training.data import Mixture, draw_example
from training.errands import draw_errands
from training.names import identifier, proper_name
from training.tokenizer import train_tokenizer
from training.toolbox import draw_toolbox


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(vocab_size=640, examples=400)


def test_examples_hold_what_they_say() -> None:
    for number in range(300):
        example = draw_example(random.Random(number))
        question = example.prompt.split(QUESTION)[1]
        assert example.prompt.endswith(f"{PLAN}\n")
        assert example.plan.endswith(STOP)
        for name in example.names:
            assert name.casefold() in question.casefold()
            assert name in example.plan
        for tool in example.tools:
            assert f"\n{tool}(" in example.prompt


def test_examples_are_repeatable_and_differ() -> None:
    drawn = [draw_example(random.Random(number)) for number in range(50)]
    assert drawn == [draw_example(random.Random(number)) for number in range(50)]
    assert len({example.prompt for example in drawn}) == 50


def test_plans_are_valid_for_their_tools() -> None:
    """What the model is taught to write is what the planner accepts."""
    checked = 0
    for number in range(200):
        rng = random.Random(number)
        try:
            errands = draw_errands(rng)
        except LookupError:
            continue
        from evals.planning_set.program import Toolset, render

        nodes, errors = compile_plan(render(errands.program, Toolset()), errands.specs)
        assert nodes and not errors, errors
        checked += 1
    assert checked > 100


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


def test_held_out_wording_is_only_drawn_when_asked_for() -> None:
    mixture = Mixture(atlas=0.0, errands=0.0)
    known = {draw_example(random.Random(n), mixture).prompt for n in range(200)}
    held = {draw_example(random.Random(n), mixture, held_out=True).prompt for n in range(200)}
    assert not known & held
    assert any("imagine that" in prompt.casefold() for prompt in held)
    assert not any("imagine that" in prompt.casefold() for prompt in known)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=80))
def test_decoding_is_lossless(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_name_has_the_same_tokens_everywhere(tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
    rng = random.Random(seed)
    name, tool = proper_name(rng), identifier(rng)
    alone, tool_alone = tokenizer.encode(name), tokenizer.encode(tool)
    for text in (
        f"How tall is {name}?",
        f'a = {tool}("height of {name}")',
        f'rank(["{name}", "x"])',
        f"({name})",
    ):
        assert _holds(tokenizer.encode(text), alone), (name, text)
    assert _holds(tokenizer.encode(f"\n{tool}(query: str)"), tool_alone)
    assert _holds(tokenizer.encode(f"a = {tool}("), tool_alone)


def _holds(whole: list[int], part: list[int]) -> bool:
    return any(whole[i : i + len(part)] == part for i in range(len(whole)))
