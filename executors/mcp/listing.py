"""What a server lists, tool by tool.

The SDK refuses a whole list for one tool that breaks the protocol, and it checks results against output
schemas without bounds. So a list is mended while it is received: tools that would be refused are taken out,
and output schemas are kept here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCResponse, ListToolsResult, methods
from pydantic import ValidationError

if TYPE_CHECKING:
    from mcp.client._transport import ReadStream, TransportStreams


class Listing:
    """The lists of one server, as they were received last."""

    def __init__(self) -> None:
        self.version = "2025-11-25"
        """The version of the protocol that the connection speaks."""
        self.output_schemas: dict[str, Any] = {}
        """Output schemas by tool, as the server calls it."""
        self.refused: dict[str, str] = {}
        """Why a tool was taken out, by its name."""

    @asynccontextmanager
    async def mend(
        self, transport: AbstractAsyncContextManager[TransportStreams]
    ) -> AsyncGenerator[TransportStreams]:
        """`transport`, with lists of tools mended."""
        async with transport as (read_stream, write_stream):
            yield (
                cast("ReadStream[SessionMessage | Exception]", _MendedStream(read_stream, self)),
                write_stream,
            )

    def receive(self, item: SessionMessage | Exception) -> SessionMessage | Exception:
        """Mend the list of tools in `item`, if it is one."""
        message = item.message if isinstance(item, SessionMessage) else None
        if isinstance(message, JSONRPCResponse) and isinstance(message.result.get("tools"), list):
            tools = cast("list[Any]", message.result["tools"])
            message.result["tools"] = [tool for tool in tools if self._usable(message.result, tool)]
        return item

    def _usable(self, result: dict[str, Any], tool: Any) -> bool:
        name = str(cast("dict[str, Any]", tool).get("name")) if isinstance(tool, dict) else repr(tool)[:80]
        self.output_schemas.pop(name, None)
        self.refused.pop(name, None)
        alone: dict[str, Any] = {**result, "tools": [tool]}
        try:
            methods.validate_server_result("tools/list", self.version, alone)
        except KeyError:
            pass  # the SDK does not check lists of this version
        except ValidationError as error:
            return self._refuse(name, error)
        try:
            ListToolsResult.model_validate(alone, by_name=False)
        except ValidationError as error:
            return self._refuse(name, error)
        self.output_schemas[name] = cast("dict[str, Any]", tool).pop("outputSchema", None)
        return True

    def _refuse(self, name: str, error: ValidationError) -> bool:
        first = error.errors(include_input=False, include_url=False)[0]
        self.refused[name] = f"{'.'.join(map(str, first['loc'][2:]))}: {first['msg']}"
        return False


class _MendedStream:
    """The stream of received messages, with lists of tools mended."""

    def __init__(self, stream: ReadStream[SessionMessage | Exception], listing: Listing) -> None:
        self._stream = stream
        self._listing = listing

    @property
    def last_context(self) -> Any:
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        return self._listing.receive(await self._stream.receive())

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> _MendedStream:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        return self._listing.receive(await anext(self._stream))

    async def __aenter__(self) -> _MendedStream:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        return await self._stream.__aexit__(*error)
