"""Turns from the graphs of finished runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pytest

from braid.executors import RunContext, TaskGraph, ToolRegistry, run_graph
from braid.executors.builtin import builtin_tools
from braid.executors.graph import GraphPatch
from braid.executors.tools import ToolError, tool
from braid.planner import compile_plan
from braid.planner.follow_up import LookUp, Turn, turn_of


@dataclass(frozen=True)
class Finding:
    """What some tool returns. It is a fact by its fields, not by its class."""

    title: str
    attribute: str
    value: float | str
    unit: str = ""
    source: str = "a book"


FINDINGS = {
    "height of K2": Finding("K2", "height", 8611, "m"),
    "height of Etna": Finding("Mount Etna", "height", 3357, "m"),
    "capital of Peru": Finding("Peru", "capital", "Lima"),
}


@tool
def find(query: str) -> Finding:
    """Find a fact."""
    if query not in FINDINGS:
        raise ToolError(f"nothing about {query!r}")
    return FINDINGS[query]


@tool
def find_plainly(query: str) -> dict[str, Any]:
    """Find a fact. It comes as plain data."""
    return asdict(FINDINGS[query])


async def turn(plan: str) -> Turn:
    tools = ToolRegistry([find, find_plainly, *builtin_tools("calculate", "rank")])
    nodes, errors = compile_plan(plan, tools.specs())
    assert not errors
    graph = TaskGraph()
    graph.apply(GraphPatch(0, tuple(nodes)))
    await run_graph(graph, None, RunContext(tools=tools))
    return turn_of(graph, question="q", answer="a", plan=plan)


@pytest.mark.parametrize(
    ("plan", "value", "unit"),
    [
        ('a = find("height of K2")\nanswer(a)', 8611, "m"),
        ('a = find("height of K2")\nanswer(f"{a.value} {a.unit}")', 8611, "m"),
        ('a = find("height of K2")\nanswer(a.value)', 8611, ""),
        ('a = find("height of K2")\nb = calculate(f"{a.value} / 1000")\nanswer(f"{b} km")', 8.611, "km"),
        ('a = find("capital of Peru")\nanswer(a.value)', "Lima", ""),
        ('a = calculate("15 * 24")\nanswer(a)', 360, ""),
        ('a = find("height of K2")\nanswer(f"It is {a.value} high")', None, ""),
        ('a = find("height of K2")\nanswer(a, a)', None, ""),
    ],
)
async def test_the_value_comes_from_the_nodes(plan: str, value: object, unit: str) -> None:
    found = await turn(plan)
    assert (found.value, found.unit) == (value, unit)


async def test_facts_are_told_by_their_fields() -> None:
    found = await turn('a = find("height of Etna")\nanswer(a)')
    assert found.lookups == (
        LookUp(
            name="Mount Etna",
            attribute="height",
            value=3357,
            unit="m",
            tool="find",
            query="height of Etna",
            source="a book",
        ),
    )
    assert found.lookups[0].asked == "Etna"


async def test_a_dict_with_the_fields_of_a_fact_is_one() -> None:
    found = await turn('a = find_plainly("height of K2")\nanswer(a)')
    assert [(each.name, each.value, each.unit) for each in found.lookups] == [("K2", 8611, "m")]
    assert (found.value, found.unit) == (8611, "m")


async def test_only_what_the_answer_was_computed_from_counts() -> None:
    plan = 'x = find("capital of Peru")\na = find("height of K2")\nb = find("height of Etna")\n'
    found = await turn(f'{plan}if a.value > b.value:\n    answer("yes")\nelse:\n    answer("no")')
    assert [each.name for each in found.lookups] == ["K2", "Mount Etna"]
    assert found.value == "yes"


async def test_items_of_a_map_count() -> None:
    plan = 'v = [find(f"height of {x}") for x in ["K2", "Etna"]]\nr = rank(["K2", "Etna"], v)\nanswer(r[0])'
    assert [each.name for each in (await turn(plan)).lookups] == ["K2", "Mount Etna"]


async def test_a_look_up_that_failed_tells_what_was_asked_about() -> None:
    found = await turn('a = find("architect of the Sagrada Familia")\nanswer(a)')
    (only,) = found.lookups
    assert (only.name, only.attribute, only.value) == ("the Sagrada Familia", "architect", None)
