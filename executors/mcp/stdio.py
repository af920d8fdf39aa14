"""The stdio transport: a server's process, and lines of JSON-RPC of a bounded length.

The transport of the SDK keeps a line of any length, and logs a traceback for each line that is not JSON-RPC.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TextIO

import anyio
from anyio.abc import ByteReceiveStream, Process
from mcp.client.stdio import get_default_environment
from mcp.os.posix.utilities import terminate_posix_process_tree
from mcp.shared.message import SessionMessage
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, JSONRPCError, jsonrpc_message_adapter

from braid.executors.mcp.config import McpServer

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

_GRACE: Final = 2.0
"""Seconds for a server to exit after its stdin was closed, and again after SIGTERM."""

_GONE: Final = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError)


@asynccontextmanager
async def stdio_transport(
    server: McpServer,
    errlog: TextIO,
    *,
    limit: int,
    on_flood: Callable[[], None],
    on_stray: Callable[[str], None],
) -> AsyncGenerator[TransportStreams]:
    """Launch `server`, and exchange messages with it over its stdin and stdout.

    Args:
        server: What to launch.
        errlog: The server's stderr.
        limit: Most bytes of one line.
        on_flood: Called when a line is longer. The stream of messages ends then.
        on_stray: Called with each line that is not JSON-RPC. It is skipped.

    Raises:
        OSError: The process cannot be started.
    """
    assert server.command is not None
    process = await anyio.open_process(
        [server.command, *server.args],
        env=get_default_environment() | {key: value.get_secret_value() for key, value in server.env.items()},
        stderr=errlog,
        cwd=server.cwd,
        start_new_session=True,
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None and stdout is not None
    received, read_stream = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write_stream, to_send = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> None:
        with suppress(*_GONE):
            try:
                async with received:
                    async for line in _lines(stdout, limit):
                        message = _message(line)
                        if message is not None:
                            await received.send(message)
                        elif line.strip():
                            on_stray(line.decode("utf-8", "replace"))
            except _LineTooLongError:
                on_flood()
                return
            except anyio.BrokenResourceError:
                pass  # nobody reads any more
            while True:  # a server that is stuck in writing cannot see that its stdin was closed
                await stdout.receive()

    async def write() -> None:
        with suppress(*_GONE):
            async with to_send:
                async for item in to_send:
                    content = item.message.model_dump(by_alias=True, mode="json", exclude_unset=True)
                    await stdin.send(json.dumps(content).encode() + b"\n")
        await received.aclose()

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        group.start_soon(write)
        try:
            yield read_stream, write_stream
        finally:
            with anyio.CancelScope(shield=True):
                read_stream.close()
                write_stream.close()
                await _stop(process)
            group.cancel_scope.cancel()


class _LineTooLongError(Exception):
    """A line is longer than allowed."""


async def _lines(stream: ByteReceiveStream, limit: int) -> AsyncIterator[bytes]:
    """The lines of `stream`, without their ends.

    Raises:
        _LineTooLongError: A line is longer than `limit` bytes. No more than that was kept.
    """
    parts: list[bytes] = []
    size = 0
    async for chunk in stream:
        *ended, rest = chunk.split(b"\n")
        for end in ended:
            yield b"".join((*parts, end))
            parts, size = [], 0
        parts.append(rest)
        size += len(rest)
        if size > limit:
            raise _LineTooLongError


def _message(line: bytes) -> SessionMessage | None:
    """The message in `line`. None if it is something else."""
    try:
        message = jsonrpc_message_adapter.validate_json(line.decode("utf-8", "replace"), by_name=False)
    except ValueError:
        return None
    if isinstance(message, JSONRPCError) and message.error.code == CONNECTION_CLOSED:
        message.error.code = INTERNAL_ERROR  # the SDK means a lost connection by it
    return SessionMessage(message)


async def _stop(process: Process) -> None:
    """Close the server's stdin, wait for its end, then end its process group."""
    assert process.stdin is not None and process.stdout is not None
    with suppress(*_GONE):
        await process.stdin.aclose()
    if not await _ended(process, _GRACE):
        if os.name == "posix":
            await terminate_posix_process_tree(process, _GRACE)
        else:
            process.terminate()
        await _ended(process, _GRACE)
    with suppress(*_GONE):
        await process.stdout.aclose()
    # A grandchild may hold the pipe open. Nothing public closes the transport of asyncio then.
    transport: Any = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        transport.close()


async def _ended(process: Process, seconds: float) -> bool:
    """Whether the process ends in time. `Process.wait` would wait for its grandchildren, too."""
    with anyio.move_on_after(seconds):
        while process.returncode is None:  # noqa: ASYNC110
            await anyio.sleep(0.01)
    return process.returncode is not None
