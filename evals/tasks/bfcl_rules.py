"""When calls are those that a row of the Berkeley Function Calling Leaderboard expects.

The rules are those of the package `bfcl-eval` for Python functions in its parallel subsets. A call is a pair
of a function's name and its arguments. An expected call has a list of allowed values for each argument, and
the value "" in it says that the argument may be left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

OMITTED: Final = ""
"""The allowed value that stands for an argument that is left out."""

_TYPES: Final[dict[str, type]] = {
    "any": str,
    "array": list,
    "boolean": bool,
    "dict": dict,
    "float": float,
    "integer": int,
    "string": str,
    "tuple": list,
}
"""The type of a value in Python, for each type name of the data set. A tuple is a list in JSON."""

_FOLDED: Final = str.maketrans({**dict.fromkeys(" ,./-_*^"), "'": '"'})

Values = Mapping[str, Any]


def are_expected(
    calls: Sequence[tuple[str, Values]],
    expected: Sequence[tuple[str, Values]],
    parameters: Mapping[str, Values],
) -> bool:
    """Whether `calls` are the `expected` ones in any order, none missing and none besides.

    Each expected call takes the first call that is left and fits, as in the package.

    Args:
        calls: What was called.
        expected: Allowed values by argument.
        parameters: The schema of each function's arguments, with the type names of the data set.
    """
    left = list(calls)
    for name, allowed in expected:
        for index, (called, given) in enumerate(left):
            if called == name and _arguments_fit(given, allowed, parameters[name]):
                del left[index]
                break
        else:
            return False
    return not left


def _arguments_fit(given: Values, allowed: Values, schema: Values) -> bool:
    properties = schema["properties"]
    return (
        all(name in given for name in schema.get("required", ()))
        and all(name in given or OMITTED in values for name, values in allowed.items())
        and all(
            name in properties and name in allowed and value_fits(value, allowed[name], properties[name])
            for name, value in given.items()
        )
    )


def value_fits(value: Any, allowed: Sequence[Any], schema: Values) -> bool:
    """Whether an argument has the type of its `schema` and one of the `allowed` values.

    An integer passes for a float, but not inside a list. Where the allowed values are of another type than
    the schema says, that type counts, too. Strings are compared without letter case, spaces and `,./-_*^`.
    """
    wanted = _TYPES[schema["type"]]
    if wanted is float and type(value) is int:
        value = float(value)
    meant = _type_of(allowed, wanted)
    if type(value) not in (wanted, meant):
        return False
    items = _TYPES[schema["items"]["type"]] if wanted is list else None
    if items is not None and type(value) is list and not _items_fit(cast("list[Any]", value), allowed, items):
        return False
    if meant is not wanted:
        return value in allowed
    if wanted is dict:
        return any(_dict_fits(value, one) for one in allowed)
    if wanted is list:
        lists: list[list[Any]] = [[] if one == OMITTED else one for one in allowed]
        return any(_list_fits(cast("list[Any]", value), one, of_dicts=items is dict) for one in lists)
    return _fold(value) in [_fold(one) for one in allowed]


def _type_of(allowed: Sequence[object], default: type) -> type:
    """The type of the first allowed value."""
    for one in allowed:
        if one != OMITTED:
            return type(one)
    return default


def _items_fit(value: list[Any], allowed: Sequence[Any], items: type) -> bool:
    """Whether all items have the type `items`, or that of the items in one of the allowed lists."""
    return any(
        not isinstance(one, list)
        or all(type(item) in (items, _type_of(cast("list[Any]", one), items)) for item in value)
        for one in allowed
    )


def _list_fits(value: list[Any], allowed: list[Any], *, of_dicts: bool) -> bool:
    if len(value) != len(allowed):
        return False
    pairs = zip(value, allowed, strict=True)
    if of_dicts:
        return all(_dict_fits(item, one) for item, one in pairs)
    return all(_fold(item) == _fold(one) for item, one in pairs)


def _dict_fits(value: Any, allowed: Any) -> bool:
    """Whether each key is allowed with its value, and no other is missing than those that may be left out."""
    if not isinstance(value, dict) or not isinstance(allowed, dict):
        return False
    given, options = cast("dict[str, Any]", value), cast("dict[str, list[Any]]", allowed)
    return all(
        key in options and _fold(item) in [_fold(one) for one in options[key]] for key, item in given.items()
    ) and all(key in given or OMITTED in values for key, values in options.items())


def _fold(value: Any) -> Any:
    """A string as it is compared. Other values stay as they are."""
    return value.translate(_FOLDED).lower() if isinstance(value, str) else value
