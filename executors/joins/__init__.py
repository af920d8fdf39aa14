"""Joins: what becomes of parts that run side by side, and the verifiers that check them."""

from braid.executors.joins.joins import Joins, MakeCheck
from braid.executors.joins.tally import Tally
from braid.executors.joins.verifier import (
    PASSES,
    Verify,
    check_call,
    score_of,
    verifier_problem,
    verifier_tool,
)

__all__ = [
    "PASSES",
    "Joins",
    "MakeCheck",
    "Tally",
    "Verify",
    "check_call",
    "score_of",
    "verifier_problem",
    "verifier_tool",
]
