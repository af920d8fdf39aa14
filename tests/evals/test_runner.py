"""Running tasks: verdicts, errors, epochs, and a log that resumes."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from braid.engine.scripted import ScriptedEngine
from braid.evals import (
    EvalError,
    Options,
    Output,
    Sample,
    Score,
    Task,
    get_task,
    read_log,
    report_on,
    run_task,
)
from braid.evals.tasks.planning_data import questions
from braid.executors.builtin.atlas.lookup import load_atlas
from braid.executors.builtin.search import search

PLANS = {row.question: row.plan for row in questions("heldout")[:12]}


def planning_engine(
    *, wrong: frozenset[int] = frozenset(), babble: frozenset[int] = frozenset()
) -> ScriptedEngine:
    """An engine that writes the reference plan of the question. Some plans are wrong, some are no plans."""

    def respond(prompt: str) -> str:
        for index, (question, plan) in enumerate(PLANS.items()):
            if question in prompt:
                if index in babble:
                    return "I would rather talk about the weather."
                return 'answer("no idea")' if index in wrong else plan
        raise AssertionError(f"unknown question in {prompt!r}")

    return ScriptedEngine(respond)


async def test_reference_plans_reach_the_true_answers_through_the_whole_house() -> None:
    engine = planning_engine()
    report = await run_task(get_task("planning"), engine, Options(limit=12), max_concurrency=4)
    assert (report.samples, report.errors) == (12, 0)
    assert report.accuracy is not None and report.accuracy.mean == 1.0
    assert {name: figure.mean for name, figure in report.metrics.items()} == {
        "valid at once": 1.0,
        "valid plan": 1.0,
        "wrong with confidence": 0.0,
    }
    assert engine.open_contexts() == 0


async def test_the_verdicts_stay_when_the_atlas_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    for entity in load_atlas():
        for attribute in entity.facts:
            monkeypatch.setitem(entity.facts, attribute, (0, "furlongs"))
    assert (await search("height of K2")).value == 0
    report = await run_task(get_task("planning"), planning_engine(), Options(limit=12), max_concurrency=4)
    assert report.accuracy is not None and report.accuracy.mean == 1.0


async def test_wrong_answers_and_babble_are_wrong_and_no_errors() -> None:
    engine = planning_engine(wrong=frozenset({0, 1}), babble=frozenset({2}))
    report = await run_task(get_task("planning"), engine, Options(limit=12))
    assert report.errors == 0
    assert report.accuracy is not None and report.accuracy.mean == pytest.approx(9 / 12)
    assert report.metrics["valid plan"].mean == pytest.approx(11 / 12)


async def test_what_is_not_the_models_doing_is_an_error_and_not_wrong() -> None:
    engine = ScriptedEngine([RuntimeError("the cable is cut"), *(PLANS[q] for q in list(PLANS)[1:3])])
    report = await run_task(get_task("planning"), engine, Options(limit=3))
    assert report.errors == 1
    assert report.accuracy is not None and (report.accuracy.mean, report.accuracy.n) == (1.0, 2)


async def test_a_log_that_was_cut_off_is_resumed_without_running_anything_twice(tmp_path: Path) -> None:
    log = tmp_path / "new folder" / "log.jsonl"
    await run_task(get_task("planning"), planning_engine(), Options(limit=5), log=log)
    content = log.read_bytes()
    log.write_bytes(content[:-40])  # killed while the last row was written
    engine = planning_engine()
    report = await run_task(get_task("planning"), engine, Options(limit=8), log=log, resume=True)
    assert len(engine.calls) == 4  # the one that was cut off, and three new ones
    assert (report.samples, report.errors) == (8, 0)
    _, rows = read_log(log)
    assert sorted({row.sample for row in rows}) == sorted(f"heldout-0-{i}" for i in range(8))
    with pytest.raises(EvalError, match="another run"):
        await run_task(get_task("planning"), engine, Options(seed=1, limit=2), log=log, resume=True)


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
async def test_a_log_that_was_cut_off_in_its_first_line_starts_anew(tmp_path: Path, kept: int) -> None:
    log = tmp_path / "log.jsonl"
    await run_task(get_task("planning"), planning_engine(), Options(limit=2), log=log)
    log.write_bytes(log.read_bytes().split(b"\n")[0][: kept if kept >= 0 else None])
    report = await run_task(get_task("planning"), planning_engine(), Options(limit=2), log=log, resume=True)
    assert (report.samples, report.errors) == (2, 0)
    header, rows = read_log(log)
    assert header.task == "planning" and header.versions["braid-agents"] and len(rows) == 2


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 0.5])
async def test_numbers_that_json_lacks_leave_the_log_readable(tmp_path: Path, number: float) -> None:
    async def solve(engine: object, sample: Sample, options: Options, *, seed: int) -> Output:
        return Output(answer="x", seconds=1.0, detail={"loss": number, "all": [number]})

    async def score(sample: Sample, output: Output) -> Score:
        return Score(correct=number if sample.id == "0" else 1.0, metrics={"depth": number})

    task = Task(
        name="odd",
        summary="",
        load=lambda options: [Sample(id=str(i), question="?", target="x") for i in range(2)],
        solve=solve,
        score=score,
    )
    log = tmp_path / "log.jsonl"
    before = await run_task(task, ScriptedEngine([]), Options(), log=log)
    finite = math.isfinite(number)
    assert before.errors == (0 if finite else 1)
    assert ("depth" in before.metrics) == finite
    header, rows = read_log(log)
    assert before.model_dump() == report_on(header, rows, log=str(log)).model_dump()
    after = await run_task(task, ScriptedEngine([]), Options(), log=log, resume=True)
    assert (after.samples, after.errors) == (2, 0 if finite else 1)


async def test_epochs_of_a_sample_get_seeds_of_their_own_and_count_as_one_sample() -> None:
    seeds: list[int] = []

    async def solve(engine: object, sample: Sample, options: Options, *, seed: int) -> Output:
        await asyncio.sleep(0)
        seeds.append(seed)
        return Output(answer=sample.target, seconds=1.0)

    async def score(sample: Sample, output: Output) -> Score:
        return Score(correct=float(len(seeds) % 2))

    task = Task(
        name="coin",
        summary="",
        load=lambda options: [Sample(id=str(i), question="?", target="x") for i in range(2)],
        solve=solve,
        score=score,
    )
    first = await run_task(task, ScriptedEngine(""), Options(seed=3), epochs=2)
    assert first.accuracy is not None and (first.accuracy.n, first.accuracy.mean) == (2, 0.5)
    assert len(set(seeds)) == 4
    again = list(seeds)
    seeds.clear()
    await run_task(task, ScriptedEngine(""), Options(seed=3), epochs=2)
    assert seeds == again
