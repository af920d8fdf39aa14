"""Countdown problems, drawn by seed. A problem's split is a property of the problem itself."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Literal

from braid.evals.countdown.search import Equation, solve

Split = Literal["train", "validation", "test"]

LARGEST_GIVEN = 50
TARGETS = (10, 100)


@dataclass(frozen=True)
class Problem:
    """Numbers, and the target to reach with each of them used once."""

    numbers: tuple[int, ...]
    """Largest first."""
    target: int

    @property
    def split(self) -> Split:
        """The split, by a hash of numbers and target: 2 % validation, 2 % test, the rest for training."""
        text = f"{sorted(self.numbers)}={self.target}".encode()
        share = int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big") % 100
        if share < 2:
            return "test"
        return "validation" if share < 4 else "train"

    @property
    def id(self) -> str:
        """Such as 45-43-7-4=54."""
        return f"{'-'.join(map(str, self.numbers))}={self.target}"


def draw_problem(rng: random.Random, split: Split, *, count: int = 4) -> tuple[Problem, list[Equation]]:
    """A solvable problem of `split` with `count` numbers, and one of its solutions at random.

    Numbers are 1 to 50, the target is 10 to 100.
    """
    while True:
        numbers = tuple(sorted((rng.randint(1, LARGEST_GIVEN) for _ in range(count)), reverse=True))
        problem = Problem(numbers, rng.randint(*TARGETS))
        if problem.split != split:
            continue
        solution = solve(numbers, problem.target, rng)
        if solution is not None:
            return problem, solution


def generate(split: Split, size: int, *, seed: int = 0, count: int = 4) -> list[Problem]:
    """`size` different problems of `split`, the same for the same seed.

    A longer list begins with the shorter one.
    """
    rng = random.Random(f"countdown/{split}/{seed}/{count}")
    found: dict[Problem, None] = {}
    while len(found) < size:
        found[draw_problem(rng, split, count=count)[0]] = None
    return list(found)
