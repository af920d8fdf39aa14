"""langchain-openai: bound tools, structured output, results sent back, whole and streamed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest

pytest.importorskip("langchain_openai")

from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

pytestmark = pytest.mark.clients
ASK = HumanMessage("Light in the hall, please.")


class Light(BaseModel):
    """How a light is set."""

    room: Literal["kitchen", "hall"]
    level: Annotated[int, Field(ge=0, le=9)]


@tool(args_schema=Light)
def light(room: str, level: int) -> str:
    """Set a light."""
    return f"{room} is at {level}"


@tool
def stop() -> str:
    """Stop everything."""
    return "stopped"


def _model(url: str) -> ChatOpenAI:
    return ChatOpenAI(model="m", base_url=url, max_tokens=1000, temperature=1.0, seed=1)


@pytest.fixture
def model(url: str) -> ChatOpenAI:
    return _model(url)


def _results(message: Any) -> list[Any]:
    assert message.tool_calls and not message.invalid_tool_calls
    named = {"light": light, "stop": stop}
    return [named[call["name"]].invoke(call) for call in message.tool_calls]


@pytest.mark.parametrize("choice", ["any", "light"])
def test_a_tool_is_called_and_its_result_sent_back(model: ChatOpenAI, choice: str) -> None:
    bound = model.bind_tools([light, stop], tool_choice=choice)
    message = bound.invoke([ASK])
    assert message.response_metadata["finish_reason"] == "tool_calls"
    last = model.bind_tools([light, stop], tool_choice="none").invoke([ASK, message, *_results(message)])
    assert last.content and not last.tool_calls


def test_the_same_streamed(model: ChatOpenAI) -> None:
    whole: AIMessageChunk | None = None
    for chunk in model.bind_tools([light, stop], tool_choice="any").stream([ASK]):
        whole = chunk if whole is None else whole + chunk
    pieces = [piece.content for piece in model.stream([ASK, whole, *_results(whole)])]
    assert len(pieces) > 1 and "".join(pieces)


def test_a_model_that_may_call_calls_or_answers(model: ChatOpenAI, caller: str) -> None:
    assert model.bind_tools([light, stop]).invoke([ASK]).content
    bound = _model(caller).bind_tools([light, stop], parallel_tool_calls=False)
    message = bound.invoke([ASK])
    assert len(_results(message)) == 1
    assert _model(caller).invoke([ASK, message, *_results(message)]).content


@pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
def test_structured_output(model: ChatOpenAI, method: Any) -> None:
    if method == "json_mode":
        asked = model.with_structured_output(None, method=method)
        assert isinstance(asked.invoke([ASK]), dict)
        return
    asked = model.with_structured_output(Light, method=method)
    assert isinstance(asked.invoke([ASK]), Light)
    assert isinstance(list(asked.stream([ASK]))[-1], Light)
