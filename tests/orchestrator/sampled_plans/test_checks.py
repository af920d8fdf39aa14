"""Typed checks: each finds what cannot be right, and says nothing about what can.

The reference plans of the planning benchmark are right, so no check may reject one of them.
"""

from __future__ import annotations

import asyncio

import pytest

from braid.evals.tasks.planning_data import SPLITS, frozen_tools, questions
from braid.executors import RunContext, TaskGraph, Tool, ToolRegistry, tool
from braid.executors.builtin import builtin_tools
from braid.executors.builtin.atlas import Fact
from braid.orchestrator.sampled_plans.checks import Objection, objections, weight_of
from braid.orchestrator.sampled_plans.forms import plan_form
from braid.orchestrator.sampled_plans.trial import is_effect, try_plan
from braid.orchestrator.sampled_plans.wording import names_in, read_wording
from braid.planner import check_plan

TALLER = "How much taller is K2 than Mont Blanc?"
HEIGHTS = 'a = search("height of K2")\nb = search("height of Mont Blanc")\n'


@tool
def length(name: str) -> Fact:
    """The length of something, in kilometres."""
    return Fact(title=name, attribute="length", value=3.0, unit="km")


@tool
def no_such(name: str) -> str:
    """Fails."""
    raise LookupError(name)


@tool
async def late(name: str) -> int:
    """Answers when what fails has failed."""
    await asyncio.sleep(0.05)
    return 8611


TOOLS = [*builtin_tools(), length, no_such, late]


async def found(question: str, plan: str, tools: list[Tool] | None = None) -> list[Objection]:
    registry = ToolRegistry(TOOLS if tools is None else tools)
    graph = TaskGraph()
    nodes = check_plan(plan, registry.specs(), graph)
    form = plan_form(nodes, is_effect=lambda node: is_effect(node, registry))
    trial = await try_plan(nodes, form, graph, RunContext(tools=registry), sequential=False)
    return objections(question, nodes, trial)


async def rules(question: str, plan: str) -> list[str]:
    return [objection.rule for objection in await found(question, plan)]


def gap(expression: str) -> str:
    return f'{HEIGHTS}c = calculate(f"{expression}")\nanswer(f"{{c}} m")\n'


@pytest.mark.parametrize(
    ("question", "plan", "expected"),
    [
        (TALLER, gap("{a.value} - {b.value}"), []),
        (TALLER, gap("{b.value} - {a.value}"), ["sign"]),
        (TALLER, gap("{a.value} - {a.value}"), ["sign", "unread"]),
        ("By how much does K2 exceed Mont Blanc?", gap("{b.value} - {a.value}"), ["sign"]),
        ("What is the difference in height of K2 and Mont Blanc?", gap("{b.value} - {a.value}"), ["sign"]),
        ("What is K2 minus Mont Blanc in height?", gap("{b.value} - {a.value}"), []),
        ("What share of K2 is Mont Blanc?", gap("100 * {b.value} / {a.value}"), []),
        ("What share of K2 is Mont Blanc?", gap("100 * {a.value} / {b.value}"), ["share"]),
        ("What percentage of K2 is Mont Blanc?", gap("0 - {b.value} / {a.value}"), ["share"]),
        ("How many times as high as Mont Blanc is K2?", gap("{a.value} / {b.value}"), []),
        ("How many times as high as Mont Blanc is K2?", gap("{b.value} / {a.value}"), ["ratio"]),
        (TALLER, f'{HEIGHTS}if a.value > b.value:\n    answer("K2")\nanswer("Mont Blanc")\n', ["kind"]),
        ("Which is higher, K2 or Mont Blanc?", gap("{a.value} - {b.value}"), ["kind"]),
        ("Which year was K2 climbed?", 'a = search("first climbed of K2")\nanswer(a)\n', []),
        ("Is K2 higher than Mont Blanc?", gap("{a.value} - {b.value}"), ["kind"]),
        (
            "Is K2 higher than Mont Blanc?",
            f'{HEIGHTS}if a.value > b.value:\n    answer("yes")\nelse:\n    answer("no")\n',
            [],
        ),
        ("How tall is K2?", 'a = length("K2")\nb = search("height of K2")\nanswer(b)\n', ["unread"]),
        (
            TALLER,
            'a = search("height of K2")\nb = length("Mont Blanc")\n'
            'c = calculate(f"{a.value} - {b.value}")\nanswer(c)\n',
            ["mixed units"],
        ),
        ("How tall is K2?", 'a = search("height of Mont Blanc")\nanswer(a)\n', ["operand", "dropped"]),
        (
            "How many people live in the capital of France?",
            'a = search("capital of France")\nb = search(f"population of {a.value}")\nanswer(b)\n',
            [],
        ),
        (
            "How many people live in the capital of France?",
            'a = search("capital of France")\nb = search("population of Paris")\nanswer(b, a)\n',
            [],
        ),
        ("How much taller is K2 than Mont Blanc?", 'a = search("height of K2")\nanswer(a)\n', ["dropped"]),
        ("What is the height of K2 times 14?", 'a = search("height of K2")\nanswer(a)\n', ["dropped"]),
        (
            "What is the height of K2 plus 25%?",
            'a = search("height of K2")\nb = calculate(f"{a.value} * 1.25")\nanswer(b)\n',
            [],
        ),
        (
            "What is the mean height of K2, Mont Blanc and Denali?",
            HEIGHTS + 'c = calculate(f"({a.value} + {b.value}) / 2")\nanswer(c)\n',
            ["dropped", "over all"],
        ),
        ("How tall is K2?", 'n = no_such("K2")\na = late("K2")\nanswer(a)\n', ["failed", "unread"]),
    ],
)
async def test_a_check_finds_what_cannot_be(question: str, plan: str, expected: list[str]) -> None:
    assert sorted(await rules(question, plan)) == sorted(expected)


def test_a_rejection_leaves_nothing() -> None:
    slight, hard = Objection("a", 0.5, ""), Objection("b", 0.0, "")
    assert weight_of([]) == 1 and weight_of([slight, slight]) == 0.25 and weight_of([slight, hard]) == 0


@pytest.mark.parametrize("split", SPLITS)
async def test_right_plans_keep_their_votes(split: str) -> None:
    rows = questions(split)
    rows = rows if split.startswith("handwritten") else rows[::4]
    weights = [weight_of(await found(row.question, row.plan, list(frozen_tools()))) for row in rows]
    rejected = [row for row, weight in zip(rows, weights, strict=True) if weight == 0]
    assert not rejected, rejected[:3]
    assert sum(weight < 0.5 for weight in weights) <= 0.05 * len(rows)


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("How much taller is K2 than Mont Blanc?", ["k2", "mont blanc"]),
        ("The Rhine or the Danube: which is longer?", ["rhine", "danube"]),
        ("Which is older, the Statue of Liberty or the Eiffel Tower?", ["statue of liberty", "eiffel tower"]),
        ("Tell me. Norway has how many people?", []),
        ("WHICH IS LONGER, THE NILE OR THE AMAZON?", []),
        ("how tall is everest?", []),
        ("What would I weigh on Mars?", ["mar"]),
        ("Is the Airbus A320 longer than the F-16?", ["airbus a320", "f 16"]),
    ],
)
def test_names_are_runs_of_capitals(question: str, names: list[str]) -> None:
    assert [" ".join(name) for name in names_in(question)] == names


def test_numbers_and_kinds_are_read_from_the_words() -> None:
    wording = read_wording("If K2 grew by 1,500.5 m, how much taller would it be than 2 Eiffel Towers?")
    assert wording.numbers == (1500.5, 2.0) and wording.gap and not wording.numeric
    assert read_wording("How old is it?").numeric and not read_wording("Who is it?").numeric
    assert read_wording("Is it far?").yes_or_no and not read_wording("Is it A or B?").yes_or_no
    assert not read_wording("How much more does it cost by now?").share
