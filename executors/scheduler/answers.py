"""The rules of `answer`: what waits for the plan's end to be known, and what the end leaves running."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from braid.executors.graph import NodeRecord, TaskGraph
from braid.executors.nodes import Answer


class Answers:
    """The answers of a graph in plan order, and the ready nodes that are parked behind them."""

    def __init__(self, graph: TaskGraph, mutates: Callable[[NodeRecord], bool], begun: Iterable[str]) -> None:
        """`mutates` says whether an entry calls a mutating tool.

        `begun` are the nodes whose calls an earlier process began. No answer holds them up or ends them.
        """
        self.graph = graph
        self.mutates = mutates
        self.given: NodeRecord | None = None
        """The answer that ran."""
        self.kept: set[NodeRecord] = set()
        """Calls that the answer leaves to be carried out, and what they need."""
        self.expecting = False
        """Whether more of the plan may come."""
        self._begun = {id for node in begun for id in (node, node.partition("[")[0])}
        self.in_order: list[NodeRecord] = []
        """The answers in plan order."""
        self._parked: dict[NodeRecord, int] = {}

    @property
    def last(self) -> NodeRecord | None:
        """The answer that stands last in the plan."""
        return self.in_order[-1] if self.in_order else None

    def add(self, entries: Iterable[NodeRecord]) -> None:
        """Take note of the answers among `entries`."""
        self.in_order.extend(entry for entry in entries if isinstance(entry.node.op, Answer))

    def park(self, entry: NodeRecord) -> bool:
        """Whether `entry` must wait for an answer that stands before it. It is then kept for `unpark`."""
        if not self._must_wait(entry):
            return False
        self._parked[entry] = entry.epoch
        return True

    def unpark(self) -> list[NodeRecord]:
        """Parked nodes that no longer wait for an answer before them in the plan. They may start now.

        Call `park` again before starting one: an earlier answer may have appeared.
        """
        free: list[NodeRecord] = []
        for entry, epoch in list(self._parked.items()):
            stale = entry.epoch != epoch or entry.state != "pending"
            if stale or (self.given is None and not self._must_wait(entry)):
                del self._parked[entry]
                if not stale:
                    free.append(entry)
        return free

    def end(
        self, answer: NodeRecord, needed_by: Callable[[Iterable[NodeRecord]], set[NodeRecord]]
    ) -> list[NodeRecord]:
        """`answer` ran. Returns the entries to cancel.

        Mutating calls that have begun, or stand before the answer, are carried out, with all they need. The
        rest was not read.
        """
        self.given = answer
        unfinished = [e for e in self.graph.entries.values() if e.state in ("pending", "running")]
        self.kept = needed_by(
            e
            for e in unfinished
            if e.node.id in self._begun
            or (self.mutates(e) and (e.state == "running" or e.order < answer.order))
        )
        return [entry for entry in unfinished if entry not in self.kept]

    def _must_wait(self, entry: NodeRecord) -> bool:
        """Whether an earlier `answer` may yet end the plan before this statement's turn.

        A mutating call and an answer run only once every answer that stands before them, in the same round,
        was skipped. An answer left over from an earlier round waits for the stream's end, since a newer one
        takes its place.
        """
        is_answer = isinstance(entry.node.op, Answer)
        if not is_answer and (not self.in_order or not self.mutates(entry) or entry.node.id in self._begun):
            return False
        if is_answer and entry.batch < self.graph.runs:
            newer = (a for a in self.in_order if a.batch > entry.batch)
            if self.expecting or any(_may_run(a) for a in newer):
                return True
        return any(a.order < entry.order and a.batch == entry.batch and _may_run(a) for a in self.in_order)


def _may_run(answer: NodeRecord) -> bool:
    return answer.state not in ("skipped", "cancelled")
