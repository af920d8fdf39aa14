"""Text that can be written down: fast JSON, and text without halves of surrogate pairs."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import to_json


def json_text(data: Any) -> str:
    """Plain data as compact JSON. Raises `ValueError` or `TypeError` for what is not plain."""
    try:
        return to_json(data).decode()
    except ValueError:  # half a surrogate pair, which a tool or a model may well write
        return json.dumps(data, separators=(",", ":"))


def whole_text(text: str) -> str:
    """`text` with U+FFFD for each half of a surrogate pair. Such halves have no place in UTF-8.

    They come from bytes of a command line that are no text, and from JSON that was cut.
    """
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
