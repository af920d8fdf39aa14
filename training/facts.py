"""The recorded figures of a model, and what its card is written with."""

from __future__ import annotations

import json
import platform
import textwrap
from pathlib import Path
from typing import Any

FACTS = "training.json"
"""File beside the weights with recipe, cost and measurements. The model's card is written from it."""


def read_training(folder: Path) -> dict[str, Any]:
    """Recipe and cost of the run that made the exported model in `folder`."""
    return json.loads((folder / FACTS).read_text(encoding="utf-8"))["training"]


def machine() -> str:
    """The class of this machine, as far as the system tells: processor name and matrix extensions."""
    name, flags = platform.machine(), ""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            field, _, value = line.partition(":")
            if field.strip() == "model name":
                name = value.strip()
            elif field.strip() == "flags":
                flags = ", AMX" if "amx_bf16" in value.split() else ""
    return f"{name}{flags}"


def paragraph(*sentences: str) -> str:
    """One paragraph of Markdown, wrapped."""
    return textwrap.fill(" ".join(sentences), 110, break_long_words=False, break_on_hyphens=False) + "\n"
