"""Means, standard errors and percentiles of evaluation results."""

from __future__ import annotations

import math
from collections.abc import Sequence


def mean_and_stderr(clusters: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Mean over samples and its standard error.

    Epochs of a sample are not independent. So a sample counts once, with its mean.

    Args:
        clusters: The values of each sample, one for each epoch.

    Returns:
        Mean and standard error. The standard error of a single sample is nan. Both are nan without samples.
    """
    values = [sum(c) / len(c) for c in clusters if c]
    if not values:
        return math.nan, math.nan
    mean = sum(values) / len(values)
    if len(values) == 1:
        return mean, math.nan
    variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of `values` lie, interpolated. It is nan without values."""
    if not values:
        return math.nan
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
