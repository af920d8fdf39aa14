"""Slots and workers: how many nodes run at once, and what each is given."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from typing import Any

import pytest

from braid.engine import Event
from braid.executors import (
    GraphPatch,
    Limits,
    RunContext,
    TaskGraph,
    ToolContext,
    ToolRegistry,
    run_graph,
    tool,
)
from braid.executors.nodes import Ref
from braid.executors.report import report_of
from tests.support.small_tools import TOOLS, same
from tests.support.written_plans import Recorded, answer, assert_settled, call, mapped


@pytest.mark.parametrize("width", [1, 3])
async def test_max_concurrency_holds(width: int) -> None:
    running = peak = 0

    @tool
    async def watch(x: int) -> int:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.002)
        running -= 1
        return x

    await Recorded().run(
        mapped("xs", list(range(10)), "watch", x=Ref("m")),
        tools=[watch],
        limits=Limits(max_concurrency=width),
    )
    assert peak == width


async def test_a_capped_tool_does_not_starve_the_others() -> None:
    running = peak = 0

    @tool(max_concurrency=2)
    async def narrow(x: int) -> int:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.005)
        running -= 1
        return x

    recorded = Recorded()
    await recorded.run(
        mapped("xs", list(range(8)), "narrow", x=Ref("m")),
        call("other", "same", x=1),
        tools=[narrow, same],
        limits=Limits(max_concurrency=4),
    )
    assert peak == 2
    assert recorded.graph.result("xs") == list(range(8))
    assert recorded.at("node.started", "other") < recorded.at("node.finished", "xs[0]")


async def test_a_node_cancelled_before_its_first_step_gives_its_slot_back() -> None:
    graph = TaskGraph()

    async def stream() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(0, (call("a", "forever"),))

    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        if event.kind == "plan.patched" and graph.version == 1:
            return
        if event.kind == "node.started" and graph.version == 1:
            loop.call_soon(
                graph.apply, GraphPatch(1, (call("b", "same", x=1),), cancel=("a",))
            )  # runs before the node's task does

    loop = asyncio.get_running_loop()
    await run_graph(
        graph, stream(), RunContext(tools=ToolRegistry(TOOLS), emit=emit, limits=Limits(max_concurrency=1))
    )
    assert graph.state("a") == "cancelled"
    assert graph.result("b") == 1
    assert_settled(graph)


async def test_tools_are_given_their_context_and_share_no_context_variables() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="clean")

    @tool
    async def peek(context: ToolContext[dict[str, int]], x: Any = None) -> str:
        seen = variable.get()
        variable.set("dirty")
        return f"{seen} {context.deps['k']} {context.idempotency_key}"

    outcome = await Recorded().run(
        call("a", "peek"),
        call("b", "peek", x=Ref("a")),
        answer(Ref("a"), Ref("b")),
        tools=[peek],
        deps={"k": 7},
        run_id="r1",
    )
    assert outcome.answer == ("clean 7 r1:a", "clean 7 r1:b")


async def test_what_a_hedged_call_wasted_is_known_without_a_listener() -> None:
    calls: list[int] = []

    @tool(hedge=0.005)
    async def fetch() -> int:
        calls.append(len(calls))
        await asyncio.sleep(0.05)
        return 1

    graph = TaskGraph()
    graph.apply(GraphPatch(0, (call("a", "fetch"),)))
    await run_graph(graph, None, RunContext(tools=ToolRegistry([fetch])))
    assert len(calls) == 2
    assert report_of(graph).wasted > 0
