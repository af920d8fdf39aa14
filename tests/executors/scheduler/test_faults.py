"""Tools at their worst: the run ends, the states are right, and siblings come to their results."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from braid.executors import (
    GraphPatch,
    Limits,
    RunContext,
    TaskGraph,
    Tool,
    ToolContext,
    ToolRegistry,
    run_graph,
    tool,
)
from braid.executors.nodes import Ref
from tests.support.written_plans import Recorded, all_refs, answer, call, mapped

SIBLINGS = 20


@tool
async def same(x: Any) -> Any:
    return x


@tool
async def pause(x: int) -> int:
    await asyncio.sleep(0.02)
    return x


async def with_siblings(
    bad: Tool[..., Any], *, limits: Limits | None = None, within: float = 20.0
) -> Recorded:
    """Run a node of `bad`, a reader of it, and siblings with readers. The siblings must do their work."""
    recorded = Recorded()
    siblings = [call(f"s{i}", "pause", x=i) for i in range(SIBLINGS)]
    readers = [call(f"r{i}", "same", x=Ref(f"s{i}")) for i in range(SIBLINGS)]
    plan = [call("bad", "bad", x=1), call("reader", "same", x=Ref("bad")), *siblings, *readers]
    async with asyncio.timeout(within):
        await recorded.run(*plan, tools=[bad, same, pause], chunks=[plan], limits=limits or Limits())
    for i in range(SIBLINGS):
        assert recorded.graph.result(f"r{i}") == i
    return recorded


@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        KeyboardInterrupt(),
        SystemExit(3),
        asyncio.CancelledError(),
        StopIteration(1),
        StopAsyncIteration(),
        GeneratorExit(),
        MemoryError(),
        RecursionError(),
        ExceptionGroup("several", [ValueError("a"), TypeError("b")]),
        BaseException(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_tool_raises_fails_its_node_and_nothing_else(
    error: BaseException, threaded: bool
) -> None:
    def in_a_thread(x: int) -> int:
        raise error

    async def at_once(x: int) -> int:
        raise error

    recorded = await with_siblings(tool(name="bad")(in_a_thread if threaded else at_once))
    assert recorded.graph.state("bad") == "failed"
    assert recorded.graph.state("reader") == "blocked"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), StopIteration(1), GeneratorExit()])
async def test_raised_after_waiting(error: BaseException) -> None:
    @tool
    async def bad(x: int) -> int:
        await asyncio.sleep(0.01)
        raise error

    recorded = await with_siblings(bad)
    assert recorded.graph.state("bad") == "failed"


@pytest.mark.parametrize("how", ["timeout of the tool", "timeout of the run"])
async def test_a_tool_that_hangs(how: str) -> None:
    async def bad(x: int) -> int:
        await asyncio.Event().wait()
        return x

    own = 0.1 if how == "timeout of the tool" else None
    recorded = await with_siblings(tool(timeout=own)(bad), limits=Limits(node_timeout=0.3))
    assert recorded.graph.state("bad") == "failed"
    assert recorded.graph.state("reader") == "blocked"


async def test_a_tool_that_hangs_in_a_thread_is_abandoned() -> None:
    @tool(timeout=0.1)
    def bad(x: int) -> int:
        time.sleep(3)
        return x

    recorded = await with_siblings(bad)
    assert recorded.graph.state("bad") == "failed"
    assert recorded.of("tool.abandoned") == ["bad"]


async def test_a_tool_that_will_not_be_cancelled_has_its_result_thrown_away() -> None:
    async def bad(x: int) -> int:
        until = asyncio.get_running_loop().time() + 0.3
        while (rest := until - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.sleep(rest)
            except asyncio.CancelledError:
                continue
        return x

    recorded = Recorded()
    graph = recorded.graph

    async def stream() -> Any:
        yield GraphPatch(0, (call("bad", "bad", x=1), call("reader", "same", x=Ref("bad"))))
        await asyncio.sleep(0.02)
        yield GraphPatch(1, (call("other", "same", x=2),), cancel=("bad",))

    async with asyncio.timeout(10):
        await run_graph(
            graph, stream(), RunContext(tools=ToolRegistry([Tool(bad), same]), emit=recorded.events.append)
        )
    assert graph.state("bad") == "cancelled"
    assert graph.state("reader") == "blocked"
    assert graph.result("other") == 2


class Hostile:
    """A value whose every special method raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"do not touch {name}")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


def _deep() -> list[Any]:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    return deep


@pytest.mark.parametrize(
    "garbage", ["hostile", "circle", "deep", "surrogate", "class", "generator", "digits"]
)
async def test_a_tool_that_returns_garbage(garbage: str) -> None:
    values: dict[str, Any] = {
        "hostile": Hostile(),
        "circle": _circle(),
        "deep": _deep(),
        "surrogate": "\ud800",
        "class": Hostile,
        "generator": (i for i in range(3)),
        "digits": 10**50_000,
    }

    async def bad(x: int) -> Any:
        return values[garbage]

    recorded = await with_siblings(Tool(bad))
    assert recorded.graph.state("bad") == "done"
    found = recorded.graph.result("bad")
    # A list that holds itself is copied, and its copy does so too.
    assert found is (found[0] if garbage == "circle" else values[garbage])
    for event in recorded.events:
        assert event.kind


async def test_a_result_of_100_mb_is_passed_on_and_told_in_short() -> None:
    big = "x" * 100_000_000

    async def bad(x: int) -> str:
        return big

    recorded = await with_siblings(Tool(bad))
    assert recorded.graph.result("reader") is big
    told = sum(len(event.model_dump_json()) for event in recorded.events)
    assert told < 100_000


async def test_a_list_of_a_million_items_is_told_in_short() -> None:
    async def bad(x: int) -> list[int]:
        return list(range(1_000_000))

    recorded = await with_siblings(Tool(bad))
    assert sum(len(event.model_dump_json()) for event in recorded.events) < 100_000


async def test_the_children_of_a_tool_die_with_it(tmp_path: Path) -> None:
    pids: list[int] = []

    @tool
    async def bad(x: int) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "import time; time.sleep(60)", start_new_session=True
        )
        pids.append(process.pid)
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    recorded = await with_siblings(bad, limits=Limits(node_timeout=0.5))
    assert recorded.graph.state("bad") == "failed"
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_process_that_a_tool_leaves_behind_does_not_hold_the_run() -> None:
    left: list[subprocess.Popen[bytes]] = []

    @tool
    def bad(x: int) -> int:
        left.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))
        return x

    try:
        recorded = await with_siblings(bad)
        assert recorded.graph.result("reader") == 1
    finally:
        for process in left:
            process.kill()
            process.wait()


async def test_a_tool_that_blocks_the_loop_delays_the_others_and_no_more() -> None:
    @tool
    async def bad(x: int) -> int:
        time.sleep(1.0)  # noqa: ASYNC251 - what is tested
        return x

    recorded = await with_siblings(bad)
    assert recorded.graph.result("reader") == 1
    ends = [recorded.graph.entry(f"r{i}").finished or 0.0 for i in range(SIBLINGS)]
    assert max(ends) < 5.0


async def test_calls_that_never_wait_leave_the_loop_to_others() -> None:
    # A quarter of a second of computing in small steps: a timer must fire in between.
    @tool(effect="idempotent")
    async def step(x: int) -> int:
        until = time.perf_counter() + 0.0005
        while time.perf_counter() < until:
            pass
        return x

    graph = TaskGraph()
    graph.apply(GraphPatch(0, tuple(call(f"n{i}", "step", x=i) for i in range(500))))
    done_at_tick: list[int] = []

    async def tick() -> None:
        await asyncio.sleep(0.05)
        done_at_tick.append(sum(graph.state(id) == "done" for id in graph.nodes))

    async with asyncio.TaskGroup() as group:
        group.create_task(tick())
        await run_graph(graph, None, RunContext(tools=ToolRegistry([step])))
    assert done_at_tick[0] < 500


async def test_a_tool_that_cancels_its_own_task_hurts_nobody() -> None:
    @tool
    async def bad(x: int) -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return x

    recorded = await with_siblings(bad)
    assert recorded.graph.state("bad") in ("done", "cancelled", "failed")


async def test_a_timeout_of_a_tools_own_does_not_leak_into_the_next() -> None:
    @tool(effect="idempotent")
    async def bad(x: int) -> int:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(1)
        except TimeoutError:
            return -1
        return x

    recorded = await with_siblings(bad)
    assert recorded.graph.result("bad") == -1


@pytest.mark.parametrize("waits", [False, True])
async def test_ten_thousand_calls_at_once_under_a_cap_of_100(waits: bool) -> None:
    running = peak = total = 0

    @tool(max_concurrency=100, effect="idempotent")
    async def capped(x: int) -> int:
        nonlocal running, peak, total
        running += 1
        total += 1
        peak = max(peak, running)
        if waits:
            await asyncio.sleep(0)
        running -= 1
        return x

    recorded = Recorded()
    limits = Limits(max_concurrency=10_000, max_nodes=20_000)
    nodes = [call(f"n{i}", "capped", x=i) for i in range(10_000)]
    async with asyncio.timeout(60):
        await recorded.run(*nodes, tools=[capped], chunks=[nodes], limits=limits)
    assert total == 10_000
    assert running == 0
    assert peak == (100 if waits else 1)


async def test_a_map_over_ten_thousand_items() -> None:
    @tool(max_concurrency=100, effect="idempotent")
    async def capped(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    @tool
    async def numbers() -> list[int]:
        return list(range(9_000))

    recorded = Recorded()
    plan = [call("xs", "numbers"), mapped("ys", Ref("xs"), "capped", x=Ref("m")), answer(Ref("ys"))]
    outcome = await recorded.run(*plan, tools=[capped, numbers])
    assert outcome.answer == ([i + 1 for i in range(9_000)],)


async def test_many_failures_at_once() -> None:
    @tool
    async def bad(x: int) -> int:
        await asyncio.sleep(0.001 * (x % 3))
        raise ValueError(x)

    recorded = Recorded()
    nodes = [call(f"n{i}", "bad", x=i) for i in range(1000)]
    total = call("total", "same", x=all_refs(*(f"n{i}" for i in range(1000))))
    outcome = await recorded.run(*nodes, total, tools=[bad, same], chunks=[[*nodes, total]])
    assert len(outcome.failures) == 1000
    assert outcome.blocked == ("total",)


@pytest.mark.parametrize("when", [0.0, 0.005, 0.05])
async def test_a_cancelled_run_leaves_no_task_and_no_state_open(when: float) -> None:
    @tool(effect="idempotent")
    async def mixed(x: int) -> int:
        if x % 2:
            await asyncio.sleep(0.01 * (x % 5))
        return x

    graph = TaskGraph()
    nodes = [call(f"n{i}", "mixed", x=i) for i in range(300)]
    graph.apply(GraphPatch(0, tuple(nodes)))
    before: Sequence[Any] = list(asyncio.all_tasks())
    run = asyncio.create_task(
        run_graph(graph, None, RunContext(tools=ToolRegistry([mixed]), limits=Limits(max_concurrency=16)))
    )
    await asyncio.sleep(when)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert {graph.state(node.id) for node in nodes} <= {"done", "cancelled"}
    assert set(asyncio.all_tasks()) == set(before)


async def test_a_tool_that_asks_for_its_context_gets_its_own_after_instant_calls() -> None:
    keys: list[str] = []

    @tool(effect="idempotent")
    async def keyed(context: ToolContext[None], x: int) -> int:
        keys.append(context.idempotency_key)
        return x

    recorded = Recorded()
    nodes = [call(f"n{i}", "keyed", x=i) for i in range(50)]
    await recorded.run(*nodes, tools=[keyed], chunks=[nodes])
    assert len(set(keys)) == 50
