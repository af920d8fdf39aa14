"""A decoder without modules for plain Llama-like models.

It runs fewer, larger operators, since the number of operators bounds the speed of small models. One linear
layer makes queries, keys and values, one makes gate and up. Rotation is three operators for queries and keys
together. The weights of norms go into the linear layer behind them. What is left of a norm is three
operators, where torch's own runs as ten. It is used for weights whose logits were compared with those of
transformers' modules: at load, or in a test for the weights that Braid ships.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from braid.engine.local.adapters import Adapted, LowRank, add_low_rank, rows_among
from braid.engine.local.attention import Step
from braid.engine.local.model.linear import linear

_FAMILIES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
_Linear = Callable[[torch.Tensor], torch.Tensor]
_PLACES = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "output": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
"""The linear layers that run as one, by the field of `_Layer` that they are."""
Rotary = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""From hidden states (for their precision) and positions to cosines and sines [tokens, dim]."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the weights alone do not say."""

    dim: int
    """Width of a head."""
    heads: int
    kv_heads: int
    epsilon: float
    """Of the root-mean-square norms."""
    windows: tuple[int | None, ...]
    """Sliding window of each layer."""
    scale: float
    """Factor of the attention's scores."""


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
    norms: dict[str, torch.Tensor]
    """Weights of the norms that are part of layers, by the names that these have here."""


@dataclass(frozen=True)
class _LayerAdapter:
    """What an adapter adds in one layer."""

    qkv: LowRank | None
    output: LowRank | None
    gate_up: LowRank | None
    down: LowRank | None


class LeanDecoder:
    """A `Decoder` without modules.

    Args:
        shape: The shape of the network.
        weights: The network's weights, by their names in transformers. Without `lm_head` it is tied to the
            embedding.
        rotary: The rotation of queries and keys.
    """

    path = "lean"

    def __init__(self, shape: Shape, weights: Mapping[str, torch.Tensor], rotary: Rotary) -> None:
        self._dim, self._heads, self._kv_heads = shape.dim, shape.heads, shape.kv_heads
        self._epsilon, self._scale = shape.epsilon, shape.scale
        self._rotary = rotary
        self._embedding = weights["model.embed_tokens.weight"]
        # x / sqrt(mean(x²) + epsilon) is x / hypot(|x|, sqrt(width · epsilon)), times sqrt(width).
        # `linear` multiplies that factor in.
        self._floor = torch.tensor((self._embedding.shape[1] * self._epsilon) ** 0.5)
        self._norm = weights["model.norm.weight"]
        self._head = linear([weights.get("lm_head.weight", self._embedding)], [weights.get("lm_head.bias")])
        self.linear_layers = {
            name.removesuffix(".weight"): (weights[name].shape[1], weights[name].shape[0])
            for number in range(len(shape.windows))
            for place in _PLACES.values()
            for name in (f"model.layers.{number}.{layer}.weight" for layer in place)
        }
        self.linear_layers["lm_head"] = (self._embedding.shape[1], self._embedding.shape[0])
        self._adapted: Adapted[tuple[list[_LayerAdapter], LowRank | None]] = Adapted()
        self._layers = [
            self._layer(weights, f"model.layers.{number}", window)
            for number, window in enumerate(shape.windows)
        ]

    def _layer(self, weights: Mapping[str, torch.Tensor], name: str, window: int | None) -> _Layer:
        def merged(*layers: str, norm: str = "") -> _Linear:
            return linear(
                [weights[f"{name}.{layer}.weight"] for layer in layers],
                [weights.get(f"{name}.{layer}.bias") for layer in layers],
                norm=weights[f"{name}.{norm}.weight"] if norm else None,
            )

        head_norm = None
        if (q_norm := weights.get(f"{name}.self_attn.q_norm.weight")) is not None:
            k_norm = weights[f"{name}.self_attn.k_norm.weight"]
            head_norm = torch.cat([q_norm.expand(self._heads, -1), k_norm.expand(self._kv_heads, -1)])
        return _Layer(
            qkv=merged("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", norm="input_layernorm"),
            head_norm=head_norm,
            output=merged("self_attn.o_proj"),
            gate_up=merged("mlp.gate_proj", "mlp.up_proj", norm="post_attention_layernorm"),
            down=merged("mlp.down_proj"),
            window=window,
            norms={
                "qkv": weights[f"{name}.input_layernorm.weight"],
                "gate_up": weights[f"{name}.post_attention_layernorm.weight"],
            },
        )

    def adapt(self, name: str, added: Mapping[str, LowRank]) -> None:
        """Know an adapter, from what it adds to layers among `linear_layers`."""

        def merged(number: int, place: str) -> LowRank | None:
            layers = [f"model.layers.{number}.{layer}" for layer in _PLACES[place]]
            return LowRank.of(
                [added.get(layer) for layer in layers],
                [self.linear_layers[layer][1] for layer in layers],
                self._embedding,
                self._layers[number].norms.get(place),
            )

        layers = [
            _LayerAdapter(**{place: merged(number, place) for place in _PLACES})
            for number in range(len(self._layers))
        ]
        head = LowRank.of([added.get("lm_head")], [self.linear_layers["lm_head"][1]], self._embedding)
        self._adapted[name] = layers, head

    def forward(
        self, step: Step, ids: torch.Tensor, positions: torch.Tensor, logits_indices: torch.Tensor
    ) -> torch.Tensor | None:
        """float32 logits [logits_indices, vocabulary]. None when `logits_indices` is empty."""
        x = F.embedding(ids, self._embedding)
        cos, sin = self._rotary(x, positions)
        half = self._dim // 2
        cos = cos[:, None]
        sin = torch.cat([-sin[:, None, :half], sin[:, None, half:]], -1)
        width, count = x.shape[-1:], x.shape[0]
        normed = torch.empty_like(x)
        rotated = self._heads + self._kv_heads
        adapters = self._adapted.of(step.adapters)
        for number, layer in enumerate(self._layers):
            qkv = layer.qkv(self._normalise(x, normed))
            for (added, _), rows in adapters:
                add_low_rank(added[number].qkv, normed, qkv, rows)
            qkv = qkv.view(count, rotated + self._kv_heads, self._dim)
            qk, v = qkv[:, :rotated], qkv[:, rotated:]
            if layer.head_norm is not None:
                qk = F.rms_norm(qk, (self._dim,), None, self._epsilon) * layer.head_norm
            qk = torch.addcmul(qk * cos, qk.roll(half, -1), sin).transpose(0, 1)
            out = step.attend(
                number, qk[: self._heads], qk[self._heads :], v.transpose(0, 1), self._scale, layer.window
            )
            out = out.reshape(count, -1)
            for (added, _), rows in adapters:
                add_low_rank(added[number].output, out, x, rows)
            x += layer.output(out)
            gate_up = layer.gate_up(self._normalise(x, normed))
            for (added, _), rows in adapters:
                add_low_rank(added[number].gate_up, normed, gate_up, rows)
            gate, up = gate_up.chunk(2, -1)
            out = F.silu(gate).mul_(up)
            for (added, _), rows in adapters:
                add_low_rank(added[number].down, out, x, rows)
            x += layer.down(out)
        if not len(logits_indices):
            return None
        if len(logits_indices) != count:
            x = x[logits_indices]
        x = F.rms_norm(x, width, self._norm, self._epsilon)
        logits = self._head(x)
        for (_, head), rows in adapters:
            if head is not None:
                add_low_rank(head, x, logits, rows if len(x) == count else rows_among(rows, logits_indices))
        return logits.float()

    def _normalise(self, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """`x` [tokens, hidden] over its length, into `out`. The length is computed in float32."""
        length = torch.linalg.vector_norm(x, 2, -1, keepdim=True, dtype=torch.float32)
        return torch.div(x, length.hypot_(self._floor), out=out)


def build_lean(network: Any) -> LeanDecoder | None:
    """The lean decoder of a network of transformers. None for models that are not of the family."""
    if type(network).__name__ not in _FAMILIES or network.config.hidden_act != "silu":
        return None
    config, base = network.config, network.model
    # Mistral's layers take it from the model's configuration, the others hold it themselves.
    window = config.sliding_window if type(network).__name__ == "MistralForCausalLM" else None
    first = base.layers[0].self_attn
    shape = Shape(
        dim=first.head_dim,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        epsilon=config.rms_norm_eps,
        windows=tuple(getattr(layer.self_attn, "sliding_window", window) for layer in base.layers),
        scale=first.scaling,
    )

    def rotary(x: torch.Tensor, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cos, sin = base.rotary_emb(x[None], positions[None])
        return cos[0], sin[0]

    return LeanDecoder(shape, network.state_dict(), rotary)
