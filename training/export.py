"""Export: a folder that transformers and `connect("local:...")` load unmodified."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen3ForCausalLM,
)

from braid.engine import BraidError

MAX_BYTES = 12 * 1024 * 1024
"""Largest size of weights and tokenizer together."""


class ExportError(BraidError):
    """A folder holds no model, or another one than was exported."""


def export(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    *,
    prompt_style: str | None = "compact-results",
) -> None:
    """Write bfloat16 weights, configuration and tokenizer to `folder`, and load them again as a check.

    `prompt_style` is the form of prompt that an engine's user has to write for this model.

    Raises:
        ExportError: The folder is over `MAX_BYTES`, or what is loaded back differs from what was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    half = copy.deepcopy(model).bfloat16()
    half.config.dtype = torch.bfloat16
    if prompt_style is not None:
        half.config.prompt_style = prompt_style
    half.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=640,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    half.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for path in folder.iterdir():
        # safetensors files are written for their owner alone. A model is for all who use the machine.
        path.chmod(0o644)
    check(folder, half)


def check(folder: Path, model: Qwen3ForCausalLM) -> None:
    """Compare the weights in `folder` with `model` rounded to bfloat16, and check the folder's size.

    Raises:
        ExportError: The folder is over `MAX_BYTES`, or its weights or tokenizer differ.
    """
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    if size > MAX_BYTES:
        raise ExportError(
            f"{folder} takes {size} bytes, more than the {MAX_BYTES} allowed; make the model smaller"
        )
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        stored = set(file.keys())
        kinds = {file.get_tensor(name).dtype for name in model.state_dict() if name in stored}
    if kinds != {torch.bfloat16}:
        raise ExportError(f"{folder} holds weights of {kinds}; bfloat16 alone was expected")
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    theirs = loaded.state_dict()
    for name, weight in model.state_dict().items():
        if not torch.equal(weight.to(torch.bfloat16), theirs[name]):
            raise ExportError(f"{name} is not the same after loading {folder}")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.eos_token_id != model.config.eos_token_id:
        raise ExportError(
            f"the tokenizer ends with {tokenizer.eos_token_id}, the model with {model.config.eos_token_id}"
        )
