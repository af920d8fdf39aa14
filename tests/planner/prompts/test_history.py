"""What a later round is shown of the earlier ones."""

from __future__ import annotations

from collections.abc import AsyncIterator

from braid.executors import GraphPatch, RunContext, TaskGraph, ToolRegistry, run_graph
from braid.executors.builtin import builtin_tools
from braid.planner import compile_plan
from braid.planner.prompts import (
    finished_statements,
)


async def test_a_later_round_goes_on_from_results_and_failures() -> None:
    registry, graph = ToolRegistry(builtin_tools()), TaskGraph()
    plan = """\
a = search("height of K2")
b = search("height of K99")
c = calculate(f"{a.value} - {b.value}")
answer(f"{c} {a.unit}")
"""
    nodes, errors = compile_plan(plan, registry.specs())
    assert not errors

    async def patches() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(graph.version, tuple(nodes))

    await run_graph(graph, patches(), RunContext(tools=registry))
    before = finished_statements(graph, before=1)
    done, failed = before.splitlines()
    assert done == 'a = search("height of K2")  # 8611 m'
    assert failed.startswith('# b = search("height of K99")  # failed: ')
    # Comments are no statements, and the grammar goes on behind them; a name may come from a result.
    again, errors = compile_plan(before + 'answer("I could not find the height of K99.")\n', registry.specs())
    assert not errors and [node.name for node in again] == ["a", None]
