"""Sampling in the local engine: seeds of either sign, and logits that are wider than the tokenizer."""

from __future__ import annotations

import random

import pytest
import torch

from braid.engine import Grammar, InvalidParamsError, SamplingParams
from braid.engine.conformance.base import released, stream_all
from braid.engine.local import LocalEngine
from braid.engine.local.model import BranchSampler
from tests.support.tiny_models import build_model, build_tokenizer

PROMPT = "The height of K2 is"
KNOWN = 384


@pytest.fixture(params=[None, 512, 390])
async def wide(tmp_path, request):
    """An engine whose logits are wider than its tokenizer, by nothing, by 128 and by 6."""
    folder = build_model(tmp_path, "llama", vocabulary=request.param)
    async with await LocalEngine.load(folder, threads=1) as engine:
        yield engine
        engine.check_integrity()
        assert engine.open_contexts() == 0


def hot(**changes) -> SamplingParams:
    return SamplingParams(
        **{"temperature": 100.0, "max_tokens": 60, "ignore_eos": True, "seed": 1, **changes}
    )


@pytest.mark.parametrize(("one", "other"), [(-1, 1), (-2, 2), (-(2**63), 2**63), (-(10**30), 10**30)])
def test_seeds_of_either_sign_draw_differently(one, other):
    def draws(seed: int) -> list[list[float]]:
        samplers = BranchSampler.of_branches(SamplingParams(seed=seed, n=3), [])
        return [[sampler.uniform() for _ in range(5)] for sampler in samplers]

    assert all(a != b for a, b in zip(draws(one), draws(other), strict=True))
    assert draws(one) == draws(one)
    plain = random.Random(other)
    assert draws(other)[0] == [plain.random() for _ in range(5)], "draws of seeds that are not negative stay"


async def test_ids_behind_the_tokenizer_are_never_drawn(wide):
    async with await wide.prefill(PROMPT) as context:
        for changes in (
            {"n": 8},
            {"n": 2, "repetition_penalty": 1.5},
            {"n": 2, "top_k": 500},
            {"n": 2, "logit_bias": {5: 1.0}, "presence_penalty": 1.0},
        ):
            for completion in released(await wide.generate(context, hot(**changes))):
                assert completion.token_ids and max(completion.token_ids) < KNOWN
        for token in await stream_all(wide, context, hot(n=2)):
            assert token.id is not None and token.id < KNOWN


async def test_ids_behind_the_tokenizer_are_never_the_best(tmp_path):
    """The greedy choice, too, although the logits behind the tokenizer are the largest ones."""
    folder = build_model(tmp_path, "llama", vocabulary=512, favoured=400)
    async with await LocalEngine.load(folder, threads=1) as engine, await engine.prefill(PROMPT) as context:
        [completion] = released(await engine.generate(context, hot(temperature=0.0)))
        assert completion.token_ids and max(completion.token_ids) < KNOWN


async def test_grammars_do_not_reach_behind_the_tokenizer(wide):
    pytest.importorskip("llguidance")
    for grammar in (r"(?s:.*)", Grammar("lark", "start: /(?s:.*)/"), "[a-z]{100}"):
        async with await wide.prefill(PROMPT) as context:
            params = hot(grammar=grammar, ignore_eos=False, n=3)
            for completion in released(await wide.generate(context, params)):
                assert completion.token_ids and max(completion.token_ids) < KNOWN


async def test_log_probabilities_are_over_the_ids_that_exist(wide):
    tokenizer = build_tokenizer()
    async with await wide.prefill(PROMPT) as context:
        [one] = released(await wide.generate(context, hot(max_tokens=1, logprobs=20)))
        assert sum(2.7182818284590452**value for _, value in one.top_logprobs[0]) <= 1 + 1e-4
        text = tokenizer.decode(list(one.token_ids))
        if tokenizer.encode(text) == list(one.token_ids):
            assert await wide.score(context, text) == pytest.approx(one.logprobs, abs=1e-4)
        assert len(one.top_logprobs[0]) == 20
        # Every next token that exists, one by one: their probabilities make one.
        logits = [await _score_of(wide, context, token) for token in range(KNOWN)]
        assert float(torch.tensor(logits).double().exp().sum()) == pytest.approx(1, abs=1e-3)


async def _score_of(engine: LocalEngine, context, token: int) -> float:
    params = hot(max_tokens=1, logprobs=0, logit_bias={token: 100.0}, temperature=0.0)
    [one] = released(await engine.generate(context, params))
    assert one.token_ids == (token,)
    return one.logprobs[0]


@pytest.mark.parametrize("token", [384, 400, 511, 512, -1])
async def test_ids_behind_the_tokenizer_are_refused_in_what_is_given(tmp_path, token):
    folder = build_model(tmp_path, "llama", vocabulary=512)
    async with await LocalEngine.load(folder, threads=1) as engine:
        with pytest.raises(InvalidParamsError, match=r"0\.\.383"):
            await engine.prefill([1, 2, token])
        if token >= 0:
            async with await engine.prefill(PROMPT) as context:
                for changes in ({"logit_bias": {token: 1.0}}, {"stop_token_ids": (token,)}):
                    with pytest.raises(InvalidParamsError, match=r"0\.\.383"):
                        await engine.generate(context, hot(**changes))


@pytest.mark.parametrize(
    "option",
    [
        {"threads": True},
        {"threads": 0},
        {"chunk_tokens": 1.5},
        {"chunk_tokens": 0},
        {"memory_bytes": 0},
        {"memory_bytes": "1G"},
        {"cache_bytes": -1},
        {"cache_bytes": float("nan")},
    ],
    ids=str,
)
async def test_options_out_of_range_are_named(tiny_model, option):
    with pytest.raises(InvalidParamsError, match=next(iter(option))):
        await LocalEngine.load(tiny_model("llama"), **option)


async def test_joins_and_cuts_refuse_what_is_no_number(tiny_model):
    async with (
        await LocalEngine.load(tiny_model("llama"), threads=1) as engine,
        await engine.prefill(PROMPT) as context,
    ):
        for length in (1.5, True, "2", None):
            with pytest.raises(InvalidParamsError, match="cut length"):
                await engine.cut(context, length)
        for wrong in (float("nan"), float("inf"), True, "1"):
            for name in ("temperature", "scale"):
                with pytest.raises(InvalidParamsError, match=name):
                    await engine.join(context, [context], how="kv", **{name: wrong})
