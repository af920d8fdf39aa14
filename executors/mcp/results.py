"""Results of MCP tools as values, and the check against the schema that the tool declares.

Both are the server's, so the check is bounded. The engine of pydantic matches patterns in linear time.
The check as a whole has a deadline.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import jsonschema
from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError
from referencing import Registry

from braid.executors.mcp.config import McpServer
from braid.executors.tools import ToolDefinitionError, ToolError

if TYPE_CHECKING:
    from mcp_types import CallToolResult

_Schema = Mapping[str, Any]

_SECONDS: Final = 2.0
"""Most processor time for the check of one result. A schema can be made whose check never ends."""

_NO_REFERENCES: Any = cast("Any", Registry)()


class ResultSchema:
    """The schema that a tool declares for its results.

    Raises:
        ToolDefinitionError: It cannot be used.
    """

    def __init__(self, tool: str, schema: dict[str, Any]) -> None:
        self._tool = tool
        self.schema = schema
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            raise self._unusable(error.message) from None
        try:
            self.problem(None, seconds=0.2)  # what the root refers to must be there
        except ToolError as error:
            if not isinstance(error.__cause__, TimeoutError):  # each result is given its time
                raise self._unusable(str(error)) from None

    def problem(self, value: Any, *, seconds: float = _SECONDS) -> str | None:
        """What is wrong with `value`. None if nothing is.

        The check takes no more than `seconds` of processor time.

        Raises:
            ToolError: The schema is broken, or takes too long.
        """
        validator = _bounded_validator(seconds)(self.schema, registry=_NO_REFERENCES)
        try:
            errors = validator.iter_errors(value)
            error = importlib.import_module("jsonschema.exceptions").best_match(errors)
        except Exception as broken:  # it may refer to what is not there, or to itself
            raise ToolError(
                f"its output schema cannot be used: {_short(broken)}", tool=self._tool
            ) from broken
        return None if error is None else str(error.message)

    def _unusable(self, why: str) -> ToolDefinitionError:
        return ToolDefinitionError(
            f"tool {self._tool!r}: its output schema is not valid: {why}", tool=self._tool
        )


def value_of(server: McpServer, name: str, result: CallToolResult, schema: ResultSchema | None) -> Any:
    """The value that a plan gets from `result`: structured if the server gave that, else text.

    Raises:
        ToolError: The tool failed, the result is too large, or it breaks its own schema.
    """
    text = "\n".join(_text_of(part) for part in result.content)
    if result.is_error:
        shown = server.hide(text[:2000])
        raise ToolError(f"{server.name}: {name}: {shown or 'failed without a reason'}", tool=name)
    structured: Any = result.structured_content
    if structured is None:
        return bounded(server, name, text)
    bounded(server, name, json.dumps(structured, ensure_ascii=False))
    problem = None if schema is None else schema.problem(structured)
    if problem is not None:
        raise ToolError(
            f"{server.name}: {name}: the result breaks the tool's own schema: {server.hide(problem)[:2000]}",
            tool=name,
        )
    # Results have to be objects, so servers wrap plain values.
    if isinstance(structured, dict) and set(cast("dict[str, Any]", structured)) == {"result"}:
        return cast("dict[str, Any]", structured)["result"]
    return cast("Any", structured)


def bounded(server: McpServer, name: str, text: str) -> str:
    """`text`, if it is not too long.

    Raises:
        ToolError: It has more bytes than one result may have.
    """
    size = len(text.encode("utf-8", "replace"))
    if size > server.max_result_bytes:
        raise ToolError(
            f"{server.name}: {name}: the result has {size:,} bytes, and no more than "
            f"{server.max_result_bytes:,} are taken (max_result_bytes)",
            tool=name,
        )
    return text


def _text_of(part: Any) -> str:
    text = getattr(part, "text", None)
    if isinstance(text, str):
        return text
    resource = getattr(part, "resource", None)
    if resource is not None and isinstance(getattr(resource, "text", None), str):
        return resource.text
    if getattr(part, "uri", None):
        return str(part.uri)
    return f"[{getattr(part, 'mime_type', None) or part.type}]"


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> TypeAdapter[str] | None:
    """Matches in linear time. None for a pattern that needs more, such as one with look-ahead."""
    try:
        return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    except SchemaError:
        return None


def _matches(pattern: str, text: str) -> bool | None:
    """Whether `pattern` occurs in `text`. None if that cannot be told in bounds."""
    matcher = _matcher(pattern)
    if matcher is None:
        return None
    try:
        matcher.validate_python(text)
    except ValidationError:
        return False
    return True


def _pattern(validator: Any, pattern: str, instance: Any, schema: _Schema) -> Iterator[Any]:
    if validator.is_type(instance, "string") and _matches(pattern, instance) is False:
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


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
            yield jsonschema.ValidationError(f"additional property {key!r} is not allowed")


def _bounded_validator(seconds: float) -> Any:
    """The validator of JSON schemas, with a deadline, and without a matcher that backtracks."""
    ends = time.thread_time() + seconds

    def bounded_check(check: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
        def checked(*args: Any) -> Iterator[Any]:
            if time.thread_time() > ends:
                raise TimeoutError(f"the check takes more than {seconds:g} s")
            yield from check(*args) or ()

        return checked

    base: Any = jsonschema.Draft202012Validator
    checks = {**base.VALIDATORS, **_LINEAR_CHECKS}
    extend: Any = importlib.import_module("jsonschema.validators").extend
    return extend(base, {keyword: bounded_check(check) for keyword, check in checks.items()})


def _no_check(*_: Any) -> tuple[()]:
    return ()


_LINEAR_CHECKS: Final = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "unevaluatedProperties": _no_check,
}
"""Checks in place of those that match with backtracking. Unevaluated properties are not checked."""
