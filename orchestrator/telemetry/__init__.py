"""Runs told to the outside: spans for OpenTelemetry, and lines for `logging`."""

from braid.orchestrator.telemetry.logs import log_event, logs_events
from braid.orchestrator.telemetry.tracing import export_spans

__all__ = ["export_spans", "log_event", "logs_events"]
