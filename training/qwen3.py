"""The shape of our models, as a transformers configuration of a Qwen3."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from braid.planner.prompts import STOP
from braid.training.tokens import PAD, token_id


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of the model. The defaults are those of braid-mini."""

    hidden: int = 256
    layers: int = 6
    feed_forward: int = 704
    heads: int = 4
    key_value_heads: int = 2
    head_size: int = 64
    positions: int = 2048


def build_model(shape: Shape, tokenizer: PreTrainedTokenizerFast, *, seed: int) -> Qwen3ForCausalLM:
    """A freshly initialised model in float32, the same for the same seed."""
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        head_dim=shape.head_size,
        max_position_embeddings=shape.positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=token_id(tokenizer, STOP),
        pad_token_id=token_id(tokenizer, PAD),
    )
    torch.manual_seed(seed)
    # The configuration has no other way to choose it.
    config._attn_implementation = "sdpa"  # pyright: ignore[reportPrivateUsage]
    return Qwen3ForCausalLM(config)


def parameter_count(model: torch.nn.Module) -> int:
    """Number of parameters. Tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def flops_per_token(model: Qwen3ForCausalLM) -> int:
    """Training FLOPs per token by the usual estimate: six per parameter, without attention scores."""
    return 6 * parameter_count(model)
