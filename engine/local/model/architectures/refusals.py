"""Why an architecture does not run over segments of shared KV."""

from __future__ import annotations

from typing import Any

from transformers import DynamicCache
from transformers.cache_utils import (
    DummyLayer,
    DynamicIndexedLayer,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionCacheLayerMixin,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from braid.engine.errors import EngineError

_WAY_OUT = (
    "run it in a server that knows it and connect to that, or take one of the architectures in "
    "docs/architectures.md"
)


class ArchitectureError(EngineError):
    """The engine does not run this architecture."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} cannot be run here: {reason}; {_WAY_OUT}")


def refuse_config(config: Any) -> None:
    """Look at a configuration before its weights are read.

    Raises:
        ArchitectureError: the architecture does not run over segments.
    """
    name = (getattr(config, "architectures", None) or [type(config).__name__])[0]
    if getattr(config, "is_encoder_decoder", False):
        raise ArchitectureError(
            name,
            "it is an encoder-decoder. What it writes depends on the output of an encoder, which a context "
            "of tokens does not have",
        )
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING and not hasattr(config, "auto_map"):
        raise ArchitectureError(
            name, f"transformers has no causal language model of type {config.model_type!r}"
        )


def refuse_network(network: Any) -> None:
    """Look at a network, of which the weights do not matter.

    Raises:
        ArchitectureError: the architecture does not run over segments.
    """
    name = type(network).__name__
    layers: list[Any] = DynamicCache(config=network.config).layers
    if getattr(network, "_is_stateful", False) or any(
        isinstance(layer, LinearAttentionCacheLayerMixin) for layer in layers
    ):
        raise ArchitectureError(
            name,
            "some of its layers keep one running state (state-space, linear attention, recurrence or "
            "convolution) instead of keys and values of every token. Such a state can be neither shared "
            "between contexts that part, nor cut, nor joined",
        )
    if any(isinstance(layer, DynamicIndexedLayer) for layer in layers):
        raise ArchitectureError(
            name,
            "its attention picks keys by an index that each layer keeps beside its KV, and the segments "
            "here hold keys and values only",
        )
    for layer in layers:
        if type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer, DummyLayer):
            raise ArchitectureError(
                name, f"it keeps a {type(layer).__name__}, and the segments here hold keys and values only"
            )
