"""Budget and priority of every call inside a block. Both are context variables, which tasks inherit."""

from braid.engine.scope.budget import (
    Budget,
    NoPriceError,
    Price,
    Reservation,
    Spending,
    ambient_budget,
    budget,
    use_budget,
)
from braid.engine.scope.priority import ambient_priority, use_priority

__all__ = [
    "Budget",
    "NoPriceError",
    "Price",
    "Reservation",
    "Spending",
    "ambient_budget",
    "ambient_priority",
    "budget",
    "use_budget",
    "use_priority",
]
