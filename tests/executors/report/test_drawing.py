"""The graph of a run as Mermaid and as Graphviz text."""

from __future__ import annotations

import re

import pytest

from braid.executors.report import Span, diagram

HARD = [
    'a = f("x")',
    'b = f("]; end `*_<b>#34;")',
    "c = f('\n\t\x1b[2J')",
    "d = f(" + "9" * 200 + ")",
    "é = 上",
    "",
]


def spans() -> list[Span]:
    return [
        Span(
            id=f"n {place}\"]", op="tool", source=source, depends_on=() if place == 0 else ('n 0"]', "gone"),
            state="done" if place else "failed",
        )
        for place, source in enumerate(HARD)
    ]  # fmt: skip


def test_mermaid_holds_each_node_and_each_edge_on_a_line_of_its_own() -> None:
    text = diagram(spans())
    lines = text.splitlines()
    assert lines[0] == "flowchart TD" and len(lines) == 1 + 6 + 5 + 6
    assert all(re.fullmatch(r'    n\d\["[^"`*<>]*"\]', line) for line in lines[1:7])
    assert lines[7:12] == [f"    n0 --> n{place}" for place in range(1, 6)]
    assert "a = f(#34;x#34;)" in lines[1] and "#f6d0d0" in lines[12] and "\x1b" not in text


def test_dot_holds_each_node_and_each_edge_on_a_line_of_its_own() -> None:
    lines = diagram(spans(), "dot").splitlines()
    assert lines[0] == "digraph run {" and lines[-1] == "}"
    assert all(re.fullmatch(r'    n\d \[label="(?:[^"\\]|\\.)*", fillcolor="#\w+"\];', x) for x in lines[2:8])
    assert lines[8:13] == [f"    n0 -> n{place};" for place in range(1, 6)] and "上" in lines[6]


@pytest.mark.parametrize("kind", ["mermaid", "dot"])
def test_a_run_without_nodes_is_an_empty_diagram(kind) -> None:
    assert "n0" not in diagram([], kind)
