"""Cancelling a run reaches all that it started: HTTP requests, the engine's KV, threads, waiting calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from braid.engine import Budget, connect
from braid.executors import (
    GraphPatch,
    Limits,
    RunContext,
    RunOutcome,
    ToolContext,
    ToolRegistry,
    run_graph,
    tool,
)
from braid.executors.nodes import Const, Node, Ref, Think
from braid.executors.scheduler import ToolCallRequest
from tests.support.tiny_models import build_model
from tests.support.written_plans import Recorded, answer, call, mapped, patches


class Listener:
    """A server that takes requests, never answers, and knows which connections are still open."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hung_up = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        await reader.read()  # returns when the client hangs up
        self.hung_up.set()
        writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Listener, str]]:
    listener = Listener()
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    async with server:
        yield listener, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@pytest.mark.parametrize("how", ["caller", "timeout", "budget", "revision"])
async def test_the_request_of_a_cancelled_tool_is_hung_up(how: str) -> None:
    @tool
    async def fetch(url: str) -> str:
        async with httpx.AsyncClient(timeout=60) as client:
            return (await client.get(url)).text

    async with listening() as (listener, url), asyncio.timeout(20):
        run = Recorded()
        limits = Limits(node_timeout=0.2) if how == "timeout" else Limits()
        budget = Budget(seconds=0.2) if how == "budget" else Budget()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(
                carry_out(run, [call("a", "fetch", url=url)], [fetch], limits=limits, budget=budget)
                if how != "revision"
                else _revised(run, url, fetch, listener)
            )
            await listener.asked.wait()
            if how == "caller":
                task.cancel()
            await listener.hung_up.wait()
            await asyncio.wait([task])
        assert run.graph.state("a") == ("failed" if how == "timeout" else "cancelled")


async def carry_out(run: Recorded, nodes: Sequence[Node], tools: Sequence[Any], **options: Any) -> RunOutcome:
    """`Recorded.run` for a task that is not the only one."""
    return await run_graph(
        run.graph,
        patches(run.graph, [nodes]),
        RunContext(tools=ToolRegistry(tools), emit=run.events.append, **options),
    )


async def _revised(run: Recorded, url: str, fetch: Any, listener: Listener) -> None:
    async def revision() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(0, (call("a", "fetch", url=url),))
        await listener.asked.wait()
        yield GraphPatch(run.graph.version, (), ("a",), "not needed any more")

    await run_graph(run.graph, revision(), RunContext(tools=ToolRegistry([fetch])))


async def test_a_cancelled_thought_gives_its_kv_back(tmp_path: Path) -> None:
    """The real local engine on a tiny model of random weights."""
    folder = build_model(tmp_path, "qwen3", context=1024)
    async with await connect(f"local:{folder}", threads=1) as engine:
        nodes = [
            Node(
                id=f"t{i}",
                op=Think(
                    Const(f"question {i} " * 10),
                    method="self_consistency",
                    options=(("n", 4), ("max_tokens", 400), ("temperature", 1.5)),
                ),
                name=f"t{i}",
            )
            for i in range(3)
        ]
        budget = Budget()
        run = Recorded()
        async with asyncio.timeout(60):
            task = asyncio.create_task(carry_out(run, nodes, [], engine=engine, budget=budget))
            for _ in range(5000):
                if budget.reserved["tokens"] >= 3 * 4 * 400:
                    break  # all three are generating
                await asyncio.sleep(0.002)
            else:
                raise AssertionError("they did not begin")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert engine.open_contexts() == 0
        assert not any(budget.reserved.values())
        assert budget.spent["tokens"] < 3 * 4 * 400  # what was not generated was given back
        assert {run.graph.state(f"t{i}") for i in range(3)} == {"cancelled"}
        # What is kept is for reuse alone: another request finds room and the pool is whole.
        async with await engine.prefill("once more") as context:
            assert context.token_count > 0
        assert engine.open_contexts() == 0


async def test_a_thread_that_will_not_stop_is_reported_and_its_result_discarded() -> None:
    go_on, ended = threading.Event(), threading.Event()
    results: list[str] = []

    @tool
    def stubborn() -> str:
        go_on.wait(20)
        results.append("late")
        ended.set()
        return "late"

    run = Recorded()
    async with asyncio.timeout(10):
        await run.run(
            call("a", "stubborn"), answer(Ref("a")), tools=[stubborn], limits=Limits(node_timeout=0.05)
        )
    assert run.graph.state("a") == "failed" and run.of("tool.abandoned") == ["a"]
    go_on.set()
    assert await asyncio.to_thread(ended.wait, 5)
    assert results == ["late"] and run.graph.state("a") == "failed"
    assert run.outcome is not None and run.outcome.answer is None


async def test_tools_do_not_outlive_a_cancelled_run() -> None:
    """Retrying, hedged, capped, waiting for approval: all of them end before `run_graph` does."""
    alive: set[str] = set()

    async def live(name: str) -> None:
        alive.add(name)
        try:
            await asyncio.sleep(60)
        finally:
            alive.discard(name)

    @tool(hedge=0.01)
    async def hedged(context: ToolContext[Any]) -> None:
        await live(f"hedged {len(alive)}")

    @tool(retries=100, backoff=0.0)
    async def retried() -> None:
        raise ConnectionError

    @tool(max_concurrency=1)
    async def capped(x: int) -> None:
        await live(f"capped {x}")

    @tool(effect="mutating")
    async def post() -> None:
        raise AssertionError

    async def approve(request: ToolCallRequest) -> bool:
        await live("approval")
        return True

    run = Recorded()
    nodes = [call("h", "hedged"), call("r", "retried"), call("p", "post")]
    nodes += [call(f"c{i}", "capped", x=i) for i in range(3)]
    task = asyncio.create_task(carry_out(run, nodes, [hedged, retried, capped, post], approve=approve))
    await asyncio.sleep(0.1)
    assert len(alive) >= 3
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive
    await asyncio.sleep(0.02)
    assert not alive and len(asyncio.all_tasks()) == 1


async def test_fan_out_is_bounded_by_the_run_and_by_the_tool() -> None:
    running = {"narrow": 0, "wide": 0}
    most = {"narrow": 0, "wide": 0, "all": 0}

    async def work(name: str) -> None:
        running[name] += 1
        most[name] = max(most[name], running[name])
        most["all"] = max(most["all"], sum(running.values()))
        await asyncio.sleep(0.001)
        running[name] -= 1

    @tool(max_concurrency=7)
    async def narrow(x: int) -> None:
        await work("narrow")

    @tool
    async def wide(x: int) -> None:
        await work("wide")

    run = Recorded()
    nodes = [call(f"{name}{i}", name, x=i) for i in range(400) for name in ("narrow", "wide")]
    await run.run(tools=[narrow, wide], chunks=[nodes], limits=Limits(max_concurrency=50))
    assert most["narrow"] == 7 and most["all"] <= 50
    assert all(run.graph.state(node.id) == "done" for node in nodes)


async def test_many_branches_spend_a_budget_of_calls_to_the_last_one() -> None:
    """The check and the count are one step: no await lies between them."""
    made = 0

    @tool
    async def work(x: int) -> int:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        return x

    budget = Budget(calls=9)
    run = Recorded()
    outcome = await run.run(
        tools=[work], chunks=[[call(f"n{i}", "work", x=i) for i in range(64)]], budget=budget
    )
    assert outcome.stopped == "budget" and made == budget.spent["calls"] == 9


@pytest.mark.parametrize("how", ["deadline", "revision", "caller", "map"])
async def test_a_mutating_call_that_is_cut_off_is_told_as_uncertain(how: str) -> None:
    began = asyncio.Event()

    @tool(effect="mutating")
    async def pay(amount: int) -> str:
        began.set()
        await asyncio.sleep(60)
        return "never"

    @tool
    async def look(amount: int) -> str:
        await asyncio.sleep(60)
        return "never"

    async def approve(request: ToolCallRequest) -> bool:
        if request.args["amount"] == 2:
            await asyncio.sleep(60)
        return True

    run = Recorded()
    nodes = [
        mapped("p", [1], "pay", amount=Ref("m")) if how == "map" else call("p", "pay", amount=1),
        call("waits", "pay", amount=2),
        call("x", "look", amount=3),
    ]

    async def plan() -> AsyncIterator[GraphPatch]:
        async for patch in patches(run.graph, [nodes]):
            yield patch
        await began.wait()
        if how in ("revision", "map"):
            yield GraphPatch(run.graph.version, cancel=("p", "waits", "x"))

    context = RunContext(
        tools=ToolRegistry([pay, look]),
        approve=approve,
        emit=run.events.append,
        budget=Budget(seconds=0.3) if how == "deadline" else Budget(),
    )
    async with asyncio.timeout(20):
        task = asyncio.create_task(run_graph(run.graph, plan(), context))
        await began.wait()
        if how == "caller":
            task.cancel()
        await asyncio.wait([task])
    call_of_it = "p[0]" if how == "map" else "p"
    assert run.graph.state(call_of_it) == "uncertain"
    assert (run.graph.state("waits"), run.graph.state("x")) == ("cancelled", "cancelled")
    assert run.of("node.uncertain") == [call_of_it]
