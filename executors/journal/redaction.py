"""Redaction: secrets of the environment and values of secret arguments never reach the journal."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from braid.executors.nodes import Const, Expr, Map, Node, ToolCall
from braid.executors.tools import ToolSpec

REDACTED: Final = "[secret]"
"""What stands in the place of a secret."""

_NAMES: Final = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASS|CREDENTIALS?|AUTH)(_|$)")
_IN_ADDRESS: Final = re.compile(r"://[^\s/:@]*:([^\s/@]+)@")
_MIN_LENGTH: Final = 8
"""Least length of a secret. Replacing shorter values would spoil ordinary text."""


class Secrets:
    """Secrets that are taken out of text.

    Args:
        values: The secrets. Those of the environment unless given.
    """

    def __init__(self, values: Iterable[str] | None = None) -> None:
        self._known: list[str] = []
        for value in secrets_of(os.environ) if values is None else values:
            self.add(value)

    def __bool__(self) -> bool:
        return bool(self._known)

    def add(self, value: str) -> list[str]:
        """Take `value` out of all text from now on.

        Returns:
            The forms in which it may stand in text that was written before, longest first.
        """
        if not value:
            return []
        forms = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
        self._known = sorted({*self._known, *forms}, key=len, reverse=True)
        return sorted(forms, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """`text` without the secrets. The same object where there are none."""
        for value in self._known:
            if value in text:
                text = text.replace(value, REDACTED)
        return text


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Values of variables with a secret name, such as `OPENAI_API_KEY`, and passwords in addresses."""
    named = [value.strip() for name, value in environment.items() if _NAMES.search(name.upper())]
    in_addresses = [found for value in environment.values() for found in _IN_ADDRESS.findall(value)]
    return [value for value in (*named, *in_addresses) if len(value) >= _MIN_LENGTH]


def secret_arguments(specs: Iterable[ToolSpec]) -> dict[str, frozenset[str]]:
    """Names of each tool's arguments that are annotated as secret: `pydantic.SecretStr`, `SecretBytes`."""
    found: dict[str, frozenset[str]] = {}
    for spec in specs:
        properties: Mapping[str, Any] = spec.parameters.get("properties", {})
        names = frozenset(name for name, schema in properties.items() if _is_secret(schema))
        if names:
            found[spec.name] = names
    return found


def without_secrets(node: Node, secret: Mapping[str, frozenset[str]]) -> tuple[Node, list[str]]:
    """`node` without the literal values of secret arguments, and these values.

    Args:
        node: A node of a plan.
        secret: The names of secret arguments, by tool.
    """
    op = node.op.body if isinstance(node.op, Map) else node.op
    if not isinstance(op, ToolCall) or op.tool not in secret:
        return node, []
    names = secret[op.tool]
    found: list[str] = []
    args: list[tuple[str, Expr]] = []
    for name, expr in op.args:
        if name in names and isinstance(expr, Const):
            found.append(str(expr.value))
            expr = Const(REDACTED)
        args.append((name, expr))
    if not found:
        return node, []
    body = dataclasses.replace(op, args=tuple(args))
    whole = dataclasses.replace(node.op, body=body) if isinstance(node.op, Map) else body
    return dataclasses.replace(node, op=whole), found


def _is_secret(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    found = cast("dict[str, Any]", schema)
    if found.get("format") == "password" or found.get("writeOnly") is True:
        return True
    return any(_is_secret(option) for key in ("anyOf", "oneOf", "allOf") for option in found.get(key, ()))
