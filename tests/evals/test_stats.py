"""Means, standard errors and percentiles."""

from __future__ import annotations

import pytest

from braid.evals import (
    mean_and_stderr,
    percentile,
)


def test_statistics() -> None:
    assert mean_and_stderr([[1.0], [0.0], [1.0], [0.0]]) == (0.5, pytest.approx((1 / 3 / 4) ** 0.5))
    assert mean_and_stderr([[1.0, 0.0], [1.0, 0.0]]) == (0.5, 0.0)
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([0.0, 10.0], 0.95) == pytest.approx(9.5)
