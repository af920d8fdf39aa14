"""executors: a task graph, and results out of it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from executors.caching import CallMemo
from executors.effects import (
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
from executors.entries import exclusive, names_read, op_kind, tool_of
from executors.events import (
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
from executors.expressions import SKIPPED, evaluate
from executors.graph import GraphError, GraphPatch, StalePatchError, TaskGraph
from executors.nodes import (
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
from executors.operations import (
    ApprovalError,
    Approve,
    AskPerson,
    NobodyToAskError,
    NodeTimeoutError,
    NothingToThinkWithError,
    ToolCallRequest,
)
from executors.outcome import Limits, RunOutcome
from executors.registry import ToolRegistry, builtin_tools, load_installed
from executors.replanning import Inbox, Replan, Replanner, SurprisingResultError, Trigger
from executors.report import RunReport, report_of, report_on
from executors.resume import Past, ResumeError
from executors.scheduler import close_graph, run_graph
from executors.tool_errors import ToolUnavailableError, UncertainError
from executors.tools import (
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
from executors.values import (
    ExpressionError,
    ItemError,
    ReferenceError_,
    plain_data,
    preview,
    resolve_path,
    short_form,
)

if TYPE_CHECKING:
    from executors.journal import RunLog, recorded_events, resume_run, start_run
    from executors.journal_results import StoredResults
    from executors.journal_secrets import secret_arguments
    from executors.journal_store import (
        Journal,
        JournalError,
        JournalVersionError,
        Pruned,
        RunBusyError,
        RunRow,
        UnknownRunError,
    )
from executors.spans import Span, spans_of, spans_of_events
from executors.view import run_page

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
    value = getattr(import_module(f"executors.{_LATER[name]}"), name)
    globals()[name] = value
    return value
