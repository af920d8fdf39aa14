"""What a node of a graph costs: microseconds for each no-op node, beside bare asyncio and other frameworks.

    python benchmarks/node_overhead.py [--rounds 5] [--repeats 5] [--json]

1,000 no-op nodes in 10 layers of 100. Each reads the results of two nodes of the layer above. Arms take
turns, each in a process of its own, because heaps and threads of one would slow the others down. An arm has
one run to warm up. Its figure is the median of `--repeats` runs, and of these the median over the rounds. CPU
time counts all threads. Other frameworks come with `pip install --group bench`. One that is missing is named
and left out.

    python benchmarks/node_overhead.py --scale [--json]

The same for 100,000 and 1,000,000 nodes, Braid and bare asyncio, one run each, with the growth of resident
memory per node.

What an arm does in its time:

- *bare asyncio* starts a task for each node when its counter of missing inputs reaches zero, and passes
  values.
- *gather* starts all tasks at once. Each gathers its inputs' tasks.
- *Braid* checks and builds the graph, and keeps states, events and the budget as `Agent.run` does, with
  default limits and the nodes given as data.
- *streamed* hands each event to a listener at once.
- *pure tools* remembers results, so that equal calls are made once. Here there are none.
- *journal* writes everything into a file from which the run can be resumed. Its tools are pure, so it writes
  in groups.
- *commits* writes before each call, as it must when tools are not pure.
- *without events* is what the scheduler costs alone.

The other frameworks run a graph that was built before. They pass no values where that costs less: LangGraph
keeps one counter as its state, and pydantic-graph maps over the 100 nodes of a layer and joins. Dask passes
values, and dask.distributed is sent its graph in its time.
"""

# The other frameworks need not be installed where this is checked.
# pyright: reportMissingImports=false, reportMissingModuleSource=false, reportMissingTypeStubs=false
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false

import argparse
import asyncio
import gc
import importlib.util
import json
import operator
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from _timing import machine

from braid.engine import Budget
from braid.executors import GraphPatch, Limits, RunContext, TaskGraph, ToolRegistry, run_graph, tool
from braid.executors.journal.run_log import start_run
from braid.executors.journal.store import Journal
from braid.executors.nodes.nodes import Const, Expr, Node, Ref, ToolCall
from braid.executors.tools.memo import CallMemo
from braid.orchestrator.recorder import Recorder

WIDTH, FAN_IN = 100, 2
Plan = list[tuple[str, tuple[str, ...]]]


def layered(nodes: int) -> Plan:
    """Names and inputs: each node reads two of the layer above."""
    found: Plan = []
    for layer in range(nodes // WIDTH):
        for i in range(WIDTH):
            reads = tuple([f"n{layer - 1}_{(i + k) % WIDTH}" for k in range(FAN_IN)]) if layer else ()
            found.append((f"n{layer}_{i}", reads))
    return found


# Bare asyncio.


async def add(*inputs: int) -> int:
    """The work of a node: none."""
    return 1


async def bare(plan: Plan) -> None:
    """Run with ready counters, a task per node and values passed on: the least that must be done."""
    waiting = {name: len(reads) for name, reads in plan}
    inputs = dict(plan)
    readers: dict[str, list[str]] = {name: [] for name, _ in plan}
    for name, reads in plan:
        for source in reads:
            readers[source].append(name)
    results: dict[str, int] = {}

    async def run(name: str) -> None:
        results[name] = await add(*[results[source] for source in inputs[name]])
        for reader in readers[name]:
            waiting[reader] -= 1
            if waiting[reader] == 0:
                group.create_task(run(reader))

    async with asyncio.TaskGroup() as group:
        for name, reads in plan:
            if not reads:
                group.create_task(run(name))
    assert len(results) == len(plan)


async def gathering(plan: Plan) -> None:
    """Start all tasks at once. Each gathers what it reads."""
    tasks: dict[str, asyncio.Task[int]] = {}

    async def run(reads: tuple[str, ...]) -> int:
        inputs = await asyncio.gather(*[tasks[name] for name in reads])  # noqa: TID251 - what is measured
        return await add(*inputs)

    for name, reads in plan:
        tasks[name] = asyncio.create_task(run(reads))
    await asyncio.wait(tasks.values())


# Braid.


@tool(effect="idempotent")  # equal calls of a pure tool are made once: nothing would be measured
async def no_op(a: int = 0, b: int = 0) -> int:
    """Nothing."""
    return 1


@tool
async def pure_no_op(number: int, a: int = 0, b: int = 0) -> int:
    """Nothing, but each call has a number of its own."""
    return 1


def nodes_of(plan: Plan, called: str = "no_op") -> tuple[Node, ...]:
    """Braid's nodes for a plan."""

    def node(number: int, name: str, reads: tuple[str, ...]) -> Node:
        args: list[tuple[str, Expr]] = [(arg, Ref(source)) for arg, source in zip("ab", reads, strict=False)]
        if called == "pure_no_op":
            args.append(("number", Const(number)))
        return Node(id=name, name=name, op=ToolCall(called, tuple(args)))

    return tuple([node(number, name, reads) for number, (name, reads) in enumerate(plan)])


async def ours(nodes: tuple[Node, ...], listener: Any, **options: Any) -> TaskGraph:
    """Run nodes with Braid."""
    graph = TaskGraph()
    limits = Limits(max_nodes=max(10_000, len(nodes)))
    patches = _once(GraphPatch(0, nodes))
    outcome = await run_graph(
        graph,
        patches,
        RunContext(
            tools=options.pop("tools", TOOLS),
            emit=listener,
            memo=CallMemo(),
            budget=Budget().child("run"),
            limits=limits,
            **options,
        ),
    )
    assert not outcome.failures and graph.state(nodes[-1].id) == "done"
    return graph


async def _once(patch: GraphPatch) -> AsyncIterator[GraphPatch]:
    yield patch


TOOLS = ToolRegistry([no_op, pure_no_op])
PURE = ToolRegistry([tool(name="no_op", cache="never")(no_op.function)])


# Arms: each is prepared with the plan, outside of the time that counts, and then run.

Arm = Callable[[], Awaitable[object]]


def bare_asyncio(plan: Plan) -> Arm:
    """Bare asyncio."""
    return lambda: bare(plan)


def asyncio_gather(plan: Plan) -> Arm:
    """A task for each node from the start."""
    return lambda: gathering(plan)


def braid(plan: Plan) -> Arm:
    """Braid with events and budget."""
    nodes = nodes_of(plan)
    return lambda: ours(nodes, Recorder())


def braid_streamed(plan: Plan) -> Arm:
    """Braid with a listener."""
    nodes = nodes_of(plan)
    return lambda: ours(nodes, Recorder(lambda _: None))


def journaled(plan: Plan, tools: ToolRegistry) -> Arm:
    """Braid with a journal in a folder of its own."""
    nodes = nodes_of(plan)
    folder = tempfile.TemporaryDirectory()
    journal = Journal(Path(folder.name) / "journal.db")

    async def run() -> TaskGraph:
        assert folder  # it goes when nobody holds it any more
        log = start_run(journal, uuid.uuid4().hex)
        recorder = Recorder()
        recorder.write_to(log)
        graph = await ours(nodes, recorder, tools=tools, journal=log, run_id=log.run)
        log.finish("answered", None)
        return graph

    return run


def braid_journal(plan: Plan) -> Arm:
    """Braid with a journal, on pure tools."""
    return journaled(plan, PURE)


def braid_journal_idempotent(plan: Plan) -> Arm:
    """Braid with a journal that commits before each call."""
    return journaled(plan, TOOLS)


def braid_without_events(plan: Plan) -> Arm:
    """Braid's scheduler alone."""
    nodes = nodes_of(plan)
    return lambda: ours(nodes, None)


def braid_pure(plan: Plan) -> Arm:
    """Braid with calls that are remembered."""
    nodes = nodes_of(plan, "pure_no_op")
    return lambda: ours(nodes, Recorder())


def langgraph(plan: Plan) -> Arm:
    """LangGraph's StateGraph."""
    from langgraph.graph import START, StateGraph
    from typing_extensions import TypedDict

    class State(TypedDict):
        done: Annotated[int, operator.add]

    async def node(state: State) -> dict[str, int]:
        return {"done": 1}

    builder: Any = StateGraph(State)
    for name, reads in plan:
        builder.add_node(name, node)
        builder.add_edge(list(reads) if reads else START, name)
    compiled = builder.compile()

    async def run() -> None:
        state = await compiled.ainvoke({"done": 0}, {"recursion_limit": len(plan)})
        assert state["done"] == len(plan)

    return run


def pydantic_graph(plan: Plan) -> Arm:
    """A map and a join of pydantic-graph for each layer."""
    from pydantic_graph import (
        GraphBuilder,
        StepContext,
        reduce_list_append,
    )

    builder: Any = GraphBuilder(output_type=list[int])
    layers = len(plan) // WIDTH

    async def begin(context: StepContext[None, None, None]) -> list[int]:
        return [1] * WIDTH

    async def one(context: StepContext[None, None, int]) -> int:
        return 1

    first = builder.step(begin, node_id="begin")
    builder.add(builder.edge_from(builder.start_node).to(first))
    above = first
    for layer in range(layers):
        step = builder.step(one, node_id=f"layer{layer}")
        join = builder.join(reduce_list_append, initial_factory=list, node_id=f"join{layer}")
        builder.add(builder.edge_from(above).map().to(step), builder.edge_from(step).to(join))
        above = join
    builder.add(builder.edge_from(above).to(builder.end_node))
    graph = builder.build()

    async def run() -> None:
        assert len(await graph.run(state=None, deps=None)) == WIDTH

    return run


def dask_delayed(plan: Plan) -> Arm:
    """Dask on threads."""
    import dask

    given: Any = dask
    outputs = _dask_outputs(plan, given)

    async def run() -> None:
        given.compute(*outputs, scheduler="threads")

    return run


def dask_distributed(plan: Plan) -> Arm:
    """dask.distributed in this process."""
    import dask
    from distributed import Client

    make: Any = Client
    client = make(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None)

    async def run() -> None:
        client.gather(client.compute(_dask_outputs(plan, dask)))  # new names: results are cached by name

    return run


def _dask_outputs(plan: Plan, dask: Any) -> list[Any]:
    one = dask.delayed(lambda *inputs: 1, pure=False)
    made: dict[str, Any] = {}
    for name, reads in plan:
        made[name] = one(*[made[source] for source in reads])
    return [made[name] for name, _ in plan[-WIDTH:]]


ARMS: dict[str, tuple[Callable[[Plan], Arm], str]] = {
    "bare asyncio": (bare_asyncio, "asyncio"),
    "asyncio.gather": (asyncio_gather, "asyncio"),
    "braid": (braid, "braid.executors"),
    "braid, streamed": (braid_streamed, "braid.executors"),
    "braid, pure tools": (braid_pure, "braid.executors"),
    "braid, journal": (braid_journal, "braid.executors"),
    "braid, journal, commits": (braid_journal_idempotent, "braid.executors"),
    "braid, without events": (braid_without_events, "braid.executors"),
    "LangGraph StateGraph": (langgraph, "langgraph"),
    "pydantic-graph map": (pydantic_graph, "pydantic_graph"),
    "dask.delayed": (dask_delayed, "dask"),
    "dask.distributed": (dask_distributed, "distributed"),
}
"""What prepares an arm, and the module that it needs."""


def alone(name: str, nodes: int, repeats: int) -> dict[str, float]:
    """Run one arm in this process.

    Returns:
        Medians of microseconds per node, and the memory that the first run came to hold, in bytes per node.
    """
    plan = layered(nodes)
    before = resident()
    arm = ARMS[name][0](plan)
    seen: list[tuple[float, float]] = []
    with asyncio.Runner() as runner:
        with Peak() as peak:
            first = runner.run(timed(arm))
        for _ in range(repeats):
            seen.append(runner.run(timed(arm)))
    seen = seen or [first]  # a large graph is run once
    return {
        "cpu_us": statistics.median(cpu for cpu, _ in seen) / nodes * 1e6,
        "wall_us": statistics.median(wall for _, wall in seen) / nodes * 1e6,
        "bytes": (peak.bytes - before) / nodes,
    }


async def timed(arm: Arm) -> tuple[float, float]:
    """CPU and wall seconds of one run. Garbage is collected outside of its time."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    kept = await arm()
    seconds = time.process_time() - cpu, time.perf_counter() - wall
    del kept
    return seconds


def measure(names: Sequence[str], nodes: int, *, rounds: int, repeats: int) -> dict[str, dict[str, float]]:
    """Medians over the rounds, in each of which every arm has a process of its own."""
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, rows in seen.items():
            command = [
                sys.executable,
                __file__,
                "--alone",
                name,
                "--nodes",
                str(nodes),
                "--repeats",
                str(repeats),
            ]
            rows.append(
                json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            )
    return {
        name: {key: statistics.median(row[key] for row in rows) for key in ("cpu_us", "wall_us", "bytes")}
        for name, rows in seen.items()
    }


def resident() -> int:
    """Bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Peak:
    """The most memory that was held inside the block, looked at ten times a second."""

    def __enter__(self) -> Self:
        self.bytes = resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.bytes = max(self.bytes, resident())

    def __exit__(self, *exc: object) -> None:
        self.bytes = max(self.bytes, resident())
        self._over.set()
        self._thread.join()


def main() -> None:
    """Read the options, measure, and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=1000, help=argparse.SUPPRESS)
    parser.add_argument("--scale", action="store_true", help="100,000 and 1,000,000 nodes")
    parser.add_argument("--alone", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(alone(options.alone, options.nodes, options.repeats)))
        return
    missing = [name for name, (_, module) in ARMS.items() if importlib.util.find_spec(module) is None]
    about = machine()
    found: dict[int, dict[str, dict[str, float]]] = {}
    if options.scale:
        for nodes in (100_000, 1_000_000):
            found[nodes] = measure(("bare asyncio", "braid"), nodes, rounds=1, repeats=0)
    else:
        names = [name for name in ARMS if name not in missing]
        found[1000] = measure(names, 1000, rounds=options.rounds, repeats=options.repeats)
    if options.json:
        print(json.dumps({"machine": about, "arms": found, "missing": missing}))
        return
    for nodes, rows in found.items():
        print(f"{nodes:,} no-op nodes, layers of {WIDTH}, {FAN_IN} inputs each; microseconds per node")
        print(f"{'':<24}{'CPU':>9}{'wall':>9}{'x bare':>9}{'x braid':>9}" + f"{'bytes':>9}" * options.scale)
        base, mine = rows["bare asyncio"]["cpu_us"], rows["braid"]["cpu_us"]
        for name, row in rows.items():
            times = f"{row['cpu_us']:>9.1f}{row['wall_us']:>9.1f}"
            line = f"{name:<24}{times}{row['cpu_us'] / base:>9.2f}{row['cpu_us'] / mine:>9.2f}"
            print(line + f"{row['bytes']:>9,.0f}" * options.scale)
    for name in missing:
        print(f"{name:<24} is not installed: pip install --group bench")
    print(", ".join(f"{key} {value}" for key, value in about.items()))


if __name__ == "__main__":
    main()
