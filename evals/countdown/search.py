"""The search tree of Countdown: the children of a state, which of them look good, and a solution.

A state is a tuple of numbers still to be used. Negative results, fractions and results over `LARGEST_RESULT`
are left out. Few solutions need them. All numbers that occur are then single tokens.
"""

from __future__ import annotations

import random
from functools import cache
from typing import NamedTuple

LARGEST_NUMBER = 999
"""The largest number that the text knows."""
LARGEST_RESULT = 400
"""The largest result that the search goes on with.

Of 300 problems solvable with 999, 97 % are solvable with 400.
"""

State = tuple[int, ...]


class Equation(NamedTuple):
    """`left sign right = result`, with `left >= right`."""

    left: int
    sign: str
    right: int
    result: int

    @property
    def holds(self) -> bool:
        """Whether the arithmetic is right. A division must leave no remainder."""
        match self.sign:
            case "+":
                return self.left + self.right == self.result
            case "-":
                return self.left - self.right == self.result
            case "*":
                return self.left * self.right == self.result
            case "/":
                return self.right != 0 and self.result * self.right == self.left
            case _:
                return False


def results(left: int, right: int) -> list[tuple[str, int]]:
    """Signs and results of two numbers, `left >= right`, in the order + - * /."""
    found = [("+", left + right), ("-", left - right), ("*", left * right)]
    if right and left % right == 0:
        found.append(("/", left // right))
    return [(sign, result) for sign, result in found if result <= LARGEST_RESULT]


def children(state: State) -> dict[State, Equation]:
    """The states one step from `state`, each with its step.

    The order is systematic: pairs from the left, + - * / for each. A child lists the rest of `state` in its
    order, then the result. Of steps to the same numbers the first counts.
    """
    seen: set[State] = set()
    found: dict[State, Equation] = {}
    for i in range(len(state)):
        for j in range(i + 1, len(state)):
            left, right = state[i], state[j]
            if left < right:
                left, right = right, left
            rest = state[:i] + state[i + 1 : j] + state[j + 1 :]
            for sign, result in results(left, right):
                child = (*rest, result)
                key = tuple(sorted(child))
                if key not in seen:
                    seen.add(key)
                    found[child] = Equation(left, sign, right, result)
    return found


@cache
def _distances(target: int) -> tuple[int, ...]:
    """Distance of each number to the nearest factor (2 or more) of `target`."""
    factors = [d for d in range(2, target + 1) if target % d == 0] or [target]
    return tuple(min(abs(n - d) for d in factors) for n in range(LARGEST_NUMBER + 1))


def ranked_children(state: State, target: int) -> list[tuple[State, Equation]]:
    """The children of `state`, the most promising first.

    They have the least sum of distances to factors of `target`: the heuristic `mult` of Adaptive Parallel
    Reasoning.
    """
    distances = _distances(target)
    found = children(state).items()
    return sorted(found, key=lambda item: sum(distances[n] for n in item[0]))


def last_step(state: State, target: int) -> Equation | None:
    """The equation that makes `target` of the two numbers of `state`, or None."""
    left, right = max(state), min(state)
    if left + right == target:
        sign = "+"
    elif left - right == target:
        sign = "-"
    elif left * right == target:
        sign = "*"
    elif right and left == right * target:
        sign = "/"
    else:
        return None
    return Equation(left, sign, right, target)


def solve(state: State, target: int, rng: random.Random | None = None) -> list[Equation] | None:
    """The steps from `state` to `target`, or None if there are none.

    The search is depth first, in systematic order. With `rng` the order is random, so that all solutions have
    a chance.
    """
    if len(state) == 2:
        step = last_step(state, target)
        return None if step is None else [step]
    found = list(children(state).items())
    if rng is not None:
        rng.shuffle(found)
    for child, step in found:
        rest = solve(child, target, rng)
        if rest is not None:
            return [step, *rest]
    return None
