"""reasoning: one question, one answer, by test-time scaling. Imports only `engine`."""

from braid.reasoning.answers import canonical, extract_answer, last_boxed
from braid.reasoning.budgeting import within_means
from braid.reasoning.method import (
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
from braid.reasoning.methods import (
    Span,
    ThreadCall,
    ThreadedSolution,
    ThreadFormat,
    ThreadResult,
    best_of_n,
    direct,
    self_consistency,
    spawn_join,
)
from braid.reasoning.voting import Group, group_answers

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
