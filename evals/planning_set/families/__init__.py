"""The families of questions, and their shares of the planning set."""

from evals.planning_set.families import comparisons, hypothetical, lookups, sums
from evals.planning_set.families.common import Draft, Family

FAMILIES: dict[str, tuple[Family, float]] = {
    "changed-best": (hypothetical.changed_best, 32),
    "changed-one": (hypothetical.changed_one, 4),
    "changed-pair": (hypothetical.changed_pair, 5),
    "superlative": (comparisons.superlative, 9),
    "placed": (comparisons.placed, 4),
    "single": (lookups.single, 4),
    "single-name": (lookups.single_name, 3),
    "several": (lookups.several, 2),
    "difference": (sums.difference, 6),
    "gap": (sums.gap, 2),
    "ratio": (sums.ratio, 4),
    "total": (sums.total, 6),
    "compare": (comparisons.compare, 4),
    "limit": (comparisons.limit, 3),
    "sum-compare": (comparisons.sum_compare, 3),
    "gap-and-limit": (comparisons.gap_and_limit, 5),
    "which-and-gap": (comparisons.which_and_gap, 4),
    "hop": (lookups.hop, 3),
    "hop-compare": (lookups.hop_compare, 3),
    "conditional": (lookups.conditional, 4),
    "density": (sums.density, 1),
    "journey": (sums.journey, 1),
    "portion": (sums.portion, 2),
    "arithmetic": (sums.arithmetic, 1),
}
"""Each family and its share of the questions."""


__all__ = ["FAMILIES", "Draft", "Family"]
