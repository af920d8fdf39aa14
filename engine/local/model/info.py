"""Facts about a local engine, and its default memory."""

from __future__ import annotations

from pathlib import Path

import torch

from braid.engine.local.model.model import Model
from braid.engine.system import memory
from braid.engine.types import Capability, EngineInfo

_CAPABILITIES: frozenset[Capability] = frozenset(
    {
        "token_ids",
        "logprobs",
        "prompt_logprobs",
        "cut",
        "text_join",
        "kv_join",
        "native_n",
        "penalties",
        "seed",
        "adapters",
    }
)


def describe(model: Model, *, name: str, threads: int, memory_bytes: int) -> EngineInfo:
    """The facts about an engine on `model`, which was asked for as `name`."""
    further: set[Capability] = set()
    if model.codec.has_template:
        further.add("chat")
    if model.grammars is not None:
        further.add("grammar")
    details = {
        "threads": str(threads),
        "dtype": model.dtype,
        "device": model.device.type,
        "parameters": str(model.parameters),
        "path": model.decoder.path,
        "kv_limit_bytes": str(memory_bytes),
        "grammar": model.grammars.version if model.grammars else f"none: {model.no_grammars}",
    }
    if model.prompt_style is not None:
        details["prompt_style"] = model.prompt_style
    return EngineInfo(
        uri=f"local:{name}",
        model=Path(name).name,
        max_context=model.max_context,
        capabilities=_CAPABILITIES | further,
        details=details,
        sampling_defaults=model.sampling_defaults,
    )


def default_memory(device: torch.device) -> int:
    """Half of the bytes that are free now, on the device or within the container's limit.

    At least 256 MiB.
    """
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        here = memory()
        free = min((size for size in (here.available, here.limit) if size is not None), default=2**30)
    return max(256 * 2**20, free // 2)
