"""How close dispatch comes to the critical path, and what a node costs.

python benchmarks/dispatch.py [--repeats 5] [--json]
    A scripted planner writes statements at fixed times; tools take fixed times. For each shape: our makespan, the bound
    (no schedule can end earlier, statement arrival times included), and the same stream run one node at a time. Arms
    alternate; medians over the repeats.
python benchmarks/dispatch.py --overhead [--repeats 9] [--json]
    Microseconds for each no-op node, 1,000 nodes in 10 layers of 100, against bare asyncio: a task per node, ready
    counters, and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine import Event
from executors import (
    Answer,
    Const,
    GraphPatch,
    Limits,
    ListOf,
    Node,
    Ref,
    TaskGraph,
    ToolCall,
    ToolRegistry,
    run_graph,
    tool,
)


@dataclass(frozen=True)
class Step:
    """A statement: what it reads, how long its tool takes, and when it arrives, in seconds after the planner began."""

    name: str
    reads: tuple[str, ...]
    seconds: float
    arrives: float


@dataclass(frozen=True)
class Shape:
    name: str
    steps: tuple[Step, ...]

    def bound(self) -> float:
        """When the last needed step can end at the earliest: each starts once it has arrived and its inputs exist."""
        ends: dict[str, float] = {}
        for step in self.steps:
            ends[step.name] = max([step.arrives, *(ends[name] for name in step.reads)]) + step.seconds
        return max([self.answer_arrives, *ends.values()])

    def one_at_a_time(self) -> float:
        """The sum that a sequential run cannot beat: the whole stream, then every tool."""
        return self.answer_arrives + sum(step.seconds for step in self.steps)

    @property
    def answer_arrives(self) -> float:
        return self.steps[-1].arrives


def shapes(unit: float) -> list[Shape]:
    """Tools take 1 to 4 units; a statement takes a fifth of a unit to write."""
    gap = unit / 5

    def fan_out() -> Shape:
        steps = [Step(f"s{i}", (), unit * (2 + i % 3), gap * (i + 1)) for i in range(8)]
        steps.append(Step("total", tuple(step.name for step in steps), unit, gap * 9))
        return Shape("fan-out 8, then one", tuple(steps))

    def chain() -> Shape:
        steps = [Step(f"c{i}", (f"c{i - 1}",) if i else (), unit, gap * (i + 1)) for i in range(6)]
        return Shape("chain of 6", tuple(steps))

    def diamonds() -> Shape:
        steps: list[Step] = []
        above: tuple[str, ...] = ()
        for layer in range(3):
            names = tuple(f"d{layer}_{i}" for i in range(4))
            for i, name in enumerate(names):
                steps.append(Step(name, above, unit * (1 + (i + layer) % 3), gap * (len(steps) + 1)))
            join = Step(f"j{layer}", names, unit / 2, gap * (len(steps) + 1))
            steps.append(join)
            above = (join.name,)
        return Shape("3 diamonds of 4", tuple(steps))

    def silent() -> Shape:
        # The planner pauses for long after two lines; the reader of the first must not wait for it to speak again.
        first = [Step("a", (), unit, gap), Step("b", ("a",), 4 * unit, 2 * gap)]
        return Shape("planner silent after 2 lines", (*first, Step("c", ("b",), unit, gap + 4 * unit)))

    return [fan_out(), chain(), diamonds(), silent()]


@tool
async def work(seconds: float, reads: list[float]) -> float:
    """Take a fixed time."""
    await asyncio.sleep(seconds)
    return seconds


def node_of(step: Step) -> Node:
    reads = ListOf(tuple(Ref(name) for name in step.reads))
    return Node(
        id=step.name,
        name=step.name,
        op=ToolCall("work", (("seconds", Const(step.seconds)), ("reads", reads))),
    )


async def planner(shape: Shape, graph: TaskGraph) -> AsyncIterator[GraphPatch]:
    """The scripted stream: each statement at its time on the clock, so that lateness does not add up."""
    began = time.perf_counter()
    for step in shape.steps:
        wait = step.arrives - (time.perf_counter() - began)
        if wait > 0:
            await asyncio.sleep(wait)
        yield GraphPatch(graph.version, (node_of(step),))
    answer = Node(id="answer", op=Answer(tuple(Ref(step.name) for step in shape.steps)))
    yield GraphPatch(graph.version, (answer,))


def run_shape(shape: Shape, *, sequential: bool) -> float:
    """Seconds from the planner's begin to the answer."""

    async def go() -> float:
        graph = TaskGraph()
        events: list[Event] = []
        began = time.perf_counter()
        outcome = await run_graph(
            graph,
            planner(shape, graph),
            tools=ToolRegistry([work]),
            emit=events.append,
            sequential=sequential,
        )
        seconds = time.perf_counter() - began
        if not outcome.answered:
            raise SystemExit(f"{shape.name}: no answer: {outcome}")
        return seconds

    return asyncio.run(go())


@dataclass(frozen=True)
class Row:
    shape: str
    nodes: int
    bound_s: float
    ours_s: float
    sequential_s: float
    ours_over_bound: float
    speedup: float


def dispatch(repeats: int, unit: float) -> list[Row]:
    rows: list[Row] = []
    for shape in shapes(unit):
        ours: list[float] = []
        one: list[float] = []
        for _ in range(repeats):
            ours.append(run_shape(shape, sequential=False))
            one.append(run_shape(shape, sequential=True))
        bound, a, b = shape.bound(), statistics.median(ours), statistics.median(one)
        rows.append(Row(shape.name, len(shape.steps), bound, a, b, a / bound, b / a))
    return rows


# What a node costs.

LAYERS, WIDTH, FAN_IN = 10, 100, 2


def layered() -> list[tuple[str, tuple[str, ...]]]:
    """Names and inputs: each node reads two of the layer above."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for layer in range(LAYERS):
        for i in range(WIDTH):
            reads = tuple(f"n{layer - 1}_{(i + k) % WIDTH}" for k in range(FAN_IN)) if layer else ()
            found.append((f"n{layer}_{i}", reads))
    return found


async def bare() -> float:
    """Ready counters and a task per node in a TaskGroup: the least that a dynamic graph on asyncio can cost."""
    plan = layered()
    began = time.process_time()
    waiting = {name: len(reads) for name, reads in plan}
    readers: dict[str, list[str]] = {name: [] for name, _ in plan}
    for name, reads in plan:
        for source in reads:
            readers[source].append(name)
    results: dict[str, int] = {}

    async def no_op() -> int:
        return 1

    async def run(name: str) -> None:
        results[name] = await no_op()
        for reader in readers[name]:
            waiting[reader] -= 1
            if waiting[reader] == 0:
                group.create_task(run(reader))

    async with asyncio.TaskGroup() as group:
        for name, reads in plan:
            if not reads:
                group.create_task(run(name))
    seconds = time.process_time() - began
    assert len(results) == len(plan)
    return seconds


@tool
async def no_op(a: int = 0, b: int = 0) -> int:
    """Nothing."""
    return 1


def ours(*, events: bool) -> Callable[[], Awaitable[float]]:
    async def go() -> float:
        nodes = tuple(
            Node(
                id=name,
                name=name,
                op=ToolCall("no_op", tuple(zip("ab", (Ref(source) for source in reads), strict=False))),
            )
            for name, reads in layered()
        )
        heard: list[Event] = []
        graph = TaskGraph()
        tools = ToolRegistry([no_op])
        began = time.process_time()
        graph.apply(GraphPatch(0, nodes))
        await run_graph(
            graph,
            None,
            tools=tools,
            emit=heard.append if events else None,
            limits=Limits(max_concurrency=1000),
        )
        seconds = time.process_time() - began
        assert all(graph.state(node.id) == "done" for node in nodes)
        return seconds

    return go


def overhead(repeats: int) -> dict[str, float]:
    """Microseconds of CPU time per node, medians; arms alternate."""
    arms: dict[str, Callable[[], Awaitable[float]]] = {
        "bare asyncio": bare,
        "braid, events off": ours(events=False),
        "braid, events on": ours(events=True),
    }
    times: dict[str, list[float]] = {name: [] for name in arms}

    async def one(arm: Callable[[], Awaitable[float]]) -> float:
        return await arm()

    for _ in range(repeats):
        for name, arm in arms.items():
            times[name].append(asyncio.run(one(arm)))
    return {name: statistics.median(seen) / (LAYERS * WIDTH) * 1e6 for name, seen in times.items()}


def machine() -> dict[str, str | int | float]:
    """What the numbers were measured on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count() or 0,
        "threads": threading.active_count(),
        "load": round(os.getloadavg()[0], 2),
    }


def show(rows: Sequence[Row]) -> None:
    print(
        f"{'shape':<30}{'nodes':>6}{'bound s':>10}{'ours s':>10}{'ours/bound':>12}{'one by one s':>14}{'speed-up':>10}"
    )
    for r in rows:
        print(
            f"{r.shape:<30}{r.nodes:>6}{r.bound_s:>10.3f}{r.ours_s:>10.3f}{r.ours_over_bound:>12.3f}"
            f"{r.sequential_s:>14.3f}{r.speedup:>9.2f}x"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--overhead", action="store_true", help="microseconds per no-op node instead of makespans"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--unit", type=float, default=0.05, help="seconds of the shortest tool")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    about = machine()
    if options.overhead:
        costs = overhead(options.repeats)
        ratios = {name: cost / costs["bare asyncio"] for name, cost in costs.items()}
        if options.json:
            print(json.dumps({"machine": about, "us_per_node": costs, "ratio_to_bare": ratios}))
            return
        print(
            f"{LAYERS * WIDTH} no-op nodes, {LAYERS} layers of {WIDTH}, {FAN_IN} inputs each; medians of {options.repeats}"
        )
        for name, cost in costs.items():
            print(f"{name:<20}{cost:>8.1f} us CPU per node{ratios[name]:>8.2f}x bare")
    else:
        rows = dispatch(options.repeats, options.unit)
        if options.json:
            print(
                json.dumps(
                    {"machine": about, "unit_s": options.unit, "shapes": [asdict(row) for row in rows]}
                )
            )
            return
        print(f"tools of {options.unit:g} s and more; medians of {options.repeats}, arms alternating")
        show(rows)
    print(", ".join(f"{key} {value}" for key, value in about.items()))


if __name__ == "__main__":
    main()
