"""planner/routing: the way before the plan. It decides in code which questions need none, and answers them."""

from braid.planner.routing.decision import Route, Surroundings, route
from braid.planner.routing.talk import Installation
from braid.planner.routing.wording import one_slip, plain

__all__ = ["Installation", "Route", "Surroundings", "one_slip", "plain", "route"]
