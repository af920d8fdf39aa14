"""The plan language: text to statements, and nodes back to text."""

from braid.planner.language.expressions import Argument, Call, anonymous_name, is_anonymous, rename
from braid.planner.language.parser import PlanParser, Statement, parse_plan
from braid.planner.language.signature import compact_signature, escape_markers, single_line
from braid.planner.language.statements import MAX_NESTING, SPECIAL_FORMS, MapForm
from braid.planner.language.unparse import render_expr, render_guards, render_plan

__all__ = [
    "MAX_NESTING",
    "SPECIAL_FORMS",
    "Argument",
    "Call",
    "MapForm",
    "PlanParser",
    "Statement",
    "anonymous_name",
    "compact_signature",
    "escape_markers",
    "is_anonymous",
    "parse_plan",
    "rename",
    "render_expr",
    "render_guards",
    "render_plan",
    "single_line",
]
