"""The plan language: text to statements, and statements back to text."""

from braid.planner.language.expressions import Argument, Call, Place, rename
from braid.planner.language.parser import PlanParser, Statement, parse_plan
from braid.planner.language.statements import SPECIAL_FORMS, MapForm
from braid.planner.language.unparse import render_expr, render_plan

__all__ = [
    "SPECIAL_FORMS",
    "Argument",
    "Call",
    "MapForm",
    "Place",
    "PlanParser",
    "Statement",
    "parse_plan",
    "rename",
    "render_expr",
    "render_plan",
]
