"""A run as spans of OpenTelemetry, made of its events. Needs the extra `otel`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from braid.engine import Envelope, Event
from braid.executors import (
    NodeAdded,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRetried,
    NodeStarted,
    NodeUncertain,
)
from braid.orchestrator.errors import ConfigurationError
from braid.orchestrator.events import RoundFinished, RoundStarted, RunFailed, RunFinished, RunStarted
from braid.planner import PlannerFinished


def export_spans(events: Iterable[Envelope], tracer: Any = None) -> None:
    """Make spans of the events of one run: the run, its rounds, its plans, and its nodes.

        export_spans(result.events)

    The times are those of the events. A plan has the tokens of its generations. The run's span is a child of
    the current span. Text of questions, plans and results is left out.

    Args:
        events: The events of a run that is over: `RunResult.events`, or those of a journal.
        tracer: An OpenTelemetry `Tracer`. None takes the global one named `braid`.

    Raises:
        ConfigurationError: OpenTelemetry is not installed.
    """
    try:
        trace = import_module("opentelemetry.trace")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "opentelemetry-api is not installed, and spans need it; "
            "pip install 'braid-agents[otel]' brings it"
        ) from error
    spans = _Spans(trace, trace.get_tracer("braid") if tracer is None else tracer)
    for envelope in events:
        spans.take(envelope)
    spans.end_all()


class _Spans:
    """The spans of one run that are open."""

    def __init__(self, trace: Any, tracer: Any) -> None:
        self._trace = trace
        self._tracer = tracer
        self._open: dict[tuple[str, str | int], Any] = {}
        self._contexts: dict[tuple[str, str | int], Any] = {}
        self._added: dict[str, NodeAdded] = {}
        self._now = 0

    def take(self, envelope: Envelope) -> None:
        self._now = at = _nanoseconds(envelope.at)
        event: Event = envelope.event
        match event:
            case RunStarted():
                about = {"braid.run": envelope.run, "braid.engine": event.engine}
                self._start(("run", ""), "braid.run", at, None, about)
            case RunFinished():
                ok = event.status in ("answered", "declined")
                self._end(("run", ""), at, "" if ok else event.status, {"braid.status": event.status})
            case RunFailed():
                self._end(("run", ""), at, "failed", {})
            case RoundStarted():
                about = {"braid.round": event.round, "braid.revision": event.revision}
                self._start(("round", event.round), "braid.round", at, ("run", ""), about)
            case RoundFinished():
                self._end(("round", event.round), at, "", {"braid.answered": event.answered})
            case PlannerFinished():
                key, began = ("plan", event.round), at - _nanoseconds(event.seconds)
                usage = {
                    "gen_ai.usage.input_tokens": event.prompt_tokens,
                    "gen_ai.usage.output_tokens": event.generated_tokens,
                    "braid.attempts": event.attempts,
                }
                self._start(key, "braid.plan", began, ("round", event.round), usage)
                self._end(key, at, "" if event.valid or event.stopped else "no valid plan", {})
            case NodeAdded():
                self._added[event.node] = event
            case NodeStarted():
                self._start_node(event.node, at)
            case NodeFinished():
                self._end(("node", event.node), at, "", {})
            case NodeRetried() if ("node", event.node) in self._open:
                self._open["node", event.node].add_event("retried", timestamp=at)
            case NodeFailed():
                self._end(("node", event.node), at, event.failure, {})
            case NodeCancelled():
                self._end(("node", event.node), at, "", {"braid.cancelled": True})
            case NodeUncertain():
                self._end(("node", event.node), at, "uncertain", {})
            case _:
                pass

    def end_all(self) -> None:
        """End what the events left open, at the time of the last one."""
        for key in reversed(list(self._open)):
            self._end(key, self._now, "", {})

    def _start_node(self, node: str, at: int) -> None:
        added = self._added.get(node)
        about: dict[str, Any] = {"braid.node": node}
        if added is None:
            self._start(("node", node), "braid.node", at, ("run", ""), about)
            return
        above = ("node", added.parent) if added.parent is not None else ("round", added.round)
        about |= {"braid.op": added.op, **({"braid.tool": added.tool} if added.tool else {})}
        self._start(("node", node), f"braid.{added.op}", at, above, about)

    def _start(
        self,
        key: tuple[str, str | int],
        name: str,
        at: int,
        above: tuple[str, str | int] | None,
        attributes: dict[str, Any],
    ) -> None:
        context = None if above is None else self._contexts.get(above, self._contexts.get(("run", "")))
        span = self._tracer.start_span(name, context=context, start_time=at, attributes=attributes)
        self._open[key] = span
        self._contexts[key] = self._trace.set_span_in_context(span)

    def _end(self, key: tuple[str, str | int], at: int, error: str, attributes: dict[str, Any]) -> None:
        span = self._open.pop(key, None)
        if span is None:
            return
        span.set_attributes(attributes)
        if error:
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, error))
        span.end(end_time=at)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000_000)
