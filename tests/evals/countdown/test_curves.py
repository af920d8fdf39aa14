"""Curves, with the symbolic solver as the engine."""

from __future__ import annotations

import pytest

from braid.evals.countdown.curves import (
    CAPS,
    Curves,
    Size,
    direct_at,
    gap_table,
    measure_direct,
    measure_serial,
    measure_spawn,
    pass_at_k,
    table,
)
from braid.evals.countdown.oracle import oracle_engine
from braid.evals.countdown.problems import Problem, generate
from braid.reasoning import TokenSpan

PROBLEM = Problem((45, 43, 7, 4), 54)


SIZE = Size(parameters=1000, layers=2, width=16)


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
    assert pass_at_k(4, 0, 4) == 0.0
    assert pass_at_k(4, 1, 4) == 1.0
    assert pass_at_k(4, 1, 1) == pytest.approx(0.25)
    assert pass_at_k(4, 2, 2) == pytest.approx(1 - 1 / 6)


async def test_flops_follow_the_formula() -> None:
    assert SIZE.flops(TokenSpan(0, 10)) == 2 * 1000 * 10 + 2 * 2 * 16 * 100
    assert SIZE.flops(TokenSpan(4, 10)) == 2 * 1000 * 6 + 2 * 2 * 16 * 84
    async with oracle_engine() as engine:
        points = await measure_direct(engine, [PROBLEM], SIZE, samples=(1, 2))
    assert points[0].flops == pytest.approx(SIZE.flops(TokenSpan(0, points[0].tokens)))
    assert direct_at(points[0].flops, points) == pytest.approx(1.0)
    assert direct_at(1.0, points) is None
