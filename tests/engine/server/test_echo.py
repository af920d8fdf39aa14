"""Prompts that are echoed with their log-probabilities, as evaluation harnesses ask for them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import torch
from transformers import AutoModelForCausalLM

from braid.engine.local import LocalEngine
from braid.engine.remote import RemoteEngine

PROMPTS = ["one two three four", "The answer is: ünïcödé 日本"]


@pytest.fixture
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def network(chat_model: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(chat_model, dtype=torch.float32).eval()


def _reference(network: Any, ids: list[int]) -> torch.Tensor:
    """Log-probabilities [tokens - 1, vocabulary] of what follows each token, by transformers alone."""
    with torch.no_grad():
        return torch.log_softmax(network(torch.tensor([ids])).logits[0, :-1].float(), -1)


def _parse(choice: Any, context_tokens: int) -> tuple[float, bool]:
    """What lm-evaluation-harness makes of a choice: the sum, and whether greedy decoding writes it."""
    logprobs = choice.logprobs.token_logprobs[context_tokens:-1]
    best = choice.logprobs.top_logprobs[context_tokens:-1]
    greedy = all(mine == max(top.values()) for mine, top in zip(logprobs, best, strict=True))
    return sum(logprobs), greedy


async def test_multiple_choice(client: openai.AsyncOpenAI, local: LocalEngine, network: Any) -> None:
    """The requests of lm-evaluation-harness: token ids, one token more than the prompt, greedy."""
    context = list(local.encode("one two three"))
    following = int(_reference(network, [*context, 0])[-1].argmax())
    ends = [list(local.encode(end)) for end in (" four", " five six", " ü", " x y z")] + [[following]]
    reply = await client.completions.create(
        model="tiny",
        prompt=[context + end for end in ends],
        echo=True,
        logprobs=1,
        max_tokens=1,
        temperature=0,
        seed=1234,
    )
    parsed = [_parse(choice, len(context)) for choice in reply.choices]
    for end, (total, greedy) in zip(ends, parsed, strict=True):
        rows = _reference(network, context + end)[len(context) - 1 :]
        assert total == pytest.approx(float(rows.gather(1, torch.tensor(end)[:, None]).sum()), abs=1e-3)
        assert greedy == (rows.argmax(-1).tolist() == end)
    assert parsed[-1][1] and not all(greedy for _, greedy in parsed)


@pytest.mark.parametrize("max_tokens", [0, 3])
@pytest.mark.parametrize("top", [0, 2, 5])
@pytest.mark.parametrize("prompt", PROMPTS)
async def test_the_entries_spell_the_text(
    client: openai.AsyncOpenAI, local: LocalEngine, network: Any, prompt: str, top: int, max_tokens: int
) -> None:
    reply = await client.completions.create(
        model="tiny", prompt=prompt, echo=True, logprobs=top, max_tokens=max_tokens, temperature=0, n=2
    )
    assert reply.usage and reply.usage.completion_tokens <= 2 * max_tokens
    for choice in reply.choices:
        logprobs = choice.logprobs
        assert choice.text.startswith(prompt) and logprobs and logprobs.tokens
        assert "".join(logprobs.tokens) == choice.text and choice.finish_reason
        assert logprobs.token_logprobs and logprobs.text_offset and logprobs.token_logprobs[0] is None
        assert len(logprobs.token_logprobs) == len(logprobs.tokens) == len(logprobs.text_offset)
        ids = list(local.encode(prompt))
        rows = _reference(network, ids)
        expected = rows.gather(1, torch.tensor(ids[1:])[:, None])[:, 0].tolist()
        assert logprobs.token_logprobs[1 : len(ids)] == pytest.approx(expected, abs=1e-3)
        if not top:
            assert not logprobs.top_logprobs
            continue
        assert logprobs.top_logprobs and logprobs.top_logprobs[0] is None
        for best, row in zip(logprobs.top_logprobs[1:], rows, strict=False):
            assert max(best.values()) == pytest.approx(float(row.max()), abs=1e-3)


async def test_streams_bring_what_responses_bring(client: openai.AsyncOpenAI) -> None:
    settings: dict[str, Any] = {"model": "tiny", "prompt": PROMPTS, "echo": True, "logprobs": 2, "seed": 3}
    whole = await client.completions.create(max_tokens=4, temperature=1, **settings)
    texts, told = ["", ""], [[[], [], []], [[], [], []]]
    async for chunk in await client.completions.create(max_tokens=4, temperature=1, stream=True, **settings):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            if choice.logprobs:
                told[choice.index][0] += choice.logprobs.tokens or []
                told[choice.index][1] += choice.logprobs.token_logprobs or []
                told[choice.index][2] += choice.logprobs.text_offset or []
    for choice, text, (tokens, logprobs, offsets) in zip(whole.choices, texts, told, strict=True):
        assert choice.logprobs
        assert (choice.text, choice.logprobs.tokens, choice.logprobs.text_offset) == (text, tokens, offsets)
        assert choice.logprobs.token_logprobs == pytest.approx(logprobs, abs=1e-4)


async def test_the_remote_engine_scores_by_it(url: str, local: LocalEngine) -> None:
    async with await RemoteEngine.open(f"{url}#tiny", probe=True) as remote:
        assert "prompt_logprobs" in remote.capabilities
        async with await remote.prefill("one two") as context, await local.prefill("one two") as own:
            scores = await remote.score(context, " three four")
            assert scores == pytest.approx(await local.score(own, " three four"), abs=1e-3)


async def test_one_token_and_no_echo(url: str, local: LocalEngine) -> None:
    async with httpx.AsyncClient(base_url=url + "/", trust_env=False, timeout=60) as client:
        first = local.encode("one")[0]
        body = {"model": "tiny", "prompt": [first], "echo": True, "logprobs": 1, "max_tokens": 0}
        reply = (await client.post("completions", json=body)).json()
        assert reply["choices"][0]["logprobs"]["token_logprobs"] == [None], json.dumps(reply)
        reply = await client.post("completions", json=body | {"echo": False})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "max_tokens")
    local.check_integrity()
