"""Random graphs and plans: every order of events gives the same states and results."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from braid.executors import Limits, RunContext, TaskGraph, ToolRegistry, run_graph, tool
from braid.executors.nodes import Compare, Const, Guard, Node, Ref
from tests.support.small_tools import TOOLS
from tests.support.written_plans import (
    Recorded,
    all_refs,
    assert_settled,
    branch,
    call,
    expr,
    joined,
    mapped,
    patches,
)


@st.composite
def dags(draw: st.DrawFn) -> tuple[list[list[int]], list[int], list[float]]:
    """Dependencies of each node, sizes of the chunks, and delays of the nodes in seconds."""
    size = draw(st.integers(1, 14))
    depends = [
        sorted(draw(st.sets(st.integers(0, node - 1), max_size=4))) if node else [] for node in range(size)
    ]
    chunks: list[int] = []
    while sum(chunks) < size:
        chunks.append(draw(st.integers(1, size - sum(chunks))))
    delays = draw(st.lists(st.sampled_from([0.0, 0.0, 0.001, 0.003]), min_size=size, max_size=size))
    return depends, chunks, delays


def nodes_of(depends: list[list[int]], delays: list[float]) -> list[Node]:
    return [
        call(f"n{node}", "work", node=node, inputs=all_refs(*(f"n{d}" for d in inputs)), seconds=delays[node])
        for node, inputs in enumerate(depends)
    ]


def chunked(nodes: Sequence[Node], sizes: Sequence[int]) -> list[Sequence[Node]]:
    parts: list[Sequence[Node]] = []
    for size in sizes:
        parts.append(nodes[:size])
        nodes = nodes[size:]
    return parts


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(dag=dags(), width=st.sampled_from([1, 2, 64]), sequential=st.booleans())
def test_random_graphs(
    dag: tuple[list[list[int]], list[int], list[float]], width: int, sequential: bool
) -> None:
    depends, sizes, delays = dag
    expected: list[int] = []
    for node, inputs in enumerate(depends):
        expected.append(node + 1 + 3 * sum(expected[i] for i in inputs))
    ran: Counter[int] = Counter()
    running = peak = 0

    @tool
    async def work(node: int, inputs: list[int], seconds: float) -> int:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        ran[node] += 1
        await asyncio.sleep(seconds)
        running -= 1
        return node + 1 + 3 * sum(inputs)

    async def go() -> None:
        recorded = Recorded()
        nodes = nodes_of(depends, delays)
        await recorded.run(
            tools=[work],
            chunks=chunked(nodes, sizes),
            limits=Limits(max_concurrency=width),
            sequential=sequential,
        )
        assert [recorded.graph.result(node.id) for node in nodes] == expected
        assert ran == Counter(range(len(depends)))
        for node, inputs in enumerate(depends):
            for source in inputs:
                assert recorded.at("node.finished", f"n{source}") < recorded.at("node.started", f"n{node}")
        if sequential:
            assert recorded.of("node.started") == [node.id for node in nodes]
        whole = Recorded()
        await whole.run(tools=[work], chunks=[nodes])
        shape = [(n["id"], n["depends_on"], n["result"]) for n in recorded.graph.to_dict()["nodes"]]
        assert shape == [(n["id"], n["depends_on"], n["result"]) for n in whole.graph.to_dict()["nodes"]]

    asyncio.run(go())
    assert peak <= 64


@st.composite
def plans(draw: st.DrawFn, *, deciding: bool = False) -> list[Node]:
    """Plans. Where joins decide by who is first, what is cancelled depends on the order of events."""
    policies = ["all", "first", "some", "vote", "confident"] if deciding else ["all"]
    nodes: list[Node] = []
    names: list[str] = []
    lists: list[str] = []

    def ref() -> Ref:
        if lists and draw(st.booleans()):
            return Ref(draw(st.sampled_from(lists)), (draw(st.integers(-2, 2)),))
        return Ref(draw(st.sampled_from(names)))

    for place in range(draw(st.integers(2, 10))):
        id = f"n{place}"
        guards: tuple[Guard, ...] = ()
        if names and draw(st.integers(0, 2)) == 0:
            guards = branch(Compare("!=", ref(), Const(draw(st.integers(0, 2)))), holds=draw(st.booleans()))
        value: Any = ref() if names and draw(st.booleans()) else draw(st.integers(0, 2))
        match draw(
            st.sampled_from(["same", "pause", "broken", "listed", "join", "join over", "map", "map over"])
        ):
            case "same":
                nodes.append(call(id, "same", guards=guards, x=value))
            case "pause":
                nodes.append(call(id, "pause", guards=guards, x=value, seconds=0.001))
            case "broken":
                nodes.append(call(id, "broken", guards=guards, x=value))
            case "listed":
                nodes.append(call(id, "same", guards=guards, x=[value, 1]))
            case "join":
                policy = draw(st.sampled_from(policies))
                parts = [expr(value), *([ref()] if names else []), Const(1)]
                count = 2 if policy == "some" else None
                nodes.append(joined(id, parts, policy, guards=guards, count=count))
            case "join over":
                over = draw(st.sampled_from(lists)) if lists else [Const(1)]
                nodes.append(joined(id, over, draw(st.sampled_from(policies)), guards=guards, count=2))
            case "map":
                items = [value, 0, ref() if names else 1]
                picked = mapped(id, items, draw(st.sampled_from(["same", "picky"])), x=Ref("m"))
                nodes.append(Node(id=id, op=picked.op, name=id, guards=guards))
                lists.append(id)
            case _:
                over = Ref(draw(st.sampled_from(names))) if names else [1, 2]
                on_error = draw(st.sampled_from(["fail", "collect"]))
                nodes.append(mapped(id, over, "picky", on_error=on_error, x=Ref("m")))
                lists.append(id)
        names.append(id)
    return nodes


@tool
async def picky(x: Any) -> Any:
    await asyncio.sleep(0)
    if x == 1:
        raise ValueError("one")
    return x


def told(graph: TaskGraph) -> dict[str, tuple[str, Any]]:
    return {n["id"]: (n["state"], n["result"]) for n in graph.to_dict()["nodes"]}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nodes=plans(), data=st.data())
def test_random_plans_end_the_same_way_in_every_order(nodes: list[Node], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(nodes) - 1))))
    chunks = [nodes[i:j] for i, j in pairwise([0, *cuts, len(nodes)])]
    width = data.draw(st.sampled_from([1, 2, 64]))

    async def go(chunks: list[list[Node]], **options: Any) -> dict[str, tuple[str, Any]]:
        recorded = Recorded()
        async with asyncio.timeout(20):
            await recorded.run(tools=[*TOOLS, picky], chunks=chunks, **options)
        return told(recorded.graph)

    expected = asyncio.run(go([nodes], sequential=True))
    assert asyncio.run(go(chunks, limits=Limits(max_concurrency=width))) == expected
    assert asyncio.run(go([[node] for node in nodes])) == expected


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nodes=plans(deciding=True), after=st.floats(0.0, 0.004), width=st.sampled_from([1, 64]))
def test_random_plans_can_be_cancelled_at_any_time(nodes: list[Node], after: float, width: int) -> None:
    async def go() -> None:
        graph = TaskGraph()
        task = asyncio.create_task(
            run_graph(
                graph,
                patches(graph, [[node] for node in nodes], gap=0.0005),
                RunContext(tools=ToolRegistry([*TOOLS, picky]), limits=Limits(max_concurrency=width)),
            )
        )
        await asyncio.sleep(after)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert_settled(graph)
        # The graph can be run again.
        outcome = await run_graph(graph, None, RunContext(tools=ToolRegistry(TOOLS)))
        assert outcome.stopped is None

    asyncio.run(go())
