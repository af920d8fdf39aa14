"""orchestrator: an Agent plans a question as a graph, runs it and answers.

    from braid import Agent, tool

Names are imported when they are first used. The command line then starts without what it does not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from braid.lazy import lazy_names

if TYPE_CHECKING:
    from braid.orchestrator.agent import Agent
    from braid.orchestrator.baseline import Comparison, ReplayError, compare_with_sequential
    from braid.orchestrator.errors import (
        ConfigurationError,
        HistoryProcessorError,
        InvalidHistoryError,
        InvalidQuestionError,
        OrchestratorError,
        OutputTypeError,
        ResumeRefusedError,
        RunningLoopError,
    )
    from braid.orchestrator.events import (
        AnswerDoubted,
        JournalFailed,
        PersonSaid,
        Rewritten,
        RoundFinished,
        RoundStarted,
        RunAnswered,
        RunFailed,
        RunFinished,
        RunResumed,
        RunStarted,
    )
    from braid.orchestrator.options import ModelSettings
    from braid.orchestrator.result import RunResult
    from braid.orchestrator.settings import Settings, load_settings
    from braid.orchestrator.stream import RunStream

__all__ = [
    "Agent",
    "AnswerDoubted",
    "Comparison",
    "ConfigurationError",
    "HistoryProcessorError",
    "InvalidHistoryError",
    "InvalidQuestionError",
    "JournalFailed",
    "ModelSettings",
    "OrchestratorError",
    "OutputTypeError",
    "PersonSaid",
    "ReplayError",
    "ResumeRefusedError",
    "Rewritten",
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
    "compare_with_sequential",
    "load_settings",
]

__getattr__ = lazy_names(
    __name__,
    {
        "braid.orchestrator.agent": ("Agent",),
        "braid.orchestrator.baseline": (
            "Comparison",
            "ReplayError",
            "compare_with_sequential",
        ),
        "braid.orchestrator.errors": (
            "ConfigurationError",
            "HistoryProcessorError",
            "InvalidHistoryError",
            "InvalidQuestionError",
            "OrchestratorError",
            "OutputTypeError",
            "ResumeRefusedError",
            "RunningLoopError",
        ),
        "braid.orchestrator.events": (
            "AnswerDoubted",
            "JournalFailed",
            "PersonSaid",
            "Rewritten",
            "RoundFinished",
            "RoundStarted",
            "RunAnswered",
            "RunFailed",
            "RunFinished",
            "RunResumed",
            "RunStarted",
        ),
        "braid.orchestrator.options": ("ModelSettings",),
        "braid.orchestrator.result": ("RunResult",),
        "braid.orchestrator.settings": (
            "Settings",
            "load_settings",
        ),
        "braid.orchestrator.stream": ("RunStream",),
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
