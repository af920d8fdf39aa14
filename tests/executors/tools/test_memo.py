"""One call for equal calls: within a run, in flight, and across runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from braid.engine import Budget
from braid.executors import tool
from braid.executors.nodes import Ref
from braid.executors.tools import CallMemo, MemoryResults
from braid.executors.tools.memo import result_key
from tests.support.written_plans import Recorded, call


async def test_equal_calls_of_a_pure_tool_are_made_once_even_in_flight() -> None:
    calls: Counter[str] = Counter()

    @tool
    async def look(word: str) -> str:
        calls[word] += 1
        await asyncio.sleep(0.01)
        return word.upper()

    @tool(effect="idempotent")
    async def put(word: str) -> str:
        calls["put"] += 1
        return word

    @tool(cache="never")
    async def dice() -> int:
        calls["dice"] += 1
        return calls["dice"]

    nodes = [call(f"n{i}", "look", word="a" if i % 2 else "b") for i in range(10)]
    nodes += [
        call("p1", "put", word="x"),
        call("p2", "put", word="x"),
        call("d1", "dice"),
        call("d2", "dice"),
    ]
    late = call("late", "look", word=Ref("p1"))
    again = call("again", "look", word="x")
    run, budget = Recorded(), Budget()
    await run.run(
        *nodes,
        late,
        again,
        tools=[look, put, dice],
        memo=CallMemo(),
        budget=budget,
    )
    assert calls == {"a": 1, "b": 1, "x": 1, "put": 2, "dice": 2}
    assert run.graph.result("n0") == "B" and run.graph.result("n9") == "A"
    assert run.graph.result("late") == run.graph.result("again") == "X"
    assert budget.spent["calls"] == 7 and len(run.of("tool.reused")) == 9


async def test_those_who_wait_for_a_failing_call_fail_with_it_and_a_later_call_is_made_anew() -> None:
    calls = 0

    @tool
    async def flaky() -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.01)
        if calls == 1:
            raise ValueError("not yet")
        return calls

    memo = CallMemo()
    run = Recorded()
    await run.run(call("a", "flaky"), call("b", "flaky"), tools=[flaky], memo=memo)
    assert run.graph.state("a") == run.graph.state("b") == "failed" and calls == 1
    later = Recorded()
    await later.run(call("a", "flaky"), tools=[flaky], memo=memo)
    assert later.graph.result("a") == 2


async def test_when_the_call_that_others_wait_for_is_cancelled_one_of_them_makes_it() -> None:
    calls = 0

    @tool
    async def slow(x: int) -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.02)
        return x

    memo = CallMemo()
    first = asyncio.create_task(memo.call(slow, {"x": 1}, lambda: slow.call({"x": 1})))
    others = [asyncio.create_task(memo.call(slow, {"x": 1}, lambda: slow.call({"x": 1}))) for _ in range(5)]
    await asyncio.sleep(0.005)
    first.cancel()
    assert [await other for other in others] == [1] * 5
    assert first.cancelled() and calls == 2


async def test_results_outlive_the_run_by_version_and_arguments() -> None:
    calls = 0

    def make(version: str | None) -> Any:
        @tool(cache="always", version=version)
        async def look(x: float) -> float:
            nonlocal calls
            calls += 1
            return x

        return look

    kept = MemoryResults()
    for version, x, made in [
        ("1", 1.5, 1),
        ("1", 1.5, 1),
        ("1", 2.5, 2),
        ("2", 1.5, 3),
        (None, 1.5, 4),
        (None, 1.5, 4),
    ]:
        run = Recorded()
        await run.run(call("a", "look", x=x), tools=[make(version)], memo=CallMemo(kept))
        assert run.graph.result("a") == x and calls == made


def test_keys_tell_apart_what_tools_can() -> None:
    @tool
    async def any_(x: Any) -> None: ...

    values: list[Any] = [
        1,
        1.0,
        True,
        "1",
        None,
        [1],
        (1,),
        {"a": 1},
        {1: "a"},
        {"1": "a"},
        float("nan"),
        {1},
        Path("1"),
    ]
    keys = [result_key(any_, {"x": value}) for value in values]
    assert None not in keys and len(set(keys)) == len(values)
    assert result_key(any_, {"x": {"a": 1, "b": 2}}) == result_key(any_, {"x": {"b": 2, "a": 1}})
    assert result_key(any_, {"x": object()}) is None
    assert result_key(any_, {"x": "y" * 10**8}) is None and result_key(any_, {"x": [0] * 10**6}) is None
