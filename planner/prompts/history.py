"""The history of a run in prompts: the statements of earlier rounds, with what came of each."""

from __future__ import annotations

from collections.abc import Iterable

from braid.executors import TaskGraph
from braid.executors.nodes import Answer, Node, NodeState
from braid.executors.values import preview, quoted_line
from braid.planner.language import is_anonymous, render_plan

RESULT_CHARS = 160
"""How many characters of a result or an error a later round is shown."""


def earlier_statements(graph: TaskGraph, *, before: int) -> str:
    """The plans of the rounds before `before` as one text.

    A comment behind each statement has its state and result.
    Items of maps and calls that stood inside other calls are left out. Their statement stands for them.
    """

    def line(node: Node) -> str:
        return f"{node.source}  # {_outcome(graph, node)}"

    return render_plan(_statements(graph, before), line=line)


def finished_statements(graph: TaskGraph, *, before: int, results: bool = True) -> str:
    """The statements of earlier rounds as plan text, from which a model with compact prompts goes on.

    A statement that is done has its result behind it as a comment. One that failed is itself a comment, with
    the reason. The rest is left out, and so are statements that stand under a condition.

    Args:
        graph: The graph of the run.
        before: Only rounds before this one are shown.
        results: Whether there are comments. Without them, only the statements that are done are left.
    """
    lines: list[str] = []
    for node in _statements(graph, before):
        if node.guards or isinstance(node.op, Answer):
            continue
        state = graph.state(node.id)
        if not results:
            lines += [f"{node.source}\n"] if state == "done" else []
        elif state == "done":
            lines.append(f"{node.source}  # {_outcome(graph, node)}\n")
        elif state == "failed":
            lines.append(f"# {' '.join(node.source.split())}  # {_outcome(graph, node)}\n")
    return "".join(lines)


def written_plan(nodes: Iterable[Node]) -> str:
    """The plan of these nodes, in the words in which it was written."""
    return render_plan((node for node in nodes if not is_inner_call(node)), line=lambda node: node.source)


def is_inner_call(node: Node) -> bool:
    """Whether the node is a call that was written inside another call.

    A later round shows the outer statement only, and that contains the call.
    """
    return node.name is not None and is_anonymous(node.name)


def _statements(graph: TaskGraph, before: int) -> list[Node]:
    return [
        node
        for id, node in graph.nodes.items()
        if 0 <= node.round < before and not is_inner_call(node) and graph.entry(id).parent is None
    ]


def _outcome(graph: TaskGraph, node: Node) -> str:
    state: NodeState = graph.state(node.id)
    if state == "done":
        text = preview(graph.result(node.id), RESULT_CHARS)
    else:
        reason = graph.error(node.id) or ""
        text = state + (f": {reason[:RESULT_CHARS]}" if reason else "")
    return quoted_line(text)
