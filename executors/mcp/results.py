"""Results of MCP tools as values, and the check against the schema that the tool declares.

Both are the server's, so the check is bounded.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

import jsonschema

from braid.executors.mcp.config import McpServer
from braid.executors.tools import ToolDefinitionError, ToolError, schema_problem

if TYPE_CHECKING:
    from mcp_types import CallToolResult

_SECONDS_OF_ROOT: Final = 0.2
"""Most processor time for the look at a schema before its first result."""


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
            schema_problem(schema, None, seconds=_SECONDS_OF_ROOT)  # what the root refers to must be there
        except TimeoutError:
            pass  # each result is given its time
        except Exception as error:
            raise self._unusable(_short(error)) from None

    def problem(self, value: Any) -> str | None:
        """What is wrong with `value`. None if nothing is.

        Raises:
            ToolError: The schema is broken, or takes too long.
        """
        try:
            error = schema_problem(self.schema, value)
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
