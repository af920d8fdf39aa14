"""reasoning: one question, one answer, by test-time scaling. Imports only `engine`."""

from reasoning.answers import canonical, extract_answer, last_boxed
from reasoning.core import (
    Candidate,
    Method,
    Run,
    Solution,
    UnknownMethodError,
    Verifier,
    derived_seed,
    get_method,
    method,
    method_names,
)
from reasoning.sampling import direct, self_consistency
from reasoning.voting import Group, group_answers

__all__ = [
    "Candidate",
    "Group",
    "Method",
    "Run",
    "Solution",
    "UnknownMethodError",
    "Verifier",
    "canonical",
    "derived_seed",
    "direct",
    "extract_answer",
    "get_method",
    "group_answers",
    "last_boxed",
    "method",
    "method_names",
    "self_consistency",
]
