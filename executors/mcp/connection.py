"""The connection to one MCP server. It is made when first needed, and again when it was lost."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

from braid.engine.system import first_error
from braid.executors.mcp.config import McpError, McpServer
from braid.executors.tools import Effect, ToolError, UncertainError

if TYPE_CHECKING:
    from mcp import Client

T = TypeVar("T")

RECONNECTS: Final = 2
"""Most new connections for one request that may be repeated."""


class Connection:
    """One server, connected when first needed."""

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self._client: Client | None = None
        self._holder: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()
        self._opening = asyncio.Lock()
        self._slots = asyncio.Semaphore(server.max_concurrency)
        self._stderr = _LastLines()

    async def request(self, name: str, effect: Effect, ask: Callable[[Client], Awaitable[T]]) -> T:
        """What `ask` gets from the server. It is repeated over a new connection if `effect` allows that.

        Args:
            name: What is requested, for messages.
            effect: What the request does to the world.
            ask: Makes the request.

        Raises:
            UncertainError: A mutating request got no reply.
            ToolError: The request failed for another reason.
            McpError: The server cannot be reached.
        """
        async with self._slots:
            for left in range(RECONNECTS, -1, -1):
                client = await self.connected()
                try:
                    return await ask(client)
                except Exception as error:
                    lost = _is_lost(error) or (isinstance(error, RuntimeError) and self._was_left(client))
                    if lost:
                        await self._drop(client)
                        if effect != "mutating" and left:
                            continue
                    raise self._failed(name, error, lost=lost, effect=effect) from error
        raise AssertionError("the last attempt returns or raises")

    async def close(self) -> None:
        """Stop the server that was launched, or leave the one that was reached."""
        await self._drop()
        self._stderr.close()

    async def connected(self) -> Client:
        """The client. A connection is made if there is none.

        Raises:
            McpError: The server cannot be reached.
        """
        async with self._opening:
            if self._client is None or self._holder is None or self._holder.done():
                self._leave = asyncio.Event()
                ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
                # The SDK requires that a connection is closed by the task that made it, so each has a task.
                self._holder = asyncio.create_task(
                    self._hold(ready, self._leave), name=f"braid mcp {self.server.name}"
                )
                try:
                    async with asyncio.timeout(self.server.start_timeout):
                        self._client = await ready
                except BaseException as error:
                    await self._drop()
                    if isinstance(error, Exception):
                        raise self.unreachable(error) from error
                    raise
            return self._client

    async def _hold(self, ready: asyncio.Future[Client], leave: asyncio.Event) -> None:
        from mcp import Client

        try:
            async with AsyncExitStack() as stack:
                transport = await self._transport(stack)
                client = await stack.enter_async_context(
                    Client(transport, read_timeout_seconds=self.server.timeout, cache=None)
                )
                ready.set_result(client)
                try:
                    await leave.wait()
                finally:
                    leave.set()  # the connection broke by itself
        except BaseException as error:
            if not ready.done():
                ready.set_exception(first_error(error))
            elif isinstance(error, asyncio.CancelledError):
                raise
            # After `ready` the server is being left, and an error means that it is gone.

    async def _transport(self, stack: AsyncExitStack) -> Any:
        server = self.server
        if server.url is not None:
            import httpx2
            from mcp.client.streamable_http import streamable_http_client

            headers = {key: value.get_secret_value() for key, value in server.headers.items()}
            timeout = httpx2.Timeout(server.timeout, read=None)
            http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=timeout))
            return streamable_http_client(server.url, http_client=http)
        from mcp import StdioServerParameters
        from mcp.client.stdio import stdio_client

        assert server.command is not None
        parameters = StdioServerParameters(
            command=server.command,
            args=list(server.args),
            env={key: value.get_secret_value() for key, value in server.env.items()},
            cwd=server.cwd,
            encoding_error_handler="replace",
        )
        return stdio_client(parameters, errlog=self._stderr.open())

    async def _drop(self, client: Client | None = None) -> None:
        """Close the connection, unless it is no longer that of `client`."""
        if client is not None and client is not self._client:
            return
        holder, ready = self._holder, self._client is not None
        self._holder = self._client = None
        if holder is None:
            return
        self._leave.set()  # a connection that never got ready does not wait for this
        if not ready or not (await asyncio.wait((holder,), timeout=10.0))[0]:
            holder.cancel()
            with suppress(asyncio.CancelledError):
                await holder

    def _was_left(self, client: Client) -> bool:
        """Whether the connection of `client` has been left.

        The SDK refuses further requests with a `RuntimeError`.
        """
        return client is not self._client or self._leave.is_set()

    def unreachable(self, error: BaseException) -> McpError:
        """`error` as one that names the server, its address, and what it wrote last."""
        shown = (
            f"no answer within {self.server.start_timeout:g} s"
            if isinstance(error, TimeoutError)
            else str(error)
        )
        how = (
            self.server.url
            or " ".join(" ".join((self.server.command or "", *self.server.args)).split())[:120]
        )
        return McpError(
            f"MCP server {self.server.name!r} ({how}): {shown or type(error).__name__}{self._stderr.shown()}"
        )

    def _failed(self, name: str, error: Exception, *, lost: bool, effect: Effect) -> ToolError:
        where = f"{self.server.name}: {name}"
        if lost:
            message = f"{where}: the connection to the MCP server was lost{self._stderr.shown()}"
        else:
            message = f"{where}: {type(error).__name__}: {str(error)[:2000]}"
        if effect == "mutating" and (lost or _is_late(error)):
            return UncertainError(f"{message}; whether the call took effect is not known", tool=name)
        return ToolError(message, tool=name)


class _LastLines:
    """The end of what a server writes to stderr, for error messages. The rest is dropped."""

    def __init__(self, size: int = 2000) -> None:
        self._kept: deque[str] = deque(maxlen=size)
        self._write: TextIO | None = None

    def open(self) -> TextIO:
        """The file that the server writes to."""
        if self._write is None:
            read, write = os.pipe()
            self._write = os.fdopen(write, "w")
            threading.Thread(target=self._read, args=(read,), name="braid mcp stderr", daemon=True).start()
        return self._write

    def close(self) -> None:
        """Close the file."""
        if self._write is not None:
            self._write.close()
            self._write = None

    def shown(self) -> str:
        """The last lines as the end of a message."""
        last = "".join(self._kept).strip()
        return f"; it wrote: {last}" if last else ""

    def _read(self, fd: int) -> None:
        with os.fdopen(fd, errors="replace") as stream:
            while chunk := os.read(stream.fileno(), 65536):
                self._kept.extend(chunk.decode("utf-8", "replace"))


def _is_lost(error: BaseException) -> bool:
    """Whether the connection is gone. Otherwise only the call failed."""
    import anyio
    from mcp import MCPError
    from mcp_types import CONNECTION_CLOSED

    if isinstance(error, MCPError):
        return error.code == CONNECTION_CLOSED
    return isinstance(error, (anyio.ClosedResourceError, anyio.BrokenResourceError, ConnectionError))


def _is_late(error: Exception) -> bool:
    """Whether the server did not reply in time."""
    from mcp import MCPError
    from mcp_types import REQUEST_TIMEOUT

    return isinstance(error, TimeoutError) or (isinstance(error, MCPError) and error.code == REQUEST_TIMEOUT)
