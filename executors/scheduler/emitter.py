"""The event emitter of a run: from what happened to an entry to the event that says so."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

from braid.engine import BraidError, BudgetExceededError, Event
from braid.executors import events
from braid.executors.graph import GraphPatch, NodeRecord, TaskGraph, op_kind, tool_of
from braid.executors.nodes import Answer, Field, Node, Ref, Template
from braid.executors.values import json_text, shown

Emit: TypeAlias = Callable[[Event], None]
"""Called with each event at once.

One that has a list as its attribute `deferred` gets the frequent events there instead (`Deferred`).
"""

Deferred: TypeAlias = "list[Any]"
"""Events that are not built yet, three items each.

The first item builds the event from the other two: what it is about, and the moment (seconds on the run's
clock). It is for listeners that only keep events until they are read, since building one costs more than
running a node that does nothing. The list is flat, since the garbage collector would visit each tuple in it,
again and again.
"""


class EventEmitter:
    """Emits the events of one run. Without a listener it builds none."""

    def __init__(
        self, graph: TaskGraph, emit: Emit | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.graph = graph
        self.listening = emit is not None
        """Whether somebody listens."""
        self.deferred: Deferred | None = getattr(emit, "deferred", None)
        self.origin = graph.origin or 0.0
        self._emit = emit
        self._clock = clock
        self._build_added = EventBuilder(events.NodeAdded, self._added)
        self._build_started = EventBuilder(events.NodeStarted, self._started)
        self._build_finished = EventBuilder(events.NodeFinished, self._finished)

    def mute(self) -> None:
        """Emit nothing any more."""
        self._emit = self.deferred = None
        self.listening = False

    def emit(self, event: Event) -> None:
        """Hand `event` to the listener. One that raises hears no more, and what it raises ends the run."""
        if self._emit is None:
            return
        try:
            self._emit(event)
        except BaseException:
            self.mute()
            raise

    def patched(self, patch: GraphPatch, added: Sequence[NodeRecord]) -> None:
        if self._emit is None:
            return
        self.emit(
            events.PlanPatched(
                version=self.graph.version,
                added=tuple([entry.node.id for entry in added]),
                cancelled=patch.cancel,
                reason=patch.reason,
            )
        )
        self.added(added)

    def added(self, entries: Sequence[NodeRecord]) -> None:
        deferred = self.deferred
        if deferred is not None:
            build, now = self._build_added, self._clock()
            for entry in entries:
                deferred += (build, entry, now)
        elif self._emit is not None:
            for entry in entries:
                self.emit(self._build_added(entry, 0.0))

    def started(self, entry: NodeRecord) -> None:
        if self.deferred is not None:
            self.deferred += (self._build_started, entry, (entry.started or 0.0) + self.origin)
        elif self._emit is not None:
            self.emit(events.NodeStarted(node=entry.node.id, at=entry.started or 0.0))

    def settled(self, entry: NodeRecord, at: float) -> None:
        if self._emit is None:
            return
        if entry.state == "done":
            if self.deferred is not None:
                self.deferred += (self._build_finished, entry, at + self.origin)
            else:
                self.emit(self._build_finished(entry, at + self.origin))
            return
        node, seconds, reason = entry.node.id, entry.seconds, entry.error or ""
        match entry.state:
            case "failed":
                self.emit(
                    events.NodeFailed(node=node, at=at, seconds=seconds, error=reason, failure=entry.failure)
                )
            case "skipped":
                self.emit(events.NodeSkipped(node=node, reason=reason))
            case "blocked":
                self.emit(events.NodeBlocked(node=node, reason=reason))
            case "cancelled":
                self.emit(events.NodeCancelled(node=node, at=at, seconds=seconds, reason=reason))
            case "uncertain":
                self.emit(events.NodeUncertain(node=node, at=at, reason=reason))
            case "pending" | "running":
                pass

    def retried(self, entry: NodeRecord, attempt: int, error: BraidError, wait: float) -> None:
        self.emit(events.NodeRetried(node=entry.node.id, attempt=attempt, error=str(error), wait=wait))

    def hedged(self, entry: NodeRecord, tool: str, second_won: bool, wasted: float) -> None:
        self.emit(
            events.ToolHedged(node=entry.node.id, tool=tool, second_won=second_won, wasted_seconds=wasted)
        )

    def reused(self, entry: NodeRecord, tool: str, source: Literal["run", "earlier run"]) -> None:
        self.emit(events.ToolReused(node=entry.node.id, tool=tool, source=source))

    def waits(self, entry: NodeRecord, reason: Literal["approval", "outcome"]) -> None:
        self.emit(events.NodeWaits(node=entry.node.id, reason=reason))

    def refused(self, entry: NodeRecord, tool: str, call: str) -> None:
        self.emit(events.ApprovalRefused(node=entry.node.id, tool=tool, call=call))

    def abandoned(self, entry: NodeRecord, tool: str, seconds: float) -> None:
        self.emit(events.ToolAbandoned(node=entry.node.id, tool=tool, seconds=seconds))

    def out_of_budget(self, error: BudgetExceededError) -> None:
        self.emit(events.BudgetExceeded(limit=error.limit, scope=error.scope, message=str(error)))

    # These may be called much later. A node's definition, and a result with its times, do not change.

    def _added(self, entry: NodeRecord, at: float) -> dict[str, Any]:
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
            "depends_on": (producers := tuple([each.node.id for each in self.graph.producers(entry)])),
            **({"passes_on": producers[0]} if len(producers) == 1 and _passes_on(node) else {}),
        }

    def _started(self, entry: NodeRecord, at: float) -> dict[str, Any]:
        return {"kind": "node.started", "node": entry.node.id, "at": at - self.origin}

    def _finished(self, entry: NodeRecord, at: float) -> dict[str, Any]:
        return {
            "kind": "node.finished",
            "node": entry.node.id,
            "at": at - self.origin,
            "seconds": entry.seconds,
            "result": shown(entry.value),
        }


def _passes_on(node: Node) -> bool:
    """Whether `node` is an answer of one reference to a result or its `answer`, as it is or as a text."""
    op = node.op
    if not isinstance(op, Answer) or op.declines or node.guards or len(op.values) != 1:
        return False
    (value,) = op.values
    if isinstance(value, Template) and len(value.parts) == 1:
        (part,) = value.parts
        value = part.ref if isinstance(part, Field) and not part.spec else value
    return isinstance(value, Ref) and value.path in ((), ("answer",))


class EventBuilder:
    """Builds an event of one kind from an entry and a moment, or only its fields."""

    __slots__ = ("_event", "fields")

    def __init__(self, event: type[Event], fields: Callable[[NodeRecord, float], dict[str, Any]]) -> None:
        self._event = event
        self.fields = fields

    def __call__(self, entry: NodeRecord, at: float) -> Event:
        return self._event.model_validate(self.fields(entry, at))


def event_json(event: Event) -> str:
    """An event as JSON."""
    try:
        return event.__pydantic_serializer__.to_json(event).decode()
    except ValueError:  # half a surrogate pair, which a tool or a model may well write
        return json.dumps(event.model_dump(mode="python"), default=str)


def deferred_json(build: Callable[[Any, float], Event], what: Any, at: float) -> str:
    """`event_json` of what `build` makes of `what` and `at`. Frequent events are not built for that."""
    if isinstance(build, EventBuilder):
        return json_text(build.fields(what, at))
    return event_json(build(what, at))
