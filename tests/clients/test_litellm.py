"""litellm: tools of a server of the OpenAI API, results sent back, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("litellm")

import litellm

pytestmark = pytest.mark.clients
ASK = {"role": "user", "content": "Light in the hall, please."}
LIGHT = {
    "type": "function",
    "function": {
        "name": "light",
        "description": "Set a light.",
        "parameters": {
            "type": "object",
            "properties": {
                "room": {"type": "string", "enum": ["kitchen", "hall"]},
                "level": {"type": "integer", "minimum": 0, "maximum": 9},
            },
            "required": ["room", "level"],
        },
    },
}


def _asked(url: str, **more: Any) -> Any:
    settings = {"max_tokens": 1000, "temperature": 1.0, "seed": 1, "num_retries": 0}
    messages = more.pop("messages", [ASK])
    return litellm.completion(
        model="openai/m", api_base=url, api_key="none", messages=messages, **settings | more
    )


def _results(message: Any) -> list[dict[str, Any]]:
    assert message.tool_calls
    results: list[dict[str, Any]] = []
    for call in message.tool_calls:
        arguments = json.loads(call.function.arguments)
        assert arguments["room"] in ("kitchen", "hall") and 0 <= arguments["level"] <= 9
        results.append({"role": "tool", "tool_call_id": call.id, "name": "light", "content": "done"})
    return results


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "light"}}], ids=str)
def test_a_tool_is_called_and_its_result_sent_back(url: str, choice: Any) -> None:
    reply = _asked(url, tools=[LIGHT], tool_choice=choice)
    message = reply.choices[0].message
    assert reply.choices[0].finish_reason == "tool_calls"
    last = _asked(url, messages=[ASK, message, *_results(message)], tools=[LIGHT], tool_choice="none")
    assert last.choices[0].message.content and not last.choices[0].message.tool_calls


def test_the_same_streamed(url: str) -> None:
    chunks = list(_asked(url, tools=[LIGHT], tool_choice="required", stream=True))
    message = litellm.stream_chunk_builder(chunks).choices[0].message
    history = [ASK, message, *_results(message)]
    pieces = [chunk.choices[0].delta.content or "" for chunk in _asked(url, messages=history, stream=True)]
    assert len(pieces) > 1 and "".join(pieces)


def test_a_model_that_may_call_calls_or_answers(url: str, caller: str) -> None:
    assert _asked(url, tools=[LIGHT]).choices[0].message.content
    message = _asked(caller, tools=[LIGHT], parallel_tool_calls=False).choices[0].message
    assert len(_results(message)) == 1
    last = _asked(caller, messages=[ASK, message, *_results(message)])
    assert last.choices[0].message.content
