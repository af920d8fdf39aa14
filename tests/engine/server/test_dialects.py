"""Fields and values that clients of other servers send, and what a model's makers and templates ask for."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from braid.engine import SamplingParams
from braid.engine.local import LocalEngine
from braid.engine.scripted import ScriptedEngine
from braid.engine.server import ServerOptions, serving

MESSAGES = [{"role": "user", "content": "one two"}]
CHAT = {"model": "tiny", "messages": MESSAGES, "max_tokens": 40, "seed": 1, "temperature": 1}
SCHEMA = {
    "type": "object",
    "properties": {"word": {"enum": ["kzq"]}},
    "required": ["word"],
    "additionalProperties": False,
}
OPEN = {"type": "object", "properties": {"word": {"enum": ["kzq"]}}, "required": ["word"]}


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url + "/", trust_env=False, timeout=60) as client:
        yield client


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "hints",
    [
        {"reasoning_effort": "high"},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"reasoning": {"effort": "low"}, "verbosity": "low"},
        {"cache_prompt": True, "think": False},
        {"store": True, "metadata": {"a": "b"}, "user": "u", "service_tier": "auto"},
        {},
    ],
)
async def test_hints_are_ignored_and_named(stream: bool, hints: dict[str, Any]) -> None:
    async with (
        ScriptedEngine("Four.") as engine,
        serving(engine, ServerOptions(port=0)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client,
    ):
        body = {"model": "scripted", "messages": MESSAGES, "stream": stream, **hints}
        reply = await client.post("chat/completions", json=body)
    assert reply.status_code == 200 and "Fo" in reply.text
    assert reply.headers.get("x-ignored-parameters", "") == ", ".join(hints)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"response_format": {"type": "json_object", "schema": SCHEMA}}, ['{"word":"kzq"}']),
        ({"response_format": {"type": "json_schema", "schema": SCHEMA}}, ['{"word":"kzq"}']),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": OPEN}}},
            ['{"word":"kzq"}'],
        ),
        ({"structured_outputs": {"json": SCHEMA}}, ['{"word":"kzq"}']),
        ({"structured_outputs": {"json": json.dumps(SCHEMA)}}, ['{"word":"kzq"}']),
        ({"structured_outputs": {"regex": "kz{2}q"}}, ["kzzq"]),
        ({"structured_outputs": {"choice": ["a.b (c)", "x|y-z #&~ \\d"]}}, ["a.b (c)", "x|y-z #&~ \\d"]),
        ({"structured_outputs": {"grammar": 'start: "one" | "two"'}}, ["one", "two"]),
    ],
)
async def test_forms_of_llamacpp_and_vllm_bind_the_answer(
    client: httpx.AsyncClient, local: LocalEngine, fields: dict[str, Any], expected: list[str]
) -> None:
    if "grammar" not in local.capabilities:
        pytest.skip("the local engine has no grammars without llguidance")
    reply = await client.post("chat/completions", json=CHAT | fields | {"n": 4})
    assert reply.status_code == 200, reply.text
    assert {choice["message"]["content"] for choice in reply.json()["choices"]} <= set(expected)
    body = {"model": "tiny", "prompt": "one", "max_tokens": 40} | fields
    reply = await client.post("completions", json=body)
    assert reply.json()["choices"][0]["text"] in expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"structured_outputs": {}}, "structured_outputs"),
        ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs"),
        ({"structured_outputs": {"structural_tag": "{}"}}, "structured_outputs.structural_tag"),
        ({"structured_outputs": {"json": "{"}}, "structured_outputs.json"),
        ({"structured_outputs": {"regex": "("}}, "structured_outputs"),
        ({"structured_outputs": {"grammar": "nonsense"}}, "structured_outputs"),
        ({"response_format": {"type": "text", "schema": SCHEMA}}, "response_format"),
        ({"response_format": {"type": "json_object", "schema": {"type": "no type"}}}, "response_format"),
        ({"response_format": {"type": "json_object"}, "ignore_eos": True}, "ignore_eos"),
        ({"temperature": float("inf")}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"n": True}, "n"),
        ({"top_k": 1.5}, "top_k"),
        ({"seed": "x"}, "seed"),
        ({"top_p": "0.5"}, "top_p"),
        ({"max_tokens": 2.0**40}, "max_tokens"),
        ({"repetition_penalty": float("-inf")}, "repetition_penalty"),
        ({"logit_bias": {"1": float("nan")}}, "logit_bias[1]"),
        ({"logit_bias": {"99999999": 1}}, "logit_bias"),
        ({"stop_token_ids": [10**8]}, "stop_token_ids"),
        ({"stop_token_ids": [-1]}, "stop_token_ids"),
        ({"stop": 5}, "stop"),
    ],
    ids=str,
)
async def test_what_is_wrong_names_its_parameter(
    client: httpx.AsyncClient, fields: dict[str, Any], param: str
) -> None:
    content = json.dumps(CHAT | fields)  # with Infinity and NaN, as clients in Python send them
    reply = await client.post(
        "chat/completions", content=content, headers={"content-type": "application/json"}
    )
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (400, param), error


@asynccontextmanager
async def _serve(folder: Path) -> AsyncIterator[tuple[LocalEngine, httpx.AsyncClient]]:
    async with (
        await LocalEngine.load(folder, threads=1) as engine,
        serving(engine, ServerOptions(port=0, served_model_name="tiny")) as url,
        httpx.AsyncClient(base_url=url + "/", trust_env=False, timeout=60) as client,
    ):
        yield engine, client
        assert engine.open_contexts() == 0


@pytest.mark.parametrize(
    ("config", "defaults"),
    [
        ({"do_sample": True, "temperature": 0.1}, {"temperature": 0.1}),
        ({"do_sample": True, "temperature": 1.5, "top_k": 3}, {"temperature": 1.5, "top_k": 3}),
        ({"do_sample": True, "top_p": 0.2}, {"temperature": 1.0, "top_p": 0.2}),
        ({"do_sample": False, "repetition_penalty": 1.9}, {"temperature": 0.0, "repetition_penalty": 1.9}),
    ],
    ids=str,
)
async def test_a_models_generation_config_gives_the_defaults(
    chat_model: Path, tmp_path: Path, config: dict[str, Any], defaults: dict[str, Any]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(chat_model, folder)
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    async with _serve(folder) as (engine, client):

        async def expected(prompt: Any, **params: Any) -> str:
            async with await engine.prefill(prompt) as context:
                settings = SamplingParams(**({"max_tokens": 12, "seed": 5} | params))
                (completion,) = await engine.generate(context, settings)
                completion.context.release()
                return completion.text

        body = {"model": "tiny", "max_tokens": 12, "seed": 5}
        text = (await client.post("completions", json=body | {"prompt": "one two"})).json()
        assert text["choices"][0]["text"] == await expected("one two", **defaults)
        chat = (await client.post("chat/completions", json=body | {"messages": MESSAGES})).json()
        assert chat["choices"][0]["message"]["content"] == await expected(MESSAGES, **defaults)
        own = {"temperature": 0.9, "top_p": 0.7, "top_k": 0, "repetition_penalty": 1.0}
        text = (await client.post("completions", json=body | {"prompt": "one two"} | own)).json()
        assert text["choices"][0]["text"] == await expected("one two", **own)


TEMPLATES = {
    "no system, and no user either": (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}x",
        [{"role": "system", "content": "a"}],
    ),
    "turns that do not alternate": (
        "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}x",
        [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
    ),
    "everything": ("{{ raise_exception('never') }}", MESSAGES),
    "a template that fails by itself": ("{{ messages[7]['content'].strip() }}", MESSAGES),
}


@pytest.mark.parametrize(("template", "messages"), TEMPLATES.values(), ids=TEMPLATES)
async def test_messages_that_the_template_refuses_are_refused(
    chat_model: Path, tmp_path: Path, template: str, messages: list[dict[str, str]]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(chat_model, folder)
    (folder / "chat_template.jinja").write_text(template)
    async with _serve(folder) as (_, client):
        for more in ({}, {"stream": True}, {"response_format": {"type": "json_object"}}):
            reply = await client.post("chat/completions", json=CHAT | {"messages": messages} | more)
            error = reply.json()["error"]
            assert (reply.status_code, error["type"]) == (400, "invalid_request_error"), error
            assert error["param"] == "messages" and "chat template" in error["message"]
