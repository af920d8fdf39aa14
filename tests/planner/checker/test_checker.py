"""Statements against tools and names: what is refused, where, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import pytest

from braid.executors import GraphPatch, RunContext, TaskGraph, Tool, ToolOptions, ToolRegistry, run_graph
from braid.executors.nodes import Answer, Const, ListOf, Map, Node, Ref, ToolCall
from braid.executors.tools import ToolSpec
from braid.planner import PlanCheckError, PlanError, compile_plan
from braid.planner.checker import PlanChecker
from braid.planner.language import Statement, parse_plan
from tests.support.plan_tools import plan_tools

Nodes = Callable[[str], list[Node]]
First = Callable[[str], PlanError]


@pytest.mark.parametrize(
    ("text", "place", "message", "fix"),
    [
        ('a = serch("x")', (1, 5), "no tool `serch`", "did you mean `search`?"),
        ('print("x")', (1, 1), "no tool `print`", "answer(...)"),
        ('a = max("x")', (1, 5), "no tool `max`", "calculate"),
        ('a = sorted("x")', (1, 5), "no tool `sorted`", "no Python functions"),
        ('a = frobnicate("x")', (1, 5), "no tool `frobnicate`", "search, calculate, rank"),
        ("a = search()", (1, 5), "needs `query`", "search(query: str)"),
        ('a = search("x", "y")', (1, 17), "takes 1 argument, 2 were given", "search(query: str)"),
        ('a = search("x", limit=3)', (1, 17), "no argument `limit`", "search(query: str)"),
        ('a = search(qery="x")', (1, 12), "no argument `qery`", "did you mean `query`?"),
        ('a = search("x", query="y")', (1, 17), "`query` is given twice", "once"),
        ("a = search(5)", (1, 12), "expected text, got 5", '"5"'),
        ('a = search(["x"])', (1, 12), "expected text, got a list", ""),
        ('a = place("45", 3)', (1, 11), "expected a number, got '45'", "`45`"),
        ('a = place("4; 5", 3)', (1, 11), "expected a number, got '4; 5'", "give a number"),
        ('a = place(1, 2, ["x; y", 3])', (1, 17), "item 1: expected text, got 3", ""),
        ('a = search("x")\nanswer(a["b; c"])', (2, 8), "no `a.b; c`", "Fact has title"),
        ("a = place(True, 3)", (1, 11), "expected a number, got True", ""),
        ('a = place(1, 2, "x")', (1, 17), "expected a list or None, got 'x'", "[...]"),
        ('a = place(1, 2, ["x", 3])', (1, 17), "item 1: expected text, got 3", ""),
        ('a = place(1, 2, options={"k": "v"})', (1, 17), "entry 'k': expected a whole number, got 'v'", ""),
        ('a = rank(["a"], [1], "ascnding")', (1, 22), "expected one of", 'did you mean "ascending"?'),
        ('a = rank(["a"], [1], "up")', (1, 22), '"descending", "ascending"', ""),
        (
            'a = search("x")\nanswer(a.valeu)',
            (2, 8), "no `a.valeu`", "Fact has title, value, unit, text; did you mean",
        ),
        ('a = search("x")\nanswer(f"is {a.high}")', (2, 14), "no `a.high`", "Fact has title"),
        ('a = search("x")\nanswer(a[0])', (2, 8), "not a list", "Fact has title"),
        ('a = population("x")\nanswer(a.value)', (2, 8), "is a whole number", "use `a` itself"),
        ('a = [search(x) for x in ["K2"]]\nanswer(a.value)', (2, 8), "is a list", "a[0]"),
        ('a = [search(x) for x in ["K2"]]\nanswer(a[0].height)', (2, 8), "no `a[0].height`", "Fact has"),
        ('a = think("?")\nanswer(a.anser)', (2, 8), "no `a.anser`", "did you mean `a.answer`?"),
        ("answer(b)", (1, 8), "`b` is not bound yet", "earlier line"),
        (
            'height = search("x")\nanswer(heigth.value)',
            (2, 8), "`heigth` is not bound yet", "did you mean `height`?",
        ),
        ("a = search(a)", (1, 12), "`a` is not bound yet", ""),
        ("answer(true)", (1, 8), "`true` is not bound", "`True`"),
        ("answer(search)", (1, 8), "is a function", "search(...)"),
        ('a = search("x")\na = search("y")', (2, 1), "already bound at line 1", "new name"),
        (
            'a = search("x")\nif a.value:\n    b = search("y")\nelse:\n    answer(b)',
            (5, 12), "only in the other branch of this `if` (line 3)", "before the `if`",
        ),
        (
            'a = search("x")\nif a.value:\n    b = search("y")\nb = search("z")',
            (4, 1), "already bound at line 3", "",
        ),
        ('a = search("x")\nif a.size > 3:\n    answer(a)', (2, 4), "no `a.size`", "Fact has"),
        ("if x > 3:\n    answer(1)", (1, 4), "`x` is not bound yet", ""),
        ('a = [search(x) for x in "abc"]', (1, 25), "goes over a list", "[a, b]"),
        ('a = search("x")\nb = [search(x) for x in a.text]', (2, 25), "goes over a list", "[a, b]"),
        ('a = [search(x, on_error="stop") for x in ["K2"]]', (1, 16), "`on_error`", '"collect"'),
        ('a = [search(x.y.z, w) for x in ["K2"]]', (1, 20), "`w` is not bound", ""),
        ("answer()", (1, 1), "at least one value", "answer(value)"),
        ("answer(value=1)", (1, 8), "without names", "answer(value)"),
        ('answer(1)\nanswer(2)', (2, 1), "already answered at line 1", "one `answer(...)`"),
        ("decline()", (1, 1), "takes one reason", 'decline("...")'),
        ('decline("a", "b")', (1, 14), "takes one reason", 'decline("...")'),
        ('decline(why="a")', (1, 9), "takes one reason", 'decline("...")'),
        ("decline(3)", (1, 9), "expected text, got 3", "quotes"),
        ('decline("no")\nanswer(1)', (2, 1), "already answered at line 1", "one `answer(...)`"),
        ('a = ask("x", "y")', (1, 14), "one question", 'ask("...")'),
        ("a = ask(3)", (1, 9), "expected text, got 3", "quotes"),
        ('a = think("x", given=[1], about=[1])', (1, 27), "option `about`", "given=[...]"),
        ('a = think("x", method=3)', (1, 16), "`method`", "self_consistency"),
        ("a = think(given=[1])", (1, 5), "one question", "think"),
    ],
)  # fmt: skip
def test_what_is_refused(error_of: First, text: str, place: tuple[int, int], message: str, fix: str) -> None:
    error = error_of(text)
    assert isinstance(error, PlanCheckError)
    assert (error.line, error.column) == place
    assert message in error.message
    assert fix in error.fix
    assert text.split("\n")[place[0] - 1].strip() in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "a = place(1, 2)",
        "a = place(1, longitude=2.5, tags=None, options={})",
        'a = rank(names=["a", "b"], values=[1, 2.5], order="ascending")',
        'a = search("K2")\nb = rank(["x", a.title], [a, a.value])',
        'a = search("K2")\nb = place(a.value, a)',
        'search = search("K2")\nanswer(search.value)',
        'm = search("x")\na = [search(m) for m in [m.title, "y"]]',
        'a = [rank([x], [1]) for x in ["K2"]]\nanswer(a[0][0])',
        '_ = search("x")\nanswer(_)',
        'größe = search("x")\nanswer(größe.value)',
        'a = search("x")\nif a.value > 3:\n    b = search("y")\nanswer(a, b)',
        'a = search("x")\nif a.value > 3:\n    answer(1)\nelif a.value > 2:\n    answer(2)\n'
        "else:\n    answer(3)",
        'a = ask(question="Which?")\nb = search(f"{a}")\nthink("ok?", given=b, temperature=0.5)',
        'answer("Paris (France)", [1, "x"], {"k": [1]})',
    ],
)
def test_what_is_taken(nodes_of: Nodes, text: str) -> None:
    nodes_of(text)


def test_positional_arguments_get_their_names(nodes_of: Nodes) -> None:
    nodes = nodes_of('a = rank(["x"], order="ascending", values=[1])')
    assert nodes[0].op == ToolCall(
        "rank",
        (("names", ListOf((Const("x"),))), ("order", Const("ascending")), ("values", ListOf((Const(1),)))),
    )


def test_collecting_maps(nodes_of: Nodes) -> None:
    nodes = nodes_of('a = [search(x, on_error="collect") for x in ["K2"]]')
    assert nodes[0].op == Map(
        "x", ListOf((Const("K2"),)), ToolCall("search", (("query", Ref("x")),)), "collect"
    )


def test_a_tool_may_have_an_argument_on_error(tools: list[ToolSpec]) -> None:
    own = ToolSpec(
        name="run", description="", parameters={"properties": {"x": {}, "on_error": {"type": "string"}}}
    )
    nodes, errors = compile_plan('a = [run(x, on_error="stop") for x in [1]]', [own])
    assert not errors
    assert isinstance(nodes[0].op, Map)
    assert nodes[0].op.body == ToolCall("run", (("x", Ref("x")), ("on_error", Const("stop"))))


def test_without_a_result_schema_any_path_goes() -> None:
    spec = ToolSpec(name="fetch", description="", parameters={"properties": {"url": {"type": "string"}}})
    assert not compile_plan('a = fetch("u")\nanswer(a.b[0].c, a[1])', [spec])[1]


def test_a_refused_statement_leaves_nothing_behind(tools: list[ToolSpec]) -> None:
    checker = PlanChecker(tools)
    bad, good = parse_plan('a = place(search("x").value, nothing)\na = place(search("x").value, 1)')
    assert isinstance(bad, Statement) and isinstance(good, Statement)
    with pytest.raises(PlanCheckError):
        checker.check(bad)
    assert [node.id for node in checker.check(good)] == ["_2", "a"]


def test_bare_calls_have_ids_of_their_own(nodes_of: Nodes) -> None:
    assert [n.id for n in nodes_of('search("x")\nsearch("y")\nsearch("z")\nanswer(1)')] == [
        "search", "search#2", "search#3", "answer",
    ]  # fmt: skip


async def after_a_round(text: str) -> TaskGraph:
    registry = plan_tools()
    nodes, errors = compile_plan(text, registry.specs())
    assert not errors
    graph = TaskGraph()
    graph.apply(GraphPatch(base_version=0, add=tuple(nodes)))
    await run_graph(graph, None, RunContext(tools=registry))
    return graph


async def test_names_of_earlier_rounds(tools: list[ToolSpec]) -> None:
    graph = await after_a_round(
        'a = search("height of K2")\nb = search("height of nothing")\nc = [search(x) for x in ["K2"]]'
    )

    def problem(text: str) -> PlanError | None:
        return next(iter(compile_plan(text, tools, graph, round=1)[1]), None)

    assert problem("answer(a.value, c[0].value)") is None
    assert problem('b = search("K2")\nanswer(b.value)') is None
    wrong: dict[str, tuple[str, Any]] = {
        "answer(a.size)": ("no `a.size`", 8),
        "answer(c.value)": ("is a list", 8),
        'a = search("x")': ("already bound by an earlier round (done)", 1),
        "answer(b)": ("has no result", 8),
    }
    for text, (message, column) in wrong.items():
        error = problem(text)
        assert error is not None and message in error.message and error.column == column
    nodes, _ = compile_plan('b = search("K2")\nanswer(calculate(f"{b.value} - 1"))', tools, graph, round=1)
    assert len({node.id for node in nodes} | set(graph.nodes)) == len(nodes) + len(graph.nodes)
    assert {node.round for node in nodes} == {1}
    graph.apply(GraphPatch(base_version=graph.version, add=tuple(nodes)))


def test_an_answer_in_the_same_branch_twice(error_of: First) -> None:
    error = error_of('a = search("x")\nif a.value:\n    answer(1)\n    answer(2)')
    assert (error.line, error.message) == (4, "the plan has already answered at line 3")


def test_answer_after_nested_conditional_answers(nodes_of: Nodes) -> None:
    nodes = nodes_of(
        'a = search("x")\nif a.value > 1:\n    if a.value > 2:\n        answer(1)\n    answer(2)\nanswer(3)'
    )
    answers = [node for node in nodes if isinstance(node.op, Answer)]
    assert [[guard.expected for guard in node.guards] for node in answers] == [
        [True, True],
        [True, False],
        [False, False],
    ]


@pytest.mark.parametrize("name", ["größe", "высота", "高さ", "ऊँचाई", "ﬁnd"])
async def test_a_tool_named_in_another_script_can_be_planned_and_called(name: str) -> None:
    async def measure(größe: int) -> int:  # noqa: PLC2401
        return größe + 1

    made = Tool(measure, ToolOptions(name=name))
    plan = f"Here is the plan.\n{name}_1 = {name}(größe=1)\n{name}(2)\nanswer({name}_1)\n"
    nodes, errors = compile_plan(plan, [made.spec])
    assert not errors and len(nodes) == 3
    graph = TaskGraph()
    graph.apply(GraphPatch(base_version=0, add=tuple(nodes)))
    outcome = await run_graph(graph, None, RunContext(tools=ToolRegistry([made])))
    assert outcome.answer == (2,)


@pytest.mark.parametrize(
    ("hint", "literal", "value"),
    [
        (dict[int, str], '{"1": "K2", "2": "Lhotse"}', {1: "K2", 2: "Lhotse"}),
        (dict[float, int], '{"1.5": 2}', {1.5: 2}),
        (Mapping[int, list[str]], '{"1": ["a"]}', {1: ["a"]}),
        (list[dict[int, dict[int, str]]], '[{"1": {"2": "a"}}]', [{1: {2: "a"}}]),
        (dict[date, int], '{"2026-01-02": 1}', {date(2026, 1, 2): 1}),
        (dict[str, int], '{"1": 2}', {"1": 2}),
        (dict[int, int] | None, '{"1": 2}', {1: 2}),
    ],
)
async def test_dicts_with_other_keys_than_text_can_be_written(hint: Any, literal: str, value: object) -> None:
    seen: list[object] = []

    async def names(by_rank: Any) -> None:
        seen.append(by_rank)

    names.__annotations__["by_rank"] = hint
    made = Tool(names)
    nodes, errors = compile_plan(f"names({literal})\n", [made.spec])
    assert not errors
    graph = TaskGraph()
    graph.apply(GraphPatch(base_version=0, add=tuple(nodes)))
    outcome = await run_graph(graph, None, RunContext(tools=ToolRegistry([made])))
    assert seen == [value], outcome.failures
