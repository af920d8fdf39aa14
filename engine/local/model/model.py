"""A Hugging Face causal LM: loading it, checking what it needs, and running packed steps through it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from braid.engine.errors import EngineError
from braid.engine.local.attention import NAME, Chunk, Rotate, Row, Step, running
from braid.engine.local.kv import Geometry, Pool, PrefixEnd, TailArena, View
from braid.engine.local.model import lean
from braid.engine.local.model.grammar import Grammars
from braid.engine.local.model.tokenizer import TextCodec

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_SMALL = 500 * 2**20
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.15, torch.float16: 0.05}
"""How far logits may lie from the reference, as a share of their spread, before a path is not used."""


class Model:
    """The model, its tokenizer and the facts about it that the engine goes by.

    `forward` is its one way to run: a packed step in, logits out, KV written where the step says.
    """

    def __init__(self, network: Any, codec: TextCodec, *, end_ids: frozenset[int], prompt_style: str | None):
        self._network: Any = network
        self.codec = codec
        self.end_ids = end_ids
        self.prompt_style = prompt_style
        config = network.config.get_text_config(decoder=True)
        self._config = config
        self.vocabulary: int = config.vocab_size
        self.max_context: int | None = getattr(config, "max_position_embeddings", None)
        self.parameters: int = sum(p.numel() for p in network.parameters())
        self.dtype = str(network.dtype).removeprefix("torch.")
        self.device = network.device
        self.grammars: Grammars | None = None
        self.no_grammars = ""
        """Why there are no grammars."""
        self.name = type(network).__name__
        self.path = "transformers"
        """Which code runs the forward: `transformers`, or `lean`."""
        self.rotate: Rotate | None = None
        """Turns queries back by a number of positions; None when positions cannot be shifted."""
        self._lean: lean.LeanDecoder | None = None
        self.geometry: Geometry

    @classmethod
    def load(cls, folder: Path, *, dtype: Dtype = "auto", device: str = "cpu", fast: bool = True) -> Model:
        """Load from `folder`. `fast=False` leaves out what replaces transformers' own modules.

        Raises `EngineError` when transformers cannot load it, or when it cannot run over segments.
        """
        try:
            with _quiet():
                network: Any = AutoModelForCausalLM.from_pretrained(
                    folder, dtype=_choose_dtype(dtype, folder), local_files_only=True
                )
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise EngineError(f"cannot load a causal language model from {str(folder)!r}: {error}") from error
        try:
            network = network.eval().to(device)
        except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for the device
            raise EngineError(f"the model cannot be moved to device {device!r}: {error}") from error
        codec = TextCodec(tokenizer, network.config.get_text_config(decoder=True).vocab_size)
        ends = network.generation_config.eos_token_id
        end_ids = {ends} if isinstance(ends, int) else set(ends or ())
        if tokenizer.eos_token_id is not None:
            end_ids.add(tokenizer.eos_token_id)
        model = cls(
            network, codec, end_ids=frozenset(end_ids), prompt_style=_prompt_style(folder, network.config)
        )
        with torch.inference_mode():
            model._prepare(fast=fast)
        try:
            model.grammars = Grammars(tokenizer, vocabulary=model.vocabulary, end_ids=sorted(end_ids))
        except EngineError as error:
            model.no_grammars = str(error)
        return model

    def forward(self, step: Step, wanted: Sequence[int]) -> torch.Tensor | None:
        """Run a step; float32 logits [wanted, vocabulary] of those of its tokens."""
        ids = torch.tensor(step.ids, device=self.device)
        positions = torch.tensor(step.positions, device=self.device)
        kept = torch.tensor(wanted, dtype=torch.long, device=self.device)
        if self._lean is not None:
            return self._lean.forward(step, ids, positions, kept)
        given = {"input_ids": ids[None], "position_ids": positions[None], "use_cache": False}
        with running(step):
            if not wanted:
                self._network.base_model(**given)
                return None
            return self._network(**given, logits_to_keep=kept).logits[0].float()

    # loading

    def _prepare(self, *, fast: bool) -> None:
        """Learn the KV's shape, switch to attention over segments, and check the result against the model as it was."""
        network = self._network
        if not getattr(network, "_supports_attention_backend", False):
            raise EngineError(
                f"{self.name} does not take its attention from transformers' attention interface; its contexts cannot be "
                "forked and cut (state-space and other recurrent models cannot be run)"
            )
        try:
            expected = network(input_ids=self._probe_ids()[None], use_cache=False).logits[0].float()
            self.geometry = _geometry(network, self._probe_ids())
            network.set_attn_implementation(NAME)
            given = self.probe()
        except Exception as error:
            raise EngineError(f"{self.name} does not run with attention over segments: {error}") from error
        # In low precision rounding alone may move an expert's choice, so only float32 is compared for those.
        if not self._close(expected, given) and not (self.dtype != "float32" and _has_experts(network)):
            raise EngineError(
                f"{self.name} gives other results over segments than by itself; it keeps more state than keys and values per "
                "token, or attends in a way that is not known here"
            )
        self._find_rotation()
        if fast and self.device.type == "cpu":
            self._speed_up(expected)

    def _speed_up(self, expected: torch.Tensor) -> None:
        """The lean path where there is one, if the logits stay; the network's own weights go then."""
        try:
            self._lean = lean.build(self._network)
            fits = self._lean is not None and self._close(expected, self.probe())
        except Exception:  # something about this model is not as in its family
            fits = False
        if fits:
            self.path = "lean"
            self._network = None
        else:
            self._lean = None

    def _close(self, expected: torch.Tensor, given: torch.Tensor) -> bool:
        if not torch.isfinite(given).all():
            return False
        spread = expected.std().clamp_min(1e-6)
        tolerance = _TOLERANCE[self.geometry.dtype]
        if self.dtype == "float32":
            return bool((expected - given).abs().max() <= tolerance * spread)
        return bool((expected - given).square().mean().sqrt() <= tolerance * spread)

    def _probe_ids(self) -> torch.Tensor:
        """Random ids; enough to reach beyond a sliding window where that is affordable."""
        generator = torch.Generator().manual_seed(1)
        window = getattr(self._config, "sliding_window", None) or 0
        length = 24 + (window if window <= 512 else 0)
        length = min(length, (self.max_context or length + 1) - 1)
        return torch.randint(0, self.vocabulary, (length,), generator=generator).to(self.device)

    def probe(self) -> torch.Tensor:
        """Logits of the probe, read in the three ways that there are: as a chunk, as a chunk behind one, and as rows in place and
        in the arena."""
        ids = self._probe_ids().tolist()
        pool = Pool(self.geometry, limit=1 << 40, keep=0)
        tails = TailArena(pool)
        me = object()
        found: list[torch.Tensor] = []
        third = len(ids) // 3
        tip = pool.extend(PrefixEnd(pool.root, 0), ids[:third], me, room=len(ids))
        segment = tip.segment

        def run(step: Step) -> None:
            logits = self.forward(step, range(len(step.ids)))
            assert logits is not None
            found.append(logits)

        run(Step([Chunk(ids[:third], segment, 0)], [], tails, None))
        segment.ids.extend(ids[third:-2])
        run(Step([Chunk(ids[third:-2], segment, third)], [], tails, None))
        at = len(ids) - 2
        segment.ids.append(ids[at])
        run(Step([], [Row(ids[at], at, (View(segment, 0, at + 1),), segment, at)], tails, None))
        slot = tails.open()
        run(Step([], [Row(ids[at + 1], at + 1, (View(segment, 0, at + 1),), None, 0, slot)], tails, None))
        return torch.cat(found)

    def _find_rotation(self) -> None:
        """Whether positions can be shifted by rotating queries: tried with a key at one place, and shifted to another."""
        rotary = getattr(self._network.base_model, "rotary_emb", None)
        frequencies = getattr(rotary, "inv_freq", None)
        if not isinstance(frequencies, torch.Tensor):
            return
        self.rotate = _rotation(frequencies.float())
        ids = self._probe_ids().tolist()
        half, shift = len(ids) // 2, 5
        seen: list[torch.Tensor] = []
        try:
            for moved in (0, shift):
                pool = Pool(self.geometry, limit=1 << 40, keep=0)
                me, tails = object(), TailArena(pool)
                tip = pool.join((), 0 if moved else shift)
                first = pool.extend(tip, ids[:half], me).segment
                self.forward(Step([Chunk(ids[:half], first, 0)], [], tails, self.rotate), [])
                first.ready = half
                joined = pool.join((View(first, 0, half, moved),), shift + half)
                second = pool.extend(joined, ids[half:], me).segment
                chunk = Chunk(ids[half:], second, 0)
                logits = self.forward(Step([chunk], [], tails, self.rotate), range(len(ids) - half))
                assert logits is not None
                seen.append(logits)
        except Exception:
            self.rotate = None
            return
        if not self._close(seen[0], seen[1]):
            self.rotate = None


def _rotation(frequencies: torch.Tensor) -> Rotate:
    """A pure rotation, without the scaling that some position schemes add to cos and sin: it is in the query already."""

    def rotate(q: torch.Tensor, shift: int) -> torch.Tensor:
        half = frequencies.shape[0]
        angle = frequencies * -shift
        cos, sin = angle.cos().to(q.device), angle.sin().to(q.device)
        one, two, rest = q[..., :half].float(), q[..., half : 2 * half].float(), q[..., 2 * half :]
        turned = torch.cat([one * cos - two * sin, two * cos + one * sin], -1)
        return torch.cat([turned.to(q.dtype), rest], -1)

    return rotate


def _geometry(network: Any, ids: torch.Tensor) -> Geometry:
    """The KV's shape, from a cache that the model filled. Raises ValueError where layers differ or are no plain KV."""
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


def _has_experts(network: Any) -> bool:
    config = network.config.get_text_config(decoder=True)
    return any(
        getattr(config, name, None) for name in ("num_experts", "num_local_experts", "n_routed_experts")
    )


def _choose_dtype(dtype: Dtype, folder: Path) -> torch.dtype:
    """`auto` is float32 for small models, bfloat16 for those whose weights take more than `_SMALL` bytes.

    A random Llama of 5.6M parameters, 500 tokens of context, one thread of a CPU with AMX, ms in float32 / bfloat16: one
    decoding step 3.9 / 4.7 at batch 1 and 23 / 16 at batch 16, reading the prompt 61 / 35. Plans are written at batch 1,
    where decoding counts most; and float32 gives the same tokens in any batch. Large models are bound by memory.
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
    """No progress bars while loading: they would tear a live display."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
