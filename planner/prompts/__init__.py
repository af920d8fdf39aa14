"""Prompts of the planner: chat and compact style, the grammar of plans, and the history of earlier rounds."""

from braid.planner.prompts.chat import FENCE, STOP_TURNS, plan_request, repair_request, run_root
from braid.planner.prompts.compact import (
    MAX_TOOLS,
    OWN,
    PLAN,
    QUESTION,
    STOP,
    TOOLS,
    TURNS,
    Markers,
    compact_prompt,
    read_refusal,
)
from braid.planner.prompts.grammar import plan_grammar
from braid.planner.prompts.history import earlier_statements, finished_statements, written_plan
from braid.planner.prompts.whole_language import language_grammar

__all__ = [
    "FENCE",
    "MAX_TOOLS",
    "OWN",
    "PLAN",
    "QUESTION",
    "STOP",
    "STOP_TURNS",
    "TOOLS",
    "TURNS",
    "Markers",
    "compact_prompt",
    "earlier_statements",
    "finished_statements",
    "language_grammar",
    "plan_grammar",
    "plan_request",
    "read_refusal",
    "repair_request",
    "run_root",
    "written_plan",
]
