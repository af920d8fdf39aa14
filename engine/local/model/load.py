"""Loading a model from a folder or a GGUF file."""

from __future__ import annotations

from pathlib import Path

from braid.engine.errors import MissingPackageError
from braid.engine.local.model.facts import Dtype
from braid.engine.local.model.model import Model
from braid.engine.local.model.shipped import load_shipped


def load_model(folder: Path, *, dtype: Dtype = "auto", device: str = "cpu", fast: bool = True) -> Model:
    """Load the model in `folder`, which may be a GGUF file.

    The models that Braid ships need neither transformers nor a check: a test has compared these very files.
    transformers loads every other model, and every model at other options, and its logits are compared.

    Args:
        folder: a folder with a config, weights and a tokenizer, or a GGUF file.
        dtype: precision of weights and KV.
        device: where the model runs, as torch names it.
        fast: False leaves out what replaces the modules of transformers.

    Raises:
        ModelFileError: a file is damaged or lacks something.
        EngineError: transformers cannot load the model, or the model cannot run over segments.
        MissingPackageError: the model needs transformers, which is not installed.
    """
    if fast and device == "cpu" and dtype in ("auto", "float32"):
        model = load_shipped(folder)
        if model is not None:
            return model
    try:
        from braid.engine.local.model.formats import converted_gguf
        from braid.engine.local.model.hugging_face import load_checked
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "braid"):
            raise
        raise MissingPackageError(package, needed_by="other models", extra="local") from error
    if folder.is_file():
        folder = converted_gguf(folder)
    return load_checked(folder, dtype=dtype, device=device, fast=fast)
