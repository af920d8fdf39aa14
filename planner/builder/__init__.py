"""Plans built in Python."""

from braid.planner.builder.plan import Plan
from braid.planner.builder.results import Condition, Result

__all__ = ["Condition", "Plan", "Result"]
