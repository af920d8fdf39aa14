"""pydantic-ai: function tools, tool output, results sent back, whole and streamed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

pytest.importorskip("pydantic_ai")

from pydantic import BaseModel, Field
from pydantic_ai import Agent, NativeOutput, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

pytestmark = pytest.mark.clients
Level = Annotated[int, Field(ge=0, le=9)]


class Light(BaseModel):
    """How a light is set."""

    room: Literal["kitchen", "hall"]
    level: Level


@dataclass
class FirstStepCalls(AbstractCapability[None]):
    """A tool is called in the first step, and text written in the second one."""

    def get_model_settings(self) -> Any:
        def settings(context: RunContext[None]) -> ModelSettings:
            return {"tool_choice": "required" if context.run_step == 1 else "none"}

        return settings


def _model(url: str) -> OpenAIChatModel:
    provider = OpenAIProvider(base_url=url, api_key="none")
    return OpenAIChatModel(
        "m", provider=provider, settings={"max_tokens": 1000, "temperature": 1.0, "seed": 1}
    )


@pytest.fixture
def model(url: str) -> OpenAIChatModel:
    return _model(url)


async def _once(context: RunContext[None], tool: ToolDefinition) -> ToolDefinition | None:
    return tool if context.run_step == 1 else None


def _agent(
    model: OpenAIChatModel, seen: list[tuple[str, int]], *capabilities: AbstractCapability[None]
) -> Agent[None, str]:
    agent = Agent(model, capabilities=capabilities)

    @agent.tool_plain(prepare=None if capabilities else _once)
    def light(room: Literal["kitchen", "hall"], level: Level) -> str:
        """Set a light."""
        seen.append((room, level))
        return f"{room} is at {level}"

    return agent


def _check(messages: list[Any], seen: list[tuple[str, int]], text: str) -> None:
    assert seen and all(room in ("kitchen", "hall") and 0 <= level <= 9 for room, level in seen)
    parts = [part for message in messages for part in message.parts]
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    results = [part for part in parts if isinstance(part, ToolReturnPart)]
    assert [call.tool_call_id for call in calls] == [result.tool_call_id for result in results]
    assert {result.content for result in results} == {f"{room} is at {level}" for room, level in seen}
    assert isinstance(messages[-1], ModelResponse) and text


async def test_a_tool_is_called_and_its_result_sent_back(model: OpenAIChatModel) -> None:
    seen: list[tuple[str, int]] = []
    result = await _agent(model, seen, FirstStepCalls()).run("Light in the hall, please.")
    _check(result.all_messages(), seen, result.output)


async def test_the_same_streamed(model: OpenAIChatModel) -> None:
    seen: list[tuple[str, int]] = []
    async with _agent(model, seen, FirstStepCalls()).run_stream("Light in the hall, please.") as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
        _check(result.all_messages(), seen, "".join(pieces))
    assert len(pieces) > 1


async def test_a_model_calls_of_its_own_accord(caller: str) -> None:
    seen: list[tuple[str, int]] = []
    result = await _agent(_model(caller), seen).run("Light in the hall, please.")
    _check(result.all_messages(), seen, result.output)
    seen.clear()
    async with _agent(_model(caller), seen).run_stream("Light in the hall, please.") as stream:
        _check(stream.all_messages(), seen, await stream.get_output())


@pytest.mark.parametrize("native", [False, True], ids=["tool", "native"])
async def test_an_output_type(model: OpenAIChatModel, native: bool) -> None:
    agent = Agent(model, output_type=NativeOutput(Light) if native else Light)
    assert isinstance((await agent.run("Light in the hall, please.")).output, Light)
    async with agent.run_stream("Light in the hall, please.") as result:
        assert isinstance(await result.get_output(), Light)
