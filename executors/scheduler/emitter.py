"""Tells a run's events: from what happened to an entry to the event that says so."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, TypeAlias

from braid.engine import BraidError, BudgetExceededError, Event
from braid.executors import events
from braid.executors.graph import GraphPatch, NodeRecord, TaskGraph, op_kind, tool_of
from braid.executors.values import json_text, preview

Emit: TypeAlias = Callable[[Event], None]
"""Told each event at once. One with an attribute `deferred` that is a list gets what is frequent there instead (`Deferred`)."""

Deferred: TypeAlias = "list[Any]"
"""Events to be, three items each: what builds the event from a thing and a moment, that thing, and that moment (monotonic clock,
seconds).

For listeners that only keep events until somebody looks: building one costs more than running a node that does nothing. The list
is flat, since the garbage collector would visit each tuple in it, again and again.
"""


class EventEmitter:
    """Made only where somebody listens: a run without listeners builds no events."""

    def __init__(self, graph: TaskGraph, emit: Emit) -> None:
        self.graph = graph
        self.emit: Emit | None = emit
        self.deferred: Deferred | None = getattr(emit, "deferred", None)
        self.origin = graph.origin or 0.0
        self._building = (self._added, self._started, self._finished)

    def _say(self, event: Event) -> None:
        if self.emit is None:
            return
        try:
            self.emit(event)
        except BaseException:
            self.emit = None  # its error ends the run; it hears no more of what that brings about
            raise

    def patched(self, patch: GraphPatch, added: Sequence[NodeRecord]) -> None:
        self._say(
            events.PlanPatched(
                version=self.graph.version,
                added=tuple([entry.node.id for entry in added]),
                cancelled=patch.cancel,
                reason=patch.reason,
            )
        )
        self.added(added)

    def added(self, entries: Sequence[NodeRecord]) -> None:
        if self.deferred is not None and self.graph.origin is not None:
            build, now = self._building[0], time.monotonic()
            for entry in entries:
                self.deferred += (build, entry, now)
        else:
            for entry in entries:
                self._say(self._added(entry, 0.0))

    def started(self, entry: NodeRecord) -> None:
        at = entry.started or 0.0
        if self.deferred is not None:
            self.deferred += (self._building[1], entry, at + self.origin)
        else:
            self._say(events.NodeStarted(node=entry.node.id, at=at))

    def settled(self, entry: NodeRecord, at: float) -> None:
        if entry.state == "done":
            if self.deferred is not None:
                self.deferred += (self._building[2], entry, at + self.origin)
            else:
                self._say(self._finished(entry, at + self.origin))
            return
        node, seconds, why = entry.node.id, entry.seconds, entry.error or ""
        match entry.state:
            case "failed":
                self._say(events.NodeFailed(node=node, at=at, seconds=seconds, error=why))
            case "skipped":
                self._say(events.NodeSkipped(node=node, reason=why))
            case "blocked":
                self._say(events.NodeBlocked(node=node, reason=why))
            case "cancelled":
                self._say(events.NodeCancelled(node=node, at=at, seconds=seconds, reason=why))
            case "uncertain":
                self._say(events.NodeUncertain(node=node, at=at, reason=why))
            case "pending" | "running":
                pass

    # Of these, all that is read later stays as it is: what a node is and reads, and the times and result of one that is done.

    def _added(self, entry: NodeRecord, at: float) -> Event:
        node = entry.node
        return events.NodeAdded(
            node=node.id,
            op=op_kind(node),
            name=node.name,
            tool=tool_of(node),
            source=node.source,
            round=node.round,
            line=node.line,
            parent=entry.parent.node.id if entry.parent else None,
            depends_on=tuple([producer.node.id for producer in self.graph.producers(entry)]),
        )

    def _started(self, entry: NodeRecord, at: float) -> Event:
        return events.NodeStarted(node=entry.node.id, at=at - self.origin)

    def _finished(self, entry: NodeRecord, at: float) -> Event:
        seconds, result = entry.seconds, preview(entry.value)
        return events.NodeFinished(node=entry.node.id, at=at - self.origin, seconds=seconds, result=result)

    def retried(self, entry: NodeRecord, attempt: int, error: BraidError, wait: float) -> None:
        self._say(events.NodeRetried(node=entry.node.id, attempt=attempt, error=str(error), wait=wait))

    def hedged(self, entry: NodeRecord, tool: str, second_won: bool, wasted: float) -> None:
        entry.wasted += wasted
        self._say(
            events.ToolHedged(node=entry.node.id, tool=tool, second_won=second_won, wasted_seconds=wasted)
        )

    def reused(self, entry: NodeRecord, tool: str, source: Literal["run", "earlier run"]) -> None:
        self._say(events.ToolReused(node=entry.node.id, tool=tool, source=source))

    def waits(self, entry: NodeRecord, reason: Literal["approval", "outcome"]) -> None:
        self._say(events.NodeWaits(node=entry.node.id, reason=reason))

    def abandoned(self, entry: NodeRecord, tool: str, seconds: float) -> None:
        self._say(events.ToolAbandoned(node=entry.node.id, tool=tool, seconds=seconds))

    def out_of_budget(self, error: BudgetExceededError) -> None:
        self._say(events.BudgetExceeded(limit=error.limit, scope=error.scope, message=str(error)))


def event_json(event: Event) -> str:
    """An event as JSON."""
    try:
        return event.__pydantic_serializer__.to_json(event).decode()
    except ValueError:  # half a surrogate pair, which a tool or a model may well write
        return json.dumps(event.model_dump(mode="python"), default=str)


def told_as_json(build: Callable[[Any, float], Event], what: Any, at: float) -> str:
    """`event_json` of what `build` makes of `what` and `at`, without making it where it is one of the frequent ones."""
    quick = _QUICK.get(getattr(build, "__func__", None))
    return event_json(build(what, at)) if quick is None else json_text(quick(build.__self__, what, at))  # pyright: ignore[reportFunctionMemberAccess]


def _added(told: EventEmitter, entry: NodeRecord, at: float) -> dict[str, Any]:
    node = entry.node
    return {
        "kind": "node.added",
        "node": node.id,
        "op": op_kind(node),
        "name": node.name,
        "tool": tool_of(node),
        "source": node.source,
        "round": node.round,
        "line": node.line,
        "parent": entry.parent.node.id if entry.parent else None,
        "depends_on": [producer.node.id for producer in told.graph.producers(entry)],
    }


def _started(told: EventEmitter, entry: NodeRecord, at: float) -> dict[str, Any]:
    return {"kind": "node.started", "node": entry.node.id, "at": at - told.origin}


def _finished(told: EventEmitter, entry: NodeRecord, at: float) -> dict[str, Any]:
    return {
        "kind": "node.finished",
        "node": entry.node.id,
        "at": at - told.origin,
        "seconds": entry.seconds,
        "result": preview(entry.value),
    }


_QUICK: Final[dict[Any, Callable[[EventEmitter, NodeRecord, float], dict[str, Any]]]] = {
    EventEmitter._added: _added,  # pyright: ignore[reportPrivateUsage]
    EventEmitter._started: _started,  # pyright: ignore[reportPrivateUsage]
    EventEmitter._finished: _finished,  # pyright: ignore[reportPrivateUsage]
}
