"""Where the time of a run went: spans, critical path, report, and the HTML page."""

from braid.executors.report.drawing import DiagramKind, diagram, to_networkx
from braid.executors.report.html import run_page
from braid.executors.report.report import RunReport, report_of, report_of_spans, usage_of
from braid.executors.report.spans import Span, spans_of, spans_of_events

__all__ = [
    "DiagramKind",
    "RunReport",
    "Span",
    "diagram",
    "report_of",
    "report_of_spans",
    "run_page",
    "spans_of",
    "spans_of_events",
    "to_networkx",
    "usage_of",
]
