"""Text that breaks planners which read references by pattern: here it is data, and comes out as it went in."""

from __future__ import annotations

import pytest

from braid.executors import GraphPatch, RunContext, RunOutcome, TaskGraph, ToolRegistry, run_graph, tool
from braid.executors.nodes.nodes import Answer, Const
from braid.planner import PlanParser, Statement, compile_plan, render_expr


@tool
def echo(text: str) -> str:
    """Give the text back."""
    return text


@tool
def shape(rows: list[dict[str, list[int]]], label: str = "", flags: dict[str, str] | None = None) -> str:
    """Say what was given."""
    return f"{rows!r} {label!r} {flags!r}"


REGISTRY = ToolRegistry([echo, shape])


async def run(text: str) -> RunOutcome:
    nodes, errors = compile_plan(text, REGISTRY.specs())
    assert not errors, str(errors[0])
    graph = TaskGraph()
    graph.apply(GraphPatch(base_version=0, add=tuple(nodes)))
    return await run_graph(graph, None, RunContext(tools=REGISTRY))


@pytest.mark.parametrize(
    "text",
    [
        "$1", "${1}", "costs $15 and $1.50", "{a}", "{{a}}", "{", "}", '"', "'", "'''", '"""', "\\", "\\n", "two\nlines\n",
        "\r\n", "\t", "a = echo('x')", "answer(1)", "```python\nanswer(1)\n```", "<|end|>", "</s>", "# no comment", "join()",
        "Paris (France)", "f(x))))", "[1, 2", "日本語 – ünïcödé 🏔", "\u2028", "\x00\x07", "1. search(x)",
        "import os; os.system('x')",
    ],
)  # fmt: skip
async def test_text_is_data(text: str) -> None:
    quoted = render_expr(Const(text))
    outcome = await run(
        f'a = echo({quoted})\nb = echo(f"{{a}}")\nc = echo(text=b)\nanswer(a, b, c, {quoted})\n'
    )
    assert outcome.answer == (text, text, text, text)


async def test_results_are_never_read_as_references() -> None:
    outcome = await run('one = echo("first")\ntwo = echo("{one} $1 ${1} one")\nanswer(f"{two} {one}")')
    assert outcome.answer == ("{one} $1 ${1} one first",)


async def test_keywords_nested_literals_and_lines() -> None:
    outcome = await run(
        "a = echo(\n"
        '    text="x",  # a comment (with brackets\n'
        ")\n"
        "b = shape(\n"
        '  [{"p": [1, -2]}, {}],\n'
        '  flags={\n    "k": a, "ü": f"{a}!",\n  },\n'
        "  label='''two\n  lines''',\n"
        ")\n"
        "answer(b)"
    )
    assert outcome.answer == (repr([{"p": [1, -2]}, {}]) + " 'two\\n  lines' {'k': 'x', 'ü': 'x!'}",)


async def test_several_statements_in_one_chunk_all_arrive() -> None:
    items = PlanParser().feed('a = echo("1")\nb = echo("2")\nc = echo("3")\nanswer(a, b, c)\n')
    assert [item.line for item in items if isinstance(item, Statement)] == [1, 2, 3, 4]


def test_parentheses_in_an_answer() -> None:
    compiled, errors = compile_plan('answer("Paris (France)")', REGISTRY.specs())
    assert not errors
    assert compiled[0].op == Answer((Const("Paris (France)"),))
