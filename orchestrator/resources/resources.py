"""The engines and MCP servers of an agent: opened when they are first needed, shared by its runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from braid.engine import Engine, connect
from braid.engine.deferred import DeferredEngine, shipped_info
from braid.engine.system import OneLoop
from braid.executors import ToolRegistry
from braid.orchestrator.question import load_tables
from braid.orchestrator.resources.engines import OpenEngines, Role, RoleEngines
from braid.orchestrator.settings import RunSpec

if TYPE_CHECKING:
    from braid.executors.mcp import McpServer, McpTools


class Resources:
    """What is open. It belongs to one event loop from the first opening until `close`.

    Args:
        given: The engines that the agent was given. Addresses are opened, engines are taken as they are.
        tools: The agent's own tools.
        servers: MCP servers. None takes those of the options.
    """

    def __init__(self, given: RoleEngines, tools: ToolRegistry, servers: Sequence[McpServer] | None) -> None:
        self.given = given
        self.tools = tools
        """The agent's own tools, and those of servers that are started."""
        self._own_tools = tools
        self._servers = servers
        self._mcp: McpTools | None = None
        self._engines: dict[str, Engine] = {}
        self._forget_loop()

    def unopened(self) -> Resources:
        """The same with nothing opened yet, for another event loop."""
        return Resources(self.given, self._own_tools, self._servers)

    def servers(self, spec: RunSpec) -> Path | Sequence[McpServer] | None:
        """The MCP servers, or their configuration file."""
        return spec.mcp if self._servers is None else self._servers

    def has_unknown_tools(self, spec: RunSpec) -> bool:
        """Whether there are servers that are not started, whose tools are not known."""
        return bool(self.servers(spec)) and self._mcp is None

    async def open(self, spec: RunSpec, *, load: bool = True) -> OpenEngines:
        """The engines of a run. Servers are started, too.

        Args:
            spec: The options of the run.
            load: Whether a model is loaded that otherwise would be when it is first asked something.

        Raises:
            EngineError: An engine cannot be reached.
            McpError: An MCP server cannot be reached.
        """
        async with self.opening(spec):
            plan, think = [
                await self._opened(engine, spec)
                for engine in self.given.wanted(spec.engine, spec.think_engine)
            ]
        if plan is think:
            plan, think = _in_role(plan, "plan"), _in_role(think, "think")
        if load:
            plan, think = await self._loaded(plan), await self._loaded(think)
        return OpenEngines(plan=plan, think=think)

    @asynccontextmanager
    async def opening(self, spec: RunSpec) -> AsyncIterator[None]:
        """Start the servers, or look for new tools of theirs, and hold the lock inside the block."""
        self.check()
        async with self._lock:
            servers = self.servers(spec)
            if servers is not None and self._mcp is None:
                await self._start(servers)
            elif self._mcp is not None and await self._mcp.refresh():
                self.tools = ToolRegistry([*self._own_tools, *self._mcp])
            yield

    def check(self) -> None:
        """Raise `WrongLoopError` where this belongs to another event loop."""
        if self._loop.ended:
            self._forget_loop()
        self._loop.check()

    async def close(self) -> None:
        """Close what was opened. It may be opened again."""
        self.check()
        engines, self._engines = self._engines, {}
        self._forget_loop()  # a lock stays with its event loop, the agent does not
        servers, self._mcp = self._mcp, None
        self.tools = self._own_tools
        async with AsyncExitStack() as closing:
            for engine in engines.values():
                closing.push_async_callback(engine.close)
            if servers is not None:
                closing.push_async_exit(servers)

    def _forget_loop(self) -> None:
        """The next loop is the one that this belongs to."""
        self._lock, self._loop = asyncio.Lock(), OneLoop("an agent that is open")

    async def _loaded(self, engine: Engine) -> Engine:
        if not isinstance(engine, DeferredEngine):
            return engine
        opened = await engine.open()
        self._engines = {key: opened if each is engine else each for key, each in self._engines.items()}
        return opened

    async def _opened(self, engine: str | Engine, spec: RunSpec) -> Engine:
        if isinstance(engine, Engine):
            return engine
        if engine not in self._engines:
            # A shipped model is loaded when it is first needed, where code may answer in its place.
            info = shipped_info(engine) if spec.shortcuts and spec.device is None else None
            opened = tuple(self._engines.values())
            deferred = info and DeferredEngine(info, lambda: _connect(engine, spec, opened))
            self._engines[engine] = deferred or await _connect(engine, spec, opened)
        return self._engines[engine]

    async def _start(self, mcp: Path | Sequence[McpServer]) -> None:
        from braid.executors.mcp import McpTools, read_mcp_config

        servers = await McpTools(read_mcp_config(mcp) if isinstance(mcp, Path) else mcp).__aenter__()
        try:
            self.tools = ToolRegistry([*self._own_tools, *servers])
        except BaseException:
            await servers.__aexit__(None, None, None)
            raise
        self._mcp = servers


def _in_role(engine: Engine, role: Role) -> Engine:
    """The engine, without its adapter where that is for another role only."""
    roles = engine.info.details.get("roles")
    return engine if roles is None or role in roles.split() else engine.with_adapter(None)


async def _connect(engine: str, spec: RunSpec, opened: Sequence[Engine]) -> Engine:
    loading = connect(engine, beside=opened, **spec.engine_options(engine))
    if not engine.startswith("local:") or not spec.shortcuts:
        return await loading
    # Code that answers in the embedded model's place loads beside it, so that no run waits for that.
    tables = asyncio.ensure_future(asyncio.to_thread(load_tables))
    try:
        return await loading
    finally:
        await tables
