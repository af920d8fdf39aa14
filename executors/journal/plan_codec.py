"""Graph patches as text and back: every node with its expressions, exactly."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, Final, cast

from braid.executors import nodes
from braid.executors.graph import GraphPatch
from braid.executors.values import json_text

_RENAMED: Final = {"AllOf": "All", "AnyOf": "Any_"}
"""Tags of classes that were renamed. A tag stays for ever, since journals outlive the code."""

_PARTS: Final = [
    part
    for part in map(vars(nodes).__getitem__, nodes.__all__)
    if isinstance(part, type) and dataclasses.is_dataclass(part)
]
_TAGS: Final[dict[type[Any], str]] = {part: _RENAMED.get(part.__name__, part.__name__) for part in _PARTS}
"""The tag of each part of plans. It names no module, so that files may be moved."""

_CLASSES: Final = {part.__name__: part for part in _PARTS} | {tag: part for part, tag in _TAGS.items()}
_FIELDS: Final = {
    part: tuple((field.name, field.default) for field in dataclasses.fields(part)) for part in _PARTS
}
_KIND: Final = ""
_SETS: Final = frozenset({"tags"})


def dump_patch(patch: GraphPatch, *, running: Sequence[str] = ()) -> str:
    """A patch as text.

    Args:
        patch: The patch.
        running: The nodes that ran when it came, where replay depends on it.
    """
    data: dict[str, Any] = {"base": patch.base_version, "add": [_encode(node) for node in patch.add]}
    if patch.cancel:
        data["cancel"] = patch.cancel
    if patch.reason:
        data["reason"] = patch.reason
    if running:
        data["running"] = running
    return json_text(data)


def load_patch(text: str) -> tuple[GraphPatch, tuple[str, ...]]:
    """The patch that `dump_patch` wrote, and the nodes that ran when it came."""
    data = json.loads(text)
    patch = GraphPatch(
        base_version=data["base"],
        add=tuple(_decode(node) for node in data["add"]),
        cancel=tuple(data.get("cancel", ())),
        reason=data.get("reason", ""),
    )
    return patch, tuple(data.get("running", ()))


def _encode(value: Any) -> Any:
    kind = cast("type[Any]", type(value))
    fields = _FIELDS.get(kind)
    if fields is not None:
        data: dict[str, Any] = {_KIND: _TAGS[kind]}
        for name, default in fields:
            part = getattr(value, name)
            if part is not default and part != () and (part or name not in _SETS):
                data[name] = part if type(part) is str or type(part) is int else _encode(part)
        return data
    if kind is tuple:
        return [_encode(item) for item in value]
    if kind is frozenset:
        return sorted(value)
    return value


def _decode(data: Any) -> Any:
    if isinstance(data, list):
        return tuple(_decode(item) for item in cast("list[Any]", data))
    if not isinstance(data, dict):
        return data
    found = cast("dict[str, Any]", data)
    kind = _CLASSES.get(found[_KIND])
    if kind is None:
        raise ValueError(f"a plan with a {found[_KIND]!r}, which this version of Braid does not know")
    parts: dict[str, Any] = {}
    for name, default in _FIELDS[kind]:
        if name in found:
            part = _decode(found[name])
            parts[name] = frozenset(part) if name in _SETS else part
        elif default is dataclasses.MISSING and name not in _SETS:
            parts[name] = ()  # the only value without a default that is left out
    return kind(**parts)
