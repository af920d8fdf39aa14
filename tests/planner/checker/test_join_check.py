"""Joins and methods of thinking against tools and names: what is refused, where, and what is said."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from braid.executors import GraphPatch, TaskGraph, tool
from braid.executors.nodes import Const, Join, Node, Ref
from braid.executors.tools import ToolSpec
from braid.planner import PlanError, compile_plan
from braid.planner.language import render_plan
from tests.support.plan_tools import plan_tools


@tool
async def check(answer: str) -> bool:
    """Whether an answer is good."""
    return bool(answer)


@tool
async def compare(left: str, right: str) -> float:
    """How alike two texts are."""
    return float(left == right)


@tool
async def shorten(text: str) -> str:
    """A shorter text."""
    return text[:3]


@tool(effect="mutating")
async def book(room: str) -> bool:
    """Book a room."""
    return bool(room)


SPECS: list[ToolSpec] = [*plan_tools().specs(), *(each.spec for each in (check, compare, shorten, book))]
BEFORE = (
    'a = search("x")\nb = search("y")\nxs = [search(x) for x in ["p", "q"]]\nt = think("?")\nm = book("1")\n'
)


def compiled(
    text: str, *, verifier: bool | None = None, graph: TaskGraph | None = None
) -> tuple[list[Node], list[PlanError]]:
    return compile_plan(text, SPECS, graph, verifier=verifier)


def valid(text: str) -> Sequence[Node]:
    nodes, errors = compiled(text)
    assert not errors, str(errors[0])
    return nodes


@pytest.mark.parametrize(
    ("written", "op"),
    [
        ("join([a, b])", Join((Ref("a"), Ref("b")))),
        ('join([a, "x"], policy="first")', Join((Ref("a"), Const("x")), "first")),
        ("join(parts=xs)", Join(Ref("xs"))),
        ('join(xs, policy="2 of 2")', Join(Ref("xs"), "some", 2, 2)),
        ('join([a.value, b.value, 3], policy="2 of 3")', None),
        ('join([a, b], policy="vote")', Join((Ref("a"), Ref("b")), "vote")),
        (
            'join([a, b], policy="verified", verifier="check", at_least=0.7)',
            Join((Ref("a"), Ref("b")), "verified", verifier="check", at_least=0.7),
        ),
        ('join([t], policy="confident", at_least=0.9)', Join((Ref("t"),), "confident", at_least=0.9)),
        ("join([a, m])", Join((Ref("a"), Ref("m")))),
    ],
)
def test_a_join_is_read_and_written_out_again(written: str, op: Join | None) -> None:
    nodes = valid(f"{BEFORE}d = {written}\nif a.value > 3:\n    answer(d)\n")
    found = next(node.op for node in nodes if node.name == "d")
    assert op is None or found == op
    again = [node.op for node in valid(render_plan(nodes))]
    assert again == [node.op for node in nodes]


@pytest.mark.parametrize(
    ("written", "column", "message", "fix"),
    [
        ('join([a, b], policy="frist")', 18, "there is no policy 'frist'", 'did you mean `policy="first"`?'),
        ('join([a, b], policy="best")', 18, "there is no policy 'best'", '"2 of 3"'),
        ('join([a, b], policy="2  of 3")', 18, "there is no policy '2  of 3'", ""),
        ("join([a, b], policy=2)", 18, "`policy` is the name of a policy", '"first"'),
        ('join([a, b], policy="2 of 3")', 18, "`2 of 3` needs 3 parts, and there are 2", "2 of 2"),
        ('join([a, b], policy="3 of 2")', 18, "`3 of 2` is more than all parts", "2 of 2"),
        ("join([])", 10, "takes a list of parts", "join([a, b])"),
        ("join(a)", 10, "`join` takes a list, and `a` is none", "join([a, b])"),
        ("join(a, b)", 13, "`join` takes one list", "join([a, b])"),
        ("join()", 5, "`join` needs its parts", "join([a, b])"),
        ('join([a, b], polici="first")', 18, "no argument `polici`", "did you mean `policy`?"),
        ('join([a, b], policy="verified", verifier="chek")', 37, "no tool `chek`", "did you mean `check`?"),
        ('join([a, b], policy="verified", verifier="compare")', 37, "a verifier needs one argument", "one"),
        ('join([a, b], policy="verified", verifier="shorten")', 37, "`shorten` returns string", "how good"),
        ('join([a, b], policy="verified", verifier="book")', 37, "changes things in the world", "how good"),
        ('join([a, b], policy="verified", verifier=3)', 37, "`verifier` is the name of a tool", "quotes"),
        ('join([a, b], verifier="check")', 18, 'policy="all" has no verifier', 'policy="verified"'),
        ('join([a, b], policy="vote", at_least=1)', 33, 'policy="vote" has no score', "leave"),
        ('join([t], policy="confident", at_least="x")', 35, "`at_least` of `join` is a number", "0.9"),
        ('join([a, t], policy="confident")', 11, "`a` does not say how sure it is", "think"),
        ('join(xs, policy="confident")', 10, "`xs` does not say how sure it is", "think"),
        ('join([a, m], policy="first")', 14, "`m` calls `book`, which changes things", 'policy="all"'),
        (
            'join([a, book("2")], policy="first")',
            10,
            "a call inside it calls `book`, which changes things",
            'policy="all"',
        ),
        ("join([a, c])", 14, "`c` is not bound yet", ""),
    ],
)
def test_what_is_refused(written: str, column: int, message: str, fix: str) -> None:
    _, errors = compiled(f"{BEFORE}d = {written}")
    assert errors, "it was taken as valid"
    error = errors[0]
    assert message in error.message
    assert fix in error.fix
    assert (error.line, error.column) == (6, column)


def test_a_join_of_a_join_is_no_way_around_effects() -> None:
    _, errors = compiled(BEFORE + 'e = join([a, m])\nd = join([b, e], policy="first")')
    assert "calls `book`" in errors[0].message and errors[0].line == 7


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        ('d = join([a, b], policy="first")\nanswer(d.value)', None),
        ('d = join([a, b], policy="first")\nanswer(d.valeu)', "did you mean `d.value`?"),
        ('d = join(xs, policy="vote")\nanswer(d.valeu)', "did you mean `d.value`?"),
        ("d = join([a, b])\nanswer(d[0].value)", None),
        ("d = join([a, b])\nanswer(d.value)", "d[0]"),
        ("d = join(xs)\nanswer(d[0].valeu)", "did you mean `d[0].value`?"),
        ('d = join(xs, policy="2 of 2")\nanswer(d.value)', "d[0]"),
        ('d = join([t], policy="confident")\nanswer(d.anser)', "did you mean `d.answer`?"),
        ('d = join([a, t], policy="first")\nanswer(d.anything)', None),
    ],
)
def test_the_type_of_a_join_is_that_of_its_parts(read: str, problem: str | None) -> None:
    _, errors = compiled(BEFORE + read)
    assert [problem in error.fix for error in errors if problem] == ([True] if problem else [])
    assert problem is not None or not errors


def test_a_later_round_knows_the_type_of_a_join() -> None:
    graph = TaskGraph()
    graph.apply(GraphPatch(0, tuple(valid(BEFORE + 'd = join([a, b], policy="first")\ne = join(xs)'))))
    assert not compiled("answer(d.value, e[0].value)", graph=graph)[1]
    assert "did you mean `d.value`" in compiled("answer(d.valeu)", graph=graph)[1][0].fix
    assert "did you mean `e[0].value`" in compiled("answer(e[0].valeu)", graph=graph)[1][0].fix
    _, errors = compiled('f = join([d, e], policy="3 of 3")', graph=graph)
    assert "there are 2" in errors[0].message


def test_a_join_stands_inside_other_calls_and_holds_calls() -> None:
    nodes = valid('answer(join([search("x"), search("y")], policy="first").value)')
    assert [type(node.op).__name__ for node in nodes] == ["ToolCall", "ToolCall", "Join", "Answer"]
    _, errors = compiled('xs = [join([x]) for x in ["a"]]')
    assert "cannot stand in a map" in errors[0].message
    _, errors = compiled('join = search("x")')
    assert "part of the language" in errors[0].message


@pytest.mark.parametrize("known", [True, False, None])
@pytest.mark.parametrize(
    "text", ['d = join([a, b], policy="verified")', 't2 = think("?", method="best_of_n", n=2)']
)
def test_the_runs_own_verifier_is_missed_where_it_is_known_to_be_none(text: str, known: bool | None) -> None:
    _, errors = compiled(BEFORE + text, verifier=known)
    assert bool(errors) == (known is False)
    if errors:
        assert "needs a verifier, and this run has none of its own" in errors[0].message
        assert 'verifier="..."' in errors[0].fix


@pytest.mark.parametrize(
    ("written", "column", "message", "fix"),
    [
        ('think("?", method="self_consistancy")', 16, "no method `self_consistancy`", "`self_consistency`?"),
        ('think("?", method="guess")', 16, "no method `guess`", "the methods are: best_of_n, direct"),
        ('think("?", methd="direct")', 16, "the method `direct` has no option `methd`", "`method`?"),
        ('think("?", max_token=9)', 16, "`direct` has no option `max_token`", "`max_tokens`? It has"),
        (
            'think("?", n=2, window=9)',
            21,
            "`self_consistency` has no option `window`",
            "It has n, max_tokens",
        ),
        (
            'think("?", n="two")',
            16,
            "`n` of `self_consistency`: expected a whole number, got 'two'",
            "number",
        ),
        ('think("?", n=True)', 16, "expected a whole number, got True", ""),
        ('think("?", temperature="hot")', 16, "expected a number, got 'hot'", ""),
        ('think("?", stop="x")', 16, "the option `stop` cannot be written in a plan", "leave it out"),
        ('think("?", verifier="check")', 16, "`direct` has no option `verifier`", "It has"),
        ('think("?", method="best_of_n", verifier="chek")', 36, "no tool `chek`", "`check`?"),
        ('think("?", method="best_of_n", verifier=1)', 36, "`verifier` is the name of a tool", ""),
    ],
)
def test_methods_and_their_options(written: str, column: int, message: str, fix: str) -> None:
    _, errors = compiled(f"d = {written}", verifier=False)
    assert errors, "it was taken as valid"
    assert message in errors[0].message
    assert fix in errors[0].fix
    assert errors[0].column == column


@pytest.mark.parametrize(
    "written",
    [
        'think("?", n=2, temperature=1, max_tokens=99)',
        'think("?", method="best_of_n", verifier="check", n=2)',
        'think("?", method="spawn_join", window=99)',
    ],
)
def test_options_that_are_taken(written: str) -> None:
    assert not compiled(f"d = {written}", verifier=False)[1]
