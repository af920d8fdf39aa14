"""Secret arguments in plans: their literal values never reach the journal.

`braid.executors.values.secrets` takes secrets out of everything else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from braid.executors.nodes import Const, Expr, Map, Node, ToolCall
from braid.executors.tools import ToolSpec
from braid.executors.values import REDACTED, is_secret


def secret_arguments(specs: Iterable[ToolSpec]) -> dict[str, frozenset[str]]:
    """Names of each tool's arguments that are annotated as secret: `pydantic.SecretStr`, `SecretBytes`."""
    found: dict[str, frozenset[str]] = {}
    for spec in specs:
        properties: Mapping[str, Any] = spec.parameters.get("properties", {})
        names = frozenset(name for name, schema in properties.items() if is_secret(schema))
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
