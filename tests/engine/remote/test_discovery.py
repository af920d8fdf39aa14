"""Keys and models."""

from __future__ import annotations

import pytest

from braid.engine import (
    ContextLengthError,
    EngineURIError,
    InvalidParamsError,
    SamplingParams,
)
from braid.engine.remote import RemoteEngine
from tests.support.fault_server import FaultServer
from tests.support.remote_engine import KEY, opened


async def test_keys_that_are_missing_or_in_the_address(
    monkeypatch: pytest.MonkeyPatch, faults: FaultServer
) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(InvalidParamsError, match="MY_KEY"):
        await opened(faults, api_key_env="MY_KEY")
    with pytest.raises(EngineURIError) as caught:
        await RemoteEngine.open(f"http://me:{KEY}@127.0.0.1/v1#m")
    assert KEY not in str(caught.value)


async def test_models_of_the_server(faults: FaultServer) -> None:
    faults.models = [{"id": "only", "max_model_len": 64}]
    async with await RemoteEngine.open(faults.url, api_key_env=None) as engine:
        assert (engine.info.model, engine.info.max_context) == ("only", 64)
        async with await engine.prefill("hi") as context:
            with pytest.raises(ContextLengthError):
                await engine.generate(context, SamplingParams(max_tokens=64))
    faults.models = [{"id": "a"}, {"id": "b"}]
    with pytest.raises(EngineURIError, match="a, b"):
        await RemoteEngine.open(faults.url, api_key_env=None)
