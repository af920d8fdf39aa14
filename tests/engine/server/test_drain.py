"""A server in a process of its own: SIGTERM lets it finish, the grace time ends, and it exits 0."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import openai
import pytest

from braid.engine import InvalidParamsError
from braid.engine.scripted import ScriptedEngine
from braid.engine.server.config import ServerOptions
from braid.engine.server.serve import serving
from braid.orchestrator.cli.commands.serve import serve
from tests.support.waiting import metric, until

SCRIPT = """
import asyncio, sys
from braid.engine.server import ServerOptions, serve
from braid.engine.scripted import ScriptedEngine

async def main():
    async with ScriptedEngine("one two three four five six seven eight", delay=float(sys.argv[1])) as engine:
        options = ServerOptions(port=0, grace=float(sys.argv[2]))
        await serve(engine, options, on_ready=lambda url: print(f"at {url} ", flush=True))
        print("open contexts:", engine.open_contexts())

asyncio.run(main())
"""
COMMAND = """
import sys
from braid.__main__ import main
sys.argv[0] = "braid"
main()
"""


@dataclass
class Server:
    process: asyncio.subprocess.Process
    url: str

    async def end(self) -> str:
        """What it still says, once it has exited with code 0."""
        rest, _ = await asyncio.wait_for(self.process.communicate(), 30)
        assert self.process.returncode == 0, rest.decode()
        return rest.decode()


@asynccontextmanager
async def _started(code: str, *arguments: str, **environment: str) -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment},
    )
    try:
        assert process.stdout
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        assert " at http://" in f" {line}", line + (await process.stdout.read()).decode()
        yield Server(
            process, line.partition("at http://")[1][3:] + line.partition("at http://")[2].split()[0]
        )
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _in_flight(server: Server, count: int) -> None:
    async def is_so() -> bool:
        return await metric(server.url, "braid_requests_in_flight") == count

    await until(is_so)


async def _read(stream: openai.AsyncStream, after_first: asyncio.Event) -> str:
    text = ""
    async for chunk in stream:
        text += chunk.choices[0].text
        after_first.set()
    return text


async def test_sigterm_finishes_what_is_under_way() -> None:
    async with (
        _started(SCRIPT, "0.4", "20") as server,
        openai.AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0) as client,
    ):
        settings = {"model": "scripted", "prompt": "x"}
        begun = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            stream = await client.completions.create(stream=True, **settings)
            streamed = group.create_task(_read(stream, begun))
            whole = group.create_task(client.completions.create(**settings))
            await _in_flight(server, 2)
            server.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            with pytest.raises(openai.APIConnectionError):
                await client.completions.create(**settings)
        assert (
            streamed.result() == whole.result().choices[0].text == "one two three four five six seven eight"
        )
        assert "open contexts: 0" in await server.end()


async def test_grace_is_limited() -> None:
    """What is not done by then ends in the API's words: an error response, or an error event."""
    async with (
        _started(SCRIPT, "30", "0.3") as server,
        openai.AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0) as client,
    ):
        async with asyncio.TaskGroup() as group:
            whole = group.create_task(_outcome(client))
            await _in_flight(server, 1)
            server.process.send_signal(signal.SIGTERM)
        error = whole.result()
        assert isinstance(error, openai.InternalServerError) and error.status_code == 503
        assert error.code == "shutting_down"
        assert "open contexts: 0" in await server.end()


async def _outcome(client: openai.AsyncOpenAI) -> Exception | None:
    try:
        await client.completions.create(model="scripted", prompt="x")
    except openai.OpenAIError as error:
        return error
    return None


async def test_a_second_signal_does_not_wait() -> None:
    async with (
        _started(SCRIPT, "0.4", "600") as server,
        openai.AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0) as client,
    ):
        begun = asyncio.Event()
        stream = await client.completions.create(model="scripted", prompt="x", stream=True)
        reading = asyncio.create_task(_read(stream, begun))
        await begun.wait()
        server.process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.2)
        server.process.send_signal(signal.SIGINT)
        with pytest.raises(openai.APIError, match="shutting down"):
            await reading
        assert "open contexts: 0" in await server.end()


async def test_the_command_serves_an_engine_by_its_address() -> None:
    """The engine is the remote one, over a second server of ours. A local model would take long to load."""
    async with (
        ScriptedEngine("one two three") as engine,
        serving(engine, ServerOptions(port=0)) as behind,
        _started(
            COMMAND,
            *("serve", "--engine", f"openai:{behind}#scripted", "--port", "0"),
            *("--served-model-name", "tiny", "--api-key-env", "MY_KEY"),
            MY_KEY="sesame",
        ) as server,
        openai.AsyncOpenAI(base_url=server.url, api_key="sesame", max_retries=0) as client,
    ):
        reply = await client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "one"}], max_tokens=3, n=2
        )
        assert [choice.message.content for choice in reply.choices] == ["one two three"] * 2
        assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (5, 6)
        with pytest.raises(openai.BadRequestError) as refused:
            await client.completions.create(model="tiny", prompt="x", extra_body={"stop_token_ids": [1]})
        assert refused.value.param == "stop_token_ids"
        with pytest.raises(openai.AuthenticationError):
            await client.copy(api_key="other").models.list()
        server.process.send_signal(signal.SIGTERM)
        said = await server.end()
        assert "stopped" in said and "Traceback" not in said and "sesame" not in said


def test_the_command_refuses_before_it_loads_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(InvalidParamsError, match="NO_SUCH_KEY"):
        serve(engine="local:/no/such/model", api_key_env="NO_SUCH_KEY")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen at 127\.0\.0\.1:{port}"):
            serve(engine="local:/no/such/model", port=port)
