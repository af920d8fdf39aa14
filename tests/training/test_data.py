"""The training data: valid plans, names that can be copied, and a tokenizer that makes copying easy."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from braid.executors import GraphPatch, TaskGraph, ToolRegistry, run_graph, tool
from braid.executors.builtin import builtin_tools
from braid.executors.tools.spec import ToolSpec
from braid.executors.values.values import short_form
from braid.planner import compile_plan
from braid.planner.prompts.compact import PLAN, QUESTION, STOP, compact_prompt
from braid.training.planner_model.examples import PLAIN_MIXTURE, Example, Mixture, draw_example, draw_group
from braid.training.planner_model.tokenizer import train_tokenizer
from braid.training.questions import Builder, Toolset, estranged, later_round, render
from braid.training.questions.invented_names import identifier, proper_name
from braid.training.questions.program import LookupTool
from braid.training.questions.tools import attribute_for, draw_list_question, draw_listing, draw_toolbox


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(vocab_size=640, examples=400)


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


async def test_a_plan_over_a_list_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps over what a tool lists, executed with real tools of the names in the prompt."""
    lengths = {"Threl": 7.0, "Vask": 9.0, "Bron": 8.0}
    ran = 0
    for number in range(300):
        rng = random.Random(number)
        listing = draw_listing(rng, odd=False)
        if listing.as_text or listing.limited:
            continue
        attribute = attribute_for(rng, listing.kind)
        toolset = Toolset(general=LookupTool(name="search", value_field=None, unit_field=None))
        asked = draw_list_question(rng, listing, attribute, toolset)

        async def things(owner: str) -> list[str]:
            return [*lengths]

        async def search(query: str) -> float:
            return lengths[query.rsplit(maxsplit=1)[-1]]

        tools = ToolRegistry(
            [
                tool(things, name=listing.spec.name),
                tool(search),
                *(t for t in builtin_tools() if t.name == "rank"),
            ]
        )
        answer = await executed(render(asked.program, toolset), tools)
        best, least = ("Vask", "Threl")
        assert answer, asked
        if "rank(" in render(asked.program, toolset) and "[0])" in render(asked.program, toolset):
            assert answer in (best, least)
            ran += 1
    assert ran > 20


async def executed(plan: str, tools: ToolRegistry) -> str:
    graph = TaskGraph()
    nodes, errors = compile_plan(plan, tools.specs())
    assert not errors, errors

    async def patches() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(graph.version, tuple(nodes))

    outcome = await run_graph(graph, patches(), tools=tools)
    assert outcome.answer is not None, outcome.failures
    return ", ".join(short_form(value) for value in outcome.answer)


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
    known = {draw_example(random.Random(n), PLAIN_MIXTURE).prompt for n in range(300)}
    held = {draw_example(random.Random(n), PLAIN_MIXTURE, held_out=True).prompt for n in range(300)}
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


def test_strange_words_leave_names_and_numbers_alone() -> None:
    rng = random.Random(0)
    question = "If the Nile were 15% shorter and Lake Given twice as long, which one would be the longest?"
    for _ in range(50):
        other = estranged(rng, question, ("Nile", "Lake Given"))
        assert other != question
        assert all(word in other for word in ("Nile", "15% shorter", "Lake Given twice", "longest?"))
