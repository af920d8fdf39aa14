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
from braid.executors.graph.graph import TaskGraph
from braid.executors.graph.patch import GraphPatch
from braid.executors.scheduler.outcome import Limits, RunOutcome
from braid.executors.scheduler.run import run_graph
from braid.executors.tools.registry import ToolRegistry
from braid.executors.tools.spec import ToolContext
from braid.executors.tools.tool import Tool, tool

__all__ = [
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
    "RunOutcome",
    "TaskGraph",
    "Tool",
    "ToolAbandoned",
    "ToolContext",
    "ToolHedged",
    "ToolRegistry",
    "ToolReused",
    "run_graph",
    "tool",
]
