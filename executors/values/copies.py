"""Copies of values. The receiver of a copy may change it, and nobody else sees that.

A run keeps its values to itself. What a tool returns is copied. Inside the run that copy is shared, and
nothing changes it. It is copied once more for each tool, approval and caller that receives it.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import operator
import pathlib
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from pydantic import BaseModel

_FIXED: Final[frozenset[type]] = frozenset(
    {type(None), bool, int, float, complex, str, bytes, range, pathlib.PosixPath, pathlib.WindowsPath}
    | {datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone}
    | {decimal.Decimal, fractions.Fraction, uuid.UUID}
)
"""Types of values that nobody can change."""


def own_copy(value: Any) -> Any:
    """A deep copy of `value`, or `value` itself where nothing in it can be changed.

    What cannot be copied is shared: an open file, a lock, a generator, an object that holds one, lists in
    lists beyond some hundred levels. The copy holds it as it is. A class may define `__deepcopy__`.
    """
    if type(value) in _FIXED:
        return value
    try:
        return _copied(value, {})
    except RuntimeError:  # it is nested too deeply, or a thread changes it just now
        return value


def own_copies(args: Mapping[str, Any]) -> dict[str, Any]:
    """Each argument by itself, so that two of them share nothing."""
    return {name: own_copy(value) for name, value in args.items()}


def _copied(value: Any, made: dict[int, Any]) -> Any:
    """A fast `copy.deepcopy` for plain data. `made` holds the copies by the `id` of the original."""
    kind = cast("type[Any]", type(value))
    if kind in _FIXED:
        return value
    if id(value) in made:
        return made[id(value)]
    if kind is list:
        items = made[id(value)] = cast("list[Any]", [])
        items.extend([item if type(item) in _FIXED else _copied(item, made) for item in value])
        return items
    if kind is dict:
        pairs = made[id(value)] = cast("dict[Any, Any]", {})
        pairs.update({k: item if type(item) in _FIXED else _copied(item, made) for k, item in value.items()})
        return pairs
    if kind is tuple:
        parts = [item if type(item) in _FIXED else _copied(item, made) for item in value]
        made[id(value)] = value if all(map(operator.is_, parts, value)) else tuple(parts)
        return made[id(value)]
    before = len(made)
    try:
        found = value if _is_fixed(value, {}) else copy.deepcopy(value, made)
    except Exception:  # whatever the code of its type raises
        found = value
    if type(found) is not kind:  # the object hands `__deepcopy__` on to another one
        found = value
    if found is value:
        while len(made) > before:
            made.popitem()  # the copy was given up, and parts of it may be half made
    made[id(value)] = found
    return found


def _is_fixed(value: Any, known: dict[int, bool]) -> bool:
    """Whether nothing in `value` can be changed: enums, and frozen kinds that hold only such.

    `known` holds what was found out, by the `id` of the value.
    """
    kind = cast("Any", type(value))
    if kind in _FIXED or issubclass(kind, enum.Enum):
        return True
    if id(value) in known:
        return known[id(value)]
    frozen_data = "__dataclass_params__" in kind.__dict__ and kind.__dataclass_params__.frozen
    parts: Iterable[Any]
    if issubclass(kind, (tuple, frozenset)) and not kind.__dictoffset__:
        parts = value
    elif issubclass(kind, BaseModel) and kind.model_config.get("frozen") and not value.__pydantic_private__:
        parts = [*value.__dict__.values(), *(value.__pydantic_extra__ or {}).values()]
    elif frozen_data:
        named = [getattr(value, field.name) for field in dataclasses.fields(value)]
        parts = [*named, *getattr(value, "__dict__", {}).values()]  # what it caches is not in a field
    else:
        return False
    found = known[id(value)] = all(_is_fixed(part, known) for part in parts)
    return found
