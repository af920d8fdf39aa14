"""The size of values. A run refuses what is larger than it can write down.

A list that holds one list ten times is small in memory. Whatever walks through it (journals, comparisons,
JSON) finds ten lists. So parts count as often as they are reached. Each is looked at once all the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from pydantic import BaseModel

from braid.engine import BraidError

LARGEST_VALUE: Final = 4_000_000
"""Size of the largest value that a plan may build: its characters and bytes, and 8 for each of its items."""

LARGEST_RESULT: Final = 128 * 1024 * 1024
"""Size of the largest result of a tool, as far as that is no multiple of what it takes in memory."""

_ITEM: Final = 8
MOST_ITEMS: Final = LARGEST_VALUE // _ITEM
"""Items of the largest value that a plan may build."""

_SCALARS: Final = (str, int, float, bytes, bytearray, type(None))


class ValueTooLargeError(BraidError, ValueError):
    """A text or a value is larger than a run can handle. The message says what and the limit."""


def check_size(value: Any, what: str, *, result: bool = False) -> None:
    """Check that `value` is not too large.

    Args:
        value: Any value. One that contains itself counts as if it did not.
        what: What it is, for the message.
        result: Whether a tool made it, so that `LARGEST_RESULT` may hold.

    Raises:
        ValueTooLargeError: It is larger than `LARGEST_VALUE`.
    """
    if type(value) in (int, float, bool, type(None)):
        return
    size, in_memory = size_of(value)
    limit = LARGEST_RESULT if result and size <= 2 * in_memory else LARGEST_VALUE
    if size > limit:
        raise ValueTooLargeError(
            f"{what} is too large: it has a size of {size}, and the limit is {limit} characters, where each"
            " item of a list or a record counts as 8; select what is needed"
        )


def size_of(value: Any) -> tuple[int, int]:
    """The size of `value`, and what the size would be if parts that are reached twice counted once."""
    known: dict[int, int] = {}
    opened: dict[int, tuple[int, list[Any]]] = {}
    stack = [value]
    in_memory = 0
    while stack:
        top = stack.pop()
        key = id(top)
        if key in known:
            continue
        if key in opened:
            own, inner = opened[key]
            known[key] = own + sum([known.get(id(part), 0) for part in inner])
            continue
        own, inner = _opened(top)
        in_memory += own
        if inner:
            opened[key] = own, inner
            stack.append(top)
            stack += [part for part in inner if id(part) not in opened]
        else:
            known[key] = own
    return known[id(value)], in_memory


def _opened(value: Any) -> tuple[int, list[Any]]:
    """The size of a value with its scalar parts, and its other parts."""
    if issubclass(type(value), _SCALARS):
        return _scalar_size(value), []
    size, inner = _ITEM, cast("list[Any]", [])
    for part in _parts(value):
        kind = cast("type[Any]", type(part))
        if kind is str:
            size += _ITEM + len(part)
        elif kind is int:
            size += _ITEM + part.bit_length() // 4
        elif kind is float or kind is bool:
            size += _ITEM
        elif issubclass(kind, _SCALARS):
            size += _scalar_size(part)
        else:
            inner.append(part)
    return size, inner


def _scalar_size(value: Any) -> int:
    if isinstance(value, (str, bytes, bytearray)):
        return _ITEM + len(value)
    return _ITEM + value.bit_length() // 4 if isinstance(value, int) else _ITEM


def _parts(value: Any) -> Iterable[Any]:
    """The values inside `value`."""
    kind = cast("type[Any]", type(value))
    if kind is dict:
        return [*value, *value.values()]
    try:
        if issubclass(kind, (list, tuple, set, frozenset)):
            return list(value)
        if issubclass(kind, Mapping):
            return [*value.keys(), *value.values()]
        if issubclass(kind, BaseModel):
            return [*value.__dict__.values(), *(value.__pydantic_extra__ or {}).values()]
        if dataclasses.is_dataclass(kind):
            return [getattr(value, field.name, None) for field in dataclasses.fields(kind)]
    except Exception:  # a thread changes it just now, or its type is others' code
        return []
    return []
