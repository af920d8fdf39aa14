"""The sequential baseline: the plan of a finished run once more, one node at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from pydantic import BaseModel, computed_field

from braid.executors import GraphPatch, RunContext, TaskGraph, Tool, ToolRegistry, run_graph
from braid.executors.graph import names_read, tool_of
from braid.executors.nodes import Join, Node
from braid.executors.tools import CallMemo
from braid.orchestrator.agent import Agent
from braid.orchestrator.errors import OrchestratorError
from braid.orchestrator.result import RunResult
from braid.planner import thinks


class ReplayError(OrchestratorError):
    """The plan cannot be run once more, or did not reach its answer this time."""


class Comparison(BaseModel):
    """Both sides in seconds of wall time. The plan is not written again. Its time counts on both sides."""

    side_by_side: float
    """The whole run, in which nodes run while the plan is being written."""
    planning: float
    """How long the model wrote the plan."""
    one_by_one: float
    """How long the nodes took when run one at a time."""
    nodes: int
    """How many nodes were done."""

    @computed_field
    @property
    def sequential(self) -> float:
        """The whole baseline: first the plan, then one node after another."""
        return self.planning + self.one_by_one

    @computed_field
    @property
    def speedup(self) -> float:
        """How many times as fast the run was as its baseline."""
        return self.sequential / self.side_by_side if self.side_by_side > 0 else 1.0


async def compare_with_sequential(
    agent: Agent,
    result: RunResult[object],
    *,
    deps: object = None,
    tools: Sequence[Tool | Callable[..., Any]] = (),
) -> Comparison:
    """Run the plan of `result` again, one node at a time in plan order, and compare the times.

    `deps` and `tools` are those that the run was given, beside what the agent has.

    Raises:
        ReplayError: The run had no answer, its plan calls mutating tools, or it did not reach its answer this
            time.
    """
    if not result.complete:
        raise ReplayError(f"a run without an answer has no plan to compare: {result.reason}")
    if not result.graph.nodes:
        raise ReplayError("a question that was answered without a plan has none to compare")
    nodes = replayable(result.graph)
    known = ToolRegistry([*agent.tools, *tools])
    called = {node.id: tool_of(node) for node in nodes}
    mutating = [tool for tool in called.values() if tool and known.get(tool).spec.effect == "mutating"]
    if mutating:
        raise ReplayError(f"not run a second time, because it changes things: {', '.join(mutating)}")
    graph = TaskGraph()
    for entry in result.graph.given:
        graph.give(entry.node.id, entry.value)
    outcome = await run_graph(
        graph,
        _single_patch(GraphPatch(base_version=graph.version, add=tuple(nodes), reason="replay")),
        RunContext(
            tools=known,
            engine=(await agent.open_engines()).think if thinks(nodes) else None,
            root=result.root,
            limits=agent.spec.limits,
            ask=agent.ask,
            verifier=agent.verifier,
            question=result.question,
            deps=deps,
            seed=agent.spec.seed,
            sampling=agent.spec.sampling,
            memo=CallMemo(),  # as in the run that it is compared with: equal calls are made once
        ),
        sequential=True,
    )
    if not outcome.answered:
        raise ReplayError(
            f"the plan did not come to an answer this time: {outcome.reason or outcome.failures}"
        )
    return Comparison(
        side_by_side=result.seconds,
        planning=result.planning_seconds,
        one_by_one=outcome.seconds,
        nodes=sum(1 for node in nodes if result.graph.state(node.id) == "done"),
    )


def replayable(graph: TaskGraph) -> list[Node]:
    """The nodes of a plan that can run again: those that are done or skipped and whose inputs are among them.

    So can the parts of joins that were decided without them. Items of maps are left out.
    """
    unused = _unused_parts(graph)
    kept = {
        id: node
        for id, node in graph.nodes.items()
        if node.round >= 0
        and (graph.state(id) in ("done", "skipped") or id in unused)
        and graph.entry(id).parent is None
        and (node.name is None or node in graph.binders(node.name))
    }
    while True:
        bound = {node.name for node in (*kept.values(), *(entry.node for entry in graph.given))}
        orphans = [id for id, node in kept.items() if not bound.issuperset(names_read(node))]
        if not orphans:
            return list(kept.values())
        for id in orphans:
            del kept[id]


def _unused_parts(graph: TaskGraph) -> set[str]:
    """The nodes that did not end well, and that a join that is done could have taken, with all they read."""
    found: set[str] = set()
    todo = [
        node for id, node in graph.nodes.items() if isinstance(node.op, Join) and graph.state(id) == "done"
    ]
    while todo:
        for name in names_read(todo.pop()):
            for node in graph.binders(name):
                if node.id not in found and graph.state(node.id) not in ("done", "skipped"):
                    found.add(node.id)
                    todo.append(node)
    return found


async def _single_patch(patch: GraphPatch) -> AsyncIterator[GraphPatch]:
    yield patch
