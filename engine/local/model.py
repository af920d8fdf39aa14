"""A Hugging Face causal LM: loading it, and running it over tokens with a KV cache."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.utils import logging as transformers_logging

from engine.errors import EngineError
from engine.local.grammar import Grammars
from engine.local.kv import LayerKV, Segment
from engine.local.text import TextCodec

Dtype = Literal["auto", "float32", "bfloat16"]
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_SMALL = 500 * 2**20


class Model:
    """The model, its tokenizer and the facts about it that the engine goes by. Runs on the CPU."""

    def __init__(self, network: Any, codec: TextCodec, *, end_ids: frozenset[int], prompt_style: str | None):
        self._network = network
        self.codec = codec
        self.end_ids = end_ids
        self.prompt_style = prompt_style
        config = network.config.get_text_config(decoder=True)
        self.vocabulary: int = config.vocab_size
        self.max_context: int | None = getattr(config, "max_position_embeddings", None)
        self.parameters: int = sum(p.numel() for p in network.parameters())
        self.dtype = str(network.dtype).removeprefix("torch.")
        self.grammars: Grammars | None = None
        self.no_grammars = ""
        """Why there are no grammars."""

    @classmethod
    def load(cls, folder: Path, *, dtype: Dtype) -> Model:
        """Load from `folder`. Raises `EngineError` when transformers cannot, or the model keeps no plain KV cache."""
        try:
            with _quiet():
                network = AutoModelForCausalLM.from_pretrained(
                    folder, dtype=_choose_dtype(dtype, folder), local_files_only=True
                )
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise EngineError(f"cannot load a causal language model from {str(folder)!r}: {error}") from error
        network.eval()
        codec = TextCodec(tokenizer, network.config.get_text_config(decoder=True).vocab_size)
        ends = network.generation_config.eos_token_id
        end_ids = {ends} if isinstance(ends, int) else set(ends or ())
        if tokenizer.eos_token_id is not None:
            end_ids.add(tokenizer.eos_token_id)
        model = cls(
            network, codec, end_ids=frozenset(end_ids), prompt_style=_prompt_style(folder, network.config)
        )
        model._probe()
        try:
            model.grammars = Grammars(tokenizer, vocabulary=model.vocabulary, end_ids=sorted(end_ids))
        except EngineError as error:
            model.no_grammars = str(error)
        return model

    def cache(self, segment: Segment | None, rows: int = 1) -> DynamicCache:
        """A cache that begins with the KV of `segment`, the same in each of `rows` rows."""
        if segment is None:
            return DynamicCache()
        layers = [(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in segment.dense()]
        return DynamicCache(ddp_cache_data=layers)

    def read(self, ids: Sequence[int], cache: DynamicCache) -> None:
        """Add the KV of `ids` to a cache of one row."""
        self._network.base_model(input_ids=torch.tensor([ids]), past_key_values=cache, use_cache=True)

    def logits(self, ids: Sequence[Sequence[int]], cache: DynamicCache) -> torch.Tensor:
        """Read `ids` [rows, tokens] on top of `cache`, which grows; logits for all of them.

        float32 [rows, tokens, vocabulary].
        """
        return self._network(
            input_ids=torch.tensor(ids), past_key_values=cache, use_cache=True
        ).logits.float()

    @staticmethod
    def layers(cache: DynamicCache, row: int, start: int, end: int) -> tuple[LayerKV, ...]:
        """A copy of the KV of one row, tokens `start` to `end`."""
        found: list[LayerKV] = []
        window = (slice(row, row + 1), slice(None), slice(start, end))
        for layer in cache.layers:
            assert isinstance(layer, DynamicLayer) and layer.keys is not None and layer.values is not None
            found.append((layer.keys[window].clone(), layer.values[window].clone()))
        return tuple(found)

    @torch.inference_mode()
    def _probe(self) -> None:
        """Refuse models whose state is more than keys and values per token: those cannot be forked and cut.

        Three tokens at once must give what the third gives on top of the kept KV of two.
        """
        name = type(self._network).__name__
        ids = [token % self.vocabulary for token in (1, 2, 3)]
        cache = DynamicCache()
        try:
            whole = self.logits([ids], cache)[0, -1]
            plain = bool(cache.layers) and all(type(layer) is DynamicLayer for layer in cache.layers)
            if plain:
                kept = Segment(None, tuple(ids[:2]), self.layers(cache, 0, 0, 2))
                last = self.logits([ids[2:]], self.cache(kept))[0, -1]
                # In bfloat16 rounding alone may move an expert's choice, so only float32 is compared.
                plain = self.dtype != "float32" or torch.allclose(whole, last, rtol=1e-2, atol=1e-2)
        except Exception as error:
            raise EngineError(f"{name} does not run with a plain key-value cache: {error}") from error
        if not plain:
            raise EngineError(
                f"{name} keeps more state than keys and values per token; its contexts cannot be forked and cut"
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
