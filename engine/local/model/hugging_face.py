"""Loading a Hugging Face causal LM, and checking that it runs over segments as it does by itself."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from braid.engine.errors import EngineError
from braid.engine.local.attention import Chunk, Rotate, Step
from braid.engine.local.kv import Pool, TailArena, View
from braid.engine.local.model.architectures import (
    ArchitectureError,
    check_architecture,
    find_max_context,
    refuse_config,
    refuse_network,
)
from braid.engine.local.model.facts import (
    Dtype,
    add_grammars,
    choose_dtype,
    count_vocabulary,
    find_end_ids,
    make_probe_ids,
    make_rotation,
    read_prompt_style,
    read_sampling_defaults,
)
from braid.engine.local.model.formats import load_folder
from braid.engine.local.model.lean import build_lean
from braid.engine.local.model.model import Model, probe_places
from braid.engine.local.model.modules import ModuleDecoder
from braid.engine.local.model.tokenizer import TextCodec

_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.15, torch.float16: 0.05}
"""How far logits may lie from the reference, as a share of their spread, before a path is not used."""


_LOADING = threading.Lock()
"""Held while transformers reads a model: what it changes meanwhile holds for the whole process."""


def load_checked(folder: Path, *, dtype: Dtype, device: str, fast: bool) -> Model:
    """Load the model in `folder` with transformers, and compare it over segments with transformers' own run.

    Raises:
        EngineError: transformers cannot load the model, or the model cannot run over segments.
    """
    with _LOADING:
        network, tokenizer = _load_network(folder, dtype, device)
    refuse_network(network)
    end_ids = find_end_ids(network.generation_config, tokenizer)
    with torch.inference_mode():
        prompt_style = read_prompt_style(folder, network.config)
        model, expected = _over_segments(network, tokenizer, end_ids, prompt_style)
        model.rotate = _find_rotation(model, network)
        if fast and model.device.type == "cpu":
            model = _lean(model, network, expected)
    model.sampling_defaults = read_sampling_defaults(network.generation_config)
    add_grammars(model, tokenizer)
    return model


def _load_network(folder: Path, dtype: Dtype, device: str) -> tuple[Any, Any]:
    """The network on its device, and the tokenizer."""
    try:
        refuse_config(AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False))
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise EngineError(f"cannot load a causal language model from {str(folder)!r}: {error}") from error
    network, tokenizer = load_folder(folder, choose_dtype(dtype, folder))
    try:
        return network.eval().to(device), tokenizer
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for the device
        raise EngineError(f"the model cannot be moved to device {device!r}: {error}") from error


def _over_segments(
    network: Any, tokenizer: Any, end_ids: frozenset[int], prompt_style: str | None
) -> tuple[Model, torch.Tensor]:
    """The model with attention over segments, and the logits that the network itself gives for its probe."""
    name = type(network).__name__
    checked = check_architecture(network)
    config = network.config.get_text_config(decoder=True)
    probe_ids = make_probe_ids(config, beyond_window=not checked).to(network.device)
    vocabulary = count_vocabulary(tokenizer, config)
    places = torch.tensor(probe_places(len(probe_ids)), device=network.device)
    try:
        alone = network(input_ids=probe_ids[None], use_cache=False, logits_to_keep=places)
        expected = alone.logits[0, :, :vocabulary].float()
    except Exception as error:
        raise EngineError(f"{name} does not run in transformers: {error}") from error
    try:
        decoder = ModuleDecoder(network)
        model = Model(
            name=name,
            codec=TextCodec(tokenizer, vocabulary),
            end_ids=end_ids,
            prompt_style=prompt_style,
            vocabulary=vocabulary,
            max_context=find_max_context(config),
            parameters=sum(p.numel() for p in network.parameters()),
            device=network.device,
            geometry=decoder.geometry,
            probe_ids=probe_ids,
            decoder=decoder,
        )
        given = model.probe()
    except Exception as error:
        raise EngineError(f"{name} does not run with attention over segments: {error}") from error
    if not _close(expected, given, network.dtype):
        # In low precision rounding alone may move the choice of an expert. Then the copy in float32 decides.
        if network.dtype == torch.float32 or not _has_experts(config):
            raise ArchitectureError(name, "it gives other results over segments than by itself")
        if not checked or not torch.isfinite(given).all():
            raise ArchitectureError(
                name,
                f"it could not be checked in {network.dtype}, where rounding moves the choice of experts. "
                "dtype='float32' can be",
            )
    return model, expected


def _lean(model: Model, network: Any, expected: torch.Tensor) -> Model:
    """The model on the lean decoder, where there is one and its logits agree. Else the model as it is."""
    try:
        decoder = build_lean(network)
        if decoder is None:
            return model
        lean = replace(model, decoder=decoder)
        return lean if _close(expected, lean.probe(), network.dtype) else model
    except Exception:  # something about this model is not as in its family
        return model


def _close(expected: torch.Tensor, given: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether logits agree within the tolerance.

    It bounds the largest difference in float32, else the mean square.
    """
    if not torch.isfinite(given).all():
        return False
    spread = expected.std().clamp_min(1e-6)
    if dtype == torch.float32:
        return bool((expected - given).abs().max() <= _TOLERANCE[dtype] * spread)
    return bool((expected - given).square().mean().sqrt() <= _TOLERANCE[dtype] * spread)


def _find_rotation(model: Model, network: Any) -> Rotate | None:
    """The rotation that shifts positions, or None when rotating queries does not shift them.

    It is tried with a key at one position, and with the same key shifted there from another one.
    """
    frequencies = getattr(getattr(network.base_model, "rotary_emb", None), "inv_freq", None)
    if not isinstance(frequencies, torch.Tensor):
        return None
    rotate = make_rotation(frequencies.float())
    ids = model.probe_ids.tolist()
    half, shift = len(ids) // 2, 5
    seen: list[torch.Tensor] = []
    try:
        for moved in (0, shift):
            pool = Pool(model.geometry, limit_bytes=1 << 40, keep_bytes=0)
            me, tails = object(), TailArena(pool)
            prefix = pool.join((), 0 if moved else shift)
            first = pool.extend(prefix, ids[:half], me).segment
            model.forward(Step([Chunk(ids[:half], first, 0)], [], tails, rotate), [])
            first.num_computed_tokens = half
            joined = pool.join((View(first, 0, half, moved),), shift + half)
            second = pool.extend(joined, ids[half:], me).segment
            chunk = Chunk(ids[half:], second, 0)
            logits = model.forward(Step([chunk], [], tails, rotate), range(len(ids) - half))
            assert logits is not None
            seen.append(logits)
    except Exception:
        return None
    return rotate if _close(seen[0], seen[1], network.dtype) else None


def _has_experts(config: Any) -> bool:
    names = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
    return any(getattr(config, name, None) for name in names)
