"""Dialects: what chat models write instead of a plan, as text of the plan language.

Models that know function calling write calls: as JSON, as `<tool_call>` (Hermes, Qwen), `[TOOL_CALLS]`
(Mistral), a list in Python's words (Llama), or by the means of their server. Each call becomes a statement
`call1 = tool(...)`. Reasoning models write drafts in their thoughts, which are no plan.
"""

from braid.planner.dialects.calls import CallReader
from braid.planner.dialects.forms import Called, called_statement, calls_in
from braid.planner.dialects.thoughts import OPENINGS, ThoughtReader, opened_thoughts, without_thoughts

__all__ = [
    "OPENINGS",
    "CallReader",
    "Called",
    "ThoughtReader",
    "called_statement",
    "calls_in",
    "opened_thoughts",
    "without_thoughts",
]
