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
from braid.reasoning.methods.best_of_n import best_of_n
from braid.reasoning.methods.self_consistency import direct, self_consistency
from braid.reasoning.methods.spawn_join import (
    Span,
    ThreadCall,
    ThreadedSolution,
    ThreadFormat,
    ThreadResult,
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
