"""Which architectures are refused, with what reason, and what the check of an architecture finds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from braid.engine import ContextLengthError, SamplingParams
from braid.engine.conformance.base import released
from braid.engine.local import LocalEngine
from braid.engine.local.model.architectures import ArchitectureError, check_architecture, miniature
from tests.support.architectures import build_architecture, generate_ids, partings, reference_model
from tests.support.tiny_models import build_tokenizer

STATE = "keep one running state"
OWN = "computes attention itself"
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "T5": (
        "T5ForConditionalGeneration",
        {"d_model": 16, "d_ff": 16, "num_layers": 1, "num_heads": 2, "d_kv": 8},
        "encoder-decoder",
    ),
    "Bart": (
        "BartForConditionalGeneration",
        {
            "d_model": 16,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_ffn_dim": 16,
            "decoder_ffn_dim": 16,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
        },
        "encoder-decoder",
    ),
    "ViT": ("ViTModel", {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}, "no causal"),
    "Mamba": ("MambaForCausalLM", {"hidden_size": 16, "num_hidden_layers": 1, "state_size": 4}, STATE),
    "Qwen3Next": (
        "Qwen3NextForCausalLM",
        {
            "hidden_size": 32,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "num_experts": 4,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
        },
        STATE,
    ),
    "Lfm2": (
        "Lfm2ForCausalLM",
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "layer_types": ["conv", "full_attention"],
        },
        STATE,
    ),
    "Falcon": (
        "FalconForCausalLM",
        {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4},
        OWN,
    ),
    "Bloom": ("BloomForCausalLM", {"hidden_size": 32, "n_layer": 1, "n_head": 4}, OWN),
    "GPTJ": ("GPTJForCausalLM", {"n_embd": 32, "n_layer": 1, "n_head": 4, "rotary_dim": 4}, OWN),
    "Bert": (
        "BertLMHeadModel",
        {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 32},
        "encoder",
    ),
}


@pytest.mark.parametrize("family", REFUSED)
async def test_others_are_refused_with_the_true_reason(family, tmp_path):
    import transformers

    made_by, settings, reason = REFUSED[family]
    tokenizer = build_tokenizer()
    vocabulary = {} if family == "ViT" else {"vocab_size": len(tokenizer)}
    config = getattr(transformers, family + "Config")(**settings, **vocabulary)
    getattr(transformers, made_by)(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ArchitectureError, match=reason) as told:
        await LocalEngine.load(tmp_path, threads=1)
    assert made_by in str(told.value) and "docs/architectures.md" in str(told.value)


def network_of(family: str, **settings: Any) -> Any:
    """A network without memory, in the size of the family's published models."""
    import transformers

    with torch.device("meta"), torch.inference_mode():
        return transformers.AutoModelForCausalLM.from_config(
            getattr(transformers, family + "Config")(**settings)
        )


@pytest.mark.parametrize(
    "family",
    [
        "GptOss",
        *(
            pytest.param(family, marks=pytest.mark.long)
            for family in (
                "Llama",
                "Mixtral",
                "Gemma4Text",
                "Gemma3Text",
                "Gemma3nText",
                "DeepseekV3",
                "Llama4Text",
                "Qwen3Moe",
                "Phi3",
                "Afmoe",
                "MiniCPM3",
            )
        ),
    ],
)
def test_a_network_of_published_size_is_checked_in_full(family):
    with torch.inference_mode():
        assert check_architecture(network_of(family))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
async def test_experts_are_checked_in_every_precision(architecture, dtype, monkeypatch):
    """Attention that forgets its chunks is found out, also where rounding moves the choice of experts."""
    from braid.engine.local.model import modules

    folder = architecture("llama4")
    async with await LocalEngine.load(folder, threads=1, dtype=dtype) as engine:
        assert engine.info.details["dtype"] == dtype
    monkeypatch.setattr(modules, "_span", lambda module: None)
    with pytest.raises(ArchitectureError, match="gives other results"):
        await LocalEngine.load(folder, threads=1, dtype=dtype)


def test_a_copy_keeps_each_kind_of_layer_and_shortens_what_is_long():
    config = miniature._shrink(network_of("Gemma3nText").config, narrow=True)
    assert set(config.layer_types) == {"sliding_attention", "full_attention"}
    assert "reuse" in config.kv_sharing_modes and "store" in config.kv_sharing_modes
    assert config.sliding_window == 8 and config.num_hidden_layers < 10
    config = miniature._shrink(network_of("Llama4Text").config, narrow=True)
    assert config.attention_chunk_size == 8 and config.floor_scale == 8
    assert set(config.layer_types) == {"chunked_attention", "full_attention"}


async def test_a_long_rope_ends_where_its_rotation_would_change(architecture):
    """Until there, what runs beside a request does not change it."""
    folder = architecture("phi3_longrope")
    model = reference_model(folder)
    short, long = list(range(5, 25)), [(7 * i) % 380 + 2 for i in range(110)]
    greedy = SamplingParams(temperature=0.0, max_tokens=16, ignore_eos=True)

    async def complete(engine: LocalEngine, ids: list[int]) -> list[int]:
        async with await engine.prefill(ids) as context:
            [one] = released(await engine.generate(context, greedy))
            return list(one.token_ids)

    async with await LocalEngine.load(folder, threads=1) as engine:
        assert engine.info.max_context == 128
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(complete(engine, ids)) for ids in (short, long)]
        for ids, task in zip((short, long), tasks, strict=True):
            partings(model, ids, generate_ids(model, ids, 16), task.result())
        with pytest.raises(ContextLengthError, match="128"):
            await engine.prefill([*long, *long])


@pytest.fixture(scope="module")
def architecture(tmp_path_factory) -> Callable[[str], Path]:
    return lambda name: build_architecture(tmp_path_factory.mktemp(name), name)
