"""Countdown: reach a target from given numbers with + - * /, each number used exactly once.

Problems by seed and split, the symbolic solver, demonstrators that write searches as text for a model to imitate, and
the exact checker. The task and its tree search follow Stream of Search (arXiv 2404.03683) and Adaptive Parallel
Reasoning (arXiv 2504.15466); the text is a compact grammar of our own, described in `braid.evals.countdown.text`.
"""

from braid.evals.countdown.demonstrators import (
    Demonstration,
    demonstrate_direct,
    demonstrate_join,
    demonstrate_serial,
    demonstrate_spawn,
)
from braid.evals.countdown.oracle import oracle_engine
from braid.evals.countdown.problems import Problem, Split, draw_problem, generate
from braid.evals.countdown.search import Equation, children, ranked_children, solve
from braid.evals.countdown.text import TraceError, answer_equations, prompt, solves
from braid.evals.countdown.threads import CountdownThreads

__all__ = [
    "CountdownThreads",
    "Demonstration",
    "Equation",
    "Problem",
    "Split",
    "TraceError",
    "answer_equations",
    "children",
    "demonstrate_direct",
    "demonstrate_join",
    "demonstrate_serial",
    "demonstrate_spawn",
    "draw_problem",
    "generate",
    "oracle_engine",
    "prompt",
    "ranked_children",
    "solve",
    "solves",
]
