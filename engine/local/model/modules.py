"""The modules of transformers as a decoder. Their attention runs over segments.

The function below is registered with transformers' attention interface, so that the modules stay as they are.
"""

from __future__ import annotations

import threading
from typing import Any

import torch
from transformers import AttentionInterface

from braid.engine.local.attention import Step

_NAME = "braid_segments"
_current = threading.local()


class ModuleDecoder:
    """The modules of transformers, with attention over segments."""

    path = "transformers"

    def __init__(self, network: Any) -> None:
        network.set_attn_implementation(_NAME)
        self._network = network

    def forward(
        self, step: Step, ids: torch.Tensor, positions: torch.Tensor, logits_indices: torch.Tensor
    ) -> torch.Tensor | None:
        inputs = {"input_ids": ids[None], "position_ids": positions[None], "use_cache": False}
        with _running(step):
            if not len(logits_indices):
                self._network.base_model(**inputs)
                return None
            return self._network(**inputs, logits_to_keep=logits_indices).logits[0].float()


class _running:  # noqa: N801
    """The step that the registered attention function works on, in this thread.

    Used as in `with _running(step): network(...)`.
    """

    def __init__(self, step: Step) -> None:
        self._step = step

    def __enter__(self) -> None:
        _current.step = self._step

    def __exit__(self, *exc: object) -> None:
        _current.step = None


def _segments_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **other: Any,
) -> tuple[torch.Tensor, None]:
    """Attention in transformers' interface: query [1, heads, tokens, dim] to [1, tokens, heads, dim]."""
    unknown = [name for name, given in other.items() if given is not None and name in _REFUSED]
    if unknown or attention_mask is not None:
        raise NotImplementedError(f"attention over segments does not know {unknown or 'masks'}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    step: Step = _current.step
    out = step.attend(module.layer_idx, query[0], key[0], value[0], scale, sliding_window, softcap, s_aux)
    return out[None], None


_REFUSED = {"position_bias", "head_mask", "alibi", "chunk_size", "cache", "block_table"}
AttentionInterface.register(_NAME, _segments_attention)
