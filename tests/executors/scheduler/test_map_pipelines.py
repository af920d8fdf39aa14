"""Maps over maps: each item goes its own way, and starts when its own input is there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braid.executors import GraphPatch, RunContext, TaskGraph, ToolRegistry, run_graph, tool
from braid.executors.nodes import Compare, Const, Ref
from braid.executors.report.report import report_of
from braid.executors.values import ItemError
from tests.support.written_plans import Recorded, answer, branch, call, mapped, patches


@tool
async def numbers(n: int) -> list[int]:
    return list(range(n))


@tool
async def wait_for(x: int) -> int:
    await asyncio.sleep(0.02 * x)
    return x


@tool
async def double(x: int) -> int:
    return 2 * x


@tool
async def odd_fails(x: int) -> int:
    await asyncio.sleep(0.001 * x)
    if x % 2:
        raise ValueError(f"{x} is odd")
    return x


@tool
async def same(x: Any) -> Any:
    return x


TOOLS = [numbers, wait_for, double, odd_fails, same]
M = Ref("m")


async def test_items_do_not_wait_for_the_whole_list() -> None:
    recorded = Recorded()
    outcome = await recorded.run(
        call("ns", "numbers", n=6),
        mapped("xs", Ref("ns"), "wait_for", x=M),
        mapped("ys", Ref("xs"), "double", x=M),
        mapped("zs", Ref("ys"), "double", x=M),
        answer(Ref("zs")),
        tools=TOOLS,
    )
    assert outcome.answer == ([0, 4, 8, 12, 16, 20],)
    # The first item is through all three maps before the last one is through the first.
    assert recorded.at("node.finished", "zs[0]") < recorded.at("node.finished", "xs[5]")
    assert recorded.at("node.finished", "zs[4]") < recorded.at("node.finished", "xs[5]")


async def test_a_chain_of_items_is_the_critical_path() -> None:
    recorded = Recorded()
    await recorded.run(
        mapped("xs", [1, 5, 1], "wait_for", x=M),
        mapped("ys", Ref("xs"), "wait_for", x=M),
        tools=TOOLS,
    )
    report = report_of(recorded.graph)
    assert report.critical_nodes == ("xs[1]", "ys[1]")
    assert recorded.graph.producers(recorded.graph.entry("ys[0]")) == [recorded.graph.entry("xs[0]")]


@pytest.mark.parametrize("late", [False, True])
async def test_a_failed_item_blocks_its_own_and_the_list(late: bool) -> None:
    recorded = Recorded()
    first = [mapped("xs", [0, 1, 2], "odd_fails", x=M)]
    second = [mapped("ys", Ref("xs"), "double", x=M), call("one", "same", x=Ref("ys", (2,)))]
    await recorded.run(tools=TOOLS, chunks=[[*first, *second]] if not late else [first, [], second])
    graph = recorded.graph
    assert [graph.state(f"ys[{i}]") for i in range(3)] == ["done", "blocked", "done"]
    assert graph.state("ys") == "blocked"
    assert graph.result("one") == 4


async def test_collected_failures_are_items() -> None:
    recorded = Recorded()
    outcome = await recorded.run(
        mapped("xs", [0, 1, 2], "odd_fails", x=M, on_error="collect"),
        mapped("ys", Ref("xs"), "same", x=M),
        answer(Ref("ys")),
        tools=TOOLS,
    )
    assert outcome.answer is not None
    (values,) = outcome.answer
    assert [values[0], values[2]] == [0, 2]
    assert isinstance(values[1], ItemError)


async def test_items_that_one_map_leaves_out_are_left_out_by_the_next() -> None:
    recorded = Recorded()
    no = Compare("==", Const(1), Const(2))
    outcome = await recorded.run(
        call("a", "same", x=1),
        call("b", "same", x=2, guards=branch(no)),
        call("c", "same", x=3),
        mapped("xs", [Ref("a"), Ref("b"), Ref("c")], "double", x=M),
        mapped("ys", Ref("xs"), "double", x=M),
        answer(Ref("ys")),
        tools=TOOLS,
    )
    assert outcome.answer == ([4, 12],)
    assert recorded.graph.state("ys[1]") == "skipped"


async def test_a_skipped_map_skips_its_readers() -> None:
    recorded = Recorded()
    no = Compare("==", Const(1), Const(2))
    skipped = mapped("xs", [1, 2], "double", x=M)
    await recorded.run(
        type(skipped)(id=skipped.id, op=skipped.op, name="xs", guards=branch(no)),
        mapped("ys", Ref("xs"), "double", x=M),
        tools=TOOLS,
    )
    assert recorded.graph.state("ys") == "skipped"


async def test_an_empty_list_goes_through() -> None:
    recorded = Recorded()
    outcome = await recorded.run(
        call("ns", "numbers", n=0),
        mapped("xs", Ref("ns"), "double", x=M),
        mapped("ys", Ref("xs"), "double", x=M),
        answer(Ref("ys")),
        tools=TOOLS,
    )
    assert outcome.answer == ([],)


async def test_a_map_bound_anew_with_as_many_items_mends_those_that_were_blocked() -> None:
    graph, failed = TaskGraph(), asyncio.Event()
    plan = (mapped("xs", [0, 1, 2], "odd_fails", x=M), mapped("ys", Ref("xs"), "double", x=M))

    async def stream() -> Any:
        yield GraphPatch(0, plan)
        await failed.wait()
        again = mapped("xs", [10, 11, 12], "double", x=M)
        yield GraphPatch(1, (type(again)(id="xs2", op=again.op, name="xs"),))

    def hear(event: Any) -> None:
        if event.kind == "node.failed" and event.node == "xs":
            failed.set()

    await run_graph(graph, stream(), RunContext(tools=ToolRegistry(TOOLS), emit=hear))
    assert graph.result("ys") == [0, 44, 4]


async def test_a_list_bound_anew_with_another_length_is_refused_for_what_was_started() -> None:
    graph, failed = TaskGraph(), asyncio.Event()
    plan = (mapped("xs", [0, 1, 2], "odd_fails", x=M), mapped("ys", Ref("xs"), "double", x=M))

    async def stream() -> Any:
        yield GraphPatch(0, plan)
        await failed.wait()
        yield GraphPatch(1, (call("xs2", "numbers", n=2, bind="xs"),))

    def hear(event: Any) -> None:
        if event.kind == "node.failed" and event.node == "xs":
            failed.set()

    await run_graph(graph, stream(), RunContext(tools=ToolRegistry(TOOLS), emit=hear))
    assert graph.state("ys") == "failed"
    assert "has 2 items now, not 3" in (graph.error("ys") or "")


@settings(max_examples=40, deadline=None)
@given(
    delays=st.lists(st.sampled_from([0, 1, 2]), max_size=6),
    depth=st.integers(1, 4),
    cut=st.booleans(),
)
def test_pipelines_give_what_loops_would(delays: list[int], depth: int, cut: bool) -> None:
    @tool
    async def slowly(x: int, seconds: int) -> int:
        await asyncio.sleep(0.001 * seconds)
        return x + 1

    async def go() -> None:
        graph = TaskGraph()
        nodes = [mapped("m0", list(range(len(delays))), "same", x=M)]
        for level in range(depth):
            nodes.append(mapped(f"m{level + 1}", Ref(f"m{level}"), "slowly", x=M, seconds=level % 2))
        nodes.append(answer(Ref(f"m{depth}")))
        chunks = [[node] for node in nodes] if cut else [nodes]
        outcome = await run_graph(
            graph, patches(graph, chunks), RunContext(tools=ToolRegistry([same, slowly]))
        )
        assert outcome.answer == ([i + depth for i in range(len(delays))],)

    asyncio.run(go())
