"""The dataflow scheduler: a node starts the moment its inputs exist, whatever else is streaming, running or failing.

There is no loop that looks for work. A node that settles counts its readers down (`braid.executors.scheduler.dataflow`), and those that
reach zero start at once; patches are read side by side with all that. `braid.executors.scheduler.workers` runs the nodes. What ends a run:

- Everything settled and the patch stream at its end. Blocked nodes stay blocked, for a later round on the same graph may mend
  what they wait for; `TaskGraph.close` says that none will come.
- An `answer` ran. What still runs or waits is cancelled, except mutating calls: those under way finish, and so do those
  that stand before the answer in the plan, with all they need. Statements behind an answer that ran never start. A call that
  an earlier process began is under way, wherever it stands. An answer without guards leaves the stream to end by itself (it
  is the last statement anyway); one under an `if` closes it.
- The budget. Nothing new starts; calls that are paid for finish, but when time is what ran out, they are cancelled.
- The caller: cancelling the task that awaits `run_graph` cancels every node and waits for them.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, cast

from braid.engine import Budget, BudgetExceededError, Engine, Message
from braid.engine.scope import ambient_budget, use_budget
from braid.executors import events
from braid.executors.graph import FINAL, GraphError, GraphPatch, NodeRecord, TaskGraph, reopen
from braid.executors.nodes import Answer, Ask
from braid.executors.report import usage_of
from braid.executors.scheduler.answers import Answers
from braid.executors.scheduler.approvals import Approvals
from braid.executors.scheduler.dataflow import Dataflow
from braid.executors.scheduler.emitter import Emit, EventEmitter
from braid.executors.scheduler.outcome import Limits, RunOutcome
from braid.executors.scheduler.priority import Estimate
from braid.executors.scheduler.replay import Begun, RecordedRun, Replay
from braid.executors.scheduler.revisions import (
    Replan,
    Replanner,
    Revisions,
    SteeringQueue,
    SurprisingResultError,
)
from braid.executors.scheduler.think import Approve, AskPerson, RunContext
from braid.executors.scheduler.workers import Workers
from braid.executors.tools import CallMemo, MemoryCalls, RunJournal, ToolRegistry, UncertainError, UsageResult
from braid.executors.values import explain, own_copy
from braid.reasoning import Solution


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
    estimate: Estimate | None = None,
    journal: RunJournal | None = None,
    replanner: Replanner | None = None,
    replan: Replan | None = None,
    inbox: SteeringQueue | None = None,
    memo: CallMemo | None = None,
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
        estimate: how long nodes will take, for the order in which they start when slots are scarce. What it does not know is
            taken from this run's own measurements.
        journal: told what happens before anybody sees it. What it knows of this call from an earlier process is replayed first
            (`braid.executors.scheduler.replay`), and only what is not finished is run; `patches` then goes on where the recorded ones end.
        replanner: asked for patches while the graph runs, whenever `replan` (by default: as soon as a failure blocks something)
            or a word in `inbox` calls for it. What a patch does not touch goes on.
        memo: with one, equal calls of pure tools are made once; None makes each call that the plan has.

    Raises:
        GraphError: a patch breaks a rule of the graph, or the graph is being run already.
        ResumeError: what the journal holds cannot be replayed.
    """
    if graph.listener is not None:
        raise GraphError("the graph is being run already; one run at a time")
    scope = budget if budget is not None else ambient_budget()
    around = RunContext(
        tools=tools,
        engine=engine,
        root=tuple(root),
        budget=scope,
        approve=approve,
        ask=ask,
        deps=deps,
        seed=seed,
        run_id=run_id or uuid.uuid4().hex,
        calls=journal if journal is not None else MemoryCalls(),
        memo=memo,
        wasted=graph.wasted,
    )
    run = GraphRun(graph, around, emit, limits or Limits(), sequential, estimate, journal)
    if replanner is not None:
        run.revisions = Revisions(graph, replanner, replan or Replan(), run.revise)
    with use_budget(scope):
        try:
            return await run.execute(patches, inbox)
        finally:
            if inbox is not None:
                inbox.listen(None)


class GraphRun:
    """One call of `run_graph`: hosts the dataflow, listens to the graph, owns the tasks."""

    def __init__(
        self,
        graph: TaskGraph,
        around: RunContext,
        emit: Emit | None,
        limits: Limits,
        sequential: bool,
        estimate: Estimate | None,
        journal: RunJournal | None,
    ) -> None:
        self.graph = graph
        self.around = around
        self.limits = limits
        self.flow = Dataflow(graph, self, max_nodes=limits.max_nodes, max_map_items=limits.max_map_items)
        self.mutating: dict[str, bool] = {}
        self.sequential = sequential
        self.journal = journal
        self.workers = Workers(self, estimate)
        self.past = journal.begin() if journal is not None else None
        past = self.past or RecordedRun((), {})
        self.begun = {id: call for id, call in past.begun.items() if id not in past.known}
        # Only the last round of a run without an answer finds out anything. The others end as they did.
        self.over = past.over or past.answered
        self.replay: Replay | None = None
        self.began = time.monotonic()
        if graph.origin is None:
            graph.origin = self.began - (self.past.until if self.past is not None else 0.0)
        self.origin = graph.origin
        self.tell = EventEmitter(graph, emit) if emit is not None else None
        self.streaming = False
        self.feeder: asyncio.Task[None] | None = None
        self.feeding = False
        self.enough = False
        self.closing = False
        self.answers = Answers(graph, self.is_mutating, () if past.over else past.begun)
        self.stopped: Literal["budget", "cancelled"] | None = None
        self.reason = ""
        self.ran: list[NodeRecord] = []
        self.revisions: Revisions | None = None
        self.people = Approvals(self)

    async def execute(
        self, patches: AsyncIterator[GraphPatch] | None, inbox: SteeringQueue | None
    ) -> RunOutcome:
        loop = asyncio.get_running_loop()
        self.idle: asyncio.Future[None] = loop.create_future()
        self.context = contextvars.copy_context()
        deadline = self._watch_deadline(loop)
        self.graph.listener = self
        try:
            async with asyncio.TaskGroup() as group:
                self.group = group
                try:
                    self._begin(patches, inbox)
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

    def _begin(self, patches: AsyncIterator[GraphPatch] | None, inbox: SteeringQueue | None) -> None:
        self.answers.add(self.graph.entries.values())
        if patches is not None:
            self.streaming = True
            self.workers.slots.held = self.sequential
        if self.revisions is not None and inbox is not None:
            inbox.listen(self.revisions.say)  # words that are there already wait for the end of the stream
        if self.past is not None:
            self._relive(self.past)
        else:
            self.flow.begin()
        if self.streaming and patches is not None and not self.enough:
            self.feeder = self.group.create_task(self._feed(patches), name="braid plan")
        elif self.streaming:
            self.plan_ended()
        self.check_idle()

    def _relive(self, past: RecordedRun) -> None:
        """Bring the graph to where an earlier process left it, then start what that had not finished."""
        tell, journal = self.tell, self.journal
        self.tell, self.journal = None, None
        self.replay = replay = Replay(past, self)
        self.flow.begin()
        left = replay.run()
        self.replay = None
        if not past.answered and (left or not past.over):
            self.tell, self.journal = tell, journal
        if self.revisions is not None:
            for entry in replay.unmended:
                self.revisions.settled(entry)
        if not past.over:
            self._look_into_begun()
        for entry in left:
            if entry.state == "pending":
                self._start(entry)

    def _look_into_begun(self, *, lost: bool = False) -> None:
        """Find out about the calls that an earlier process began, whatever has become of their nodes.

        Items of maps may come yet. When nothing else can happen, those that did not are `lost`.
        """
        for id in [id for id in self.begun if lost or id in self.graph.entries]:
            call = self.begun.pop(id)
            entry = self.graph.entries.get(id)
            if entry is None:
                entry = self.graph.add_lost_item(id, call.tool)
                if self.tell is not None:
                    self.tell.added([entry])
                    self.tell.settled(entry, self.now())
            self._look_into(entry, call)

    def _look_into(self, entry: NodeRecord, call: Begun) -> None:
        if self.over and call.unclear:
            self.flow.settle(entry, "uncertain", error=f"{call.tool}: whether the call happened is not known")
            return
        entry.args = call.args if entry.args is None else entry.args
        waited_for = entry.state in ("blocked", "uncertain")
        if waited_for:
            reopen(entry)
        self.people.look_into(entry)
        name = (entry.parent or entry).node.name
        if waited_for and name is not None:
            self.flow.rebound([name])

    def again(self, entry: NodeRecord) -> None:
        """The call of `entry` did not happen: whether and when to make it is up to its inputs, as for any other."""
        entry.state = "pending"
        self.flow.arm([entry])

    def plan_ended(self) -> None:
        """No patch will come any more."""
        self.streaming = False
        self.workers.slots.held = False
        self._unpark()

    # What the dataflow tells.

    def ready(self, entry: NodeRecord) -> None:
        if self.stopped is not None and not isinstance(entry.node.op, Answer):
            return  # stays pending, and is swept up as cancelled
        if not self.answers.last or not self.answers.park(entry, streaming=self.expecting):
            self._start(entry)

    def settled(self, entry: NodeRecord) -> None:
        if entry.children is not None:
            entry.finished = self.now()
        if self.journal is not None:
            self._write_down(self.journal, entry)
        if self.tell is not None:
            self.tell.settled(entry, entry.finished if entry.finished is not None else self.now())
        if self.revisions is not None and self.replay is None:
            self.revisions.settled(entry)
        if isinstance(entry.node.op, Answer):
            if entry.state == "done" and self.answers.given is None:
                for one in self.answers.end(entry, self.flow.needed_by):
                    self.cancel(one, "the plan was answered without it")
                if entry.node.guards:
                    self._close_stream()
            self._unpark()

    def _write_down(self, journal: RunJournal, entry: NodeRecord) -> None:
        """Write down how a node has ended. That it was interrupted is nothing that it would be held to later."""
        state = entry.state
        if state != "done" and (state != "failed" or self.closing):
            return
        if entry.children is None and type(entry.node.op) is not Answer:
            finished = entry.finished if entry.finished is not None else self.now()
            journal.settled(
                entry.node.id,
                state=state,
                value=entry.value,
                error=entry.error,
                started=entry.started if entry.started is not None else finished,
                finished=finished,
                usage=entry.usage,
            )

    def expanded(self, entry: NodeRecord, children: Sequence[NodeRecord]) -> None:
        entry.started = self.now()
        if self.tell is not None:
            self.tell.started(entry)
            self.tell.added(children)

    # What the graph tells.

    def patched(self, patch: GraphPatch, added: Sequence[NodeRecord], rebound: Sequence[str]) -> None:
        if self.tell is not None:
            self.tell.patched(patch, added)
        if len(self.graph.entries) > self.limits.max_nodes:
            raise GraphError(f"the plan passes the limit of {self.limits.max_nodes} nodes (max_nodes)")
        if self.journal is not None:
            running = (
                [e.node.id for e in self.graph.entries.values() if e.state == "running"] if rebound else ()
            )
            self.journal.patched(patch, at=self.now(), running=running)
        if self.answers.given is not None:
            for entry in added:
                self.flow.cancel(entry, "the plan had been answered")
            return
        self.answers.add(added)
        if rebound:
            self.flow.rebound(rebound)
        # Those that read a name of this very patch that was bound anew are armed already.
        self.flow.arm([entry for entry in added if entry.epoch == 0])
        self.check_idle()

    def cancel(self, entry: NodeRecord, reason: str) -> None:
        affected = [
            e for e in (entry, *(entry.children or ())) if e.task is not None and e.state == "running"
        ]
        for one in affected:
            one.finished = self.now()
        self.flow.cancel(entry, reason)
        for one in affected:
            if one.task is not None:
                one.task.cancel()
        if self.people.waiting:
            for one in (entry, *(entry.children or ())):
                if one.state in FINAL and one not in self.people.doubtful:
                    self.people.drop(one)

    # Nodes.

    def _start(self, entry: NodeRecord) -> None:
        """Let `entry` run as soon as a worker and the slots that it needs are free."""
        if isinstance(entry.node.op, Answer):
            entry.started = entry.finished = self.now()
            if self.tell is not None:
                self.tell.started(entry)
            self.flow.settle(entry, "done", value=entry.args)
        elif self.replay is not None:
            self.replay.hold(entry)
        elif (call := self.begun.pop(entry.node.id, None)) is not None:
            self._look_into(entry, call)
        elif self.past is not None and self.past.answered:
            self.flow.cancel(entry, "the run had its answer")
        elif not self.sequential and (
            type(entry.node.op) is Ask or (self.around.tools.has_mutating and self.is_mutating(entry))
        ):
            if self.journal is not None:
                self.journal.commit()
            self.people.consult(entry)
        else:
            self.admit(entry)

    def admit(self, entry: NodeRecord) -> None:
        """Queue `entry` for the slots that it needs."""
        self.workers.admit(entry)

    def begin(self, entry: NodeRecord) -> None:
        """Mark `entry` as running."""
        entry.state = "running"
        entry.started = time.monotonic() - self.origin
        self.ran.append(entry)
        if self.tell is not None:
            self.tell.started(entry)

    def left(self) -> None:
        """Nobody waits for a person on account of this entry any more."""
        self.workers.call()
        self.check_idle()

    def ended_well(self, entry: NodeRecord, value: Any) -> None:
        if entry.state != "running":
            return  # it was cancelled and would not listen: nobody reads its result
        entry.finished = time.monotonic() - self.origin
        # Nothing of the value itself is touched: it is somebody else's code.
        kind = cast("type[Any]", type(value))
        if issubclass(kind, Solution):
            entry.usage = value.usage
        elif issubclass(kind, UsageResult):
            value, entry.usage = value.value, value.usage
        if self.revisions is not None and (why := self.revisions.surprise(entry, value)) is not None:
            entry.exception = SurprisingResultError(f"a surprising result: {why}")
            self.flow.settle(entry, "failed", error=str(entry.exception))
            return
        self.flow.settle(entry, "done", value=value)

    def ended_badly(self, entry: NodeRecord, error: BaseException) -> None:
        if entry.state != "running":
            return
        entry.finished = self.now()
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and (
            self.closing or (task is not None and task.cancelling())
        ):
            self.flow.settle(entry, "cancelled", error="the run was cancelled")
        elif isinstance(error, BudgetExceededError) and self._is_ours(error):
            self._stop_for(error)
            self.flow.settle(entry, "cancelled", error=str(error))
        elif isinstance(error, UncertainError) and not self.closing and entry not in self.people.doubtful:
            self.people.find_fate(entry)
        elif isinstance(error, UncertainError):
            entry.exception = error
            self.flow.settle(entry, "uncertain", error=explain(error))
        else:
            entry.exception = error
            self.flow.settle(entry, "failed", error=explain(error))

    def check_idle(self) -> None:
        """End the run if nothing can happen any more."""
        if self.streaming or self.closing or self.idle.done() or not self.workers.idle:
            return
        if self.people.waiting:
            return
        if self.replay is not None:
            return
        if self.begun and self.stopped is None and not self.over:
            self._look_into_begun(lost=True)
            return
        if self.revisions is not None and (self.revisions.running or self.revise()):
            return
        self.idle.set_result(None)

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

    # Revisions.

    def revise(self) -> bool:
        """Begin a revision if one is due and the plan's own stream is at its end; says whether."""
        over = self.streaming or self.closing or self.stopped is not None or self.answers.given is not None
        if over or self.revisions is None or not self.revisions.due or self.idle.done():
            return False
        self.revisions.running = True
        self.graph.runs += 1  # its answers take the place of those before it
        self.group.create_task(self._revise(self.revisions), name="braid revision")
        return True

    async def _revise(self, revisions: Revisions) -> None:
        try:
            await revisions.revise(lambda patch: self.graph.apply(self.graph.rebase(patch)))
        except BudgetExceededError as error:
            if not self._is_ours(error):
                self.closing = True
                raise
            self._stop_for(error)
        except BaseException:
            self.closing = True
            raise
        finally:
            revisions.running = False
            if not self.closing:
                self.revise()  # what called for one meanwhile does not wait for the graph to be idle
                self._unpark()
                self.workers.call()
                self.check_idle()

    @property
    def expecting(self) -> bool:
        """Whether more of the plan may come."""
        return self.streaming or (self.revisions is not None and self.revisions.running)

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
        if self.journal is not None and not self.closing and self.stopped is None:
            self.journal.planned(at=self.now())
        if self.closing:
            self.streaming = False
        else:
            self.plan_ended()
            self.workers.call()
            self.revise()
            self.check_idle()

    def _unpark(self) -> None:
        for entry in self.answers.unpark(streaming=self.expecting):
            if not self.answers.park(entry, streaming=self.expecting) and entry.state == "pending":
                self._start(entry)

    def is_mutating(self, entry: NodeRecord) -> bool:
        tool = entry.tool
        if tool is None:
            return False
        if tool not in self.mutating:
            known = self.workers.tool(tool)
            self.mutating[tool] = known is not None and known.spec.effect == "mutating"
        return self.mutating[tool]

    # Budget.

    def _is_ours(self, error: BudgetExceededError) -> bool:
        return any(scope is error.budget for scope in self.around.budget.scopes())

    def _watch_deadline(self, loop: asyncio.AbstractEventLoop) -> asyncio.TimerHandle | None:
        rest = self.around.budget.remaining_seconds()
        return None if rest is None else loop.call_later(max(rest, 0.0) + 0.001, self._out_of_time)

    def _out_of_time(self) -> None:
        try:
            self.around.budget.check_time()
        except BudgetExceededError as error:
            self._stop_for(error)
            for entry in list(self.graph.entries.values()):
                if entry in self.people.waiting and entry in self.people.doubtful:
                    self.people.drop(entry)
                    self.flow.settle(entry, "uncertain", error=str(error))
                elif entry.task is not None or entry in self.people.waiting:
                    self.cancel(entry, str(error))
            self.check_idle()

    def _stop_for(self, error: BudgetExceededError) -> None:
        """Start nothing new; what runs may finish."""
        if self.stopped is not None:
            return
        self.stopped, self.reason = "budget", str(error)
        for entry in list(self.people.waiting):
            if entry.state == "pending":
                self.people.drop(entry)
        if self.tell is not None:
            self.tell.out_of_budget(error)
        self._close_stream()

    # The end.

    def _sweep(self) -> None:
        """Nothing runs any more: settle what could not be."""
        interrupted = self.stopped is not None or not self.idle.done() or self.idle.cancelled()
        for entry in list(self.graph.entries.values()):
            if entry.state == "running" and entry.children is None:
                entry.finished = self.now()
                state = "uncertain" if entry in self.people.doubtful else "cancelled"
                self.flow.settle(entry, state, error=self.reason or "the run was cancelled")
        for entry in list(self.graph.entries.values()):
            if entry.state == "pending" and interrupted:
                self.flow.cancel(entry, self.reason or "the run was cancelled")
            elif entry.state == "pending":  # parked behind an answer that is blocked
                self.flow.settle(entry, "blocked", error="an answer that stands before it could not run")

    def _outcome(self) -> RunOutcome:
        answered, last = self.answers.given, self.answers.last
        partial_answer: tuple[Any, ...] = ()
        if answered is None and self.stopped is not None and last is not None:
            partial_answer = own_copy(self.flow.available(last))
        current = {binder for slot in self.graph.slots.values() for binder in slot.binders}
        entries = self.graph.entries.values()
        failed = [e for e in entries if e.state in ("failed", "uncertain") and e.parent is None]
        return RunOutcome(
            answer=None if answered is None else own_copy(answered.value),
            answered=answered is not None,
            partial=partial_answer,
            stopped=self.stopped,
            reason=self.reason,
            failures=tuple((e.node.id, e.error or "") for e in failed if e.node.name is None or e in current),
            blocked=tuple(e.node.id for e in entries if e.state == "blocked"),
            usage=usage_of(self.graph, self.ran),
            seconds=time.monotonic() - self.began,
        )

    def now(self) -> float:
        if self.replay is not None:
            return self.replay.now
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
