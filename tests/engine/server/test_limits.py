"""What is refused, in which words. The key. The limits. The metrics."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from braid.engine import EngineConnectionError, EngineError, InvalidParamsError
from braid.engine.scripted import ScriptedEngine
from braid.engine.server import ServerLimits, ServerOptions, read_api_key, serving
from braid.engine.server.errors import ApiError
from braid.engine.server.requests import ChatRequest, CompletionRequest, read_request
from tests.support.waiting import metric, until

CHAT = {"model": "scripted", "messages": [{"role": "user", "content": "hello"}]}
TEXT = {"model": "scripted", "prompt": "hello"}


@asynccontextmanager
async def _server(response: Any = "one two three four five", *, options: Any = None, **engine: Any):
    """A client of a server over a scripted engine, and the engine. Nothing may be open afterwards."""
    async with ScriptedEngine(response, **engine) as scripted:
        chosen = {"port": 0, **(options or {})}
        async with (
            serving(scripted, ServerOptions(**chosen)) as url,
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client,
        ):
            yield client, scripted
        assert scripted.open_contexts() == 0


REFUSED: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("completions", {"prompt": "x"}, "model", "missing_required_parameter"),
    ("completions", {"model": "scripted"}, "prompt", "missing_required_parameter"),
    ("completions", TEXT | {"prompt": []}, "prompt", "invalid_type"),
    ("completions", TEXT | {"prompt": ["a", 1]}, "prompt", "invalid_type"),
    ("completions", TEXT | {"prompt": [[1], []]}, "prompt", "invalid_type"),
    ("completions", TEXT | {"prompt": ""}, "prompt", "invalid_value"),
    ("completions", TEXT | {"prompt": [1, 2]}, "prompt", "unsupported_parameter"),
    ("completions", TEXT | {"max_tokens": 0}, "max_tokens", "invalid_value"),
    ("completions", TEXT | {"max_tokens": 10**9}, "max_tokens", "invalid_value"),
    ("completions", TEXT | {"max_tokens": 1.5}, "max_tokens", "invalid_type"),
    ("completions", TEXT | {"max_tokens": True}, "max_tokens", "invalid_type"),
    ("completions", TEXT | {"temperature": "hot"}, "temperature", "invalid_type"),
    ("completions", TEXT | {"top_p": 0}, "top_p", "invalid_value"),
    ("completions", TEXT | {"stop": ["a", ""]}, "stop[1]", "invalid_value"),
    ("completions", TEXT | {"logprobs": 21}, "logprobs", "invalid_value"),
    ("completions", TEXT | {"n": 129}, "n", "invalid_value"),
    ("completions", TEXT | {"prompt": ["a"] * 65, "n": 2}, "n", "invalid_value"),
    ("completions", TEXT | {"echo": True, "logprobs": 1}, "echo", "unsupported_parameter"),
    ("completions", TEXT | {"presence_penalty": 0.5}, "presence_penalty", "unsupported_parameter"),
    ("completions", TEXT | {"repetition_penalty": 1.2}, "repetition_penalty", "unsupported_parameter"),
    ("completions", TEXT | {"logit_bias": {"1": 5}}, "logit_bias", "unsupported_parameter"),
    ("completions", TEXT | {"frequency_penalty": 3}, "frequency_penalty", "invalid_value"),
    ("completions", TEXT | {"repetition_penalty": 0}, "repetition_penalty", "invalid_value"),
    ("completions", TEXT | {"logit_bias": {"one": 5}}, "logit_bias", "invalid_type"),
    ("completions", TEXT | {"logit_bias": {"1": 500}}, "logit_bias[1]", "invalid_value"),
    ("completions", TEXT | {"logit_bias": {"9" * 4000: 1}}, "logit_bias", "invalid_type"),
    ("completions", TEXT | {"logit_bias": [1]}, "logit_bias", "invalid_type"),
    ("completions", TEXT | {"n": 0}, "n", "invalid_value"),
    ("completions", TEXT | {"n": 10_000}, "n", "invalid_value"),
    ("completions", TEXT | {"seed": 2**70}, "seed", "invalid_value"),
    ("completions", TEXT | {"return_token_ids": True}, "return_token_ids", "unsupported_parameter"),
    ("completions", TEXT | {"wizardry": 1}, "wizardry", "unknown_parameter"),
    ("completions", TEXT | {"stream_options": {"include_usage": True}}, None, "invalid_value"),
    ("chat/completions", {"model": "scripted", "messages": []}, "messages", "invalid_value"),
    (
        "chat/completions",
        CHAT | {"messages": [{"role": "user"}]},
        "messages[0].content",
        "missing_required_parameter",
    ),
    (
        "chat/completions",
        CHAT | {"messages": [{"role": "tool", "content": ""}]},
        "messages[0].tool_call_id",
        "missing_required_parameter",
    ),
    (
        "chat/completions",
        CHAT | {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "messages[0].content",
        "invalid_type",
    ),
    (
        "chat/completions",
        CHAT | {"tools": [{"type": "function", "function": {"name": "x"}}]},
        "tools",
        "unsupported_parameter",
    ),
    ("chat/completions", CHAT | {"top_logprobs": 2}, "top_logprobs", "invalid_value"),
    ("chat/completions", CHAT | {"max_completion_tokens": 10**9}, "max_completion_tokens", "invalid_value"),
    (
        "chat/completions",
        CHAT | {"response_format": {"type": "json_object"}},
        "response_format",
        "unsupported_parameter",
    ),
    (
        "chat/completions",
        CHAT | {"response_format": {"type": "json_schema"}},
        "response_format",
        "invalid_value",
    ),
    (
        "chat/completions",
        CHAT | {"continue_final_message": True},
        "add_generation_prompt",
        "unsupported_parameter",
    ),
]


async def test_bad_requests_name_the_parameter() -> None:
    async with _server() as (client, engine):
        for path, body, param, code in REFUSED:
            reply = await client.post(path, json=body)
            error = reply.json()["error"]
            assert reply.status_code == 400, (body, error)
            assert (error["param"], error["code"]) == (param, code), (body, error)
            assert error["message"] and error["type"] == "invalid_request_error"
        assert not engine.calls
        head = {"content-type": "application/json"}
        for content in (
            b"",
            b"{",
            b"[]",
            b'{"prompt": NaN}',
            b'{"prompt": "\\ud800"}',
            b"\xff",
            b"[" * 100_000,
        ):
            reply = await client.post("completions", content=content, headers=head)
            assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")
        reply = await client.post("completions", content=b"{}", headers={"content-type": "text/plain"})
        assert reply.status_code == 415 and "application/json" in reply.json()["error"]["message"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = sorted(
    {*CompletionRequest.model_fields, *ChatRequest.model_fields, "functions", "user", "best_of", "nonsense"}
    - {"model"}
)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(["chat", "completions"]),
    given_fields=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4),
)
def test_any_json_is_a_job_or_a_refusal(kind: Any, given_fields: dict[str, Any]) -> None:
    body = json.dumps((CHAT if kind == "chat" else TEXT) | given_fields).encode()
    try:
        request = read_request(kind, body, model="scripted", limits=ServerLimits())
    except ApiError as error:
        assert error.status == 400 and error.message and error.code
    else:
        assert 1 <= request.choices <= ServerLimits().max_choices


async def test_unknown_models_paths_and_methods() -> None:
    async with _server() as (client, _):
        reply = await client.post("completions", json=TEXT | {"model": "gpt-x"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")
        assert (await client.get("nothing/here")).json()["error"]["message"]
        reply = await client.get("completions")
        assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
        assert reply.json()["error"]["type"] == "invalid_request_error"


async def test_the_openai_client_raises_its_own_errors() -> None:
    async with _server(options={"api_key": SecretStr("sesame")}) as (client, _):
        good = openai.AsyncOpenAI(base_url=str(client.base_url), api_key="sesame", max_retries=0)
        async with good, good.copy(api_key="wrong") as bad:
            with pytest.raises(openai.NotFoundError, match="does not exist"):
                await good.completions.create(model="another", prompt="x")
            with pytest.raises(openai.BadRequestError) as refused:
                await good.completions.create(model="scripted", prompt="x", n=0)
            assert (refused.value.param, refused.value.code) == ("n", "invalid_value")
            with pytest.raises(openai.AuthenticationError) as locked:
                await bad.models.list()
            assert locked.value.code == "invalid_api_key"


async def test_key_guards_everything_but_health_and_metrics(caplog: pytest.LogCaptureFixture) -> None:
    async with _server(options={"api_key": SecretStr("sesame")}) as (client, engine):
        for header in (
            None,
            "sesame",
            "Bearer",
            "Bearer wrong",
            "Basic sesame",
            "Bearer sesame2",
            "Bearer ключ",
        ):
            headers = {} if header is None else {"authorization": header.encode()}
            reply = await client.post("completions", json=TEXT, headers=headers)
            assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")
            assert reply.headers["www-authenticate"] == "Bearer"
            assert "sesame" not in reply.text
            assert (await client.get("nothing", headers=headers)).status_code == 401
        assert not engine.calls
        headers = {"authorization": "bearer sesame"}
        assert (await client.post("completions", json=TEXT, headers=headers)).status_code == 200
        for path in ("health", "metrics"):
            assert (await client.get(str(client.base_url).replace("v1/", path))).status_code == 200
    assert "sesame" not in caplog.text
    assert "sesame" not in repr(ServerOptions(api_key=SecretStr("sesame")))


def test_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRAID_API_KEY", raising=False)
    assert read_api_key() is None
    with pytest.raises(InvalidParamsError, match="MY_KEY"):
        read_api_key("MY_KEY")
    monkeypatch.setenv("BRAID_API_KEY", " sesame\n")
    assert read_api_key() == SecretStr("sesame")
    monkeypatch.setenv("BRAID_API_KEY", "")
    with pytest.raises(InvalidParamsError, match="set to nothing"):
        read_api_key()


async def test_large_bodies_are_refused_and_the_connection_stays() -> None:
    async with _server(options={"limits": ServerLimits(max_body_bytes=2000)}) as (client, _):
        for size in (2001, 9000, 15_000):
            reply = await client.post("completions", json=TEXT | {"prompt": "x" * size})
            assert (reply.status_code, reply.json()["error"]["code"]) == (413, "request_too_large")
        assert (await client.post("completions", json=TEXT)).status_code == 200


async def test_slow_bodies_are_given_up() -> None:
    async with _server(options={"limits": ServerLimits(body_seconds=0.2)}) as (client, _):
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        reply = await reader.read()
        assert reply.startswith(b"HTTP/1.1 408") and b"connection: close" in reply
        writer.close()


async def test_a_full_queue_is_said_with_retry_after() -> None:
    hold = asyncio.Event()

    async def answer(prompt: str) -> AsyncIterator[str]:
        yield "one"
        await hold.wait()

    limits = ServerLimits(max_concurrency=1, max_queue=1)
    async with _server(answer, options={"limits": limits}) as (client, engine), asyncio.TaskGroup() as group:
        waiting = [group.create_task(client.post("completions", json=TEXT)) for _ in range(2)]
        url = str(client.base_url)

        async def is_queued() -> bool:
            return await metric(url, "braid_requests_queued") == 1

        await until(is_queued)
        assert await metric(url, "braid_requests_in_flight") == await metric(url, "braid_open_contexts") == 1
        refused = await client.post("completions", json=TEXT)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        hold.set()
        assert [(await task).status_code for task in waiting] == [200, 200]
        assert len(engine.calls) == 2


async def test_context_length() -> None:
    async with _server(max_context=20) as (client, _):
        for path, body in (
            ("completions", TEXT | {"prompt": "word " * 30}),
            ("completions", TEXT | {"max_tokens": 25}),
            ("chat/completions", CHAT | {"max_tokens": 25}),
            ("chat/completions", CHAT | {"messages": [{"role": "user", "content": "word " * 30}]}),
            ("chat/completions", CHAT | {"max_tokens": 25, "stream": True}),
        ):
            reply = await client.post(path, json=body)
            error = reply.json()["error"]
            assert (reply.status_code, error["code"]) == (400, "context_length_exceeded")
            assert error["param"] == ("prompt" if path == "completions" else "messages")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (EngineError("out of memory"), 500, "engine_error"),
        (EngineConnectionError("no route"), 503, "engine_unavailable"),
        (ZeroDivisionError("secret detail"), 500, "internal_error"),
    ],
)
async def test_engine_errors(error: Exception, status: int, code: str) -> None:
    async with _server(error) as (client, _):
        for stream in (False, True):
            reply = await client.post("chat/completions", json=CHAT | {"stream": stream})
            assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
            assert "secret" not in reply.text and reply.json()["error"]["type"] == "server_error"


async def test_an_error_in_the_middle_of_a_stream() -> None:
    async def answer(prompt: str) -> AsyncIterator[str]:
        yield "one two"
        raise EngineError("the engine broke")

    async with _server(answer) as (client, _):
        async with openai.AsyncOpenAI(
            base_url=str(client.base_url), api_key="none", max_retries=0
        ) as reference:
            stream = await reference.completions.create(**TEXT, stream=True)
            texts: list[str] = []
            with pytest.raises(openai.APIError, match="the engine broke"):
                async for chunk in stream:
                    texts.append(chunk.choices[0].text)
            assert "".join(texts) == "one two"
        raw = await client.post("completions", json=TEXT | {"stream": True})
        assert "[DONE]" not in raw.text


def test_response_format_becomes_a_grammar() -> None:
    def grammar(form: dict[str, Any]) -> Any:
        body = json.dumps(CHAT | {"response_format": form}).encode()
        return read_request("chat", body, model="scripted", limits=ServerLimits()).sampling.grammar

    schema = {"name": "a", "schema": {"type": "array"}, "strict": True}
    assert grammar({"type": "json_schema", "json_schema": schema}) == {"type": "array"}
    assert grammar({"type": "json_object"}) == {"type": "object"}
    assert grammar({"type": "text"}) is None


def test_limits_are_checked() -> None:
    for bad in ({"max_concurrency": 0}, {"max_queue": -1}, {"body_seconds": 0}, {"max_body_bytes": 0}):
        with pytest.raises(InvalidParamsError):
            ServerLimits(**bad)
    for bad in ({"port": 70_000}, {"grace": -1.0}, {"served_model_name": " "}):
        with pytest.raises(InvalidParamsError):
            ServerOptions(**bad)


async def test_metrics_are_prometheus_text() -> None:
    line = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+')
    async with _server() as (client, _):
        usage = (await client.post("completions", json=TEXT)).json()["usage"]
        await client.post("chat/completions", json=CHAT | {"n": 0})
        url = str(client.base_url)
        reply = await client.get(url.replace("v1/", "metrics"))
        assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
        rows = [row for row in reply.text.splitlines() if not row.startswith("#")]
        assert all(line.fullmatch(row) for row in rows), rows
        assert await metric(url, 'braid_requests_total{endpoint="completions",status="200"}') == 1
        assert await metric(url, 'braid_requests_total{endpoint="chat",status="400"}') == 1
        assert await metric(url, "braid_prompt_tokens_total") == usage["prompt_tokens"]
        assert await metric(url, "braid_generated_tokens_total") == usage["completion_tokens"]
        assert await metric(url, 'braid_request_seconds_bucket{endpoint="completions",le="+Inf"}') == 1
        assert await metric(url, 'braid_first_token_seconds_count{endpoint="completions"}') == 1
