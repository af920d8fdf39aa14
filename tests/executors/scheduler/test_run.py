"""One run: rounds, revisions, budgets, cancelling, errors that are not a node's, the sequential baseline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from braid.engine import Budget, BudgetExceededError, Event
from braid.engine.scope import ambient_budget
from braid.executors import GraphPatch, RunContext, TaskGraph, ToolRegistry, run_graph, tool
from braid.executors.graph import GraphError
from braid.executors.nodes import Ref
from braid.executors.scheduler import close_graph
from tests.support.small_tools import TOOLS, same
from tests.support.written_plans import Recorded, answer, assert_settled, call, mapped, patches


async def test_a_revision_mends_a_failed_node_while_others_run() -> None:
    graph = TaskGraph()
    failed = asyncio.Event()

    def emit(event: Event) -> None:
        if event.kind == "node.failed":
            failed.set()

    async def stream() -> AsyncIterator[GraphPatch]:
        first = [
            call("slow", "pause", x=1, seconds=0.05),
            call("a", "broken"),
            call("b", "add", a=Ref("a"), b=Ref("slow")),
            answer(Ref("b")),
        ]
        yield GraphPatch(graph.version, tuple(first))
        await failed.wait()
        assert graph.state("slow") == "running"
        yield GraphPatch(graph.version, (call("a2", "same", x=41, bind="a"),))

    outcome = await run_graph(graph, stream(), RunContext(tools=ToolRegistry(TOOLS), emit=emit))
    assert outcome.answer == (42,)
    assert_settled(graph)


async def test_a_revision_cancels_a_running_node_and_the_tool_stops() -> None:
    recorded = Recorded()
    graph = recorded.graph
    started, stopped = asyncio.Event(), asyncio.Event()

    @tool
    async def slow(x: int) -> int:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return x

    async def stream() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(0, (call("a", "slow", x=1), call("b", "same", x=Ref("a")), answer(Ref("b"))))
        await started.wait()
        yield GraphPatch(1, (call("a2", "same", x=2, bind="a"),), cancel=("a",), reason="too slow")
        await stopped.wait()

    outcome = await run_graph(
        graph, stream(), RunContext(tools=ToolRegistry([slow, same]), emit=recorded.events.append)
    )
    assert outcome.answer == (2,)
    assert graph.state("a") == "cancelled"
    assert graph.error("a") == "too slow"
    assert_settled(graph)


async def test_names_of_earlier_rounds_stay_readable() -> None:
    recorded = Recorded()
    first = await recorded.run(call("a", "same", x=20), call("b", "broken"), answer(Ref("b")), tools=TOOLS)
    assert not first.answered
    second = await recorded.run(
        call("c", "add", a=Ref("a"), b=22), answer(Ref("c"), id="answer2"), tools=TOOLS
    )
    assert second.answer == (42,)


async def test_empty_plans_end() -> None:
    assert not (await Recorded().run(tools=[])).answered
    assert not (await run_graph(TaskGraph(), None, RunContext(tools=ToolRegistry()))).answered


async def test_a_call_budget_stops_the_run_and_what_finished_stays() -> None:
    recorded = Recorded()
    budget = Budget(calls=2)
    nodes = [
        call("a", "same", x=1),
        call("b", "add", a=Ref("a"), b=1),
        call("c", "add", a=Ref("b"), b=1),
        call("d", "add", a=Ref("c"), b=1),
        answer(Ref("b"), Ref("d")),
    ]
    outcome = await recorded.run(tools=TOOLS, budget=budget, chunks=[nodes])
    assert outcome.stopped == "budget"
    assert "calls limit 2" in outcome.reason
    assert not outcome.answered
    assert outcome.partial == (2,)
    assert recorded.graph.result("b") == 2
    assert [event.kind for event in recorded.events].count("budget.exceeded") == 1
    assert budget.spent["calls"] == 2
    assert budget.reserved["calls"] == 0


async def test_calls_that_are_paid_for_finish() -> None:
    recorded = Recorded()
    await recorded.run(
        call("slow", "pause", x=1, seconds=0.03),
        call("b", "same", x=1),
        call("c", "same", x=1),
        tools=TOOLS,
        budget=Budget(calls=2),
    )
    assert recorded.graph.result("slow") == 1
    assert recorded.graph.state("c") == "cancelled"


async def test_a_time_budget_stops_what_runs_and_closes_a_silent_stream() -> None:
    graph = TaskGraph()

    async def stream() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(0, (call("a", "same", x=1), call("b", "forever"), answer(Ref("a"), Ref("b"))))
        await asyncio.Event().wait()

    outcome = await run_graph(
        graph, stream(), RunContext(tools=ToolRegistry(TOOLS), budget=Budget(seconds=0.03))
    )
    assert outcome.stopped == "budget"
    assert outcome.partial == (1,)
    assert graph.state("b") == "cancelled"
    assert_settled(graph)


async def test_the_budget_is_the_ambient_one_inside_tools_and_their_own_scopes_are_their_own() -> None:
    seen: list[Budget] = []

    @tool
    async def look() -> int:
        seen.append(ambient_budget())
        raise BudgetExceededError(limit="tokens", scope="my own", allowed=1, spent=1, asked=1)

    budget = Budget(calls=5)
    outcome = await Recorded().run(call("a", "look"), tools=[look], budget=budget)
    assert seen == [budget]
    assert outcome.stopped is None
    assert outcome.failures[0][0] == "a"


async def test_a_planner_out_of_budget_stops_the_run() -> None:
    graph = TaskGraph()
    budget = Budget(tokens=1, name="run")

    async def stream() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(0, (call("a", "pause", x=1),))
        budget.reserve(tokens=5)

    outcome = await run_graph(graph, stream(), RunContext(tools=ToolRegistry(TOOLS), budget=budget))
    assert outcome.stopped == "budget"
    assert graph.result("a") == 1


async def test_cancelling_the_caller_cancels_every_node_and_waits() -> None:
    graph = TaskGraph()
    cleaned: list[str] = []
    started = asyncio.Event()

    @tool
    async def careful(x: int) -> int:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.005)
            cleaned.append("done")
        return x

    events: list[Event] = []
    nodes = [
        call("a", "careful", x=1),
        call("b", "same", x=Ref("a")),
        call("c", "same", x=3),
        answer(Ref("b")),
    ]
    task = asyncio.create_task(
        run_graph(
            graph,
            patches(graph, [nodes]),
            RunContext(tools=ToolRegistry([careful, same]), emit=events.append),
        )
    )
    await started.wait()
    await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == ["done"]
    assert graph.state("a") == "cancelled"
    assert graph.result("c") == 3
    assert_settled(graph)


async def test_an_error_of_the_stream_cancels_the_run_and_is_raised_as_it_is() -> None:
    graph = TaskGraph()

    async def stream() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(0, (call("a", "forever"),))
        await asyncio.sleep(0.005)
        raise ConnectionError("the planner is gone")

    with pytest.raises(ConnectionError, match="the planner is gone"):
        await run_graph(graph, stream(), RunContext(tools=ToolRegistry(TOOLS)))
    assert graph.state("a") == "cancelled"
    assert_settled(graph)


async def test_a_planner_that_was_cancelled_ends_the_stream() -> None:
    graph = TaskGraph()

    async def stream() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(0, (call("a", "pause", x=1),))
        raise asyncio.CancelledError

    outcome = await run_graph(graph, stream(), RunContext(tools=ToolRegistry(TOOLS)))
    assert outcome.stopped == "cancelled"
    assert_settled(graph)


@pytest.mark.parametrize("kind", ["plan.patched", "node.added", "node.started", "node.finished"])
async def test_an_error_of_the_listener_ends_the_run(kind: str) -> None:
    graph = TaskGraph()

    def emit(event: Event) -> None:
        if event.kind == kind:
            raise RuntimeError("the display is broken")

    nodes = [[call("a", "pause", x=1)], [call("b", "forever")], [call("c", "same", x=Ref("a"))]]
    with pytest.raises(RuntimeError, match="the display is broken"):
        await run_graph(graph, patches(graph, nodes), RunContext(tools=ToolRegistry(TOOLS), emit=emit))
    assert not graph.running


async def test_one_run_at_a_time() -> None:
    graph = TaskGraph()
    task = asyncio.create_task(
        run_graph(graph, patches(graph, [[call("a", "forever")]]), RunContext(tools=ToolRegistry(TOOLS)))
    )
    await asyncio.sleep(0.005)
    with pytest.raises(GraphError, match="being run already"):
        await run_graph(graph, None, RunContext(tools=ToolRegistry(TOOLS)))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_closing_tells_what_was_skipped() -> None:
    recorded = Recorded()
    await recorded.run(call("a", "broken"), call("b", "same", x=Ref("a")), tools=TOOLS)
    assert recorded.of("node.blocked") == ["b"]
    assert close_graph(recorded.graph, emit=recorded.events.append) == ("b",)
    assert recorded.of("node.skipped") == ["b"]


async def test_sequential_reads_the_whole_stream_first_and_keeps_plan_order() -> None:
    recorded = Recorded()
    outcome = await recorded.run(
        call("slow", "pause", x=1, seconds=0.01),
        mapped("xs", [1, 2], "same", x=Ref("m")),
        call("last", "add", a=Ref("slow"), b=Ref("xs", (1,))),
        answer(Ref("last")),
        tools=TOOLS,
        sequential=True,
    )
    assert outcome.answer == (3,)
    started = [node for node in recorded.of("node.started") if node not in ("xs", "answer")]
    assert started == ["slow", "xs[0]", "xs[1]", "last"]
    assert recorded.at("node.started", "slow") > recorded.at("node.added", "answer")
    for earlier, later in pairwise(started):
        assert recorded.at("node.finished", earlier) < recorded.at("node.started", later)
