"""Fast JSON."""

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
