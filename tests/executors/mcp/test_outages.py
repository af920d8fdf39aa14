"""A server that is lost, or does not answer, is an outage. A call that it refuses is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from braid.engine import ScriptedEngine
from braid.executors import ToolRegistry
from braid.executors.mcp import McpServer, McpTools
from braid.executors.tools import ToolError, ToolTimeoutError, ToolUnavailableError, failure_kind
from braid.orchestrator import Agent
from tests.executors.mcp.scripted_mcp_server import Handler, http_server, reply, script, tool

SCRIPTED = Path(__file__).with_name("scripted_mcp_server.py")
MISBEHAVING = Path(__file__).with_name("misbehaving_mcp_server.py")

DIES = """
import os, sys
sys.argv = ["server"]
exec(open({path!r}).read().split('if __name__')[0])
@server.tool(annotations=READ_ONLY)
async def die() -> str:
    os._exit(3)
server.run()
"""


def launched(*args: str, **options: Any) -> McpServer:
    return McpServer(name="s", command=sys.executable, args=args, **{"start_timeout": 300.0, **options})


async def test_a_server_that_dies_each_time_is_unavailable() -> None:
    server = launched("-c", DIES.format(path=str(MISBEHAVING)))
    async with McpTools([server]) as tools:
        with pytest.raises(ToolUnavailableError, match="connection to the MCP server was lost") as raised:
            await ToolRegistry(tools).get("s_die").call({})
    assert (failure_kind(raised.value), raised.value.tool) == ("outage", "die")


async def test_a_server_that_does_not_answer_is_too_slow() -> None:
    async with McpTools([launched(str(MISBEHAVING), timeout=1.0)]) as tools:
        with pytest.raises(ToolTimeoutError, match="timed out") as raised:
            await ToolRegistry(tools).get("s_hang").call({})
    assert (failure_kind(raised.value), raised.value.seconds) == ("outage", 1.0)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, "outage") for status in (401, 403, 502, 503, 504)),
        *((status, "error") for status in (400, 422, 500)),
    ],
)
async def test_a_status_of_http_says_whether_the_server_is_out_of_reach(status: int, kind: str) -> None:
    def answer(handler: Handler, message: dict[str, Any]) -> None:
        if "id" not in message:
            handler.send(202, b"")
        elif message["method"] == "tools/call":
            handler.send_json({"error": {"code": -32602, "message": "no"}}, status)
        else:
            handler.send_json(reply(script(tool("t")), message))

    with http_server(answer) as url:
        async with McpTools([McpServer(name="s", url=url)]) as tools:
            with pytest.raises(ToolError, match=f"HTTP {status}") as raised:
                await ToolRegistry(tools).get("s_t").call({})
    assert failure_kind(raised.value) == kind


async def test_a_server_whose_address_is_gone_is_an_outage() -> None:
    def answer(handler: Handler, message: dict[str, Any]) -> None:
        handler.close_connection = True
        if "id" not in message:
            handler.send(202, b"", connection="close")
        else:
            handler.send_json(reply(script(tool("t")), message), connection="close")

    with http_server(answer) as url:
        tools = await McpTools([McpServer(name="s", url=url)]).__aenter__()
    try:
        with pytest.raises(Exception, match="s") as raised:
            await ToolRegistry(tools).get("s_t").call({})
    finally:
        await tools.__aexit__(None, None, None)
    assert failure_kind(raised.value) == "outage"


async def test_what_the_tool_says_is_no_outage() -> None:
    said = script(tool("t"), calls={"t": {"isError": True, "content": [{"type": "text", "text": "no row"}]}})
    async with McpTools([launched(str(SCRIPTED), json.dumps(said))]) as tools:
        with pytest.raises(ToolError, match="no row") as raised:
            await ToolRegistry(tools).get("s_t").call({})
    assert failure_kind(raised.value) == "error"


async def test_a_run_that_a_server_fails_ends_failed_and_names_the_tool() -> None:
    engine = ScriptedEngine(["a = s_hang()\nanswer(a)\n", 'decline("nobody knows")\n'])
    async with Agent(engine, tools=[], mcp=[launched(str(MISBEHAVING), timeout=1.0)]) as agent:
        result = await agent.run("What does it say?")
    assert (result.status, result.stopped) == ("failed", "tools")
    assert "s_hang" in result.reason
