"""planner: language into graph. The plan language, its checker, and the planner that is a language model."""

from braid.planner.asked import Asked, Doubt, asked, asks_for, doubt_of
from braid.planner.checker import PlanChecker, compile_plan
from braid.planner.errors import PlanCheckError, PlanError, PlanningError, PlanSyntaxError
from braid.planner.events import (
    DirectText,
    PlanEvent,
    PlannerFinished,
    PlannerRejected,
    PlannerRepaired,
    PlannerStatement,
    PlannerText,
    Routed,
    RouteKind,
)
from braid.planner.language import PlanParser, Statement, parse_plan, render_expr, render_plan
from braid.planner.llm_planner import LLMPlanner
from braid.planner.prompts import run_root
from braid.planner.stream import PlanStream
from braid.planner.task import PartialPlan, PlanTask

__all__ = [
    "Asked",
    "DirectText",
    "Doubt",
    "LLMPlanner",
    "PartialPlan",
    "PlanCheckError",
    "PlanChecker",
    "PlanError",
    "PlanEvent",
    "PlanParser",
    "PlanStream",
    "PlanSyntaxError",
    "PlanTask",
    "PlannerFinished",
    "PlannerRejected",
    "PlannerRepaired",
    "PlannerStatement",
    "PlannerText",
    "PlanningError",
    "RouteKind",
    "Routed",
    "Statement",
    "asked",
    "asks_for",
    "compile_plan",
    "doubt_of",
    "parse_plan",
    "render_expr",
    "render_plan",
    "run_root",
]
