"""A Hugging Face folder: its network, with every weight from its files, and its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from braid.engine.errors import EngineError, ModelFileError
from braid.engine.local.model.formats.quiet import quiet_transformers

_SHOWN = 3
"""Most tensors that an error names."""


def load_folder(folder: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """The network and the tokenizer in `folder`: safetensors or pickled weights, in one file or several.

    No code of the folder runs. Pickled weights are read as weights only.

    Raises:
        ModelFileError: a file is damaged, a tensor is missing, or its shape does not fit the configuration.
        EngineError: transformers cannot load such a model.
    """
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet_transformers():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                weights_only=True,
                # transformers would fill what is missing with random numbers. It is refused below.
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **options,
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise EngineError(f"cannot load a causal language model from {str(folder)!r}: {error}") from error
    except Exception as error:  # readers of damaged files raise whatever they meet
        reason = " ".join(str(error).split())[:500]
        raise ModelFileError(
            f"a file of the model in {str(folder)!r} is damaged ({type(error).__name__}: {reason})"
        ) from error
    network, report = loaded
    _check_report(folder, report)
    return network, tokenizer


def _check_report(folder: Path, report: dict[str, Any]) -> None:
    """Refuse a network of which transformers did not find every weight."""
    missing, misfits = sorted(report["missing_keys"]), sorted(report["mismatched_keys"])
    if missing:
        some = ", ".join(missing[:_SHOWN])
        raise ModelFileError(f"the weights in {str(folder)!r} lack {len(missing)} tensors: {some}")
    if misfits:
        name, found, expected = misfits[0]
        raise ModelFileError(
            f"{len(misfits)} tensors in {str(folder)!r} do not fit its config.json: "
            f"{name} has the shape {tuple(found)}, expected {tuple(expected)}"
        )
