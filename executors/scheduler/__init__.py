"""The dataflow scheduler: it runs a task graph. A node starts the moment its inputs exist."""

from braid.executors.scheduler.context import (
    ApprovalError,
    Approve,
    AskPerson,
    NobodyToAskError,
    NodeTimeoutError,
    NothingToThinkWithError,
    RunContext,
    RunJournal,
    ToolCallRequest,
    shown_call,
)
from braid.executors.scheduler.emitter import Deferred, deferred_json, event_json
from braid.executors.scheduler.outcome import Limits, RunOutcome
from braid.executors.scheduler.replay import (
    Begun,
    Patched,
    Planned,
    Record,
    RecordedRun,
    ResumeError,
    Settled,
)
from braid.executors.scheduler.revisions import (
    Replan,
    Replanner,
    RevisionRequest,
    SteeringQueue,
    SurprisingResultError,
)
from braid.executors.scheduler.run import close_graph, run_graph
from braid.executors.scheduler.tool_calls import calling_node

__all__ = [
    "ApprovalError",
    "Approve",
    "AskPerson",
    "Begun",
    "Deferred",
    "Limits",
    "NobodyToAskError",
    "NodeTimeoutError",
    "NothingToThinkWithError",
    "Patched",
    "Planned",
    "Record",
    "RecordedRun",
    "Replan",
    "Replanner",
    "ResumeError",
    "RevisionRequest",
    "RunContext",
    "RunJournal",
    "RunOutcome",
    "Settled",
    "SteeringQueue",
    "SurprisingResultError",
    "ToolCallRequest",
    "calling_node",
    "close_graph",
    "deferred_json",
    "event_json",
    "run_graph",
    "shown_call",
]
