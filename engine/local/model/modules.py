"""The modules of transformers as a decoder. Their attention runs over segments.

The function below is registered with transformers' attention interface, so that the modules stay as they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from braid.engine.errors import EngineError
from braid.engine.local.adapters import Adapted, LowRank, Rows, add_low_rank, rows_among
from braid.engine.local.attention import Step
from braid.engine.local.kv import Geometry, LayerShape

_NAME = "braid_segments"
_current = threading.local()


class ModuleDecoder:
    """The modules of transformers, with attention over segments.

    Calls of attention are told apart by their order in a forward. So layers may differ in shape, be of one
    module, or read the KV of an earlier layer.

    Raises:
        NotImplementedError: the modules ask for attention that is not known here.
    """

    path = "transformers"
    causal: bool
    """Whether all attention says that tokens see none behind them."""

    def __init__(self, network: Any) -> None:
        for module in network.modules():
            if isinstance(module, PreTrainedModel):  # not all say that they follow the interface
                module.config._attn_implementation_internal = _NAME
        self._network = network
        # These modules count positions from the cache. Others take the positions that they are given.
        self._counts = any(getattr(module, "attn_temperature_tuning", False) for module in network.modules())
        tracing = _Tracing()
        ids = torch.zeros(1, 3, dtype=torch.long, device=network.device)
        try:
            with _attention(tracing):
                self._network(input_ids=ids, use_cache=False)
        except NotImplementedError:
            raise
        except Exception:  # attention of its own, which misses its mask
            if tracing.calls:
                raise
        if not tracing.calls:
            raise NotImplementedError(
                "its code in transformers computes attention itself instead of taking it from the attention "
                "interface, so it cannot be given attention over segments"
            )
        self._calls = tracing.calls
        self.causal = tracing.causal
        self.geometry = Geometry(tuple(tracing.shapes), network.dtype, network.device)
        self._modules = {
            name: module
            for name, module in network.named_modules()
            if isinstance(module, nn.Linear | Conv1D) and ".experts." not in name
        }
        self.linear_layers = {name: _widths(module) for name, module in self._modules.items()}
        self._adapted: Adapted[dict[str, LowRank]] = Adapted()

    def adapt(self, name: str, added: Mapping[str, LowRank]) -> None:
        """Know an adapter, from what it adds to layers among `linear_layers`."""
        merged = {
            layer: LowRank.of([part], [self.linear_layers[layer][1]], self._modules[layer].weight)
            for layer, part in added.items()
        }
        self._adapted[name] = {layer: part for layer, part in merged.items() if part is not None}

    def forward(
        self, step: Step, ids: torch.Tensor, positions: torch.Tensor, logits_indices: torch.Tensor
    ) -> torch.Tensor | None:
        inputs: dict[str, Any] = {"input_ids": ids[None], "position_ids": positions[None], "use_cache": False}
        if self._counts:
            inputs["past_key_values"] = _Offsets(positions)
        with _attention(_Running(step, self._calls)), self._adapting(step, logits_indices):
            if not len(logits_indices):
                self._network.base_model(**inputs)
                return None
            return self._network(**inputs, logits_to_keep=logits_indices).logits[0].float()

    @contextmanager
    def _adapting(self, step: Step, logits_indices: torch.Tensor) -> Iterator[None]:
        """Modules add what the step's adapters add, inside the block.

        Modules that no row needs to be adapted stay as they are, and so do all of them in other steps.
        """
        layers: dict[str, list[tuple[LowRank, Rows]]] = {}
        for added, rows in self._adapted.of(step.adapters):
            for layer, part in added.items():
                layers.setdefault(layer, []).append((part, rows))
        head = self._network.get_output_embeddings()
        for layer, parts in layers.items():
            module, count = self._modules[layer], len(step.token_ids)
            if module is head:
                parts = [(part, rows_among(rows, logits_indices)) for part, rows in parts]
                count = len(logits_indices)
            vars(module)["forward"] = _adapted_forward(module.forward, layer, parts, count)
        try:
            yield
        finally:
            for layer in layers:
                del vars(self._modules[layer])["forward"]  # that of its class shows again


def _widths(module: nn.Linear | Conv1D) -> tuple[int, int]:
    """(in, out) of a linear layer."""
    one, two = module.weight.shape
    return (one, two) if isinstance(module, Conv1D) else (two, one)


def _adapted_forward(
    forward: Callable[[torch.Tensor], torch.Tensor],
    layer: str,
    parts: Sequence[tuple[LowRank, Rows]],
    count: int,
) -> Callable[[torch.Tensor], torch.Tensor]:
    """A linear layer with adapters, for `count` rows."""

    def adapted(x: torch.Tensor) -> torch.Tensor:
        out = forward(x)
        inputs, outputs = x.reshape(-1, x.shape[-1]), out.view(-1, out.shape[-1])
        if len(inputs) != count:
            raise EngineError(f"{layer} cannot have an adapter: not every token goes through it, or in order")
        for part, rows in parts:
            add_low_rank(part, inputs, outputs, rows)
        return out

    return adapted


class _Call(NamedTuple):
    """A call of attention in a forward."""

    layer: int
    """Number of the layer in the KV."""
    span: int | None
    """Length of the spans of positions that see nothing of one another."""


class _Attention(Protocol):
    def attend(
        self, module: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float, *traits: Any
    ) -> torch.Tensor: ...


class _Tracing:
    """Attention that gives zeros and notes what it is called with."""

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self.shapes: list[LayerShape] = []
        self.causal = True
        self._written: list[tuple[torch.Tensor, torch.Tensor]] = []

    def attend(
        self, module: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float, *traits: Any
    ) -> torch.Tensor:
        if k.shape[1] != q.shape[1]:
            raise NotImplementedError("it attends to something else than the keys of its own tokens")
        known = next((at for at, kv in enumerate(self._written) if _same(kv[0], k) and _same(kv[1], v)), None)
        if known is None:  # else an earlier layer has written this KV already
            known = len(self._written)
            self._written.append((k, v))
            self.shapes.append(LayerShape(k.shape[0], k.shape[-1], v.shape[-1]))
        self.causal &= getattr(module, "is_causal", True)
        self.calls.append(_Call(known, _span(module)))
        return q.new_zeros(q.shape[1], q.shape[0], v.shape[-1])


class _Running:
    """Attention of one forward over the segments of a step."""

    def __init__(self, step: Step, calls: list[_Call]) -> None:
        self._step = step
        self._calls = iter(calls)

    def attend(
        self, module: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float, *traits: Any
    ) -> torch.Tensor:
        layer, span = next(self._calls)
        return self._step.attend(layer, q, k, v, scale, *traits, span=span)


class _Offsets:
    """In place of a cache: what `arange` over the tokens lacks to their positions."""

    def __init__(self, positions: torch.Tensor) -> None:
        self._offsets = positions - torch.arange(len(positions), device=positions.device)

    def get_seq_length(self, layer: int = 0) -> torch.Tensor:
        return self._offsets

    def update(self, key: torch.Tensor, value: torch.Tensor, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        return key, value


def _same(one: torch.Tensor, two: torch.Tensor) -> bool:
    return one.data_ptr() == two.data_ptr() and one.shape == two.shape and one.stride() == two.stride()


def _span(module: Any) -> int | None:
    """Length of the spans of a layer ("chunks" in transformers, which says it with a mask only)."""
    types = getattr(module.config, "layer_types", None)
    chunked = types and types[module.layer_idx] == "chunked_attention"
    return module.config.attention_chunk_size if chunked else None


class _attention:  # noqa: N801
    """What the registered attention function calls, in this thread.

    Used as in `with _attention(running): network(...)`.
    """

    def __init__(self, attention: _Attention) -> None:
        self._attention = attention

    def __enter__(self) -> None:
        _current.attention = self._attention

    def __exit__(self, *exc: object) -> None:
        _current.attention = None


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
        raise NotImplementedError(f"attention over segments does not know its {unknown or 'masks'}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    attention: _Attention = _current.attention
    out = attention.attend(module, query[0], key[0], value[0], scale, sliding_window, softcap, s_aux)
    return out[None].contiguous(), None


_REFUSED = {"position_bias", "head_mask", "alibi", "chunk_size", "cache", "block_table"}
AttentionInterface.register(_NAME, _segments_attention)
