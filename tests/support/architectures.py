"""Tiny random models of many architectures, in float32, and an independent reference for their outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.tiny_models import build_tokenizer

COMMON = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "bos_token_id": None,
    "eos_token_id": 0,
    "pad_token_id": None,
}
GROUPED = {**COMMON, "num_key_value_heads": 2, "head_dim": 8}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", GROUPED),
    "qwen2": ("Qwen2", {**COMMON, "num_key_value_heads": 2}),
    "qwen3": ("Qwen3", GROUPED),
    "mistral_window": ("Mistral", {**GROUPED, "sliding_window": 24}),
    "gpt_neox": ("GPTNeoX", {**COMMON, "rotary_pct": 0.5}),
    "phi": ("Phi", {**COMMON, "partial_rotary_factor": 0.5}),
    "gpt2": (
        "GPT2",
        {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 512, "bos_token_id": 0, "eos_token_id": 0},
    ),
    "olmoe": ("Olmoe", {**COMMON, "num_key_value_heads": 2, "num_experts": 4, "num_experts_per_tok": 2}),
    "gemma2": (
        "Gemma2",
        {
            **GROUPED,
            "sliding_window": 24,
            "query_pre_attn_scalar": 8,
            "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 30.0,
        },
    ),
    "gpt_oss": (
        "GptOss",
        {**GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 24},
    ),
}
LATENT = {
    **COMMON,
    "num_key_value_heads": 4,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 12,
}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 32, "first_k_dense_replace": 1}
GROUPS = {"n_routed_experts": 4, "n_group": 1, "topk_group": 1}
TYPES = ["sliding_attention", "full_attention"]
PER_LAYER = {
    **GROUPED,
    "num_hidden_layers": 6,
    "layer_types": TYPES * 3,
    "sliding_window": 24,
    "num_kv_shared_layers": 2,
    "vocab_size_per_layer_input": 384,
    "hidden_size_per_layer_input": 8,
}
UNEVEN: dict[str, tuple[str, dict[str, Any]]] = {
    # Latent attention, whose keys and values differ in width.
    "deepseek_v2": ("DeepseekV2", {**LATENT, **EXPERTS, **GROUPS, "topk_method": "greedy"}),
    "deepseek_v3": ("DeepseekV3", {**LATENT, **EXPERTS, **GROUPS, "n_shared_experts": 1}),
    "minicpm3": ("MiniCPM3", LATENT),
    # Layers that read the KV of earlier ones.
    "gemma3n": (
        "Gemma3nText",
        {
            **PER_LAYER,
            "intermediate_size": [64] * 6,
            "activation_sparsity_pattern": [0.9, 0.9, 0.0, 0.0, 0.0, 0.0],
            "altup_num_inputs": 2,
            "laurel_rank": 8,
        },
    ),
    # Layers of two shapes, and layers that read the KV of earlier ones.
    "gemma4": ("Gemma4Text", {**PER_LAYER, "global_head_dim": 16}),
    "gemma4_experts": (
        "Gemma4Text",
        {
            **PER_LAYER,
            "num_kv_shared_layers": 0,
            "global_head_dim": 16,
            "num_global_key_value_heads": 1,
            "attention_k_eq_v": True,
            "enable_moe_block": True,
            "num_experts": 4,
            "top_k_experts": 2,
            "moe_intermediate_size": 32,
        },
    ),
    # Chunks of attention, and queries that grow with their position.
    "llama4": (
        "Llama4Text",
        {
            **GROUPED,
            "num_hidden_layers": 4,
            "intermediate_size_mlp": 64,
            "attention_chunk_size": 24,
            "floor_scale": 16,
            "num_local_experts": 4,
        },
    ),
    "afmoe": (
        "Afmoe",
        {
            **GROUPED,
            "num_hidden_layers": 4,
            "sliding_window": 24,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "num_dense_layers": 1,
        },
    ),
    "gemma3": ("Gemma3Text", {**GROUPED, "num_hidden_layers": 6, "sliding_window": 24}),
    "stablelm": ("StableLm", {**COMMON, "num_key_value_heads": 2, "partial_rotary_factor": 0.5}),
    "ministral3": ("Ministral3", GROUPED),
    "cohere2": ("Cohere2", {**GROUPED, "num_hidden_layers": 4, "sliding_window": 24}),
    "qwen3_moe": (
        "Qwen3Moe",
        {**GROUPED, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
    ),
    "phi3_longrope": (
        "Phi3",
        {
            **COMMON,
            "num_key_value_heads": 2,
            "original_max_position_embeddings": 128,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "short_factor": [1.0, 1.1, 1.2, 1.3],
                "long_factor": [1.5, 3.0, 6.0, 12.0],
                "original_max_position_embeddings": 128,
            },
        },
    ),
}
"""Architectures whose layers differ from one another, or whose attention is not that of most."""


def build_architecture(folder: Path, name: str, **changes: Any) -> Path:
    """Save a random model with its tokenizer to `folder`."""
    import torch
    import transformers

    family, settings = (ARCHITECTURES | UNEVEN)[name]
    tokenizer = build_tokenizer()
    torch.manual_seed(3)
    config = getattr(transformers, family + "Config")(vocab_size=len(tokenizer), **{**settings, **changes})
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():  # spread the logits, so that choices are clear
        for parameter in model.parameters():
            if parameter.dim() >= 2:
                parameter.mul_(6.0)
            elif "sink" in name:
                parameter.normal_()
    model.float().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def reference_model(folder: Path) -> Any:
    """The model of transformers, with eager attention: the definition of what each architecture computes."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()


def generate_ids(model: Any, ids: Sequence[int], tokens: int) -> list[int]:
    """Greedy continuation by `model.generate`."""
    import torch

    given = torch.tensor([list(ids)])
    model.generation_config.eos_token_id = None
    output = model.generate(
        given, attention_mask=torch.ones_like(given), max_new_tokens=tokens, do_sample=False, pad_token_id=0
    )
    return output[0, len(ids) :].tolist()


def partings(model: Any, prompt: Sequence[int], expected: Sequence[int], given: Sequence[int]) -> int:
    """0 where both are equal, 1 where they part at a near tie of the reference's two best logits.

    It fails where they part elsewhere.
    """
    import torch

    if list(expected) == list(given):
        return 0
    at = next(place for place, (one, two) in enumerate(zip(expected, given, strict=True)) if one != two)
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *expected[:at]]])).logits[0, -1]
    best = torch.topk(logits, 2).values
    assert best[0] - best[1] <= 1e-4, (
        f"token {at}: {given[at]} instead of {expected[at]}, no near tie ({best.tolist()})"
    )
    return 1


@dataclass(frozen=True, eq=False)
class Placed:
    """A token as the layout of a context defines it: where it stands, and what it sees besides itself."""

    id: int
    position: int
    sees: tuple[Placed, ...]


def placed_logits(model: Any, layout: Sequence[Placed]) -> Any:
    """Logits [tokens, vocabulary] of one forward with an explicit mask and positions."""
    import torch

    count = len(layout)
    mask = torch.full((1, 1, count, count), torch.finfo(torch.float32).min)
    index = {token: place for place, token in enumerate(layout)}
    for place, token in enumerate(layout):
        mask[0, 0, place, [place, *(index[other] for other in token.sees)]] = 0
    ids = torch.tensor([[token.id for token in layout]])
    positions = torch.tensor([[token.position for token in layout]])
    given: Any = mask
    layer_types, window = (getattr(model.config, name, None) for name in ("layer_types", "sliding_window"))
    if window:
        far = positions[0][:, None] - positions[0] >= window
        near = mask.masked_fill(far, torch.finfo(torch.float32).min)
        # Models without layer types have the window in every layer.
        given = {"full_attention": mask, "sliding_attention": near} if layer_types else near
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=given, position_ids=positions).logits[0]
