"""JSON schemas in the way of each server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from braid.engine import CapabilityError, Grammar, SamplingParams
from tests.support.fault_server import Call, FaultServer, refuses, says
from tests.support.remote_engine import one, opened

SCHEMA: dict[str, object] = {"type": "object", "properties": {"a": {"type": "integer"}}}
ASKED = SamplingParams(max_tokens=16, grammar=SCHEMA)


@pytest.mark.parametrize(
    ("owner", "field", "value"),
    [
        ("llamacpp", "json_schema", SCHEMA),
        ("sglang", "json_schema", json.dumps(SCHEMA)),
        (
            "vllm",
            "response_format",
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}},
        ),
    ],
)
async def test_completions_have_a_field_of_their_own(
    faults: FaultServer, owner: str, field: str, value: object
) -> None:
    faults.models = [{"id": "m", "owned_by": owner}]
    faults.answer = says('{"a": 1}')
    async with await opened(faults) as engine:
        await one(engine, ASKED)
        sent = faults.calls[-1].body
        assert sent[field] == value
        assert len({"json_schema", "response_format"} & {*sent}) == 1
        await one(engine, ASKED, chat=True)
        assert faults.calls[-1].body["response_format"]["json_schema"]["schema"] == SCHEMA
        faults.answer = refuses(400, {"error": "json_schema: unsupported keyword"})
        with pytest.raises(CapabilityError, match="json_schema"):
            await one(engine, ASKED)
        assert "json_schema" not in engine.capabilities


@pytest.mark.parametrize(
    "model",
    [
        {"owned_by": "library"},
        {"owned_by": "organization_owner"},
        {"owned_by": "openai"},
        {"owned_by": "system"},
        {"supported_parameters": ["structured_outputs", "tools"]},
    ],
)
async def test_servers_that_take_schemas_for_messages_only(
    faults: FaultServer, model: dict[str, Any]
) -> None:
    faults.models = [model | {"id": "m"}]
    faults.answer = says('{"a": 1}')
    async with await opened(faults) as engine:
        assert (await one(engine, ASKED, chat=True)).text == '{"a": 1}'
        with pytest.raises(CapabilityError, match="give messages"):
            await one(engine, ASKED)


async def test_a_grammar_may_be_a_schema(faults: FaultServer) -> None:
    faults.models = [{"id": "m", "owned_by": "vllm"}]
    faults.answer = says('{"a": 1}')
    async with await opened(faults) as engine:
        given = Grammar("json_schema", json.dumps(SCHEMA))
        await one(engine, SamplingParams(max_tokens=16, grammar=given), chat=True)
        assert faults.calls[-1].body["response_format"]["json_schema"]["schema"] == SCHEMA
        with pytest.raises(CapabilityError, match="regular expression"):
            await one(engine, SamplingParams(grammar=Grammar("lark", 'start: "a"')), chat=True)


class Peak(BaseModel):
    name: str
    default: int | None = None
    near: list[Peak] = []


async def test_a_server_that_wants_closed_schemas_gets_them(faults: FaultServer) -> None:
    """OpenAI refuses schemas that leave anything open."""

    async def answer(call: Call) -> None:
        schema = call.body["response_format"]["json_schema"]["schema"]
        message = (
            "Invalid schema for response_format 'answer': In context=(), 'additionalProperties' is required "
            "to be supplied and to be false."
        )
        closed = all(each.get("additionalProperties") is False for each in schema["$defs"].values())
        await (says('{"name": "K2"}') if closed else refuses(400, {"error": {"message": message}}))(call)

    faults.models = [{"id": "m", "owned_by": "system"}]
    faults.answer = answer
    asked = SamplingParams(max_tokens=16, grammar=TypeAdapter(Peak).json_schema())
    async with await opened(faults) as engine:
        for _ in range(2):
            await one(engine, asked, chat=True)
    assert len(faults.calls) == 3, "what the server wants is remembered"
    schema = faults.calls[-1].body["response_format"]["json_schema"]["schema"]
    peak = schema["$defs"]["Peak"]
    assert sorted(peak["required"]) == sorted(peak["properties"]) == ["default", "name", "near"]
    assert peak["properties"]["default"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]
    assert "default" not in peak["properties"]["near"]
    assert schema["$ref"] == "#/$defs/Peak"
