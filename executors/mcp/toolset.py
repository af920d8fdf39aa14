"""Tools of MCP servers: launched (stdio) or reached over streamable HTTP, by the official SDK (extra `mcp`).

    async with McpTools([McpServer(name="time", command="uvx", args=("mcp-server-time",))]) as tools:
        result = await Agent(tools=tools).run("...")

A server's tool `convert_time` is called `time_convert_time` in plans. Its effect is read from the server's
hints: read-only and idempotent tools may be repeated, all others are mutating and need approval.
`McpServer.effects` overrules the hints, tool by tool.

Servers may hang, die, flood and lie. So each call has a time limit, and a result has a greatest size. A
connection that was lost is made again for the next call. A tool whose schema is unusable is left out with a
warning. Servers and their tools may be shared between threads and loops.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self, cast

from braid.engine.system import run_all
from braid.executors.mcp.config import McpError, McpServer
from braid.executors.mcp.connection import Connection
from braid.executors.mcp.names import free_name, identifier
from braid.executors.mcp.tools import Offer, make_tools, read_offer
from braid.executors.tools import Tool

if TYPE_CHECKING:
    from types import TracebackType


class McpTools(Sequence[Tool]):
    """The tools of some servers, while the `async with` block lasts: a sequence, to be handed to an agent.

    Threads and loops may share it, as each server has a thread of its own. One of them enters, refreshes and
    leaves it.

    Raises:
        McpError: On entering: a server cannot be started or reached in time. Those already started are
            stopped.
    """

    def __init__(self, servers: Iterable[McpServer]) -> None:
        self._connections = [Connection(server) for server in servers]
        self._offers: list[Offer] = []
        self._tools: list[Tool] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if find_spec("mcp") is None:
            raise McpError("the MCP client is not installed: pip install 'braid-agents[mcp]'")
        async with AsyncExitStack() as stack:
            for connection in self._connections:
                stack.push_async_callback(connection.close)
            self._offers = await run_all([read_offer(connection) for connection in self._connections])
            self._make()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def refresh(self) -> bool:
        """Take over what servers have changed: those that said so, and those that were started anew.

        A server that cannot be asked keeps its tools, with a warning.

        Returns:
            Whether tools may have changed.
        """
        changed = False
        for place, connection in enumerate(self._connections):
            if connection.stale:
                try:
                    self._offers[place] = await read_offer(connection)
                except McpError as error:
                    warnings.warn(f"its tools are those of before: {error}", RuntimeWarning, stacklevel=2)
                    connection.stale = True
                else:
                    changed = True
        if changed:
            self._make()
        return changed

    def _make(self) -> None:
        """Make the tools, in the order of the servers. No two have one name."""
        made: dict[str, Tool] = {}
        prefixes: set[str] = set()
        for connection, offer in zip(self._connections, self._offers, strict=True):
            prefix = free_name(identifier(connection.server.name), prefixes)
            prefixes.add(prefix)
            made |= {tool.name: tool for tool in make_tools(connection, offer, prefix, made)}
        self._tools = list(made.values())

    def __getitem__(self, index: Any) -> Any:  # one tool, or a list of them for a slice
        return cast("Any", self._tools)[index]

    def __len__(self) -> int:
        return len(self._tools)
