"""Tools: typed functions with an effect class, and what follows from it (retries, hedging, memo)."""

from braid.executors.tools.effects import CallLog, Done, Effect, MemoryCalls, NotDone, Recorded, Unfinished
from braid.executors.tools.errors import (
    ToolArgumentError,
    ToolDefinitionError,
    ToolError,
    ToolTimeoutError,
    ToolUnavailableError,
    UncertainError,
    UnknownToolError,
    failure_kind,
)
from braid.executors.tools.memo import Cached, CallMemo, MemoryResults, ResultCache, result_key
from braid.executors.tools.options import RESERVED, ToolOptions
from braid.executors.tools.registry import ToolRegistry, load_installed
from braid.executors.tools.schema_check import schema_problem
from braid.executors.tools.spec import ToolContext, ToolSpec, UsageResult
from braid.executors.tools.tool import Tool, tool

__all__ = [
    "RESERVED",
    "Cached",
    "CallLog",
    "CallMemo",
    "Done",
    "Effect",
    "MemoryCalls",
    "MemoryResults",
    "NotDone",
    "Recorded",
    "ResultCache",
    "Tool",
    "ToolArgumentError",
    "ToolContext",
    "ToolDefinitionError",
    "ToolError",
    "ToolOptions",
    "ToolRegistry",
    "ToolSpec",
    "ToolTimeoutError",
    "ToolUnavailableError",
    "UncertainError",
    "Unfinished",
    "UnknownToolError",
    "UsageResult",
    "failure_kind",
    "load_installed",
    "result_key",
    "schema_problem",
    "tool",
]
