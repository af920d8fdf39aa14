"""What an MCP server sends is read in bounds of size and time."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from braid.executors import ToolRegistry
from braid.executors.mcp import McpError, McpServer, McpTools
from braid.executors.tools import ToolError, UncertainError
from tests.executors.mcp.scripted_mcp_server import Handler, http_server, reply, script, text, tool

SCRIPTED = Path(__file__).with_name("scripted_mcp_server.py")
TOOLS = script(tool("flood"), tool("pay", annotations={}), tool("echo"))
MEGABYTE = b"x" * 1_000_000


def scripted(said: dict[str, Any], **options: Any) -> McpServer:
    args = (str(SCRIPTED), json.dumps(said))
    return McpServer(name="s", command=sys.executable, args=args, **{"timeout": 60.0, **options})


@pytest.fixture
def memory() -> Iterator[None]:
    """The memory that Python takes meanwhile stays below 100 MB."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize(
    ("name", "flood"),
    [
        ("flood", "x"),
        ("flood", '{"jsonrpc": "2.0", "id": 3, "result": '),
        ("flood", "\0"),
        ("pay", "[[["),
    ],
)
async def test_a_line_without_end_ends_the_call_and_the_next_call_works(name, flood):
    async with McpTools([scripted({**TOOLS, "flood": {name: flood}})]) as tools:
        registry = ToolRegistry(tools)
        kind = UncertainError if name == "pay" else ToolError
        with pytest.raises(kind, match="max_result_bytes"):
            await registry.get(f"s_{name}").call({})
        assert await registry.get("s_echo").call({"a": 1}) == '{"a": 1}'


async def test_a_flood_at_the_start_is_refused():
    args = ("-c", "print('x' * 3_000_000); input()")
    server = McpServer(name="s", command=sys.executable, args=args, max_result_bytes=1000)
    with pytest.raises(McpError, match="max_result_bytes"):
        async with McpTools([server]):
            pass


def endless_json(handler: Handler, sent: list[int]) -> None:
    handler.begin_endless(content_type="application/json")
    write(handler, sent, MEGABYTE)


def endless_event(handler: Handler, sent: list[int]) -> None:
    handler.begin_endless(content_type="text/event-stream")
    handler.wfile.write(b"event: message\ndata: ")
    write(handler, sent, MEGABYTE)


def endless_comments(handler: Handler, sent: list[int]) -> None:
    handler.begin_endless(content_type="text/event-stream")
    write(handler, sent, b": nothing\n\n" * 50_000)


def endless_refusal(handler: Handler, sent: list[int]) -> None:
    handler.begin_endless(500, content_type="application/json")
    write(handler, sent, MEGABYTE)


def packed_with_gzip(handler: Handler, sent: list[int]) -> None:
    handler.send(200, pack(500, 31), content_type="application/json", content_encoding="gzip")


def packed_with_deflate(handler: Handler, sent: list[int]) -> None:
    handler.send(200, pack(300, 15), content_type="application/json", content_encoding="deflate")


def write(handler: Handler, sent: list[int], chunk: bytes) -> None:
    for _ in range(400_000_000 // len(chunk)):
        handler.wfile.write(chunk)
        sent.append(len(chunk))


def pack(megabytes: int, wbits: int) -> bytes:
    packer = zlib.compressobj(1, wbits=wbits)
    return b"".join([*(packer.compress(MEGABYTE) for _ in range(megabytes)), packer.flush()])


@pytest.mark.parametrize(
    "flood",
    [endless_json, packed_with_gzip, packed_with_deflate, endless_event, endless_comments, endless_refusal],
)
async def test_a_flood_over_http_is_cut_while_it_is_read(flood):
    sent: list[int] = []

    def answer(handler: Handler, message: dict[str, Any]) -> None:
        if "id" not in message:
            handler.send(202, b"")
        elif (message.get("params") or {}).get("name") in ("flood", "pay"):
            flood(handler, sent)
        else:
            handler.send_json(reply(TOOLS, message))

    with http_server(answer) as url:
        async with McpTools([McpServer(name="s", url=url)]) as tools:
            registry = ToolRegistry(tools)
            tracemalloc.start()
            try:
                with pytest.raises(
                    ToolError, match="HTTP 500" if flood is endless_refusal else "max_result_b"
                ):
                    await registry.get("s_flood").call({})
                assert tracemalloc.get_traced_memory()[1] < 100_000_000
            finally:
                tracemalloc.stop()
            assert sum(sent) < 50_000_000
            assert await registry.get("s_echo").call({"a": 1}) == '{"a": 1}'
            if flood is endless_json:
                with pytest.raises(UncertainError, match="max_result_bytes"):
                    await registry.get("s_pay").call({})


async def test_packed_replies_of_a_usual_size_are_read():
    def answer(handler: Handler, message: dict[str, Any]) -> None:
        if "id" not in message:
            return handler.send(202, b"")
        body = json.dumps(reply(TOOLS, message)).encode()
        encoding = "deflate" if message["method"] == "tools/list" else "gzip"
        packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
        handler.send(200, packed, content_type="application/json", content_encoding=encoding)

    with http_server(answer) as url:
        async with McpTools([McpServer(name="s", url=url)]) as tools:
            assert await ToolRegistry(tools).get("s_echo").call({"a": 1}) == '{"a": 1}'


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
async def test_reading_ends_with_the_time_of_the_call(content_type):
    left: list[float] = []

    def answer(handler: Handler, message: dict[str, Any]) -> None:
        if "id" not in message:
            handler.send(202, b"")
        elif message["method"] == "tools/call":
            handler.begin_endless(content_type=content_type)
            began = time.monotonic()
            try:
                for _ in range(600):
                    handler.wfile.write(b": \n\n")
                    time.sleep(0.05)
            finally:
                left.append(time.monotonic() - began)
        else:
            handler.send_json(reply(TOOLS, message))

    with http_server(answer) as url:
        async with McpTools([McpServer(name="s", url=url, timeout=1.0)]) as tools:
            with pytest.raises(ToolError, match="timed out"):
                await ToolRegistry(tools).get("s_flood").call({})
            for _ in range(100):
                if left:
                    break
                await asyncio.sleep(0.1)
    assert left and left[0] < 8.0


PATTERN = {"type": "object", "properties": {"a": {"type": "string", "pattern": "(a+)+$"}}}
BOMB: dict[str, Any] = {"type": "object", "$defs": {"d0": {}}, "properties": {"a": {"$ref": "#/$defs/d40"}}}
BOMB["$defs"] |= {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2, "not": {}} for n in range(1, 41)}


@pytest.mark.parametrize(
    ("schema", "content", "why"),
    [
        (PATTERN, {"a": "a" * 28 + "!"}, "does not match"),
        (
            {"type": "object", "patternProperties": {"(a|a)*$": {"type": "integer"}}},
            {"a" * 40 + "!": 1},
            None,
        ),
        (
            {"type": "object", "patternProperties": {"^(x+x+)+y$": {}}, "additionalProperties": False},
            {"x" * 40: 1},
            "not allowed",
        ),
        (BOMB, {"a": 1}, "takes more than"),
        ({"type": "object", "properties": {"a": {"pattern": "^(?=a)(a+)+$"}}}, {"a": "a" * 40 + "!"}, None),
        (
            {"type": "object", "patternProperties": {"^(x+x+)+y$": {}}, "unevaluatedProperties": False},
            {"x" * 40: 1},
            None,
        ),
    ],
)
async def test_the_check_of_a_result_against_its_schema_is_bounded(schema, content, why):
    said = script(tool("t", outputSchema=schema), calls={"t": text("", structuredContent=content)})
    async with McpTools([scripted(said)]) as tools:
        began = time.monotonic()
        call = ToolRegistry(tools).get("s_t").call({})
        if why is None:
            assert await call == content
        else:
            with pytest.raises(ToolError, match=why):
                await call
        assert time.monotonic() - began < 20.0
