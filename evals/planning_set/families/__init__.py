"""The families of questions, and their shares of the planning set."""

from evals.planning_set.families import (
    chosen,
    combined,
    comparisons,
    contrasts,
    hypothetical,
    lookups,
    measures,
    mergers,
    sums,
)
from evals.planning_set.families.common import Draft, Family

FAMILIES: dict[str, tuple[Family, float]] = {
    "changed-best": (hypothetical.changed_best, 24),
    "changed-one": (hypothetical.changed_one, 3),
    "changed-pair": (contrasts.changed_pair, 8),
    "changed-against": (contrasts.changed_against, 5),
    "changed-twice": (hypothetical.changed_twice, 1),
    "superlative": (comparisons.superlative, 7),
    "placed": (comparisons.placed, 3),
    "single": (lookups.single, 4),
    "single-name": (lookups.single_name, 2),
    "several": (lookups.several, 2),
    "difference": (sums.difference, 4),
    "gap": (sums.gap, 2),
    "ratio": (sums.ratio, 3),
    "total": (sums.total, 3),
    "compare": (comparisons.compare, 3),
    "limit": (comparisons.limit, 3),
    "sum-compare": (comparisons.sum_compare, 2),
    "gap-and-limit": (comparisons.gap_and_limit, 2),
    "which-and-gap": (comparisons.which_and_gap, 3),
    "hop": (lookups.hop, 3),
    "hop-compare": (lookups.hop_compare, 2),
    "conditional": (lookups.conditional, 2),
    "density": (sums.density, 1),
    "journey": (sums.journey, 1),
    "portion": (sums.portion, 1),
    "arithmetic": (sums.arithmetic, 1),
    "value": (combined.value, 6),
    "lesser-value": (combined.lesser_value, 3),
    "greater-one": (combined.greater_one, 1),
    "compare-two": (combined.compare_two, 4),
    "gap-two": (combined.gap_two, 4),
    "share-two": (measures.share_two, 4),
    "limit-one": (measures.limit_one, 3),
    "best-derived": (mergers.best_derived, 2),
    "merger": (mergers.merger, 2),
    "stacked": (measures.stacked, 2),
    "in-units": (measures.in_units, 3),
    "within": (chosen.within, 1),
    "all-or-any": (chosen.all_or_any, 2),
    "best-then": (chosen.best_then, 3),
    "many": (chosen.many, 1),
    "in-a-sentence": (chosen.in_a_sentence, 2),
    "declined": (chosen.declined, 2),
}
"""Each family and its share of the questions."""


__all__ = ["FAMILIES", "Draft", "Family"]
