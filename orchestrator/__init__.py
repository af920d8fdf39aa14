"""orchestrator: the face of Braid. An Agent plans a question as a graph, runs it and answers.

    from orchestrator import Agent, tool

Names are loaded when they are first used, so that the command line starts without importing what it does not need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine import Budget, Envelope, Event, Price, budget
    from executors import Done, Limits, NotDone, ToolContext, tool
    from orchestrator.agent import Agent
    from orchestrator.errors import (
        ConfigurationError,
        InvalidHistoryError,
        InvalidQuestionError,
        OrchestratorError,
        OutputTypeError,
        ResumeRefusedError,
        RunningLoopError,
    )
    from orchestrator.events import (
        JournalFailed,
        RoundFinished,
        RoundStarted,
        RunAnswered,
        RunFailed,
        RunFinished,
        RunResumed,
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
    "Done",
    "Envelope",
    "Event",
    "InvalidHistoryError",
    "InvalidQuestionError",
    "JournalFailed",
    "Limits",
    "NotDone",
    "OrchestratorError",
    "OutputTypeError",
    "Price",
    "ReplayError",
    "ResumeRefusedError",
    "RoundFinished",
    "RoundStarted",
    "RunAnswered",
    "RunFailed",
    "RunFinished",
    "RunResult",
    "RunResumed",
    "RunStarted",
    "RunStream",
    "RunningLoopError",
    "Settings",
    "ToolContext",
    "budget",
    "compare_with_sequential",
    "load_settings",
    "tool",
]

_HOMES = {
    "engine": ("Budget", "Envelope", "Event", "Price", "budget"),
    "executors": ("Done", "Limits", "NotDone", "ToolContext", "tool"),
    "orchestrator.agent": ("Agent",),
    "orchestrator.replay": ("Comparison", "ReplayError", "compare_with_sequential"),
    "orchestrator.stream": ("RunStream",),
    "orchestrator.errors": (
        "ConfigurationError",
        "InvalidHistoryError",
        "InvalidQuestionError",
        "OrchestratorError",
        "OutputTypeError",
        "ResumeRefusedError",
        "RunningLoopError",
    ),
    "orchestrator.events": (
        "JournalFailed",
        "RoundFinished",
        "RoundStarted",
        "RunAnswered",
        "RunFailed",
        "RunFinished",
        "RunResumed",
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
