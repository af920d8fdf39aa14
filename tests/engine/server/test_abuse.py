"""Wrong values in every field, hundreds of streams at once, clients that do what no client should."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest

from braid.engine import SamplingParams
from braid.engine.local import LocalEngine
from braid.engine.scripted import ScriptedEngine
from braid.engine.server import ServerLimits, ServerOptions, serving
from braid.engine.server.requests import ChatRequest, CompletionRequest
from tests.support.waiting import metric, until

SCHEMA = {"type": "json_schema", "json_schema": {"schema": {"type": "array", "minItems": 10**9}}}
VALUES: list[Any] = [
    *(True, -1, 2**31, 2**70, 0.5, 1e300, 5e-324, "", "x", "a" * 10_000, [], {}),
    *([1], [-1], [2**70], ["x"], [None], [[]], [[1], [2]], {"a": 1}, {"1": 1e300}, {"1": 100}, SCHEMA),
    *([{"role": "user", "content": []}], [{"role": "assistant", "content": "x"}], [{"role": "user"}]),
]
BASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "completions": (CompletionRequest, {"prompt": "one"}),
    "chat/completions": (ChatRequest, {"messages": [{"role": "user", "content": "one"}]}),
}


@pytest.mark.parametrize("path", list(BASES))
async def test_any_value_in_any_field_is_answered_or_refused(url: str, local: LocalEngine, path: str) -> None:
    model, base = BASES[path]
    async with httpx.AsyncClient(base_url=url + "/", trust_env=False, timeout=20) as client:
        for field in [*model.model_fields, "functions", "best_of", "suffix", "user"]:
            for value in VALUES:
                body = {"model": "tiny", "max_tokens": 1, **base, field: value}
                reply = await client.post(path, json=body)
                if reply.status_code != 200:
                    error = reply.json()["error"]
                    expected = 404 if field == "model" and isinstance(value, str) else 400
                    assert (reply.status_code, error["type"]) == (expected, "invalid_request_error"), body
                    assert error["param"] or field == "stream_options", (body, error)
    assert local.open_contexts() == 0
    local.check_integrity()


async def test_two_hundred_streams_at_once(local: LocalEngine) -> None:
    """Each gets its own text, whole. A third of the clients hang up on the way."""
    limits = ServerLimits(max_concurrency=64, max_queue=200)
    count = 200
    async with (
        serving(local, ServerOptions(port=0, served_model_name="tiny", limits=limits)) as url,
        openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=60) as client,
    ):

        async def read(index: int) -> str:
            text = ""
            async with await client.completions.create(
                model="tiny", prompt=f"number {index}", max_tokens=8, temperature=0, stream=True
            ) as stream:
                async for chunk in stream:
                    text += chunk.choices[0].text
                    if index % 3 == 0:
                        break
            return text

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(read(index)) for index in range(count)]
        await until(lambda: local.open_contexts() == 0)
        assert await metric(url, "braid_requests_in_flight") == 0
        assert await metric(url, "braid_requests_queued") == 0
        assert await metric(url, "braid_kv_bytes") == local.kv_bytes()
    for index in (1, 100, 199):
        async with await local.prefill(f"number {index}") as context:
            (alone,) = await local.generate(context, SamplingParams(max_tokens=8, temperature=0))
            alone.context.release()
        assert tasks[index].result() == alone.text
    local.check_integrity()


async def test_streams_beyond_the_queue_are_told_to_come_back() -> None:
    hold = asyncio.Event()

    async def answer(prompt: str) -> Any:
        yield "one"
        await hold.wait()

    limits = ServerLimits(max_concurrency=4, max_queue=6)
    async with (
        ScriptedEngine(answer) as engine,
        serving(engine, ServerOptions(port=0, limits=limits)) as url,
        httpx.AsyncClient(base_url=url + "/", trust_env=False, timeout=20) as client,
    ):
        body = {"model": "scripted", "prompt": "x", "stream": True}
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(client.post("completions", json=body)) for _ in range(50)]
            await until(lambda: sum(task.done() for task in tasks) == 40)
            hold.set()
        statuses = [task.result().status_code for task in tasks]
        assert (statuses.count(200), statuses.count(429)) == (10, 40)


RAW = [
    b"",
    b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /v1/completions HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 9\r\n\r\n{",
    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzzz\r\n",
    b"GET /v1/models HTTP/1.1\r\nX: " + b"a" * 300_000,
    b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\n\r\n",
]


async def test_bytes_that_are_no_request_do_no_harm(url: str, local: LocalEngine) -> None:
    base = httpx.URL(url)
    for raw in RAW:
        _, writer = await asyncio.open_connection(base.host, base.port)
        writer.write(raw)
        writer.close()
    async with httpx.AsyncClient(base_url=url + "/", trust_env=False) as client:
        body = {"model": "tiny", "prompt": "one", "max_tokens": 2}
        assert (await client.post("completions", json=body)).status_code == 200
        for head in ({"content-type": "application/json", "content-encoding": "gzip"}, {}):
            reply = await client.post("completions", content=b"\x1f\x8b" + bytes(50), headers=head)
            assert reply.status_code in (400, 415) and reply.json()["error"]["message"]


async def test_a_huge_chunked_body_is_not_kept(url: str, local: LocalEngine) -> None:
    """Far over the limit the connection is closed, however much would still come."""
    base = httpx.URL(url)
    reader, writer = await asyncio.open_connection(base.host, base.port)
    writer.write(
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    block = b"100000\r\n" + bytes(2**20) + b"\r\n"

    async def pour() -> int:
        sent = 0
        try:
            for _ in range(200):
                writer.write(block)
                await writer.drain()
                sent += 1
        except ConnectionError:
            pass
        return sent

    async def read() -> bytes:
        try:
            return await asyncio.wait_for(reader.read(4096), 20)
        except ConnectionError:  # the refusal was lost with what the client was still sending
            return b""

    async with asyncio.TaskGroup() as group:
        pouring, reading = group.create_task(pour()), group.create_task(read())
    assert pouring.result() < 200
    if reply := reading.result():
        assert b"413" in reply.splitlines()[0]
        assert json.loads(reply.split(b"\r\n\r\n")[1])["error"]["message"]
    writer.close()
