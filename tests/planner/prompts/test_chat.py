"""The prompt of chat models."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from braid.engine.local import LocalEngine
from braid.engine.scripted import ScriptedEngine
from braid.executors.nodes import ToolCall
from braid.planner import LLMPlanner, PlannerFinished, PlanTask, compile_plan, run_root
from braid.planner.language import Statement, parse_plan
from tests.support.calling_model import build_calling_model
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


EXAMPLE = re.compile(r"```\n(.*?)```", re.DOTALL)


def system_of(given: PlanTask) -> str:
    """The text before the task: the system's message, and the turns of examples."""
    return "\n".join(message["content"] for message in run_root(given)[:-2])


def test_the_examples_are_plans() -> None:
    examples = EXAMPLE.findall(system_of(task()))
    assert len(examples) == 3
    assert sum('policy="first"' in example for example in examples) == 1
    for example in examples:
        assert all(isinstance(item, Statement) for item in parse_plan(example)), example


@pytest.mark.parametrize(
    ("names", "count"),
    [
        ([], 1),
        (["calculate"], 2),
        (["search"], 1),
        (["population", "calculate"], 2),
        (["search", "calculate", "rank"], 3),
        (["place"], 1),
    ],
)
def test_short_examples_are_plans_for_the_tools_at_hand(names: list[str], count: int) -> None:
    specs = [spec for spec in plan_tools().specs() if spec.name in names]
    examples = EXAMPLE.findall(system_of(PlanTask(question="?", tools=specs, prompt="short")))
    assert len(examples) == count
    for example in examples:
        nodes, errors = compile_plan(example, specs)
        assert nodes and not errors, errors
        tools = {node.op.tool for node in nodes if isinstance(node.op, ToolCall)}
        assert tools <= set(names)


@pytest.mark.parametrize(
    ("names", "shown"), [([], "Bonjour"), (["search"], "museum"), (["search", "population"], "Library")]
)
def test_full_examples_fit_the_tools(names: list[str], shown: str) -> None:
    specs = [spec for spec in plan_tools().specs() if spec.name in names]
    system = system_of(PlanTask(question="?", tools=specs))
    assert shown.lower() in system.lower()
    assert ("years = calculate(" in system) is ("calculate" in names)


def test_the_short_prompt_is_short() -> None:
    assert 2 * len(system_of(task(prompt="short"))) < len(system_of(task()))


async def length(model: str, details: dict[str, str], window: int | None) -> str:
    engine = ScriptedEngine("", details=details, max_context=window, model=model)
    return await LLMPlanner(engine).prompt_length(task())


async def test_small_models_and_short_contexts_get_the_short_prompt() -> None:
    assert await length("small", {"parameters": "134515008"}, 8192) == "short"
    assert await length("large", {"parameters": "8030261248"}, 131072) == "full"
    assert await length("narrow", {"parameters": "8030261248"}, 2048) == "short"
    assert await length("unknown", {}, None) == "full"


async def test_the_prompt_is_counted_by_the_models_own_tokenizer(tmp_path: Path) -> None:
    async with await LocalEngine.load(build_calling_model(tmp_path), threads=1) as engine:
        messages = [*run_root(task())]
        async with await engine.prefill(messages) as context:
            assert await engine.count_tokens(messages) == context.token_count
        assert await LLMPlanner(engine).prompt_length(task()) == "short"


async def test_an_answer_without_tools_is_a_plan() -> None:
    given = PlanTask(question="Say hello in French.", prompt="short")
    events = [event async for event in LLMPlanner(ScriptedEngine('answer("Bonjour !")')).plan(given)]
    finished = events[-1]
    assert isinstance(finished, PlannerFinished) and finished.valid
    assert "(none)" in system_of(given)
