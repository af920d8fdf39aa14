"""Approvals: nodes that wait for a person.

The person answers a question, approves a call, or says how a call ended.

They hold no slot of the run or of their tool, so that a person who takes an hour holds up only what reads the
node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias, assert_never

from braid.executors.graph import FINAL, NodeRecord, reopen, tool_of
from braid.executors.nodes import Ask
from braid.executors.scheduler.context import GraphContext
from braid.executors.scheduler.lifecycle import NodeLifecycle, RunState
from braid.executors.scheduler.think import ask_person
from braid.executors.scheduler.tool_calls import approve_call, resolve_outcome
from braid.executors.tools import Done, Tool, ToolError, UncertainError, Unfinished


@dataclass(frozen=True, slots=True)
class Admit:
    """The call is approved. It may be made."""


@dataclass(frozen=True, slots=True)
class Rearm:
    """The call of an earlier process did not happen. It is made when its inputs are there."""


@dataclass(frozen=True, slots=True)
class Succeed:
    """The node has its value."""

    value: Any


@dataclass(frozen=True, slots=True)
class Fail:
    """The node has failed, or nobody knows how its call ended."""

    error: BaseException


Decision: TypeAlias = "Admit | Rearm | Succeed | Fail"
Decide: TypeAlias = Callable[[NodeRecord], Coroutine[Any, Any, Decision]]


class Approvals:
    """The nodes of one run that wait for a person now, each in a task of its own."""

    def __init__(self, context: GraphContext, state: RunState, nodes: NodeLifecycle) -> None:
        self.waiting: dict[NodeRecord, asyncio.Task[None]] = {}
        self.uncertain: set[NodeRecord] = set()
        """Nodes whose call may or may not have happened. Whoever may know was asked, or is being asked."""
        self._context = context
        self._state = state
        self._nodes = nodes

    def request(self, entry: NodeRecord) -> None:
        """Put a question to the person, or ask for approval of a mutating call.

        The call is admitted to the slots once it is approved.
        """
        if isinstance(entry.node.op, Ask):
            self._nodes.begin(entry)
            self._spawn(entry, self._ask)
        else:
            self._spawn(entry, self._approve)

    def resolve(self, entry: NodeRecord) -> None:
        """A mutating call ended so that nobody knows whether it happened: find out.

        The entry stays running until then. When it is cancelled meanwhile, what is found out still counts.
        """
        self.uncertain.add(entry)
        self._spawn(entry, self._resolve)

    def resolve_begun(self, entry: NodeRecord) -> None:
        """The same for a call that an earlier process began.

        One that did not happen is made now, unless its node was settled.
        """
        self.uncertain.add(entry)
        if entry.state not in FINAL:
            entry.state = "running"
        self._spawn(entry, self._resolve_begun)

    def drop(self, entry: NodeRecord) -> None:
        """Wait no longer for `entry`."""
        task = self.waiting.pop(entry, None)
        if task is not None:
            task.cancel()

    async def _ask(self, entry: NodeRecord) -> Decision:
        return Succeed(await ask_person(self._context, entry.args))

    async def _approve(self, entry: NodeRecord) -> Decision:
        earlier = await approve_call(self._context, entry, self._tool(entry))
        return Admit() if earlier is None else Succeed(earlier.value)

    async def _resolve(self, entry: NodeRecord) -> Decision:
        tool = self._tool(entry)
        outcome = await resolve_outcome(self._context, entry, tool)
        if isinstance(outcome, Done):
            return Succeed(outcome.value)
        if isinstance(outcome, Unfinished):
            raise UncertainError(f"{tool.name}: the call did a part of its work", tool=tool.name)
        return Fail(ToolError(f"{tool.name}: the call did not come through", tool=tool.name))

    async def _resolve_begun(self, entry: NodeRecord) -> Decision:
        name = entry.tool or ""
        if name not in self._context.tools:
            raise UncertainError(
                f"{name} is not among the tools; whether its call happened is not known", tool=name
            )
        earlier = await approve_call(self._context, entry, self._tool(entry))
        return Rearm() if earlier is None else Succeed(earlier.value)

    def _spawn(self, entry: NodeRecord, decide: Decide) -> None:
        self.drop(entry)
        work = self._wait(entry, entry.epoch, decide)
        self.waiting[entry] = self._state.spawn(work, f"{entry.node.id} waits")

    async def _wait(self, entry: NodeRecord, epoch: int, decide: Decide) -> None:
        state, task = self._state, asyncio.current_task()
        assert task is not None
        try:
            try:
                decision = await decide(entry)
            except (GeneratorExit, KeyboardInterrupt):
                raise  # a person who is asked and interrupts means the run
            except BaseException as error:
                if task.cancelling():
                    raise  # whoever cancelled it has settled the entry, or will
                decision = Fail(error)
            self._forget(entry, task)
            if entry.epoch == epoch:  # else its inputs were bound anew, and it was requested again
                self._carry_out(entry, decision)
        except BaseException:
            # Whoever cancels emits it. Anything else is an internal error, or a listener's.
            state.closing = state.closing or not task.cancelling()
            raise
        finally:
            self._forget(entry, task)
            if not state.closing:
                self._nodes.wake()

    def _forget(self, entry: NodeRecord, task: asyncio.Task[None]) -> None:
        if self.waiting.get(entry) is task:
            del self.waiting[entry]

    def _carry_out(self, entry: NodeRecord, decision: Decision) -> None:
        uncertain = entry in self.uncertain
        if entry.state in FINAL and not uncertain:
            return  # it was cancelled meanwhile
        match decision:
            case Admit():
                self._nodes.admit(entry)
            case Rearm():
                if entry.state == "running":
                    self.uncertain.discard(entry)
                    self._nodes.rearm(entry)
            case Succeed(value):
                self._resume(entry)
                self._nodes.succeed(entry, value)
            case Fail(error):
                if entry.state in FINAL and not isinstance(error, UncertainError):
                    return
                self.uncertain.add(entry)
                self._resume(entry)
                self._nodes.fail(entry, error)
            case _:
                assert_never(decision)

    def _resume(self, entry: NodeRecord) -> None:
        """Let `entry` count as running, whatever it was settled as."""
        if entry.state in FINAL:
            reopen(entry)
            entry.state = "running"
        if entry.started is None or entry.state != "running":
            self._nodes.begin(entry)

    def _tool(self, entry: NodeRecord) -> Tool:
        return self._context.tools.get(tool_of(entry.node) or "")
