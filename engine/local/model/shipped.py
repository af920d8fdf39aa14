"""The models that Braid ships, loaded without transformers and without a check at every start.

`models/checked.json` holds the SHA-256 of each model's files. A test compares what these files give with what
transformers makes of them. Files with other hashes go the general way.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load
from tokenizers import Tokenizer

from braid.engine.local.kv import Geometry, LayerShape
from braid.engine.local.model.facts import (
    add_grammars,
    count_vocabulary,
    find_end_ids,
    make_probe_ids,
    make_rotation,
    read_prompt_style,
    read_sampling_defaults,
)
from braid.engine.local.model.lean import LeanDecoder, Rotary, Shape
from braid.engine.local.model.model import Model
from braid.engine.local.model.tokenizer import TextCodec

FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "model.safetensors",
)
"""The files that say what a model computes, the smallest first."""
_CHECKED = resources.files("braid.engine.local") / "models" / "checked.json"


def load_shipped(folder: Path) -> Model | None:
    """The model in `folder` in float32 on the CPU. None where its files are not those of a shipped model."""
    content = _read(folder)
    if content is None:
        return None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the work is small, and helpers would have to be started for it
    try:
        return _build(folder, content)
    finally:
        torch.set_num_threads(threads)


def _build(folder: Path, content: dict[str, bytes]) -> Model:
    config, generation, tokens = (
        SimpleNamespace(**json.loads(content[name]))
        for name in ("config.json", "generation_config.json", "tokenizer_config.json")
    )
    tokenizer = _Tokenizer(content["tokenizer.json"], tokens.eos_token)
    vocabulary = count_vocabulary(tokenizer, config)
    with torch.inference_mode():
        weights = {name: weight.float() for name, weight in load(content["model.safetensors"]).items()}
        frequencies = _frequencies(config)
        model = Model(
            name=config.architectures[0],
            codec=TextCodec(tokenizer, vocabulary),
            end_ids=find_end_ids(generation, tokenizer),
            prompt_style=read_prompt_style(folder, config),
            vocabulary=vocabulary,
            max_context=config.max_position_embeddings,
            parameters=sum(weight.numel() for weight in weights.values()),
            device=torch.device("cpu"),
            geometry=Geometry(
                (LayerShape(config.num_key_value_heads, config.head_dim, config.head_dim),)
                * config.num_hidden_layers,
                torch.float32,
                torch.device("cpu"),
            ),
            probe_ids=make_probe_ids(config),
            decoder=LeanDecoder(_shape(config), weights, _rotary(frequencies)),
            rotate=make_rotation(frequencies),
            sampling_defaults=read_sampling_defaults(generation),
            threads=1,
        )
    add_grammars(model, tokenizer)
    return model


def _read(folder: Path) -> dict[str, bytes] | None:
    """The content of a shipped model's files. None at the first file in `folder` that is another one."""
    checked: list[dict[str, str]] = list(json.loads(_CHECKED.read_bytes()).values())
    content: dict[str, bytes] = {}
    for name in FILES:
        try:
            content[name] = (folder / name).read_bytes()
        except OSError:
            return None
        found = sha256(content[name]).hexdigest()
        checked = [hashes for hashes in checked if hashes[name] == found]
        if not checked:
            return None
    return content


def _shape(config: Any) -> Shape:
    return Shape(
        dim=config.head_dim,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        epsilon=config.rms_norm_eps,
        windows=(None,) * config.num_hidden_layers,
        scale=config.head_dim**-0.5,
    )


def _frequencies(config: Any) -> torch.Tensor:
    """Angle by which each pair of a head's dimensions turns from one position to the next."""
    places = torch.arange(0, config.head_dim, 2, dtype=torch.int64).float()
    return 1.0 / (config.rope_parameters["rope_theta"] ** (places / config.head_dim))


def _rotary(frequencies: torch.Tensor) -> Rotary:
    def rotary(x: torch.Tensor, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        angles = positions[:, None].float() * frequencies
        angles = torch.cat([angles, angles], -1)
        return angles.cos(), angles.sin()

    return rotary


class _Tokenizer:
    """What `TextCodec` and grammars need of a tokenizer of transformers, for one without a chat template."""

    chat_template = None
    bos_token = None
    all_special_tokens: Sequence[str] = ()
    """None beside those among `added_tokens_decoder`."""

    def __init__(self, content: bytes, eos_token: str) -> None:
        self.backend_tokenizer = Tokenizer.from_buffer(content)
        self._splitting = Tokenizer.from_buffer(content)
        self._splitting.encode_special_tokens = True  # a setting of the whole tokenizer
        self.added_tokens_decoder = self.backend_tokenizer.get_added_tokens_decoder()
        self.eos_token_id = self.backend_tokenizer.token_to_id(eos_token)

    def __len__(self) -> int:
        return self.backend_tokenizer.get_vocab_size()

    def get_vocab(self) -> dict[str, int]:
        return self.backend_tokenizer.get_vocab()

    def encode(
        self, text: str, *, add_special_tokens: bool, split_special_tokens: bool = False, verbose: bool
    ) -> list[int]:
        tokenizer = self._splitting if split_special_tokens else self.backend_tokenizer
        return tokenizer.encode(text, add_special_tokens=add_special_tokens).ids

    def decode(self, ids: list[int], *, skip_special_tokens: bool, clean_up_tokenization_spaces: bool) -> str:
        return self.backend_tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)
