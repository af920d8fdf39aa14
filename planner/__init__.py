"""planner: language into graph. The plan language, its checker, and the planner that is a language model."""

from braid.planner.asked import Asked, Doubt, asked, asks_for, doubt_of
from braid.planner.builder import Plan
from braid.planner.checker import compile_plan
from braid.planner.errors import (
    InvalidPlanError,
    PlanCheckError,
    PlanError,
    PlanningError,
    PlanSyntaxError,
    PlanValueError,
)
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
from braid.planner.given import check_plan, given_plan, thinks
from braid.planner.llm_planner import LLMPlanner
from braid.planner.prompts import run_root
from braid.planner.stream import PlanStream
from braid.planner.task import PartialPlan, PlanTask

__all__ = [
    "Asked",
    "DirectText",
    "Doubt",
    "InvalidPlanError",
    "LLMPlanner",
    "PartialPlan",
    "Plan",
    "PlanCheckError",
    "PlanError",
    "PlanEvent",
    "PlanStream",
    "PlanSyntaxError",
    "PlanTask",
    "PlanValueError",
    "PlannerFinished",
    "PlannerRejected",
    "PlannerRepaired",
    "PlannerStatement",
    "PlannerText",
    "PlanningError",
    "RouteKind",
    "Routed",
    "asked",
    "asks_for",
    "check_plan",
    "compile_plan",
    "doubt_of",
    "given_plan",
    "run_root",
    "thinks",
]
