"""llama-index: structured prediction, tools called and their results sent back, whole and streamed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest

pytest.importorskip("llama_index.llms.openai_like")

from llama_index.core.llms import ChatMessage, MessageRole
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel, Field

pytestmark = pytest.mark.clients
ASK = ChatMessage(role="user", content="Light in the hall, please.")


class Light(BaseModel):
    """How a light is set."""

    room: Literal["kitchen", "hall"]
    level: Annotated[int, Field(ge=0, le=9)]


def set_light(room: Literal["kitchen", "hall"], level: Annotated[int, Field(ge=0, le=9)]) -> str:
    """Set a light."""
    return f"{room} is at {level}"


LIGHT = FunctionTool.from_defaults(set_light, name="light", fn_schema=Light)


def _model(url: str) -> OpenAILike:
    return OpenAILike(
        model="m",
        api_base=url,
        api_key="none",
        is_chat_model=True,
        is_function_calling_model=True,
        context_window=2048,
        max_tokens=1000,
        temperature=1.0,
        max_retries=0,
        additional_kwargs={"seed": 1},
    )


@pytest.fixture
def model(url: str) -> OpenAILike:
    return _model(url)


def test_structured_prediction(model: OpenAILike) -> None:
    prompt = PromptTemplate("Light in the {room}, please.")
    found = model.structured_predict(Light, prompt, room="hall")
    assert isinstance(found, Light)


def test_the_same_streamed(caller: str) -> None:
    """This client leaves it to the model whether to call."""
    prompt = PromptTemplate("Light in the {room}, please.")
    parts = list(_model(caller).stream_structured_predict(Light, prompt, room="hall"))
    last: Any = parts[-1]
    assert len(parts) > 1 and last.room in ("kitchen", "hall") and 0 <= last.level <= 9


def _results(model: OpenAILike, reply: Any) -> list[ChatMessage]:
    calls = model.get_tool_calls_from_response(reply, error_on_no_tool_call=True)
    return [
        ChatMessage(
            role=MessageRole.TOOL,
            content=str(LIGHT.call(**call.tool_kwargs)),
            additional_kwargs={"tool_call_id": call.tool_id, "name": call.tool_name},
        )
        for call in calls
    ]


def test_a_tool_is_called_and_its_result_sent_back(model: OpenAILike) -> None:
    reply = model.chat_with_tools([LIGHT], chat_history=[ASK], tool_required=True)
    last = model.chat([ASK, reply.message, *_results(model, reply)])
    assert last.message.content


def test_a_streamed_call(model: OpenAILike) -> None:
    *_, reply = model.stream_chat_with_tools([LIGHT], chat_history=[ASK], tool_required=True)
    pieces = [piece.delta for piece in model.stream_chat([ASK, reply.message, *_results(model, reply)])]
    assert len(pieces) > 1 and "".join(filter(None, pieces))
