"""orchestrator: the face of Braid. An Agent plans a question as a graph, runs it and answers.

    from braid.orchestrator import Agent, tool

Names are loaded when they are first used, so that the command line starts without importing what it does not need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from braid.engine.budget import Budget, Price, budget
    from braid.engine.events import Envelope, Event
    from braid.executors.effects import Done, NotDone
    from braid.executors.outcome import Limits
    from braid.executors.tool_types import ToolContext
    from braid.executors.tools import tool
    from braid.orchestrator.agent import Agent
    from braid.orchestrator.errors import (
        ConfigurationError,
        InvalidHistoryError,
        InvalidQuestionError,
        OrchestratorError,
        OutputTypeError,
        ResumeRefusedError,
        RunningLoopError,
    )
    from braid.orchestrator.events import (
        JournalFailed,
        RoundFinished,
        RoundStarted,
        RunAnswered,
        RunFailed,
        RunFinished,
        RunResumed,
        RunStarted,
    )
    from braid.orchestrator.replay import Comparison, ReplayError, compare_with_sequential
    from braid.orchestrator.result import RunResult
    from braid.orchestrator.settings import Settings, load_settings
    from braid.orchestrator.stream import RunStream

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
    "braid.engine": ("Budget", "Envelope", "Event", "Price", "budget"),
    "braid.executors": ("Done", "Limits", "NotDone", "ToolContext", "tool"),
    "braid.orchestrator.agent": ("Agent",),
    "braid.orchestrator.replay": ("Comparison", "ReplayError", "compare_with_sequential"),
    "braid.orchestrator.stream": ("RunStream",),
    "braid.orchestrator.errors": (
        "ConfigurationError",
        "InvalidHistoryError",
        "InvalidQuestionError",
        "OrchestratorError",
        "OutputTypeError",
        "ResumeRefusedError",
        "RunningLoopError",
    ),
    "braid.orchestrator.events": (
        "JournalFailed",
        "RoundFinished",
        "RoundStarted",
        "RunAnswered",
        "RunFailed",
        "RunFinished",
        "RunResumed",
        "RunStarted",
    ),
    "braid.orchestrator.result": ("RunResult",),
    "braid.orchestrator.settings": ("Settings", "load_settings"),
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
