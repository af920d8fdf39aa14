"""Spans: what happened to each node, as plain data, from a graph or from recorded events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from braid.engine import Envelope
from braid.executors import events
from braid.executors.graph import NodeRecord, TaskGraph, exclusive, names_read, op_kind
from braid.executors.nodes import Map, NodeState, OpKind
from braid.executors.values import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One node. Times are in seconds since the graph's first run began."""

    id: str
    op: OpKind
    name: str | None = None
    tool: str | None = None
    source: str = ""
    """The statement of the plan."""
    parent: str | None = None
    """The map that the node is an item of."""
    depends_on: tuple[str, ...] = ()
    state: NodeState = "pending"
    added: float = 0.0
    """When its statement came. For items of a map, when that of the map came."""
    started: float | None = None
    """None for a node that did not run."""
    finished: float | None = None
    """None for a node that did not run."""
    wasted: float = 0.0
    """Seconds of attempts of which nothing was used."""
    text: str = ""
    """Its result in short."""
    error: str = ""

    @property
    def seconds(self) -> float:
        """Its duration. 0 for a node that did not run, and for a map, whose items do its work."""
        if self.op == "map" or self.started is None or self.finished is None:
            return 0.0
        return self.finished - self.started

    @property
    def ran(self) -> bool:
        """Whether it has a start and an end."""
        return self.started is not None and self.finished is not None


def spans_of(graph: TaskGraph) -> list[Span]:
    """The nodes of `graph`, in its order."""
    return [_span(graph, entry) for entry in graph.entries.values() if entry.node.round >= 0]


def _span(graph: TaskGraph, entry: NodeRecord) -> Span:
    node = entry.node
    return Span(
        id=node.id,
        op=op_kind(node),
        name=node.name,
        tool=entry.tool,
        source=node.source,
        parent=entry.parent.node.id if entry.parent else None,
        depends_on=tuple([producer.node.id for producer in _producers(graph, entry)]),
        state=entry.state,
        added=entry.added,
        started=entry.started,
        finished=entry.finished,
        wasted=entry.wasted,
        text=shown(entry.value) if entry.state == "done" else "",
        error=entry.error or "",
    )


def _producers(graph: TaskGraph, entry: NodeRecord) -> list[NodeRecord]:
    """What a node reads. A map without items yet stands for them, and reads what its body does."""
    producers = graph.producers(entry)
    if not isinstance(entry.node.op, Map) or entry.children:
        return producers
    slots = [graph.slots[name] for name in names_read(entry.node) if name in graph.slots]
    body = [binder for slot in slots for binder in slot.binders if not exclusive(binder.node, entry.node)]
    return list(dict.fromkeys([*producers, *body]))


_REASONS: Final[Mapping[str, NodeState]] = {
    "node.skipped": "skipped",
    "node.blocked": "blocked",
    "node.cancelled": "cancelled",
    "node.uncertain": "uncertain",
}


def spans_of_events(envelopes: Iterable[Envelope]) -> list[Span]:
    """The nodes in the events of a run, in the order in which they were added."""
    known: dict[str, Span] = {}
    added_at: dict[str, float] = {}
    clock = 0.0  # wall clock when the graph's first run began
    for envelope in envelopes:
        event = envelope.event
        if isinstance(event, events.NodeAdded):
            fields = event.model_dump(exclude={"kind", "node", "round", "line", "passes_on"})
            known[event.node] = Span(id=event.node, **fields)
            added_at[event.node] = envelope.at
            continue
        span = known.get(getattr(event, "node", ""))
        if span is None:
            continue
        match event:
            case events.NodeStarted():
                clock = clock or envelope.at - event.at
                span = replace(span, state="running", started=event.at)
            case events.NodeFinished():
                span = replace(span, state="done", finished=event.at, text=event.result)
            case events.NodeFailed():
                span = replace(span, state="failed", finished=event.at, error=event.error)
            case events.ToolHedged():
                span = replace(span, wasted=span.wasted + event.wasted_seconds)
            case events.NodeCancelled() if span.started is not None:
                span = replace(span, state="cancelled", finished=event.at, error=event.reason)
            case (
                events.NodeCancelled() | events.NodeSkipped() | events.NodeBlocked() | events.NodeUncertain()
            ):
                span = replace(span, state=_REASONS[event.kind], error=event.reason)
            case _:
                continue
        known[span.id] = span
    return [replace(span, added=max(0.0, added_at[span.parent or id] - clock)) for id, span in known.items()]
