"""Agents within agents: an agent as a tool of another one, and what it shares with the outer run."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from braid.engine.scope import ambient_budget
from braid.executors import Tool, ToolContext, ToolOptions
from braid.executors.scheduler import calling_node
from braid.executors.tools import Effect, ToolError, UncertainError, Unfinished, UsageResult
from braid.orchestrator.errors import NestingError

if TYPE_CHECKING:
    from braid.engine import Budget
    from braid.executors.journal import Journal
    from braid.executors.scheduler import Approve, AskPerson
    from braid.orchestrator.agent import Agent

T = TypeVar("T")

MAX_DEPTH: Final = 3
"""Deepest level of an agent within agents. The outermost agent is at depth 0."""

_VERSION: Final = "94abba240ce45f34"
"""The version of each agent as a tool. It stays, so that runs of an earlier Braid can be resumed."""


@dataclass(frozen=True, kw_only=True)
class OuterRun:
    """What a run shares with the runs inside it: its journal, and who answers for its person."""

    journal: Journal | None = None
    approve: Approve | None = None
    ask: AskPerson | None = None
    run: str | None = None
    """Its id."""
    begun: Counter[str] = field(default_factory=lambda: Counter[str]())
    """How many runs each of its nodes began."""
    depth: int = -1
    """Its level. The outermost run is at level 0."""
    loop: asyncio.AbstractEventLoop | None = None
    """The event loop of its person."""

    def check_depth(self) -> None:
        """Check that a run may start in this one.

        Raises:
            NestingError: It would be too deep.
        """
        if self.depth >= MAX_DEPTH:
            raise NestingError(f"agents are nested {MAX_DEPTH} deep already")

    def next_run(self, question: str) -> str | None:
        """The id of a run that a tool of this run starts. None outside of a tool.

        It depends on the call, on how many runs the call began before, and on the question. So the run is
        found again when this one is resumed.
        """
        node = calling_node()
        if self.run is None or node is None:
            return None
        self.begun[node] += 1
        digest = hashlib.sha256(repr(question).encode(errors="replace")).hexdigest()
        return f"{self.run}:{node}/{self.begun[node]}-{digest[:8]}"

    def lent(self, answer: Callable[[T], Any] | None) -> Callable[[T], Awaitable[Any]] | None:
        """`approve` or `ask`, for a run inside that may have an event loop of its own."""
        if answer is None:
            return None

        async def on_its_loop(given: T) -> Any:
            if self.loop in (None, asyncio.get_running_loop()):
                return await _answered(answer, given)
            asked = asyncio.run_coroutine_threadsafe(_answered(answer, given), self.loop)
            return await asyncio.wrap_future(asked)

        return on_its_loop


async def _answered(answer: Callable[[T], Any], given: T) -> Any:
    reply = answer(given)
    return await reply if inspect.isawaitable(reply) else reply


NO_RUN: Final = OuterRun()

_outer: ContextVar[OuterRun] = ContextVar("braid_outer_run", default=NO_RUN)


def outer_run() -> OuterRun:
    """The run around this one. `NO_RUN` where this agent runs within no other."""
    return _outer.get()


@contextmanager
def use_outer_run(run: OuterRun) -> Iterator[None]:
    """Share `run` with the agents that run inside the block."""
    token = _outer.set(run)
    try:
        yield
    finally:
        _outer.reset(token)


def agent_tool(
    agent: Agent,
    *,
    name: str,
    description: str,
    effect: Effect | None = None,
    tokens: int | None = None,
    seconds: float | None = None,
    calls: int | None = None,
    max_concurrency: int | None = 4,
) -> Tool:
    """A tool whose calls are questions to `agent`, as `Agent.as_tool` describes it."""

    async def ask(context: ToolContext, question: str) -> UsageResult:
        scope: Budget = ambient_budget().child(name, tokens=tokens, seconds=seconds, calls=calls)
        result = await agent.run_nested(
            question, run_id=context.idempotency_key, deps=context.deps, budget=scope
        )
        if result.exceeded is not None and result.exceeded.budget is not scope:
            raise result.exceeded  # a limit of the outer run: that one stops, and can be resumed
        if any(result.graph.state(node) == "uncertain" for node in result.graph.entries):
            raise UncertainError(f"{name}: {result.reason or 'not all its calls are certain'}", tool=name)
        if not result.complete:
            known = f"; known so far: {result.answer}" if result.status == "partial" else ""
            raise ToolError(f"{name}: no full answer, {result.status}: {result.reason}{known}", tool=name)
        value = result.output if result.output is not None else result.answer
        return UsageResult(value=value, usage=result.usage)

    async def reconcile(context: ToolContext, key: str) -> Unfinished:
        """The run of the question goes on under its key. What its tools have done is not done again."""
        if agent.journal is None and outer_run().journal is None:
            raise UncertainError(f"{name}: no journal says what its tools have done", tool=name)
        return Unfinished()

    if effect is None:
        effect = "mutating" if agent.may_mutate else "idempotent"
    return Tool(
        ask,
        ToolOptions(
            name=name,
            description=description,
            effect=effect,
            version=_VERSION,
            max_concurrency=max_concurrency,
            reconcile=reconcile if effect == "mutating" else None,
        ),
    )
