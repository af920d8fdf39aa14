"""A bounded check of values against a JSON schema that others wrote, such as that of an MCP server.

Patterns are matched by the engine of pydantic, which takes linear time. The check as a whole has a deadline.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, cast

from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError

SECONDS: Final = 2.0
"""Most processor time for the check of one value. A schema can be made whose check never ends."""

_Schema = Mapping[str, Any]


def schema_problem(schema: _Schema, value: Any, *, seconds: float = SECONDS) -> Any:
    """The most telling `jsonschema.ValidationError` of `value`. None if it fits. Needs the extra `mcp`.

    Patterns that need more than linear time are not checked, such as those with look-ahead, and neither are
    unevaluated properties. References to other documents are not followed. A busy machine costs no check.

    Raises:
        TimeoutError: The check takes more than `seconds` of processor time.
        Exception: The schema is broken: it refers to what is not there, or to itself.
    """
    registry = importlib.import_module("referencing").Registry()
    validator = _validator(seconds)(schema, registry=registry)
    return importlib.import_module("jsonschema.exceptions").best_match(validator.iter_errors(value))


def _validator(seconds: float) -> Any:
    ends = time.thread_time() + seconds

    def bounded(check: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
        def checked(*args: Any) -> Iterator[Any]:
            if time.thread_time() > ends:
                raise TimeoutError(f"the check takes more than {seconds:g} s")
            yield from check(*args) or ()

        return checked

    jsonschema: Any = importlib.import_module("jsonschema")
    base = jsonschema.Draft202012Validator
    checks = {**base.VALIDATORS, **_LINEAR_CHECKS}
    return jsonschema.validators.extend(base, {name: bounded(check) for name, check in checks.items()})


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> TypeAdapter[str] | None:
    """Matches in linear time. None for a pattern that needs more."""
    try:
        return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    except SchemaError:
        return None


def _matches(pattern: str, text: str) -> bool | None:
    """Whether `pattern` occurs in `text`. None if that cannot be told in linear time."""
    matcher = _matcher(pattern)
    if matcher is None:
        return None
    try:
        matcher.validate_python(text)
    except ValidationError:
        return False
    return True


def _mismatch(message: str) -> Exception:
    error: Any = importlib.import_module("jsonschema").ValidationError
    return cast("Exception", error(message))


def _pattern(validator: Any, pattern: str, instance: Any, schema: _Schema) -> Iterator[Any]:
    if validator.is_type(instance, "string") and _matches(pattern, instance) is False:
        yield _mismatch(f"{instance!r:.100} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, schema: _Schema
) -> Iterator[Any]:
    if validator.is_type(instance, "object"):
        for pattern, inner in patterns.items():
            for key, value in instance.items():
                if _matches(pattern, key):
                    yield from validator.descend(value, inner, path=key, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: _Schema) -> Iterator[Any]:
    if not validator.is_type(instance, "object"):
        return
    patterns = schema.get("patternProperties", {})
    for key, value in instance.items():
        if key in schema.get("properties", {}) or any(_matches(one, key) is not False for one in patterns):
            continue
        if validator.is_type(allowed, "object"):
            yield from validator.descend(value, allowed, path=key)
        elif not allowed:
            yield _mismatch(f"additional property {key!r:.100} is not allowed")


def _no_check(*_: Any) -> tuple[()]:
    return ()


_LINEAR_CHECKS: Final = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "unevaluatedProperties": _no_check,
}
"""Checks in place of those of `jsonschema` that match with backtracking."""
