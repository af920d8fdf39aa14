"""Replay: the records of an earlier process go through the same dataflow. What it had not finished is run.

The records are the inputs of the graph's state machine, in order: patches, the end of the plan, and how each
node that ran ended. Everything else (guards, skips, the items of maps, what an answer ends) follows from
these as it did the first time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, assert_never

from braid.engine import BraidError, Usage
from braid.executors.graph import GraphError, GraphPatch, NodeRecord, tool_of
from braid.executors.nodes import Answer, FailureKind, Join
from braid.executors.scheduler.dataflow import Dataflow


class ResumeError(BraidError):
    """A run cannot be resumed: says what has changed since, or what is missing."""


@dataclass(frozen=True, slots=True)
class Patched:
    """The graph took a patch."""

    patch: GraphPatch
    at: float
    """Seconds since the graph's first run began."""
    running: Sequence[str] = ()
    """Ids of the nodes that ran at that moment."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan was at its end."""

    at: float
    """Seconds since the graph's first run began."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A node that ran was `done` or `failed`. Times are seconds since the graph's first run began."""

    node: str
    state: Literal["done", "failed"]
    value: Any
    error: str | None
    started: float
    finished: float
    usage: Usage | None = None
    lost: str | None = None
    """Why the value is not here, if it is not."""
    failure: FailureKind = "error"
    """What kind of failure it was, if it failed."""
    unreadable: bool = False
    """Whether the value was written down, and cannot be read in this process."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A mutating call that was begun."""

    tool: str
    args: Mapping[str, Any]
    """What is on record of its arguments."""
    unclear: bool
    """Whether nobody knows how the call itself ended."""


Record: TypeAlias = "Patched | Planned | Settled"


@dataclass(frozen=True)
class RecordedRun:
    """What was written down of one call of `run_graph`."""

    records: Sequence[Record]
    known: Mapping[str, Settled]
    """The nodes that ended in this call or a later one."""
    over: bool = False
    """Whether the call had returned, so that another came."""
    answered: bool = False
    """Whether the whole run is over. Nothing of it is run any more."""
    until: float = 0.0
    """When the last record was written, in seconds since the graph's first run began."""
    wanted: Set[str] = frozenset()
    """The names that are read by nodes that did not end."""
    begun: Mapping[str, Begun] = field(default_factory=dict[str, Begun])
    """The mutating calls of the whole run, by node."""
    planned: bool = field(init=False)
    """Whether the plan was at its end."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "planned", self.over or any(isinstance(r, Planned) for r in self.records))


class Replay:
    """Puts the records of a run through its dataflow. Nothing is run, emitted or written down meanwhile."""

    def __init__(self, past: RecordedRun, flow: Dataflow) -> None:
        self.ran: list[NodeRecord] = []
        """The entries that ran, in the order in which they ended."""
        self.unresolved: list[NodeRecord] = []
        """What failed, and no revision has come since."""
        self._past = past
        self._flow = flow
        self._graph = flow.graph
        self._now = 0.0
        """The time of the record that is being replayed."""
        self._planned = False
        self._revision: int | None = None
        """The round of planning of the last revision."""
        self._ready: dict[NodeRecord, int] = {}
        """Entries that started once, or would have, with their epoch."""

    def run(self) -> list[NodeRecord]:
        """Replay everything. Returns the entries that are ready now, in the order in which they became ready.

        Raises:
            ResumeError: the records do not fit the rules of this version of Braid.
        """
        self._flow.begin()
        self._apply_changes()
        for record in self._past.records:
            match record:
                case Patched():
                    self._patch(record)
                case Planned(at):
                    self._planned = True
                    self._now = at
                    self._flow.answers.expecting = False
                    self._flow.unpark()
                    self._apply_changes()
                case Settled():
                    self._settle(record)
                case _:
                    assert_never(record)
        return self._left()

    def _apply_changes(self) -> None:
        """Follow the dataflow: nodes that are ready are held, and answers end the plan as they did."""
        flow = self._flow
        while (change := flow.next_change()) is not None:
            kind, entry = change
            match kind:
                case "ready":
                    if flow.answers.park(entry):
                        continue
                    if isinstance(entry.node.op, Answer):
                        entry.started = entry.finished = self._now
                        flow.settle(entry, "done", value=entry.args)
                    else:
                        self._ready[entry] = entry.epoch
                case "settled":
                    if entry.children is not None:
                        entry.finished = self._now
                    elif entry.parts is not None and entry.state in ("done", "failed"):
                        entry.started = entry.finished = self._now
                    flow.release(entry)
                case "expanded":
                    if entry.children is not None:
                        entry.started = self._now
                case "answered":
                    pass
                case _:
                    assert_never(kind)

    def _patch(self, record: Patched) -> None:
        self._now = record.at
        if self._planned:
            self.unresolved.clear()
            self._begin_revision(record.patch)
        for id in record.running:
            entry = self._graph.entries.get(id)
            if entry is not None and entry.state == "pending":
                entry.state = "running"
        try:
            change = self._graph.commit(record.patch, cancel=self._cancel)
            self._flow.check_size()
        except GraphError as error:
            raise ResumeError(f"the plan of this run cannot be built again: {error}") from error
        self._flow.take(change)
        self._apply_changes()

    def _begin_revision(self, patch: GraphPatch) -> None:
        """Its answers take the place of those before it."""
        round = max((node.round for node in patch.add), default=self._revision)
        if round != self._revision:
            self._revision = round
            self._graph.runs += 1

    def _cancel(self, entry: NodeRecord, reason: str) -> None:
        self._flow.cancel(entry, reason)
        self._apply_changes()

    def _settle(self, record: Settled) -> None:
        self._now = record.finished
        entry = self._graph.entries.get(record.node)
        if entry is None or entry.state not in ("pending", "running"):
            return  # an item of a list that is not here yet, or a name that was bound anew
        if entry.parent is not None and entry.parent.parts is not None and entry not in self._ready:
            return  # it checked a result that is lost
        if isinstance(entry.node.op, Join) and record.state == "done":
            self._flow.joins.choose(entry, record.value)
            self._apply_changes()
        elif record.lost is None:
            self._end(entry, record.state, record)
        elif self._flow.answers.mutates(entry):
            self._end_without_result(entry, record)

    def _end_without_result(self, entry: NodeRecord, record: Settled) -> None:
        """A mutating call is done, and its result is not here: enough where all that read it are done too."""
        name = (entry.parent or entry).node.name
        if name in self._past.wanted:
            reason = (
                f"{tool_of(entry.node)} did its work, but its result is not in the journal: {record.lost}"
            )
            self._end(entry, "failed", record, error=reason)
        else:
            self._end(entry, "done", record)

    def _end(
        self,
        entry: NodeRecord,
        state: Literal["done", "failed"],
        record: Settled,
        *,
        error: str | None = None,
    ) -> None:
        entry.started, entry.finished, entry.usage = record.started, record.finished, record.usage
        if state == "failed":
            entry.failure = record.failure
            self.unresolved.append(entry)
        self.ran.append(entry)
        self._flow.settle(entry, state, value=record.value, error=error or record.error)
        self._apply_changes()

    def _left(self) -> list[NodeRecord]:
        """The entries that are ready and did not end.

        Items of a list that had to be computed anew are looked up once more.
        """
        while True:
            ready = [
                e
                for e, epoch in self._ready.items()
                if e.epoch == epoch and e.state in ("pending", "running")
            ]
            known = [e for e in ready if e.node.id in self._past.known]
            found = [e for e in known if self._past.known[e.node.id].lost is None]
            if not found:
                break
            for entry in found:
                if entry.state in ("pending", "running"):
                    self._settle(self._past.known[entry.node.id])
        for entry in ready:
            entry.state = "pending"
        return ready
