"""A client that hangs up frees its sequences: in a stream, in a whole response, in the queue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import httpx
import openai
import pytest

from braid.engine import Engine
from braid.engine.local import LocalEngine
from braid.engine.scripted import ScriptedEngine
from braid.engine.server import ServerLimits, ServerOptions, serving
from tests.support.waiting import metric, until

ENDLESS = {"max_tokens": 150, "temperature": 1.0, "ignore_eos": True, "n": 2}


async def _hang_up(url: str, path: str, body: dict[str, object], when: Callable[[], bool]) -> None:
    """Send a request and close the connection once `when` says so."""
    base = httpx.URL(url)
    _, writer = await asyncio.open_connection(base.host, base.port)
    payload = json.dumps(body).encode()
    head = f"POST /v1/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(payload)}\r\n\r\n".encode() + payload)
    await until(when)
    writer.close()


@pytest.mark.parametrize("path", ["completions", "chat/completions"])
@pytest.mark.parametrize("stream", [True, False])
async def test_local_engine_is_free_at_once(local: LocalEngine, url: str, path: str, stream: bool) -> None:
    prompt = (
        {"messages": [{"role": "user", "content": "one"}]} if "chat" in path else {"prompt": ["one", "two"]}
    )
    body = {"model": "tiny", "stream": stream, **prompt, **ENDLESS}
    await _hang_up(url, path, body, lambda: local.open_contexts() > 0)
    await until(lambda: local.open_contexts() == 0)
    assert await metric(url, "braid_requests_in_flight") == 0
    generated = await metric(url, "braid_generated_tokens_total")
    assert generated < 2 * 2 * 150, "the completions did not run to their end"
    # The model thread is free: another request is answered, and nothing goes on in the background.
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        reply = await client.completions.create(model="tiny", prompt="one", max_tokens=2)
    assert await metric(url, "braid_generated_tokens_total") == generated + reply.usage.completion_tokens
    assert await metric(url, f'braid_requests_total{{endpoint="{path.partition("/")[0]}",status="499"}}') == 1


async def test_a_client_that_breaks_out_of_a_stream(local: LocalEngine, url: str) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        settings = {**ENDLESS}
        extra = {"ignore_eos": settings.pop("ignore_eos")}
        stream = await client.completions.create(
            model="tiny", prompt="one", stream=True, extra_body=extra, **settings
        )
        async with aclosing(stream):
            async for _ in stream:
                break
    await until(lambda: local.open_contexts() == 0)


async def _silent(prompt: str) -> AsyncIterator[str]:
    yield "one"
    await asyncio.Event().wait()


async def test_waiting_clients_leave_the_queue() -> None:
    engine: Engine
    limits = ServerLimits(max_concurrency=1)
    body = {"model": "scripted", "prompt": "x", "stream": True}
    async with (
        ScriptedEngine(_silent) as engine,
        serving(engine, ServerOptions(port=0, limits=limits)) as url,
    ):

        async def queued(count: int) -> bool:
            return await metric(url, "braid_requests_queued") == count

        first_may_go = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(_hang_up(url, "completions", body, first_may_go.is_set))
            await until(lambda: len(engine.calls) == 1)
            seconds = [asyncio.Event() for _ in range(2)]
            for leave in seconds:
                group.create_task(_hang_up(url, "completions", body, leave.is_set))
            await until(lambda: queued(2))
            seconds[0].set()
            await until(lambda: queued(1))
            assert len(engine.calls) == 1
            first_may_go.set()
            await until(lambda: len(engine.calls) == 2)  # the one that stayed gets its turn
            seconds[1].set()
        await until(lambda: engine.open_contexts() == 0)


async def test_a_client_that_does_not_read_is_given_up() -> None:
    """More than the sockets buffer stays unread. The write times out and the completion is cancelled."""

    async def flood(prompt: str) -> AsyncIterator[str]:
        while True:
            yield "x" * 2_000_000

    limits = ServerLimits(write_seconds=0.3, max_tokens=10**9)
    body = {"model": "scripted", "prompt": "x", "stream": True, "max_tokens": 10**9}
    async with (
        ScriptedEngine(flood, chunk="whole") as engine,
        serving(engine, ServerOptions(port=0, limits=limits)) as url,
    ):
        left = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(_hang_up(url, "completions", body, left.is_set))
            await until(lambda: engine.open_contexts() == 1)
            await until(lambda: engine.open_contexts() == 0)
            left.set()
