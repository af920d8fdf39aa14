"""One HTTP exchange: read a bounded body, notice that the client hung up, send JSON or server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from braid.engine.server.admission import shutting_down
from braid.engine.server.config import ServerLimits
from braid.engine.server.errors import ApiError
from braid.engine.system import first_error

STATUS_CLIENT_GONE = 499
"""Status under which a request counts whose client hung up, as in the logs of web servers."""

# A refused body is read and dropped up to this many times the limit.
# A client that still sends cannot read the refusal.
_DISCARD_FACTOR = 8


class ClientGoneError(Exception):
    """The client hung up, or left unread what was sent to it."""


class HTTPExchange:
    """A request that is being answered. `status` is what was sent, 0 before that."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, limits: ServerLimits) -> None:
        self.headers = Headers(scope=scope)
        self.status = 0
        self._receive = receive
        self._send = send
        self._limits = limits
        self._complete = False
        self._unread = False

    @property
    def started(self) -> bool:
        return self.status != 0

    async def read_json_body(self) -> bytes:
        """The body.

        Raises:
            ApiError: the media type is wrong, or the body is too large or too slow.
            ClientGoneError: the client hung up.
        """
        media = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            # Also keeps web pages out: a browser sends this type to another origin only with its consent.
            raise ApiError(415, f"the content type must be application/json, got {media or 'none'!r}")
        limit, size = self._limits.max_body_bytes, 0
        chunks: list[bytes] = []
        more = self._unread = True
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while more and size <= limit * _DISCARD_FACTOR:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGoneError
                    chunk: bytes = message.get("body", b"")
                    more = message.get("more_body", False)
                    size += len(chunk)
                    if size <= limit:
                        chunks.append(chunk)
                    else:
                        chunks.clear()
        except TimeoutError:
            raise ApiError(
                408, f"the request did not arrive within {self._limits.body_seconds:g} s"
            ) from None
        self._unread = more
        if size > limit:
            raise ApiError(413, f"the request is larger than {limit} bytes", code="request_too_large")
        return b"".join(chunks)

    async def run_while_connected(self, work: Awaitable[None], stop_now: asyncio.Event) -> None:
        """Run `work` until it is done, the client hangs up, or `stop_now` is set.

        In the last two cases it is cancelled, and this waits until it has ended.

        Raises:
            ClientGoneError: the client hung up.
            ApiError: 503, `stop_now` was set.
        """
        try:
            async with asyncio.TaskGroup() as group:
                watchers = [
                    group.create_task(self._raise_when_client_leaves()),
                    group.create_task(_raise_when_stopped(stop_now)),
                ]
                await work
                for watcher in watchers:
                    watcher.cancel()
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    async def send_json(self, status: int, payload: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        body = encode(payload)
        length = {"content-type": "application/json", "content-length": str(len(body))}
        await self._start(status, {**length, **headers})
        await self._write(body, more=False)

    async def send_event(self, payload: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        """One server-sent event. The first one sends the headers too."""
        if not self.started:
            kind = {"content-type": "text/event-stream; charset=utf-8"}
            await self._start(
                200, {**kind, "cache-control": "no-cache", "x-accel-buffering": "no", **headers}
            )
        await self._write(b"data: " + encode(payload) + b"\n\n", more=True)

    async def end_events(self, *, done: bool) -> None:
        """The end of the stream. The mark `[DONE]` says that nothing is missing."""
        await self._write(b"data: [DONE]\n\n" if done else b"", more=False)

    async def fail(self, error: ApiError) -> None:
        """Send `error`: as the response, or as the last event of a stream that has begun."""
        if self._complete:
            return
        if self.started:
            await self.send_event(error.body, {})
            await self.end_events(done=False)
        else:
            await self.send_json(error.status, error.body, error.headers)

    async def _raise_when_client_leaves(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self._complete:
            raise ClientGoneError

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        if self._unread:  # the rest of the request must not be taken for another one
            headers = {**headers, "connection": "close"}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def _write(self, body: bytes, *, more: bool) -> None:
        message: Message = {"type": "http.response.body", "body": body, "more_body": more}
        try:
            async with asyncio.timeout(self._limits.write_seconds):
                await self._send(message)
        except (TimeoutError, OSError):
            raise ClientGoneError from None
        self._complete = not more


def encode(payload: Mapping[str, Any]) -> bytes:
    """JSON in one line, ASCII only. Whatever a model writes can be sent, halves of characters included."""
    return json.dumps(payload, separators=(",", ":"), allow_nan=False).encode("ascii")


async def _raise_when_stopped(stop_now: asyncio.Event) -> None:
    await stop_now.wait()
    raise shutting_down()
