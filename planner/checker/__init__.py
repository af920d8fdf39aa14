"""The checker of plans: names, types, and what may follow what."""

from braid.planner.checker.checker import THINK_RESULT, PlanChecker, compile_plan
from braid.planner.checker.types import JsonType

__all__ = ["THINK_RESULT", "JsonType", "PlanChecker", "compile_plan"]
