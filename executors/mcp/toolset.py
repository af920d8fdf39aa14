"""Tools of MCP servers: launched (stdio) or reached over streamable HTTP, by the official SDK (extra `mcp`).

    async with McpTools([McpServer(name="time", command="uvx", args=("mcp-server-time",))]) as tools:
        result = await Agent(tools=tools).run("...")

A server's tool `convert_time` is called `time_convert_time` in plans. What a call does to the world is read
from the server's own hints: read-only and idempotent tools may be repeated, all others are mutating and need
approval; `McpServer.effects` overrules that, tool by tool. Servers may hang, die, flood and lie: each call has a
time limit, a result a greatest size, a connection that was lost is made anew for the next call, and a tool whose
schema is unusable is left out with a warning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self, cast

from braid.executors.mcp.config import McpError, McpServer, read_mcp_config
from braid.executors.mcp.connection import Connection
from braid.executors.mcp.tools import load_tools
from braid.executors.tools import Tool

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["McpError", "McpServer", "McpTools", "read_mcp_config"]


class McpTools(Sequence[Tool]):
    """The tools of some servers, while the `async with` block lasts. A sequence of tools, to be handed to an agent.

    Raises on entering:
        McpError: a server cannot be started or reached in time; those already started are stopped.
    """

    def __init__(self, servers: Iterable[McpServer]) -> None:
        self._connections = [Connection(server) for server in servers]
        self._tools: list[Tool] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if find_spec("mcp") is None:
            raise McpError("the MCP client is not installed: pip install 'braid-agents[mcp]'")
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.TaskGroup() as group:
                    for connection in self._connections:
                        stack.push_async_callback(connection.close)
                    listings = [group.create_task(load_tools(connection)) for connection in self._connections]
            except BaseExceptionGroup as failed:
                raise failed.exceptions[0] from None
            self._tools = [tool for listing in listings for tool in listing.result()]
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def __getitem__(self, index: Any) -> Any:  # one tool, or a list of them for a slice
        return cast("Any", self._tools)[index]

    def __len__(self) -> int:
        return len(self._tools)
