"""reasoning: one question, one answer, by test-time scaling. Imports only `engine`."""

from braid.reasoning.answers import canonical, extract_answer, last_boxed
from braid.reasoning.best_of_n import best_of_n
from braid.reasoning.core import (
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
from braid.reasoning.means import within_means
from braid.reasoning.sampling import direct, self_consistency
from braid.reasoning.spawn_join import (
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
