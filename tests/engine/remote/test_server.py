"""The remote engine against `transformers serve`, a real server that this project did not write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import openai
import pytest

from braid.engine import (
    Budget,
    Capability,
    CapabilityError,
    Engine,
    EngineURIError,
    Message,
    SamplingParams,
    connect,
)
from braid.engine.conformance import EngineConformance
from braid.engine.remote import RemoteEngine
from tests.support.real_server import RealServer

GREEDY = SamplingParams(max_tokens=12, temperature=0.0)
MESSAGES: list[Message] = [{"role": "user", "content": "one two three"}]


class TestConformance(EngineConformance):
    """The core, `text_join` and `tool_calls`. What this server lacks must raise `CapabilityError`."""

    @pytest.fixture
    async def engine(self, real_server: RealServer) -> AsyncIterator[Engine]:
        known: set[Capability] = {"chat", "text_join", "tool_calls"}
        async with await RemoteEngine.open(
            real_server.address, api_key_env=None, capabilities=known
        ) as engine:
            yield engine
            assert engine.open_contexts() == 0


class TestChatConformance(TestConformance):
    """The same with text sent as chat messages. The server cannot go on with an answer that is begun."""

    @pytest.fixture
    async def engine(self, real_server: RealServer) -> AsyncIterator[Engine]:
        async with await RemoteEngine.open(
            real_server.address, api_key_env=None, api="chat", capabilities={"chat"}, continuation="none"
        ) as engine:
            yield engine

    async def test_descendant_outlives_its_ancestor(self, engine: Engine) -> None:
        async with await engine.prefill(self.prompt) as context:
            [first] = await engine.generate(context, self.greedy())
        async with first.context:
            with pytest.raises(CapabilityError, match="already begun"):
                await engine.generate(first.context, self.greedy())


async def test_greedy_text_equals_the_openai_client(real_server: RealServer) -> None:
    """Our client and the reference client get the same text and usage for the same prompts."""
    async with (
        openai.AsyncOpenAI(base_url=real_server.url, api_key="none") as reference,
        await connect(f"openai:{real_server.address}", api_key_env=None) as engine,
    ):
        theirs = await reference.completions.create(
            model=real_server.model, prompt="one two three", max_tokens=12, temperature=0
        )
        chat = await reference.chat.completions.create(
            model=real_server.model,
            messages=[{"role": "user", "content": "one two three"}],
            max_tokens=12,
            temperature=0,
        )
        async with await engine.prefill("one two three") as context:
            (ours,) = await engine.generate(context, GREEDY)
        async with await engine.prefill([{"role": "user", "content": "one two three"}]) as context:
            (ours_chat,) = await engine.generate(context, GREEDY)
        assert ours.text == theirs.choices[0].text
        assert ours_chat.text == chat.choices[0].message.content
        assert ours.finish_reason == theirs.choices[0].finish_reason
        assert theirs.usage and chat.usage
        assert ours.usage.prompt_tokens == theirs.usage.prompt_tokens
        assert ours.usage.generated_tokens == theirs.usage.completion_tokens
        assert ours_chat.usage.prompt_tokens == chat.usage.prompt_tokens
        ours.context.release()
        ours_chat.context.release()
        assert engine.open_contexts() == 0


async def test_stream_brings_what_generate_brings(real_server: RealServer) -> None:
    async with await RemoteEngine.open(real_server.address, api_key_env=None) as engine:
        async with await engine.prefill("one two three") as context:
            (whole,) = await engine.generate(context, GREEDY)
            tokens = [token async for token in engine.stream(context, GREEDY)]
        assert "".join(token.text for token in tokens) == whole.text
        assert tokens[-1].finish_reason == whole.finish_reason
        assert tokens[-1].usage == whole.usage
        whole.context.release()


async def test_missing_branches_are_sent_one_by_one(real_server: RealServer) -> None:
    async with await RemoteEngine.open(real_server.address, api_key_env=None) as engine:
        assert "native_n" in engine.capabilities
        async with await engine.prefill("one two three") as context:
            drawn = await engine.generate(context, SamplingParams(n=3, max_tokens=8, temperature=1.5, seed=5))
            assert [completion.index for completion in drawn] == [0, 1, 2]
            assert len({completion.text for completion in drawn}) > 1
            assert "native_n" not in engine.capabilities
            assert sum(completion.usage.calls for completion in drawn) == 3
            again = [
                t async for t in engine.stream(context, SamplingParams(n=2, max_tokens=4, temperature=1.0))
            ]
            assert {token.index for token in again if token.finish_reason} == {0, 1}
        for completion in drawn:
            assert completion.context.text == "one two three" + completion.text
            completion.context.release()
        assert engine.open_contexts() == 0


async def test_stop_string_that_the_server_returns_is_cut_off(real_server: RealServer) -> None:
    async with await RemoteEngine.open(real_server.address, api_key_env=None) as engine:
        async with await engine.prefill("one two three") as context:
            (free,) = await engine.generate(context, GREEDY)
            stop = free.text[4:7]
            (stopped,) = await engine.generate(
                context, SamplingParams(max_tokens=12, temperature=0.0, stop=(stop,))
            )
            assert stopped.text == free.text[: free.text.index(stop)]
            assert (stopped.finish_reason, stopped.stop_hit) == ("stop", stop)
        free.context.release()
        stopped.context.release()


async def test_going_on_from_a_completion(real_server: RealServer) -> None:
    """Text goes on where it stopped. This server cannot go on with a chat answer, and that is said."""
    async with await RemoteEngine.open(real_server.address, api_key_env=None) as engine:
        async with await engine.prefill("one two three") as context:
            (first,) = await engine.generate(context, SamplingParams(max_tokens=4, temperature=0.0))
            (whole,) = await engine.generate(context, SamplingParams(max_tokens=8, temperature=0.0))
            (rest,) = await engine.generate(first.context, SamplingParams(max_tokens=4, temperature=0.0))
            assert rest.context.critical_path_tokens == 8
            # Reading text again may split it into other tokens than were generated. The prefix is the same.
            assert rest.context.text.startswith("one two three" + first.text)
        async with await engine.prefill([{"role": "user", "content": "hello"}]) as context:
            begun = await engine.extend(context, "I think")
            with pytest.raises(CapabilityError, match="already begun"):
                await engine.generate(begun, GREEDY)
            with pytest.raises(CapabilityError):
                await engine.extend(context, "again")
            begun.release()
        for completion in (first, whole, rest):
            completion.context.release()


async def test_ignored_logprobs_are_no_made_up_values(real_server: RealServer) -> None:
    async with await RemoteEngine.open(real_server.address, api_key_env=None) as engine:
        async with await engine.prefill("one two three") as context:
            with pytest.raises(CapabilityError, match="logprobs"):
                await engine.generate(context, SamplingParams(max_tokens=4, logprobs=2))
            assert "logprobs" not in engine.capabilities
            with pytest.raises(CapabilityError, match="token_ids"):
                async with await engine.prefill([5, 6, 7]) as ids:
                    await engine.generate(ids, GREEDY)
            with pytest.raises(CapabilityError, match="prompt_logprobs"):
                await engine.score(context, " four")
        assert engine.open_contexts() == 0


async def test_probe_finds_out_what_the_server_does(real_server: RealServer) -> None:
    async with await RemoteEngine.open(real_server.address, api_key_env=None, probe=True) as engine:
        # Equal seeds give equal text here only while nothing else is asked. It may pass the probe by luck.
        assert engine.capabilities - {"seed"} == {"chat", "text_join", "tool_calls"}
        assert engine.info.details["continuation"] == "none"


async def test_cancelling_frees_the_server(real_server: RealServer) -> None:
    """The server has one inference thread. The second request is answered only if the first one ended."""
    async with await RemoteEngine.open(real_server.address, api_key_env=None) as engine:
        async with await engine.prefill("one two three") as context:
            endless = SamplingParams(max_tokens=480, temperature=1.0)
            work = asyncio.create_task(engine.generate(context, endless))
            async with aclosing(engine.stream(context, endless)) as tokens:
                async for _ in tokens:
                    break
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
            scope = Budget(tokens=200, name="after")
            (short,) = await engine.generate(context, GREEDY, budget=scope)
            assert scope.spent["tokens"] == short.usage.prompt_tokens + short.usage.generated_tokens
            assert scope.reserved == {"tokens": 0, "calls": 0}
            short.context.release()
        assert engine.open_contexts() == 0


async def test_address_without_a_model(real_server: RealServer) -> None:
    with pytest.raises(EngineURIError, match="after '#'"):
        await RemoteEngine.open(real_server.url, api_key_env=None)
