"""reasoning: one question, one answer, by test-time scaling. Imports only `engine`."""

from reasoning.answers import canonical, extract_answer, last_boxed
from reasoning.best_of_n import best_of_n
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
from reasoning.means import within_means
from reasoning.sampling import direct, self_consistency
from reasoning.spawn_join import Span, ThreadCall, ThreadedSolution, ThreadFormat, ThreadResult, spawn_join
from reasoning.voting import Group, group_answers

__all__ = [
    "Candidate",
    "Group",
    "Method",
    "Run",
    "Solution",
    "Span",
    "ThreadCall",
    "ThreadFormat",
    "ThreadResult",
    "ThreadedSolution",
    "UnknownMethodError",
    "Verifier",
    "best_of_n",
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
    "spawn_join",
    "within_means",
]
