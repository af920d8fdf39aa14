"""Braid: a language model plans a task as a graph, and the graph's nodes run side by side over one KV cache.

    from braid import Agent, tool

The rooms are `braid.engine`, `braid.reasoning`, `braid.executors`, `braid.planner`, `braid.orchestrator` and `braid.evals`.
A name is imported when it is first used, so that the command line starts without what it does not need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from braid.engine import BraidError, Budget, Envelope, Event, Price, budget, connect
    from braid.executors import Limits, ToolContext, tool
    from braid.orchestrator import Agent, RunResult, RunStream

__all__ = [
    "Agent",
    "BraidError",
    "Budget",
    "Envelope",
    "Event",
    "Limits",
    "Price",
    "RunResult",
    "RunStream",
    "ToolContext",
    "budget",
    "connect",
    "tool",
]

_ROOMS = {
    "braid.engine": ("BraidError", "Budget", "Envelope", "Event", "Price", "budget", "connect"),
    "braid.executors": ("Limits", "ToolContext", "tool"),
    "braid.orchestrator": ("Agent", "RunResult", "RunStream"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_ROOM_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
