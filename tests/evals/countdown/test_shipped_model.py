"""The shipped Countdown model on validation problems, by the methods that its table was measured with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from braid.engine import Engine, connect
from braid.evals.countdown.problems import generate
from braid.evals.countdown.solve import Attempt, attempt_direct, attempt_serial, attempt_spawn

PROBLEMS = generate("validation", 12)


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with await connect("local:braid-countdown", threads=1) as opened:
        yield opened
        assert opened.open_contexts() == 0


async def test_threads_solve_most_problems_in_short_sequences(engine: Engine) -> None:
    attempts = [await attempt_spawn(engine, problem, threads=10) for problem in PROBLEMS]
    assert sum(attempt.solved for attempt in attempts) >= len(PROBLEMS) / 2
    assert all(attempt.threads == 10 for attempt in attempts)
    assert all(attempt.longest_sequence < attempt.tokens for attempt in attempts)


async def test_the_prompt_chooses_how_many_threads_run(engine: Engine) -> None:
    for threads in (0, 1, 4):
        assert (await attempt_spawn(engine, PROBLEMS[0], threads=threads)).threads == threads


async def test_a_cut_search_solves_no_more_than_a_whole_one(engine: Engine) -> None:
    def solved(attempts: list[Attempt]) -> int:
        return sum(attempt.solved for attempt in attempts)

    short = [await attempt_serial(engine, problem, window=64) for problem in PROBLEMS]
    whole = [await attempt_serial(engine, problem) for problem in PROBLEMS]
    assert solved(short) <= solved(whole)
    assert solved(whole) > 0


async def test_samples_differ(engine: Engine) -> None:
    tried = await attempt_direct(engine, PROBLEMS[0], samples=16)
    assert len({attempt.text for attempt in tried}) > 1
