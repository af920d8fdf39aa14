"""Arithmetic in a plan: what becomes a number, what becomes a call of `calculate`, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from braid.executors import RunContext, TaskGraph, Tool, ToolRegistry, run_graph
from braid.executors.builtin import builtin_tools
from braid.executors.nodes import Answer, Const, Node, Template, ToolCall
from braid.planner import compile_plan, given_plan
from braid.planner.language import render_expr
from braid.planner.task import PlanTask
from tests.support.plan_tools import population, search

TOOLS = [search, population, *builtin_tools("calculate", "rank")]


def nodes_of(text: str, tools: Sequence[Tool] = TOOLS) -> list[Node]:
    nodes, errors = compile_plan(text, ToolRegistry(tools).specs())
    assert not errors, errors[0]
    return nodes


def mistake_of(text: str, tools: Sequence[Tool] = TOOLS) -> str:
    _, errors = compile_plan(text, ToolRegistry(tools).specs())
    return str(errors[0])


async def answer_of(text: str, tools: Sequence[Tool] = TOOLS) -> tuple[object, ...] | None:
    registry = ToolRegistry(tools)
    task = PlanTask(question="?", tools=registry.specs(), graph=TaskGraph())
    outcome = await run_graph(task.graph, given_plan(text, task), RunContext(tools=registry))
    assert not outcome.failures, outcome.failures
    return outcome.answer


def calculated(node: Node) -> str:
    assert isinstance(node.op, ToolCall) and node.op.tool == "calculate"
    return render_expr(dict(node.op.args)["expression"])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("answer(17 * 23)", (391,)),
        ('answer(f"{17 * 23} and {1 / 8:.1%}")', ("391 and 12.5%",)),
        ("answer(-(2 ** 3), [10 - 4])", (-8, [6])),
        ("d = 17 * 23\nanswer(d)", (391,)),
        ('a = search("K2")\nb = search("Ararat")\nd = a.value - b.value\nanswer(d)', (3474,)),
        ('a = search("K2")\nanswer(f"{a.value * 2} m")', ("17222 m",)),
        ('a = search("K2")\nanswer(f"{a.value / 3:.1f} m")', ("2870.3 m",)),
        ('answer(search("K2").value - search("Ararat").value)', (3474,)),
        ('a = search("K2")\nb = search("Ararat")\nanswer(abs(b.value - a.value))', (3474,)),
        ('a = search("K2")\nanswer(round(a.value / 3, 1), max(a.value, 9000))', (2870.3, 9000)),
        ('a = search("K2")\nanswer(calculate(f"{a.value - 1} * 2"))', (17220,)),
        ('a = search("K2")\nanswer(calculate(abs(1 - a.value)))', (8610,)),
        ('xs = [population(c) for c in ["Oman", "Peru"]]\nanswer(sum(xs), mean(xs) / 2)', (8, 2)),
        ('xs = [population(c) for c in ["Oman", "Malta"]]\nys = [x * 2 for x in xs]\nanswer(ys)', ([8, 10],)),
        ('a = search("K2")\nb = rank(["x", "y"], [a.value * 2, 3 + 4])\nanswer(b[0])', ("x",)),
        ('a = search("K2")\nif a.value - 8000 > 600:\n    answer("yes")\nelse:\n    answer("no")', ("yes",)),
        (
            'a = search("K2")\nif a.value / 2 > 5000:\n    answer("a")\nelif a.value / 2 > 4000:\n'
            '    b = search("Ararat")\n    answer(b.value)\nelse:\n    answer("c")',
            (5137,),
        ),
    ],
)
async def test_arithmetic_is_worked_out(text: str, answer: tuple[object, ...]) -> None:
    assert await answer_of(text) == answer


def test_numbers_are_values_and_results_are_calls() -> None:
    (node,) = nodes_of("answer(17 * 23)", [])
    assert node.op == Answer((Const(391),))
    first, second, last = nodes_of('a = search("x")\nanswer(a.value * 2)')
    assert (second.name, calculated(second)) == ("_1", 'f"{a.value} * 2"')
    assert last.source == "answer(a.value * 2)"
    assert first.name == "a"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("a - (b - c)", "{a} - ({b} - {c})"),
        ("(a - b) - c", "{a} - {b} - {c}"),
        ("a ** b ** c", "({a}) ** ({b}) ** ({c})"),
        ("-a % 7", "-({a}) % 7"),
        ("(a + 1) // b", "({a} + 1) // ({b})"),
        ("a / -2", "{a} / -2"),
    ],
)
def test_the_text_keeps_the_order_of_the_operators(written: str, text: str) -> None:
    bound = "".join(f'{name} = population("{name}")\n' for name in "abc")
    assert calculated(nodes_of(f"{bound}d = {written}")[-1]) == f'f"{text}"'


def test_arithmetic_of_one_condition_is_one_node() -> None:
    branch = 'if a.value - 1 > 2:\n    b = search("y")\n    c = search("z")\nelse:\n    answer(a.value - 1)'
    nodes = nodes_of(f'a = search("x")\n{branch}')
    assert [node.name for node in nodes] == ["a", "_1", "b", "c", "_2", None]
    assert [node.guards[0].expected for node in nodes[2:]] == [True, True, False, False]
    assert {node.guards[0].condition for node in nodes[2:]} == {nodes[2].guards[0].condition}


def test_without_a_calculator_only_numbers_are_worked_out() -> None:
    assert nodes_of('answer(f"{2 ** 10}")', [search])[0].op == Answer((Const("1024"),))
    told = mistake_of('a = search("x")\nanswer(a.value * 2)', [search])
    assert "line 2, column 8: no tool works out `a.value * 2`: there is no `calculate`" in told
    assert "fix: give `answer` the results themselves" in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('a = search("x")\nanswer(a * 2)', "line 2, column 8: `a * 2`: `a` is a record and no number"),
        ("answer(b * 2)", "line 1, column 8: the name `b` is not bound yet"),
        ('a = search("x")\nanswer(max(a.title, "y"))', "there is no tool `max`"),
    ],
)
def test_what_is_no_number_is_refused_where_it_stands(text: str, said: str) -> None:
    assert said in mistake_of(text)


NUMBERS = st.integers(0, 20).map(str) | st.sampled_from(["a", "b"])
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(lambda p: f"({' '.join(p)})")
        | inner.map(lambda text: f"(-{text})")
    ),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # drawing is slow where much else runs
@given(EXPRESSIONS, st.integers(-9, 9), st.integers(-9, 9))
def test_any_expression_means_what_python_makes_of_it(text: str, a: int, b: int) -> None:
    bound = 'a = population("a")\nb = population("b")\n'
    nodes = nodes_of(f"{bound}d = {text} + a")
    assert isinstance(nodes[-1].op, ToolCall)
    template = dict(nodes[-1].op.args)["expression"]
    assert isinstance(template, Template)
    values = {"a": a, "b": b}
    shown = "".join(part if isinstance(part, str) else str(values[part.ref.name]) for part in template.parts)
    assert builtin_tools("calculate")[0](shown) == eval(f"{text} + a", values.copy())
