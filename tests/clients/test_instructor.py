"""instructor: a model of pydantic by a forced call, whole, as a stream of parts, and in the JSON modes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import pytest

pytest.importorskip("instructor")

import instructor
from openai import OpenAI
from pydantic import BaseModel, Field

pytestmark = pytest.mark.clients
ASKED: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "Light in the hall, please."}],
    "max_tokens": 1000,
    "temperature": 1.0,
    "seed": 1,
    "max_retries": 0,
}


class Light(BaseModel):
    """How a light is set."""

    room: Literal["kitchen", "hall"]
    level: Annotated[int, Field(ge=0, le=9)]


def _client(url: str, mode: instructor.Mode) -> Any:
    return instructor.from_openai(OpenAI(base_url=url, api_key="none", max_retries=0), mode=mode)


@pytest.mark.parametrize("mode", ["TOOLS", "TOOLS_STRICT", "JSON_SCHEMA"])
def test_a_model_is_filled_in(url: str, mode: str) -> None:
    client = _client(url, instructor.Mode[mode])
    assert isinstance(client.create(response_model=Light, **ASKED), Light)


def test_parts_as_they_come(url: str) -> None:
    client = _client(url, instructor.Mode.TOOLS)
    parts = list(client.create_partial(response_model=Light, **ASKED))
    assert len(parts) > 1 and parts[-1].room in ("kitchen", "hall") and 0 <= parts[-1].level <= 9


def test_calls_of_the_models_own_accord(caller: str) -> None:
    client = _client(caller, instructor.Mode.PARALLEL_TOOLS)
    lights = list(client.create(response_model=Iterable[Light], **ASKED))
    assert lights and all(isinstance(each, Light) for each in lights)


def test_the_call_and_its_result_are_sent_back(url: str) -> None:
    client = _client(url, instructor.Mode.TOOLS)
    light, reply = client.create_with_completion(response_model=Light, **ASKED)
    message = reply.choices[0].message
    history = [*ASKED["messages"], message.model_dump()]
    history += [
        {"role": "tool", "tool_call_id": call.id, "content": f"{light.room} is at {light.level}"}
        for call in message.tool_calls
    ]
    last = client.create(response_model=None, **ASKED | {"messages": history})
    assert last.choices[0].message.content
