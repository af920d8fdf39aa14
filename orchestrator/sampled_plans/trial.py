"""The trial of a plan: its pure calls are made, and nothing that could change the world.

A statement that calls anything else is held back, and so is everything that reads it. Its arguments are
worked out where they can be, so that a vote can compare them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from braid.engine import BraidError
from braid.executors import GraphPatch, RunContext, RunOutcome, TaskGraph, ToolRegistry, run_graph
from braid.executors.graph import names_read
from braid.executors.nodes import (
    SKIPPED,
    Answer,
    Ask,
    Join,
    Map,
    Node,
    Ref,
    Think,
    ToolCall,
    evaluate_with,
    truth,
)
from braid.executors.scheduler import shown_call
from braid.executors.values import resolve_path
from braid.orchestrator.sampled_plans.forms import PlanForm


@dataclass(frozen=True)
class Trial:
    """What a plan came to before the vote."""

    graph: TaskGraph
    outcome: RunOutcome
    held: tuple[Node, ...]
    """The statements that were held back."""
    effects: tuple[str, ...]
    """The calls among them, with their arguments, as far as they are known."""


def is_effect(node: Node, tools: ToolRegistry) -> bool:
    """Whether `node` does more than make pure calls: then it waits for the vote."""
    op = node.op.body if isinstance(node.op, Map) else node.op
    match op:
        case ToolCall(tool):
            return tool not in tools or tools.get(tool).spec.effect != "pure"
        case Join(policy="verified", verifier=verifier):
            return verifier is None or verifier not in tools or tools.get(verifier).spec.effect != "pure"
        case Think() | Ask():
            return True
        case Answer() | Join():
            return False


async def try_plan(
    nodes: Sequence[Node], form: PlanForm, graph: TaskGraph, context: RunContext, *, sequential: bool
) -> Trial:
    """Run what of `nodes` may run before a vote.

    Args:
        nodes: The plan, checked against `graph`.
        form: Its canonical form.
        graph: What the plan may read. It takes the nodes.
        context: That of the run. Nobody is asked anything, and nothing is written down.
        sequential: As for `run_graph`.
    """
    ready: list[Node] = []
    held: list[Node] = []
    unknown: set[str] = set()
    for node in nodes:
        if is_effect(node, context.tools) or not unknown.isdisjoint(names_read(node)):
            held.append(node)
            unknown |= {node.name} if node.name is not None else set()
        else:
            ready.append(node)
    quiet = replace(
        context, engine=None, approve=None, ask=None, journal=None, emit=None, verifier=None, think_text=False
    )
    graph.apply(GraphPatch(base_version=graph.version, add=tuple(ready), reason="a plan to vote on"))
    outcome = await run_graph(graph, None, quiet, sequential=sequential)
    effects = [
        _shown(node, graph, form) for node in held if is_effect(node, context.tools) and _may_run(node, graph)
    ]
    return Trial(graph, outcome, tuple(held), tuple(effects))


def _shown(node: Node, graph: TaskGraph, form: PlanForm) -> str:
    """A call with its arguments where they are known, else its form."""
    op = node.op
    if not isinstance(op, ToolCall):
        return form.nodes[node.id]
    try:
        return shown_call(op.tool, {name: _value(value, graph) for name, value in op.args})
    except (BraidError, LookupError):
        return form.nodes[node.id]


def _may_run(node: Node, graph: TaskGraph) -> bool:
    """Whether no condition of `node` is known to be false."""
    for guard in node.guards:
        try:
            if truth(_value(guard.condition, graph)) != guard.expected:
                return False
        except (BraidError, LookupError):
            continue
    return True


def _value(expr: Any, graph: TaskGraph) -> Any:
    """The value of `expr`. Raises `LookupError` where something that it reads is not known."""

    def read(ref: Ref) -> Any:
        done = [node for node in graph.binders(ref.name) if graph.state(node.id) == "done"]
        if not done:
            raise LookupError(ref.name)
        return resolve_path(graph.result(done[0].id), ref.path)

    value = evaluate_with(expr, read)
    if value is SKIPPED:
        raise LookupError
    return value
