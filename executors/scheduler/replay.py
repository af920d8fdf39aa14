"""Resume is replay: what a run wrote down is put through the same dataflow again, and what it had not finished is run.

Written down are the inputs of the graph's state machine, in order: patches, the end of the plan, and how each node that ran
ended. Everything else (guards, skips, the items of maps, what an answer ends) follows from these as it did the first time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, assert_never

from braid.engine import BraidError, Usage
from braid.executors.graph import GraphError, GraphPatch, NodeRecord, TaskGraph, tool_of
from braid.executors.scheduler.dataflow import Dataflow


class ResumeError(BraidError):
    """A run cannot be resumed: says what has changed since, or what is missing."""


@dataclass(frozen=True, slots=True)
class Patched:
    """The graph took a patch at `at` (seconds since the graph's first run began) while `running` ran."""

    patch: GraphPatch
    at: float
    running: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan was at its end."""

    at: float


@dataclass(frozen=True, slots=True)
class Settled:
    """A node that ran was `done` or `failed`. `lost` says why its value is not here, if it is not."""

    node: str
    state: Literal["done", "failed"]
    value: Any
    error: str | None
    started: float
    finished: float
    usage: Usage | None = None
    lost: str | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """A mutating call that was begun.

    `args` are what is on record of its arguments. `unclear` says that nobody knows how the call itself ended.
    """

    tool: str
    args: Mapping[str, Any]
    unclear: bool


Record: TypeAlias = "Patched | Planned | Settled"


@dataclass(frozen=True)
class RecordedRun:
    """What was written down of one call of `run_graph`.

    `known` are the nodes that ended in this call or a later one. `over` says that the call had returned, so that another came,
    `answered` that the whole run is over: nothing of it is run any more. `until` is when the last thing was written, in seconds
    since the graph's first run began. `wanted` are the names that are read by what did not end. `begun` are the mutating calls
    of the whole run, by node.
    """

    records: Sequence[Record]
    known: Mapping[str, Settled]
    over: bool = False
    answered: bool = False
    until: float = 0.0
    wanted: Set[str] = frozenset()
    begun: Mapping[str, Begun] = field(default_factory=dict[str, Begun])
    planned: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "planned", self.over or any(isinstance(r, Planned) for r in self.records))


class Host(Protocol):
    """The active run, as far as its past goes."""

    graph: TaskGraph
    flow: Dataflow
    ran: list[NodeRecord]

    def plan_ended(self) -> None: ...
    def is_mutating(self, entry: NodeRecord) -> bool: ...


class Replay:
    """Puts a past through `host`. While it does, nothing is run, told or written down, and `now` is the time of the record."""

    def __init__(self, past: RecordedRun, host: Host) -> None:
        self.now = 0.0
        self._past = past
        self._host = host
        self._held: dict[NodeRecord, int] = {}
        self._planned = False
        self.unmended: list[NodeRecord] = []
        """What failed, and no revision has come since."""

    def hold(self, entry: NodeRecord) -> None:
        """`entry` is ready: it started once, or would have."""
        self._held[entry] = entry.epoch

    def run(self) -> list[NodeRecord]:
        """Replay everything; returns the entries that are ready to run now, in the order in which they came to be.

        Raises:
            ResumeError: the past does not fit the rules of this version of Braid.
        """
        for record in self._past.records:
            match record:
                case Patched():
                    self._patch(record)
                case Planned(at):
                    self._planned = True
                    self.now = at
                    self._host.plan_ended()
                case Settled():
                    self._settle(record)
                case _:
                    assert_never(record)
        return self._left()

    def _patch(self, record: Patched) -> None:
        self.now = record.at
        if self._planned:
            self.unmended.clear()
        entries = self._host.graph.entries
        for id in record.running:
            entry = entries.get(id)
            if entry is not None and entry.state == "pending":
                entry.state = "running"
        try:
            self._host.graph.apply(record.patch)
        except GraphError as error:
            raise ResumeError(f"the plan of this run cannot be built again: {error}") from error

    def _settle(self, record: Settled) -> None:
        self.now = record.finished
        entry = self._host.graph.entries.get(record.node)
        if entry is None or entry.state not in ("pending", "running"):
            return  # an item of a list that is not here yet, or a name that was bound anew
        if record.lost is None:
            self._end(entry, record.state, record)
        elif self._host.is_mutating(entry):
            self._lose(entry, record)

    def _lose(self, entry: NodeRecord, record: Settled) -> None:
        """A mutating call is done, and its result is not here: enough where all that read it are done too."""
        name = (entry.parent or entry).node.name
        if name in self._past.wanted:
            why = f"{tool_of(entry.node)} did its work, but its result is not in the journal: {record.lost}"
            self._end(entry, "failed", record, error=why)
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
            self.unmended.append(entry)
        self._host.ran.append(entry)
        self._host.flow.settle(entry, state, value=record.value, error=error or record.error)

    def _left(self) -> list[NodeRecord]:
        """What is ready and did not end. Items of a list that had to be made anew are looked up once more."""
        while True:
            ready = [
                e for e, epoch in self._held.items() if e.epoch == epoch and e.state in ("pending", "running")
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
