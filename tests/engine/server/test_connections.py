"""Connections that never finish a request, more of them than a server can hold, and heads that are tricks."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from braid.engine.scripted import ScriptedEngine
from braid.engine.server import ServerLimits, ServerOptions, serving
from tests.support.waiting import until

BODY = {"model": "scripted", "prompt": "hello"}
SERVER = """
import asyncio, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from braid.engine.scripted import ScriptedEngine
from braid.engine.server import ServerOptions, serve

async def main():
    async with ScriptedEngine("one two") as engine:
        await serve(engine, ServerOptions(port=0), on_ready=lambda url: print(url, flush=True))

asyncio.run(main())
"""


@asynccontextmanager
async def _server(**options: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        ScriptedEngine("one two three") as engine,
        serving(engine, ServerOptions(port=0, **options)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client,
    ):
        yield client
        assert engine.open_contexts() == 0


async def _raw(
    client: httpx.AsyncClient, sent: bytes = b""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(sent)
    return reader, writer


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    """Everything until the server closes the connection."""
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""


async def test_others_are_answered_while_more_connections_hang_than_there_are_files() -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert server.stdout and server.stderr
    hanging: list[asyncio.StreamWriter] = []
    try:
        url = (await asyncio.wait_for(server.stdout.readline(), 60)).decode().strip()
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
            for _ in range(300):
                hanging.append((await _raw(client, b"POST /v1/completions HTTP/1.1\r\nHost: localh"))[1])
            for _ in range(5):
                reply = await client.post("completions", json=BODY, headers={"connection": "close"})
                assert reply.json()["choices"][0]["text"] == "one two"
    finally:
        for writer in hanging:
            writer.close()
        server.terminate()
        log = (await asyncio.wait_for(server.communicate(), 30))[1].decode()
    assert "connections are open" in log and len(log.splitlines()) == 1, log[:2000]


HANGING = {
    "no byte": [b""],
    "half a head": [b"GET /health HTTP/1.1\r\nHost: localhost\r\nX"],
    "drops of a head": [b"GET /health HTTP/1.1\r\nX: ", *[b"a"] * 40],
    "drops of a body that nobody reads": [
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n",
        *[b"a"] * 40,
    ],
    "half a second request": [b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", *[b"GET /"] * 40],
}


@pytest.mark.parametrize("pieces", HANGING.values(), ids=HANGING)
async def test_a_connection_without_a_request_is_closed(
    pieces: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async with _server(limits=ServerLimits(head_seconds=0.3)) as client:
        reader, writer = await _raw(client)

        async def drip() -> None:
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drip())
        await asyncio.wait_for(_read_all(reader), 2.5)
        dripping.cancel()
        writer.close()
        for _ in range(3):
            (reader, writer) = await _raw(client, b"GET")
            assert await _read_all(reader) == b""
            writer.close()
        assert (await client.post("completions", json=BODY)).status_code == 200
    lines = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(lines) == 1 and "within 0.3 s" in lines[0].getMessage()


async def test_requests_under_way_are_not_closed_for_others() -> None:
    hold = asyncio.Event()

    async def answer(prompt: str) -> AsyncIterator[str]:
        yield "one"
        await hold.wait()

    async with (
        ScriptedEngine(answer) as engine,
        serving(engine, ServerOptions(port=0, limits=ServerLimits(max_connections=3))) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client,
        asyncio.TaskGroup() as group,
    ):
        tasks = [group.create_task(client.post("completions", json=BODY)) for _ in range(3)]
        await until(lambda: engine.open_contexts() == 3)
        for _ in range(5):
            reader, writer = await _raw(client, b"GET /health HTTP/1.1\r\n")
            assert await _read_all(reader) == b""
            writer.close()
        hold.set()
        assert [(await task).status_code for task in tasks] == [200] * 3


BEHIND = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b'5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n'
POST = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        POST + b"Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 22\r\n\r\n" + CHUNKED,
        POST + b"content-length: 0\r\ntransfer-encoding: Chunked\r\n\r\n" + CHUNKED,
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 2\r\nContent-Length: 7\r\n\r\n{}",
    ],
)
async def test_a_request_of_two_lengths_ends_its_connection(request_bytes: bytes) -> None:
    async with _server() as client:
        reader, writer = await _raw(client, request_bytes + BEHIND)
        reply = await _read_all(reader)
        writer.close()
    assert reply.startswith(b"HTTP/1.1 400") and b"connection: close" in reply.lower()
    assert reply.count(b"HTTP/1.1") == 1, "what is behind it is not answered"


FOREIGN = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "a:b:c",
    "x@y",
]
OWN = [
    "localhost",
    "LocalHost:8000",
    "127.0.0.1:1",
    "192.168.1.20:8000",
    "[::1]:8000",
    "[::1]",
    "me.localhost",
    "",
]


async def test_foreign_hosts_are_refused() -> None:
    async with _server() as client:
        for path in ("models", "../health", "../metrics"):
            for host in FOREIGN:
                reply = await client.get(path, headers={"host": host})
                assert (reply.status_code, reply.json()["error"]["code"]) == (403, "host_not_allowed"), host
            for host in OWN:
                assert (await client.get(path, headers={"host": host})).status_code == 200, host
        reply = await client.post("completions", json=BODY, headers={"host": "evil.example"})
        assert reply.status_code == 403 and "--allow-host" in reply.json()["error"]["message"]


async def test_hosts_can_be_allowed() -> None:
    async with _server(allow_hosts=("Braid.example", "other.example")) as client:
        for host, status in (("braid.example:443", 200), ("other.example.", 200), ("evil.example", 403)):
            assert (await client.get("models", headers={"host": host})).status_code == status
    async with _server(allow_hosts=("*",)) as client:
        assert (await client.get("models", headers={"host": "evil.example"})).status_code == 200
