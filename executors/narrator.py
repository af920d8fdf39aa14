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
        self.emit = emit

    def patched(self, patch: GraphPatch, added: Sequence[Entry]) -> None:
        self.emit(
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
                depends_on=tuple([producer.node.id for producer in self.graph.producers(entry)]),
            )
        )

    def started(self, entry: Entry) -> None:
        self.emit(events.NodeStarted(node=entry.node.id, at=entry.started or 0.0))

    def settled(self, entry: Entry, at: float) -> None:
        node, seconds, why = entry.node.id, entry.seconds, entry.error or ""
        match entry.state:
            case "done":
                end = entry.finished if entry.finished is not None else at
                self.emit(
                    events.NodeFinished(node=node, at=end, seconds=seconds, result=preview(entry.value))
                )
            case "failed":
                self.emit(events.NodeFailed(node=node, at=at, seconds=seconds, error=why))
            case "skipped":
                self.emit(events.NodeSkipped(node=node, reason=why))
            case "blocked":
                self.emit(events.NodeBlocked(node=node, reason=why))
            case "cancelled":
                self.emit(events.NodeCancelled(node=node, at=at, seconds=seconds, reason=why))
            case "pending" | "running":
                pass

    def retried(self, entry: Entry, attempt: int, error: BraidError, wait: float) -> None:
        self.emit(events.NodeRetried(node=entry.node.id, attempt=attempt, error=str(error), wait=wait))

    def abandoned(self, entry: Entry, tool: str, seconds: float) -> None:
        self.emit(events.ToolAbandoned(node=entry.node.id, tool=tool, seconds=seconds))

    def out_of_budget(self, error: BudgetExceededError) -> None:
        self.emit(events.BudgetExceeded(limit=error.limit, scope=error.scope, message=str(error)))


def explain(error: BaseException) -> str:
    """What a failure says: our own errors speak for themselves, others need their kind."""
    text = str(error)
    if isinstance(error, BraidError) and text:
        return text
    kind = type(error).__name__
    return f"{kind}: {text}" if text else kind
