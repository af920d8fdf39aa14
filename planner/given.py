"""A plan that is given: written by hand, or edited by a person. No model writes it."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence

from braid.executors import GraphPatch, TaskGraph
from braid.executors.nodes import Answer, Map, Node, Think
from braid.executors.tools import ToolSpec
from braid.planner.checker import compile_plan
from braid.planner.errors import InvalidPlanError, PlanCheckError
from braid.planner.events import PlanEvent, PlannerFinished
from braid.planner.reader import PlanReader, statement_event
from braid.planner.stream import PlanStream
from braid.planner.task import PlanTask


def check_plan(
    text: str, tools: Sequence[ToolSpec], graph: TaskGraph | None = None, *, round: int = 0
) -> list[Node]:
    """The nodes of a whole plan.

    Args:
        text: The plan.
        tools: What it may call.
        graph: What earlier rounds have left.
        round: Number of the round.

    Raises:
        InvalidPlanError: There are mistakes in it, or it has no `answer` and no `decline`.
    """
    nodes, errors = compile_plan(text, tools, graph, round=round)
    if not errors and not any(isinstance(node.op, Answer) for node in nodes):
        lines = text.rstrip().splitlines() or [""]
        errors.append(
            PlanCheckError(
                "the plan does not end" if nodes else "there is no statement of a plan in this text",
                line=len(lines),
                column=1,
                fix="end it with `answer(...)`, or with `decline(...)`",
                source_line=lines[-1],
            )
        )
    if errors:
        raise InvalidPlanError(errors)
    return nodes


def thinks(nodes: Sequence[Node]) -> bool:
    """Whether one of the nodes asks a model."""
    ops = (node.op.body if isinstance(node.op, Map) else node.op for node in nodes)
    return any(isinstance(op, Think) for op in ops)


def given_plan(
    text: str,
    task: PlanTask,
    *,
    emit: Callable[[PlanEvent], None] | None = None,
    understand: Callable[[Node], Node] | None = None,
) -> PlanStream:
    """The plan `text` as the plan of one round, for `run_graph`. All of it comes in one patch.

    The text is read at once, against the graph as it is before this round. Nodes that the graph gets until
    the stream is read, because an earlier process ran them, are left out.

    Args:
        text: The plan.
        task: The round.
        emit: Called with each event.
        understand: What is made of each node, where a model that has turns of its own wrote the plan.

    Raises:
        PlanError: The first mistake in it. `check_plan` finds them all.
    """
    reader = PlanReader(task, max_statements=sys.maxsize, understand=understand)
    reader.begin()
    for _ in reader.feed(text):
        pass
    if not reader.complete:
        for _ in reader.finish():
            pass
    return PlanStream(_patches(text, task, reader, emit or (lambda event: None)))


async def _patches(
    text: str, task: PlanTask, reader: PlanReader, emit: Callable[[PlanEvent], None]
) -> AsyncGenerator[GraphPatch]:
    began, graph = time.monotonic(), task.graph
    missing = [node for node in reader.nodes if node.id not in graph.entries]
    new = {node.id for node in missing}
    for accepted in reader.accepted:
        if any(node.id in new for node in accepted.nodes):
            emit(statement_event(accepted, task))
    emit(
        PlannerFinished(
            valid=True,
            stopped=False,
            plan=text.strip() + "\n",
            text=text,
            seconds=time.monotonic() - began,
            round=task.round,
            attempts=1,
            statements=len(reader.accepted),
        )
    )
    if missing:
        yield GraphPatch(base_version=graph.version, add=tuple(missing), reason="the plan that was given")
