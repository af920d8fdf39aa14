"""An agent with the tools of an MCP server."""

from __future__ import annotations

import json
import sys

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
