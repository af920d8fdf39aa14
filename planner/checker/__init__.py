"""The checker of plans: names, types, and what may follow what."""

from braid.planner.checker.checker import PlanChecker, compile_plan

__all__ = ["PlanChecker", "compile_plan"]
