"""executors: a task graph, and results out of it."""

from braid.executors.events import (
    BudgetExceeded,
    NodeAdded,
    NodeBlocked,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRetried,
    NodeSkipped,
    NodeStarted,
    NodeUncertain,
    NodeWaits,
    PlanPatched,
    ToolAbandoned,
    ToolHedged,
    ToolReused,
)
from braid.executors.graph import GraphPatch, TaskGraph
from braid.executors.operations import (
    ApprovalError,
    Approve,
    AskPerson,
    NobodyToAskError,
    NodeTimeoutError,
    NothingToThinkWithError,
    ToolCallRequest,
)
from braid.executors.outcome import Limits, RunOutcome
from braid.executors.replanning import Inbox, Replan, Replanner, SurprisingResultError, Trigger
from braid.executors.resume import Past, ResumeError
from braid.executors.scheduler import close_graph, run_graph
from braid.executors.tools import Tool, ToolContext, ToolRegistry, tool

__all__ = [
    "ApprovalError",
    "Approve",
    "AskPerson",
    "BudgetExceeded",
    "GraphPatch",
    "Inbox",
    "Limits",
    "NobodyToAskError",
    "NodeAdded",
    "NodeBlocked",
    "NodeCancelled",
    "NodeFailed",
    "NodeFinished",
    "NodeRetried",
    "NodeSkipped",
    "NodeStarted",
    "NodeTimeoutError",
    "NodeUncertain",
    "NodeWaits",
    "NothingToThinkWithError",
    "Past",
    "PlanPatched",
    "Replan",
    "Replanner",
    "ResumeError",
    "RunOutcome",
    "SurprisingResultError",
    "TaskGraph",
    "Tool",
    "ToolAbandoned",
    "ToolCallRequest",
    "ToolContext",
    "ToolHedged",
    "ToolRegistry",
    "ToolReused",
    "Trigger",
    "close_graph",
    "run_graph",
    "tool",
]
