"""Agents within agents: an agent as a tool of another one, and what it shares with the outer run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from braid.engine.scope import ambient_budget
from braid.executors import Tool, ToolContext, ToolOptions
from braid.executors.tools import Effect, ToolError, UncertainError, Unfinished, UsageResult

if TYPE_CHECKING:
    from braid.engine import Budget
    from braid.executors.journal import Journal
    from braid.executors.scheduler import Approve, AskPerson
    from braid.orchestrator.agent import Agent

MAX_DEPTH: Final = 3
"""Deepest level of an agent within agents. The outermost agent is at depth 0."""

_VERSION: Final = "94abba240ce45f34"
"""The version of each agent as a tool. It stays, so that runs of an earlier Braid can be resumed."""

_depth: ContextVar[int] = ContextVar("braid_agent_depth", default=0)


@dataclass(frozen=True, kw_only=True)
class OuterRun:
    """What a run shares with the runs inside it: its journal, and who answers for its person."""

    journal: Journal | None = None
    approve: Approve | None = None
    ask: AskPerson | None = None


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
        depth = _depth.get()
        if depth >= MAX_DEPTH:
            raise ToolError(f"{name}: agents are nested {MAX_DEPTH} deep already", tool=name)
        token = _depth.set(depth + 1)
        try:
            scope: Budget = ambient_budget().child(name, tokens=tokens, seconds=seconds, calls=calls)
            result = await agent.run_nested(
                question, run_id=context.idempotency_key, deps=context.deps, budget=scope
            )
        finally:
            _depth.reset(token)
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
