"""The connection to an MCP server: when a request that found it closed is repeated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from braid.executors.mcp import McpServer
from braid.executors.mcp.connection import Connection
from braid.executors.tools import Effect, ToolError, UncertainError

SERVER = Path(__file__).with_name("misbehaving_mcp_server.py")


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    return Connection(
        McpServer(
            name="bad",
            command=sys.executable,
            args=(str(SERVER), str(tmp_path)),
            start_timeout=300.0,
            timeout=300.0,
        )
    )


@pytest.mark.parametrize(("effect", "attempts"), [("idempotent", 2), ("mutating", 1)])
async def test_a_request_whose_connection_was_closed_is_repeated_if_that_is_harmless(
    connection: Connection, effect: Effect, attempts: int
) -> None:
    clients: list[Any] = []

    async def ask(client: Any) -> Any:
        clients.append(client)
        if len(clients) == 1:
            await connection.drop()
        return await client.list_tools()

    try:
        if effect == "mutating":
            with pytest.raises(UncertainError, match="connection to the MCP server was lost"):
                await connection.request("list", effect, ask)
        else:
            assert (await connection.request("list", effect, ask)).tools
    finally:
        await connection.close()
    assert len(clients) == attempts


async def test_an_error_over_a_live_connection_is_not_repeated_whatever_it_says(
    connection: Connection,
) -> None:
    clients: list[Any] = []

    async def ask(client: Any) -> Any:
        clients.append(client)
        raise RuntimeError("Client must be used within an async context manager")

    try:
        with pytest.raises(ToolError, match="RuntimeError"):
            await connection.request("list", "idempotent", ask)
    finally:
        await connection.close()
    assert len(clients) == 1
