"""Methods that fit a tight budget: fewer samples first, then the cheapest method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from braid.engine import Budget

CHEAPEST: Final = "direct"
"""The method that is left when the budget allows no other."""
DEFAULT_MAX_TOKENS: Final = 512
"""Tokens that a sample is taken to need if its `max_tokens` is not given."""

_KEPT: Final = frozenset({"max_tokens", "stop"})
"""Options that mean the same for every method. They are kept when the method changes."""


def fit_to_budget(
    name: str, options: Mapping[str, Any], budget: Budget
) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """The method and the options that `budget` allows.

    Nothing changes before a soft limit is reached. Then the number of samples `n` shrinks with what is left
    between the soft and the hard limit, and with the tokens that are left. The cheapest method is taken if
    only one sample is left. A method without `n` gives way to it halfway between the soft and the hard limit.

    Args:
        name: The method that was asked for.
        options: Its options.
        budget: What may be spent.

    Returns:
        The method's name, its options, and what was left out, in words (for `Solution.degraded`).
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
