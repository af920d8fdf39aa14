"""What a tight budget leaves of a method."""

from __future__ import annotations

from typing import Any

import pytest

from braid.engine import Budget
from braid.reasoning import fit_to_budget


def at(share: float, *, tokens: int = 10_000, soft: float | None = 0.8) -> Budget:
    budget = Budget(tokens=tokens, soft=soft)
    budget.book(tokens=int(share * tokens))
    return budget


@pytest.mark.parametrize(
    ("share", "name", "options", "method", "left"),
    [
        (0.5, "self_consistency", {"n": 8}, "self_consistency", {"n": 8}),
        (
            0.8,
            "self_consistency",
            {"n": 8, "max_tokens": 100},
            "self_consistency",
            {"n": 8, "max_tokens": 100},
        ),
        (
            0.9,
            "self_consistency",
            {"n": 8, "max_tokens": 100},
            "self_consistency",
            {"n": 4, "max_tokens": 100},
        ),
        (
            0.9,
            "self_consistency",
            {"n": 8, "max_tokens": 300},
            "self_consistency",
            {"n": 3, "max_tokens": 300},
        ),
        (
            0.99,
            "self_consistency",
            {"n": 8, "max_tokens": 100, "temperature": 1.0},
            "direct",
            {"max_tokens": 100},
        ),
        (0.85, "tree", {"depth": 3}, "tree", {"depth": 3}),
        (0.95, "tree", {"depth": 3}, "direct", {}),
        (1.2, "self_consistency", {"n": 2}, "direct", {}),
        (0.99, "direct", {"temperature": 0.5}, "direct", {"temperature": 0.5}),
    ],
)
def test_fewer_samples_then_the_cheapest_method(
    share: float, name: str, options: dict[str, Any], method: str, left: dict[str, Any]
) -> None:
    chosen, kept, said = fit_to_budget(name, options, at(share))
    assert (chosen, kept) == (method, left)
    assert bool(said) == ((method, left) != (name, options))


def test_without_a_soft_limit_nothing_changes() -> None:
    assert fit_to_budget("self_consistency", {"n": 8}, at(0.99, soft=None)) == (
        "self_consistency",
        {"n": 8},
        (),
    )


def test_what_was_left_out_is_said() -> None:
    _, _, said = fit_to_budget("self_consistency", {"n": 8, "max_tokens": 10}, at(0.9))
    assert said == ("n=4 instead of 8: 90% of the budget is used",)
