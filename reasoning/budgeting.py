"""Less when the budget is tight: fewer samples first, then the cheapest method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from braid.engine import Budget

CHEAPEST: Final = "direct"
DEFAULT_MAX_TOKENS: Final = 512

_KEPT: Final = frozenset({"max_tokens", "stop"})
"""Options that mean the same for every method, and so outlive a change of method."""


def fit_to_budget(
    name: str, options: Mapping[str, Any], budget: Budget
) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """The method and options that `budget` allows, and what was left out, in words (for `Solution.degraded`).

    Nothing changes before a soft limit is reached. Then the number of samples `n` shrinks with what is left between the soft
    and the hard limit, and with the tokens that are left; with one sample left, or half of the way to the hard limit for
    methods that have no `n`, it is the cheapest method.
    """
    if not budget.tight or name == CHEAPEST:
        return name, dict(options), ()
    wanted, slack = options.get("n"), budget.slack
    used = f"{min(1.0, budget.pressure):.0%} of the budget is used"
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        affordable = round(wanted * slack)
        rest = budget.remaining("tokens")
        if rest is not None:
            most = options.get("max_tokens")
            affordable = min(
                affordable, rest // (most if isinstance(most, int) and most > 0 else DEFAULT_MAX_TOKENS)
            )
        if affordable >= wanted:
            return name, dict(options), ()
        if affordable > 1:
            return name, {**options, "n": affordable}, (f"n={affordable} instead of {wanted}: {used}",)
    elif slack >= 0.5:
        return name, dict(options), ()
    kept = {key: value for key, value in options.items() if key in _KEPT}
    return CHEAPEST, kept, (f"{CHEAPEST} instead of {name}: {used}",)
