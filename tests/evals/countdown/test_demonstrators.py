"""What the symbolic search writes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from braid.evals.countdown.demonstrators import demonstrate_join, demonstrate_serial, demonstrate_spawn
from braid.evals.countdown.notation import answer_equations, answers, solves
from braid.evals.countdown.problems import Problem, generate
from braid.evals.countdown.search import ranked_children, solve

PROBLEM = Problem((45, 43, 7, 4), 54)


@given(st.lists(st.integers(1, 20), min_size=3, max_size=4), st.integers(1, 100))
@settings(max_examples=60, deadline=None)
def test_whatever_is_found_is_right(numbers: list[int], target: int) -> None:
    state = tuple(numbers)
    steps = solve(state, target)
    text = demonstrate_serial(state, target).text
    if steps is None:
        assert text.endswith("FAIL")
    else:
        assert solves(steps, numbers, target)
        assert solves(answer_equations(text), numbers, target), text


def test_demonstrations_are_sound_and_fit_their_header() -> None:
    for problem in generate("validation", 30):
        numbers, target = problem.numbers, problem.target
        assert answers(demonstrate_serial(numbers, target).text, problem)
        parent, threads = demonstrate_spawn(numbers, target, 10)
        assert parent.text.count(";") == len(threads) == 10
        join = demonstrate_join(numbers, target, 10, threads)
        solved = any(thread.found for thread in threads)
        assert answers(join.text, problem) == solved
        assert join.text == "FAIL" or solved
        scores = [state for state, _ in ranked_children(numbers, target)]
        assert [thread.state for thread in threads] == scores[:10]


def test_a_shorter_list_of_threads_begins_a_longer_one() -> None:
    texts = [demonstrate_spawn(PROBLEM.numbers, PROBLEM.target, k)[0].text for k in range(1, 6)]
    for shorter, longer in pairwise(texts):
        assert longer.startswith(shorter.removesuffix("END"))
