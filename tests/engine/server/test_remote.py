"""Our own remote engine against our own server: the conformance suite passes through the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from braid.engine import Capability, ContextLengthError, Engine, EngineResponseError, SamplingParams
from braid.engine.conformance import EngineConformance
from braid.engine.local import LocalEngine
from braid.engine.remote import RemoteEngine

CAPABILITIES: set[Capability] = {
    "chat",
    "text_join",
    "native_n",
    "seed",
    "logprobs",
    "token_ids",
    "penalties",
    "prompt_logprobs",
}


class TestConformance(EngineConformance):
    @pytest.fixture
    async def engine(self, url: str, local: LocalEngine) -> AsyncIterator[Engine]:
        async with await RemoteEngine.open(url, api_key_env=None, capabilities=CAPABILITIES) as engine:
            yield engine
            assert engine.open_contexts() == 0


async def test_probe_finds_what_the_server_does(url: str, local: LocalEngine) -> None:
    async with await RemoteEngine.open(url, api_key_env=None, probe=True) as engine:
        assert engine.capabilities == CAPABILITIES | (
            {"json_schema"} if "grammar" in local.capabilities else set()
        )
        assert engine.info.details["continuation"] == "flags"


async def test_remote_says_what_local_says(url: str, local: LocalEngine) -> None:
    params = SamplingParams(n=3, max_tokens=10, temperature=1.0, seed=9, logprobs=2)
    async with await RemoteEngine.open(url, api_key_env=None) as remote:
        async with (
            await remote.prefill("one two three") as there,
            await local.prefill("one two three") as here,
        ):
            ours, theirs = await local.generate(here, params), await remote.generate(there, params)
        for mine, other in zip(ours, theirs, strict=True):
            assert (mine.text, mine.finish_reason) == (other.text, other.finish_reason)
            assert mine.logprobs == pytest.approx(other.logprobs, abs=1e-4)
            assert mine.usage.generated_tokens == other.usage.generated_tokens
            mine.context.release()
            other.context.release()


async def test_penalties_pass_through(url: str, local: LocalEngine) -> None:
    """Our own server says in its list of models that it takes them, so nobody need declare or probe them."""
    params = SamplingParams(
        max_tokens=8,
        temperature=0,
        presence_penalty=1.0,
        frequency_penalty=-0.5,
        repetition_penalty=1.4,
        logit_bias={300: 2.5},
    )
    async with await RemoteEngine.open(url, api_key_env=None) as remote:
        assert "penalties" in remote.capabilities
        async with await remote.prefill("one two") as there, await local.prefill("one two") as here:
            ours, theirs = await local.generate(here, params), await remote.generate(there, params)
            assert ours[0].text == theirs[0].text
            with pytest.raises(EngineResponseError, match="logit_bias"):
                await remote.generate(there, SamplingParams(max_tokens=2, logit_bias={10**6: 1.0}))
            assert "penalties" in remote.capabilities, "a bad value says nothing about what the server can do"
        for completion in (*ours, *theirs):
            completion.context.release()


async def test_refusals_become_typed_errors(url: str, local: LocalEngine) -> None:
    async with await RemoteEngine.open(url, api_key_env=None) as engine:
        assert engine.info.max_context == local.info.max_context
        async with await engine.prefill("word " * 500) as context:
            with pytest.raises(ContextLengthError):
                await engine.generate(context, SamplingParams(max_tokens=4))
    async with (
        await RemoteEngine.open(f"{url}#another", api_key_env=None) as engine,
        await engine.prefill("one") as context,
    ):
        with pytest.raises(EngineResponseError, match="does not exist"):
            await engine.generate(context, SamplingParams(max_tokens=4))
