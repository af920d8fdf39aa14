"""Runs that need no plan, through the public face."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from braid.engine import Message
from braid.engine.scripted import ScriptedEngine
from braid.executors import tool
from braid.executors.builtin import builtin_tools
from braid.orchestrator import Agent, RunAnswered, RunFinished
from braid.planner import DirectText, Routed


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    raise AssertionError("a shortcut calls no tool")


def small_engine(*plans: str) -> ScriptedEngine:
    return ScriptedEngine(list(plans), details={"prompt_style": "compact"})


@pytest.mark.parametrize(
    ("question", "answer", "output"),
    [
        ("What is 2+2?", "4", 4),
        ("hello, what's 15% of 80?", "12", 12),
        ("how many metres in 3 km", "3000 metres", 3000),
        ("is 2024 a leap year", "Yes, 2024 was a leap year.", True),
    ],
)
async def test_a_question_for_code_needs_no_model_and_no_tool(
    question: str, answer: str, output: object
) -> None:
    result = await Agent(ScriptedEngine([]), tools=[add]).run(question)
    assert (result.answer, result.output, result.complete, result.rounds) == (answer, output, True, 0)
    assert result.usage.calls == 0 and result.plan == ""
    assert result.to_dict()["route"] == result.route != "plan"


async def test_the_decision_is_an_event() -> None:
    async with Agent(ScriptedEngine([]), tools=[add]).stream("17 times 23") as events:
        seen = [envelope.event async for envelope in events]
    routed = next(event for event in seen if isinstance(event, Routed))
    assert (routed.route, routed.answer, routed.value) == ("arithmetic", "391", 391)
    assert any(isinstance(event, RunAnswered) for event in seen) and isinstance(seen[-1], RunFinished)


@pytest.mark.parametrize("question", ["What is 2+2?", "hello", "how many metres in 3 km"])
async def test_without_shortcuts_the_planner_has_the_question(question: str) -> None:
    agent = Agent(ScriptedEngine(['answer("planned")\n']), tools=[add], shortcuts=False)
    result = await agent.run(question)
    assert (result.answer, result.route, result.rounds) == ("planned", "plan", 1)
    assert not any(isinstance(envelope.event, Routed) for envelope in result.events)


async def test_the_settings_can_turn_shortcuts_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_SHORTCUTS", "0")
    result = await Agent(ScriptedEngine(['answer("planned")\n']), tools=[add]).run("What is 2+2?")
    assert result.answer == "planned"


@pytest.mark.parametrize(
    ("question", "output_type", "output"),
    [
        ("What is 2+2?", int, 4),
        ("What is 2+2?", str, "4"),
        ("What is 2+2?", list[int], ["planned"]),
        ("what is the date 1 day after 1 March 2024", date, date(2024, 3, 2)),
        ("hello", int, ["planned"]),
    ],
)
async def test_an_output_type_that_the_value_does_not_fit_needs_a_plan(
    question: str, output_type: type, output: object
) -> None:
    planned = output == ["planned"]
    agent = Agent(
        ScriptedEngine(["answer([7])\n" if output_type == list[int] else "answer(7)\n"]), tools=[add]
    )
    result = await agent.run(question, output_type=output_type)
    assert result.route == ("plan" if planned else "arithmetic" if "2+2" in question else "date")
    assert planned or result.output == output


async def test_the_exchange_is_part_of_the_conversation() -> None:
    result = await Agent(ScriptedEngine([]), tools=[add]).run("What is 2+2?")
    assert list(result.history) == [
        {"role": "user", "content": "What is 2+2?"},
        {"role": "assistant", "content": "4"},
    ]


async def test_a_greeting_does_not_reach_the_planner() -> None:
    engine = ScriptedEngine(['answer("high")\n'])
    result = await Agent(engine, tools=[add]).run("Hi! How tall is K2?")
    assert (result.answer, result.question) == ("high", "Hi! How tall is K2?")
    assert "Hi!" not in str(result.root[-2]["content"])


async def test_yes_answers_an_agent_that_has_asked() -> None:
    history: list[Message] = [
        {"role": "user", "content": "Send it"},
        {"role": "assistant", "content": "Shall I?"},
    ]
    result = await Agent(ScriptedEngine(['answer("sent")\n']), tools=[add]).run("yes", history=history)
    assert result.answer == "sent"


async def test_a_chat_model_writes_in_one_generation() -> None:
    engine = ScriptedEngine(["Rain falls softly."])
    async with Agent(engine, tools=builtin_tools()).stream("Write a haiku about rain") as events:
        seen = [envelope.event async for envelope in events]
    result = events.result
    assert (result.answer, result.route, result.rounds) == ("Rain falls softly.", "direct", 0)
    assert "".join(event.text for event in seen if isinstance(event, DirectText)) == "Rain falls softly."
    assert result.usage.calls == 1


async def test_the_compact_model_never_writes() -> None:
    result = await Agent(small_engine(), tools=builtin_tools()).run("Write a haiku about rain")
    assert result.route == "about_braid" and "--engine" in result.answer


async def test_nonsense_is_declined_in_a_sentence() -> None:
    result = await Agent(small_engine(), tools=builtin_tools()).run("asdfgh")
    routed = next(e.event for e in result.events if isinstance(e.event, Routed))
    assert routed.declined and result.answer.endswith("Please ask in other words.")


async def test_an_agent_in_an_agent_takes_shortcuts_too() -> None:
    inner = Agent(ScriptedEngine([]), tools=[add])
    plan = 'a = helper("What is 6 times 7?")\nanswer(a)\n'
    outer = Agent(ScriptedEngine([plan]), tools=[inner.as_tool("helper", "knows sums")])
    assert (await outer.run("Ask the helper for six sevens")).output == 42


async def test_resuming_tells_the_recorded_answer_again(tmp_path: Path) -> None:
    async with Agent(ScriptedEngine([]), tools=[add], journal=tmp_path / "j.db") as agent:
        first = await agent.run("what time is it in Tokyo")
        again = await agent.resume(first.run_id)
    assert again.answer == first.answer and again.output == first.output
    assert json.loads(json.dumps(again.to_dict()))["route"] == "date"
