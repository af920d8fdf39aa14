"""Families of questions beyond those of the planning set: other structures, for models that know the words."""

from braid.training.questions.beyond import (
    aggregates,
    direction,
    filters,
    further,
    merging,
    pairs,
    refusals,
    relations,
    rounding,
    sums,
    years,
)
from braid.training.questions.beyond.refusals import REFUSED_WORDS
from braid.training.questions.families import Family

FAMILIES_BEYOND: dict[str, tuple[Family, float]] = {
    "changed-aggregate": (aggregates.changed_aggregate, 12),
    "plain-aggregate": (aggregates.plain_aggregate, 5),
    "phrase-aggregate": (aggregates.phrase_aggregate, 4),
    "one-changed": (aggregates.one_changed, 3),
    "pair-extreme": (pairs.pair_extreme, 6),
    "apart": (pairs.apart, 2),
    "direction": (direction.direction, 14),
    "merged": (merging.merged, 4),
    "crowded": (merging.crowded, 3),
    "in-other-unit": (rounding.in_other_unit, 4),
    "scaled-down": (rounding.scaled_down, 3),
    "nearest": (rounding.nearest, 3),
    "relation": (relations.relation, 7),
    "same-relation": (relations.same_relation, 1),
    "relation-numbers": (relations.relation_numbers, 3),
    "years-between": (years.years_between, 3),
    "ages": (years.ages, 3),
    "older-and-by": (years.older_and_by, 1),
    "lives": (years.lives, 2),
    "count-over": (filters.count_over, 2),
    "which-over": (filters.which_over, 1),
    "both-neither": (filters.both_neither, 2),
    "sum-limit": (filters.sum_limit, 2),
    "in-order": (filters.in_order, 4),
    "nearest-to": (filters.nearest_to, 1),
    "word-problem": (sums.word_problem, 8),
    "bare-sum": (sums.bare_sum, 2),
    "and-then": (further.and_then, 3),
    "against-another": (further.against_another, 3),
    "refused": (refusals.refused, 5),
    "small-talk": (refusals.small_talk, 1),
}
"""Each family and its share of the questions."""

MIRRORED = {"direction": FAMILIES_BEYOND["direction"]}
"""Families that ask the same two things in several ways."""


__all__ = ["FAMILIES_BEYOND", "MIRRORED", "REFUSED_WORDS"]
