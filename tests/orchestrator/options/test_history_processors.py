"""History processors: what the model sees of a conversation, and what stays."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from braid.engine import Budget, Message
from braid.engine.scope import ambient_budget
from braid.engine.scripted import ScriptedEngine
from braid.orchestrator import Agent, HistoryProcessorError

HISTORY: list[Message] = [
    {"role": "user", "content": "opening"},
    {"role": "assistant", "content": "one"},
    {"role": "user", "content": "second"},
    {"role": "assistant", "content": "two"},
]


def last_two(messages: list[Message]) -> list[Message]:
    return messages[-2:]


async def shouted(messages: list[Message]) -> list[Message]:
    await asyncio.sleep(0)
    for message in messages:
        message["content"] = message["content"].upper()
    return messages


@pytest.mark.parametrize(
    ("question", "text"), [("?", 'answer("three")'), ("Write a poem about the sea.", "three")]
)
async def test_the_model_sees_what_they_return_and_the_conversation_stays(question: str, text: str) -> None:
    engine = ScriptedEngine(text)
    agent = Agent(engine, tools=[], history_processors=[last_two, shouted])
    result = await agent.run(question, history=HISTORY)
    seen = engine.calls[0].prompt
    assert "SECOND" in seen and "TWO" in seen and "opening" not in seen.lower()
    assert [message["content"] for message in result.history] == [
        "opening", "one", "second", "two", question, "three",
    ]  # fmt: skip


async def test_follow_ups_are_still_read_from_the_typed_turns() -> None:
    agent = Agent("local:braid-mini", history_processors=[lambda messages: []])
    async with agent:
        first = await agent.run("How tall is K2?")
        second = await agent.run("And Mont Blanc?", history=first.history)
    assert first.answer == "8611 m" and second.answer.startswith("48")


def raises(messages: list[Message]) -> list[Message]:
    raise KeyError("x")


def forgets(messages: list[Message]) -> Any:
    messages.clear()


def says_text(messages: list[Message]) -> Any:
    return "a text"


@pytest.mark.parametrize("wrong", [raises, forgets, says_text])
async def test_what_goes_wrong_in_them_is_typed(wrong: Any) -> None:
    agent = Agent(ScriptedEngine("answer(1)"), tools=[], history_processors=[wrong])
    with pytest.raises(HistoryProcessorError, match=wrong.__name__) as caught:
        await agent.run("?", history=HISTORY)
    assert isinstance(caught.value.__cause__, Exception)


async def test_they_spend_the_budget_of_the_run() -> None:
    def spends(messages: list[Message]) -> list[Message]:
        ambient_budget().spend(tokens=10)
        return messages

    agent = Agent(ScriptedEngine("answer(1)"), tools=[], history_processors=[spends])
    budget = Budget(tokens=5000)
    await agent.run("?", budget=budget)
    assert budget.spent["tokens"] > 10
    result = await agent.run("?", budget=Budget(tokens=5))
    assert (result.stopped, result.status) == ("budget", "failed") and "tokens" in result.reason
