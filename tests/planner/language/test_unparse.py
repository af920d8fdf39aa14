"""What is rendered parses to what was rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from braid.executors.nodes import (
    AllOf,
    Answer,
    AnyOf,
    Ask,
    Compare,
    Const,
    DictOf,
    Expr,
    Field,
    Guard,
    Join,
    ListOf,
    Map,
    Node,
    Not,
    Op,
    Ref,
    Template,
    Think,
    ToolCall,
)
from braid.executors.tools import ToolSpec
from braid.planner import compile_plan
from braid.planner.language import Statement, parse_plan, rename, render_expr, render_plan


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_text_in_quotes_stays_what_it_is(text: str) -> None:
    (statement,) = parse_plan(f"a = f({render_expr(Const(text))})")
    assert isinstance(statement, Statement)
    assert statement.form.args[0].value == Const(text)  # pyright: ignore


# A tool that takes anything, so that only the language is in question.
ANY = ToolSpec(
    name="tool",
    description="",
    parameters={"type": "object", "properties": {"x": {}}, "additionalProperties": {}},
)
CHECK = ToolSpec(
    name="check", description="", parameters={"type": "object", "properties": {"x": {}}, "required": ["x"]}
)


consts = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(
        ["$1", "${1}", "{a}", 'say "hi"', "it's", "two\nlines", "Paris (France)", "# no", "```", "<|end|>"]
    ),
).map(Const)


public_keys = st.text(min_size=1, max_size=6).filter(lambda key: not key.startswith("_"))


fields = st.sampled_from(["value", "unit", "a b", "class", "größe"])


indexes = st.integers(0, 99)


STAND_INS = ["r0", "r1", "r2", "r3"]
"""Names in drawn expressions. Each becomes a name that is bound where the expression stands."""


def ref_paths(keys: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str | int, ...]]:
    return st.lists(st.one_of(keys, indexes), max_size=3).map(tuple)


def template(pairs: Sequence[tuple[str, Field]]) -> Expr:
    return Template(tuple(part for pair in pairs for part in pair if part))


stand_ins = st.sampled_from(STAND_INS)


format_fields = st.builds(
    Field, st.builds(Ref, stand_ins, ref_paths(fields)), st.sampled_from(["", ".2f", ",", ">10"])
)


templates = st.lists(st.tuples(st.text(max_size=8), format_fields), min_size=1, max_size=3).map(template)


arguments: st.SearchStrategy[Expr] = st.recursive(
    st.one_of(consts, st.builds(Ref, stand_ins, ref_paths(public_keys)), templates),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: ListOf(tuple(items))),
        st.lists(st.tuples(st.text(max_size=5), inner), max_size=2).map(lambda items: DictOf(tuple(items))),
    ),
    max_leaves=4,
)


compares = st.builds(
    Compare, st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"]), arguments, arguments
)


conditions: st.SearchStrategy[Expr] = st.recursive(
    st.one_of(compares, arguments),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda terms: AllOf(tuple(terms))),
        st.lists(inner, min_size=2, max_size=3).map(lambda terms: AnyOf(tuple(terms))),
        inner.map(Not),
    ),
    max_leaves=3,
)


calls = st.dictionaries(st.sampled_from(["x", "y", "größe"]), arguments, max_size=3).map(
    lambda args: ToolCall("tool", tuple(args.items()))
)


thoughts = st.builds(
    Think,
    st.text(max_size=10).map(Const),
    st.lists(arguments, max_size=2).map(tuple),
    st.sampled_from([None, "self_consistency"]),
    st.sampled_from([(), (("n", 8),), (("n", 3), ("temperature", 0.5))]),
)


maps = st.builds(
    Map,
    st.just("item"),
    st.lists(arguments, max_size=3).map(lambda items: ListOf(tuple(items))),
    calls,
    st.sampled_from(["fail", "collect"]),
)


def joined(parts: Sequence[Expr], policy: Any, count: int, at_least: float | None) -> Join:
    match policy:
        case "some":
            return Join(tuple(parts), policy, min(count, len(parts)), len(parts))
        case "verified":
            return Join(tuple(parts), policy, verifier="check", at_least=at_least)
        case "confident":
            names = tuple(part for part in parts if isinstance(part, Ref))
            return Join(names, policy, at_least=at_least) if names else Join(tuple(parts))
        case _:
            return Join(tuple(parts), policy)


joins = st.builds(
    joined,
    st.lists(arguments, min_size=1, max_size=3),
    st.sampled_from(["all", "first", "some", "vote", "verified", "confident"]),
    st.integers(1, 3),
    st.sampled_from([None, 0.5, 1.0, 1e-7]),
)


operations: st.SearchStrategy[Op] = st.one_of(
    calls, thoughts, st.builds(Ask, st.text(max_size=10).map(Const)), maps, joins, st.just(Join(Ref("r0")))
)


def settled(op: Op, names: dict[str, str]) -> Op:
    """`op` with the names that are bound where it stands."""
    match op:
        case ToolCall(tool, args):
            return ToolCall(tool, tuple((key, rename(value, names)) for key, value in args))
        case Think(question, given, method, options):
            return Think(question, tuple(rename(item, names) for item in given), method, options)
        case Map(var, over, body, on_error):
            inner = settled(body, {**names, "r0": var})
            assert isinstance(inner, ToolCall)
            return Map(var, rename(over, names), inner, on_error)
        case Join(Ref() as parts):
            return replace(op, parts=Ref(names[parts.name]))
        case Join(tuple() as parts):
            return replace(op, parts=tuple(rename(part, names) for part in parts))
        case _:
            return op


@st.composite
def plans(draw: st.DrawFn) -> list[Node]:
    nodes = [Node(id="n0", op=ToolCall("tool"), name="n0")]

    def block(guards: tuple[Guard, ...], visible: list[str], depth: int) -> None:
        visible = list(visible)
        for _ in range(draw(st.integers(1, 3))):
            names = {key: visible[-1 - place % len(visible)] for place, key in enumerate(STAND_INS)}
            if depth < 2 and draw(st.integers(0, 3)) == 0:
                condition = rename(draw(conditions), names)
                if any(guard.condition == condition for guard in guards):
                    continue
                for expected in draw(st.sampled_from([(True,), (True, False), (False,)])):
                    block((*guards, Guard(condition, expected)), visible, depth + 1)
                continue
            name = f"n{len(nodes)}"
            op = settled(draw(operations), names)
            nodes.append(Node(id=name, op=op, name=name, guards=guards))
            if isinstance(op, ToolCall):  # of the others it is known what they give, so not any path fits
                visible.append(name)

    block((), ["n0"], 0)
    declines = draw(st.booleans())
    op = Answer((Const("done"),), declines=declines)
    nodes.append(Node(id="decline" if declines else "answer", op=op))
    return nodes


@settings(max_examples=100, deadline=None)
@given(plans())
def test_a_rendered_plan_gives_its_nodes_again(nodes: list[Node]) -> None:
    text = render_plan(nodes)
    again, errors = compile_plan(text, [ANY, CHECK])
    assert not errors, f"{text}\n{errors[0]}"
    assert [(n.name, n.op, n.guards) for n in again] == [(n.name, n.op, n.guards) for n in nodes]
    assert render_plan(again) == text
