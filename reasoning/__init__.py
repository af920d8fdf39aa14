"""reasoning: one question, one answer, by test-time scaling. Imports only `engine`."""

from braid.reasoning.answers import canonical, extract_answer, last_boxed
from braid.reasoning.budgeting import fit_to_budget
from braid.reasoning.method import (
    Candidate,
    Method,
    MethodRun,
    Solution,
    UnknownMethodError,
    Verifier,
    default_method,
    derived_seed,
    get_method,
    method,
    method_names,
    method_spec,
)
from braid.reasoning.methods import (
    ThreadCall,
    ThreadedSolution,
    ThreadFormat,
    ThreadResult,
    TokenSpan,
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
    "MethodRun",
    "Solution",
    "ThreadCall",
    "ThreadFormat",
    "ThreadResult",
    "ThreadedSolution",
    "TokenSpan",
    "UnknownMethodError",
    "Verifier",
    "best_of_n",
    "canonical",
    "default_method",
    "derived_seed",
    "direct",
    "extract_answer",
    "fit_to_budget",
    "get_method",
    "group_answers",
    "last_boxed",
    "method",
    "method_names",
    "method_spec",
    "self_consistency",
    "spawn_join",
]
