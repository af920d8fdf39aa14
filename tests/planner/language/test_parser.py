"""The plan language: where statements begin and end, what they may say, and the errors of all others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braid.executors import GraphPatch, RunContext, TaskGraph, Tool, ToolOptions, ToolRegistry, run_graph
from braid.executors.nodes import (
    AllOf,
    Answer,
    Ask,
    Compare,
    Const,
    DictOf,
    Expr,
    Field,
    Guard,
    ListOf,
    Map,
    Node,
    Not,
    Ref,
    Template,
    Think,
    ToolCall,
)
from braid.executors.tools import ToolSpec
from braid.planner import PlanError, PlanSyntaxError, compile_plan
from braid.planner.language import MAX_NESTING, PlanParser, Statement, parse_plan

Nodes = Callable[[str], list[Node]]


First = Callable[[str], PlanError]


def sources(text: str) -> list[str]:
    items = parse_plan(text)
    assert not [str(item) for item in items if isinstance(item, PlanError)]
    return [item.source for item in items if isinstance(item, Statement)]


def test_the_plan_of_the_design(nodes_of: Nodes) -> None:
    nodes = nodes_of(
        'heights = [search(f"height of {m}") for m in ["Mount Everest", "K2"]]\n'
        'total = calculate(f"{heights[0].value} + {heights[1].value}")\n'
        'verdict = think("Is the total above 17 km?", given=[total], method="self_consistency", n=8)\n'
        'if verdict.answer == "yes":\n'
        '    note = ask("Who wants to know?")\n'
        "answer(total, note)\n"
    )
    query = Template(("height of ", Field(Ref("m"))))
    yes = Guard(Compare("==", Ref("verdict", ("answer",)), Const("yes")), True)
    assert [node.op for node in nodes] == [
        Map("m", ListOf((Const("Mount Everest"), Const("K2"))), ToolCall("search", (("query", query),))),
        ToolCall(
            "calculate",
            (
                (
                    "expression",
                    Template(
                        (Field(Ref("heights", (0, "value"))), " + ", Field(Ref("heights", (1, "value"))))
                    ),
                ),
            ),
        ),
        Think(Const("Is the total above 17 km?"), (Ref("total"),), "self_consistency", (("n", 8),)),
        Ask(Const("Who wants to know?")),
        Answer((Ref("total"), Ref("note"))),
    ]
    assert [node.name for node in nodes] == ["heights", "total", "verdict", "note", None]
    assert [node.guards for node in nodes] == [(), (), (), (yes,), ()]
    assert [node.line for node in nodes] == [1, 2, 3, 5, 6]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('decline("nothing knows this")', Const("nothing knows this")),
        ("decline('it is \"here\"')", Const('it is "here"')),
        ('a = search("x")\ndecline(f"only {a.value} was found")', None),
        ('a = search("x")\ndecline(a.text)', Ref("a", ("text",))),
    ],
)
def test_a_decline_ends_a_plan(nodes_of: Nodes, text: str, reason: Expr | None) -> None:
    node = nodes_of(text)[-1]
    assert node.id == "decline" and node.name is None
    expected = Template(("only ", Field(Ref("a", ("value",))), " was found"))
    assert node.op == Answer((reason or expected,), declines=True)


def test_literals(nodes_of: Nodes) -> None:
    (node,) = nodes_of('p = place(-1.5, +2, tags=["a", "b" "c"], options={"x": 1, "y": -2})')
    assert isinstance(node.op, ToolCall)
    assert dict(node.op.args) == {
        "latitude": Const(-1.5),
        "longitude": Const(2),
        "tags": ListOf((Const("a"), Const("bc"))),
        "options": DictOf((("x", Const(1)), ("y", Const(-2)))),
    }


def test_implicit_concatenation_of_f_strings(nodes_of: Nodes) -> None:
    nodes = nodes_of('a = search("K2")\nb = search("a {brace}" f"b {{x}} {a.value:,.1f}"\n    " end")')
    assert nodes[1].op == ToolCall(
        "search", (("query", Template(("a {brace}b {x} ", Field(Ref("a", ("value",)), ",.1f"), " end"))),)
    )


def test_an_f_string_without_fields_is_text(nodes_of: Nodes) -> None:
    assert nodes_of('a = search(f"{{K2}}")')[0].op == ToolCall("search", (("query", Const("{K2}")),))


def test_keys_and_indexes(nodes_of: Nodes) -> None:
    nodes = nodes_of('a = search("x")\nanswer(a["value"], a.text)')
    assert nodes[1].op == Answer((Ref("a", ("value",)), Ref("a", ("text",))))


def test_branches(nodes_of: Nodes) -> None:
    nodes = nodes_of(
        'a = search("x")\n'
        "if a.value > 3 and not a.unit == 'm':\n"
        "    b = search('y')\n"
        "    if a.title in ['p', 'q']: c = search('z')\n"
        "elif 1 < a.value <= 3:\n"
        "    b = search('w')\n"
        "else:\n"
        "    b = search('v')\n"
        "answer(b, c)\n"
    )
    first = AllOf(
        (Compare(">", Ref("a", ("value",)), Const(3)), Not(Compare("==", Ref("a", ("unit",)), Const("m"))))
    )
    second = AllOf(
        (Compare("<", Const(1), Ref("a", ("value",))), Compare("<=", Ref("a", ("value",)), Const(3)))
    )
    inner = Compare("in", Ref("a", ("title",)), ListOf((Const("p"), Const("q"))))
    assert [node.guards for node in nodes] == [
        (),
        (Guard(first, True),),
        (Guard(first, True), Guard(inner, True)),
        (Guard(first, False), Guard(second, True)),
        (Guard(first, False), Guard(second, False)),
        (),
    ]
    assert [node.id for node in nodes] == ["a", "b", "c", "b#2", "b#3", "answer"]


def test_one_line_branches(nodes_of: Nodes) -> None:
    nodes = nodes_of('a = search("x")\nif a.value: answer("yes")\nelse: answer("no")  # or so\n')
    assert [guard.expected for node in nodes[1:] for guard in node.guards] == [True, False]
    assert nodes[2].source == 'answer("no")'


def test_is_none(nodes_of: Nodes) -> None:
    nodes = nodes_of('a = search("x")\nif a.unit is not None:\n  answer(a.unit)')
    assert nodes[1].guards == (Guard(Compare("!=", Ref("a", ("unit",)), Const(None)), True),)


def test_an_answer_after_a_conditional_answer_is_for_the_other_case(nodes_of: Nodes) -> None:
    nodes = nodes_of('a = search("x")\nif a.value > 3:\n    answer("high")\nanswer("low")')
    condition = Compare(">", Ref("a", ("value",)), Const(3))
    assert nodes[1].guards == (Guard(condition, True),)
    assert nodes[2].guards == (Guard(condition, False),)


def test_nested_calls_become_nodes_of_their_own(nodes_of: Nodes) -> None:
    nodes = nodes_of("answer(calculate(f\"{search('K2').value} - 1\"))")
    assert [(node.name, node.op) for node in nodes] == [
        ("_1", ToolCall("search", (("query", Const("K2")),))),
        ("_2", ToolCall("calculate", (("expression", Template((Field(Ref("_1", ("value",))), " - 1"))),))),
        (None, Answer((Ref("_2"),))),
    ]


def test_arithmetic_inside_calculate_is_taken(nodes_of: Nodes) -> None:
    nodes = nodes_of('a = search("x")\nb = search("y")\nc = calculate((a.value - b.value) / 2 ** -a.value)')
    op = nodes[2].op
    assert isinstance(op, ToolCall)
    template = dict(op.args)["expression"]
    assert isinstance(template, Template)
    shown = "".join(part if isinstance(part, str) else "{" + part.ref.name + "}" for part in template.parts)
    assert shown == "({a} - {b}) / 2 ** (-({a}))"


@pytest.mark.parametrize(
    "text",
    [
        'a = search("x")\nanswer(a)\n',
        'a = search("x")\r\nanswer(a)\r\n',
        'a = search("x")\ranswer(a)',
        '```python\na = search("x")\nanswer(a)\n```\n',
        'Here is the plan, I\'ll keep it (fairly short:\n\n```\na = search("x")\nanswer(a)\n```\n'
        'It looks up "x" first.',
        'Sure! This is it:\na = search("x")\nanswer(a)\nThis plan looks up x.',
        '# look up\n\na = search("x")\n\n\n# done\nanswer(a)\n# end',
        'a = search("x")\nanswer(a)<|end|>\nbabble(',
        'a = search("x")\nanswer(a)\n<|end|>b = search(',
        'a = search("x")\nanswer(a)</s>',
        'a = search("x"); answer(a);',
        '    a = search("x")\n    answer(a)',
        '\ta = search("x")\n        answer(a)',
        "\ufeffa = search('x')\nanswer(a)",
        '<think>\nI could write b = search("y")\n</think>\na = search("x")\nanswer(a)',
        '<think>first b = search("y"</think>\n\n```python\na = search("x")\nanswer(a)```',
        '~~~\na = search("x")\nanswer(a)\n~~~',
        '- a list (of\n1. things\n```py\n  a = search(\n"x",\n)\n  answer(a)\n```',
        'a = search("x") \\\n\nanswer(a)',
    ],
)
def test_what_models_write_around_a_plan(text: str) -> None:
    items = parse_plan(text)
    assert [str(item) for item in items if isinstance(item, PlanError)] == []
    first, second = (item for item in items if isinstance(item, Statement))
    assert (first.name, second.name, second.is_final) == ("a", None, True)


def test_two_fenced_blocks_are_one_plan() -> None:
    text = "First:\n```\na = search('x')\n```\nThen answer(a):\n```\n   answer(a)\n```\n"
    assert sources(text) == ["a = search('x')", "answer(a)"]


def test_statements_over_several_lines() -> None:
    text = (
        'a = place(\n    1,  # (north\n    2,\n    tags=["x",\n  "y"],\n)\n'
        'b = search("""two\nlines (\n""")\n'
        'c = search("con\\\ntinued")\n'
    )
    assert [source.split("=")[0].strip() for source in sources(text)] == ["a", "b", "c"]


def test_a_statement_is_there_at_its_line_end() -> None:
    parser = PlanParser()
    assert parser.feed('a = search("x")') == []
    assert [s.name for s in parser.feed("\n") if isinstance(s, Statement)] == ["a"]
    assert parser.feed("if a.value > 3:\n") == []
    inside = parser.feed('    b = search("y")\n')
    assert [s.name for s in inside if isinstance(s, Statement)] == ["b"]
    assert [s.name for s in parser.feed("    c = place(1,\r") if isinstance(s, Statement)] == []
    assert [s.name for s in parser.feed("\n2)\r") if isinstance(s, Statement)] == ["c"]
    assert [s.name for s in parser.feed("else:\n  d = search('z')") if isinstance(s, Statement)] == []
    assert [s.name for s in parser.finish() if isinstance(s, Statement)] == ["d"]
    assert parser.finish() == []
    with pytest.raises(ValueError, match="new PlanParser"):
        parser.feed("x")


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "fix"),
    [
        ("a = 1 + [b]", 1, 9, "`[b]` is no part of arithmetic", "numbers, results"),
        ("a = search(b << 2)", 1, 12, "`b << 2` is no part of arithmetic", "**"),
        ("a = search(-True)", 1, 12, "is not an argument", "literals"),
        ("a = search(1 / 0)", 1, 12, "divides by zero", "has a value"),
        ("a = [search(x * 2) for x in xs]", 1, 13, "inside a map's call", "`[x * 2 for x in xs]`"),
        ('a = search("x" + b)', 1, 12, "text is not put together", 'f"'),
        ('a = search(f"{b > 2} m")', 1, 12, "`{b > 2}`: f-strings take", "a name first"),
        ('a = search(f"{b!r}")', 1, 12, "`!r`", "{name}"),
        ('a = search(f"{b=}")', 1, 12, "no `=`", "{name}"),
        ('a = search(f"{b[i]}")', 1, None, "an index", "xs[0]"),
        ('a = search(f"{b:{w}}")', 1, 12, "format specification", ".2f"),
        ('a = search(f"{b:zz}")', 1, 12, "'zz' is not a format", ".2f"),
        ('a = search(f"{b:>99999999}")', 1, 12, "too wide", "100"),
        ('a = search(f"{b:>2500000000}")', 1, 12, "too wide", "100"),
        ('a = search(f"{b:.9999999999}")', 1, 12, "too wide", "100"),
        ('a = search(f"{b:0000000000000005000}")', 1, 12, "too wide", "100"),
        ('a = search(f"{b:>٢٥٠٠٠٠٠٠٠٠}")', 1, 12, "too wide", "100"),
        ("a = search(b[-1])", 1, 14, "from the front", "from 0"),
        ("a = search(b[1:2])", 1, 14, "no slices", "xs[0]"),
        ("a = search(b.__class__)", 1, 12, "private", "public"),
        ('a = search(b["_secret"])', 1, 14, "private", "public"),
        ("a = search(__import__)", 1, 12, "cannot be read", ""),
        ("a = search(lambda: 1)", 1, 12, "no `lambda`", "tool"),
        ("a = search([f(x) for x in y])", 1, 12, "statement of its own", "xs = "),
        ("a = [f(x) for x in y if x]", 1, 25, "no `if`", "filter"),
        ("a = [f(x, y) for x in p for y in q]", 1, 5, "one `for`", "first"),
        ("a = [x.value for x in p]", 1, 6, "calls a tool", "[tool(x)"),
        ("a = [f(g(x)) for x in p]", 1, 8, "inside a map's call", "two maps"),
        ("a = [answer(x) for x in p]", 1, 6, "`answer` cannot", "once"),
        ("a = {f(x) for x in p}", 1, 5, "square brackets", "[tool(x)"),
        ("a = (f(x) for x in p)", 1, 5, "square brackets", "[tool(x)"),
        ("a = b", 1, 5, "calls nothing", "where they are used"),
        ('a = "text"', 1, 5, "calls nothing", "where they are used"),
        ("a = f(x).value", 1, 5, "whole result", "a.value"),
        ("a = b.upper()", 1, 5, "no methods", "tools"),
        ("a = f(x)(y)", 1, 5, "tool's name", "tool(...)"),
        ("a = b if c else d", 1, 5, "if ... else", "`if` statement"),
        ("a = f(b if c else d)", 1, 7, "if ... else", "`if` statement"),
        ("a = f(b > c)", 1, 7, "behind `if`", "calculate"),
        ("a = f(*b)", 1, 7, "`*`", "each argument"),
        ("a = f(**b)", 1, 9, "`**`", "name=value"),
        ("a = f({1: 2})", 1, 8, "plain strings", '"key"'),
        ("a = f({1, 2})", 1, 7, "no sets", "[...]"),
        ("a = f(b'x')", 1, 7, "byte strings", "without the `b`"),
        ("a = f(2j)", 1, 7, "not a value", ""),
        ("a = f(x := 1)", 1, 7, "`:=`", "x = ..."),
        ("a, b = f(x)", 1, 1, "binds one name", "each name"),
        ("a = b = f(x)", 1, 1, "binds one name", "each name"),
        ("a: int = f(x)", 1, 1, "no type annotation", "a = ..."),
        ("a += 1", 1, 1, "never changed", "calculate"),
        ("a.b = f(x)", 1, 1, "binds one name", ""),
        ("answer = f(x)", 1, 1, "part of the language", "another name"),
        ("_1 = f(x)", 1, 1, "reserved", "letters"),
        ("a = answer(1)", 1, 1, "gives nothing back", "without a name"),
        ('a = decline("no")', 1, 1, "`decline` gives nothing back", "without a name"),
        ("a = [decline(x) for x in xs]", 1, 6, "cannot stand in a map", "once"),
        ('a = calculate(decline("x"))', 1, 15, "a statement of its own", "own line"),
        ("a = await f(x)", 1, 5, "no `await`", "alone"),
        ("import os", 1, 1, "not part of the plan language", "a plan has only"),
        ("for x in y:\n    f(x)", 1, None, "", ""),
        ("def g():\n    f(x)", 1, None, "", ""),
        ("a = f(x\nb = f(y)\n", 1, None, "", ""),
        ("a = f(x", 1, 6, "is closed", "')'"),
        ("a = f((x]", 1, 9, "does not close", "')'"),
        ("a = f(x))", 1, 9, "closes nothing", "balance"),
        ('a = f("x)\nb = f(1)', 1, 7, "not closed on its line", "triple"),
        ('a = f("""x)\nb = f(1)', 1, 7, "is closed", '"""'),
        ("a = f(“x”)", 1, 7, "invalid character", "plain quotes"),
        ("if a:\nf(x)", 1, 1, "no statement", "indent"),
        ("if a:", 1, 1, "no statement", "indent"),
        ("a = f(x)\n  b = f(y)", 2, 3, "unexpected indentation", "same amount"),
        ("if a:\n    b = f(y)\n  c = f(z)", 3, 3, "matches no line", "same amount"),
        ("else:\n    f(x)", 1, 1, "without an `if`", "below the body"),
        ("if a:\n  f(x)\ng(y)\nelif b:\n  f(z)", 4, 1, "without an `if`", ""),
        ("if a:\n  f(x)\nelse:\n  f(y)\nelse:\n  f(z)", 5, 1, "without an `if`", ""),
        ("if f(a).b > 3:\n  f(x)", 1, 4, "calls nothing", "x = f(a)"),
        ("if a.b + 'x' > 3:\n  f(x)", 1, 4, "text is not put together", 'f"'),
        ("if a is b:\n  f(x)", 1, 4, "`is`", "=="),
        ("b = f(1)\nif a\n    f(x)\n", 2, None, "expected ':'", "colon"),
        ("answer(1)\nelif x", 2, None, "", ""),
        ("a = f(x) b = f(y)", 1, None, "not a statement", "one statement"),
        ("a = f(\x00)", 1, None, "null bytes", "control characters"),
        ("é = f('ü' * b)", 1, 7, "text is not put together", ""),
    ],
)
def test_mistakes_are_located_and_say_what_to_write(
    text: str, line: int, column: int | None, message: str, fix: str
) -> None:
    first = next(item for item in parse_plan(text) if isinstance(item, PlanError))
    assert isinstance(first, PlanSyntaxError)
    assert first.line == line
    assert column is None or first.column == column
    assert message in first.message
    assert fix in first.fix


def test_one_mistake_in_a_branch_is_told_once() -> None:
    items = parse_plan(
        "if f(x):\n    a = g(1)\n    b = g(2)\nelif y:\n    a = g(3)\nelse:\n    a = g(4)\nc = g(5)\n"
    )
    assert [type(item) for item in items] == [PlanSyntaxError, Statement]


def test_reading_goes_on_behind_a_mistake() -> None:
    items = parse_plan('a = search("x)\nb = search("y")\nc = 1\nanswer(b)\n')
    assert [getattr(item, "source", None) for item in items] == [None, 'b = search("y")', None, "answer(b)"]


def test_an_error_shows_its_line_with_a_caret() -> None:
    (error,) = parse_plan('if x:\n\ta = f("é", b > 2)\n')
    assert str(error) == (
        "line 2, column 13: a comparison stands only behind `if`\n"
        '    \ta = f("é", b > 2)\n'
        "    \t           ^\n"
        "fix: use an `if` with `else:`, or `calculate` for a yes/no value"
    )


def test_a_bracket_that_is_never_closed_hits_the_size_limit() -> None:
    parser = PlanParser(max_statement_chars=200)
    items = parser.feed("a = f(x)\nb = f(\n")
    errors: list[PlanError] = []
    for _ in range(100):
        errors += [item for item in parser.feed("  y, (z),\n") if isinstance(item, PlanError)]
    assert len(items) == 1
    assert errors[0].line == 2
    assert "longer than 200 characters" in errors[0].message
    assert "line 2, column 6" in errors[0].fix


def test_deep_nesting_is_a_mistake_and_no_crash() -> None:
    for text in (
        "a = f(" + "-" * 9000 + "1)",
        "a = f(" + "[" * 400 + "]" * 400 + ")",
        "a = f(" + "x + " * 4000 + "1)",
        "if " + "not " * 4000 + "x:\n  f(1)",
        "a = f(" + "9" * 5000 + ")",
        "".join("  " * depth + "if x:\n" for depth in range(40)) + "  " * 40 + "f(1)",
        "if a:\n  f(0)\n" + "".join(f"elif b{n}:\n  f({n})\n" for n in range(200)),
    ):
        items = parse_plan(text)
        assert any(isinstance(item, PlanError) for item in items)


def test_a_long_plan_is_read_whole() -> None:
    assert len(parse_plan("".join(f'a{n} = search("{n}")\n' for n in range(5_000)))) == 5_000


PIECES = [
    'a = f("x")\n', "b = g(1, [2, {'k': a.v}])\n", 'answer(f"{a.v:.2f} (é)")\n', "if a.v > 3:\n",
    "    c = f(1)\n", "else:\n",
    "elif b:\n", "if x: y = f(2)\n", "[f(x) for x in xs]\n", "a", " = ", "f(", ")", "[", "]", "{", "}",
    '"', "'", '"""', "'''",
    "\\", "#", "\n", "\r\n", "\r", "    ", "\t", ";", ":", "```", "```python\n", "~~~\n", "<|end|>", "<|",
    "</s>", "<", "|",
    "<think>", "</think>\n", "Sure, I'll plan:\n", "answer(1)\n", "pass\n", "é", "“", "\x00", "\ufeff",
    "\u2028", "1 + 2",
    "$1", "=", "x = (\n1)\n", "\f", "lambda", ".", ",", "if ", "else", "import os\n",
]  # fmt: skip


def everything(items: Sequence[Statement | PlanSyntaxError]) -> list[object]:
    """All that is told of the items, fields that do not count for equality included."""
    return [
        {f.name: getattr(item, f.name) for f in dataclasses.fields(item)}
        if isinstance(item, Statement)
        else str(item)
        for item in items
    ]


def read_in(pieces: Sequence[str], limit: int) -> list[object]:
    parser = PlanParser(max_statement_chars=limit)
    items: list[Statement | PlanSyntaxError] = []
    for piece in pieces:
        items += parser.feed(piece)
    return everything([*items, *parser.finish()])


@settings(max_examples=250, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.data(), st.sampled_from([30, 20_000]))
def test_any_chunking_gives_the_same(text: str, data: st.DataObject, limit: int) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pieces = [text[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = read_in([text], limit)
    assert read_in(list(text), limit) == whole
    assert read_in(pieces, limit) == whole


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_read_without_a_crash(text: str) -> None:
    tools = [ToolSpec(name="f", description="", parameters={"type": "object", "properties": {"x": {}}})]
    _, errors = compile_plan(f"a = f(1)\n{text}\nb = f(a", tools)
    for error in errors:
        assert str(error)
        assert error.line >= 1 and error.column >= 1


def nested(depth: int) -> dict[str, str]:
    return {
        "not": f"if {'not ' * depth}a:\n    b = f(1)\n",
        "brackets": f"b = f({'[' * depth}a{']' * depth})\n",
        "dicts": "b = f(" + '{"x": ' * depth + "a" + "}" * depth + ")\n",
        "calls": f"b = {'f(' * depth}a{')' * depth}\n",
        "conditionals": f"b = f({'1 if a else (' * depth}2{')' * depth})\n",
        "both": f"if {'(a and (a or ' * depth}a{'))' * depth}:\n    b = f(1)\n",
        "fields": f"b = f(a{'.x' * depth})\n",
    }


ONE_TOOL = [ToolSpec(name="f", description="", parameters={"type": "object", "properties": {"x": {}}})]


@pytest.mark.parametrize("form", nested(1))
@pytest.mark.parametrize("depth", [80, 150, 800, 3000])
def test_deep_nesting_is_a_located_error(form: str, depth: int) -> None:
    nodes, errors = compile_plan("a = f(1)\n" + nested(depth)[form], ONE_TOOL)
    assert [node.name for node in nodes] == ["a"]
    assert errors and all(isinstance(error, PlanSyntaxError) and error.line >= 2 for error in errors)


@pytest.mark.parametrize("form", ["not", "brackets", "dicts", "calls", "both", "fields"])
async def test_what_is_not_refused_as_too_deep_can_be_run(form: str) -> None:
    depth = MAX_NESTING // 2 - 6 if form == "both" else MAX_NESTING - 8
    nodes, errors = compile_plan("a = f(1)\n" + nested(depth)[form], ONE_TOOL)
    assert not errors and len({*nodes}) == len(nodes)
    graph = TaskGraph()
    graph.apply(GraphPatch(base_version=0, add=tuple(nodes)))
    await run_graph(graph, None, RunContext(tools=ToolRegistry([Tool(same, ToolOptions(name="f"))])))
    assert graph.state("b") == ("failed" if form == "fields" else "done")


async def same(x: Any) -> Any:
    return x
