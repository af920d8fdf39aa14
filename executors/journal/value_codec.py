"""Typed values as text and back: what a tool returned is restored as what it was.

Plain JSON stands for itself. Everything else is an object with the key `$`, which names its kind. Models,
dataclasses, enums and named tuples are stored field by field under the name of their type. They are restored
without running their constructors. The name of Braid's own types is a tag
(`braid.executors.values.type_tags`), and that of others is `module:qualified.name`. What cannot be stored,
such as an open file, an array or a secret, is stored as text that says so. `load_value` raises
`LostValueError` for it.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import fractions
import importlib
import json
import math
import pathlib
import sys
import uuid
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final, cast

from pydantic import BaseModel, SecretBytes, SecretStr

from braid.engine import BraidError
from braid.executors.values import EARLIER, HOMES, check_size, is_own, json_text, preview, tag_of

MAX_CHARS: Final = 256 * 1024 * 1024
"""Most characters of a value's text. A longer one is not stored."""

_BIG: Final = 12_000
"""Whole numbers of more bits are stored in hexadecimal. Python refuses to print them in decimal."""

_TAG: Final = "$"


class LostValueError(BraidError):
    """A value could not be stored, or its type cannot be found. The message says which and why."""


@dataclasses.dataclass(frozen=True)
class StoredValue:
    """The text of a value."""

    text: str
    lost: str | None = None
    """Why the text is not the whole value, if it is not."""


class _CannotStore(Exception):
    pass


def dump_value(value: Any) -> StoredValue:
    """`value` as text for `load_value`. Never raises."""
    kind = cast("type[Any]", type(value))
    if value is None or kind is bool or (kind is int and -(1 << 63) <= value < 1 << 63):
        return StoredValue(json_text(value))
    try:
        check_size(value, "it", result=True)
        text = json_text(_encode(value))
        if len(text) > MAX_CHARS:
            raise _CannotStore(f"its text has {len(text)} characters; the limit is {MAX_CHARS}")
        return StoredValue(text)
    except _CannotStore as error:
        why = str(error)
    except RecursionError:
        why = "it is nested too deeply, or contains itself"
    except Exception as error:  # a user's properties and iterators may raise anything
        why = f"{type(error).__name__}: {error}"
    return StoredValue(json_text({_TAG: "lost", "why": why[:500], "text": preview(value)}), why)


def load_value(text: str) -> Any:
    """The value that `dump_value` stored.

    Raises:
        LostValueError: It was not stored whole, or a type of it cannot be imported or has changed.
    """
    return _decode(json.loads(text))


def was_stored(text: str) -> bool:
    """Whether `dump_value` stored the whole value, be it that this process can read it or not."""
    data = json.loads(text)
    return not (isinstance(data, dict) and cast("dict[str, Any]", data).get(_TAG) == "lost")


def readable_text(text: str) -> str:
    """Human-readable form of a stored value that cannot be restored."""
    data = json.loads(text)
    if isinstance(data, dict) and cast("dict[str, Any]", data).get(_TAG) == "lost":
        return str(cast("dict[str, Any]", data)["text"])
    return preview(text)


def _encode(value: Any) -> Any:
    kind = cast("type[Any]", type(value))
    plain = _PLAIN.get(kind)
    if plain is not None:
        return plain(value)
    special = _SPECIAL.get(kind)
    if special is not None:
        tag, write, _ = special
        return {_TAG: tag, "v": write(value)}
    if isinstance(value, (SecretStr, SecretBytes)):
        raise _CannotStore("secrets are never stored")
    if isinstance(value, enum.Enum):
        return {_TAG: "enum", "t": _name_of(kind), "v": _encode(value.value)}
    if isinstance(value, BaseModel):
        state: dict[str, Any] = value.__getstate__()
        return {_TAG: "model", "t": _name_of(kind), "v": {key: _encode(part) for key, part in state.items()}}
    if dataclasses.is_dataclass(cast("object", value)):
        fields = {f.name: _encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {_TAG: "data", "t": _name_of(kind), "v": fields}
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return {_TAG: "named", "t": _name_of(kind), "v": _items(cast("tuple[Any, ...]", value))}
    if isinstance(value, pathlib.PurePath):
        return {_TAG: "path", "v": str(value)}
    raise _CannotStore(f"a value of type {kind.__module__}.{kind.__qualname__} has no form in the journal")


def _int(value: int) -> Any:
    return value if value.bit_length() <= _BIG else {_TAG: "int", "v": hex(value)}


def _float(value: float) -> Any:
    return value if math.isfinite(value) else {_TAG: "float", "v": repr(value)}


def _list(value: list[Any]) -> Any:
    return [_encode(item) for item in value]


def _tuple(value: tuple[Any, ...]) -> Any:
    return {_TAG: "tuple", "v": [_encode(item) for item in value]}


def _dict(value: dict[Any, Any]) -> Any:
    if _TAG not in value and all(type(key) is str for key in value):
        return {key: _encode(item) for key, item in value.items()}
    return {_TAG: "dict", "v": _pairs(value)}


def _pairs(value: Mapping[Any, Any]) -> list[Any]:
    return [[_encode(key), _encode(item)] for key, item in value.items()]


def _items(value: Iterable[Any]) -> list[Any]:
    return [_encode(item) for item in value]


def _same(value: Any) -> Any:
    return value


_PLAIN: dict[type[Any], Callable[[Any], Any]] = {
    str: _same,
    bool: _same,
    type(None): _same,
    int: _int,
    float: _float,
    list: _list,
    tuple: _tuple,
    dict: _dict,
}


def _restored_dict(pairs: list[Any]) -> dict[Any, Any]:
    return {_decode(key): _decode(item) for key, item in pairs}


def _timedelta(parts: list[int]) -> datetime.timedelta:
    return datetime.timedelta(days=parts[0], seconds=parts[1], microseconds=parts[2])


_SPECIAL: dict[type[Any], tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    bytes: ("bytes", lambda v: base64.b64encode(v).decode(), base64.b64decode),
    bytearray: (
        "bytearray",
        lambda v: base64.b64encode(v).decode(),
        lambda v: bytearray(base64.b64decode(v)),
    ),
    set: ("set", _items, lambda v: {_decode(item) for item in v}),
    frozenset: ("frozenset", _items, lambda v: frozenset(_decode(item) for item in v)),
    deque: ("deque", _items, lambda v: deque(_decode(item) for item in v)),
    Counter: ("counter", _pairs, lambda v: Counter(_restored_dict(v))),
    OrderedDict: ("ordered", _pairs, lambda v: OrderedDict(_restored_dict(v))),
    complex: ("complex", lambda v: [repr(v.real), repr(v.imag)], lambda v: complex(float(v[0]), float(v[1]))),
    range: ("range", lambda v: [v.start, v.stop, v.step], lambda v: range(*v)),
    decimal.Decimal: ("decimal", str, decimal.Decimal),
    fractions.Fraction: ("fraction", str, fractions.Fraction),
    datetime.datetime: ("datetime", datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    datetime.date: ("date", datetime.date.isoformat, datetime.date.fromisoformat),
    datetime.time: ("time", datetime.time.isoformat, datetime.time.fromisoformat),
    datetime.timedelta: ("timedelta", lambda v: [v.days, v.seconds, v.microseconds], _timedelta),
    uuid.UUID: ("uuid", str, uuid.UUID),
}


def _decode(data: Any) -> Any:
    if isinstance(data, list):
        return [_decode(item) for item in cast("list[Any]", data)]
    if not isinstance(data, dict):
        return data
    found = cast("dict[str, Any]", data)
    tag = found.get(_TAG)
    if tag is None:
        return {key: _decode(item) for key, item in found.items()}
    read = _READERS.get(tag)
    if read is not None:
        return read(found["v"])
    match tag:
        case "lost":
            raise LostValueError(f"it could not be stored: {found['why']}")
        case "enum":
            return _type_named(found["t"], enum.Enum)(_decode(found["v"]))
        case "named":
            return _type_named(found["t"], tuple)._make(_decode(item) for item in found["v"])
        case "model":
            return _model(_type_named(found["t"], BaseModel), found["v"])
        case "data":
            return _data(_type_named(found["t"], object), found["v"])
        case _:
            raise LostValueError(f"it was stored as {tag!r}, which this version of Braid does not know")


_READERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda v: int(v, 16),
    "float": float,
    "tuple": lambda v: tuple(_decode(item) for item in v),
    "dict": _restored_dict,
    "path": pathlib.Path,
    **{tag: read for tag, _, read in _SPECIAL.values()},
}


def _model(kind: Any, state: Mapping[str, Any]) -> Any:
    parts = {key: _decode(part) for key, part in state.items()}
    values: dict[str, Any] = parts["__dict__"]
    for name, field in kind.model_fields.items():
        if name not in values:
            if field.is_required():
                raise LostValueError(f"{kind.__qualname__} has gained the field {name!r} since")
            values[name] = field.get_default(call_default_factory=True, validated_data=values)
    restored = kind.__new__(kind)
    restored.__setstate__(parts)
    return restored


def _data(kind: Any, stored: Mapping[str, Any]) -> Any:
    if not dataclasses.is_dataclass(cast("object", kind)):
        raise LostValueError(f"{kind.__qualname__} is no dataclass any more")
    restored = object.__new__(kind)
    for field in dataclasses.fields(kind):
        if field.name in stored:
            value = _decode(stored[field.name])
        elif field.default is not dataclasses.MISSING:
            value = field.default
        elif field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        else:
            raise LostValueError(f"{kind.__qualname__} has gained the field {field.name!r} since")
        object.__setattr__(restored, field.name, value)
    return restored


@cache
def _name_of(kind: type[Any]) -> str:
    """The name of a type: its tag, or `module:qualified.name` where it is no type of Braid's own."""
    name = f"{kind.__module__}:{kind.__qualname__}"
    tag = tag_of(kind)
    if tag is None and is_own(kind):
        raise _CannotStore(
            f"{name} is Braid's own and no value; braid.executors.values.type_tags has no tag for it"
        )
    name = tag or name
    try:
        found = _lookup(name)
    except LostValueError as error:
        raise _CannotStore(str(error)) from None
    if found is not kind:
        raise _CannotStore(f"{name} is the name of another type")
    return name


def _type_named(name: str, base: type[Any]) -> Any:
    found = _lookup(name)
    if not isinstance(found, type) or not issubclass(found, base):
        raise LostValueError(f"{name} is not the type that it was")
    return found


def _lookup(name: str) -> Any:
    tag = EARLIER.get(name, name)
    module, _, path = HOMES.get(tag, tag).partition(":")
    if "<locals>" in path:
        raise LostValueError(f"its type {path} is defined inside a function, where nobody can import it from")
    try:
        found: Any = sys.modules.get(module) or importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise LostValueError(f"its type {name} cannot be imported: {error}") from error
    return found
