"""Countdown: problems and splits, the exact checker, the demonstrators, and curves with the symbolic solver as the engine."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braid.engine import SamplingParams
from braid.evals import EvalError, Options, get_task, run_task
from braid.evals.countdown.curves import (
    CAPS,
    Curves,
    Size,
    direct_at,
    gap_table,
    measure_direct,
    measure_serial,
    measure_spawn,
    pass_at,
    table,
)
from braid.evals.countdown.demonstrators import demonstrate_join, demonstrate_serial, demonstrate_spawn
from braid.evals.countdown.notation import TraceError, answer_equations, answers, prompt, solves
from braid.evals.countdown.oracle import continuation, oracle_engine
from braid.evals.countdown.problems import Problem, draw_problem, generate
from braid.evals.countdown.search import Equation, ranked_children, solve
from braid.evals.countdown.solve import attempt_direct, attempt_serial, attempt_spawn
from braid.evals.countdown.thread_format import CountdownThreads
from braid.reasoning import ThreadResult, TokenSpan

PROBLEM = Problem((45, 43, 7, 4), 54)
SIZE = Size(parameters=1000, layers=2, width=16)


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


@pytest.mark.parametrize(
    "answer",
    [
        "ANS 43 - 7 = 36 36 / 4 = 9",  # a number is left
        "ANS 43 - 7 = 36 36 / 4 = 9 45 + 9 = 55",  # the sum is wrong
        "ANS 43 - 7 = 36 36 / 4 = 9 45 + 8 = 53",  # 8 is nowhere
        "ANS 43 - 7 = 36 43 + 7 = 50 50 + 4 = 54",  # 43 twice
        "ANS 43 - 7 = 36 36 / 4 = 9 45 + 9 = 54 54",
        "ANS 43 - 7 = 36 36 / 4 = 9 45 + 9 = __import__('os')",
        "43 - 7 = 36 36 / 4 = 9 45 + 9 = 54",
        "ANS",
        "",
    ],
)
def test_the_checker_is_exact(answer: str) -> None:
    assert answers("x NO ANS 43 - 7 = 36 36 / 4 = 9 45 + 9 = 54", PROBLEM)
    assert not answers(answer, PROBLEM)


def test_division_by_zero_is_wrong_and_no_error() -> None:
    assert not solves([Equation(5, "/", 0, 0)], (5, 0), 0)


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


def test_headers_are_checked() -> None:
    assert prompt("SPAWN", 54, (45, 4), threads=3) == "SPAWN 3 S 54 45 4"
    for mode, threads in (("SERIAL", 3), ("SPAWN", None), ("SPAWN", 11)):
        with pytest.raises(TraceError):
            prompt(mode, 54, (45, 4), threads=threads)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TraceError, match="1000"):
        prompt("SERIAL", 54, (1000, 4))


def test_threads_are_read_strictly() -> None:
    form, header = CountdownThreads(), "SPAWN 2 S 54 45 43 7 4"
    calls = form.calls(header, " 1 45 - 43 = 2 ; 7 4 2 2 43 - 7 = 36 ; 45 4 36")
    assert [call.prompt for call in calls] == ["SERIAL S 54 7 4 2", "SERIAL S 54 45 4 36"]
    for block in (
        "1 45 - 43 = 2 7 4 2",
        "1 45 - 43 = 2 ; 7 4",
        "1 45 ~ 43 = 2 ; 7 4 2",
        "a 45 - 43 = 2 ; 7 4 2",
    ):
        with pytest.raises(TraceError):
            form.calls(header, block)
    wrong = ThreadResult(call=calls[0], text=" ANS 7 - 4 = 2 2 + 2 = 54", finished=True)
    right = ThreadResult(call=calls[1], text=" NO ANS 36 / 4 = 9 45 + 9 = 54", finished=True)
    silent = ThreadResult(call=calls[0], text=" NO FAIL", finished=True)
    assert form.join([silent, right]) == " SUBS 2 43 - 7 = 36 36 / 4 = 9 45 + 9 = 54 END"
    assert form.join([wrong]) != " SUBS END"
    assert CountdownThreads(check=True).join([wrong]) == " SUBS END"


async def test_the_oracle_behind_the_engine_spawns_and_joins() -> None:
    async with oracle_engine() as engine:
        for problem in generate("validation", 10):
            parent, threads = demonstrate_spawn(problem.numbers, problem.target, 6)
            tried = await attempt_spawn(engine, problem, threads=6)
            join = demonstrate_join(problem.numbers, problem.target, 6, threads)
            assert tried.text.split() == join.text.split()
            assert tried.solved == any(thread.found for thread in threads)
            # Every token once: the parent's header and list without its end mark, each thread, the join and what follows.
            written = [thread.child.prompt + " " + thread.child.text for thread in threads]
            joined = join.prompt.removeprefix(prompt("SPAWN", problem.target, problem.numbers, threads=6))
            expected = sum(len(t.split()) for t in (parent.prompt, parent.text, *written, joined, join.text))
            assert tried.tokens == expected - 1
            longest = max(
                len(t.split())
                for t in (
                    f"{parent.prompt} {parent.text}".removesuffix(" END"),
                    *written,
                    f"{join.prompt} {join.text}",
                )
            )
            assert tried.longest_sequence == longest
            assert tried.threads == 6
        assert engine.open_contexts() == 0


async def test_the_oracle_in_the_other_modes() -> None:
    async with oracle_engine() as engine:
        direct = await attempt_direct(engine, PROBLEM, samples=3)
        assert [a.solved for a in direct] == [True] * 3
        serial = await attempt_serial(engine, PROBLEM, window=1024)
        text = demonstrate_serial(PROBLEM.numbers, PROBLEM.target).text
        assert serial.solved and serial.longest_sequence == 7 + len(text.split())
        assert not (await attempt_serial(engine, PROBLEM, window=40)).solved
        none = await attempt_spawn(engine, PROBLEM, threads=0)
        assert none.threads == 0 and none.usage.calls == 1
    with pytest.raises(TraceError):
        continuation("Hello")


async def test_any_prefix_of_a_list_is_continued() -> None:
    demonstration, _ = demonstrate_spawn(PROBLEM.numbers, PROBLEM.target, 2)
    words = f"{demonstration.prompt} {demonstration.text}".split()
    async with oracle_engine() as engine:
        for at in range(8, len(words)):
            async with await engine.prefill(" ".join(words[:at])) as context:
                (found,) = await engine.generate(context, SamplingParams(max_tokens=64))
                found.context.release()
            assert found.text.split() == words[at:]


async def test_curves_of_the_oracle() -> None:
    problems = generate("validation", 40)
    async with oracle_engine() as engine:
        curves = Curves(
            engine="oracle",
            split="validation",
            problems=len(problems),
            size=SIZE,
            direct=await measure_direct(engine, problems, SIZE, samples=(1, 4)),
            serial=await measure_serial(engine, problems, SIZE),
            spawn=await measure_spawn(engine, problems, SIZE, threads=(1, 4, 10)),
        )
        assert engine.open_contexts() == 0
    assert [point.accuracy for point in curves.direct] == [1.0, 1.0]
    serial = [point.accuracy for point in curves.serial]
    assert serial == sorted(serial) and 0.3 < serial[-1] < 0.9
    spawn = curves.spawn
    assert spawn[0].accuracy < spawn[1].accuracy < spawn[2].accuracy
    assert spawn[2].tokens > 5 * spawn[0].tokens
    assert spawn[2].longest < 1.8 * spawn[0].longest
    assert spawn[2].critical < 0.4 * spawn[2].tokens
    assert all(spawn[2].within[cap] <= spawn[2].accuracy for cap in CAPS)
    assert "| direct@4 | 100.0 ± 0.0 |" in table(curves, None)
    assert "| spawn/join, 10 threads |" in table(curves, curves)
    assert "100 %" in gap_table(curves, curves)


def test_pass_at_n() -> None:
    assert pass_at(4, 0, 4) == 0.0
    assert pass_at(4, 1, 4) == 1.0
    assert pass_at(4, 1, 1) == pytest.approx(0.25)
    assert pass_at(4, 2, 2) == pytest.approx(1 - 1 / 6)


async def test_flops_follow_the_formula() -> None:
    assert SIZE.flops(TokenSpan(0, 10)) == 2 * 1000 * 10 + 2 * 2 * 16 * 100
    assert SIZE.flops(TokenSpan(4, 10)) == 2 * 1000 * 6 + 2 * 2 * 16 * 84
    async with oracle_engine() as engine:
        points = await measure_direct(engine, [PROBLEM], SIZE, samples=(1, 2))
    assert points[0].flops == pytest.approx(SIZE.flops(TokenSpan(0, points[0].tokens)))
    assert direct_at(points[0].flops, points) == pytest.approx(1.0)
    assert direct_at(1.0, points) is None


async def test_the_task_runs_on_the_oracle() -> None:
    task = get_task("countdown")
    async with oracle_engine() as engine:
        options = Options(limit=5, arguments={"mode": "spawn", "threads": "8"})
        report = await run_task(task, engine, options, at_once=5)
        assert report.errors == 0 and report.accuracy is not None
    for wrong in ({"split": "train"}, {"mode": "fast"}, {"threads": "11"}, {"threads": "many"}):
        with pytest.raises(EvalError):
            task.samples(Options(arguments=wrong))
