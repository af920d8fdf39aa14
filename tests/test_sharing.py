"""What threads and event loops may share: each public class says so in its docstring, and keeps to it."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from braid.engine import Budget, EngineWrapper, SamplingParams, connect
from braid.engine.scripted import ScriptedEngine
from braid.engine.system import WrongLoopError, run_all
from braid.executors import TaskGraph, Tool, ToolOptions, ToolRegistry
from braid.executors.builtin.atlas import load_atlas
from braid.executors.graph import GraphError
from braid.executors.journal import Journal, StoredResults
from braid.executors.mcp import McpServer, McpTools
from braid.executors.scheduler import SteeringQueue
from braid.executors.tools import MemoryResults
from braid.orchestrator import Agent
from braid.planner import LLMPlanner, PlanTask
from tests.support.scripted_server import serving
from tests.support.tiny_models import build_model

THREADS = 4
FACES = (
    *("engine", "engine.scope", "engine.local", "engine.remote", "engine.scripted", "reasoning", "planner"),
    *("executors", "executors.tools", "executors.journal", "executors.mcp", "executors.scheduler"),
    *("executors.graph", "executors.builtin.atlas", "orchestrator", "planner.checker", "planner.language"),
)
SHARED = "Threads and loops may share it"
ONE_LOOP = "belongs to one event loop"
PROMISES = {
    SHARED: {
        *("Budget", "Reservation", "Context", "Engine", "EngineWrapper", "ScriptedEngine", "LocalEngine"),
        *("LocalContext", "Tool", "ToolRegistry", "MemoryResults", "StoredResults", "Journal", "McpTools"),
        *("SteeringQueue", "LLMPlanner", "Atlas", "Agent", "RunResult"),
    },
    ONE_LOOP: {"Agent", "RemoteEngine", "RemoteContext", "TaskGraph", "PlanStream", "RunStream"},
    "It belongs to one run, and so to one event loop": {"RunLog", "CallMemo", "MemoryCalls", "MethodRun"},
    "It belongs to one graph, and so to one event loop": {"NodeRecord", "NameSlot"},
    "One thread at a time uses it": {"Plan", "PlanChecker", "PlanParser"},
}


def public_classes() -> dict[str, type]:
    """The classes of the faces that hold something that changes. Values and errors do not."""
    found: dict[str, type] = {}
    for face in FACES:
        module = importlib.import_module(f"braid.{face}")
        for name in module.__all__:
            given = getattr(module, name)
            if not inspect.isclass(given) or issubclass(given, BaseException | BaseModel | tuple | dict):
                continue
            parameters = getattr(given, "__dataclass_params__", None)
            frozen = parameters is not None and parameters.frozen and name != "RunResult"
            if not (frozen or getattr(given, "_is_protocol", False) or given.__module__ == "typing"):
                found[name] = given
    found.pop("Message", None)  # a typed dict
    return found


def test_every_public_class_says_what_may_be_shared() -> None:
    classes = public_classes()
    assert classes.keys() == set().union(*PROMISES.values())
    for promise, names in PROMISES.items():
        for name in names:
            text = " ".join((classes[name].__doc__ or "").split())
            assert promise in text, f"{name} does not say: {promise}"


def hammer(work: Callable[[int], Any], *, threads: int = THREADS) -> list[Any]:
    """The results of `work` in several threads that start at the same time. Each thread may run a loop."""
    results: list[Any] = [None] * threads
    start = threading.Barrier(threads)

    def one(place: int) -> None:
        start.wait()
        try:
            made = work(place)
            results[place] = asyncio.run(made) if inspect.iscoroutine(made) else made
        except BaseException as error:
            results[place] = error

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        workers = [threading.Thread(target=one, args=(place,), daemon=True) for place in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert not any(worker.is_alive() for worker in workers), "a thread hangs"
    finally:
        sys.setswitchinterval(before)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def share_budget() -> None:
    budget = Budget(tokens=10**9)

    def work(_: int) -> None:
        for _ in range(500):
            with budget.child("part").reserve(tokens=3) as held:
                held.settle(tokens=2)

    hammer(work)
    assert budget.spent["tokens"] == 2 * 500 * THREADS and budget.reserved["tokens"] == 0


def share_results() -> None:
    kept = MemoryResults(size=4)

    def work(place: int) -> None:
        for round in range(5000):
            kept.put(f"{(round * 7 + place) % 9}", round)
            kept.get(f"{round % 9}")

    hammer(work)
    assert len(kept) == 4


def share_journal(folder: Path) -> None:
    with Journal(folder / "journal.db") as journal:
        results = StoredResults(journal)

        def work(place: int) -> None:
            for round in range(20):
                results.put(f"{place} {round}", round)

        hammer(work)
        assert all(results.get(f"{place} 19") is not None for place in range(THREADS))


def share_scripted_engine() -> None:
    engine = EngineWrapper(ScriptedEngine(["answer(1)"] * THREADS))
    planner = LLMPlanner(engine)

    async def work(place: int) -> None:
        graph = TaskGraph()
        async for patch in planner.start(PlanTask(question="?", graph=graph)):
            graph.apply(patch)
        assert len(graph.nodes) == 1

    hammer(work)
    assert engine.open_contexts() == 0


def share_local_engine(folder: Path) -> None:
    async def main() -> None:
        engine = await connect(f"local:{build_model(folder, 'llama')}", threads=1)
        shared = await engine.prefill("The height of K2 is")
        params = SamplingParams(max_tokens=12, temperature=0.0)

        async def work(place: int) -> str:
            async with await engine.extend(shared, " 8611") as context:
                (done,) = await engine.generate(context, params)
                done.context.release()
            return done.text

        texts = await asyncio.to_thread(hammer, work)
        assert len(set(texts)) == 1
        shared.release()
        assert engine.open_contexts() == 0
        await engine.close()

    asyncio.run(main())


def share_tool() -> None:
    async def double(number: int) -> int:
        """Twice the number."""
        await asyncio.sleep(0.001)
        return number * 2

    tool = Tool(double, ToolOptions(max_concurrency=1))
    registry = ToolRegistry([tool])

    async def work(place: int) -> list[int]:
        got = registry.get("double")
        return await run_all([got.call({"number": number}) for number in range(10)])

    assert hammer(work) == [[number * 2 for number in range(10)]] * THREADS


def share_atlas() -> None:
    found = hammer(lambda _: load_atlas().lookup("height of K2").value)
    assert found == [8611] * THREADS


def share_agent(folder: Path) -> None:
    server = McpServer(name="time", command=sys.executable, args=("-m", "mcp_server_time"), start_timeout=300)
    plan = "a = double(21)\nanswer(a)\n"

    def double(number: int) -> int:
        """Twice the number."""
        return number * 2

    with Journal(folder / "runs.db") as journal:
        for servers in ([], [server]):
            kept = MemoryResults()
            engine = ScriptedEngine([plan] * 8)
            agent = Agent(engine, tools=[double], mcp=servers, journal=journal, cache=kept, shortcuts=False)
            done = hammer(lambda _, agent=agent: agent.run_sync("Twice 21?"), threads=8)
            assert [result.answer for result in done] == ["42"] * 8 and len({r.run_id for r in done}) == 8
            assert agent.tools.specs() and "time_convert_time" not in agent.tools
        assert len(journal.runs()) == 16


def share_result() -> None:
    plan = "".join(f"a{i} = calculate({i!r})\n" for i in map(str, range(40))) + "answer(a1)\n"
    for _ in range(5):
        result = Agent(ScriptedEngine(plan), tools=[]).run_sync("?")
        counts = hammer(lambda _, result=result: (len(list(result.events)), result.to_dict()["answer"]))
        assert len(set(counts)) == 1
        assert [envelope.seq for envelope in result.events] == list(range(len(result.events)))


def share_steering() -> None:
    async def main() -> None:
        queue, heard, home = SteeringQueue(), [], threading.get_ident()
        threads: set[int] = set()
        queue.record(lambda text: threads.add(threading.get_ident()))
        with queue.listened_to(heard.append):
            await asyncio.to_thread(hammer, lambda place: [queue.say(f"{place}") for _ in range(200)])
            await asyncio.sleep(0)
        assert len(heard) == 200 * THREADS and threads == {home}

    asyncio.run(main())


def share_mcp_tools() -> None:
    server = McpServer(name="time", command=sys.executable, args=("-m", "mcp_server_time"), start_timeout=300)

    async def main() -> None:
        async with McpTools([server]) as tools:
            (convert,) = (tool for tool in tools if tool.name == "time_convert_time")
            zones = {"source_timezone": "Europe/Paris", "time": "12:00", "target_timezone": "Asia/Tokyo"}
            found = await asyncio.to_thread(hammer, lambda _: convert(**zones))
            assert len(found) == THREADS

    asyncio.run(main())


SHARING: dict[str, Callable[..., None]] = {
    "Budget, Reservation": share_budget,
    "MemoryResults": share_results,
    "Journal, StoredResults": share_journal,
    "ScriptedEngine, EngineWrapper, LLMPlanner": share_scripted_engine,
    "LocalEngine, LocalContext, Engine, Context": share_local_engine,
    "Tool, ToolRegistry": share_tool,
    "Atlas": share_atlas,
    "Agent": share_agent,
    "RunResult": share_result,
    "SteeringQueue": share_steering,
    "McpTools": share_mcp_tools,
}


@pytest.mark.parametrize("names", SHARING)
def test_what_may_be_shared_is_shared_by_threads(names: str, tmp_path: Path) -> None:
    work = SHARING[names]
    work(tmp_path) if inspect.signature(work).parameters else work()


def test_all_that_may_be_shared_is_tried() -> None:
    assert PROMISES[SHARED] == {name for names in SHARING for name in names.split(", ")}


async def elsewhere(work: Callable[[], Awaitable[Any]]) -> Any:
    """The result of `work` in the loop of another thread."""

    async def done() -> Any:
        return await work()

    return await asyncio.wait_for(asyncio.to_thread(lambda: asyncio.run(done())), 30)


async def test_an_agent_that_is_open_refuses_another_loop_and_answers_in_threads() -> None:
    with serving("answer(1)\n") as server:
        async with Agent(server.uri, tools=[]) as agent:
            assert (await agent.run("Which?")).answer == "1"
            for work in (lambda: agent.run("Which?"), agent.open, agent.close):
                with pytest.raises(WrongLoopError, match="run_sync"):
                    await elsewhere(work)
            assert (await asyncio.to_thread(agent.run_sync, "Which?")).answer == "1"
            assert (await agent.run("Which?")).answer == "1"


def test_an_agent_goes_on_after_its_loop_has_ended() -> None:
    agent = Agent(ScriptedEngine(["answer(1)"] * 2), tools=[])
    assert asyncio.run(agent.run("Which?")).answer == asyncio.run(agent.run("Which?")).answer == "1"
    asyncio.run(agent.close())


async def test_a_remote_engine_refuses_another_loop() -> None:
    with serving("text") as server:
        engine = await connect(server.uri)
        context = await engine.prefill("?")
        with pytest.raises(WrongLoopError, match="the engine http"):
            await elsewhere(lambda: engine.generate(context, SamplingParams(max_tokens=4)))
        with pytest.raises(WrongLoopError):
            await elsewhere(lambda: engine.prefill("?"))
        context.release()
        await engine.close()


async def test_the_stream_of_a_run_refuses_another_loop() -> None:
    run = Agent(ScriptedEngine("answer(1)", delay=0.05), tools=[]).stream("Which?")

    async def read() -> None:
        async for _ in run:
            pass

    events = run.__aiter__()
    await anext(events)
    for work in (read, run.aclose):
        with pytest.raises(WrongLoopError, match="stream"):
            await elsewhere(work)
    async for _ in events:
        pass
    assert run.result.answer == "1"


async def test_a_graph_has_one_run_at_a_time_wherever_it_is() -> None:
    from braid.executors import RunContext, run_graph

    graph, ready = TaskGraph(), asyncio.Event()

    async def patches():
        ready.set()
        await asyncio.sleep(1)
        return
        yield

    running = asyncio.create_task(run_graph(graph, patches(), RunContext(tools=ToolRegistry())))
    await ready.wait()
    with pytest.raises(GraphError, match="one run at a time"):
        await elsewhere(lambda: run_graph(graph, None, RunContext(tools=ToolRegistry())))
    await running
