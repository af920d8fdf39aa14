"""Plans over what a tool lists."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from braid.executors import GraphPatch, RunContext, TaskGraph, ToolRegistry, run_graph, tool
from braid.executors.builtin import builtin_tools
from braid.executors.values.values import short_form
from braid.planner import compile_plan
from braid.training.questions import Toolset, render
from braid.training.questions.program import LookupTool
from braid.training.questions.tools import attribute_for, draw_list_question, draw_listing


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

    outcome = await run_graph(graph, patches(), RunContext(tools=tools))
    assert outcome.answer is not None, outcome.failures
    return ", ".join(short_form(value) for value in outcome.answer)
