"""executors: a task graph, and results out of it."""

from braid.executors.events import (
    ApprovalRefused,
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
from braid.executors.scheduler import Limits, RunContext, RunOutcome, run_graph
from braid.executors.tools import Tool, ToolContext, ToolOptions, ToolRegistry, tool

__all__ = [
    "ApprovalRefused",
    "BudgetExceeded",
    "GraphPatch",
    "Limits",
    "NodeAdded",
    "NodeBlocked",
    "NodeCancelled",
    "NodeFailed",
    "NodeFinished",
    "NodeRetried",
    "NodeSkipped",
    "NodeStarted",
    "NodeUncertain",
    "NodeWaits",
    "PlanPatched",
    "RunContext",
    "RunOutcome",
    "TaskGraph",
    "Tool",
    "ToolAbandoned",
    "ToolContext",
    "ToolHedged",
    "ToolOptions",
    "ToolRegistry",
    "ToolReused",
    "run_graph",
    "tool",
]
