"""The local engine in half precision, and on a GPU where there is one, against float32."""

from __future__ import annotations

import pytest
import torch

from braid.engine import SamplingParams
from braid.engine.conformance.base import released
from braid.engine.local import LocalEngine

PROMPT = "The height of K2 is 8611 metres, and Mont Blanc"
TEXT = " is 4806 metres high, one two three four five"


def greedy(**changes) -> SamplingParams:
    return SamplingParams(**{"temperature": 0.0, "max_tokens": 24, "ignore_eos": True, **changes})


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 0.05), ("bfloat16", 0.4)])
async def test_half_precision_stays_near_float32(tiny_model, family, dtype, tolerance):
    """Scores of given text, and the first greedy token of each branch is one of the best by float32."""
    folder = tiny_model(family)
    async with (
        await LocalEngine.load(folder, threads=1, dtype="float32") as exact,
        await LocalEngine.load(folder, threads=1, dtype=dtype) as half,
        await exact.prefill(PROMPT) as reference,
        await half.prefill(PROMPT) as context,
    ):
        assert half.info.details["dtype"] == dtype
        expected, given = await exact.score(reference, TEXT), await half.score(context, TEXT)
        assert given == pytest.approx(expected, abs=tolerance)
        [best] = released(await exact.generate(reference, greedy(max_tokens=1, logprobs=5)))
        near = [text for text, value in best.top_logprobs[0] if value >= best.logprobs[0] - tolerance]
        for branch in released(await half.generate(context, greedy(n=3))):
            assert half.decode(branch.token_ids[:1]) in near
            assert len(branch.token_ids) == 24


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
async def test_greedy_tokens_on_a_gpu_equal_those_on_the_cpu(tiny_model, family):
    folder = tiny_model(family)
    found = []
    for device in ("cpu", "cuda"):
        async with (
            await LocalEngine.load(folder, threads=1, dtype="float32", device=device) as engine,
            await engine.prefill(PROMPT) as context,
        ):
            [one] = released(await engine.generate(context, greedy()))
            several = released(await engine.generate(context, greedy(n=4)))
            found.append((one.token_ids, [each.token_ids for each in several]))
    assert found[0] == found[1]
