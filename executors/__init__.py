"""executors: a task graph, and results out of it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from braid.executors.caching import CallMemo
from braid.executors.effects import (
    Cached,
    CallLog,
    Done,
    MemoryCalls,
    MemoryResults,
    NotDone,
    Recorded,
    ResultCache,
    RunJournal,
)
from braid.executors.entries import exclusive, names_read, op_kind, tool_of
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
from braid.executors.expressions import SKIPPED, evaluate
from braid.executors.graph import GraphError, GraphPatch, StalePatchError, TaskGraph
from braid.executors.nodes import (
    All,
    Answer,
    Any_,
    Ask,
    Compare,
    CompareOp,
    Const,
    DictOf,
    Expr,
    Field,
    Guard,
    ListOf,
    Map,
    Node,
    NodeState,
    Not,
    Op,
    Ref,
    Scalar,
    Template,
    Think,
    ToolCall,
    refs,
)
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
from braid.executors.registry import ToolRegistry, builtin_tools, load_installed
from braid.executors.replanning import Inbox, Replan, Replanner, SurprisingResultError, Trigger
from braid.executors.report import RunReport, report_of, report_on
from braid.executors.resume import Past, ResumeError
from braid.executors.scheduler import close_graph, run_graph
from braid.executors.tool_errors import ToolUnavailableError, UncertainError
from braid.executors.tools import (
    Effect,
    Metered,
    Tool,
    ToolArgumentError,
    ToolContext,
    ToolDefinitionError,
    ToolError,
    ToolSpec,
    ToolTimeoutError,
    UnknownToolError,
    tool,
)
from braid.executors.values import (
    ExpressionError,
    ItemError,
    ReferenceError_,
    plain_data,
    preview,
    resolve_path,
    short_form,
)

if TYPE_CHECKING:
    from braid.executors.journal import RunLog, recorded_events, resume_run, start_run
    from braid.executors.journal_results import StoredResults
    from braid.executors.journal_secrets import secret_arguments
    from braid.executors.journal_store import (
        Journal,
        JournalError,
        JournalVersionError,
        Pruned,
        RunBusyError,
        RunRow,
        UnknownRunError,
    )
from braid.executors.spans import Span, spans_of, spans_of_events
from braid.executors.view import run_page

__all__ = [
    "SKIPPED",
    "All",
    "Answer",
    "Any_",
    "ApprovalError",
    "Approve",
    "Ask",
    "AskPerson",
    "BudgetExceeded",
    "Cached",
    "CallLog",
    "CallMemo",
    "Compare",
    "CompareOp",
    "Const",
    "DictOf",
    "Done",
    "Effect",
    "Expr",
    "ExpressionError",
    "Field",
    "GraphError",
    "GraphPatch",
    "Guard",
    "Inbox",
    "ItemError",
    "Journal",
    "JournalError",
    "JournalVersionError",
    "Limits",
    "ListOf",
    "Map",
    "MemoryCalls",
    "MemoryResults",
    "Metered",
    "NobodyToAskError",
    "Node",
    "NodeAdded",
    "NodeBlocked",
    "NodeCancelled",
    "NodeFailed",
    "NodeFinished",
    "NodeRetried",
    "NodeSkipped",
    "NodeStarted",
    "NodeState",
    "NodeTimeoutError",
    "NodeUncertain",
    "NodeWaits",
    "Not",
    "NotDone",
    "NothingToThinkWithError",
    "Op",
    "Past",
    "PlanPatched",
    "Pruned",
    "Recorded",
    "Ref",
    "ReferenceError_",
    "Replan",
    "Replanner",
    "ResultCache",
    "ResumeError",
    "RunBusyError",
    "RunJournal",
    "RunLog",
    "RunOutcome",
    "RunReport",
    "RunRow",
    "Scalar",
    "Span",
    "StalePatchError",
    "StoredResults",
    "SurprisingResultError",
    "TaskGraph",
    "Template",
    "Think",
    "Tool",
    "ToolAbandoned",
    "ToolArgumentError",
    "ToolCall",
    "ToolCallRequest",
    "ToolContext",
    "ToolDefinitionError",
    "ToolError",
    "ToolHedged",
    "ToolRegistry",
    "ToolReused",
    "ToolSpec",
    "ToolTimeoutError",
    "ToolUnavailableError",
    "Trigger",
    "UncertainError",
    "UnknownRunError",
    "UnknownToolError",
    "builtin_tools",
    "close_graph",
    "evaluate",
    "exclusive",
    "load_installed",
    "names_read",
    "op_kind",
    "plain_data",
    "preview",
    "recorded_events",
    "refs",
    "report_of",
    "report_on",
    "resolve_path",
    "resume_run",
    "run_graph",
    "run_page",
    "secret_arguments",
    "short_form",
    "spans_of",
    "spans_of_events",
    "start_run",
    "tool",
    "tool_of",
]

# The journal needs SQLite, which a run without one need not load.
_LATER = {
    "RunLog": "journal",
    "recorded_events": "journal",
    "resume_run": "journal",
    "start_run": "journal",
    "StoredResults": "journal_results",
    "secret_arguments": "journal_secrets",
    "Journal": "journal_store",
    "JournalError": "journal_store",
    "JournalVersionError": "journal_store",
    "Pruned": "journal_store",
    "RunBusyError": "journal_store",
    "RunRow": "journal_store",
    "UnknownRunError": "journal_store",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"braid.executors.{_LATER[name]}"), name)
    globals()[name] = value
    return value
