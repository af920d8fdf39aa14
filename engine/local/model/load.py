"""Loading a Hugging Face causal LM, and checking that it runs over segments as it does by itself."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from braid.engine.errors import EngineError, InvalidParamsError
from braid.engine.local.attention import Chunk, Rotate, Step
from braid.engine.local.kv import Geometry, Pool, TailArena, View
from braid.engine.local.model.grammar import Grammars
from braid.engine.local.model.lean import build_lean
from braid.engine.local.model.model import Model, ModuleDecoder
from braid.engine.local.model.tokenizer import TextCodec
from braid.engine.types import SamplingParams

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_SMALL = 500 * 2**20
"""Bytes of weights up to which `auto` is float32."""
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.15, torch.float16: 0.05}
"""How far logits may lie from the reference, as a share of their spread, before a path is not used."""


_LOADING = threading.Lock()
"""Held while transformers reads a model: what it changes meanwhile holds for the whole process."""


def load_model(folder: Path, *, dtype: Dtype = "auto", device: str = "cpu", fast: bool = True) -> Model:
    """Load the model in `folder`.

    Args:
        folder: a folder with a config, weights and a tokenizer.
        dtype: precision of weights and KV.
        device: where the model runs, as torch names it.
        fast: False leaves out what replaces the modules of transformers.

    Raises:
        EngineError: transformers cannot load the model, or the model cannot run over segments.
    """
    with _LOADING:
        network, tokenizer = _load_network(folder, dtype, device)
    end_ids = _end_ids(network, tokenizer)
    with torch.inference_mode():
        model, expected = _over_segments(network, tokenizer, end_ids, _prompt_style(folder, network.config))
        model.rotate = _find_rotation(model, network)
        if fast and model.device.type == "cpu":
            model = _lean(model, network, expected)
    model.sampling_defaults = _sampling_defaults(network.generation_config)
    try:
        model.grammars = Grammars(tokenizer, vocabulary=model.vocabulary, end_ids=sorted(end_ids))
    except EngineError as error:
        model.no_grammars = str(error)
    return model


def _load_network(folder: Path, dtype: Dtype, device: str) -> tuple[Any, Any]:
    """The network on its device, and the tokenizer."""
    try:
        with _quiet():
            network: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=_choose_dtype(dtype, folder), local_files_only=True
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise EngineError(f"cannot load a causal language model from {str(folder)!r}: {error}") from error
    try:
        return network.eval().to(device), tokenizer
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for the device
        raise EngineError(f"the model cannot be moved to device {device!r}: {error}") from error


def _end_ids(network: Any, tokenizer: Any) -> frozenset[int]:
    ends = network.generation_config.eos_token_id
    ids = {ends} if isinstance(ends, int) else set(ends or ())
    if tokenizer.eos_token_id is not None:
        ids.add(tokenizer.eos_token_id)
    return frozenset(ids)


def _sampling_defaults(config: Any) -> dict[str, float]:
    """The fields of `SamplingParams` that a generation config sets. What is out of range is left out."""
    defaults: dict[str, float] = {}
    for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty"):
        value = getattr(config, name, None)
        with suppress(InvalidParamsError):
            if value is not None:
                SamplingParams(**{name: value})
                defaults[name] = value
    if getattr(config, "do_sample", None) is False:
        defaults["temperature"] = 0.0
    return defaults


def _over_segments(
    network: Any, tokenizer: Any, end_ids: frozenset[int], prompt_style: str | None
) -> tuple[Model, torch.Tensor]:
    """The model with attention over segments, and the logits that the network itself gives for its probe."""
    name = type(network).__name__
    if not getattr(network, "_supports_attention_backend", False):
        raise EngineError(
            f"{name} does not take its attention from transformers' attention interface; "
            "its contexts cannot be forked and cut (state-space and other recurrent models cannot be run)"
        )
    config = network.config.get_text_config(decoder=True)
    try:
        probe_ids = _probe_ids(config).to(network.device)
        vocabulary = _vocabulary(tokenizer, config)
        expected = network(input_ids=probe_ids[None], use_cache=False).logits[0, :, :vocabulary].float()
        model = Model(
            name=name,
            codec=TextCodec(tokenizer, vocabulary),
            end_ids=end_ids,
            prompt_style=prompt_style,
            vocabulary=vocabulary,
            max_context=getattr(config, "max_position_embeddings", None),
            parameters=sum(p.numel() for p in network.parameters()),
            device=network.device,
            geometry=_geometry(network, probe_ids),
            probe_ids=probe_ids,
            decoder=ModuleDecoder(network),
        )
        given = model.probe()
    except Exception as error:
        raise EngineError(f"{name} does not run with attention over segments: {error}") from error
    # In low precision rounding alone may move an expert's choice, so only float32 is compared for those.
    if not _close(expected, given, network.dtype) and not (
        network.dtype != torch.float32 and _has_experts(config)
    ):
        raise EngineError(
            f"{name} gives other results over segments than by itself; "
            "it keeps more state than keys and values per token, or attends in a way that is not known here"
        )
    return model, expected


def _vocabulary(tokenizer: Any, config: Any) -> int:
    """Number of ids that are both in the tokenizer and in the logits, which are often padded."""
    return min(config.vocab_size, max(tokenizer.get_vocab().values(), default=-1) + 1)


def _probe_ids(config: Any) -> torch.Tensor:
    """Random ids, enough to reach beyond a sliding window where that is affordable."""
    generator = torch.Generator().manual_seed(1)
    window = getattr(config, "sliding_window", None) or 0
    longest = getattr(config, "max_position_embeddings", None)
    length = 24 + (window if window <= 512 else 0)
    length = min(length, (longest or length + 1) - 1)
    return torch.randint(0, config.vocab_size, (length,), generator=generator)


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
    rotate = _rotation(frequencies.float())
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


def _rotation(frequencies: torch.Tensor) -> Rotate:
    """A pure rotation, without the scaling that some position schemes add to cos and sin.

    The query has that scaling already.
    """

    def rotate(q: torch.Tensor, shift: int) -> torch.Tensor:
        half = frequencies.shape[0]
        angle = frequencies * -shift
        cos, sin = angle.cos().to(q.device), angle.sin().to(q.device)
        one, two, rest = q[..., :half].float(), q[..., half : 2 * half].float(), q[..., 2 * half :]
        turned = torch.cat([one * cos - two * sin, two * cos + one * sin], -1)
        return torch.cat([turned.to(q.dtype), rest], -1)

    return rotate


def _geometry(network: Any, ids: torch.Tensor) -> Geometry:
    """The KV's shape, from a cache that the model filled.

    Raises:
        ValueError: the layers differ, or are no plain KV.
    """
    from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

    cache = network(input_ids=ids[None, :2], use_cache=True).past_key_values
    if not isinstance(cache, DynamicCache):
        raise ValueError(f"it keeps its state in a {type(cache).__name__}")
    shapes: set[tuple[int, int, int]] = set()
    layers: list[Any] = cache.layers
    for layer in layers:
        if (
            type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer)
            or layer.keys is None
            or layer.values is None
        ):
            raise ValueError(f"it has a {type(layer).__name__}, which is no plain KV of every token")
        shapes.add((layer.keys.shape[1], layer.keys.shape[3], layer.values.shape[3]))
    if len(shapes) != 1:
        raise ValueError(f"its layers differ in (heads, key dim, value dim): {sorted(shapes)}")
    heads, key_dim, value_dim = shapes.pop()
    return Geometry(len(layers), heads, key_dim, value_dim, network.dtype, network.device)


def _has_experts(config: Any) -> bool:
    return any(
        getattr(config, name, None) for name in ("num_experts", "num_local_experts", "n_routed_experts")
    )


def _choose_dtype(dtype: Dtype, folder: Path) -> torch.dtype:
    """`auto` is float32 for small models, bfloat16 for those whose weights take more than `_SMALL` bytes.

    Measured with a random Llama of 5.6M parameters, 500 tokens of context, one thread of a CPU with AMX,
    milliseconds in float32 / bfloat16: one decoding step 3.9 / 4.7 at batch 1 and 23 / 16 at batch 16,
    reading the prompt 61 / 35. Plans are written at batch 1, where decoding counts most. float32 gives the
    same tokens in any batch. Large models are bound by memory.
    """
    if dtype != "auto":
        return _DTYPES[dtype]
    weights = sum(
        file.stat().st_size for pattern in ("*.safetensors", "*.bin") for file in folder.glob(pattern)
    )
    return torch.float32 if weights <= _SMALL else torch.bfloat16


def _prompt_style(folder: Path, config: Any) -> str | None:
    """The prompt style that the model was trained for, from `braid.json` in its folder or from its config."""
    style = getattr(config, "prompt_style", None)
    note = folder / "braid.json"
    if note.is_file():
        style = json.loads(note.read_text(encoding="utf-8")).get("prompt_style", style)
    return style


@contextmanager
def _quiet():
    """No progress bars while loading: they would break a live display."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
