"""A GGUF file as a folder that transformers reads. It is made once and kept in the user's cache.

Reading a GGUF file with transformers takes many times as long as reading safetensors: 30 seconds of one core
for 135M parameters. So the weights are unpacked, and the folder is kept under the SHA-256 of the file.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from braid.engine.catalogue import converted_folder, file_sha256
from braid.engine.errors import EngineError, ModelFileError
from braid.engine.local.model.formats.gguf_header import GgufHeader, read_gguf_header
from braid.engine.local.model.formats.gguf_tokenizer import mend_split
from braid.engine.local.model.formats.quiet import quiet_transformers

_MARKER = "converted.json"
_FORMAT = 1
"""Raised when this code makes another folder of the same file."""
_PLAIN = {0: torch.float32, 1: torch.float16, 30: torch.bfloat16}
"""Types of ggml whose weights are plain numbers."""


def converted_gguf(path: Path) -> Path:
    """The folder of a GGUF file's model, made now or earlier.

    Weights are kept in the precision of the file where they are plain numbers, else in float16. That is more
    precise than any quantised type.

    Raises:
        ModelFileError: the file is damaged, or its parts do not fit together.
        EngineError: transformers cannot read this architecture, or the cache cannot be written.
        MissingPackageError: the package gguf is not installed.
    """
    header = read_gguf_header(path)
    digest = file_sha256(path)
    made_by = f"{_FORMAT} {version('transformers')} {version('gguf')}"
    folder = converted_folder(digest, sha256(made_by.encode()).hexdigest()[:8])
    if _is_whole(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as work:
            made = Path(work) / "model"
            made.mkdir()
            _convert(path, header, made)
            sizes = {file.name: file.stat().st_size for file in sorted(made.iterdir())}
            marker = {"source": path.name, "sha256": digest, "made_by": made_by, "files": sizes}
            (made / _MARKER).write_text(json.dumps(marker, indent=2), encoding="utf-8")
            if not _is_whole(folder):  # another process may have been quicker
                shutil.rmtree(folder, ignore_errors=True)
                made.replace(folder)
    except OSError as error:
        if not _is_whole(folder):
            raise EngineError(
                f"cannot keep the unpacked weights of {str(path)!r} in {str(folder.parent)!r}: {error}"
            ) from error
    return folder


def _is_whole(folder: Path) -> bool:
    """Whether a folder has all files, each with the size that it had when it was made."""
    try:
        sizes: dict[str, int] = json.loads((folder / _MARKER).read_bytes())["files"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _convert(path: Path, header: GgufHeader, folder: Path) -> None:
    """Write the model in `path` to `folder`, with transformers."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig

    home: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True, "trust_remote_code": False}
    try:
        with quiet_transformers():
            config: Any = AutoConfig.from_pretrained(path.parent, **home)
            _check_size(path, header, config)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                path.parent,
                config=config,
                dtype=_precision(header),
                quantization_config=GgufConfig(dequantize=True),
                output_loading_info=True,
                **home,
            )
            tokenizer: Any = AutoTokenizer.from_pretrained(path.parent, **home)
    except EngineError:
        raise
    except Exception as error:  # the file passed our check, and transformers raises whatever it meets
        reason = " ".join(str(error).split())[:500]
        raise ModelFileError(
            f"transformers cannot read the GGUF file {str(path)!r}, architecture {header.architecture!r} "
            f"({type(error).__name__}: {reason})"
        ) from error
    mend_split(tokenizer, header)
    network, loading = loaded
    if loading["missing_keys"]:
        some = ", ".join(sorted(loading["missing_keys"])[:3])
        raise ModelFileError(f"the GGUF file {str(path)!r} has no tensors for {some}")
    if not all(torch.isfinite(weight).all() for weight in network.parameters()):
        raise ModelFileError(f"the GGUF file {str(path)!r} has weights that are no numbers in float16")
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _precision(header: GgufHeader) -> torch.dtype:
    """Precision of the unpacked weights. Norms are float32 in most files, so they do not count."""
    kinds = {tensor.kind for tensor in header.tensors if len(tensor.shape) > 1}
    if kinds <= _PLAIN.keys():
        return max((_PLAIN[kind] for kind in kinds), key=lambda dtype: dtype.itemsize, default=torch.float32)
    return torch.float16


def _check_size(path: Path, header: GgufHeader, config: Any) -> None:
    """Refuse a file that describes a network much larger than its tensors, before memory is taken for it."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        network = AutoModelForCausalLM.from_config(config)
    described = sum(weight.numel() for weight in network.parameters())
    if described > 2 * header.elements:
        raise ModelFileError(
            f"the GGUF file {str(path)!r} describes a network of {described} weights, "
            f"and has {header.elements}"
        )
