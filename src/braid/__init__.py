"""Braid: a language model plans a task as a graph, and the graph's nodes run side by side over one KV cache.

    from braid import Agent, tool

The rooms are `braid.engine`, `braid.reasoning`, `braid.executors`, `braid.planner`, `braid.orchestrator` and
`braid.evals`.
A name is imported when it is first used, so that the command line starts without what it does not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from braid.lazy import lazy_names

if TYPE_CHECKING:
    from braid.engine import BraidError, Budget, Envelope, Event, Price, budget, connect
    from braid.executors import Limits, ToolContext, tool
    from braid.executors.scheduler import ToolCallRequest
    from braid.executors.tools import ToolError
    from braid.orchestrator import (
        Agent,
        ModelSettings,
        OutputTypeError,
        ResumeRefusedError,
        RunResult,
        RunStream,
    )
    from braid.planner import InvalidPlanError, Plan

__all__ = [
    "Agent",
    "BraidError",
    "Budget",
    "Envelope",
    "Event",
    "InvalidPlanError",
    "Limits",
    "ModelSettings",
    "OutputTypeError",
    "Plan",
    "Price",
    "ResumeRefusedError",
    "RunResult",
    "RunStream",
    "ToolCallRequest",
    "ToolContext",
    "ToolError",
    "budget",
    "connect",
    "tool",
]

__getattr__ = lazy_names(
    __name__,
    {
        "braid.engine": ("BraidError", "Budget", "Envelope", "Event", "Price", "budget", "connect"),
        "braid.executors": ("Limits", "ToolContext", "tool"),
        "braid.executors.scheduler": ("ToolCallRequest",),
        "braid.executors.tools": ("ToolError",),
        "braid.orchestrator": (
            "Agent",
            "ModelSettings",
            "OutputTypeError",
            "ResumeRefusedError",
            "RunResult",
            "RunStream",
        ),
        "braid.planner": ("InvalidPlanError", "Plan"),
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
