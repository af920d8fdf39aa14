"""The frozen planning benchmark: its rows, what they rest on, and how answers are judged."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from braid.evals.tasks.planning import matches
from braid.evals.tasks.planning_data import SPLITS, frozen_atlas, frozen_tools, questions
from braid.executors import GraphPatch, RunContext, TaskGraph, ToolRegistry, run_graph
from braid.executors.builtin.atlas.lookup import Atlas, Fact
from braid.executors.builtin.search import search, search_tool
from braid.executors.values.values import short_form
from braid.planner import compile_plan


class WatchedAtlas(Atlas):
    """Notes which facts were looked up."""

    def __init__(self) -> None:
        super().__init__(frozen_atlas())
        self.seen: set[tuple[str, str]] = set()

    def lookup(self, query: str) -> Fact:
        fact = super().lookup(query)
        self.seen.add((fact.title, fact.attribute))
        return fact


async def run(plan: str, atlas: Atlas) -> str:
    """The answer of a plan whose look-ups `atlas` answers."""
    registry = ToolRegistry([search_tool(lambda: atlas) if t.name == "search" else t for t in frozen_tools()])
    graph = TaskGraph()
    nodes, errors = compile_plan(plan, registry.specs())
    assert not errors, errors

    async def patches() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(graph.version, tuple(nodes))

    outcome = await run_graph(graph, patches(), RunContext(tools=registry))
    assert outcome.answer is not None, outcome.failures
    return ", ".join(short_form(value) for value in outcome.answer)


@pytest.mark.parametrize("split", SPLITS)
async def test_reference_plans_give_the_answers_from_the_facts_that_rows_name(split: str) -> None:
    atlas = WatchedAtlas()
    for row in {row.id: row for seed in (0, 1) for row in questions(split, seed=seed)}.values():
        atlas.seen.clear()
        answer = await run(row.plan, atlas)
        assert matches(row.answer, answer), f"{row.question}\n{row.plan}{answer!r}, not {row.answer!r}"
        assert atlas.seen == set(row.facts), row


@pytest.mark.parametrize("split", SPLITS)
def test_each_seed_has_its_own_questions_and_written_ones_have_none(split: str) -> None:
    first, second = questions(split), questions(split, seed=1)
    if split.startswith("handwritten"):
        assert first == second == questions(split, seed=7)
        assert [row.id for row in first] == [f"{split}-{i}" for i in range(40)]
    else:
        assert [row.id for row in first] == [f"{split}-0-{i}" for i in range(300)]
        assert [row.id for row in second] == [f"{split}-1-{i}" for i in range(100)]


def test_the_model_sees_the_same_tools_as_everywhere() -> None:
    frozen = frozen_tools()[0]
    assert frozen is not search
    assert frozen.spec == search.spec


@pytest.mark.parametrize(
    ("true", "given", "right"),
    [
        ("3803 m", "3803 m", True),
        ("3803 m", "3,803.2 m", True),
        ("3803 m", "3903 m", False),
        ("3803 m", "3803 km", False),
        ("K2", "k2", True),
        ("K2", "K3", False),
        ("3803 m; yes", "3803 m; no", False),
        ("France; 9 people", "France, 9 people", True),
        ("yes", "", False),
        ("12.5%", "12.5 %", True),
    ],
)
def test_matching(true: str, given: str, right: bool) -> None:
    assert matches(true, given) is right
