"""The connection to one MCP server. It is made when first needed, and again when it was lost."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

from braid.engine.system import first_error
from braid.executors.mcp.config import McpError, McpServer
from braid.executors.mcp.loop_thread import LoopEndedError, LoopThread
from braid.executors.tools import (
    Effect,
    ToolError,
    ToolTimeoutError,
    ToolUnavailableError,
    UncertainError,
)

if TYPE_CHECKING:
    from mcp import Client

    from braid.executors.mcp.listing import Listing

T = TypeVar("T")

RECONNECTS: Final = 2
"""Most new connections for one request that may be repeated."""

_WIRE_FACTOR: Final = 8
"""Most bytes of a message for each byte of a result: it may be there twice, with every sign escaped."""
_WIRE_BASE: Final = 1_000_000
"""Bytes of a message that are no result, such as a list of tools."""

_log = logging.getLogger(__name__)
# The SDK logs tracebacks of what servers do wrong. Without a handler they would be written to the terminal.
logging.getLogger("mcp").addHandler(logging.NullHandler())


class Connection:
    """One server, connected when first needed.

    It may be shared between threads and loops: what it does with the server is done in a thread of its own.
    """

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self.stale = False
        """Whether the server may have other tools by now: it said so, or it was started anew."""
        self._thread = LoopThread(f"MCP server {server.name!r}")
        self._listing: Listing | None = None
        self._client: Client | None = None
        self._holder: asyncio.Task[None] | None = None
        self._state = _State()
        self._opening = asyncio.Lock()
        self._slots = asyncio.Semaphore(server.max_concurrency)
        self._stderr = _LastLines()
        self._told_of_stray = False

    @property
    def listing(self) -> Listing:
        """What the server lists."""
        if self._listing is None:
            from braid.executors.mcp.listing import Listing  # needs the extra `mcp`

            self._listing = Listing()
        return self._listing

    async def request(self, name: str, effect: Effect, ask: Callable[[Client], Awaitable[T]]) -> T:
        """What `ask` gets from the server. It is repeated over a new connection if `effect` allows that.

        Args:
            name: What is requested, for messages.
            effect: What the request does to the world.
            ask: Makes the request. It runs in the thread of the connection.

        Raises:
            UncertainError: A mutating request got no reply.
            ToolTimeoutError: Another request got no reply in time.
            ToolUnavailableError: The server was lost, or is out of reach.
            ToolError: The request failed for another reason.
            McpError: The server cannot be reached.
        """
        try:
            return await self._thread.run(self._request(name, effect, ask))
        except LoopEndedError as error:
            kind = UncertainError if effect == "mutating" else ToolUnavailableError
            raise kind(f"{self.server.name}: {name}: {error}", tool=name) from None

    async def listed(self, ask: Callable[[Client], Awaitable[T]]) -> T:
        """What `ask` gets from the server within the time for its start.

        Raises:
            McpError: The server cannot be reached, or failed.
        """

        async def work() -> T:
            client = await self._connected()
            try:
                async with asyncio.timeout(self.server.start_timeout):
                    return await ask(client)
            except Exception as error:
                raise self._unreachable(error, self._state) from error

        return await self._thread.run(work())

    async def close(self) -> None:
        """Stop the server that was launched, or leave the one that was reached.

        Requests that are under way fail.
        """
        await self._thread.run(self.drop())
        await self._thread.stop()
        # They belong to the loop that has ended.
        self._opening = asyncio.Lock()
        self._slots = asyncio.Semaphore(self.server.max_concurrency)
        self._stderr.close()

    async def drop(self, client: Client | None = None) -> None:
        """Leave the connection, unless it is no longer that of `client`. The next request makes another."""
        if client is not None and client is not self._client:
            return
        holder, ready, state = self._holder, self._client is not None, self._state
        self._holder = self._client = None
        if holder is None:
            return
        state.leave.set()  # a connection that never got ready does not wait for this
        if not ready or not (await asyncio.wait((holder,), timeout=10.0))[0]:
            holder.cancel()
            with suppress(asyncio.CancelledError):
                await holder

    async def _request(self, name: str, effect: Effect, ask: Callable[[Client], Awaitable[T]]) -> T:
        async with self._slots:
            for left in range(RECONNECTS, -1, -1):
                client = await self._connected()
                state = self._state
                try:
                    return await ask(client)
                except Exception as error:
                    refused = _is_refused(error)
                    lost = (
                        refused
                        or state.flooded
                        or _is_lost(error)
                        # The SDK refuses requests over a connection that was left with a RuntimeError.
                        or (isinstance(error, RuntimeError) and state.leave.is_set())
                    )
                    if lost:
                        await self.drop(client)
                        if left and (refused or (effect != "mutating" and not state.flooded)):
                            continue
                    raise self._failed(name, error, state, lost=lost, effect=effect) from error
        raise AssertionError("the last attempt returns or raises")

    async def _connected(self) -> Client:
        """The client. A connection is made if there is none.

        Raises:
            McpError: The server cannot be reached.
        """
        async with self._opening:
            if self._client is None or self._holder is None or self._holder.done():
                self.stale = self.stale or self._state.was_ready
                state = self._state = _State()
                ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
                # The SDK requires that a connection is closed by the task that made it, so each has a task.
                self._holder = asyncio.create_task(
                    self._hold(ready, state), name=f"braid mcp {self.server.name}"
                )
                try:
                    async with asyncio.timeout(self.server.start_timeout):
                        self._client = await ready
                except BaseException as error:
                    await self.drop()
                    if isinstance(error, Exception):
                        raise self._unreachable(error, state) from error
                    raise
                state.was_ready = True
            return self._client

    async def _hold(self, ready: asyncio.Future[Client], state: _State) -> None:
        from mcp import Client

        async def on_message(message: Any) -> None:
            from mcp_types import ToolListChangedNotification

            if isinstance(message, ToolListChangedNotification):
                self.stale = True

        try:
            async with AsyncExitStack() as stack:
                transport = self.listing.mend(await self._transport(stack, state))
                client = await stack.enter_async_context(
                    Client(
                        transport,
                        read_timeout_seconds=self.server.timeout,
                        cache=None,
                        message_handler=on_message,
                    )
                )
                self.listing.version = client.protocol_version
                listening = asyncio.create_task(_listen(client))
                ready.set_result(client)
                try:
                    await state.leave.wait()
                finally:
                    state.leave.set()  # the connection broke by itself
                    listening.cancel()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(first_error(error))
            elif isinstance(error, asyncio.CancelledError):
                raise
            # After `ready` the server is being left, and an error means that it is gone.

    async def _transport(self, stack: AsyncExitStack, state: _State) -> Any:
        server = self.server
        limit = _WIRE_BASE + _WIRE_FACTOR * server.max_result_bytes
        if server.url is not None:
            import httpx2
            from mcp.client.streamable_http import streamable_http_client

            from braid.executors.mcp.http import BoundedClient

            http = await stack.enter_async_context(
                BoundedClient(
                    limit=limit,
                    seconds=server.timeout + 1.0,  # the call itself ends earlier
                    on_flood=state.flood,
                    headers={key: value.get_secret_value() for key, value in server.headers.items()},
                    timeout=httpx2.Timeout(server.timeout, read=None),
                )
            )
            return streamable_http_client(server.url, http_client=http, max_sse_event_size=limit)
        from braid.executors.mcp.stdio import stdio_transport

        return stdio_transport(
            server, self._stderr.open(), limit=limit, on_flood=state.flood, on_stray=self._on_stray
        )

    def _on_stray(self, line: str) -> None:
        if not self._told_of_stray:
            self._told_of_stray = True
            shown = self.server.hide(line.strip())[:80]
            _log.warning(
                "MCP server %r writes to stdout what is not JSON-RPC, which is skipped: %r",
                self.server.name,
                shown,
            )

    def _unreachable(self, error: BaseException, state: _State) -> McpError:
        """`error` as one that names the server, its address, and what it wrote last."""
        server = self.server
        if state.flooded:
            shown = self._flood()
        elif isinstance(error, TimeoutError):
            shown = f"no answer within {server.start_timeout:g} s"
        else:
            shown = str(error) or type(error).__name__
        told = server.hide(f"({server.shown}): {shown}{self._stderr.shown()}")
        return McpError(f"MCP server {server.name!r} {told}")

    def _failed(self, name: str, error: Exception, state: _State, *, lost: bool, effect: Effect) -> ToolError:
        where = f"{self.server.name}: {name}"
        if state.flooded:
            message = f"{where}: {self._flood()}"
        elif lost and not _is_refused(error):
            message = f"{where}: the connection to the MCP server was lost{self._stderr.shown()}"
        else:
            message = f"{where}: {type(error).__name__}: {str(error)[:2000]}"
        message = self.server.hide(message)
        if effect == "mutating" and (lost or _is_late(error)) and not _is_refused(error):
            return UncertainError(f"{message}; whether the call took effect is not known", tool=name)
        if state.flooded:
            return ToolError(message, tool=name)
        if _is_late(error):
            return ToolTimeoutError(message, seconds=self.server.timeout, tool=name)
        if lost or _is_out_of_reach(error):
            return ToolUnavailableError(message, tool=name)
        return ToolError(message, tool=name)

    def _flood(self) -> str:
        limit = self.server.max_result_bytes
        return (
            f"the server sent far more than the {limit:,} bytes that one result may have (max_result_bytes)"
        )


class _State:
    """The state of one connection."""

    def __init__(self) -> None:
        self.leave = asyncio.Event()
        self.was_ready = False
        self.flooded = False
        """Whether the server sent more than is read. The connection is of no more use then."""

    def flood(self) -> None:
        self.flooded = True


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


async def _listen(client: Client) -> None:
    """Hear of changed tools over a connection of 2026, which tells only those who listen.

    The message handler gets what is heard. A server that tells nobody costs nothing but the news.
    """
    from mcp import MCPError
    from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost

    tools = client.server_capabilities.tools
    if tools is None or not tools.list_changed:
        return
    with suppress(ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError):
        async with client.listen(tools_list_changed=True) as changes:
            async for _ in changes:
                pass


def _is_lost(error: BaseException) -> bool:
    """Whether the connection is gone. Otherwise only the call failed."""
    import anyio
    from mcp import MCPError
    from mcp_types import CONNECTION_CLOSED

    if isinstance(error, MCPError):
        return error.code == CONNECTION_CLOSED
    return isinstance(error, (anyio.ClosedResourceError, anyio.BrokenResourceError, ConnectionError))


def _is_refused(error: BaseException) -> bool:
    """Whether the server did not take the request, because it does not know the session any more."""
    from mcp import MCPError

    from braid.executors.mcp.http import SESSION_GONE

    return isinstance(error, MCPError) and error.data == SESSION_GONE


def _is_out_of_reach(error: BaseException) -> bool:
    """Whether something before the server refused the request, or the server lets nobody in."""
    from mcp import MCPError

    from braid.executors.mcp.http import OUT_OF_REACH

    return isinstance(error, MCPError) and error.data == OUT_OF_REACH


def _is_late(error: Exception) -> bool:
    """Whether the server did not reply in time."""
    from mcp import MCPError
    from mcp_types import REQUEST_TIMEOUT

    return isinstance(error, TimeoutError) or (isinstance(error, MCPError) and error.code == REQUEST_TIMEOUT)
