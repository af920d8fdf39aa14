"""Response formats that are too complex or too large, on a real server over the local engine."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from braid.engine.local import LocalEngine

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "one"}], "max_tokens": 4}


@pytest.fixture
async def client(url: str, local: LocalEngine) -> AsyncIterator[httpx.AsyncClient]:
    if "grammar" not in local.capabilities:
        pytest.skip("the local engine has no grammars without llguidance")
    async with httpx.AsyncClient(base_url=url + "/", trust_env=False, timeout=120) as client:
        yield client


def _form(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _object(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [_object(f"k{i}") for i in range(5000)]},
        {"anyOf": [{"type": "string", "maxLength": i + 1} for i in range(5000)]},
        {"type": "array", "minItems": 1, "items": {"anyOf": [_object(f"k{i}") for i in range(5000)]}},
        {"anyOf": [{"type": "array", "items": {"const": i}} for i in range(5000)]},
    ],
    ids=["objects", "lengths", "items", "arrays"],
)
async def test_a_schema_with_thousands_of_branches_is_the_requests_fault(
    client: httpx.AsyncClient, local: LocalEngine, schema: dict[str, Any]
) -> None:
    reply = await client.post("chat/completions", json=CHAT | {"response_format": _form(schema)})
    error = reply.json()["error"]
    assert (reply.status_code, error["type"]) == (400, "invalid_request_error"), error
    assert (error["param"], error["code"]) == ("response_format", "invalid_value")
    assert (await client.post("chat/completions", json=CHAT)).status_code == 200
    local.check_integrity()


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _words(i: int) -> list[str]:
    return [f"word {i} {j} and some more" for j in range(28_000)]


def _enum(i: int) -> dict[str, Any]:
    return {"enum": _words(i)}


def _array(i: int) -> dict[str, Any]:
    return {"type": "array", "items": _enum(i)}


def _property(i: int) -> dict[str, Any]:
    return {"type": "object", "properties": {"word": _enum(i)}, "required": ["word"]}


def _constants(i: int) -> dict[str, Any]:
    return {"anyOf": [{"const": f"{i} {j}" + "x" * 600} for j in range(1400)]}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory from /proc")
async def test_large_response_formats_do_not_fill_the_memory(client: httpx.AsyncClient) -> None:
    async def ask(schema: dict[str, Any]) -> None:
        body = CHAT | {"max_tokens": 1, "response_format": _form(schema)}
        reply = await client.post("chat/completions", json=body)
        assert reply.status_code == 200, reply.text

    shapes = (_enum, _array, _property, _constants)
    for shape in shapes:
        await ask(shape(0))
    before = _resident_bytes()
    for i in range(1, 13):
        for shape in shapes:
            await ask(shape(i))
    grown = _resident_bytes() - before
    assert grown < 150 * 2**20, f"{grown / 2**20:.0f} MiB"
