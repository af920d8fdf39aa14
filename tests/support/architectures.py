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


def build_architecture(folder: Path, name: str, **changes: Any) -> Path:
    """Save a random model with its tokenizer to `folder`."""
    import torch
    import transformers

    family, settings = ARCHITECTURES[name]
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
