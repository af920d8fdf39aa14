"""Keys and models."""

from __future__ import annotations

import pytest

from braid.engine import (
    ContextLengthError,
    EngineResponseError,
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


@pytest.mark.parametrize(
    "listed",
    [
        {"object": "list", "data": [{"id": "only", "max_model_len": 64}, {"id": None}, None, "text"]},
        [{"id": "only", "context_length": 64, "type": "chat"}],
        {"data": [{"id": "only", "max_model_len": 64, "owned_by": None, "capabilities": {"vision": False}}]},
        {"models": [{"name": "only"}], "data": [{"id": "only", "meta": {"n_ctx": 64, "n_vocab": None}}]},
    ],
)
async def test_lists_of_models_in_the_shapes_of_servers(faults: FaultServer, listed: object) -> None:
    faults.listed = listed
    async with await RemoteEngine.open(faults.url, api_key_env=None) as engine:
        assert (engine.info.model, engine.info.max_context) == ("only", 64)


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ({"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "login fail"),
        ({"error": {"message": "no such tenant"}}, "no such tenant"),
        ({"message": "quota is used up", "data": None}, "quota is used up"),
        ([{"error": {"message": "key expired"}}], "key expired"),
    ],
)
async def test_the_words_of_a_refusal_instead_of_a_list(
    faults: FaultServer, listed: object, words: str
) -> None:
    faults.listed = listed
    with pytest.raises(EngineURIError, match=words):
        await RemoteEngine.open(faults.url, api_key_env=None)
    faults.listed = {"message": "ok", "data": [{"id": "only"}]}
    async with await RemoteEngine.open(faults.url, api_key_env=None) as engine:
        assert engine.info.model == "only"


@pytest.mark.parametrize("listed", [{"object": "list", "data": None}, {"data": []}, {}, []])
async def test_a_server_without_models_says_so(faults: FaultServer, listed: object) -> None:
    faults.listed = listed
    with pytest.raises(EngineURIError, match="lists: none"):
        await RemoteEngine.open(faults.url, api_key_env=None)


@pytest.mark.parametrize("listed", ["text", {"data": 7}, {"data": {"id": "m"}}, 3])
async def test_what_is_no_list_of_models(faults: FaultServer, listed: object) -> None:
    faults.listed = listed
    with pytest.raises(EngineResponseError, match="unknown shape"):
        await RemoteEngine.open(faults.url, api_key_env=None)
    async with await RemoteEngine.open(faults.address, api_key_env=None) as engine:
        assert engine.info.model == "m"
