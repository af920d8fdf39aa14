"""Adapters of an engine are models of the server."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from braid.engine import SamplingParams
from braid.engine.conformance.base import generate_text
from braid.engine.local import LocalEngine
from braid.engine.server import ServerOptions, serving
from tests.support.adapters import build_adapter

PROMPT = "The height of K2 is"


async def test_adapters_are_served_beside_their_base(tiny_model, tmp_path):
    base = tiny_model("llama")
    adapter = build_adapter(tmp_path / "adapter", base)
    params = SamplingParams(temperature=0, max_tokens=8, ignore_eos=True)
    async with await LocalEngine.load(base, threads=1, adapters={"one": adapter}) as engine:
        expected: dict[str, str] = {}
        for model, view in (("tiny", engine), ("one", engine.with_adapter("one"))):
            async with await view.prefill(PROMPT) as context:
                [expected[model]] = await generate_text(view, context, params)
        assert expected["tiny"] != expected["one"]
        async with (
            serving(engine, ServerOptions(port=0, served_model_name="tiny")) as url,
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client,
        ):
            listed = (await client.get("/models")).json()["data"]
            assert [model["id"] for model in listed] == ["tiny", "one"]
            assert (await client.get("/models/one")).json()["id"] == "one"
            body: dict[str, Any] = {"prompt": PROMPT, "temperature": 0, "max_tokens": 8, "ignore_eos": True}
            async with asyncio.TaskGroup() as group:
                asked = {
                    model: group.create_task(client.post("/completions", json={**body, "model": model}))
                    for model in (*expected, "two")
                }
            for model, text in expected.items():
                answer = asked[model].result().json()
                assert (answer["model"], answer["choices"][0]["text"]) == (model, text)
            refused = asked["two"].result()
            assert refused.status_code == 404
            assert "this server has 'tiny', 'one'" in refused.json()["error"]["message"]
        # An engine with the adapter on serves its base, too.
        on = engine.with_adapter("one")
        async with (
            serving(on, ServerOptions(port=0)) as url,
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client,
        ):
            listed = (await client.get("/models")).json()["data"]
            assert [model["id"] for model in listed] == ["one", base.name]
        assert engine.open_contexts() == 0
