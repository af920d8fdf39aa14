"""Evaluation of expressions over results: arguments, f-strings and guards.

References are resolved where the plan wrote them and nowhere else. Text inside a value is never read as a
reference.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, assert_never, cast

from braid.executors.nodes.nodes import (
    AllOf,
    AnyOf,
    Compare,
    CompareOp,
    Const,
    DictOf,
    Expr,
    Field,
    ListOf,
    Not,
    Ref,
    Template,
)
from braid.executors.values import (
    ExpressionError,
    PathError,
    attribute_names,
    check_size,
    joined,
    kind_of,
    preview,
    resolve_path,
    short_form,
)


class Skipped:
    """The type of `SKIPPED`, the value of the name of a skipped node."""

    def __repr__(self) -> str:
        return "SKIPPED"


SKIPPED: Final = Skipped()

WIDEST_FORMAT: Final = 100
"""Largest width or precision in a format specification."""
_FORMAT_NUMBER: Final = re.compile(r"\d+")


Read: TypeAlias = Callable[[Ref], Any]
"""Gives the value of a reference, or `SKIPPED` where its node was skipped."""


def evaluate(expr: Expr, env: Mapping[str, Any]) -> Any:
    """The value of `expr`, names taken from `env` (`SKIPPED` marks the name of a skipped node).

    Reading a skipped name makes the whole expression `SKIPPED`, but a list literal drops it instead.

    Raises:
        PathError: a name or a path that is not there.
        ExpressionError: operands of kinds that do not go together.
        ValueTooLargeError: a text, a list or a dict would be too large.
    """

    def read(ref: Ref) -> Any:
        if ref.name not in env:
            raise PathError(f"there is no name {ref.name!r}; known: {', '.join(sorted(env)) or 'none'}")
        value = env[ref.name]
        return value if value is SKIPPED else resolve_path(value, ref.path)

    return evaluate_with(expr, read)


def evaluate_with(expr: Expr, read: Read) -> Any:
    """`evaluate`, with references resolved by `read`."""
    match expr:
        case Const(value):
            return value
        case Ref():
            return read(expr)
        case Template(parts):
            return _template(parts, read)
        case ListOf(items):
            found = [value for item in items if (value := evaluate_with(item, read)) is not SKIPPED]
            check_size(found, "this list")
            return found
        case DictOf(items):
            pairs = {key: evaluate_with(item, read) for key, item in items}
            check_size(pairs, "this dict")
            return SKIPPED if any(value is SKIPPED for value in pairs.values()) else pairs
        case Compare(op, left, right):
            a, b = evaluate_with(left, read), evaluate_with(right, read)
            return SKIPPED if a is SKIPPED or b is SKIPPED else compare(op, a, b)
        case AllOf(terms) | AnyOf(terms):
            values = [evaluate_with(term, read) for term in terms]
            if any(value is SKIPPED for value in values):
                return SKIPPED
            return (all if isinstance(expr, AllOf) else any)(truth(value) for value in values)
        case Not(term):
            value = evaluate_with(term, read)
            return SKIPPED if value is SKIPPED else not truth(value)
        case _:
            assert_never(expr)


def _template(parts: Sequence[str | Field], read: Read) -> Any:
    pieces: list[str] = []
    for part in parts:
        if isinstance(part, str):
            pieces.append(part)
            continue
        value = read(part.ref)
        if value is SKIPPED:
            return SKIPPED
        pieces.append(formatted(value, part.spec))
    return joined(pieces)


def formatted(value: Any, spec: str) -> str:
    """`value` by a format specification, or its short form without one. A fact is formatted as its number."""
    if not spec:
        return short_form(value)
    if any(int(number) > WIDEST_FORMAT for number in _FORMAT_NUMBER.findall(spec)):
        raise ExpressionError(f"format {spec!r} is too wide; use numbers up to {WIDEST_FORMAT}")
    bare = plain(value)
    if not isinstance(bare, (int, float, str, datetime.date, datetime.time)):
        bare = short_form(bare)
    try:
        return format(bare, spec)
    except (ValueError, TypeError, OverflowError) as error:
        raise ExpressionError(
            f"format {spec!r} does not fit {kind_of(bare)} {preview(bare, 60)!r}: {error}"
        ) from error


def plain(value: Any) -> Any:
    """What a comparison sees: the `value` of a fact, anything else as it is."""
    if isinstance(value, (str, int, float, list, tuple, Mapping)) or value is None:
        return cast("Any", value)
    if "value" in attribute_names(value):
        inner = value.value
        if inner is None or isinstance(inner, (int, float, str)):
            return inner
    return value


def truth(value: Any) -> bool:
    """`value` as a condition.

    As in Python, but the texts "no" and "false" are false, since thinking answers in words.
    """
    value = plain(value)
    if isinstance(value, (bool, int, float, list, tuple, Mapping)) or value is None:
        return bool(cast("Any", value))
    word = short_form(value).strip().strip(".!").lower()
    return word not in ("", "no", "false")


def _comparable(left: Any, right: Any) -> tuple[Any, Any]:
    """Both sides in a form that can be compared.

    Text meets anything that has a short form. A number meets a number that is written as text.
    """
    left, right = plain(left), plain(right)
    return _align(left, right), _align(right, left)


def _align(value: Any, other: Any) -> Any:
    if isinstance(other, str) and not isinstance(value, str):
        is_own = isinstance(value, bool) or callable(getattr(value, "short_form", None))
        return short_form(value) if is_own else value
    if isinstance(other, (int, float)) and not isinstance(other, bool):
        word = (
            value if isinstance(value, str) else (short_form(value) if hasattr(value, "short_form") else None)
        )
        if word is not None:
            try:
                number = float(word.replace(",", ""))
            except ValueError:
                return value
            return int(number) if math.isfinite(number) and number == int(number) else number
    return value


def _equal(left: Any, right: Any) -> bool:
    a, b = _comparable(left, right)
    return bool(a == b)


def compare(op: CompareOp, left: Any, right: Any) -> bool:
    """`left op right` as guards mean it.

    A fact counts as its value. Text that is a number counts as one when the other side is a number. A yes or
    no, or an answer that the model gave, equals its word.

    Raises:
        ExpressionError: the two sides have no order, or the right side of `in` contains nothing.
    """
    match op:
        case "==":
            return _equal(left, right)
        case "!=":
            return not _equal(left, right)
        case "in" | "not in":
            return _contains(right, left) == (op == "in")
        case "<" | "<=" | ">" | ">=":
            a, b = _comparable(left, right)
            try:
                match op:
                    case "<":
                        return bool(a < b)
                    case "<=":
                        return bool(a <= b)
                    case ">":
                        return bool(a > b)
                    case ">=":
                        return bool(a >= b)
            except TypeError as error:
                raise ExpressionError(
                    f"cannot compare {preview(left, 60)!r} ({kind_of(a)}) {op} "
                    f"{preview(right, 60)!r} ({kind_of(b)}); "
                    "read the field that holds the number, or compute one with calculate"
                ) from error
        case _:
            assert_never(op)


def _contains(container: Any, item: Any) -> bool:
    container = plain(container)
    if isinstance(container, (list, tuple, set, frozenset)):
        return any(_equal(item, member) for member in cast("Sequence[Any]", container))
    if isinstance(container, Mapping):
        return short_form(item) in {str(key) for key in cast("Mapping[Any, Any]", container)}
    if isinstance(container, str) or callable(getattr(container, "short_form", None)):
        return short_form(item) in short_form(container)
    raise ExpressionError(
        f"'in' needs a list or a text on its right, got {kind_of(container)} {preview(container, 60)!r}"
    )
