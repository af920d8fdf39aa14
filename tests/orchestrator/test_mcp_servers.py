"""An agent with the tools of an MCP server."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from pathlib import Path

import pytest

from braid.engine import ScriptedEngine
from braid.executors.mcp import McpError, McpServer
from braid.orchestrator import Agent

PLAN = """t = time_convert_time("Europe/Paris", "12:00", "Asia/Tokyo")
answer(t.target.timezone)
"""
# A busy machine may take long to start an interpreter.
TIME = McpServer(name="time", command=sys.executable, args=("-m", "mcp_server_time"), start_timeout=300.0)


async def test_plans_call_tools_of_servers_that_the_agent_starts_and_stops():
    agent = Agent(ScriptedEngine([PLAN, PLAN]), mcp=[TIME], shortcuts=False)
    for _ in range(2):  # closed agents open again
        async with agent:
            result = await agent.run("What is the time zone of Tokyo?")
            assert result.answer == "Asia/Tokyo"
        assert "time_convert_time" not in agent.tools


async def test_the_configuration_file_of_the_settings_is_used(tmp_path, monkeypatch):
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"time": {"command": TIME.command, "args": TIME.args}}}))
    monkeypatch.setenv("BRAID_MCP", str(file))
    async with Agent(ScriptedEngine([PLAN]), shortcuts=False) as agent:
        assert (await agent.run("What is the time zone of Tokyo?")).answer == "Asia/Tokyo"


async def test_a_server_that_is_not_there_fails_the_run_by_name():
    async with Agent(
        ScriptedEngine([PLAN]), mcp=[McpServer(name="gone", command="/no/such/program")]
    ) as agent:
        with pytest.raises(McpError, match="gone"):
            await agent.run("What?")


GROWING = """
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ToolAnnotations
READ_ONLY = ToolAnnotations(read_only_hint=True)
server = MCPServer("growing")
@server.tool(annotations=READ_ONLY)
async def grow(context: Context) -> str:
    def new() -> str:
        return "new"
    server.add_tool(new, annotations=READ_ONLY)
    await context.notify_tools_changed()
    return "grown"
server.run()
"""


async def test_tools_that_a_server_adds_during_a_run_are_there_in_the_next():
    server = McpServer(name="g", command=sys.executable, args=("-c", GROWING), start_timeout=300.0)
    engine = ScriptedEngine(["a = g_grow()\nanswer(a)\n", "a = g_new()\nanswer(a)\n"])
    async with Agent(engine, mcp=[server]) as agent:
        assert (await agent.run("Grow.")).answer == "grown"
        await asyncio.sleep(0.5)  # the server's news comes after its reply
        assert (await agent.run("Use it.")).answer == "new"


@pytest.mark.parametrize("servers", [[], [TIME]])
@pytest.mark.parametrize("threads", [2, 5])
def test_one_agent_answers_in_several_threads(servers, threads):
    plan = PLAN if servers else "answer('Asia/Tokyo')\n"
    agent = Agent(ScriptedEngine([plan] * threads), mcp=servers, tools=[], shortcuts=False)
    answers: list[str | None] = []
    start = threading.Barrier(threads)

    def work() -> None:
        start.wait()
        answers.append(agent.run_sync("What is the time zone of Tokyo?").answer)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert answers == ["Asia/Tokyo"] * threads


async def test_an_agent_that_is_open_answers_in_other_threads_too():
    async with Agent(ScriptedEngine([PLAN] * 3), mcp=[TIME], shortcuts=False) as agent:
        question = "What is the time zone of Tokyo?"
        assert (await agent.run(question)).answer == "Asia/Tokyo"
        other = await asyncio.to_thread(agent.run_sync, question)
        assert other.answer == (await agent.run(question)).answer == "Asia/Tokyo"


async def test_the_first_example_of_the_docs_works_with_braid_mini():
    pytest.importorskip("torch")
    page = (Path(__file__).parents[2] / "docs/mcp.md").read_text(encoding="utf-8")
    found = re.search(r'^ +braid run --mcp mcp.json --tools calculate "(.+)"$', page, re.MULTILINE)
    assert found is not None
    async with Agent("local:braid-mini", mcp=[TIME], tools=[]) as agent:
        assert '"timezone":"Asia/Tokyo"' in (await agent.run(found[1])).answer
