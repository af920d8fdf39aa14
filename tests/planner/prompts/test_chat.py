"""The prompt of chat models."""

from __future__ import annotations

import re

from braid.planner import PlanTask, run_root
from braid.planner.language import Statement, parse_plan
from tests.support.plan_tools import plan_tools


def task(question: str = "How much taller is K2 than Mont Blanc?", **options: object) -> PlanTask:
    return PlanTask(question=question, tools=plan_tools().specs(), **options)  # pyright: ignore


def test_the_run_root_comes_first_and_is_the_same_in_every_round() -> None:
    given = task(
        instructions="Answer in metres.",
        history=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
    )
    root = run_root(given)
    later = task(
        instructions="Answer in metres.", history=given.history, round=2, feedback="no answer", seed=5
    )
    assert run_root(later) == root
    assert [message["role"] for message in root] == ["system", "user", "assistant", "user", "assistant"]
    system = root[0]["content"]
    assert (
        system.index("How a plan is written")
        < system.index("- search(query: str)")
        < system.index("Answer in metres.")
    )
    assert "Look up one fact." in system
    other = run_root(task("Another question?"))
    assert other[0]["content"] == system.split("\n\n# What you are told besides")[0]


def test_the_examples_are_plans() -> None:
    examples = re.findall(r"```\n(.*?)```", run_root(task())[0]["content"], re.DOTALL)
    assert len(examples) == 3
    assert sum('policy="first"' in example for example in examples) == 1
    for example in examples:
        assert all(isinstance(item, Statement) for item in parse_plan(example)), example
