"""Tools of MCP servers: launched (stdio) or reached over streamable HTTP, by the official SDK (`pip install 'braid[mcp]'`).

    async with McpTools([McpServer(name="time", command="uvx", args=("mcp-server-time",))]) as tools:
        result = await Agent(tools=tools).run("...")

A server's tool `convert_time` is called `time_convert_time` in plans. What a call does to the world is read
from the server's own hints: read-only and idempotent tools may be repeated, all others are mutating and need
approval; `McpServer.effects` overrules that, tool by tool. Servers may hang, die, flood and lie: each call has a
time limit, a result a greatest size, a connection that was lost is made anew for the next call, and a tool whose
schema is unusable is left out with a warning.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TextIO, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from engine import BraidError
from executors.tool_errors import ToolDefinitionError, ToolError
from executors.tool_options import RESERVED
from executors.tools import Effect, Tool

if TYPE_CHECKING:
    from types import TracebackType

    from mcp import Client
    from mcp_types import CallToolResult
    from mcp_types import Tool as Listed

RECONNECTS: Final = 2
"""How often one call may find its connection lost and make a new one, when it may be repeated."""

_MOST_PAGES: Final = 100


class McpError(BraidError):
    """An MCP server cannot be reached, or its configuration cannot be read. Says which, why, and what it wrote last."""


class McpServer(BaseModel):
    """How to reach one server: `command` with `args` to launch it, or the `url` of one that runs.

    `timeout` is in seconds and bounds the start and each call; `max_concurrency` the calls at once over all tools of the
    server; `max_result_bytes` the text of one result. `headers` and `env` are secrets: neither is ever logged.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, SecretStr] = Field(default_factory=dict)
    cwd: Path | None = None
    url: str | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    timeout: float = Field(default=60.0, gt=0)
    max_concurrency: int = Field(default=8, ge=1)
    max_result_bytes: int = Field(default=1_000_000, ge=1)
    effects: dict[str, Effect] = Field(default_factory=dict)
    only: tuple[str, ...] | None = None
    """Names of the tools to take, as the server calls them; None takes all."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError(f"server {self.name!r}: give either a command or a url")
        return self


def read_mcp_config(file: Path | str) -> list[McpServer]:
    """The servers of a JSON file in the usual form: `{"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}`.

    `${NAME}` in values stands for an environment variable.

    Raises:
        McpError: the file cannot be read, or is not of this form; the message names the place.
    """
    path = Path(file)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise McpError(f"cannot read the MCP configuration {path}: {error}") from error
    listed: Any = cast("dict[str, Any]", content).get("mcpServers") if isinstance(content, dict) else None
    if not isinstance(listed, dict):
        raise McpError(f'{path}: expected {{"mcpServers": {{"name": {{"command": ...}}}}}}')
    servers: list[McpServer] = []
    for name, options in cast("dict[str, Any]", listed).items():
        if not isinstance(options, dict):
            raise McpError(f"{path}: server {name!r} must be an object with a command or a url")
        given = {key: value for key, value in cast("dict[str, Any]", options).items() if key != "type"}
        try:
            servers.append(McpServer(name=name, **_expanded(given, path)))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise McpError(
                f"{path}: server {name!r}: {f'{where}: ' if where else ''}{first['msg']}"
            ) from None
    return servers


class McpTools(Sequence[Tool]):
    """The tools of some servers, while the `async with` block lasts. A sequence of tools, to be handed to an agent.

    Raises on entering:
        McpError: a server cannot be started or reached in time; those already started are stopped.
    """

    def __init__(self, servers: Iterable[McpServer]) -> None:
        self._connections = [_Connection(server) for server in servers]
        self._tools: list[Tool] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if find_spec("mcp") is None:
            raise McpError("the MCP client is not installed: pip install 'braid[mcp]'")
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.TaskGroup() as group:
                    for connection in self._connections:
                        stack.push_async_callback(connection.close)
                    listings = [group.create_task(connection.tools()) for connection in self._connections]
            except BaseExceptionGroup as failed:
                raise failed.exceptions[0] from None
            self._tools = [tool for listing in listings for tool in listing.result()]
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def __getitem__(self, index: Any) -> Any:  # one tool, or a list of them for a slice
        return cast("Any", self._tools)[index]

    def __len__(self) -> int:
        return len(self._tools)


class _Connection:
    """One server: connected when first needed, again when the connection was lost."""

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self._client: Client | None = None
        self._holder: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()
        self._opening = asyncio.Lock()
        self._slots = asyncio.Semaphore(server.max_concurrency)
        self._stderr = _LastLines()

    async def tools(self) -> list[Tool]:
        """What the server offers, as tools; those that cannot be used are left out with a warning."""
        client = await self._connected()
        try:
            async with asyncio.timeout(self.server.timeout):
                listed = await _all_tools(client)
                resources = client.server_capabilities.resources is not None and bool(
                    (await client.list_resources()).resources
                )
        except Exception as error:
            raise self._unreachable(error) from error
        made: dict[str, Tool] = {}
        for one in listed:
            if self.server.only is not None and one.name not in self.server.only:
                continue
            name = _plan_name(self.server.name, one.name, made)
            try:
                made[name] = self._tool(name, one)
            except (ToolDefinitionError, RecursionError) as error:
                warnings.warn(
                    f"MCP server {self.server.name!r}: a tool is left out: {error}",
                    RuntimeWarning,
                    stacklevel=2,
                )
        missing = set(self.server.only or ()) - {one.name for one in listed}
        if missing:
            raise McpError(
                f"MCP server {self.server.name!r} has no tool {', '.join(sorted(missing))}; "
                f"it has {', '.join(one.name for one in listed)}"
            )
        if resources:
            for tool in self._resource_tools():
                made.setdefault(tool.name, tool)
        return list(made.values())

    async def close(self) -> None:
        """Stop the server that was launched, or leave the one that was reached."""
        await self._drop()
        self._stderr.close()

    async def call(self, name: str, args: dict[str, Any], effect: Effect) -> Any:
        """Call a tool of the server by its own name. Raises `ToolError` for whatever goes wrong."""
        async with self._slots:
            for left in range(RECONNECTS, -1, -1):
                client = await self._connected()
                try:
                    result = await client.call_tool(name, args, read_timeout_seconds=self.server.timeout)
                except Exception as error:
                    lost = _is_lost(error)
                    if lost:
                        await self._drop(client)
                        if effect != "mutating" and left:
                            continue
                    raise self._failed(name, error, lost=lost, effect=effect) from error
                return self._value(name, result)
        raise AssertionError("the last attempt returns or raises")

    # tools

    def _tool(self, name: str, listed: Listed) -> Tool:
        from executors.schema_arguments import SchemaSignature

        effect = self.server.effects.get(listed.name) or _effect_of(listed)

        async def call(**args: Any) -> Any:
            return await self.call(listed.name, args, effect)

        description = " ".join((listed.description or listed.title or listed.name).split())
        signature = SchemaSignature.of(name, description, listed.input_schema, _returns(listed.output_schema))
        # The connection has its own limits; a tool's retries are not for what the server itself said.
        return Tool(call, name=name, effect=effect, signature=signature)

    def _resource_tools(self) -> list[Tool]:
        async def list_resources() -> list[dict[str, str]]:
            client = await self._connected()
            try:
                listed = (await client.list_resources()).resources
            except Exception as error:
                raise self._failed("list_resources", error, lost=_is_lost(error), effect="pure") from error
            return [
                {"uri": str(one.uri), "name": one.name, "description": one.description or ""}
                for one in listed
            ]

        async def read_resource(uri: str) -> str:
            client = await self._connected()
            try:
                found = await client.read_resource(uri)
            except Exception as error:
                raise self._failed("read_resource", error, lost=_is_lost(error), effect="pure") from error
            texts = [
                text
                if isinstance(text := getattr(part, "text", None), str)
                else f"[{part.mime_type or 'data'}]"
                for part in found.contents
            ]
            return self._bounded("read_resource", "\n".join(texts))

        prefix = _identifier(self.server.name)
        return [
            Tool(
                list_resources,
                name=f"{prefix}_list_resources",
                description=f"list what the {self.server.name} server has to read",
                effect="idempotent",
            ),
            Tool(
                read_resource,
                name=f"{prefix}_read_resource",
                description=f"read one resource of the {self.server.name} server by its uri",
                effect="idempotent",
            ),
        ]

    def _value(self, name: str, result: CallToolResult) -> Any:
        text = "\n".join(_text_of(part) for part in result.content)
        if result.is_error:
            raise ToolError(
                f"{self.server.name}: {name}: {text[:2000] or 'failed without a reason'}", tool=name
            )
        structured = result.structured_content
        if structured is None:
            return self._bounded(name, text)
        self._bounded(name, json.dumps(structured, ensure_ascii=False))
        # A plain value is wrapped, for results have to be objects.
        if isinstance(structured, dict) and set(cast("dict[str, Any]", structured)) == {"result"}:
            return cast("dict[str, Any]", structured)["result"]
        return cast("Any", structured)

    def _bounded(self, name: str, text: str) -> str:
        size = len(text.encode("utf-8", "replace"))
        if size > self.server.max_result_bytes:
            raise ToolError(
                f"{self.server.name}: {name}: the result has {size:,} bytes, and no more than "
                f"{self.server.max_result_bytes:,} are taken (max_result_bytes)",
                tool=name,
            )
        return text

    def _failed(self, name: str, error: Exception, *, lost: bool, effect: Effect) -> ToolError:
        where = f"{self.server.name}: {name}"
        if lost:
            fate = ", and whether the call took effect is not known" if effect == "mutating" else ""
            return ToolError(
                f"{where}: the connection to the MCP server was lost{fate}{self._stderr.shown()}", tool=name
            )
        return ToolError(f"{where}: {type(error).__name__}: {str(error)[:2000]}", tool=name)

    # the connection

    async def _connected(self) -> Client:
        async with self._opening:
            if self._client is None or self._holder is None or self._holder.done():
                self._leave = asyncio.Event()
                ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
                # The SDK wants a connection to be left by the task that made it, so each has one.
                self._holder = asyncio.create_task(
                    self._hold(ready, self._leave), name=f"braid mcp {self.server.name}"
                )
                try:
                    async with asyncio.timeout(self.server.timeout):
                        self._client = await ready
                except BaseException as error:
                    await self._drop()
                    if isinstance(error, Exception):
                        raise self._unreachable(error) from error
                    raise
            return self._client

    async def _hold(self, ready: asyncio.Future[Client], leave: asyncio.Event) -> None:
        from mcp import Client

        try:
            async with AsyncExitStack() as stack:
                transport = await self._transport(stack)
                client = await stack.enter_async_context(
                    Client(transport, read_timeout_seconds=self.server.timeout, cache=None)
                )
                ready.set_result(client)
                await leave.wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(_first(error))
            elif isinstance(error, asyncio.CancelledError):
                raise
            # An error while leaving: the server is gone, which is what was asked for.

    async def _transport(self, stack: AsyncExitStack) -> Any:
        server = self.server
        if server.url is not None:
            import httpx2
            from mcp.client.streamable_http import streamable_http_client

            headers = {key: value.get_secret_value() for key, value in server.headers.items()}
            timeout = httpx2.Timeout(server.timeout, read=None)
            http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=timeout))
            return streamable_http_client(server.url, http_client=http)
        from mcp import StdioServerParameters
        from mcp.client.stdio import stdio_client

        assert server.command is not None
        parameters = StdioServerParameters(
            command=server.command,
            args=list(server.args),
            env={key: value.get_secret_value() for key, value in server.env.items()},
            cwd=server.cwd,
            encoding_error_handler="replace",
        )
        return stdio_client(parameters, errlog=self._stderr.open())

    async def _drop(self, client: Client | None = None) -> None:
        """Leave the connection, unless it is another one than `client` by now."""
        if client is not None and client is not self._client:
            return
        holder, ready = self._holder, self._client is not None
        self._holder = self._client = None
        if holder is None:
            return
        self._leave.set()  # which one that never got ready does not wait for
        if not ready or not (await asyncio.wait((holder,), timeout=10.0))[0]:
            holder.cancel()
            with suppress(asyncio.CancelledError):
                await holder

    def _unreachable(self, error: BaseException) -> McpError:
        shown = (
            f"no answer within {self.server.timeout:g} s" if isinstance(error, TimeoutError) else str(error)
        )
        how = (
            self.server.url
            or " ".join(" ".join((self.server.command or "", *self.server.args)).split())[:120]
        )
        return McpError(
            f"MCP server {self.server.name!r} ({how}): {shown or type(error).__name__}{self._stderr.shown()}"
        )


class _LastLines:
    """The end of what a server writes to stderr, for error messages; the rest of it goes nowhere."""

    def __init__(self, size: int = 2000) -> None:
        self._kept: deque[str] = deque(maxlen=size)
        self._write: TextIO | None = None

    def open(self) -> TextIO:
        if self._write is None:
            read, write = os.pipe()
            self._write = os.fdopen(write, "w")
            threading.Thread(target=self._read, args=(read,), name="braid mcp stderr", daemon=True).start()
        return self._write

    def close(self) -> None:
        if self._write is not None:
            self._write.close()
            self._write = None

    def shown(self) -> str:
        last = "".join(self._kept).strip()
        return f"; it wrote: {last}" if last else ""

    def _read(self, fd: int) -> None:
        with os.fdopen(fd, errors="replace") as stream:
            while chunk := os.read(stream.fileno(), 65536):
                self._kept.extend(chunk.decode("utf-8", "replace"))


async def _all_tools(client: Client) -> list[Listed]:
    found: list[Listed] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        found += page.tools
        cursor = page.next_cursor
        if not cursor:
            break
    return found


def _effect_of(listed: Listed) -> Effect:
    """Read-only tools are not pure: what they read may change."""
    hints = listed.annotations
    if hints is not None and (hints.read_only_hint or (hints.idempotent_hint and not hints.destructive_hint)):
        return "idempotent"
    return "mutating"


def _returns(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    """The schema of the value that a call gives: what is wrapped, unwrapped."""
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


def _is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, in contrast to a call that failed."""
    import anyio
    from mcp import MCPError
    from mcp_types import CONNECTION_CLOSED

    if isinstance(error, MCPError):
        return error.code == CONNECTION_CLOSED
    return isinstance(
        error, (anyio.ClosedResourceError, anyio.BrokenResourceError, ConnectionError, RuntimeError)
    ) and (not isinstance(error, RuntimeError) or "context manager" in str(error))


def _first(error: BaseException) -> BaseException:
    """The first error of a group: the SDK's connections run in task groups."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _expanded(value: Any, path: Path) -> Any:
    """`${NAME}` replaced by environment variables, at any depth."""
    if isinstance(value, str):

        def variable(match: re.Match[str]) -> str:
            found = os.environ.get(match[1])
            if found is None:
                raise McpError(f"{path}: the environment variable {match[1]} is not set")
            return found

        return re.sub(r"\$\{(\w+)\}", variable, value)
    if isinstance(value, dict):
        return {key: _expanded(one, path) for key, one in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_expanded(one, path) for one in cast("list[Any]", value)]
    return value
