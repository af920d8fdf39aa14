"""Values that flow between nodes: their short form in text, and paths into them.

A value is data for ever. Nothing here looks for references inside a value. Only the parsed expressions of a
plan have references. Types of values that a tool defines take part by duck typing. `short_form()` says what
goes into text. A numeric field `value` (a fact) is what a comparison or a number format sees.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Final, cast

from pydantic import BaseModel

from braid.engine import BraidError
from braid.engine.surrogates import mend_text
from braid.executors.values.size import LARGEST_VALUE, MOST_ITEMS, ValueTooLargeError

MAX_KEYS_SHOWN: Final = 12
MAX_INT_BITS: Final = 14_284
"""Bits of the largest whole number that is written out. Python prints 4,300 digits and no more."""


class PathError(BraidError, LookupError):
    """A path leads nowhere in the value that it was applied to. Says what is there."""


class ExpressionError(BraidError, ValueError):
    """An expression cannot be evaluated over the values at hand, such as a text compared with a number."""


@dataclasses.dataclass(frozen=True)
class ItemError:
    """Stands in a map's list for an item that failed, when the map says `on_error="collect"`."""

    error: str

    def short_form(self) -> str:
        return f"failed: {self.error}"


def short_form(value: Any) -> str:
    """What goes into text, such as an f-string or a prompt, where `value` is read.

    An object with a method `short_form` decides for itself. Floats have 12 significant digits, truth values
    are yes and no, lists are comma-joined, mappings and models are compact JSON. Halves of surrogate pairs
    become U+FFFD.

    Raises:
        ExpressionError: A whole number is too long to be written out.
        ValueTooLargeError: The text would be longer than `LARGEST_VALUE`.
    """
    if type(value) is str:
        return mend_text(value)
    texts = _ShortForms(LARGEST_VALUE)
    text = texts.of(value)
    if texts.left < 0:
        raise ValueTooLargeError(f"a text of more than {LARGEST_VALUE} characters; use less of it")
    return text


def joined(texts: Iterable[str]) -> str:
    """`texts` as one. Raises `ValueTooLargeError` if it would be longer than `LARGEST_VALUE`."""
    parts: list[str] = []
    size = 0
    for text in texts:
        parts.append(text)
        size += len(text)
        if size > LARGEST_VALUE:
            raise ValueTooLargeError(f"a text of more than {LARGEST_VALUE} characters; use less of it")
    return "".join(parts)


class _ShortForms:
    """Writes short forms, until they have `left` characters together. The rest is not looked at."""

    def __init__(self, left: int) -> None:
        self.left = left
        """Characters that may still come. Negative once there were more."""

    def of(self, value: Any) -> str:
        text = self._scalar(value)
        if text is None:
            own = getattr(value, "short_form", None)
            if callable(own) and not isinstance(value, type):
                text = mend_text(str(own()))
            elif isinstance(value, (list, tuple)):
                return ", ".join(self._each(cast("Sequence[Any]", value)))
            elif isinstance(value, (set, frozenset)):
                return ", ".join(sorted(self._each(cast("Set[Any]", value))))
            elif isinstance(value, (Mapping, BaseModel)) or (
                dataclasses.is_dataclass(value) and not isinstance(value, type)
            ):
                text = self._json(value)
            else:
                text = mend_text(str(cast("object", value)))
        self.left -= max(1, len(text))
        return text

    def _each(self, items: Iterable[Any]) -> list[str]:
        texts: list[str] = []
        for item in items:
            if self.left < 0:
                break
            texts.append(self.of(item))
        return texts

    def _scalar(self, value: Any) -> str | None:
        if isinstance(value, enum.Enum):
            return self.of(value.value)
        if isinstance(value, str):
            return mend_text(value if len(value) <= self.left else value[: self.left + 1])
        if value is None:
            return "none"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, int):
            if value.bit_length() > MAX_INT_BITS:
                raise ExpressionError(
                    f"a whole number of {value.bit_length()} bits is too long to be written out"
                )
            return str(value)
        if isinstance(value, float):
            return _short_float(value)
        if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
            return value.isoformat()
        return None

    def _json(self, value: Any) -> str:
        data = _PlainData(min(self.left, MOST_ITEMS))
        text = json.dumps(data.of(value), ensure_ascii=False, separators=(",", ":"))
        if data.left < 0:
            self.left = -1
        return text


def _short_float(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.12g}"


def plain_data(value: Any, most: int = MOST_ITEMS) -> Any:
    """`value` as JSON-able data.

    Models and dataclasses become dicts, sets sorted lists, the rest short forms.

    Args:
        value: Any value.
        most: How many parts it may have. Those behind them are left out, and `…` stands for them.
    """
    try:
        return _PlainData(most).of(value)
    except RecursionError:
        return preview(value)


class _PlainData:
    def __init__(self, most: int) -> None:
        self.left = most

    def of(self, value: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            return "…"
        if isinstance(value, enum.Enum):
            return self.of(value.value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return mend_text(value)
        if isinstance(value, int):
            bits = value.bit_length()
            return value if bits <= MAX_INT_BITS else f"whole number of {bits} bits"
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, BaseModel):
            return self._pairs((name, getattr(value, name)) for name in type(value).model_fields)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in dataclasses.fields(value) if field.name[0] != "_"]
            return self._pairs((name, getattr(value, name)) for name in names)
        if isinstance(value, Mapping):
            return self._pairs(cast("Mapping[Any, Any]", value).items())
        if isinstance(value, (list, tuple)):
            return self._items(cast("Sequence[Any]", value))
        if isinstance(value, (set, frozenset)):
            return sorted(self._items(cast("Set[Any]", value)), key=str)
        return preview(value, LARGEST_VALUE)

    def _items(self, items: Iterable[Any]) -> list[Any]:
        found: list[Any] = []
        for item in items:
            found.append(self.of(item))
            if self.left < 0:
                break
        return found

    def _pairs(self, pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in pairs:
            found[mend_text(str(key))] = self.of(item)
            if self.left < 0:
                break
        return found


def preview(value: Any, limit: int = 200) -> str:
    """The short form cut to `limit` characters, for events and displays. Never raises."""
    try:
        text = _ShortForms(limit).of(value)
    except Exception as error:
        text = f"<{type(cast('object', value)).__name__}: {error}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def caution(value: Any) -> str:
    """What a reader should know before trusting `value`, as its method `caution` says. Never raises."""
    try:
        own = getattr(value, "caution", None)
        return str(own()) if callable(own) and not isinstance(value, type) else ""
    except Exception as error:
        return f"{type(error).__name__} where it should say how far to trust it"


def shown(value: Any, limit: int = 200) -> str:
    """The preview of `value` for people, with what they should know: "8611 m (unverified)"."""
    doubt = caution(value)
    return preview(value, limit) + (f" ({doubt})" if doubt else "")


def explain(error: BaseException) -> str:
    """What a failure says: our own errors speak for themselves, others need their kind."""
    text = mend_text(str(error))
    if isinstance(error, BraidError) and text:
        return text
    kind = type(error).__name__
    return f"{kind}: {text}" if text else kind


def resolve_path(value: Any, path: Sequence[str | int]) -> Any:
    """Follow `path` into `value`: a text step is an attribute or a key, a number an index.

    Attributes are the fields and properties of pydantic models, dataclasses and named tuples. Methods and
    names that begin with an underscore are none.

    Raises:
        PathError: a step leads nowhere.
    """
    for place, step in enumerate(path):
        value = (
            _index(value, step, path[:place])
            if isinstance(step, int)
            else _attribute(value, step, path[:place])
        )
    return value


def _index(value: Any, index: int, before: Sequence[str | int]) -> Any:
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[Any]", value)
        if -len(items) <= index < len(items):
            return items[index]
        raise PathError(f"there is no item {index}{_location(before)}: the list has {len(items)} items")
    if isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        if index in mapping:
            return mapping[index]
    raise PathError(
        f"[{index}] needs a list{_location(before)}, which is {kind_of(value)}; {_what_is_there(value)}"
    )


def _attribute(value: Any, name: str, before: Sequence[str | int]) -> Any:
    if isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        if name in mapping:
            return mapping[name]
    elif name in attribute_names(value):
        return getattr(value, name)
    raise PathError(
        f"there is no {name!r}{_location(before)}, which is {kind_of(value)}; {_what_is_there(value)}"
    )


def attribute_names(value: Any) -> list[str]:
    """The names that a path may follow from `value`."""
    names: list[str] = []
    if isinstance(value, Mapping):
        names = [str(key) for key in cast("Mapping[Any, Any]", value)]
    elif isinstance(value, BaseModel):
        names = [*type(value).model_fields, *type(value).model_computed_fields, *(value.model_extra or {})]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
    elif isinstance(value, tuple):
        names = list(getattr(cast("object", value), "_fields", ()))
    if names and not isinstance(value, Mapping):
        kind = type(cast("object", value))
        names += [n for n in dir(kind) if isinstance(getattr(kind, n, None), property) and n not in names]
    return [name for name in names if not name.startswith("_") and not name.startswith("model_")]


def _location(before: Sequence[str | int]) -> str:
    if not before:
        return " in the value"
    return " in " + repr("".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in before).lstrip("."))


def kind_of(value: Any) -> str:
    """What `value` is, in the words of a message."""
    known: dict[type, str] = {
        str: "text",
        bool: "a yes or no",
        int: "a number",
        float: "a number",
        list: "a list",
        type(None): "nothing",
    }
    kind = type(cast("object", value))
    return known.get(kind, f"a {kind.__name__}")


def _what_is_there(value: Any) -> str:
    names = attribute_names(value)
    if names:
        more = ", ..." if len(names) > MAX_KEYS_SHOWN else ""
        return f"it has {', '.join(names[:MAX_KEYS_SHOWN])}{more}"
    if isinstance(value, (list, tuple)):
        return f"it has items 0 to {len(cast('Sequence[Any]', value)) - 1}" if value else "it is empty"
    return "use it without a path"
