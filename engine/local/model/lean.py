"""A decoder without modules for plain Llama-like models.

It runs fewer, larger operators, since the number of operators bounds the speed of small models. One linear
layer makes queries, keys and values, one makes gate and up. Rotation is three operators for queries and keys
together. The weights of norms go into the linear layer behind them. What is left of a norm is three
operators, where torch's own runs as ten. It is built from a loaded network's weights, and used only after its
logits were compared with that network's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from transformers import MistralForCausalLM

from braid.engine.local.attention import Step
from braid.engine.local.model.linear import linear

_FAMILIES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
_Linear = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class _Layer:
    """The weights of one layer."""

    qkv: _Linear
    head_norm: torch.Tensor | None
    """Weights of the norms of queries and keys, in Qwen3."""
    output: _Linear
    gate_up: _Linear
    down: _Linear
    window: int | None


class LeanDecoder:
    """A `Decoder` without modules."""

    path = "lean"

    def __init__(self, network: Any) -> None:
        base = network.model
        config = network.config
        first = base.layers[0].self_attn
        self._dim: int = first.head_dim
        self._heads: int = config.num_attention_heads
        self._kv_heads: int = config.num_key_value_heads
        self._epsilon: float = config.rms_norm_eps
        self._scale: float = first.scaling
        # x / sqrt(mean(x²) + epsilon) is x / hypot(|x|, sqrt(width · epsilon)), times sqrt(width).
        # `linear` multiplies that factor in.
        self._floor = torch.tensor((config.hidden_size * self._epsilon) ** 0.5)
        # Mistral's layers take it from the model's configuration, the others hold it themselves.
        self._window: int | None = config.sliding_window if isinstance(network, MistralForCausalLM) else None
        self._rotary = base.rotary_emb
        self._embedding: torch.Tensor = base.embed_tokens.weight
        self._norm: torch.Tensor = base.norm.weight
        self._head = linear([network.lm_head])
        self._layers = [self._layer(layer) for layer in base.layers]

    def _layer(self, layer: Any) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        norms = None
        if hasattr(attention, "q_norm"):
            norms = torch.cat(
                [
                    attention.q_norm.weight.expand(self._heads, -1),
                    attention.k_norm.weight.expand(self._kv_heads, -1),
                ]
            )
        return _Layer(
            qkv=linear(
                [attention.q_proj, attention.k_proj, attention.v_proj], norm=layer.input_layernorm.weight
            ),
            head_norm=norms,
            output=linear([attention.o_proj]),
            gate_up=linear([mlp.gate_proj, mlp.up_proj], norm=layer.post_attention_layernorm.weight),
            down=linear([mlp.down_proj]),
            window=getattr(attention, "sliding_window", self._window),
        )

    def forward(
        self, step: Step, ids: torch.Tensor, positions: torch.Tensor, logits_indices: torch.Tensor
    ) -> torch.Tensor | None:
        """float32 logits [logits_indices, vocabulary]. None when `logits_indices` is empty."""
        x = F.embedding(ids, self._embedding)
        cos, sin = self._rotary(x[None], positions[None])
        half = self._dim // 2
        cos = cos[0][:, None]
        sin = torch.cat([-sin[0][:, None, :half], sin[0][:, None, half:]], -1)
        width, count = x.shape[-1:], x.shape[0]
        normed = torch.empty_like(x)
        rotated = self._heads + self._kv_heads
        for number, layer in enumerate(self._layers):
            qkv = layer.qkv(self._normalise(x, normed))
            qkv = qkv.view(count, rotated + self._kv_heads, self._dim)
            qk, v = qkv[:, :rotated], qkv[:, rotated:]
            if layer.head_norm is not None:
                qk = F.rms_norm(qk, (self._dim,), None, self._epsilon) * layer.head_norm
            qk = torch.addcmul(qk * cos, qk.roll(half, -1), sin).transpose(0, 1)
            out = step.attend(
                number, qk[: self._heads], qk[self._heads :], v.transpose(0, 1), self._scale, layer.window
            )
            x += layer.output(out.reshape(count, -1))
            gate, up = layer.gate_up(self._normalise(x, normed)).chunk(2, -1)
            x += layer.down(F.silu(gate).mul_(up))
        if not len(logits_indices):
            return None
        if len(logits_indices) != count:
            x = x[logits_indices]
        return self._head(F.rms_norm(x, width, self._norm, self._epsilon)).float()

    def _normalise(self, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """`x` [tokens, hidden] over its length, into `out`. The length is computed in float32."""
        length = torch.linalg.vector_norm(x, 2, -1, keepdim=True, dtype=torch.float32)
        return torch.div(x, length.hypot_(self._floor), out=out)


def build_lean(network: Any) -> LeanDecoder | None:
    """The lean decoder of a network. None for models that are not of the family."""
    if type(network).__name__ not in _FAMILIES or network.config.hidden_act != "silu":
        return None
    return LeanDecoder(network)
