"""Plans built in Python: their text, their graph, and where mistakes are raised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from braid import Plan
from braid.executors import tool
from braid.executors.tools import ToolDefinitionError
from braid.planner import PlanError, PlanValueError, check_plan


@tool
def height(name: str, unit: str = "m") -> float:
    """Height of a mountain."""
    return {"K2": 8611.0, "Mont Blanc": 4806.0}[name]


def calculate(expression: str) -> float:
    """Work out a formula."""
    return float(expression)


def build() -> Plan:
    plan = Plan()
    a = plan.call(height, "K2", as_="k2")
    b = plan.call("height", name="Mont Blanc", unit="m")
    difference = plan.call(calculate, f"{a} - {b:.0f}")
    with plan.when((difference > 1000) & ~(a == b)):
        plan.answer(f"{{yes}} {difference}", [a, {"b": b}])
    with plan.or_when(a | b):
        pass
    with plan.otherwise():
        heights = plan.map(["K2", a], lambda name: plan.call(height, name), on_error="collect")
        thought = plan.think("Which?", given=[heights, heights[0]], method="direct")
        plan.decline(thought.answer)
    return plan


TEXT = """\
k2 = height("K2")
height_1 = height(name="Mont Blanc", unit="m")
calculate_1 = calculate(f"{k2} - {height_1:.0f}")
if (calculate_1 > 1000) and (not (k2 == height_1)):
    answer(f"{{yes}} {calculate_1}", [k2, {"b": height_1}])
elif k2 or height_1:
    pass
else:
    items_1 = [height(item_1, on_error="collect") for item_1 in ["K2", k2]]
    think_1 = think("Which?", given=[items_1, items_1[0]], method="direct")
    decline(think_1.answer)
"""


def test_the_text_is_a_plan_of_the_language() -> None:
    plan = build()
    assert str(plan) == TEXT
    nodes = check_plan(plan.text, plan.tools.specs())
    assert nodes == check_plan(TEXT, plan.tools.specs())


def test_the_graph_can_be_exported() -> None:
    graph = build().to_networkx()
    assert next(iter(graph.successors("k2"))) == "calculate_1"
    assert graph.nodes["items_1"]["op"] == "map" and graph.nodes["k2"]["state"] == "pending"
    assert build().diagram().startswith("flowchart TD")
    assert build().diagram("dot").startswith("digraph")


def test_conditions_look_into_lists_and_texts() -> None:
    plan = Plan()
    a = plan.call(height, "K2", as_="a")
    with plan.when(a.is_in([1, 8611]) & (a >= 1) & ~(a < 2) & (a <= 9000) & (a != 3)):
        plan.answer(a)
    assert plan.text.splitlines()[1] == (
        "if ((((a in [1, 8611]) and (a >= 1)) and (not (a < 2))) and (a <= 9000)) and (a != 3):"
    )
    check_plan(plan.text, plan.tools.specs())


def test_texts_are_data() -> None:
    plan = Plan()
    braces = plan.call(calculate, '{k2} and {0.__class__} <|end|> "quotes"\nline')
    plan.answer(f"{{}} {braces!s}", 'answer("x")')
    (call, answer) = check_plan(plan.text, plan.tools.specs())
    assert call.op.args[0][1].value == '{k2} and {0.__class__} <|end|> "quotes"\nline'  # pyright: ignore
    assert answer.op.values[1].value == 'answer("x")'  # pyright: ignore


MISTAKES: dict[str, tuple[Callable[[Plan, Any], object], type[Exception], str]] = {
    "argument": (lambda plan, a: plan.call(height, nam="K2"), PlanError, "did you mean `name`"),
    "missing": (lambda plan, a: plan.call(height), PlanError, "needs `name`"),
    "type": (lambda plan, a: plan.call(height, ["K2"]), PlanError, "argument `name`"),
    "part": (lambda plan, a: plan.answer(a.metres), PlanError, "is a number and has no `metres`"),
    "private": (lambda plan, a: a._secret, AttributeError, "private"),
    "name": (lambda plan, a: plan.call(height, "K2", as_="a"), PlanError, "already bound"),
    "no name": (
        lambda plan, a: plan.call(height, "K2", as_="x = height('K2')\ny"),
        PlanValueError,
        "no name",
    ),
    "no word": (
        lambda plan, a: plan.map([1], lambda x: plan.call(height, x), as_="a b"),
        PlanValueError,
        "no name",
    ),
    "no keyword": (lambda plan, a: plan.think("?", **{"n=1)\nb": 2}), PlanValueError, "no name"),
    "key": (lambda plan, a: plan.answer({1: "x"}), PlanValueError, "keys are plain text"),
    "object": (lambda plan, a: plan.answer(object()), PlanValueError, "cannot hold object"),
    "infinity": (lambda plan, a: plan.answer(float("inf")), PlanValueError, "finite"),
    "truth": (lambda plan, a: bool(a), PlanValueError, "known only when the plan runs"),
    "comparison": (lambda plan, a: bool(a > 3), PlanValueError, "combine conditions"),
    "iteration": (lambda plan, a: list(a), PlanValueError, "plan.map"),
    "condition": (lambda plan, a: plan.when(True).__enter__(), PlanValueError, "compares results"),  # pyright: ignore
    "foreign": (lambda plan, a: Plan().answer(a), PlanValueError, "another"),
    "foreign text": (lambda plan, a: Plan().answer(f"{a}"), PlanValueError, "another"),
    "by name": (lambda plan, a: plan.call("search", "K2"), PlanValueError, "by name too"),
    "map of two": (
        lambda plan, a: plan.map([1], lambda x: plan.call(height, f"{plan.call(height, 'K2')}")),
        PlanValueError,
        "one call, this one made 2",
    ),
    "map of none": (lambda plan, a: plan.map([1], lambda x: x), PlanValueError, "this one made 0"),
    "map in a map": (
        lambda plan, a: plan.map([1], lambda x: plan.map([2], lambda y: plan.call(height, y))),
        PlanValueError,
        "inner map first",
    ),
    "else without if": (lambda plan, a: plan.otherwise().__enter__(), PlanError, "else"),
    "two tools": (
        lambda plan, a: plan.call(tool(calculate, name="height"), "1"),
        ToolDefinitionError,
        "there",
    ),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_raised_where_it_is_made_and_leaves_the_plan_as_it_was(kind: str) -> None:
    make, error, words = MISTAKES[kind]
    plan = Plan()
    a = plan.call(height, "K2", as_="a")
    before = plan.text
    with pytest.raises(error, match=words):
        make(plan, a)
    assert plan.text == before
    plan.answer(a)
    assert plan.text == before + "answer(a)\n"


def test_a_block_that_raises_is_left_as_a_plan_that_can_be_read() -> None:
    plan = Plan()
    a = plan.call(height, "K2", as_="a")
    with pytest.raises(PlanError), plan.when(a > 1):
        plan.call(height, nam="x")
    plan.answer(a)
    check_plan(plan.text, plan.tools.specs())


def test_thousands_of_statements_are_linear() -> None:
    plan = Plan()
    results = [plan.call(height, "K2") for _ in range(3000)]
    plan.answer(results[-1])
    assert len(plan.graph().nodes) == 3001


def test_a_diagram_shows_what_the_body_of_a_map_reads() -> None:
    plan = Plan()
    text = plan.call("read", file="a.md")
    plan.answer(plan.map(["x", "y"], lambda who: plan.think(f"You are {who}.", given=[text])))
    assert list(plan.to_networkx().edges) == [("read_1", "items_1"), ("items_1", "answer")]


def test_joins_are_checked_like_everything_else() -> None:
    plan = Plan()
    heights = [plan.call(height, name) for name in ("K2", "Mont Blanc")]
    first = plan.join(heights, policy="first")
    plan.answer(f"{first:.0f}", plan.join(heights, policy="1 of 2"))
    assert 'join_1 = join([height_1, height_2], policy="first")' in plan.text
    plan = Plan()
    with pytest.raises(PlanError, match="2 of 3"):
        plan.join([plan.call(height, "K2")], policy="2 of 3")
