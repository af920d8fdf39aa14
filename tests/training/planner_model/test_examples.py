"""Training examples: valid plans, for the tools that their prompts show."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from braid.executors.tools.spec import ToolSpec
from braid.planner import compile_plan
from braid.planner.prompts.compact import PLAN, QUESTION, STOP, compact_prompt
from braid.training.planner_model.examples import (
    BEYOND_MIXTURE,
    PLAIN_MIXTURE,
    Example,
    Mixture,
    draw_example,
    draw_group,
    forbidden,
)
from braid.training.questions.held_out import forbidden_text
from braid.training.questions.templates import NAMED, NUMERIC
from braid.training.questions.world import held_out, load_atlas


def test_examples_hold_what_they_say() -> None:
    for number in range(300):
        example = draw_example(random.Random(number))
        question = example.prompt.split(QUESTION)[1]
        assert f"\n{PLAN}\n" in example.prompt and example.prompt.endswith("\n")
        assert example.plan.endswith(STOP)
        for name in example.names:
            assert name.casefold() in question.casefold()
            assert name in example.plan
        for called in example.tools:
            assert f"\n{called}(" in example.prompt


def test_examples_are_repeatable_and_differ() -> None:
    drawn = [draw_example(random.Random(number)) for number in range(50)]
    assert drawn == [draw_example(random.Random(number)) for number in range(50)]
    assert len({example.prompt for example in drawn}) == 50


def drawn_with_tools(monkeypatch: pytest.MonkeyPatch, groups: int, mixture: Mixture) -> list[Drawn]:
    """Examples with the tools and earlier statements of their prompts."""
    prompts: dict[str, tuple[Sequence[ToolSpec], str]] = {}

    def listen(question: str, tools: Sequence[ToolSpec], *, plan_so_far: str = "") -> str:
        prompt = compact_prompt(question, tools, plan_so_far=plan_so_far)
        prompts[prompt] = tools, plan_so_far
        return prompt

    monkeypatch.setattr("braid.training.planner_model.examples.compact_prompt", listen)
    return [
        (example, *prompts[example.prompt])
        for number in range(groups)
        for example in draw_group(random.Random(f"tools/{number}"), mixture, size=3)
    ]


Drawn = tuple[Example, Sequence[ToolSpec], str]


def test_plans_are_valid_for_their_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the model is taught to write is what the planner accepts, in later rounds too."""
    mixture = Mixture(errands=0.15, lists=0.3, thoughts=0.1, services=0.2, rounds=0.2)
    forms = dict.fromkeys(("for x in", "think(", "limit=", "# a = ", "if ", "for x in a]"), 0)
    for example, tools, before in drawn_with_tools(monkeypatch, 400, mixture):
        plan = example.plan.removesuffix(STOP)
        nodes, errors = compile_plan(before + plan, tools)
        assert nodes and not errors, f"{example.prompt}{plan}\n{errors}"
        for form in forms:
            forms[form] += form in before + plan
    assert all(forms.values()), forms


def test_a_group_shares_its_tools() -> None:
    for number in range(60):
        group = draw_group(random.Random(number), size=4)
        assert len({example.prompt.split(QUESTION)[0] for example in group}) == 1
        assert len({example.prompt for example in group}) == len(group)


def test_held_out_wording_is_only_drawn_when_asked_for() -> None:
    known = {draw_example(random.Random(n), PLAIN_MIXTURE).prompt for n in range(300)}
    held = {draw_example(random.Random(n), PLAIN_MIXTURE, held_out=True).prompt for n in range(300)}
    assert not known & held
    assert any("imagine that" in prompt.casefold() for prompt in held)
    assert not any("imagine that" in prompt.casefold() for prompt in known)


def test_plans_beyond_the_planning_set_are_valid_for_their_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    mixture = replace(BEYOND_MIXTURE, errands=0.1, lists=0.2, services=0.1, rounds=0.3)
    forms = dict.fromkeys(
        ("decline(", "elif ", "# failed: calculate", "think(", "round(", "rank(", "for x in"), 0
    )
    for example, tools, before in drawn_with_tools(monkeypatch, 250, mixture):
        plan = example.plan.removesuffix(STOP)
        nodes, errors = compile_plan(before + plan, tools)
        assert nodes and not errors, f"{example.prompt}{plan}\n{errors}"
        for form in forms:
            forms[form] += form in before + plan
    assert all(forms.values()), forms


def test_most_groups_have_the_tools_that_a_run_gives() -> None:
    groups = [draw_group(random.Random(f"builtin/{n}"), BEYOND_MIXTURE, size=2) for n in range(150)]
    builtin = sum("\nsearch(query: str) -> Fact(title, attribute" in group[0].prompt for group in groups)
    assert 0.45 < builtin / len(groups) < 0.8


@pytest.mark.parametrize("count", [600, pytest.param(100_000, marks=pytest.mark.long)])
def test_nothing_held_out_is_drawn_for_training(count: int) -> None:
    """No look-up names a held-out title, and no question is one of the frozen set or worded as held out."""
    titles = {thing.name.casefold() for thing in load_atlas("all").things if held_out(thing.name)}
    nouns = {attribute.noun for attribute in (*NUMERIC, *NAMED)}
    drawn = seed = 0
    while drawn < count:
        seed += 1
        for example in draw_group(random.Random(f"forbidden/{seed}"), BEYOND_MIXTURE, size=8):
            drawn += 1
            assert forbidden(example) is None
            assert (
                forbidden_text(example.prompt.split(QUESTION)[1].split(PLAN)[0].strip(), example.program)
                is None
            )
            quoted = {text.casefold() for text in re.findall(r'"([^"]*)"', example.plan)}
            parts = [text.partition(" of ") for text in quoted]
            asked = {entity for noun, _, entity in parts if noun in nouns}
            assert not titles & (quoted | asked), example.plan
