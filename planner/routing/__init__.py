"""planner/routing: the way before the plan. It decides in code which questions need none, and answers them."""

from braid.planner.routing.route import Route, RouteKind, Surroundings, route
from braid.planner.routing.talk import Installation

__all__ = ["Installation", "Route", "RouteKind", "Surroundings", "route"]
