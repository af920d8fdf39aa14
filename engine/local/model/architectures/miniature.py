"""A check of an architecture on a small copy of it, in float32.

The copy has the class and the configuration of a network, few of its layers (each kind of them), random
weights, and windows and chunks so short that a few tokens reach beyond them. So the check is complete where
the network itself is too large, its windows too long, or its precision too low for that.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from braid.engine.local.attention import Step
from braid.engine.local.model.architectures.refusals import ArchitectureError
from braid.engine.local.model.model import read_in_parts
from braid.engine.local.model.modules import ModuleDecoder

_TOKENS = 30
_VOCABULARY = 128
_SHORT = 8
"""Length of windows and chunks."""
_SEEDS = (1, 2)
"""Rounding may move the choice of an expert where two are nearly equal. It will not do so twice."""
_MOST_PARAMETERS = 1_500_000_000
_MOST_LAYERS = 8
_TOLERANCE = 1e-3
"""How far logits may lie apart, as a share of their spread."""
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "depth")
_SHORTENED = dict.fromkeys(
    ("sliding_window", "window_size", "attention_window_size", "attention_chunk_size", "floor_scale"), _SHORT
)
_NARROWED = {
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "top_k_experts", "moe_k"), 2),
    **dict.fromkeys(("n_group", "topk_group", "first_k_dense_replace"), 1),
}


def check_architecture(network: Any) -> bool:
    """Compare a small copy of `network` over segments with the same copy by itself.

    Returns:
        Whether there could be a copy.

    Raises:
        ArchitectureError: the two differ.
    """
    causal = True
    for seed in _SEEDS:
        found = _copy(network, seed)
        if found is None:
            return False
        copied, ids, expected = found
        try:
            decoder = ModuleDecoder(copied)
            difference = _difference(decoder, ids, expected)
        except NotImplementedError as error:
            raise ArchitectureError(type(network).__name__, str(error)) from error
        except Exception as error:
            raise ArchitectureError(
                type(network).__name__, f"it does not run with attention over segments ({error})"
            ) from error
        if difference <= _TOLERANCE:
            return True
        causal = decoder.causal
    raise ArchitectureError(
        type(network).__name__,
        "a small copy of it gives other results with attention over segments than by itself. "
        + (
            "What a token attends to depends on more than keys, values, positions, windows and chunks"
            if causal
            else "It is an encoder, whose tokens see those behind them"
        ),
    )


def _copy(network: Any, seed: int) -> tuple[Any, torch.Tensor, torch.Tensor] | None:
    """A small copy with random weights, ids for it, and the logits that it gives by itself."""
    for narrow in (True, False):
        try:
            config = _shrink(network.config, narrow=narrow)
            with torch.device("meta"):
                parameters = sum(weight.numel() for weight in type(network)(config).parameters())
            if parameters <= _MOST_PARAMETERS:
                copied, ids = _build(type(network), config, seed)
                return copied, ids, copied(input_ids=ids[None], use_cache=False).logits[0]
        except Exception:  # a configuration whose numbers depend on one another
            continue
    return None


def _difference(decoder: ModuleDecoder, ids: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference of logits, as a share of their spread."""

    def forward(step: Step, logits_indices: Sequence[int]) -> torch.Tensor | None:
        return decoder.forward(
            step,
            torch.tensor(step.token_ids),
            torch.tensor(step.positions),
            torch.tensor(logits_indices),
        )

    given = read_in_parts(forward, decoder.geometry, ids.tolist(), beside=ids.flip(0)[:11].tolist())
    if not torch.isfinite(given).all():
        return float("inf")
    return float((expected - given).abs().max() / expected.std().clamp_min(1e-6))


def _build(made_by: type[Any], config: Any, seed: int) -> tuple[Any, torch.Tensor]:
    """A network with random weights under which every part of it counts, and ids for it."""
    random = torch.Generator().manual_seed(seed)
    network = made_by._from_config(copy.deepcopy(config), dtype=torch.float32).eval()
    for weight in network.parameters():
        if weight.dim() >= 2:
            weight.copy_(torch.randn(weight.shape, generator=random) * weight.shape[-1] ** -0.5)
        else:
            weight.add_(torch.randn(weight.shape, generator=random) * 0.1)
    return network, torch.randint(1, _VOCABULARY - 1, (_TOKENS,), generator=random)


def _shrink(config: Any, *, narrow: bool) -> Any:
    """A configuration with few layers, short windows and few token ids, and `narrow` layers on request."""
    data: dict[str, Any] = config.to_dict()
    data.pop("quantization_config", None)
    text = next((data[name] for name in ("text_config", "llm_config") if name in data), data)
    for part in data.values():
        if isinstance(part, dict) and part is not text:
            part.update({name: 1 for name in _LAYERS if isinstance(part.get(name), int)})
    _shrink_layers(text)
    for part in (data, text):
        for name, value in part.items():
            if name.endswith("_token_id") and isinstance(value, int) and value >= _VOCABULARY:
                part[name] = _VOCABULARY - 1
            elif name.endswith("_token_id") and isinstance(value, list):
                part[name] = [0]
            elif name.startswith("vocab_size") and isinstance(value, int):
                part[name] = _VOCABULARY
    for name, least in (_SHORTENED | (_NARROWED if narrow else {})).items():
        if isinstance(text.get(name), int):
            text[name] = min(text[name], least)
    for name, value in text.items() if narrow else ():
        if name.endswith("intermediate_size") and value:
            text[name] = [64] * len(value) if isinstance(value, list) else 64
    return type(config).from_dict(data)


def _shrink_layers(text: dict[str, Any]) -> None:
    """Keep the first layer of each kind, apart for layers that read the KV of earlier ones."""
    [counted] = [name for name in _LAYERS if isinstance(text.get(name), int)]
    count: int = text[counted]
    own: dict[Any, Any] = text.get("per_layer_config") or {}
    each = {int(at): changes for at, changes in own.items()}
    lists = {name: value for name, value in text.items() if isinstance(value, list) and len(value) == count}
    telling = [value for value in lists.values() if len({str(item) for item in value}) <= 4]
    reading = text.get("num_kv_shared_layers") or 0
    kinds: dict[tuple[bool, str], int] = {}
    for at in range(count):
        kinds.setdefault((at >= count - reading, str([[value[at] for value in telling], each.get(at)])), at)
    kept = sorted(set([*kinds.values()][:_MOST_LAYERS]) | set(range(min(2, count))))
    text[counted] = len(kept)
    for name, value in lists.items():
        text[name] = [value[at] for at in kept]
    if each:
        text["per_layer_config"] = {new: each[at] for new, at in enumerate(kept) if at in each}
    if reading:
        text["num_kv_shared_layers"] = sum(at >= count - reading for at in kept)
