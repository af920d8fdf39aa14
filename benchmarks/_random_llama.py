"""A Llama with random weights, which the benchmarks of the engine run on."""

# torch's and transformers' types are loose.
# pyright: basic

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from braid.engine import SamplingParams

SHAPES: dict[str, dict[str, Any]] = {
    "31M": {
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "intermediate_size": 1024,
    },
    "298M": {
        "hidden_size": 1024,
        "num_hidden_layers": 21,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "intermediate_size": 3072,
    },
}
VOCABULARY = 16_384


def build(size: str, folder: Path) -> Path:
    """A random Llama of that size, with a tokenizer of one token per number."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        head_dim=64,
        max_position_embeddings=16_384,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
        **SHAPES[size],
    )
    network: Any = LlamaForCausalLM(config)
    network.to(torch.bfloat16).save_pretrained(folder)
    raw = Tokenizer(models.WordLevel({str(i): i for i in range(VOCABULARY)}, unk_token="0"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="0").save_pretrained(folder)
    return folder


def sampled(tokens: int, n: int = 1) -> SamplingParams:
    return SamplingParams(n=n, max_tokens=tokens, temperature=1.0, ignore_eos=True, seed=1)
