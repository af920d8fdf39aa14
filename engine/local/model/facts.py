"""What a model's files and tokenizer say about it, whoever loads the weights."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import torch

from braid.engine.errors import EngineError, InvalidParamsError
from braid.engine.local.attention import Rotate
from braid.engine.local.model.grammar import Grammars
from braid.engine.local.model.model import Model
from braid.engine.types import SamplingParams

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_SMALL = 500 * 2**20
"""Bytes of weights up to which `auto` is float32."""


def choose_dtype(dtype: Dtype, folder: Path) -> torch.dtype:
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


def read_prompt_style(folder: Path, config: Any) -> str | None:
    """The prompt style that the model was trained for, from `braid.json` in its folder or from its config."""
    style = getattr(config, "prompt_style", None)
    note = folder / "braid.json"
    if note.is_file():
        style = json.loads(note.read_text(encoding="utf-8")).get("prompt_style", style)
    return style


def find_end_ids(generation_config: Any, tokenizer: Any) -> frozenset[int]:
    """The token ids that end a completion."""
    ends = generation_config.eos_token_id
    ids = {ends} if isinstance(ends, int) else set(ends or ())
    if tokenizer.eos_token_id is not None:
        ids.add(tokenizer.eos_token_id)
    return frozenset(ids)


def read_sampling_defaults(config: Any) -> dict[str, float]:
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


def count_vocabulary(tokenizer: Any, config: Any) -> int:
    """Number of ids that are both in the tokenizer and in the logits, which are often padded."""
    return min(config.vocab_size, max(tokenizer.get_vocab().values(), default=-1) + 1)


def make_probe_ids(config: Any, *, beyond_window: bool = False) -> torch.Tensor:
    """Random ids, enough to reach beyond a sliding window where that is asked for and affordable."""
    generator = torch.Generator().manual_seed(1)
    window = (beyond_window and getattr(config, "sliding_window", None)) or 0
    longest = getattr(config, "max_position_embeddings", None)
    length = 24 + (window if window <= 512 else 0)
    length = min(length, (longest or length + 1) - 1)
    return torch.randint(0, config.vocab_size, (length,), generator=generator)


def make_rotation(frequencies: torch.Tensor) -> Rotate:
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


def add_grammars(model: Model, tokenizer: Any) -> None:
    """Give `model` its grammars, or the reason why it has none."""
    try:
        model.grammars = Grammars(tokenizer, vocabulary=model.vocabulary, end_ids=sorted(model.end_ids))
    except EngineError as error:
        model.no_grammars = str(error)
