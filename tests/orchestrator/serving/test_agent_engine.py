"""An agent behind the interface of an engine: answers, streams with side data, conversations, failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from braid.engine import CapabilityError, Engine, InvalidParamsError, Message, SamplingParams, Token
from braid.engine.scripted import ScriptedEngine
from braid.executors import tool
from braid.orchestrator import Agent
from braid.orchestrator.serving import AgentEngine, AgentRunError

PLAN = 'a = height("K2")\nanswer(f"{a} m")\n'


@tool
async def height(name: str) -> int:
    """Height of a mountain."""
    return {"K2": 8611}[name]


def engine(*plans: str, **options: Any) -> AgentEngine:
    return AgentEngine(Agent(ScriptedEngine(list(plans)), tools=[height], **options))


def ask(*texts: str, system: str = "") -> list[Message]:
    roles = ["user" if place % 2 == 0 else "assistant" for place in range(len(texts))]
    told: list[Message] = [{"role": "system", "content": system}] if system else []
    return [*told, *({"role": role, "content": text} for role, text in zip(roles, texts, strict=True))]


async def streamed(engine: Engine, messages: list[Message]) -> list[Token]:
    async with await engine.prefill(messages) as context:
        return [token async for token in engine.stream(context, SamplingParams())]


async def test_an_answer_carries_its_run() -> None:
    served = engine(PLAN)
    async with await served.prefill(ask("How high is K2?")) as context:
        (completion,) = await served.generate(context, SamplingParams())
    completion.context.release()
    assert completion.text == "8611 m" and completion.usage.generated_tokens > 0
    assert completion.extra is not None
    run = completion.extra["run"]
    assert run["status"] == "answered" and run["plan"] == PLAN.rstrip("\n")
    assert [node["tool"] for node in run["nodes"]] == ["height", None]
    assert served.open_contexts() == 0


async def test_a_stream_has_the_plan_and_the_nodes_beside_the_text() -> None:
    tokens = await streamed(engine(PLAN), ask("How high is K2?"))
    assert "".join(token.text for token in tokens) == "8611 m"
    events = [token.extra["event"]["kind"] for token in tokens if token.extra and "event" in token.extra]
    assert events[0] == "run.started" and events.count("planner.statement") == 2
    assert events.index("node.started") < events.index("node.finished")
    last = tokens[-1]
    assert last.finish_reason == "stop" and last.extra and last.extra["run"]["status"] == "answered"


async def test_system_messages_are_instructions_and_earlier_ones_the_history() -> None:
    model = ScriptedEngine([PLAN])
    served = AgentEngine(Agent(model, tools=[height]))
    await streamed(served, ask("I like K2.", "So do I.", "How high is it?", system="Metres only."))
    prompt = model.calls[0].prompt
    assert "Metres only." in prompt and "I like K2." in prompt and "So do I." in prompt


async def test_a_follow_up_is_read_from_the_turns_of_the_conversation() -> None:
    async with Agent() as agent:
        served = AgentEngine(agent)
        first = await streamed(served, ask("How high is Mont Blanc?"))
        answer = "".join(token.text for token in first)
        second = await streamed(served, ask("How high is Mont Blanc?", answer, "And K2?"))
    assert answer.startswith("4806") and "8611" in "".join(token.text for token in second)


async def test_declines_are_answers_and_failures_are_errors() -> None:
    declined = await streamed(engine('decline("not mine to say")\n'), ask("Who wins?"))
    assert declined[-1].extra and declined[-1].extra["run"]["status"] == "declined"
    assert "not mine to say" in "".join(token.text for token in declined)
    failing = engine(*['a = height("Nowhere")\nanswer(a)\n'] * 2, max_rounds=1)
    with pytest.raises(AgentRunError, match="KeyError"):
        await streamed(failing, ask("How high?"))
    async with await failing.prefill(ask("How high?")) as context:
        with pytest.raises(AgentRunError):
            await failing.generate(context, SamplingParams())
    assert failing.open_contexts() == 0


async def test_what_an_agent_cannot_do_is_refused() -> None:
    served = engine(PLAN)
    for prompt in ("text", [1, 2], ask("a", "b"), ask("   ")):
        with pytest.raises(InvalidParamsError):
            await served.prefill(prompt)
    async with await served.prefill(ask("How high?")) as context:
        with pytest.raises(CapabilityError):
            await served.generate(context, SamplingParams(n=2))


async def test_closing_the_stream_cancels_the_run() -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    @tool
    async def wait() -> str:
        """Wait."""
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return ""

    served = AgentEngine(Agent(ScriptedEngine(["a = wait()\nanswer(a)\n"]), tools=[wait]))
    async with await served.prefill(ask("Wait.")) as context:
        stream: AsyncIterator[Token] = served.stream(context, SamplingParams())
        await anext(stream)
        await began.wait()
        await stream.aclose()  # pyright: ignore
    assert cancelled.is_set()
