"""A call that takes unusually long is made once more."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from braid.engine import Budget
from braid.executors import ToolContext, tool
from braid.executors.tools import ToolError
from tests.support.written_plans import Recorded, call


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_straggler_is_called_again_and_the_loser_is_cancelled(blocking: bool) -> None:
    began: list[int] = []
    cancelled = threading.Event()

    async def look(context: ToolContext[Any], x: int) -> int:
        began.append(x)
        if len(began) == 1:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                cancelled.set()
                raise
        return x

    def look_blocking(context: ToolContext[Any], x: int) -> int:
        began.append(x)
        if len(began) == 1:
            while not context.stopping:
                time.sleep(0.005)
            cancelled.set()
        return x

    made = tool(name="look", hedge=0.03)(look_blocking if blocking else look)
    run, budget = Recorded(), Budget()
    async with asyncio.timeout(10):
        await run.run(call("a", "look", x=7), tools=[made], budget=budget)
    assert run.graph.result("a") == 7 and began == [7, 7]
    assert cancelled.wait(2)
    (event,) = [e for e in run.events if e.kind == "tool.hedged"]
    assert event.second_won and event.wasted_seconds > 0.02  # type: ignore[attr-defined]
    assert budget.spent["calls"] == 2


async def test_a_hedge_waits_for_a_quantile_of_the_tools_own_latencies() -> None:
    calls = 0

    @tool(hedge="p90")
    async def look(slow: bool = False) -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.3 if slow and calls == 21 else 0.001)
        return calls

    for _ in range(20):
        await look.call({})
    assert calls == 20
    hedged: list[bool] = []
    assert await look.call({"slow": True}, on_hedged=lambda second, wasted: hedged.append(second)) == 22
    assert hedged == [True]


async def test_no_hedge_without_budget_and_both_failures_are_one() -> None:
    calls = 0

    @tool(hedge=0.01)
    async def look() -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.05)
        raise ValueError("no")

    run, budget = Recorded(), Budget(calls=1)
    await run.run(call("a", "look"), tools=[look], budget=budget)
    assert calls == 1 and run.graph.state("a") == "failed"
    with pytest.raises(ToolError, match="no"):
        await look.call({})
    assert calls == 3
