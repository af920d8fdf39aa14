"""Countdown: reach a target from given numbers with + - * /, each number used exactly once.

Problems by seed and split, the symbolic solver, demonstrators that write searches as text for a model to
imitate, and the exact checker. The task and its tree search follow Stream of Search (arXiv 2404.03683) and
Adaptive Parallel Reasoning (arXiv 2504.15466). The text is a compact grammar of our own
(`braid.evals.countdown.notation`).
"""

from braid.evals.countdown.curves import (
    Curves,
    Size,
    gap_table,
    measure_direct,
    measure_serial,
    measure_spawn,
    table,
)
from braid.evals.countdown.demonstrators import (
    Demonstration,
    demonstrate_direct,
    demonstrate_join,
    demonstrate_serial,
    demonstrate_spawn,
)
from braid.evals.countdown.notation import MAX_THREADS, WORDS, TraceError, prompt, solves
from braid.evals.countdown.oracle import oracle_engine
from braid.evals.countdown.problems import Problem, Split, draw_problem, generate
from braid.evals.countdown.search import LARGEST_NUMBER, Equation
from braid.evals.countdown.solve import Attempt, attempt_direct, attempt_serial, attempt_spawn
from braid.evals.countdown.thread_format import CountdownThreads

__all__ = [
    "LARGEST_NUMBER",
    "MAX_THREADS",
    "WORDS",
    "Attempt",
    "CountdownThreads",
    "Curves",
    "Demonstration",
    "Equation",
    "Problem",
    "Size",
    "Split",
    "TraceError",
    "attempt_direct",
    "attempt_serial",
    "attempt_spawn",
    "demonstrate_direct",
    "demonstrate_join",
    "demonstrate_serial",
    "demonstrate_spawn",
    "draw_problem",
    "gap_table",
    "generate",
    "measure_direct",
    "measure_serial",
    "measure_spawn",
    "oracle_engine",
    "prompt",
    "solves",
    "table",
]
