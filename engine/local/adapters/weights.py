"""The weights of an adapter, from safetensors under PEFT's names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from braid.engine.adapter_folder import WEIGHTS, AdapterFolder
from braid.engine.errors import AdapterError
from braid.engine.local.adapters.low_rank import LowRank

_PREFIX = "base_model.model."
_SUFFIXES = (".lora_A.weight", ".lora_B.weight")
_COPY = ".base_layer.weight"
"""PEFT saves the base's own output layer beside an adapter of it."""
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def read_low_ranks(adapter: AdapterFolder, layers: Mapping[str, tuple[int, int]]) -> dict[str, LowRank]:
    """What an adapter adds to each of the base's linear layers, in float32, by the layer's name.

    Args:
        adapter: The adapter.
        layers: Names of the layers that an adapter can change, each with its (in, out).

    Raises:
        AdapterError: the weights are missing or damaged, or do not fit the base or the configuration.
    """
    tensors, what = _load(adapter.path), f"the adapter {str(adapter.path)!r}"
    for module, (width_in, width_out) in layers.items():
        copied = tensors.get(f"{_PREFIX}{module}{_COPY}")
        if copied is not None and tuple(copied.shape) == (width_out, width_in):
            del tensors[f"{_PREFIX}{module}{_COPY}"]
    found: dict[str, LowRank] = {}
    for module in dict.fromkeys(_module(adapter.path, name) for name in tensors):
        pair = [tensors.get(f"{_PREFIX}{module}{suffix}") for suffix in _SUFFIXES]
        down, up = pair
        if down is None or up is None:
            raise AdapterError(f"{what} has one half only of what it adds to {module}")
        rank = adapter.config.rank(module)
        if module not in layers:
            raise AdapterError(f"{what} changes {module}, {_why_not(module)}")
        width_in, width_out = layers[module]
        expected = ((rank, width_in), (width_out, rank))
        given = (tuple(down.shape), tuple(up.shape))
        if given != expected:
            raise AdapterError(
                f"{what} does not fit at {module}: lora_A and lora_B must be {expected} there, "
                f"and are {given}; it belongs to another base, or its adapter_config.json does"
            )
        for tensor in (down, up):
            if tensor.dtype not in _FLOATS or not torch.isfinite(tensor).all():
                raise AdapterError(
                    f"{what} has values at {module} that are no finite numbers in float32, float16 or "
                    f"bfloat16, but {tensor.dtype}"
                )
        scale = adapter.config.scale(module, rank)
        found[module] = LowRank(down.float().T, up.float().T * scale)
    _check_targets(adapter, found, layers)
    return found


def _load(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / WEIGHTS
    if not path.is_file():
        raise AdapterError(f"the adapter {str(folder)!r} has no {WEIGHTS}; other files are not read")
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"cannot read {str(path)!r}: {error}") from error
    if not tensors:
        raise AdapterError(f"{str(path)!r} holds no weights")
    return tensors


def _module(folder: Path, name: str) -> str:
    """The layer that a tensor belongs to."""
    for suffix in _SUFFIXES:
        if name.startswith(_PREFIX) and name.endswith(suffix):
            return name[len(_PREFIX) : -len(suffix)]
    raise AdapterError(
        f"the adapter {str(folder)!r} has weights {name!r}; known are "
        f"{_PREFIX}<layer>.lora_A.weight and .lora_B.weight"
    )


def _why_not(module: str) -> str:
    return (
        "which is no layer of this base, or none that every token goes through as a plain linear layer"
        if "experts" not in module
        else "and experts cannot have adapters here"
    )


def _check_targets(
    adapter: AdapterFolder, found: Mapping[str, LowRank], layers: Mapping[str, tuple[int, int]]
) -> None:
    """Refuse weights that the configuration does not name, and names whose weights are not there."""
    targets, what = adapter.config.target_modules, f"the adapter {str(adapter.path)!r}"
    if not isinstance(targets, list):
        return
    ends = tuple(f".{target}" for target in targets)
    for module in found:
        if not f".{module}".endswith(ends):
            raise AdapterError(f"{what} changes {module}, which target_modules do not name")
    for target, end in zip(targets, ends, strict=True):
        there = any(f".{module}".endswith(end) for module in layers)
        if there and not any(f".{module}".endswith(end) for module in found):
            raise AdapterError(f"{what} lacks the weights of its target {target!r}")
