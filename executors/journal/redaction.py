"""What must never reach the journal: keys and passwords of the environment, and values of arguments that are secret."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from braid.executors.journal.plan_codec import REDACTED
from braid.executors.tools import ToolSpec

_NAMES: Final = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASS|CREDENTIALS?|AUTH)(_|$)")
_IN_ADDRESS: Final = re.compile(r"://[^\s/:@]*:([^\s/@]+)@")
_LEAST: Final = 8
"""A shorter value of a variable is no secret: replacing it would spoil ordinary text."""


class Secrets:
    """Takes secrets out of text. Knows those of the environment; `learn` adds others."""

    def __init__(self, values: Iterable[str] | None = None) -> None:
        self._known: list[str] = []
        for value in secrets_of(os.environ) if values is None else values:
            self.learn(value)

    def __bool__(self) -> bool:
        return bool(self._known)

    def learn(self, value: str) -> list[str]:
        """Take `value` out of all text from now on; returns the forms in which it may stand in text that was written before."""
        if not value:
            return []
        forms = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
        self._known = sorted({*self._known, *forms}, key=len, reverse=True)
        return sorted(forms, key=len, reverse=True)

    def cleaned(self, text: str) -> str:
        """`text` without the secrets; the same object where there are none."""
        for value in self._known:
            if value in text:
                text = text.replace(value, REDACTED)
        return text


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """The values of variables whose names say that they are secret, such as `OPENAI_API_KEY`, and passwords in addresses."""
    named = [value.strip() for name, value in environment.items() if _NAMES.search(name.upper())]
    in_addresses = [found for value in environment.values() for found in _IN_ADDRESS.findall(value)]
    return [value for value in (*named, *in_addresses) if len(value) >= _LEAST]


def secret_arguments(specs: Iterable[ToolSpec]) -> dict[str, frozenset[str]]:
    """The arguments of each tool that are annotated as secret (`pydantic.SecretStr`, `SecretBytes`), by the tool's name."""
    found: dict[str, frozenset[str]] = {}
    for spec in specs:
        properties: Mapping[str, Any] = spec.parameters.get("properties", {})
        names = frozenset(name for name, schema in properties.items() if _is_secret(schema))
        if names:
            found[spec.name] = names
    return found


def _is_secret(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    found = cast("dict[str, Any]", schema)
    if found.get("format") == "password" or found.get("writeOnly") is True:
        return True
    return any(_is_secret(option) for key in ("anyOf", "oneOf", "allOf") for option in found.get(key, ()))
