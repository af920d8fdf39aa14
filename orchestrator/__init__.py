"""orchestrator: the face of Braid. An Agent plans a question as a graph, runs it and answers.

    from braid.orchestrator import Agent, tool

Names are loaded when they are first used, so that the command line starts without importing what it does not need.
"""

from braid.engine.events import Envelope, Event
from braid.engine.scope.budget import Budget, Price, budget
from braid.executors.scheduler.outcome import Limits
from braid.executors.tools.effects import Done, NotDone
from braid.executors.tools.spec import ToolContext
from braid.executors.tools.tool import tool
from braid.orchestrator.agent import Agent
from braid.orchestrator.baseline import Comparison, ReplayError, compare_with_sequential
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
