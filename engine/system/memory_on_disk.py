"""Small facts that took long to find out, remembered in the user's cache.

A fact is written in one step and read with a checksum. What is damaged, or cannot be read or written, counts
as not known. So many processes may share it, and nothing depends on it but time.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from hashlib import sha256
from typing import Any

from braid.engine.system.folders import cache_folder


def recall(kind: str, *key: str) -> Any:
    """What was remembered under `key`. None where nothing is known."""
    try:
        digest, _, text = (cache_folder() / kind / _name(key)).read_text(encoding="utf-8").partition("\n")
        return json.loads(text) if sha256(text.encode()).hexdigest() == digest else None
    except (OSError, ValueError):
        return None


def remember(kind: str, *key: str, value: Any) -> None:
    """Remember `value`, which JSON can hold, under `key`: everything that it depends on."""
    text = json.dumps(value)
    with suppress(OSError):
        folder = cache_folder() / kind
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, path = tempfile.mkstemp(dir=folder)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(f"{sha256(text.encode()).hexdigest()}\n{text}")
            os.replace(path, folder / _name(key))  # noqa: PTH105
        except BaseException:
            os.unlink(path)  # noqa: PTH108
            raise


def _name(key: tuple[str, ...]) -> str:
    return f"{sha256(json.dumps(key).encode()).hexdigest()}.json"
