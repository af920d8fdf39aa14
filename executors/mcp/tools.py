"""The tools and resources of an MCP server as tools: names, schemas, effects, and results as values."""

from __future__ import annotations

import asyncio
import json
import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from braid.executors.mcp.config import McpError, McpServer
from braid.executors.mcp.connection import Connection
from braid.executors.tools import (
    RESERVED,
    Effect,
    Tool,
    ToolDefinitionError,
    ToolError,
    ToolOptions,
    ToolSpec,
)

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult
    from mcp_types import Tool as Listed

_MAX_PAGES: Final = 100


async def load_tools(connection: Connection) -> list[Tool]:
    """The tools of the server. Those that cannot be used are left out with a warning.

    Raises:
        McpError: The server cannot be reached, or lacks a tool that was asked for.
    """
    server = connection.server
    client = await connection.connected()
    try:
        async with asyncio.timeout(server.start_timeout):
            listed = await _all_tools(client)
            resources = client.server_capabilities.resources is not None and bool(
                (await client.list_resources()).resources
            )
    except Exception as error:
        raise connection.unreachable(error) from error
    made: dict[str, Tool] = {}
    for tool in listed:
        if server.only is not None and tool.name not in server.only:
            continue
        name = _plan_name(server.name, tool.name, made)
        try:
            made[name] = _tool(connection, name, tool)
        except (ToolDefinitionError, RecursionError) as error:
            warnings.warn(
                f"MCP server {server.name!r}: a tool is left out: {error}", RuntimeWarning, stacklevel=2
            )
    missing = set(server.only or ()) - {tool.name for tool in listed}
    if missing:
        raise McpError(
            f"MCP server {server.name!r} has no tool {', '.join(sorted(missing))}; "
            f"it has {', '.join(tool.name for tool in listed)}"
        )
    if resources:
        for resource_tool in _resource_tools(connection):
            made.setdefault(resource_tool.name, resource_tool)
    return list(made.values())


def _tool(connection: Connection, name: str, listed: Listed) -> Tool:
    server = connection.server
    effect = server.effects.get(listed.name) or _effect_of(listed)

    async def call(**args: Any) -> Any:
        result = await connection.request(
            listed.name, effect, lambda client: client.call_tool(listed.name, args)
        )
        return _value(server, listed.name, result)

    description = " ".join((listed.description or listed.title or listed.name).split())
    spec = ToolSpec(
        name=name,
        description=description,
        parameters=listed.input_schema,
        returns=_returns(listed.output_schema),
        effect=effect,
    )
    # The connection has its own limits, and what the server refused is not retried.
    return Tool(call, spec=spec)


def _resource_tools(connection: Connection) -> list[Tool]:
    server = connection.server

    async def list_resources() -> list[dict[str, str]]:
        listed = await connection.request(
            "list_resources", "idempotent", lambda client: client.list_resources()
        )
        return [
            {"uri": str(item.uri), "name": item.name, "description": item.description or ""}
            for item in listed.resources
        ]

    async def read_resource(uri: str) -> str:
        found = await connection.request(
            "read_resource", "idempotent", lambda client: client.read_resource(uri)
        )
        texts = [
            text if isinstance(text := getattr(part, "text", None), str) else f"[{part.mime_type or 'data'}]"
            for part in found.contents
        ]
        return _bounded(server, "read_resource", "\n".join(texts))

    prefix = _identifier(server.name)
    return [
        Tool(
            list_resources,
            ToolOptions(
                name=f"{prefix}_list_resources",
                description=f"list what the {server.name} server has to read",
                effect="idempotent",
            ),
        ),
        Tool(
            read_resource,
            ToolOptions(
                name=f"{prefix}_read_resource",
                description=f"read one resource of the {server.name} server by its uri",
                effect="idempotent",
            ),
        ),
    ]


def _value(server: McpServer, name: str, result: CallToolResult) -> Any:
    text = "\n".join(_text_of(part) for part in result.content)
    if result.is_error:
        raise ToolError(f"{server.name}: {name}: {text[:2000] or 'failed without a reason'}", tool=name)
    structured = result.structured_content
    if structured is None:
        return _bounded(server, name, text)
    _bounded(server, name, json.dumps(structured, ensure_ascii=False))
    # Results have to be objects, so servers wrap plain values.
    if isinstance(structured, dict) and set(cast("dict[str, Any]", structured)) == {"result"}:
        return cast("dict[str, Any]", structured)["result"]
    return cast("Any", structured)


def _bounded(server: McpServer, name: str, text: str) -> str:
    size = len(text.encode("utf-8", "replace"))
    if size > server.max_result_bytes:
        raise ToolError(
            f"{server.name}: {name}: the result has {size:,} bytes, and no more than "
            f"{server.max_result_bytes:,} are taken (max_result_bytes)",
            tool=name,
        )
    return text


async def _all_tools(client: Client) -> list[Listed]:
    found: list[Listed] = []
    cursor: str | None = None
    for _ in range(_MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        found += page.tools
        cursor = page.next_cursor
        if not cursor:
            break
    return found


def _effect_of(listed: Listed) -> Effect:
    """The effect by the server's hints.

    Read-only tools are not pure: what they read may change. A tool without hints is mutating.
    """
    hints = listed.annotations
    if hints is None:
        return "mutating"
    repeatable = hints.idempotent_hint and hints.destructive_hint is False
    return "idempotent" if hints.read_only_hint or repeatable else "mutating"


def _returns(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    """The schema of the value that a call gives, after unwrapping."""
    properties = (schema or {}).get("properties")
    if isinstance(properties, dict) and set(cast("dict[str, Any]", properties)) == {"result"}:
        inner = cast("dict[str, Any]", properties)["result"]
        return {**inner, "$defs": schema["$defs"]} if schema and "$defs" in schema else inner
    return schema


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


def _identifier(text: str) -> str:
    cleaned = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_") or "tool"
    return f"_{cleaned}" if cleaned[0].isdigit() else cleaned


def _plan_name(server: str, tool: str, taken: Mapping[str, Tool]) -> str:
    base = f"{_identifier(server)}_{_identifier(tool)}"
    name, number = base, 2
    while name in taken or name in RESERVED:
        name, number = f"{base}_{number}", number + 1
    return name
