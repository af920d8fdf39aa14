"""The learning rate of a run."""

from __future__ import annotations

from braid.training.trainer import rate_factor


def test_the_rate_ends_at_zero() -> None:
    assert rate_factor(0.5, warmup=0.01, decay=0.5) == 1.0
    assert rate_factor(0.75, warmup=0.01, decay=0.5) == 0.5
    assert rate_factor(1.0, warmup=0.01, decay=0.5) == 0.0
    assert 0.0 < rate_factor(0.0, warmup=0.01, decay=0.5) < 0.1
