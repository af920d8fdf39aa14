"""What the planner is told before another round: why the plan so far brought no answer, in words that it can act on."""

from __future__ import annotations

from braid.executors import RunOutcome, TaskGraph
from braid.executors.nodes import Answer
from braid.executors.values import preview
from braid.planner import PlanningError

_SHOWN = 8


def why_again(graph: TaskGraph, outcome: RunOutcome, gave_up: PlanningError | None = None) -> str:
    """One text for a run that brought no answer: what failed, what became of the answer, and what may be read by name."""
    parts = [] if gave_up is None else [str(gave_up)]
    failures = [f"{_statement(graph, node)}: {error}" for node, error in outcome.failures[:_SHOWN]]
    if failures:
        parts.append("failed: " + "; ".join(failures))
    answers = [id for id, node in graph.nodes.items() if isinstance(node.op, Answer)]
    if not graph.nodes and gave_up is None:
        parts.append("the plan has no valid statement")
    elif not answers and gave_up is None:
        parts.append("the plan ended without answer(...)")
    else:
        latest = max((graph.nodes[id].round for id in answers), default=0)
        fates = [id for id in answers if graph.nodes[id].round == latest and graph.state(id) != "failed"]
        parts += [_fate(graph, id, why=not failures) for id in fates[:_SHOWN]]
    if outcome.stopped is not None:
        parts.append(outcome.reason)
    return "; ".join(parts)


def known_results(graph: TaskGraph) -> list[tuple[str, str]]:
    """Statement and short result of what is done: the plan's own nodes, no items of maps and no answers."""
    return [
        (_statement(graph, id), preview(graph.result(id)))
        for id, node in graph.nodes.items()
        if graph.state(id) == "done" and node.name is not None and not isinstance(node.op, Answer)
    ]


def partial_answer(graph: TaskGraph, outcome: RunOutcome) -> str:
    """What a run that was stopped has found out: what it had of its answer, else one line for each result."""
    if outcome.partial:
        return ", ".join(preview(value) for value in outcome.partial)
    return "\n".join(f"{statement} -> {result}" for statement, result in known_results(graph))


def _fate(graph: TaskGraph, id: str, *, why: bool) -> str:
    reason = graph.error(id) if why else None
    return f"{_statement(graph, id)} was {graph.state(id)}" + (f" ({reason})" if reason else "")


def _statement(graph: TaskGraph, node: str) -> str:
    return " ".join(graph.nodes[node].source.split()) or node if node in graph.nodes else node
