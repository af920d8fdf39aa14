"""Tools of MCP servers: real ones, and one that misbehaves."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from braid.engine import Budget
from braid.executors import GraphPatch, RunContext, TaskGraph, ToolRegistry, run_graph
from braid.executors.mcp import McpError, McpServer, McpTools, read_mcp_config
from braid.executors.nodes import Answer, Const, Node, Ref, ToolCall
from braid.executors.tools import ToolArgumentError, ToolError, UncertainError

MISBEHAVING = Path(__file__).parent / "misbehaving_mcp_server.py"
PATIENT = {"start_timeout": 300.0, "timeout": 300.0}
"""Where no limit is what is tested: a busy machine may take long to start an interpreter."""


def module(name: str, package: str, **options) -> McpServer:
    return McpServer(name=name, command=sys.executable, args=("-m", package), **{**PATIENT, **options})


def misbehaving(folder: Path, **options) -> McpServer:
    return McpServer(
        name="bad", command=sys.executable, args=(str(MISBEHAVING), str(folder)), **{**PATIENT, **options}
    )


async def test_the_time_server_answers_with_typed_records():
    async with McpTools([module("time", "mcp_server_time")]) as tools:
        convert = ToolRegistry(tools).get("time_convert_time")
        assert convert.spec.effect == "idempotent"
        found = await convert.call(
            {"source_timezone": "Europe/Paris", "time": "12:00", "target_timezone": "Asia/Tokyo"}
        )
        assert found["target"]["timezone"] == "Asia/Tokyo"
        with pytest.raises(ToolError, match="Nowhere"):
            await convert.call(
                {"source_timezone": "Nowhere", "time": "12:00", "target_timezone": "Asia/Tokyo"}
            )
        with pytest.raises(ToolArgumentError, match="did you mean 'time'"):
            await convert.call({"tim": "12:00"})


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
async def test_the_git_server_runs_in_a_graph_and_a_commit_needs_approval(tmp_path):
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "user.email", "a@example.org")
    git(tmp_path, "config", "user.name", "A")
    (tmp_path / "one.txt").write_text("one\n")
    asked: list[str] = []

    async def approve(request) -> bool:
        asked.append(request.tool)
        return True

    def call(name: str, tool: str, *wait: str, **args) -> Node:
        given = tuple((key, Const(value)) for key, value in {"repo_path": str(tmp_path), **args}.items())
        return Node(id=name, name=name, op=ToolCall(tool, given))

    async with McpTools([module("git", "mcp_server_git")]) as tools:
        registry = ToolRegistry(tools)
        assert registry.get("git_git_status").spec.effect == "idempotent"
        assert registry.get("git_git_commit").spec.effect == "mutating"
        for round, nodes in enumerate(
            (
                [call("a", "git_git_add", files=("one.txt",))],
                [call("b", "git_git_commit", message="first")],
                [call("c", "git_git_log"), Node(id="end", op=Answer((Ref("c"),)))],
            )
        ):
            graph = TaskGraph()
            graph.apply(GraphPatch(base_version=0, add=tuple(nodes)))
            outcome = await run_graph(
                graph, None, RunContext(tools=registry, approve=approve, budget=Budget())
            )
            assert not outcome.failures, (round, outcome.failures)
    assert asked[-1] == "git_git_commit"
    assert outcome.answer is not None and "first" in str(outcome.answer[0])


async def test_calls_that_hang_end_and_others_go_on(tmp_path):
    async with McpTools([misbehaving(tmp_path, timeout=3.0)]) as tools:
        registry = ToolRegistry(tools)
        async with asyncio.TaskGroup() as group:
            hanging = group.create_task(_error(registry.get("bad_hang").call({})))
            echoed = group.create_task(registry.get("bad_echo").call({"text": "a", "times": 2}))
        assert echoed.result() == "aa"
        assert "timed out" in hanging.result()
        task = asyncio.create_task(registry.get("bad_hang").call({}))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await registry.get("bad_echo").call({"text": "b"}) == "b"


async def test_a_server_that_dies_is_started_again_and_only_harmless_calls_are_repeated(tmp_path):
    async with McpTools([misbehaving(tmp_path)]) as tools:
        registry = ToolRegistry(tools)
        assert await registry.get("bad_die_once").call({}) == "back"
        with pytest.raises(UncertainError, match="took effect is not known"):
            await registry.get("bad_die_while_writing").call({})
        assert (tmp_path / "written").read_text() == "x"
        assert await registry.get("bad_echo").call({"text": "still here"}) == "still here"
    assert len((tmp_path / "starts").read_text()) == 3


@pytest.mark.parametrize("said", [None, "yes", "no"])
async def test_a_change_whose_fate_is_unknown_makes_its_node_uncertain_unless_a_person_knows(tmp_path, said):
    asked: list[str] = []

    async def approve(request) -> bool:
        return True

    async def ask(question: str) -> str:
        asked.append(question)
        assert said is not None
        return said

    async with McpTools([misbehaving(tmp_path)]) as tools:
        graph = TaskGraph()
        write = Node(id="w", name="w", op=ToolCall("bad_die_while_writing", ()))
        graph.apply(GraphPatch(base_version=0, add=(write,)))
        await run_graph(
            graph,
            None,
            RunContext(
                tools=ToolRegistry(tools), approve=approve, ask=None if said is None else ask, budget=Budget()
            ),
        )
    assert graph.state("w") == {None: "uncertain", "yes": "done", "no": "failed"}[said]
    assert len(asked) == (said is not None)
    assert (tmp_path / "written").read_text() == "x"  # in no case was it made again


async def test_a_change_that_gets_no_reply_in_time_may_have_happened(tmp_path):
    async with McpTools([misbehaving(tmp_path, timeout=1.0, effects={"hang": "mutating"})]) as tools:
        with pytest.raises(UncertainError, match="not known"):
            await ToolRegistry(tools).get("bad_hang").call({})


async def test_floods_are_refused_by_size(tmp_path):
    async with McpTools([misbehaving(tmp_path, max_result_bytes=2_000_000)]) as tools:
        registry = ToolRegistry(tools)
        assert len(await registry.get("bad_flood").call({"megabytes": 1})) == 1_000_000
        with pytest.raises(ToolError, match="max_result_bytes"):
            await registry.get("bad_flood").call({"megabytes": 5})
        with pytest.raises(ToolError, match="bad: fail: "):
            await registry.get("bad_fail").call({})


async def test_resources_can_be_listed_and_read(tmp_path):
    async with McpTools([misbehaving(tmp_path)]) as tools:
        registry = ToolRegistry(tools)
        [listed] = await registry.get("bad_list_resources").call({})
        assert (
            await registry.get("bad_read_resource").call({"uri": listed["uri"]}) == "the content of the note"
        )


LIAR = """
import json, sys
TOOLS = [
    {"name": "broken", "inputSchema": {"type": "object", "properties": {"a": {"type": "what"}}}},
    {"name": "lies about output", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True},
     "outputSchema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}},
    {
        "name": "refers",
        "inputSchema": {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/x"}}},
    },
    {"name": "answer", "inputSchema": {"type": "object"}},
    {"name": "answer!", "inputSchema": {"type": "object"}},
]
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    print("this is not JSON")
    method, reply = message["method"], None
    if method == "initialize":
        info = {"name": "liar", "version": "1"}
        reply = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
    elif method == "tools/list":
        reply = {"tools": TOOLS}
    elif method == "tools/call":
        reply = {"content": [], "structuredContent": {"n": "not a number"}}
    if reply is None:
        answer = {"error": {"code": -32601, "message": "unknown"}}
    else:
        answer = {"result": reply}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
"""


async def test_a_server_that_lies_about_schemas_costs_only_the_tools_in_question():
    server = McpServer(name="liar", command=sys.executable, args=("-c", LIAR), **PATIENT)
    with pytest.warns(RuntimeWarning, match="left out") as told:
        async with McpTools([server]) as tools:
            registry = ToolRegistry(tools)
            assert len(told) == 1
            assert [one.name for one in registry] == [
                "liar_lies_about_output",
                "liar_refers",
                "liar_answer",
                "liar_answer_2",
            ]
            with pytest.raises(ToolError, match="not a number"):
                await registry.get("liar_lies_about_output").call({})
            with pytest.raises(ToolArgumentError, match="schema cannot be used"):
                await registry.get("liar_refers").call({"a": 1})


async def test_streamable_http(tmp_path):
    code = (
        "import sys; sys.argv = ['x']; import runpy; "
        f"m = runpy.run_path({str(MISBEHAVING)!r}, run_name='m'); "
        "m['server'].run('streamable-http', port=int(__import__('os').environ['PORT']))"
    )
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env={"PORT": str(port)}, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _listening(port)
        server = McpServer(
            name="far", url=f"http://127.0.0.1:{port}/mcp", headers={"x-key": "secret"}, **PATIENT
        )
        async with McpTools([server]) as tools:
            assert await ToolRegistry(tools).get("far_echo").call({"text": "hello"}) == "hello"
        assert "secret" not in repr(server)
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ({"command": "/no/such/program"}, "No such file"),
        ({"command": sys.executable, "args": ("-c", "import sys; sys.exit('broken setup')")}, "broken setup"),
        (
            {"command": sys.executable, "args": ("-c", "import time; time.sleep(60)"), "start_timeout": 1.0},
            "no answer",
        ),
        ({"url": "http://127.0.0.1:9/mcp"}, "127.0.0.1:9"),
    ],
)
async def test_servers_that_cannot_be_reached_are_named(server, why):
    with pytest.raises(McpError, match=why):
        async with McpTools([McpServer(name="gone", **server)]):
            pass


def test_configuration_files_are_read_and_checked(tmp_path, monkeypatch):
    file = tmp_path / "mcp.json"
    monkeypatch.setenv("KEY", "k1")
    servers = {
        "a": {"command": "x", "args": ["y"], "env": {"TOKEN": "${KEY}"}},
        "b": {"type": "http", "url": "http://z"},
    }
    file.write_text(json.dumps({"mcpServers": servers}))
    one, two = read_mcp_config(file)
    assert one.env["TOKEN"].get_secret_value() == "k1" and two.url == "http://z"
    for content, why in (
        ("{", "cannot read"),
        ("[]", "mcpServers"),
        ('{"mcpServers": {"a": {}}}', "either a command or a url"),
        ('{"mcpServers": {"a": {"command": "x", "extra": 1}}}', "extra"),
        ('{"mcpServers": {"a": {"command": "${NOT_SET}"}}}', "NOT_SET"),
    ):
        file.write_text(content)
        with pytest.raises(McpError, match=why):
            read_mcp_config(file)


def git(folder: Path, *args: str) -> None:
    subprocess.run(["git", "-C", str(folder), *args], check=True)


async def _error(call) -> str:
    with pytest.raises(ToolError) as raised:
        await call
    return str(raised.value)


def _free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


async def _listening(port: int) -> None:
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise AssertionError("the server did not start")
