"""How close dispatch comes to the critical path, and what a node costs.

    python benchmarks/dispatch.py [--repeats 5] [--json]

A scripted planner writes statements at fixed times. Tools take fixed times. Three figures are printed for
each shape: our makespan, the bound, and the makespan of the same stream run one node at a time. The bound
counts the arrival times of statements. No schedule can end earlier. Arms alternate. The figures are medians
over the repeats.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass

from _timing import machine

from braid.engine import Event
from braid.executors import GraphPatch, RunContext, TaskGraph, ToolRegistry, run_graph, tool
from braid.executors.nodes.nodes import Answer, Const, ListOf, Node, Ref, ToolCall


@dataclass(frozen=True)
class Step:
    """A statement of the scripted planner."""

    name: str
    reads: tuple[str, ...]
    """Names of the statements whose results it reads."""
    seconds: float
    """How long its tool takes."""
    arrives: float
    """Seconds from the planner's begin until it is written."""


@dataclass(frozen=True)
class Shape:
    """A stream of statements."""

    name: str
    steps: tuple[Step, ...]

    def bound(self) -> float:
        """The earliest time at which the last step can end.

        A step starts once it has arrived and its inputs exist.
        """
        ends: dict[str, float] = {}
        for step in self.steps:
            ends[step.name] = max([step.arrives, *(ends[name] for name in step.reads)]) + step.seconds
        return max([self.answer_arrives, *ends.values()])

    def one_at_a_time(self) -> float:
        """The bound of a sequential run: the whole stream, then every tool."""
        return self.answer_arrives + sum(step.seconds for step in self.steps)

    @property
    def answer_arrives(self) -> float:
        return self.steps[-1].arrives


def shapes(unit: float) -> list[Shape]:
    """The shapes. Tools take 1 to 4 units. A statement takes a fifth of a unit to write."""
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
        # The planner pauses for long after two lines; the reader of the first must not wait for it to speak
        # again.
        first = [Step("a", (), unit, gap), Step("b", ("a",), 4 * unit, 2 * gap)]
        return Shape("planner silent after 2 lines", (*first, Step("c", ("b",), unit, gap + 4 * unit)))

    return [fan_out(), chain(), diamonds(), silent()]


@tool
async def work(seconds: float, reads: list[float]) -> float:
    """Take a fixed time."""
    await asyncio.sleep(seconds)
    return seconds


def node_of(step: Step) -> Node:
    """The graph node of a statement."""
    reads = ListOf(tuple(Ref(name) for name in step.reads))
    return Node(
        id=step.name,
        name=step.name,
        op=ToolCall("work", (("seconds", Const(step.seconds)), ("reads", reads))),
    )


async def planner(shape: Shape, graph: TaskGraph) -> AsyncIterator[GraphPatch]:
    """The scripted stream. Each statement comes at its time on the clock, so lateness does not add up."""
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
            RunContext(tools=ToolRegistry([work]), emit=events.append),
            sequential=sequential,
        )
        seconds = time.perf_counter() - began
        if not outcome.answered:
            raise SystemExit(f"{shape.name}: no answer: {outcome}")
        return seconds

    return asyncio.run(go())


@dataclass(frozen=True)
class Row:
    """Figures of one shape."""

    shape: str
    nodes: int
    bound_s: float
    ours_s: float
    sequential_s: float
    ours_over_bound: float
    speedup: float


def dispatch(repeats: int, unit: float) -> list[Row]:
    """Measure every shape, with alternating arms."""
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


def show(rows: Sequence[Row]) -> None:
    """Print a table of the rows."""
    print(
        f"{'shape':<30}{'nodes':>6}{'bound s':>10}{'ours s':>10}{'ours/bound':>12}"
        f"{'one by one s':>14}{'speed-up':>10}"
    )
    for r in rows:
        print(
            f"{r.shape:<30}{r.nodes:>6}{r.bound_s:>10.3f}{r.ours_s:>10.3f}{r.ours_over_bound:>12.3f}"
            f"{r.sequential_s:>14.3f}{r.speedup:>9.2f}x"
        )


def main() -> None:
    """Read the options, measure, and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--unit", type=float, default=0.05, help="seconds of the shortest tool")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    about = machine()
    rows = dispatch(options.repeats, options.unit)
    if options.json:
        print(json.dumps({"machine": about, "unit_s": options.unit, "shapes": [asdict(row) for row in rows]}))
        return
    print(f"tools of {options.unit:g} s and more; medians of {options.repeats}, arms alternating")
    show(rows)
    print(", ".join(f"{key} {value}" for key, value in about.items()))


if __name__ == "__main__":
    main()
