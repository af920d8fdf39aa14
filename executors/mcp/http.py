"""The HTTP client of the streamable HTTP transport. It reads replies in bounds, and names refusals.

The transport of the SDK takes replies of any size, unpacks them without a bound, and goes on reading after a
call timed out. It has one text for every status.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, cast

import httpx2
from mcp.client.streamable_http import MCP_SESSION_ID
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND

SESSION_GONE: Final = "braid: the server does not know the session"
"""Data of the error of a request that was refused because its session is gone. It had no effect."""

OUT_OF_REACH: Final = "braid: the server is out of reach"
"""Data of the error of a request that got no further than the way to the server."""

_OUTAGES: Final = frozenset((401, 403, 407, 502, 503, 504))
_LISTEN: Final = "subscriptions/listen"
_STANDARD_CODES: Final = range(-32700, -32599)
_EXCERPT: Final = 65_536
"""Most bytes of the body of a refusal that are looked at."""
_CHUNK: Final = 65_536


class BoundedClient(httpx2.AsyncClient):
    """Sends requests of the MCP transport.

    Args:
        limit: Most bytes of one reply, unpacked.
        seconds: Longest time to read one reply. Streams that stay open by design have no bound.
        on_flood: Called when a reply is longer.
        options: Those of `httpx2.AsyncClient`.
    """

    def __init__(self, *, limit: int, seconds: float, on_flood: Callable[[], None], **options: Any) -> None:
        super().__init__(**options)
        self.headers["accept-encoding"] = "gzip, deflate"
        self._limit = limit
        self._seconds = seconds
        self._on_flood = on_flood

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """The response. A refused call is answered by an error of JSON-RPC that names the status."""
        asked = _asked(request)
        stays_open = request.method == "GET" or asked.get("method") == _LISTEN
        deadline = None if stays_open else asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(deadline):
                response = await super().send(request, stream=True, **options)
        except TimeoutError:
            message = f"no reply within {self._seconds:g} s"
            return _refusal(request, asked, 504, INTERNAL_ERROR, message, OUT_OF_REACH)
        encoding = response.headers.pop("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
            await response.aclose()
            message = f"the reply is encoded as {encoding!r}, which was not asked for"
            return _refusal(request, asked, 502, INTERNAL_ERROR, message)
        response.stream = _BoundedBody(
            cast("httpx2.AsyncByteStream", response.stream),
            packed=encoding not in ("identity", ""),
            limit=None if stays_open else self._limit,
            deadline=deadline,
            on_flood=self._on_flood,
        )
        if response.status_code >= 400 and "id" in asked:
            return await _named(request, asked, response)
        if not stream:
            try:
                await response.aread()
            finally:
                await response.aclose()
        return response


class BodyError(httpx2.StreamError):
    """The body of a reply is not read on. The SDK answers the request with this error."""


class _BoundedBody(httpx2.AsyncByteStream):
    """The unpacked body of a reply, up to a size and a time."""

    def __init__(
        self,
        body: httpx2.AsyncByteStream,
        *,
        packed: bool,
        limit: int | None,
        deadline: float | None,
        on_flood: Callable[[], None],
    ) -> None:
        self._body = body
        self._packed = packed
        self._limit = limit
        self._deadline = deadline
        self._on_flood = on_flood

    async def __aiter__(self) -> AsyncIterator[bytes]:
        taken = 0
        async for chunk in self._unpacked():
            taken += len(chunk)
            if self._limit is not None and taken > self._limit:
                self._on_flood()
                raise BodyError(f"the reply has more than {self._limit:,} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._body.aclose()

    async def _unpacked(self) -> AsyncIterator[bytes]:
        """The body in small parts, so that a few packed bytes never become many at once."""
        unpack = zlib.decompressobj(47) if self._packed else None  # 47: zlib or gzip, as the header says
        async for chunk in self._parts():
            rest = chunk
            while unpack is not None and rest:
                try:
                    yield unpack.decompress(rest, _CHUNK)
                except zlib.error as error:
                    raise BodyError(f"the reply cannot be unpacked: {error}") from error
                rest = unpack.unconsumed_tail
            if unpack is None:
                yield chunk

    async def _parts(self) -> AsyncIterator[bytes]:
        parts = aiter(self._body)
        while True:
            try:
                async with asyncio.timeout_at(self._deadline):
                    part = await anext(parts, None)
            except TimeoutError:
                raise BodyError("the reply did not end in time") from None
            if part is None:
                return
            yield part


def _asked(request: httpx2.Request) -> dict[str, Any]:
    """The message that `request` posts. Empty if it posts none."""
    try:
        content = json.loads(request.content) if request.method == "POST" else None
    except (ValueError, httpx2.StreamError):
        return {}
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


async def _named(
    request: httpx2.Request, asked: dict[str, Any], response: httpx2.Response
) -> httpx2.Response:
    """The refusal `response` as an error of JSON-RPC. Its message begins with the status."""
    body = b""
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > _EXCERPT:
                break
    except (httpx2.StreamError, httpx2.TransportError):
        pass  # the status says enough
    finally:
        await response.aclose()
    error = _error_of(body)
    code, said, data = error.get("code"), error.get("message"), error.get("data")
    status = response.status_code
    message = f"HTTP {status} {response.reason_phrase}".strip()
    if isinstance(said, str) and said:
        message += f": {said}"
    if not isinstance(code, int) or code == CONNECTION_CLOSED:  # the SDK means a lost connection by it
        code = METHOD_NOT_FOUND if status == 404 else INTERNAL_ERROR
    if MCP_SESSION_ID in request.headers and (
        # Some servers answer 400 to a session that they do not know.
        status == 404 or (status == 400 and error.get("code") not in _STANDARD_CODES)
    ):
        code, data = INVALID_REQUEST, SESSION_GONE
    elif status in _OUTAGES:
        data = OUT_OF_REACH
    return _refusal(request, asked, status, code, message, data)


def _error_of(body: bytes) -> dict[str, Any]:
    """The error in the body of a refusal: one of JSON-RPC, or only a message in a usual place."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    found = cast("dict[str, Any]", content)
    error = found.get("error")
    if isinstance(error, dict):
        return cast("dict[str, Any]", error)
    texts = (found.get(key) for key in ("error_description", "message", "detail", "error"))
    return {"message": next((text[:200] for text in texts if isinstance(text, str)), None)}


def _refusal(
    request: httpx2.Request, asked: dict[str, Any], status: int, code: int, message: str, data: Any = None
) -> httpx2.Response:
    error = {"code": code, "message": message, **({} if data is None else {"data": data})}
    content = {"jsonrpc": "2.0", "id": asked.get("id"), "error": error}
    return httpx2.Response(max(status, 400), json=content, request=request)
