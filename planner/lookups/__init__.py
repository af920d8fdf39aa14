"""Plans of look-ups that code can write, where the atlas explains every word of a question."""

from braid.planner.lookups.languages import unread
from braid.planner.lookups.plans import lookup_plan

__all__ = ["lookup_plan", "unread"]
