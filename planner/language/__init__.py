"""The plan language: text to statements, and nodes back to text."""

from braid.planner.language.arithmetic import CALCULATE, as_text, function_text
from braid.planner.language.expressions import (
    FINAL_FORMS,
    Argument,
    Call,
    Lifted,
    anonymous_name,
    is_anonymous,
    rename,
)
from braid.planner.language.lexer import MAX_STATEMENT_CHARS, starts_plan
from braid.planner.language.parser import PlanParser, Statement, parse_plan
from braid.planner.language.signature import compact_signature, escape_markers, single_line
from braid.planner.language.statements import MAX_NESTING, SPECIAL_FORMS, MapForm
from braid.planner.language.unparse import render_expr, render_guards, render_plan

__all__ = [
    "CALCULATE",
    "FINAL_FORMS",
    "MAX_NESTING",
    "MAX_STATEMENT_CHARS",
    "SPECIAL_FORMS",
    "Argument",
    "Call",
    "Lifted",
    "MapForm",
    "PlanParser",
    "Statement",
    "anonymous_name",
    "as_text",
    "compact_signature",
    "escape_markers",
    "function_text",
    "is_anonymous",
    "parse_plan",
    "rename",
    "render_expr",
    "render_guards",
    "render_plan",
    "single_line",
    "starts_plan",
]
