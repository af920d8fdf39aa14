"""What a model's generation config recommends is told by the engine, in the words of `SamplingParams`."""

from __future__ import annotations

import json

import pytest

from braid.engine import SamplingParams
from braid.engine.local import LocalEngine
from tests.support.tiny_models import build_model


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 20},) * 2,
        ({}, {}),
        ({"do_sample": False}, {"temperature": 0.0}),
        ({"do_sample": True, "min_p": 0.1, "repetition_penalty": 1.05},) * 2,
        ({"do_sample": True, "temperature": 0.7, "repetition_penalty": -1.0}, {"temperature": 0.7}),
    ],
    ids=str,
)
async def test_the_recommended_sampling_is_told(tmp_path, config, expected):
    folder = build_model(tmp_path, "llama")
    expected = {name: value for name, value in expected.items() if name != "do_sample"}
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 0, **config}))
    async with await LocalEngine.load(folder, threads=1) as engine:
        assert engine.info.sampling_defaults == expected
        SamplingParams(**engine.info.sampling_defaults)
