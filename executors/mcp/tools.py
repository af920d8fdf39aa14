"""The tools and resources of an MCP server as tools: names, schemas, effects, and calls."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from braid.executors.mcp.config import McpError, McpServer
from braid.executors.mcp.connection import Connection
from braid.executors.mcp.names import free_name, identifier, plan_parameters
from braid.executors.tools import Effect, Tool, ToolDefinitionError, ToolOptions, ToolSpec

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import Tool as Listed

_MAX_PAGES: Final = 100


@dataclass(frozen=True)
class Offer:
    """What one server offers."""

    tools: tuple[Listed, ...]
    output_schemas: dict[str, Any]
    """By tool, as the server calls it."""
    refused: dict[str, str]
    """Why a tool that is listed cannot be used."""
    resources: bool
    """Whether there are resources to read."""


async def read_offer(connection: Connection) -> Offer:
    """What the server offers now.

    Raises:
        McpError: The server cannot be reached, or lacks a tool that was asked for.
    """

    async def ask(client: Client) -> Offer:
        connection.stale = False
        listing = connection.listing
        listing.refused.clear()
        tools = tuple(await _all_tools(client))
        resources = await _has_resources(client)
        return Offer(tools, dict(listing.output_schemas), dict(listing.refused), resources)

    offer = await connection.listed(ask)
    names = {*(tool.name for tool in offer.tools), *offer.refused}
    missing = set(connection.server.only or ()) - names
    if missing:
        raise McpError(
            f"MCP server {connection.server.name!r} has no tool {', '.join(sorted(missing))}; "
            f"it has {', '.join(sorted(names)) or 'none'}"
        )
    return offer


def make_tools(connection: Connection, offer: Offer, prefix: str, taken: Collection[str]) -> list[Tool]:
    """The tools of an offer. Those that cannot be used are left out with a warning.

    Args:
        connection: The server.
        offer: What it offers.
        prefix: The beginning of their names.
        taken: Names that other tools have.
    """
    only = connection.server.only
    made: dict[str, Tool] = {}
    for name, why in offer.refused.items():
        if only is None or name in only:
            _leave_out(connection.server, f"tool {name!r}: {why}")
    for tool in offer.tools:
        if only is None or tool.name in only:
            name = free_name(f"{prefix}_{identifier(tool.name)}", {*taken, *made})
            try:
                made[name] = _tool(connection, name, tool, offer.output_schemas.get(tool.name))
            except (ToolDefinitionError, RecursionError) as error:
                _leave_out(connection.server, str(error))
    if offer.resources:
        for resource_tool in _resource_tools(connection, prefix):
            if resource_tool.name not in taken:
                made.setdefault(resource_tool.name, resource_tool)
    return list(made.values())


def _leave_out(server: McpServer, why: str) -> None:
    warnings.warn(
        f"MCP server {server.name!r}: a tool is left out: {server.hide(why)}", RuntimeWarning, stacklevel=3
    )


def _tool(connection: Connection, name: str, listed: Listed, output_schema: Any) -> Tool:
    from braid.executors.mcp.results import ResultSchema, value_of  # needs the extra `mcp`

    server = connection.server
    effect = server.effects.get(listed.name) or _effect_of(listed)
    schema = None if output_schema is None else ResultSchema(name, output_schema)
    parameters, renamed = plan_parameters(listed.input_schema)

    async def call(**args: Any) -> Any:
        given = {renamed.get(key, key): value for key, value in args.items()}
        result = await connection.request(
            listed.name, effect, lambda client: client.call_tool(listed.name, given)
        )
        # Its check may take a while, and the loop is that of the run.
        return await asyncio.to_thread(value_of, server, listed.name, result, schema)

    description = " ".join((listed.description or listed.title or listed.name).split())
    spec = ToolSpec(
        name=name,
        description=description,
        parameters=parameters,
        returns=_returns(output_schema),
        effect=effect,
    )
    # The connection has its own limits, and what the server refused is not retried.
    return Tool(call, spec=spec)


def _resource_tools(connection: Connection, prefix: str) -> list[Tool]:
    from braid.executors.mcp.results import bounded  # needs the extra `mcp`

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
        return bounded(server, "read_resource", "\n".join(texts))

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


async def _has_resources(client: Client) -> bool:
    """Whether the server lists resources. One that says so and cannot list them has none."""
    from mcp import MCPError
    from mcp_types import CONNECTION_CLOSED
    from pydantic import ValidationError

    if client.server_capabilities.resources is None:
        return False
    try:
        return bool((await client.list_resources()).resources)
    except MCPError as error:
        if error.code == CONNECTION_CLOSED:
            raise
        return False
    except ValidationError:
        return False


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
        if not isinstance(inner, dict):
            return None
        found = cast("dict[str, Any]", inner)
        return {**found, "$defs": schema["$defs"]} if schema and "$defs" in schema else found
    return schema
