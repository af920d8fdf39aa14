"""What a later round is shown of the earlier ones: their statements, with what came of each."""

from __future__ import annotations

from braid.executors import TaskGraph
from braid.executors.nodes import Answer, Node, NodeState
from braid.executors.values import preview
from braid.planner.language import is_anonymous, render_plan

RESULT_CHARS = 160
"""Characters of a result or an error that a later round is shown."""


def earlier_statements(graph: TaskGraph, *, before: int) -> str:
    """The plans of the rounds before `before` as one text, each statement followed by a comment on its state and result.

    Items of maps and calls that stood inside other calls are left out: their statement speaks for them.
    """

    def line(node: Node) -> str:
        return f"{node.source}  # {_outcome(graph, node)}"

    return render_plan(_statements(graph, before), line=line)


def finished_statements(graph: TaskGraph, *, before: int, results: bool = True) -> str:
    """The statements of earlier rounds that stand under no condition, as plan text: where a model with compact prompts goes on.

    A statement that is done has its result behind it as a comment; one that failed is itself a comment, with the reason. The
    rest is left out. Without `results`, only the statements that are done are left, and no comments.
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


def is_inner_call(node: Node) -> bool:
    """Whether the node is a call that stood inside another call. The statement around it shows it."""
    return node.name is not None and is_anonymous(node.name)


def _statements(graph: TaskGraph, before: int) -> list[Node]:
    return [
        node
        for id, node in graph.nodes.items()
        if node.round < before and not is_inner_call(node) and graph.entry(id).parent is None
    ]


def _outcome(graph: TaskGraph, node: Node) -> str:
    state: NodeState = graph.state(node.id)
    if state == "done":
        text = preview(graph.result(node.id), RESULT_CHARS)
    else:
        reason = graph.error(node.id) or ""
        text = state + (f": {reason[:RESULT_CHARS]}" if reason else "")
    return " ".join(text.split())
