"""Tools of MCP servers: launched (stdio) or reached over streamable HTTP, by the official SDK (extra `mcp`).

    async with McpTools([McpServer(name="time", command="uvx", args=("mcp-server-time",))]) as tools:
        result = await Agent(tools=tools).run("...")

A server's tool `convert_time` is called `time_convert_time` in plans. Its effect is read from the server's
hints: read-only and idempotent tools may be repeated, all others are mutating and need approval.
`McpServer.effects` overrules the hints, tool by tool.

Servers may hang, die, flood and lie. So each call has a time limit, and a result has a greatest size. A
connection that was lost is made again for the next call. A tool whose schema is unusable is left out with a
warning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self, cast

from braid.executors.mcp.config import McpError, McpServer
from braid.executors.mcp.connection import Connection
from braid.executors.mcp.tools import load_tools
from braid.executors.tools import Tool

if TYPE_CHECKING:
    from types import TracebackType


class McpTools(Sequence[Tool]):
    """The tools of some servers, while the `async with` block lasts: a sequence, to be handed to an agent.

    Raises:
        McpError: On entering: a server cannot be started or reached in time. Those already started are
            stopped.
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
