"""Countdown problems and their splits."""

from __future__ import annotations

import random

from braid.evals.countdown.notation import solves
from braid.evals.countdown.problems import Problem, draw_problem, generate
from braid.evals.countdown.search import solve

PROBLEM = Problem((45, 43, 7, 4), 54)


def test_problems_are_solvable_reproducible_and_of_their_split() -> None:
    problems = generate("test", 12)
    assert problems == generate("test", 40)[:12]
    assert problems != generate("test", 12, seed=1)
    for problem in problems:
        assert problem.split == "test"
        steps = solve(problem.numbers, problem.target)
        assert steps is not None and solves(steps, problem.numbers, problem.target)
    drawn, solution = draw_problem(random.Random(0), "train")
    assert drawn.split == "train" and solves(solution, drawn.numbers, drawn.target)
    assert Problem((4, 7, 43, 45), 54).split == PROBLEM.split
