"""How close a run comes to list scheduling, on a virtual clock."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from braid.executors import GraphPatch, Limits, RunContext, TaskGraph, ToolRegistry, run_graph, tool
from braid.executors.nodes import Node
from tests.support.virtual_clock import run_virtually
from tests.support.written_plans import all_refs, call


@dataclass(frozen=True)
class Problem:
    """A random graph: what each node reads, how long it takes, and how many may run at once."""

    reads: list[list[int]]
    seconds: list[float]
    width: int

    @property
    def ranks(self) -> list[float]:
        """The longest chain that begins with each node, in seconds."""
        ranks = list(self.seconds)
        behind = [0.0] * len(ranks)
        for node in reversed(range(len(ranks))):
            ranks[node] = self.seconds[node] + behind[node]
            for source in self.reads[node]:
                behind[source] = max(behind[source], ranks[node])
        return ranks

    def list_schedule(self) -> float:
        """The makespan of list scheduling by rank, simulated."""
        waiting = [len(sources) for sources in self.reads]
        readers: list[list[int]] = [[] for _ in self.reads]
        for node, sources in enumerate(self.reads):
            for source in sources:
                readers[source].append(node)
        ranks = self.ranks
        ready = [(-ranks[node], node) for node, count in enumerate(waiting) if not count]
        heapq.heapify(ready)
        running: list[tuple[float, int]] = []
        now = 0.0
        while ready or running:
            while ready and len(running) < self.width:
                _, node = heapq.heappop(ready)
                heapq.heappush(running, (now + self.seconds[node], node))
            now, ended = heapq.heappop(running)
            for reader in readers[ended]:
                waiting[reader] -= 1
                if not waiting[reader]:
                    heapq.heappush(ready, (-ranks[reader], reader))
        return now


def problem(seed: int) -> Problem:
    rng = random.Random(seed)
    size = rng.randint(20, 120)
    locality = rng.choice([5, 20, size])
    reads: list[list[int]] = []
    for node in range(size):
        near = range(max(0, node - locality), node)
        reads.append(sorted(rng.sample(near, min(len(near), rng.choice([0, 1, 1, 2, 3])))))
    return Problem(reads, [rng.lognormvariate(0, 1) for _ in range(size)], rng.choice([2, 3, 4, 8]))


def nodes_of(given: Problem) -> tuple[Node, ...]:
    return tuple(
        call(f"n{node}", "work", node=node, reads=all_refs(*(f"n{source}" for source in sources)))
        for node, sources in enumerate(given.reads)
    )


def makespan(given: Problem, *, informed: bool) -> float:
    @tool(effect="idempotent")
    async def work(node: int, reads: list[int]) -> int:
        await asyncio.sleep(given.seconds[node])
        return node

    async def go(clock: Callable[[], float]) -> None:
        graph = TaskGraph()
        graph.apply(GraphPatch(0, nodes_of(given)))
        outcome = await run_graph(
            graph,
            None,
            RunContext(
                clock=clock,
                tools=ToolRegistry([work]),
                limits=Limits(max_concurrency=given.width),
                estimate=(lambda node: given.seconds[int(node.id[1:])]) if informed else None,
            ),
        )
        assert not outcome.failures
        assert all(graph.state(id) == "done" for id in graph.nodes)

    return run_virtually(go)[1]


def check(seeds: range) -> None:
    for seed in seeds:
        given = problem(seed)
        longest, work = max(given.ranks), sum(given.seconds)
        simulated = given.list_schedule()
        taken = makespan(given, informed=True)
        assert taken >= max(longest, work / given.width) - 1e-6
        assert taken <= simulated * 1.02, f"seed {seed}: {taken} s, list scheduling takes {simulated} s"
        # Without knowing durations beforehand, any list schedule stays below Graham's bound.
        learning = makespan(given, informed=False)
        assert learning <= work / given.width + longest * (1 - 1 / given.width) + 1e-6


def test_random_graphs_are_scheduled_as_by_a_list_scheduler() -> None:
    check(range(20))


@pytest.mark.long
def test_200_random_graphs_are_scheduled_as_by_a_list_scheduler() -> None:
    check(range(20, 220))


def test_the_longest_chain_goes_first() -> None:
    # Ten short nodes stand before a chain of three. Two slots: in plan order the chain would start last.
    reads: list[list[int]] = [[] for _ in range(11)] + [[10], [11]]
    given = Problem(reads, [1.0] * 10 + [4.0] * 3, 2)
    assert makespan(given, informed=True) == pytest.approx(12.0)
    # By the graph's shape alone, before any duration is known, the chain of three comes first, too.
    assert makespan(given, informed=False) == pytest.approx(13.0)


def test_what_a_tool_took_decides_who_goes_first() -> None:
    starts: list[str] = []

    @tool(effect="idempotent")
    async def quick(x: int) -> int:
        starts.append("quick")
        await asyncio.sleep(1)
        return x

    @tool(effect="idempotent")
    async def slow(x: int) -> int:
        starts.append("slow")
        await asyncio.sleep(10)
        return x

    async def go(clock: Callable[[], float]) -> None:
        graph = TaskGraph()
        kinds = ["slow", *["quick"] * 16, *["slow"] * 3]
        graph.apply(GraphPatch(0, tuple(call(f"n{i}", kind, x=i) for i, kind in enumerate(kinds))))
        await run_graph(
            graph,
            None,
            RunContext(clock=clock, tools=ToolRegistry([quick, slow]), limits=Limits(max_concurrency=2)),
        )

    run_virtually(go)
    # Until the first slow node has ended, both tools seem alike. Then the other slow ones go first.
    assert starts[:10] == ["slow", *["quick"] * 9]
    assert starts[-5:] == ["quick"] * 5
