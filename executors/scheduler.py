"""The dataflow scheduler: a node starts the moment its inputs exist, whatever else is streaming, running or failing.

There is no loop that looks for work. A node that settles counts its readers down (`executors.dataflow`), and those that reach zero
start in the same instant; patches are read side by side with all that. What ends a run:

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
import heapq
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, assert_never, cast

from engine import BraidError, Budget, BudgetExceededError, Engine, Event, Message, Usage, ambient_budget, use_budget
from executors import events
from executors.dataflow import Dataflow
from executors.graph import FINAL, Entry, GraphError, GraphPatch, TaskGraph, op_kind, tool_of
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
from executors.registry import ToolRegistry
from executors.report import usage_of
from executors.tools import UnknownToolError
from executors.values import preview
from reasoning.core import Solution

Emit: TypeAlias = Callable[[Event], None]
Rank: TypeAlias = "tuple[float, tuple[int, int], int]"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one run. `node_timeout` is in seconds for one tool call or think node, retries included; people may take longer."""

    max_concurrency: int = 64
    node_timeout: float | None = None
    max_nodes: int = 10_000
    max_map_items: int = 10_000

    def __post_init__(self) -> None:
        if self.max_concurrency < 1 or self.max_nodes < 1 or self.max_map_items < 1:
            raise GraphError(f"limits must be at least 1, got {self!r}")
        if self.node_timeout is not None and not self.node_timeout > 0:
            raise GraphError(f"node_timeout must be a positive number of seconds or None, got {self.node_timeout!r}")


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """How a run ended. `answer` holds the values of the answer that ran.

    When something `stopped` the run before it could answer, `partial` holds what the answer's values came to so far.
    `failures` are the failed nodes of the graph that nothing has replaced, with what went wrong. `usage` is what the think
    nodes of this run spent; `seconds` its duration.
    """

    answer: tuple[Any, ...] | None = None
    answered: bool = False
    partial: tuple[Any, ...] = ()
    stopped: Literal["budget", "cancelled"] | None = None
    reason: str = ""
    failures: tuple[tuple[str, str], ...] = ()
    blocked: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0


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
    """One call of `run_graph`."""

    def __init__(
        self, graph: TaskGraph, around: Surroundings, emit: Emit | None, limits: Limits, sequential: bool
    ) -> None:
        self.graph = graph
        self.around = around
        self.emit = emit
        self.limits = limits
        self.sequential = sequential
        self.width = 1 if sequential else limits.max_concurrency
        self.flow = Dataflow(graph, self, max_nodes=limits.max_nodes, max_map_items=limits.max_map_items)
        self.began = time.monotonic()
        if graph.origin is None:
            graph.origin = self.began
        self.origin = graph.origin
        self.active = 0
        self.queue: list[tuple[Rank, int, Entry]] = []
        self.tool_active: dict[str, int] = {}
        self.tool_queue: dict[str, list[tuple[Rank, int, Entry]]] = {}
        self.parked: dict[Entry, int] = {}
        self.answers: list[Entry] = []
        self.streaming = False
        self.feeder: asyncio.Task[None] | None = None
        self.feeding = False
        self.closing = False
        self.answered: Entry | None = None
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
                    self.streaming = patches is not None
                    self.answers = [e for e in self.graph.entries.values() if isinstance(e.node.op, Answer)]
                    self.flow.begin()
                    if patches is not None:
                        self.feeder = group.create_task(self._feed(patches), name="braid plan")
                    self._check_idle()
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
            self._sweep()
            self.graph.listener = None
            self.graph.runs += 1
        return self._outcome()

    # What the dataflow tells.

    def ready(self, entry: Entry) -> None:
        if self.stopped is not None and not isinstance(entry.node.op, Answer):
            return  # stays pending, and is swept up as cancelled
        if self._must_wait_for_answers(entry):
            self.parked[entry] = entry.epoch
            return
        self._admit(entry)

    def settled(self, entry: Entry) -> None:
        if entry.children is not None:
            entry.finished = self._now()
        if self.emit is not None:
            self._tell(entry)
        if isinstance(entry.node.op, Answer):
            if entry.state == "done" and self.answered is None:
                self.answered = entry
                self._end_plan(entry)
            self._unpark()

    def expanded(self, entry: Entry, children: Sequence[Entry]) -> None:
        entry.started = self._now()
        if self.emit is not None:
            self.emit(events.NodeStarted(node=entry.node.id, at=entry.started))
            for child in children:
                self._tell_added(child)

    # What the graph tells.

    def patched(self, patch: GraphPatch, added: Sequence[Entry], rebound: Sequence[str]) -> None:
        if len(self.graph.entries) > self.limits.max_nodes:
            raise GraphError(f"the plan passes the limit of {self.limits.max_nodes} nodes (max_nodes)")
        if self.emit is not None:
            self.emit(
                events.PlanPatched(
                    version=self.graph.version,
                    added=tuple(entry.node.id for entry in added),
                    cancelled=patch.cancel,
                    reason=patch.reason,
                )
            )
            for entry in added:
                self._tell_added(entry)
        for entry in added:
            if isinstance(entry.node.op, Answer):
                self.answers.append(entry)
        if rebound:
            self.flow.rebound(rebound)
        if self.answered is not None:
            for entry in added:
                self.flow.cancel(entry, "the plan had been answered")
        else:
            self.flow.arm([entry for entry in added if entry.state == "pending" and entry.epoch == 0])
        self._check_idle()

    def cancel(self, entry: Entry, reason: str) -> None:
        affected = [entry, *(entry.children or ())]
        running = [e for e in affected if e.state == "running" and e.task is not None]
        for one in running:
            one.finished = self._now()
        self.flow.cancel(entry, reason)
        for one in running:
            if one.begun:
                one.task.cancel()
            else:  # a task cancelled before its first step never gets to see it
                one.task.cancel()
                self._release(one)

    # Starting nodes.

    def _admit(self, entry: Entry) -> None:
        """Start `entry` now, or queue it for the slot that it needs."""
        if isinstance(entry.node.op, Answer):
            entry.started = entry.finished = self._now()
            if self.emit is not None:
                self.emit(events.NodeStarted(node=entry.node.id, at=entry.started))
            self.flow.settle(entry, "done", value=entry.args)
            return
        place = (self._rank(entry), entry.epoch, entry)
        tool = tool_of(entry.node)
        if tool is not None and self._tool_is_full(tool):
            heapq.heappush(self.tool_queue.setdefault(tool, []), place)
        elif self.active >= self.width or (self.sequential and self.streaming) or self.queue:
            heapq.heappush(self.queue, place)
            self._dispatch()
        else:
            self._launch(entry)

    def _rank(self, entry: Entry) -> Rank:
        """Who goes first when slots are scarce: less slack on the critical path (unknown yet, so 0), then plan order."""
        return 0.0, entry.order, id(entry)

    def _tool_is_full(self, tool: str) -> bool:
        try:
            cap = self.around.tools.get(tool).max_concurrency
        except UnknownToolError:
            return False  # the call itself will say so
        return cap is not None and self.tool_active.get(tool, 0) >= cap

    def _dispatch(self) -> None:
        """Fill free slots from the queue."""
        if self.sequential and self.streaming:
            return
        while self.queue and self.active < self.width and not self.closing:
            place = heapq.heappop(self.queue)
            _, epoch, entry = place
            tool = tool_of(entry.node)
            if entry.epoch != epoch or entry.state != "pending" or self.stopped is not None:
                # It does not use the slot of its tool that it was woken for: wake the next one.
                if tool is not None and (waiting := self.tool_queue.get(tool)):
                    heapq.heappush(self.queue, heapq.heappop(waiting))
                continue
            if tool is not None and self._tool_is_full(tool):
                heapq.heappush(self.tool_queue.setdefault(tool, []), place)
            else:
                self._launch(entry)

    def _launch(self, entry: Entry) -> None:
        if self.closing:
            return
        entry.state = "running"
        entry.started = self._now()
        entry.begun = False
        self.active += 1
        tool = tool_of(entry.node)
        if tool is not None:
            self.tool_active[tool] = self.tool_active.get(tool, 0) + 1
        self.ran.append(entry)
        if self.emit is not None:
            self.emit(events.NodeStarted(node=entry.node.id, at=entry.started))
        # A fresh copy of the run's context: what one tool puts into context variables is not seen by the next.
        entry.task = self.group.create_task(self._run_node(entry), name=entry.node.id, context=self.context.copy())

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
                if entry.state == "running":  # else it was cancelled and would not listen: nobody reads its result
                    entry.finished = self._now()
                    if isinstance(value, Solution):
                        entry.usage = value.usage
                    self.flow.settle(entry, "done", value=value)
            self._release(entry)
        except BaseException:
            if entry.state != "cancelled":
                self.closing = True  # an error of ours, or of who listens to events: the run ends
            self._release(entry)
            raise

    async def _operate(self, entry: Entry) -> Any:
        op = entry.node.op
        match op:
            case ToolCall(tool, _):
                work = call_tool(
                    self.around,
                    node=entry.node.id,
                    tool=tool,
                    args=entry.args,
                    on_retry=None if self.emit is None else lambda *told: self._tell_retry(entry, *told),
                    on_abandoned=None if self.emit is None else lambda *told: self._tell_abandoned(entry, *told),
                )
            case Think():
                work = think(self.around, entry, op)
            case Ask():
                return await ask_person(self.around, entry.args)
            case Answer() | Map():
                raise AssertionError(f"{op_kind(entry.node)} nodes are not run as tasks")
            case _:
                assert_never(op)
        limit = self.limits.node_timeout
        if limit is None:
            return await work
        try:
            async with asyncio.timeout(limit) as timer:
                return await work
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise NodeTimeoutError(f"no result after {limit:g} s (node_timeout)") from error

    def _ended_badly(self, entry: Entry, error: BaseException) -> None:
        entry.finished = entry.finished if entry.state != "running" else self._now()
        if entry.state != "running":
            return
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and (self.closing or (task is not None and task.cancelling())):
            self.flow.settle(entry, "cancelled", error="the run was cancelled")
            return
        if isinstance(error, BudgetExceededError) and self._is_ours(error):
            self._stop("budget", str(error), error)
            self.flow.settle(entry, "cancelled", error=str(error))
            return
        entry.exception = error
        self.flow.settle(entry, "failed", error=_explain(error))

    def _release(self, entry: Entry) -> None:
        """Give the slots back, once, and let who waits for them go on."""
        if entry.task is None:
            return
        entry.task = None
        self.active -= 1
        tool = tool_of(entry.node)
        if tool is not None:
            self.tool_active[tool] -= 1
            waiting = self.tool_queue.get(tool)
            if waiting:
                heapq.heappush(self.queue, heapq.heappop(waiting))
        if not self.closing:
            self._dispatch()
            self._check_idle()

    def _check_idle(self) -> None:
        if self.active == 0 and not self.streaming and not self.idle.done() and not self.closing:
            self.idle.set_result(None)

    # The patch stream.

    async def _feed(self, patches: AsyncIterator[GraphPatch]) -> None:
        self.feeding = True
        try:
            async for patch in patches:
                self.graph.apply(patch)
                await asyncio.sleep(0)  # a stream that never waits must not keep nodes from starting
        except BudgetExceededError as error:
            if not self._is_ours(error):
                raise
            self._stop("budget", str(error), error)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self.stopped, self.reason = self.stopped or "cancelled", self.reason or "the planner was cancelled"
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
        feeder = self.feeder
        if feeder is None or feeder is asyncio.current_task():
            return
        feeder.cancel()
        if not self.feeding:  # a task cancelled before its first step never gets to see it
            self.feeder = None
            self._stream_ended()

    def _stream_ended(self) -> None:
        self.streaming = False
        if not self.closing:
            self._unpark()
            self._dispatch()
            self._check_idle()

    # Answers, and the end of the plan.

    def _must_wait_for_answers(self, entry: Entry) -> bool:
        """Whether an earlier `answer` may yet end the plan before this statement's turn.

        A mutating call and an answer run only once every answer that stands before them, in the same round, was skipped. An
        answer left over from an earlier round waits for the stream's end: a newer one takes its place.
        """
        is_answer = isinstance(entry.node.op, Answer)
        if not is_answer and (not self.answers or not self._mutates(entry)):
            return False
        if is_answer and entry.batch < self.graph.runs:
            if self.streaming:
                return True
            newer = (a for a in self.answers if a.batch > entry.batch)
            if any(a.state not in ("skipped", "cancelled") for a in newer):
                return True
        return any(
            a.order < entry.order and a.batch == entry.batch and a.state not in ("skipped", "cancelled")
            for a in self.answers
        )

    def _unpark(self) -> None:
        for entry, epoch in list(self.parked.items()):
            if entry.epoch != epoch or entry.state != "pending":
                del self.parked[entry]
            elif not self._must_wait_for_answers(entry) and self.answered is None:
                del self.parked[entry]
                self._admit(entry)

    def _mutates(self, entry: Entry) -> bool:
        tool = tool_of(entry.node)
        try:
            return tool is not None and self.around.tools.get(tool).spec.effect == "mutating"
        except UnknownToolError:
            return False

    def _end_plan(self, answer: Entry) -> None:
        unfinished = [e for e in self.graph.entries.values() if e.state not in FINAL and e.state != "blocked"]
        kept = self.flow.needed_by(
            e for e in unfinished if self._mutates(e) and (e.state == "running" or e.order < answer.order)
        )
        for entry in unfinished:
            if entry not in kept and entry.state not in FINAL:
                self.cancel(entry, "the plan was answered without it")
        if answer.node.guards:
            self._close_stream()

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
            self._stop("budget", str(error), error)
            for entry in list(self.graph.entries.values()):
                if entry.state == "running" and entry.task is not None:
                    self.cancel(entry, str(error))
            self._check_idle()

    def _stop(self, why: Literal["budget"], reason: str, error: BudgetExceededError) -> None:
        if self.stopped is not None:
            return
        self.stopped, self.reason = why, reason
        if self.emit is not None:
            self.emit(events.BudgetExceeded(limit=error.limit, scope=error.scope, message=reason))
        self._close_stream()

    # The end.

    def _sweep(self) -> None:
        """Nothing runs any more: settle what could not."""
        for entry in list(self.graph.entries.values()):
            if entry.state == "running" and entry.children is None:
                entry.finished = self._now()
                self.flow.settle(entry, "cancelled", error="the run was cancelled")
        interrupted = self.stopped is not None or not self.idle.done() or self.idle.cancelled()
        for entry in list(self.graph.entries.values()):
            if entry.state == "pending":
                if interrupted:
                    self.flow.cancel(entry, self.reason or "the run was cancelled")
                else:  # an answer or a mutating call behind an answer that is blocked
                    self.flow.settle(entry, "blocked", error="an answer before it is not settled")

    def _outcome(self) -> RunOutcome:
        answered = self.answered
        partial: tuple[Any, ...] = ()
        if answered is None and self.stopped is not None and self.answers:
            partial = self.flow.available(self.answers[-1])
        current = {binder for slot in self.graph.slots.values() for binder in slot.binders}
        failed = [
            e for e in self.graph.entries.values() if e.state == "failed" and e.parent is None
            and (e.node.name is None or e in current)
        ]
        return RunOutcome(
            answer=None if answered is None else answered.value,
            answered=answered is not None,
            partial=partial,
            stopped=self.stopped,
            reason=self.reason,
            failures=tuple((e.node.id, e.error or "") for e in failed),
            blocked=tuple(e.node.id for e in self.graph.entries.values() if e.state == "blocked"),
            usage=usage_of(self.graph, self.ran),
            seconds=time.monotonic() - self.began,
        )

    # Events.

    def _now(self) -> float:
        return time.monotonic() - self.origin

    def _tell_added(self, entry: Entry) -> None:
        assert self.emit is not None
        node = entry.node
        self.emit(
            events.NodeAdded(
                node=node.id,
                op=cast("events.OpKind", op_kind(node)),
                name=node.name,
                tool=tool_of(node),
                source=node.source,
                round=node.round,
                line=node.line,
                parent=entry.parent.node.id if entry.parent else None,
                depends_on=tuple(producer.node.id for producer in self.graph.producers(entry)),
            )
        )

    def _tell(self, entry: Entry) -> None:
        assert self.emit is not None
        id, at = entry.node.id, self._now()
        why = entry.error or ""
        match entry.state:
            case "done":
                told = events.NodeFinished(node=id, at=entry.finished or at, seconds=entry.seconds, result=preview(entry.value))
            case "failed":
                told = events.NodeFailed(node=id, at=at, seconds=entry.seconds, error=why)
            case "skipped":
                told = events.NodeSkipped(node=id, reason=why)
            case "blocked":
                told = events.NodeBlocked(node=id, reason=why)
            case "cancelled":
                told = events.NodeCancelled(node=id, at=at, seconds=entry.seconds, reason=why)
            case "pending" | "running":
                return
            case _:
                assert_never(entry.state)
        self.emit(told)

    def _tell_retry(self, entry: Entry, attempt: int, error: BraidError, wait: float) -> None:
        if self.emit is not None:
            self.emit(events.NodeRetried(node=entry.node.id, attempt=attempt, error=str(error), wait=wait))

    def _tell_abandoned(self, entry: Entry, tool: str, seconds: float) -> None:
        if self.emit is not None:
            self.emit(events.ToolAbandoned(node=entry.node.id, tool=tool, seconds=seconds))


def close_graph(graph: TaskGraph, *, emit: Emit | None = None) -> tuple[str, ...]:
    """`TaskGraph.close` with an event for each node: no revision will come, what is blocked becomes skipped."""
    ids = graph.close()
    if emit is not None:
        for id in ids:
            emit(events.NodeSkipped(node=id, reason=graph.error(id) or ""))
    return ids


def _explain(error: BaseException) -> str:
    """What a failure says: our own errors speak for themselves, others need their kind."""
    text = str(error)
    if isinstance(error, BraidError) and text:
        return text
    kind = type(error).__name__
    return f"{kind}: {text}" if text else kind


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first cause: callers should not have to unpack groups that structured concurrency makes."""
    error: BaseException = failed
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error
