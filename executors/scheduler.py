"""The dataflow scheduler: a node starts the moment its inputs exist, whatever else is streaming, running or failing.

There is no loop that looks for work. A node that settles counts its readers down (`executors.dataflow`), and those that
reach zero start in the same instant; patches are read side by side with all that. What ends a run:

- Everything settled and the patch stream at its end. Blocked nodes stay blocked, for a later round on the same graph may mend
  what they wait for; `TaskGraph.close` says that none will come.
- An `answer` ran. What still runs or waits is cancelled, except mutating calls: those under way finish, and so do those
  that stand before the answer in the plan, with all they need. Statements behind an answer that ran never start. An answer
  without guards leaves the stream to end by itself (it is the last statement anyway); one under an `if` closes it.
- The budget. Nothing new starts; calls that are paid for finish, but when time is what ran out, they are cancelled.
- The caller: cancelling the task that awaits `run_graph` cancels every node and waits for them.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Literal, assert_never, cast

from engine import Budget, BudgetExceededError, Engine, Message, ambient_budget, use_budget
from executors import events
from executors.admission import Admission
from executors.answers import Answers
from executors.dataflow import Dataflow
from executors.entries import Entry, tool_of
from executors.graph import GraphError, GraphPatch, TaskGraph
from executors.narrator import Emit, Narrator
from executors.nodes import Answer, Ask, Map, Think, ToolCall
from executors.operations import (
    Approve,
    AskPerson,
    NodeTimeoutError,
    Surroundings,
    ask_person,
    call_tool,
    think,
)
from executors.outcome import Limits, RunOutcome
from executors.registry import ToolRegistry
from executors.report import usage_of
from executors.tools import Tool
from executors.values import explain
from reasoning.core import Solution


async def run_graph(
    graph: TaskGraph,
    patches: AsyncIterator[GraphPatch] | None,
    *,
    tools: ToolRegistry,
    engine: Engine | None = None,
    root: Sequence[Message] = (),
    budget: Budget | None = None,
    emit: Emit | None = None,
    limits: Limits | None = None,
    sequential: bool = False,
    approve: Approve | None = None,
    ask: AskPerson | None = None,
    deps: Any = None,
    seed: int = 0,
    run_id: str | None = None,
) -> RunOutcome:
    """Run `graph`, and what `patches` adds to it while it runs, until nothing more can happen.

    Call it again with the same graph and the next round's patches: names of earlier rounds stay readable.

    Args:
        patches: consumed while nodes run; None runs what the graph holds. An exception from it cancels the run and is raised
            as it is, but `BudgetExceededError` stops the run and `CancelledError` of its own making ends the stream.
        root: what the prompt of every think node begins with.
        budget: None takes the ambient one. Each tool call spends one call of it.
        emit: called for each event, at once, on the event loop; what it raises ends the run.
        sequential: read all patches first, then run one node at a time in plan order: the baseline of every speed claim.
        approve: asked before each call of a mutating tool; None refuses them.
        run_id: goes into idempotency keys; random unless given.

    Raises:
        GraphError: a patch breaks a rule of the graph, or the graph is being run already.
    """
    if graph.listener is not None:
        raise GraphError("the graph is being run already; one run at a time")
    scope = budget if budget is not None else ambient_budget()
    around = Surroundings(
        tools=tools,
        engine=engine,
        root=tuple(root),
        budget=scope,
        approve=approve,
        ask=ask,
        deps=deps,
        seed=seed,
        run_id=run_id or uuid.uuid4().hex,
    )
    run = _Run(graph, around, emit, limits or Limits(), sequential)
    with use_budget(scope):
        return await run.execute(patches)


class _Run:
    """One call of `run_graph`: hosts the dataflow, listens to the graph, owns the tasks."""

    def __init__(
        self, graph: TaskGraph, around: Surroundings, emit: Emit | None, limits: Limits, sequential: bool
    ) -> None:
        self.graph = graph
        self.around = around
        self.limits = limits
        self.tell = Narrator(graph, emit) if emit is not None else None
        self.flow = Dataflow(graph, self, max_nodes=limits.max_nodes, max_map_items=limits.max_map_items)
        self.slots = Admission(1 if sequential else limits.max_concurrency, self._cap_of)
        self.sequential = sequential
        self.began = time.monotonic()
        if graph.origin is None:
            graph.origin = self.began
        self.origin = graph.origin
        self.streaming = False
        self.feeder: asyncio.Task[None] | None = None
        self.feeding = False
        self.enough = False
        self.closing = False
        self.answers = Answers(graph, self._mutates)
        self.stopped: Literal["budget", "cancelled"] | None = None
        self.reason = ""
        self.ran: list[Entry] = []

    async def execute(self, patches: AsyncIterator[GraphPatch] | None) -> RunOutcome:
        loop = asyncio.get_running_loop()
        self.idle: asyncio.Future[None] = loop.create_future()
        self.context = contextvars.copy_context()
        deadline = self._watch_deadline(loop)
        self.graph.listener = self
        try:
            async with asyncio.TaskGroup() as group:
                self.group = group
                try:
                    self._begin(patches)
                    await self.idle
                except BaseException:
                    self.closing = True
                    raise
        except BaseExceptionGroup as failed:
            raise _first(failed) from None
        finally:
            if deadline is not None:
                deadline.cancel()
            self.closing = True
            try:
                self._sweep()
            finally:
                self.graph.listener = None
                self.graph.runs += 1
        return self._outcome()

    def _begin(self, patches: AsyncIterator[GraphPatch] | None) -> None:
        self.answers.add(self.graph.entries.values())
        if patches is not None:
            self.streaming = True
            self.slots.held = self.sequential
            self.feeder = self.group.create_task(self._feed(patches), name="braid plan")
        self.flow.begin()
        self._check_idle()

    # What the dataflow tells.

    def ready(self, entry: Entry) -> None:
        if self.stopped is not None and not isinstance(entry.node.op, Answer):
            return  # stays pending, and is swept up as cancelled
        if not self.answers.park(entry, streaming=self.streaming):
            self._start(entry)

    def settled(self, entry: Entry) -> None:
        if entry.children is not None:
            entry.finished = self._now()
        if self.tell is not None:
            self.tell.settled(entry, self._now())
        if isinstance(entry.node.op, Answer):
            if entry.state == "done" and self.answers.given is None:
                for one in self.answers.end(entry, self.flow.needed_by):
                    self.cancel(one, "the plan was answered without it")
                if entry.node.guards:
                    self._close_stream()
            self._unpark()

    def expanded(self, entry: Entry, children: Sequence[Entry]) -> None:
        entry.started = self._now()
        if self.tell is not None:
            self.tell.started(entry)
            for child in children:
                self.tell.added(child)

    # What the graph tells.

    def patched(self, patch: GraphPatch, added: Sequence[Entry], rebound: Sequence[str]) -> None:
        if self.tell is not None:
            self.tell.patched(patch, added)
        if len(self.graph.entries) > self.limits.max_nodes:
            raise GraphError(f"the plan passes the limit of {self.limits.max_nodes} nodes (max_nodes)")
        if self.answers.given is not None:
            for entry in added:
                self.flow.cancel(entry, "the plan had been answered")
            return
        self.answers.add(added)
        if rebound:
            self.flow.rebound(rebound)
        # Those that read a name of this very patch that was bound anew are armed already.
        self.flow.arm([entry for entry in added if entry.epoch == 0])
        self._check_idle()

    def cancel(self, entry: Entry, reason: str) -> None:
        affected = [
            e for e in (entry, *(entry.children or ())) if e.task is not None and e.state == "running"
        ]
        for one in affected:
            one.finished = self._now()
        self.flow.cancel(entry, reason)
        for one in affected:
            if one.task is not None:
                one.task.cancel()
                if not one.begun:  # a task cancelled before its first step never gets to see it
                    self._release(one)

    # Nodes.

    def _start(self, entry: Entry) -> None:
        """Start `entry` now, or queue it for the slots that it needs."""
        if isinstance(entry.node.op, Answer):
            entry.started = entry.finished = self._now()
            if self.tell is not None:
                self.tell.started(entry)
            self.flow.settle(entry, "done", value=entry.args)
        elif not self.closing and self.slots.take(entry):
            self._launch(entry)

    def _dispatch(self) -> None:
        """Fill free slots from the queues."""
        while not self.closing and self.stopped is None and (entry := self.slots.next()) is not None:
            self._launch(entry)

    def _launch(self, entry: Entry) -> None:
        entry.state = "running"
        entry.started = self._now()
        self.ran.append(entry)
        if self.tell is not None:
            self.tell.started(entry)
        # A fresh copy of the run's context: what one tool puts into context variables is not seen by the next.
        entry.task = self.group.create_task(
            self._run_node(entry), name=entry.node.id, context=self.context.copy()
        )

    async def _run_node(self, entry: Entry) -> None:
        entry.begun = True
        try:
            try:
                value = await self._operate(entry)
            except GeneratorExit:
                raise
            except BaseException as error:
                # SystemExit and KeyboardInterrupt of a tool's own are its failure; the run lives on.
                self._ended_badly(entry, error)
                if isinstance(error, asyncio.CancelledError) and entry.state == "cancelled":
                    raise
            else:
                if (
                    entry.state == "running"
                ):  # else it was cancelled and would not listen: nobody reads its result
                    entry.finished = self._now()
                    if isinstance(value, Solution):
                        entry.usage = value.usage
                    self.flow.settle(entry, "done", value=value)
        except BaseException:
            if entry.state != "cancelled":
                self.closing = True  # an error of ours, or of who listens to events: it ends the run
            raise
        finally:
            self._release(entry)

    async def _operate(self, entry: Entry) -> Any:
        op = entry.node.op
        match op:
            case ToolCall(tool, _):
                tell = self.tell
                work = call_tool(
                    self.around,
                    node=entry.node.id,
                    tool=tool,
                    args=entry.args,
                    on_retry=None if tell is None else partial(tell.retried, entry),
                    on_abandoned=None if tell is None else partial(tell.abandoned, entry),
                )
            case Think():
                work = think(self.around, entry, op)
            case Ask():
                return await ask_person(self.around, entry.args)
            case Answer() | Map():
                raise AssertionError(f"{entry.node.id!r} is not run as a task")
            case _:
                assert_never(op)
        limit = self.limits.node_timeout
        if limit is None:
            return await work
        timer = asyncio.timeout(limit)
        try:
            async with timer:
                return await work
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise NodeTimeoutError(f"no result after {limit:g} s (node_timeout)") from error

    def _ended_badly(self, entry: Entry, error: BaseException) -> None:
        if entry.state != "running":
            return
        entry.finished = self._now()
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and (
            self.closing or (task is not None and task.cancelling())
        ):
            self.flow.settle(entry, "cancelled", error="the run was cancelled")
        elif isinstance(error, BudgetExceededError) and self._is_ours(error):
            self._stop_for(error)
            self.flow.settle(entry, "cancelled", error=str(error))
        else:
            entry.exception = error
            self.flow.settle(entry, "failed", error=explain(error))

    def _release(self, entry: Entry) -> None:
        """Give the slots back, once, and let who waits for them go on."""
        if entry.task is None:
            return
        entry.task = None
        self.slots.give_back(entry)
        if not self.closing:
            self._dispatch()
            self._check_idle()

    def _check_idle(self) -> None:
        if self.slots.active == 0 and not self.streaming and not self.closing and not self.idle.done():
            self.idle.set_result(None)

    def _cap_of(self, tool: str) -> int | None:
        known = self._tool(tool)
        return known.max_concurrency if known is not None else None

    def _tool(self, name: str | None) -> Tool | None:
        """A tool, or None for an unknown one: the call itself will say so."""
        return self.around.tools.get(name) if name is not None and name in self.around.tools else None

    # The patch stream.

    async def _feed(self, patches: AsyncIterator[GraphPatch]) -> None:
        self.feeding = True
        try:
            async for patch in patches:
                self.graph.apply(patch)
                if self.enough:
                    break
                await asyncio.sleep(0)  # a stream that never waits must not keep nodes from starting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            if self.stopped is None:
                self.stopped, self.reason = "cancelled", "the planner was cancelled"
        except BudgetExceededError as error:
            if not self._is_ours(error):
                self.closing = True
                raise
            self._stop_for(error)
        except BaseException:
            self.closing = True
            raise
        finally:
            self.feeder = None
            close = getattr(patches, "aclose", None)
            if close is not None:
                await close()
            self._stream_ended()

    def _close_stream(self) -> None:
        self.enough = True
        feeder = self.feeder
        if feeder is None or feeder is asyncio.current_task():
            return
        feeder.cancel()
        if not self.feeding:  # a task cancelled before its first step never gets to see it
            self.feeder = None
            self._stream_ended()

    def _stream_ended(self) -> None:
        self.streaming = False
        self.slots.held = False
        if not self.closing:
            self._unpark()
            self._dispatch()
            self._check_idle()

    def _unpark(self) -> None:
        for entry in self.answers.unpark(streaming=self.streaming):
            if not self.answers.park(entry, streaming=self.streaming) and entry.state == "pending":
                self._start(entry)

    def _mutates(self, entry: Entry) -> bool:
        known = self._tool(tool_of(entry.node))
        return known is not None and known.spec.effect == "mutating"

    # Budget.

    def _is_ours(self, error: BudgetExceededError) -> bool:
        return any(scope.name == error.scope for scope in self.around.budget.scopes())

    def _watch_deadline(self, loop: asyncio.AbstractEventLoop) -> asyncio.TimerHandle | None:
        rest = self.around.budget.remaining_seconds()
        return None if rest is None else loop.call_later(max(rest, 0.0) + 0.001, self._out_of_time)

    def _out_of_time(self) -> None:
        try:
            self.around.budget.check_time()
        except BudgetExceededError as error:
            self._stop_for(error)
            for entry in list(self.graph.entries.values()):
                if entry.task is not None:
                    self.cancel(entry, str(error))
            self._check_idle()

    def _stop_for(self, error: BudgetExceededError) -> None:
        """Start nothing new; what runs may finish."""
        if self.stopped is not None:
            return
        self.stopped, self.reason = "budget", str(error)
        if self.tell is not None:
            self.tell.out_of_budget(error)
        self._close_stream()

    # The end.

    def _sweep(self) -> None:
        """Nothing runs any more: settle what could not be."""
        interrupted = self.stopped is not None or not self.idle.done() or self.idle.cancelled()
        for entry in list(self.graph.entries.values()):
            if entry.state == "running" and entry.children is None:
                entry.finished = self._now()
                self.flow.settle(entry, "cancelled", error=self.reason or "the run was cancelled")
        for entry in list(self.graph.entries.values()):
            if entry.state == "pending" and interrupted:
                self.flow.cancel(entry, self.reason or "the run was cancelled")
            elif entry.state == "pending":  # parked behind an answer that is blocked
                self.flow.settle(entry, "blocked", error="an answer that stands before it could not run")

    def _outcome(self) -> RunOutcome:
        answered, last = self.answers.given, self.answers.last
        partial_answer: tuple[Any, ...] = ()
        if answered is None and self.stopped is not None and last is not None:
            partial_answer = self.flow.available(last)
        current = {binder for slot in self.graph.slots.values() for binder in slot.binders}
        entries = self.graph.entries.values()
        failed = [e for e in entries if e.state == "failed" and e.parent is None]
        return RunOutcome(
            answer=None if answered is None else answered.value,
            answered=answered is not None,
            partial=partial_answer,
            stopped=self.stopped,
            reason=self.reason,
            failures=tuple((e.node.id, e.error or "") for e in failed if e.node.name is None or e in current),
            blocked=tuple(e.node.id for e in entries if e.state == "blocked"),
            usage=usage_of(self.graph, self.ran),
            seconds=time.monotonic() - self.began,
        )

    def _now(self) -> float:
        return time.monotonic() - self.origin


def close_graph(graph: TaskGraph, *, emit: Emit | None = None) -> tuple[str, ...]:
    """`TaskGraph.close` with an event for each node: no revision will come, what is blocked becomes skipped."""
    ids = graph.close()
    if emit is not None:
        for id in ids:
            emit(events.NodeSkipped(node=id, reason=graph.error(id) or ""))
    return ids


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first cause: callers should not have to unpack groups that structured concurrency makes."""
    first = failed.exceptions[0]
    return (
        _first(cast("BaseExceptionGroup[BaseException]", first))
        if isinstance(first, BaseExceptionGroup)
        else first
    )
