"""Repairs that differ from what they repair."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from braid.engine import Token
from braid.engine.local import LocalEngine
from braid.engine.scripted import ScriptedEngine
from braid.planner import LLMPlanner, PlanCheckError, PlanningError, PlanTask
from braid.planner.repairs import Detour, detour, repeats
from tests.support.calling_model import build_calling_model
from tests.support.plan_tools import plan_tools

CONTINUES = {"continuation": "flags"}


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[LocalEngine]:
    """A real engine whose model always writes the same."""
    async with await LocalEngine.load(build_calling_model(tmp_path), threads=1) as engine:
        yield engine


def task() -> PlanTask:
    return PlanTask(question="How high is K2?", tools=plan_tools().specs())


async def test_a_model_that_writes_the_same_again_takes_another_way(engine: LocalEngine) -> None:
    planner = LLMPlanner(engine, max_tokens=6, max_repairs=2, repair_temperature=0, grammar=False)
    with pytest.raises(PlanningError) as caught:
        async for _ in planner.plan(task()):
            pass
    assert engine.open_contexts() == 0
    first, second, third = caught.value.text.split("\n\n")[:3]
    assert first == second == "<tool_call>" * 6
    assert third != second


async def statements_of(engine: ScriptedEngine) -> list[str]:
    planner = LLMPlanner(engine)
    found = [event async for event in planner.plan(task())]
    assert engine.open_contexts() == 0
    return [event.source for event in found if event.kind == "planner.statement"]


@pytest.mark.parametrize("rest", ["answer(a.value)\n", 'a = search("K2")\nanswer(a.value)\n'])
@pytest.mark.parametrize("fence", ["", "```python\n"])
async def test_a_repair_goes_on_behind_the_accepted_statements(rest: str, fence: str) -> None:
    engine = ScriptedEngine([f'{fence}a = search("K2")\nanswer(a.valeu)\n', rest], details=CONTINUES)
    assert await statements_of(engine) == ['a = search("K2")', "answer(a.value)"]
    assert engine.calls[1].prompt.endswith(f'Assistant:{fence}a = search("K2")\n')
    assert engine.calls[1].messages is not None
    assert "Go on behind them" in engine.calls[1].messages[-1]["content"]


async def test_a_repair_of_prose_begins_in_a_fence() -> None:
    engine = ScriptedEngine(["I do not know.", "answer(1)\n```"], details=CONTINUES)
    assert await statements_of(engine) == ["answer(1)"]
    assert engine.calls[1].prompt.endswith("Assistant:```\n")


async def test_a_small_model_begins_in_a_fence_at_once() -> None:
    engine = ScriptedEngine("answer(1)\n```", details=CONTINUES)
    planner, short = LLMPlanner(engine), replace(task(), prompt="short")
    events = [event async for event in planner.plan(short)]
    assert [event.source for event in events if event.kind == "planner.statement"] == ["answer(1)"]
    assert engine.calls[0].prompt.endswith("Assistant:```\n")


@pytest.mark.parametrize(
    "text", ["<think>\nHm.\n</think>\na = search('K2')\nb()\n", "Sure:\na = search('K2')\nb()\n"]
)
async def test_only_a_plan_is_gone_on_from(text: str) -> None:
    engine = ScriptedEngine([text, "answer(a)\n"], details=CONTINUES)
    assert await statements_of(engine) == ["a = search('K2')", "answer(a)"]
    assert engine.calls[1].prompt.endswith("Assistant:")


def tokens(*given: tuple[str, float]) -> list[Token]:
    return [Token(text=text, id=number, logprob=logprob) for number, (text, logprob) in enumerate(given)]


def test_the_least_sure_token_behind_the_prefix_is_left() -> None:
    written = tokens(("a = x\n", -9.0), ("answer", -0.1), ("(", -0.2), ("b", -2.5), (" ", -5.0), (")", 0.0))
    assert detour(written, before="", prefix="a = x\n") == Detour(kept="answer(", banned=3)
    assert detour(written[1:], before="a = x\n", prefix="a = x\n") == Detour(kept="answer(", banned=3)
    assert detour(written, before="", prefix="") == Detour(kept="", banned=0)
    assert detour(written[5:], before="", prefix="") == Detour(kept="", banned=5)
    assert detour([], before="", prefix="") is None
    assert detour(written, before="", prefix="c") is None


def test_only_the_same_mistake_again_is_a_repetition() -> None:
    one, other = (PlanCheckError("no", line=1, column=1, source_line=text) for text in ("a", "b"))
    assert [repeats(errors) for errors in ([one], [one, other], [other, one, one])] == [False, False, True]
