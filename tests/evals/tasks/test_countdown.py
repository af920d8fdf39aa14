"""The task `countdown`."""

from __future__ import annotations

import pytest

from braid.evals import EvalError, Options, get_task, run_task
from braid.evals.countdown.oracle import oracle_engine


async def test_the_task_runs_on_the_oracle() -> None:
    task = get_task("countdown")
    async with oracle_engine() as engine:
        options = Options(limit=5, arguments={"mode": "spawn", "threads": "8"})
        report = await run_task(task, engine, options, max_concurrency=5)
        assert report.errors == 0 and report.accuracy is not None
    for wrong in ({"split": "train"}, {"mode": "fast"}, {"threads": "11"}, {"threads": "many"}):
        with pytest.raises(EvalError):
            task.samples(Options(arguments=wrong))
