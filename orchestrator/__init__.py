"""orchestrator: the face of Braid. An Agent plans a question as a graph, runs it and answers.

    from orchestrator import Agent, tool

Names are loaded when they are first used, so that the command line starts without importing what it does not need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine import Budget, Envelope, Event
    from executors import Limits, ToolContext, tool
    from orchestrator.agent import Agent
    from orchestrator.errors import (
        ConfigurationError,
        InvalidHistoryError,
        InvalidQuestionError,
        OrchestratorError,
        OutputTypeError,
        RunningLoopError,
    )
    from orchestrator.events import (
        RoundFinished,
        RoundStarted,
        RunAnswered,
        RunFailed,
        RunFinished,
        RunStarted,
    )
    from orchestrator.replay import Comparison, ReplayError, compare_with_sequential
    from orchestrator.result import RunResult
    from orchestrator.settings import Settings, load_settings
    from orchestrator.stream import RunStream

__all__ = [
    "Agent",
    "Budget",
    "Comparison",
    "ConfigurationError",
    "Envelope",
    "Event",
    "InvalidHistoryError",
    "InvalidQuestionError",
    "Limits",
    "OrchestratorError",
    "OutputTypeError",
    "ReplayError",
    "RoundFinished",
    "RoundStarted",
    "RunAnswered",
    "RunFailed",
    "RunFinished",
    "RunResult",
    "RunStarted",
    "RunStream",
    "RunningLoopError",
    "Settings",
    "ToolContext",
    "compare_with_sequential",
    "load_settings",
    "tool",
]

_HOMES = {
    "engine": ("Budget", "Envelope", "Event"),
    "executors": ("Limits", "ToolContext", "tool"),
    "orchestrator.agent": ("Agent",),
    "orchestrator.replay": ("Comparison", "ReplayError", "compare_with_sequential"),
    "orchestrator.stream": ("RunStream",),
    "orchestrator.errors": (
        "ConfigurationError",
        "InvalidHistoryError",
        "InvalidQuestionError",
        "OrchestratorError",
        "OutputTypeError",
        "RunningLoopError",
    ),
    "orchestrator.events": (
        "RoundFinished",
        "RoundStarted",
        "RunAnswered",
        "RunFailed",
        "RunFinished",
        "RunStarted",
    ),
    "orchestrator.result": ("RunResult",),
    "orchestrator.settings": ("Settings", "load_settings"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
