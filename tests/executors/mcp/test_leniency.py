"""What servers do wrong costs as little as it can."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from braid.executors import ToolRegistry
from braid.executors.mcp import McpError, McpServer, McpTools, read_mcp_config
from braid.executors.tools import ToolArgumentError, ToolError, UncertainError
from tests.executors.mcp.scripted_mcp_server import (
    OBJECT,
    READ_ONLY,
    Handler,
    http_server,
    reply,
    script,
    text,
    tool,
)

SCRIPTED = Path(__file__).with_name("scripted_mcp_server.py")
RESOURCES = {"tools": {}, "resources": {}}


def scripted(said: dict[str, Any], **options: Any) -> McpServer:
    given = {"name": "s", "command": sys.executable, "args": (str(SCRIPTED), json.dumps(said)), **options}
    return McpServer(**given)


@pytest.mark.parametrize(
    "listed",
    [
        {"error": {"code": -32601, "message": "Method not found"}},
        {"error": {"code": -32603, "message": "no database"}},
        {"resources": "none"},
        {},
    ],
)
async def test_a_server_whose_resources_cannot_be_listed_keeps_its_tools(listed):
    said = script(tool("echo"), **{"resources/list": listed})
    said["initialize"]["capabilities"] = RESOURCES
    async with McpTools([scripted(said)]) as tools:
        assert [one.name for one in tools] == ["s_echo"]
        assert await ToolRegistry(tools).get("s_echo").call({"a": 1}) == '{"a": 1}'


@pytest.mark.parametrize(
    "bad",
    [
        {"name": "bad", "inputSchema": OBJECT, "outputSchema": {"$ref": "#/$defs/gone"}},
        {"name": "bad", "inputSchema": {}},
        {"name": "bad", "inputSchema": None},
        {"inputSchema": OBJECT},
        {"name": "bad", "inputSchema": OBJECT, "outputSchema": {"type": "object", "properties": 3}},
        {"name": "bad", "inputSchema": OBJECT, "annotations": {"readOnlyHint": "perhaps"}},
        "bad",
    ],
)
async def test_a_tool_that_breaks_the_protocol_does_not_cost_the_others(bad):
    with pytest.warns(RuntimeWarning, match="left out") as told:
        async with McpTools([scripted(script(tool("one"), bad, tool("two")))]) as tools:
            assert [one.name for one in tools] == ["s_one", "s_two"]
            assert await ToolRegistry(tools).get("s_two").call({}) == "{}"
    assert len(told) == 1


@pytest.mark.parametrize(
    ("names", "written"),
    [
        (["from", "cik-A"], ["from_", "cik_A"]),
        (["class", "class_"], ["class__2", "class_"]),
        (["größe", "a.b", "a-b"], ["grosse", "a_b", "a_b_2"]),
        (["$filter", "2nd", "名"], ["filter", "_2nd", "u540d"]),
    ],
)
async def test_parameters_have_names_that_plans_can_write(names, written):
    schema = {
        **OBJECT,
        "properties": {name: {"type": "integer"} for name in names},
        "required": names,
        "anyOf": [{"required": names[:1]}],
        "additionalProperties": False,
    }
    async with McpTools([scripted(script(tool("t", inputSchema=schema)))]) as tools:
        found = ToolRegistry(tools).get("s_t")
        assert list(found.spec.parameters["properties"]) == written
        values = range(len(names))
        sent = json.loads(await found.call(dict(zip(written, values, strict=True))))
        assert sent == dict(zip(names, values, strict=True))
        with pytest.raises(ToolArgumentError, match=written[0]):
            await found.call(dict.fromkeys(written[1:], 1))


OUTPUT = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("result", "value"),
    [
        (text("seven"), "seven"),
        (text('{"n": 7}'), '{"n": 7}'),
        ({"content": []}, ""),
        ({**text("seven"), "structuredContent": None}, "seven"),
        ({**text(""), "structuredContent": {"n": 7}}, {"n": 7}),
    ],
)
async def test_a_result_without_the_structure_that_was_declared_is_text(result, value):
    said = script(tool("t", outputSchema=OUTPUT), calls={"t": result})
    async with McpTools([scripted(said)]) as tools:
        assert await ToolRegistry(tools).get("s_t").call({}) == value


GROWING = """
import json, sys
tools, how = ["grow"], sys.argv[1]
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    method, reply = message["method"], {}
    if method == "initialize":
        reply = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": True}},
                 "serverInfo": {"name": "g", "version": "1"}}
    elif method == "tools/list":
        reply = {"tools": [{"name": name, "inputSchema": {"type": "object"},
                            "annotations": {"readOnlyHint": True}} for name in tools]}
    elif method == "tools/call":
        tools = {"add": ["grow", "new"], "drop": [], "rename": ["grown"], "twice": ["grow", "a", "b"]}[how]
        print(json.dumps({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}), flush=True)
        reply = {"content": []}
    else:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"],
                          "error": {"code": -32601, "message": "unknown"}}), flush=True)
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": reply}), flush=True)
"""


@pytest.mark.parametrize(
    ("how", "after"),
    [
        ("add", ["g_grow", "g_new"]),
        ("drop", []),
        ("rename", ["g_grown"]),
        ("twice", ["g_grow", "g_a", "g_b"]),
    ],
)
async def test_tools_that_a_server_changes_are_taken_over(how, after):
    async with McpTools([McpServer(name="g", command=sys.executable, args=("-c", GROWING, how))]) as tools:
        assert not await tools.refresh()
        await ToolRegistry(tools).get("g_grow").call({})
        await _until(lambda: tools.refresh())
        assert [one.name for one in tools] == after
        assert not await tools.refresh()


MODERN = """
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ToolAnnotations
server = MCPServer("modern")
def new() -> str:
    return "new"
@server.tool(annotations=ToolAnnotations(read_only_hint=True))
async def grow(context: Context) -> str:
    server.add_tool(new)
    await context.notify_tools_changed()
    return "grown"
server.run()
"""


async def test_a_server_of_the_newest_protocol_is_listened_to():
    async with McpTools([McpServer(name="g", command=sys.executable, args=("-c", MODERN))]) as tools:
        assert await ToolRegistry(tools).get("g_grow").call({}) == "grown"
        await _until(lambda: tools.refresh())
        assert [one.name for one in tools] == ["g_grow", "g_new"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b""),
        (404, json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "x"}}).encode()),
        (400, b"no such session"),
        (400, json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": "x"}}).encode()),
    ],
)
@pytest.mark.parametrize("effect", ["idempotent", "mutating"])
async def test_a_server_that_forgot_the_session_gets_a_new_one(status, body, effect):
    sessions: list[str] = []
    paid: list[str] = []

    def answer(handler: Handler, message: dict[str, Any]) -> None:
        if message["method"] == "initialize":
            sessions.append(f"session-{len(sessions)}")
            return handler.send_json(reply(said, message), mcp_session_id=sessions[-1])
        if message["method"] != "server/discover" and handler.headers["mcp-session-id"] != sessions[-1]:
            return handler.send(status, body, content_type="application/json")
        if "id" not in message:
            return handler.send(202, b"")
        if message["method"] == "tools/call":
            paid.append("x")
        handler.send_json(reply(said, message))

    said = script(tool("t", annotations=READ_ONLY if effect == "idempotent" else {}))
    with http_server(answer) as url:
        async with McpTools([McpServer(name="s", url=url)]) as tools:
            for _ in range(3):
                sessions.append("another")  # as after a restart
                assert await ToolRegistry(tools).get("s_t").call({}) == "{}"
    assert len(paid) == 3


REFUSALS = [
    (401, b"", "HTTP 401 Unauthorized"),
    (403, b'{"error": "insufficient_scope"}', "HTTP 403 Forbidden: insufficient_scope"),
    (500, b"<html>", "HTTP 500 Internal Server Error"),
    (503, b'{"message": "later"}', "HTTP 503 Service Unavailable: later"),
    (429, b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "slow"}}', "HTTP 429 .*: slow"),
]


@pytest.mark.parametrize(("status", "body", "told"), REFUSALS)
async def test_the_status_of_a_refusal_is_named_at_the_start(status, body, told):
    def answer(handler: Handler, message: dict[str, Any]) -> None:
        handler.send(status, body, content_type="application/json")

    with http_server(answer) as url, pytest.raises(McpError, match=told):
        async with McpTools([McpServer(name="s", url=url)]):
            pass


@pytest.mark.parametrize(("status", "body", "told"), REFUSALS)
async def test_the_status_of_a_refusal_is_named_in_a_call(status, body, told):
    def answer(handler: Handler, message: dict[str, Any]) -> None:
        if "id" not in message:
            handler.send(202, b"")
        elif message["method"] == "tools/call":
            handler.send(status, body, content_type="application/json")
        else:
            handler.send_json(reply(script(tool("t")), message))

    with http_server(answer) as url:
        async with McpTools([McpServer(name="s", url=url)]) as tools:
            with pytest.raises(ToolError, match=told):
                await ToolRegistry(tools).get("s_t").call({})


@pytest.mark.parametrize(
    "stray",
    [
        {"before": "Server listening on stdio"},
        {"before": "\n\x1b[32mready\x1b[0m", "between": "DEBUG: called"},
        {"between": '{"level": "info", "message": "called"}'},
        {"before": "\udcff\udcfe", "between": ""},
    ],
)
async def test_stray_lines_on_stdout_cost_one_quiet_line(stray, capfd, caplog):
    async with McpTools([scripted(script(tool("echo"), **stray))]) as tools:
        assert await ToolRegistry(tools).get("s_echo").call({}) == "{}"
    [record] = caplog.records
    assert record.levelno == logging.WARNING and record.exc_info is None
    assert len(record.getMessage().splitlines()) == 1 and "\x1b" not in record.getMessage()
    assert "Traceback" not in capfd.readouterr().err
    assert logging.getLogger("mcp").handlers, "what the SDK logs must not reach the terminal"


@pytest.mark.parametrize(
    ("servers", "tools", "names"),
    [
        (["my-srv", "my_srv"], ["echo"], ["my_srv_echo", "my_srv_2_echo"]),
        (["s"], ["天気", "天候"], ["s_u5929_u6c17", "s_u5929_u5019"]),
        (["s"], ["погода", "größe", "날씨"], ["s_peogheodea", "s_grosse", "s_nalssi"]),
        (["a", "a_b", "!"], ["b_c", "c"], ["a_b_c", "a_c", "a_b_b_c", "a_b_c_2", "tool_b_c", "tool_c"]),
    ],
)
async def test_names_are_distinct_and_can_be_written(servers, tools, names):
    said = script(*(tool(name) for name in tools))
    async with McpTools([scripted(said, name=name) for name in servers]) as found:
        assert [one.name for one in ToolRegistry(found)] == names
        assert all(name.isidentifier() and name.isascii() for name in names)
        assert [await one.call({}) for one in found] == ["{}"] * len(names)


@pytest.mark.parametrize("code", [-32000, -32603, -32602, 7])
async def test_an_error_of_the_server_is_no_lost_connection_whatever_its_code(code):
    refused = {"error": {"code": code, "message": "no such row"}}
    said = script(tool("t"), tool("pay", annotations={}), calls={"t": refused, "pay": refused})
    async with McpTools([scripted(said)]) as tools:
        for name in ("t", "pay"):
            with pytest.raises(ToolError, match="no such row") as raised:
                await ToolRegistry(tools).get(f"s_{name}").call({})
            assert not isinstance(raised.value, UncertainError)


SECRETS = ["sk-live-12345", "query 77/x", "header-token", "env-value"]
FAILS = "import os, sys; sys.exit(' '.join(sys.argv) + str(dict(os.environ)))"


@pytest.mark.parametrize(
    "server",
    [
        {"command": sys.executable, "args": ["-c", FAILS, "--api-key", "sk-live-12345"]},
        {"command": sys.executable, "args": ["-c", FAILS, "--token=sk-live-12345"]},
        {"command": sys.executable, "args": ["-c", FAILS, "${KEY}"], "env": {"A": "env-value"}},
        {"command": "/no/such/program", "args": ["sk-live-12345"]},
        {"url": "http://127.0.0.1:9/mcp?key=query%2077%2Fx&a=sk-live-12345#header-token"},
        {"url": "http://user:sk-live-12345@127.0.0.1:9/mcp"},
        {"url": "http://127.0.0.1:9/${KEY}/mcp", "headers": {"Authorization": "Bearer header-token"}},
    ],
)
async def test_no_error_of_a_start_shows_a_secret(server, tmp_path, monkeypatch):
    monkeypatch.setenv("KEY", "sk-live-12345")
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"s": server}}))
    with pytest.raises(McpError, match="'s'") as raised:
        async with McpTools(read_mcp_config(file)):
            pass
    assert not [one for one in [*SECRETS, "query%2077"] if one in str(raised.value)]


async def test_no_error_of_a_call_or_a_schema_shows_a_secret():
    def answer(handler: Handler, message: dict[str, Any]) -> None:
        said = script(tool("t"), tool("u"), {"name": "header-token", "inputSchema": {}})
        said["calls"] = {"t": text("bad key query 77/x of header-token", isError=True)}
        if "id" not in message:
            handler.send(202, b"")
        elif message.get("params", {}).get("name") == "u":
            handler.send_json({"message": "no such token: header-token"}, 401)
        else:
            handler.send_json(reply(said, message))

    with http_server(answer) as url, pytest.warns(RuntimeWarning, match="left out") as told:
        headers = {"Authorization": "Bearer header-token"}
        async with McpTools([McpServer(name="s", url=f"{url}?key=query+77%2Fx", headers=headers)]) as tools:
            for name in ("t", "u"):
                with pytest.raises(ToolError, match=r"\*\*\*") as raised:
                    await ToolRegistry(tools).get(f"s_{name}").call({})
                assert not [one for one in SECRETS if one in str(raised.value)]
    assert "header-token" not in str(told[0].message)


def in_threads(count: int, work: Any) -> list[Any]:
    """What `work` returns or raises, in each of some threads with a loop each."""
    results: list[Any] = [None] * count
    ready = threading.Barrier(count)

    def one(number: int) -> None:
        ready.wait()
        try:
            results[number] = asyncio.run(work(number))
        except BaseException as error:
            results[number] = error

    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread hangs"
    return results


@pytest.mark.parametrize("slots", [1, 8])
async def test_tools_are_shared_by_threads_and_loops(slots):
    async with McpTools([scripted(script(tool("echo")), max_concurrency=slots)]) as tools:
        echo = ToolRegistry(tools).get("s_echo")
        assert await echo.call({"n": -1}) == '{"n": -1}'

        async def work(number: int) -> list[str]:
            async with asyncio.TaskGroup() as group:
                calls = [group.create_task(echo.call({"n": 10 * number + one})) for one in range(10)]
            return [call.result() for call in calls]

        found = await asyncio.to_thread(in_threads, 4, work)
        assert found == [[json.dumps({"n": 10 * number + one}) for one in range(10)] for number in range(4)]


async def test_a_call_under_way_ends_when_another_loop_closes_the_servers():
    def answer(handler: Handler, message: dict[str, Any]) -> None:
        if "id" not in message:
            handler.send(202, b"")
        elif message["method"] == "tools/call":
            began.set()
            threading.Event().wait(30)
        else:
            handler.send_json(reply(script(tool("hang")), message))

    began = threading.Event()
    with http_server(answer) as url:
        tools = await McpTools([McpServer(name="s", url=url)]).__aenter__()
        call = asyncio.create_task(ToolRegistry(tools).get("s_hang").call({}))
        await asyncio.to_thread(began.wait)
        [closed] = await asyncio.to_thread(in_threads, 1, lambda _: tools.__aexit__(None, None, None))
        assert closed is None
        with pytest.raises(ToolError):
            await asyncio.wait_for(call, 20)


async def _until(done: Any) -> None:
    for _ in range(100):
        if await done():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen")
