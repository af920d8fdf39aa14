"""The graph of a run for other tools: text for Mermaid and Graphviz, and a graph of networkx."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, assert_never

from braid.executors.nodes import NodeState
from braid.executors.report.spans import Span

if TYPE_CHECKING:
    import networkx

DiagramKind: TypeAlias = Literal["mermaid", "dot"]

_MOST_CHARS: Final = 60
_COLOURS: Final[dict[NodeState, str]] = {
    "done": "#d7f0d7",
    "failed": "#f6d0d0",
    "uncertain": "#f6e3c5",
    "running": "#d6e4f5",
}
_OTHER_COLOUR: Final = "#e8e8e8"


def diagram(spans: Sequence[Span], kind: DiagramKind = "mermaid") -> str:
    """`spans` as a diagram. A node shows its statement, and its colour shows how it ended.

    Args:
        spans: The nodes of a run.
        kind: `mermaid` for Mermaid, `dot` for Graphviz.
    """
    numbers = {span.id: f"n{number}" for number, span in enumerate(spans)}
    edges = [(numbers[source], numbers[reader]) for source, reader in _edges(spans)]
    match kind:
        case "mermaid":
            return _mermaid(spans, numbers, edges)
        case "dot":
            return _dot(spans, numbers, edges)
        case _:
            assert_never(kind)


def to_networkx(spans: Sequence[Span]) -> networkx.DiGraph[str]:
    """`spans` as a directed graph: a node for each of them, with its fields, and an edge to each reader."""
    import networkx

    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for span in spans:
        graph.add_node(span.id, **{**asdict(span), "seconds": span.seconds})
    graph.add_edges_from(_edges(spans))
    return graph


def _edges(spans: Sequence[Span]) -> list[tuple[str, str]]:
    """Each node with each of its readers. An item of a map follows the map where it reads nothing itself."""
    known = {span.id for span in spans}
    return [
        (source, span.id)
        for span in spans
        for source in (span.depends_on or ((span.parent,) if span.parent else ()))
        if source in known
    ]


def _mermaid(spans: Sequence[Span], numbers: dict[str, str], edges: list[tuple[str, str]]) -> str:
    lines = ["flowchart TD"]
    lines += [f'    {numbers[span.id]}["{_escaped(_label(span))}"]' for span in spans]
    lines += [f"    {source} --> {target}" for source, target in edges]
    lines += [f"    style {numbers[span.id]} fill:{_colour(span)},color:#000" for span in spans]
    return "\n".join(lines) + "\n"


def _dot(spans: Sequence[Span], numbers: dict[str, str], edges: list[tuple[str, str]]) -> str:
    lines = ["digraph run {", "    node [shape=box, style=filled];"]
    for span in spans:
        label = json.dumps(_label(span), ensure_ascii=False)
        lines.append(f'    {numbers[span.id]} [label={label}, fillcolor="{_colour(span)}"];')
    lines += [f"    {source} -> {target};" for source, target in edges]
    return "\n".join([*lines, "}"]) + "\n"


def _label(span: Span) -> str:
    text = "".join(char if char.isprintable() else " " for char in span.source or span.id)
    text = " ".join(text.split())
    return text if len(text) <= _MOST_CHARS else text[: _MOST_CHARS - 3] + "..."


def _escaped(text: str) -> str:
    """`text` in a label of Mermaid, which takes entities by number and reads Markdown."""
    return "".join(char if char.isalnum() or char in " .,=()[]_-+" else f"#{ord(char)};" for char in text)


def _colour(span: Span) -> str:
    return _COLOURS.get(span.state, _OTHER_COLOUR)
