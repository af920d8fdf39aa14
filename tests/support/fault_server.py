"""An HTTP server on loopback that does to a client what servers do on bad days.

It works down to single bytes and cut connections.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any


@dataclass
class Call:
    """One request, and the means to answer it byte by byte."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    writer: asyncio.StreamWriter
    reader: asyncio.StreamReader

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def json(
        self, payload: object, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        await self.text(json.dumps(payload), status=status, headers=headers)

    async def text(
        self,
        text: str,
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> None:
        data = text.encode()
        extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = (
            f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\n"
            f"content-length: {len(data)}\r\n{extra}\r\n"
        )
        await self.raw(head.encode() + data)

    async def begin_events(self) -> None:
        await self.raw(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )

    async def send(self, data: bytes) -> None:
        """One HTTP chunk."""
        await self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def event(self, payload: object) -> None:
        await self.send(b"data: " + json.dumps(payload).encode() + b"\n\n")

    async def finish(self, *, done: bool = True) -> None:
        if done:
            await self.send(b"data: [DONE]\n\n")
        await self.raw(b"0\r\n\r\n")

    def drop(self) -> None:
        """Cut the connection without goodbye."""
        self.writer.transport.abort()

    async def client_left(self) -> None:
        """Returns when the client closes the connection."""
        await self.reader.read()


Handler = Callable[[Call], Awaitable[None]]


@dataclass
class FaultServer:
    """`answer` is called for each POST. Entries of `script` take precedence, one per request."""

    answer: Handler | None = None
    script: list[Handler] = field(default_factory=list[Handler])
    calls: list[Call] = field(default_factory=list[Call])
    models: list[dict[str, Any]] = field(default_factory=lambda: [{"id": "m"}])
    listed: object = None
    """The whole list of models, in another shape than that of OpenAI."""
    called: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0
    at_work: int = 0
    most_at_work: int = 0

    async def __aenter__(self) -> FaultServer:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self._tasks: set[asyncio.Task[None]] = set()
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/v1"
        self.address = f"{self.url}#m"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while call := await self._read(reader, writer):
                await self._serve(call)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Call | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        data = await reader.readexactly(int(headers.get("content-length", "0")))
        return Call(method, path, headers, json.loads(data) if data else {}, writer, reader)

    async def _serve(self, call: Call) -> None:
        if call.method == "GET":
            listed = {"object": "list", "data": self.models}
            await call.json(listed if self.listed is None else self.listed)
            return
        self.calls.append(call)
        self.called.set()
        handler = self.script.pop(0) if self.script else self.answer
        assert handler is not None, "the test scripted no answer"
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            await handler(call)
        finally:
            self.at_work -= 1


def piece(text: str, *, chat: bool, index: int = 0, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk of a streamed response."""
    said: dict[str, Any] = {"delta": {"content": text}} if chat else {"text": text}
    return {"choices": [{"index": index, "finish_reason": finish, **said, **more}]}


def says(*texts: str, finish: str = "stop", usage: dict[str, Any] | None = None) -> Handler:
    """A well-behaved streamed answer in the pieces `texts`. With `n` every branch gets the same."""

    async def handler(call: Call) -> None:
        chat = "messages" in call.body
        indexes = range(call.body.get("n", 1))
        await call.begin_events()
        for text in texts:
            for index in indexes:
                await call.event(piece(text, chat=chat, index=index))
        for index in indexes:
            await call.event(piece("", chat=chat, index=index, finish=finish))
        if usage is not None:
            await call.event({"choices": [], "usage": usage})
        await call.finish()

    return handler


def refuses(status: int, payload: object, *, headers: dict[str, str] | None = None) -> Handler:
    async def handler(call: Call) -> None:
        await call.json(payload, status=status, headers=headers)

    return handler


def in_pieces(data: bytes, size: int) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))
