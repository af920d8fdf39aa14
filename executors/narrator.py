"""Tells a run's events: from what happened to an entry to the event that says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

from engine import BraidError, BudgetExceededError, Event
from executors import events
from executors.entries import Entry, op_kind, tool_of
from executors.graph import TaskGraph
from executors.rules import GraphPatch
from executors.values import preview

Emit: TypeAlias = Callable[[Event], None]


class Narrator:
    """Made only where somebody listens: a run without listeners builds no events."""

    def __init__(self, graph: TaskGraph, emit: Emit) -> None:
        self.graph = graph
        self.emit: Emit | None = emit

    def _say(self, event: Event) -> None:
        if self.emit is None:
            return
        try:
            self.emit(event)
        except BaseException:
            self.emit = None  # its error ends the run; it hears no more of what that brings about
            raise

    def patched(self, patch: GraphPatch, added: Sequence[Entry]) -> None:
        self._say(
            events.PlanPatched(
                version=self.graph.version,
                added=tuple([entry.node.id for entry in added]),
                cancelled=patch.cancel,
                reason=patch.reason,
            )
        )
        for entry in added:
            self.added(entry)

    def added(self, entry: Entry) -> None:
        node = entry.node
        self._say(
            events.NodeAdded(
                node=node.id,
                op=cast("events.OpKind", op_kind(node)),
                name=node.name,
                tool=tool_of(node),
                source=node.source,
                round=node.round,
                line=node.line,
                parent=entry.parent.node.id if entry.parent else None,
                depends_on=tuple([producer.node.id for producer in self.graph.producers(entry)]),
            )
        )

    def started(self, entry: Entry) -> None:
        self._say(events.NodeStarted(node=entry.node.id, at=entry.started or 0.0))

    def settled(self, entry: Entry, at: float) -> None:
        node, seconds, why = entry.node.id, entry.seconds, entry.error or ""
        match entry.state:
            case "done":
                end = entry.finished if entry.finished is not None else at
                self._say(
                    events.NodeFinished(node=node, at=end, seconds=seconds, result=preview(entry.value))
                )
            case "failed":
                self._say(events.NodeFailed(node=node, at=at, seconds=seconds, error=why))
            case "skipped":
                self._say(events.NodeSkipped(node=node, reason=why))
            case "blocked":
                self._say(events.NodeBlocked(node=node, reason=why))
            case "cancelled":
                self._say(events.NodeCancelled(node=node, at=at, seconds=seconds, reason=why))
            case "pending" | "running":
                pass

    def retried(self, entry: Entry, attempt: int, error: BraidError, wait: float) -> None:
        self._say(events.NodeRetried(node=entry.node.id, attempt=attempt, error=str(error), wait=wait))

    def abandoned(self, entry: Entry, tool: str, seconds: float) -> None:
        self._say(events.ToolAbandoned(node=entry.node.id, tool=tool, seconds=seconds))

    def out_of_budget(self, error: BudgetExceededError) -> None:
        self._say(events.BudgetExceeded(limit=error.limit, scope=error.scope, message=str(error)))
