"""The scheduler: `run_graph`, and the run that it starts. A node starts the moment its inputs exist.

There is no loop that looks for work. A node that settles counts its readers down (`Dataflow`), and those that
reach zero start at once. `Workers` run the nodes. Patches are read concurrently. What ends a run:

- Everything is settled and the patch stream is at its end. Blocked nodes stay blocked, since a later round on
  the same graph may mend what they wait for. `TaskGraph.close` says that none will come.
- An `answer` ran. What still runs or waits is cancelled, except mutating calls. Those under way finish, and
  so do those that stand before the answer in the plan, with all they need. Statements behind an answer that
  ran never start. A call that an earlier process began is under way, wherever it stands. An answer without
  guards leaves the stream to end by itself, since it is the last statement anyway. One under an `if` closes
  the stream.
- The budget is spent. Nothing new starts. Calls that are paid for finish. When time is what ran out, they are
  cancelled.
- The caller cancels the task that awaits `run_graph`. Every node is cancelled and awaited.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any, assert_never, cast

from braid.engine import BudgetExceededError
from braid.engine.scope import use_budget
from braid.engine.system import first_error
from braid.executors import events
from braid.executors.graph import GraphError, GraphPatch, NodeRecord, TaskGraph, reopen
from braid.executors.nodes import Answer, Ask, Join, NodeState
from braid.executors.report import usage_of
from braid.executors.scheduler.answers import Answers
from braid.executors.scheduler.approvals import Approvals
from braid.executors.scheduler.context import GraphContext, RunContext, RunJournal
from braid.executors.scheduler.dataflow import Dataflow
from braid.executors.scheduler.emitter import Emit
from braid.executors.scheduler.lifecycle import RunState
from braid.executors.scheduler.outcome import RunOutcome
from braid.executors.scheduler.replay import Begun, RecordedRun, Replay
from braid.executors.scheduler.revisions import (
    Replan,
    Replanner,
    Revisions,
    SteeringQueue,
    SurprisingResultError,
)
from braid.executors.scheduler.tool_calls import may_have_happened
from braid.executors.scheduler.workers import Workers
from braid.executors.tools import UncertainError, UsageResult, failure_kind
from braid.executors.values import explain, own_copy
from braid.reasoning import Solution


async def run_graph(
    graph: TaskGraph,
    patches: AsyncIterator[GraphPatch] | None,
    context: RunContext,
    *,
    sequential: bool = False,
    replanner: Replanner | None = None,
    replan: Replan | None = None,
    queue: SteeringQueue | None = None,
) -> RunOutcome:
    """Run `graph`, and what `patches` adds to it while it runs, until nothing more can happen.

    Call it again with the same graph and the next round's patches. Names of earlier rounds stay readable.

    Args:
        graph: the nodes that are there already, and where the patches go.
        patches: consumed while nodes run. None runs what the graph holds. An exception from it cancels the
            run and is raised as it is, but `BudgetExceededError` stops the run and `CancelledError` of its
            own making ends the stream.
        context: what the nodes work with.
        sequential: read all patches first, then run one node at a time in plan order. This is the baseline of
            every speed claim.
        replanner: asked for patches while the graph runs, whenever `replan` or a word in `queue` asks for it.
            What a patch does not touch goes on.
        replan: when to ask the replanner. By default as soon as a failure blocks something.
        queue: where a person's words for the replanner arrive.

    Raises:
        GraphError: a patch breaks a rule of the graph, or the graph is being run already.
        ResumeError: what the journal holds cannot be replayed.
    """
    if graph.running:
        raise GraphError("the graph is being run already; one run at a time")
    past = context.journal.begin() if context.journal is not None else None
    given = GraphContext.of(context, graph, elapsed=past.until if past is not None else 0.0)
    revisions = Revisions(graph, replanner, replan or Replan()) if replanner is not None else None
    with use_budget(given.budget):
        run = GraphRun(given, past, revisions, sequential=sequential)
        with graph.attach(run):
            return await run.execute(patches, queue)


class GraphRun:
    """One call of `run_graph`. It acts on the changes of the dataflow, takes patches and owns the tasks."""

    def __init__(
        self,
        context: GraphContext,
        past: RecordedRun | None,
        revisions: Revisions | None,
        *,
        sequential: bool,
    ) -> None:
        recorded = past or RecordedRun((), {})
        self.context = context
        self.graph = context.graph
        self.state = RunState()
        self.answers = Answers(self.graph, context.is_mutating, () if recorded.over else recorded.begun)
        self.flow = Dataflow(self.graph, context.limits, self.answers, context.make_check, recorded.known)
        self.workers = Workers(context, self.state, self, sequential=sequential)
        self.approvals = Approvals(context, self.state, self)
        self.revisions = revisions
        self.emitter = context.emitter
        self.journal: RunJournal | None = context.journal
        self.ran: list[NodeRecord] = []
        self._past = past
        self._begun = {id: call for id, call in recorded.begun.items() if id not in recorded.known}
        """Calls that an earlier process began and whose outcome is not resolved yet."""
        self._over = recorded.over or recorded.answered
        """Whether the call was over before. If so, begun calls are not resolved."""
        self._sequential = sequential
        self._clock = context.clock
        self._origin = self.graph.origin or 0.0
        self._start_time = context.clock()
        self._applying = False
        self._streaming = False
        self._reader: asyncio.Task[None] | None = None
        self._reading = False
        self._stream_closed = False

    async def execute(
        self, patches: AsyncIterator[GraphPatch] | None, queue: SteeringQueue | None
    ) -> RunOutcome:
        loop = asyncio.get_running_loop()
        self._idle: asyncio.Future[None] = loop.create_future()
        deadline = self._watch_deadline(loop)
        self._streaming = self.answers.expecting = patches is not None
        self.workers.slots.paused = self._streaming and self._sequential
        steering = queue is not None and self.revisions is not None
        listening = queue.listened_to(self._steer) if queue is not None and steering else nullcontext()
        try:
            async with self.state.group:
                try:
                    # Words that are there already wait for the end of the stream.
                    with listening:
                        self._begin(patches)
                        await self._idle
                except BaseException:
                    self.state.closing = True
                    raise
        except BaseExceptionGroup as failed:
            raise first_error(failed) from None
        finally:
            if deadline is not None:
                deadline.cancel()
            self.state.closing = True
            if queue is not None and self.revisions is not None:
                queue.give_back(self.revisions.unheard)
            self._sweep()
        return self._outcome()

    def now(self) -> float:
        """Seconds since the graph's first run began."""
        return self._clock() - self._origin

    def _begin(self, patches: AsyncIterator[GraphPatch] | None) -> None:
        if self._past is not None:
            self._replay(self._past)
        else:
            self.flow.begin()
            self._apply_changes()
        if patches is not None and self._streaming and not self._stream_closed:
            self._reader = self.state.spawn(self._read(patches), "braid plan")
        elif self._streaming:
            self._end_plan()
        self._check_idle()

    # What an earlier process left.

    def _replay(self, past: RecordedRun) -> None:
        """Bring the graph to where an earlier process left it, then start what that had not finished."""
        replay = Replay(past, self.flow)
        ready = replay.run()
        self.ran += replay.ran
        if past.answered or (past.over and not ready):
            self.emitter.mute()
            self.journal = None
        answer = self.answers.given
        self._stream_closed = answer is not None and bool(answer.node.guards)
        if self._streaming and not self.answers.expecting:
            self._end_plan()
        if self.revisions is not None:
            for entry in replay.unresolved:
                self.revisions.settled(entry)
            self._revise_if_due()
        if not past.over:
            self._resolve_begun_calls()
        for entry in ready:
            if entry.state == "pending":
                self._start(entry)
                self._apply_changes()

    def _resolve_begun_calls(self, *, lost: bool = False) -> None:
        """Resolve the calls that an earlier process began, whatever the state of their nodes.

        Items of maps may come yet. When nothing else can happen, those that did not come are `lost`.
        """
        for id in [id for id in self._begun if lost or id in self.graph.entries]:
            call = self._begun.pop(id)
            entry = self.graph.entries.get(id)
            if entry is None:
                entry = self._add_lost_item(id, call)
            self._resolve_begun(entry, call)

    def _add_lost_item(self, id: str, call: Begun) -> NodeRecord:
        entry = self.graph.add_lost_item(id, call.tool)
        self.emitter.added([entry])
        self.emitter.settled(entry, self.now())
        return entry

    def _resolve_begun(self, entry: NodeRecord, call: Begun) -> None:
        if self._over and call.unclear:
            error = f"{call.tool}: whether the call happened is not known"
            self.flow.settle(entry, "uncertain", error=error)
            self._apply_changes()
            return
        entry.args = call.args if entry.args is None else entry.args
        waited_for = entry.state in ("blocked", "uncertain")
        if waited_for:
            reopen(entry)
        self.approvals.resolve_begun(entry)
        name = (entry.parent or entry).node.name
        if waited_for and name is not None:
            self.flow.rebind([name])
            self._apply_changes()

    # Changes of the graph.

    def _apply_changes(self) -> None:
        """Act on what has happened in the dataflow, until nothing more follows from it."""
        if self._applying:
            return
        self._applying = True
        flow, answers = self.flow, self.answers
        try:
            while (change := flow.next_change()) is not None:
                kind, entry = change
                match kind:
                    case "ready":
                        # An answer may have ended it meanwhile.
                        if entry.state == "pending" and not (answers.in_order and answers.park(entry)):
                            self._start(entry)
                    case "settled":
                        self._record(entry)
                        flow.release(entry)
                    case "expanded":
                        if entry.children is not None:
                            entry.started = self.now()
                            self.emitter.started(entry)
                        self.emitter.added(entry.children or entry.parts or ())
                    case "answered":
                        if entry.node.guards:
                            self._close_stream()
                    case _:
                        assert_never(kind)
        finally:
            self._applying = False

    def _start(self, entry: NodeRecord) -> None:
        """Let `entry` run as soon as a worker and the slots that it needs are free."""
        state = self.state
        if isinstance(entry.node.op, Answer):
            entry.started = entry.finished = self.now()
            self.emitter.started(entry)
            self.flow.settle(entry, "done", value=entry.args)
        elif state.closing or state.stopped is not None:
            pass  # stays pending, and is swept up as cancelled
        elif self._begun and (call := self._begun.pop(entry.node.id, None)) is not None:
            self._resolve_begun(entry, call)
        elif self._past is not None and self._past.answered:
            self.flow.cancel(entry, "the run had its answer")
        elif not self._sequential and (
            type(entry.node.op) is Ask
            or (self.context.tools.has_mutating and self.context.is_mutating(entry))
        ):
            if self.journal is not None:
                self.journal.commit()
            self.approvals.request(entry)
        else:
            self.workers.admit(entry)

    def _record(self, entry: NodeRecord) -> None:
        """Stop what still works on a node that has settled. Write down and emit how it ended."""
        if entry.state == "cancelled":
            self._interrupt(entry)
            if entry not in self.approvals.waiting and may_have_happened(self.context, entry):
                entry.state = "uncertain"
                entry.error = f"{entry.error}; whether the call happened is not known"
        if entry.children is not None:
            entry.finished = self.now()
        elif entry.parts is not None and entry.state in ("done", "failed"):
            entry.started = entry.finished = self.now()
            self.emitter.started(entry)
        if self.journal is not None:
            self._write(self.journal, entry)
        if self.emitter.listening:
            self.emitter.settled(entry, entry.finished if entry.finished is not None else self.now())
        if self.revisions is not None:
            self.revisions.settled(entry)
            self._revise_if_due()

    def _interrupt(self, entry: NodeRecord) -> None:
        if entry.task is not None:
            entry.finished = self.now()
            entry.task.cancel()
        if entry not in self.approvals.uncertain:
            self.approvals.drop(entry)

    def _write(self, journal: RunJournal, entry: NodeRecord) -> None:
        """Record how the node ended.

        Interruptions are not recorded: a resumed run executes the node again.
        """
        state = entry.state
        if state != "done" and (state != "failed" or self.state.closing):
            return
        if entry.children is None and type(entry.node.op) is not Answer:
            finished = entry.finished if entry.finished is not None else self.now()
            journal.settled(
                entry.node.id,
                state=state,
                # Of a join, the parts that it took: these are what a resumed run must take again.
                value=entry.args.chosen if type(entry.node.op) is Join and state == "done" else entry.value,
                error=entry.error,
                failure=entry.failure,
                started=entry.started if entry.started is not None else finished,
                finished=finished,
                usage=entry.usage,
            )

    def _settle(self, entry: NodeRecord, state: NodeState, error: str) -> None:
        self.flow.settle(entry, state, error=error)
        self._apply_changes()

    def _cancel(self, entry: NodeRecord, reason: str) -> None:
        self.flow.cancel(entry, reason)
        self._apply_changes()

    def apply(self, patch: GraphPatch) -> None:
        """Commit `patch` and start what it adds (`TaskGraph.apply`)."""
        change = self.graph.commit(patch, cancel=self._cancel)
        self.emitter.patched(patch, change.added)
        self.flow.check_size()
        if self.journal is not None:
            entries = self.graph.entries.values() if change.rebound else ()
            running = [entry.node.id for entry in entries if entry.state == "running"]
            self.journal.patched(patch, at=self.now(), running=running)
        self.flow.take(change)
        self._apply_changes()
        if self.answers.given is None:
            self._check_idle()

    # The life of a node, as workers and approvals report it (`NodeLifecycle`).

    def begin(self, entry: NodeRecord) -> None:
        entry.state = "running"
        entry.started = self._clock() - self._origin
        self.ran.append(entry)
        if self.emitter.listening:
            self.emitter.started(entry)

    def succeed(self, entry: NodeRecord, value: Any) -> None:
        if entry.state != "running":
            return  # it was cancelled and went on: its result is not read
        entry.finished = self._clock() - self._origin
        # The value itself is not touched: its methods are others' code.
        kind = cast("type[Any]", type(value))
        if issubclass(kind, Solution):
            entry.usage = value.usage
        elif issubclass(kind, UsageResult):
            value, entry.usage = value.value, value.usage
        if self.revisions is not None and (why := self.revisions.surprise(entry, value)) is not None:
            entry.exception = SurprisingResultError(f"a surprising result: {why}")
            self._settle(entry, "failed", str(entry.exception))
            return
        self.flow.settle(entry, "done", value=value)
        self._apply_changes()

    def fail(self, entry: NodeRecord, error: BaseException) -> None:
        if entry.state != "running":
            return
        entry.finished = self.now()
        task, closing = asyncio.current_task(), self.state.closing
        if isinstance(error, asyncio.CancelledError) and (
            closing or (task is not None and task.cancelling())
        ):
            self._settle(entry, "cancelled", "the run was cancelled")
        elif isinstance(error, BudgetExceededError) and self._is_ours(error):
            self._stop_for(error)
            self._settle(entry, "cancelled", str(error))
        elif isinstance(error, UncertainError) and not closing and entry not in self.approvals.uncertain:
            self.approvals.resolve(entry)
        else:
            entry.exception, entry.failure = error, failure_kind(error)
            state = "uncertain" if isinstance(error, UncertainError) else "failed"
            self._settle(entry, state, explain(error))

    def admit(self, entry: NodeRecord) -> None:
        self.workers.admit(entry)

    def rearm(self, entry: NodeRecord) -> None:
        entry.state = "pending"
        self.flow.arm([entry])
        self._apply_changes()

    def wake(self) -> None:
        self.workers.wake()
        self._check_idle()

    def _check_idle(self) -> None:
        """End the run if nothing can happen any more."""
        if self._streaming or self.state.closing or self._idle.done() or not self.workers.idle:
            return
        if self.approvals.waiting:
            return
        if self._begun and self.state.stopped is None and not self._over:
            self._resolve_begun_calls(lost=True)
            return
        if self.revisions is not None and (self.revisions.running or self._revise_if_due()):
            return
        self._idle.set_result(None)

    # The patch stream.

    async def _read(self, patches: AsyncIterator[GraphPatch]) -> None:
        self._reading = True
        try:
            async for patch in patches:
                self.graph.apply(patch)
                if self._stream_closed:
                    break
                await asyncio.sleep(0)  # a stream that never waits must not keep nodes from starting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            if self.state.stopped is None:
                self.state.stopped, self.state.reason = "cancelled", "the planner was cancelled"
        except BaseException as error:
            self._stop_or_raise(error)
        finally:
            self._reader = None
            close = getattr(patches, "aclose", None)
            if close is not None:
                await close()
            self._stream_ended()

    def _close_stream(self) -> None:
        self._stream_closed = True
        reader = self._reader
        if reader is None or reader is asyncio.current_task():
            return
        reader.cancel()
        if not self._reading:  # a task cancelled before its first step never gets to see it
            self._reader = None
            self._stream_ended()

    def _stream_ended(self) -> None:
        if self.state.closing:
            self._streaming = False
            return
        if self.journal is not None and self.state.stopped is None:
            self.journal.planned(at=self.now())
        self._end_plan()
        self.workers.wake()
        self._revise_if_due()
        self._check_idle()

    def _end_plan(self) -> None:
        """No patch will come any more."""
        self._streaming = False
        self.workers.slots.paused = False
        self._unpark()

    def _unpark(self) -> None:
        revising = self.revisions is not None and self.revisions.running
        self.answers.expecting = self._streaming or revising
        self.flow.unpark()
        self._apply_changes()

    # Revisions.

    def _steer(self, text: str) -> None:
        assert self.revisions is not None
        self.revisions.say(text)
        self._revise_if_due()

    def _revise_if_due(self) -> bool:
        """Begin a revision if one is due and the plan's own stream is at its end. Returns whether."""
        state = self.state
        over = self._streaming or state.closing or state.stopped is not None or self.answers.given is not None
        if over or self.revisions is None or not self.revisions.due or self._idle.done():
            return False
        self.revisions.running = self.answers.expecting = True
        self.graph.runs += 1  # its answers take the place of those before it
        state.spawn(self._revise(self.revisions), "braid revision")
        return True

    async def _revise(self, revisions: Revisions) -> None:
        try:
            await revisions.revise(lambda patch: self.graph.apply(self.graph.rebase(patch)))
        except BaseException as error:
            self._stop_or_raise(error)
        finally:
            revisions.running = False
            if not self.state.closing:
                self._revise_if_due()  # requests that came meanwhile do not wait for the graph to be idle
                self._unpark()
                self.wake()

    # Budget.

    def _stop_or_raise(self, error: BaseException) -> None:
        """Handle an error of the planner. The run's budget stops the run, any other error ends it."""
        if not isinstance(error, BudgetExceededError) or not self._is_ours(error):
            self.state.closing = True
            raise error
        self._stop_for(error)

    def _is_ours(self, error: BudgetExceededError) -> bool:
        return any(scope is error.budget for scope in self.context.budget.scopes())

    def _watch_deadline(self, loop: asyncio.AbstractEventLoop) -> asyncio.TimerHandle | None:
        rest = self.context.budget.remaining_seconds()
        return None if rest is None else loop.call_later(max(rest, 0.0) + 0.001, self._out_of_time)

    def _out_of_time(self) -> None:
        approvals = self.approvals
        try:
            self.context.budget.check_time()
        except BudgetExceededError as error:
            self._stop_for(error)
            for entry in list(self.graph.entries.values()):
                if entry in approvals.waiting and entry in approvals.uncertain:
                    approvals.drop(entry)
                    self._settle(entry, "uncertain", str(error))
                elif entry.task is not None or entry in approvals.waiting:
                    self._cancel(entry, str(error))
            self._check_idle()

    def _stop_for(self, error: BudgetExceededError) -> None:
        """Start nothing new. What runs may finish."""
        if self.state.stopped is not None:
            return
        self.state.stopped, self.state.reason, self.state.exceeded = "budget", str(error), error
        for entry in list(self.approvals.waiting):
            if entry.state == "pending":
                self.approvals.drop(entry)
        self.emitter.out_of_budget(error)
        self._close_stream()

    # The end.

    def _sweep(self) -> None:
        """Nothing runs any more. Settle what is not settled."""
        if self.state.stopped is not None and not self._over:
            for id, call in self._begun.items():
                if call.unclear and id not in self.graph.entries:
                    error = f"{self.state.reason}; whether the call happened is not known"
                    self._settle(self._add_lost_item(id, call), "uncertain", error)
        interrupted = self.state.stopped is not None or not self._idle.done() or self._idle.cancelled()
        reason = self.state.reason or "the run was cancelled"
        for entry in list(self.graph.entries.values()):
            waits_for_others = entry.children is not None or (entry.parts is not None and not interrupted)
            if entry.state == "running" and not waits_for_others:
                entry.finished = self.now()
                self._settle(entry, "uncertain" if entry in self.approvals.uncertain else "cancelled", reason)
        for entry in list(self.graph.entries.values()):
            if entry.state == "pending" and interrupted:
                self._cancel(entry, reason)
            elif entry.state == "pending":  # parked behind an answer that is blocked
                self._settle(entry, "blocked", "an answer that stands before it could not run")

    def _outcome(self) -> RunOutcome:
        answered, last = self.answers.given, self.answers.last
        partial_answer: tuple[Any, ...] = ()
        if answered is None and self.state.stopped is not None and last is not None:
            partial_answer = own_copy(self.flow.available(last))
        cut_off = self._cut_off()
        if cut_off and answered is not None:
            partial_answer = own_copy(answered.value)
        current = {binder for slot in self.graph.slots.values() for binder in slot.binders}
        entries = self.graph.entries.values()
        failed = [e for e in entries if e.state in ("failed", "uncertain") and e.parent is None]
        return RunOutcome(
            answer=None if answered is None else own_copy(answered.value),
            answered=answered is not None,
            declined=answered is not None and _declines(answered),
            partial=partial_answer,
            cut_off=cut_off,
            stopped=self.state.stopped,
            reason=self.state.reason,
            exceeded=self.state.exceeded,
            failures=tuple((e.node.id, e.error or "") for e in failed if e.node.name is None or e in current),
            blocked=tuple(e.node.id for e in entries if e.state == "blocked"),
            usage=usage_of(self.graph, self.ran),
            seconds=self._clock() - self._start_time,
        )

    def _cut_off(self) -> tuple[str, ...]:
        """The calls that the answer left to be carried out, and that what stopped the run kept from it."""
        if self.state.stopped is None:
            return ()
        kept = self.answers.kept
        return tuple(
            id
            for id, entry in self.graph.entries.items()
            if (entry in kept or entry.parent in kept)
            and entry.state in ("cancelled", "blocked")
            and self.context.is_mutating(entry)
        )


def _declines(entry: NodeRecord) -> bool:
    return isinstance(entry.node.op, Answer) and entry.node.op.declines


def close_graph(graph: TaskGraph, *, emit: Emit | None = None) -> tuple[str, ...]:
    """`TaskGraph.close` with an event for each node: what is blocked becomes skipped."""
    ids = graph.close()
    if emit is not None:
        for id in ids:
            emit(events.NodeSkipped(node=id, reason=graph.error(id) or ""))
    return ids
