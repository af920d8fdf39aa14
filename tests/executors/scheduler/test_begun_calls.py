"""What a resumed run does about the mutating calls that an earlier process began.

A process is ended by cancelling its run: nothing is written down then that a kill would not have left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from braid.engine import Budget
from braid.executors import (
    GraphPatch,
    RunContext,
    RunOutcome,
    TaskGraph,
    ToolContext,
    ToolRegistry,
    run_graph,
    tool,
)
from braid.executors.journal import Journal, resume_run, start_run
from braid.executors.nodes import Compare, Const, Node, Ref
from braid.executors.tools import Done, NotDone, UncertainError
from tests.support.written_plans import answer, branch, call, mapped, patches

Patch = Sequence[Node] | GraphPatch


class Handle:
    """Nothing that a journal could hold."""

    def __init__(self, content: Any) -> None:
        self.content = content


class World:
    """A bank whose calls hang, a tool whose results cannot be stored, and what came of all this.

    `fates` says what became of a payment, by node. A node that is not in it never reached the bank.
    """

    def __init__(self, *, asks: bool = True, found: Any = None) -> None:
        self.paid: list[str] = []
        self.asked: list[str] = []
        self.hangs = False
        self.fates: dict[str, Done] = {}
        self.found = found
        self.under_way = 0
        self.began = asyncio.Event()
        self.asking = asyncio.Event()
        world = self

        async def fate(key: str) -> Done | NotDone:
            node = key.partition(":")[2]
            world.asked.append(node)
            world.asking.set()
            await asyncio.sleep(0.01)
            return world.fates.get(node, NotDone())

        @tool(effect="mutating", reconcile=fate if asks else None)
        async def pay(context: ToolContext, amount: Any) -> str:
            world.paid.append(context.node_id)
            if amount == 0:
                raise UncertainError("the line went dead")
            if world.hangs:
                world.under_way += 1
                world.began.set()
                await asyncio.sleep(60)
            return f"paid {amount}"

        @tool
        async def find() -> Any:
            if isinstance(world.found, Exception):
                raise world.found
            return Handle(world.found)

        @tool(effect="mutating")
        async def take() -> Any:
            return Handle(0)

        @tool
        async def content(handle: Any) -> Any:
            return handle.content

        @tool
        async def same(value: Any) -> Any:
            return value

        @tool
        async def later(value: Any) -> Any:
            await world.began.wait()
            return value

        @tool
        async def fail() -> Any:
            raise ValueError("never works")

        self.tools = [pay, find, take, content, same, later, fail]


async def yes(_: object) -> bool:
    return True


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    with Journal(tmp_path / "journal.db") as journal:
        yield journal


async def killed(
    journal: Journal, world: World, *rounds: Sequence[Patch], until: Callable[[TaskGraph], bool]
) -> None:
    """Run the rounds on one graph, and end the process in the last of them, once `until` holds."""
    log = start_run(journal, "run")
    graph = TaskGraph()
    reached = asyncio.Event()
    world.hangs = True

    async def stream(parts: Sequence[Patch]) -> AsyncIterator[GraphPatch]:
        for part in parts:
            if isinstance(part, GraphPatch):
                await reached.wait()
                yield graph.rebase(part)
            else:
                async for patch in patches(graph, [part]):
                    yield patch

    async def all_rounds() -> None:
        for parts in rounds:
            await run_graph(
                graph,
                stream(parts),
                RunContext(tools=ToolRegistry(world.tools), journal=log, approve=yes, run_id="run"),
            )

    run = asyncio.create_task(all_rounds())
    async with asyncio.timeout(5):
        while not until(graph):
            assert not run.done(), run
            await asyncio.sleep(0)
        reached.set()
        await asyncio.sleep(0.02)
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run
    log.close()
    world.hangs = False
    world.paid.clear()


async def resumed(
    journal: Journal, world: World, *, rounds: int = 1, answered: bool = False, **options: Any
) -> tuple[TaskGraph, RunOutcome]:
    log = resume_run(journal, journal.find("run"))
    log.load(read_only=answered)
    graph = TaskGraph()
    outcome: RunOutcome | None = None
    for _ in range(rounds):
        outcome = await run_graph(
            graph,
            patches(graph, []),
            RunContext(
                tools=options.pop("tools", None) or ToolRegistry(world.tools),
                journal=log,
                run_id="run",
                **options,
            ),
        )
    log.close()
    assert outcome is not None
    return graph, outcome


def rows(journal: Journal) -> dict[str, str]:
    """What the journal says of each call of `pay`."""
    with journal.transaction() as db:
        return dict(db.execute("SELECT node, state FROM calls WHERE tool = 'pay'").fetchall())


def running(world: World, count: int) -> Callable[[TaskGraph], bool]:
    return lambda graph: world.under_way == count


BEFORE = [call("w", "fail"), answer(Ref("w"))]
"""A first round whose answer is left over: what the next round brings stands behind it."""

W = call("w2", "pay", bind="w", amount=5)


@pytest.mark.parametrize(
    ("behind", "calls"),
    [
        ([call("extra", "pay", amount=7)], ["extra"]),
        ([call("a", "pay", amount=7), call("b", "pay", amount=8)], ["a", "b"]),
        ([mapped("xs", [7, 8], "pay", amount=Ref("m"))], ["xs[0]", "xs[1]"]),
    ],
)
@pytest.mark.parametrize("fate", ["done", "not done", "nobody knows"])
async def test_calls_behind_the_answer_are_settled(
    journal: Journal, behind: list[Node], calls: list[str], fate: str
) -> None:
    world = World(asks=fate != "nobody knows")
    await killed(journal, world, [BEFORE], [[W, *behind]], until=running(world, 1 + len(calls)))
    world.fates["w2"] = Done("paid 5")
    if fate == "done":
        world.fates |= {node: Done("found") for node in calls}
    options: dict[str, Any] = {"ask": None}
    if fate == "nobody knows":

        async def knows_of_w(question: str) -> str:
            return "yes" if "amount=5" in question else "?"

        options["ask"] = knows_of_w
    graph, outcome = await resumed(journal, world, rounds=2, **options)
    assert outcome.answered
    if fate == "nobody knows":
        assert {graph.state(node) for node in calls} == {"uncertain"} and world.paid == []
        assert rows(journal) == {"w2": "done"} | dict.fromkeys(calls, "started")
    else:
        assert [graph.state(node) for node in calls] == ["done"] * len(calls)
        assert sorted(world.asked) == sorted(["w2", *calls]), "each is asked about once"
        assert sorted(world.paid) == ([] if fate == "done" else calls)
        assert set(rows(journal).values()) == {"done"}


async def test_a_call_whose_run_had_its_answer_already(journal: Journal) -> None:
    world = World()
    w = call("w2", "later", bind="w", value=5)
    await killed(
        journal,
        world,
        [BEFORE],
        [[w, call("extra", "pay", amount=7)]],
        until=lambda graph: world.under_way == 1 and graph.state("answer") == "done",
    )
    world.fates["extra"] = Done("found")
    graph, outcome = await resumed(journal, world, rounds=2)
    assert outcome.answer == (5,) and graph.result("extra") == "found"
    assert rows(journal) == {"extra": "done"}


async def test_a_call_behind_an_answer_that_may_run_after_all(journal: Journal) -> None:
    """What the answer's condition reads cannot be stored, and is something else the second time."""
    world = World(found=1)
    guard = branch(Compare(">", Ref("n"), Const(5)))
    plan = [
        call("h", "find"),
        call("n", "content", handle=Ref("h")),
        answer(Const("early"), id="early", guards=guard),
        call("extra", "pay", amount=7),
    ]
    await killed(journal, world, [plan], until=running(world, 1))
    forget(journal, "n")
    world.found = 9
    world.fates["extra"] = Done("found")
    graph, outcome = await resumed(journal, world)
    assert outcome.answer == ("early",)
    assert graph.result("extra") == "found" and world.paid == []


@pytest.mark.parametrize("happened", [True, False])
async def test_a_call_in_a_branch_that_is_skipped_the_second_time(journal: Journal, happened: bool) -> None:
    world = World(found=9)
    plan = [
        call("h", "find"),
        call("n", "content", handle=Ref("h")),
        call("extra", "pay", amount=7, guards=branch(Compare(">", Ref("n"), Const(5)))),
        call("w", "pay", amount=5),
        answer(Ref("w")),
    ]
    await killed(journal, world, [plan], until=running(world, 2))
    forget(journal, "n")
    world.found = 1
    world.fates["w"] = Done("paid 5")
    if happened:
        world.fates["extra"] = Done("found")
    graph, outcome = await resumed(journal, world)
    assert outcome.answer == ("paid 5",) and world.paid == []
    assert graph.state("extra") == ("done" if happened else "skipped")
    assert rows(journal) == {"w": "done", "extra": "done" if happened else "not_done"}


@pytest.mark.parametrize("fate", ["done", "not done", "nobody knows"])
async def test_a_call_whose_input_is_lost(journal: Journal, fate: str) -> None:
    world = World(asks=fate != "nobody knows")
    plan = [
        call("h", "take"),
        call("p", "pay", amount=Ref("h")),
        call("r", "same", value=Ref("p")),
        answer(Ref("r")),
    ]
    await killed(journal, world, [plan], until=running(world, 1))
    if fate == "done":
        world.fates["p"] = Done("found")
    graph, outcome = await resumed(journal, world)
    assert graph.state("h") == "failed" and world.paid == []
    assert graph.state("p") == {"done": "done", "not done": "blocked", "nobody knows": "uncertain"}[fate]
    assert outcome.answer == (("found",) if fate == "done" else None), "its readers go on"


@pytest.mark.parametrize("fate", ["done", "not done", "nobody knows"])
@pytest.mark.parametrize("found", [[1], ValueError("gone")], ids=["shorter", "failed"])
async def test_an_item_of_a_list_that_is_another_one_the_second_time(
    journal: Journal, fate: str, found: Any
) -> None:
    world = World(asks=fate != "nobody knows", found=[1, 2])
    plan = [
        call("h", "find"),
        call("list", "content", handle=Ref("h")),
        mapped("xs", Ref("list"), "pay", amount=Ref("m")),
        answer(Ref("xs")),
    ]
    await killed(journal, world, [plan], until=running(world, 2))
    forget(journal, "list")
    world.found = found
    if fate == "done":
        world.fates |= {"xs[0]": Done("found 1"), "xs[1]": Done("found 2")}
    graph, outcome = await resumed(journal, world)
    here = found == [1]
    expected = {"done": "done", "not done": "cancelled", "nobody knows": "uncertain"}[fate]
    assert graph.state("xs[1]") == expected
    assert world.paid == (["xs[0]"] if here and fate == "not done" else [])
    if fate == "nobody knows":
        assert "xs[1]" in dict(outcome.failures)
    else:
        assert sorted(world.asked) == ["xs[0]", "xs[1]"]
        assert "started" not in rows(journal).values()


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("limit", [Budget(calls=1), Budget(seconds=0.2)], ids=["calls", "seconds"])
async def test_an_item_of_a_list_that_the_budget_does_not_bring_back(
    journal: Journal, limit: Budget, asks: bool
) -> None:
    world = World(asks=asks, found=[1, 2])
    plan = [
        call("h", "find"),
        call("waits", "later", value=Ref("h")),
        call("list", "content", handle=Ref("waits")),
        mapped("xs", Ref("list"), "pay", amount=Ref("m")),
        answer(Ref("xs")),
    ]
    world.began.set()
    await killed(journal, world, [plan], until=running(world, 2))
    forget(journal, "list")
    world.began.clear()
    limit.started = time.monotonic()
    graph, outcome = await resumed(journal, world, budget=limit)
    assert outcome.stopped == "budget" and world.paid == []
    assert {graph.state("xs[0]"), graph.state("xs[1]")} == {"uncertain"}
    assert {"xs[0]", "xs[1]"} <= set(dict(outcome.failures))


@pytest.mark.parametrize("fate", ["done", "not done", "nobody knows"])
async def test_a_call_that_a_revision_cancelled(journal: Journal, fate: str) -> None:
    world = World(asks=fate != "nobody knows")
    plan: list[Patch] = [
        [call("a", "pay", amount=5)],
        GraphPatch(0, add=(call("a2", "same", bind="a", value=1), answer(Ref("a"))), cancel=("a",)),
    ]
    await killed(journal, world, plan, until=running(world, 1))
    if fate == "done":
        world.fates["a"] = Done("found")
    graph, outcome = await resumed(journal, world)
    assert outcome.answer == (1,) and world.paid == []
    assert graph.state("a") == {"done": "done", "not done": "cancelled", "nobody knows": "uncertain"}[fate]
    assert rows(journal)["a"] == {"done": "done", "not done": "not_done", "nobody knows": "started"}[fate]


async def test_a_call_that_is_cancelled_while_its_fate_is_looked_into(journal: Journal) -> None:
    world = World()
    await killed(journal, world, [[call("a", "pay", amount=5)]], until=running(world, 1))
    no = journal.find("run").no
    with journal.transaction() as db:  # the plan was not at its end
        db.execute("DELETE FROM log WHERE kind = 'planned' AND id >> 32 = ?", (no,))
    world.fates["a"] = Done("found")
    log = resume_run(journal, journal.find("run"))
    log.load()
    graph = TaskGraph()

    async def cancels() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(graph.version, add=(answer(Const(1)),), cancel=("a",))

    outcome = await run_graph(
        graph, cancels(), RunContext(tools=ToolRegistry(world.tools), journal=log, run_id="run", approve=yes)
    )
    log.close()
    assert outcome.answer == (1,) and graph.state("a") == "done" and rows(journal) == {"a": "done"}


async def test_a_call_that_is_cancelled_while_its_fate_is_not_known_yet() -> None:
    """The same within one process: a call loses its connection, and is cancelled while the bank is asked."""
    world = World()
    graph = TaskGraph()
    world.fates["a"] = Done("found")

    async def cancels() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(0, add=(call("a", "pay", amount=0),))
        await world.asking.wait()
        yield GraphPatch(graph.version, add=(answer(Const(1)),), cancel=("a",))

    outcome = await run_graph(graph, cancels(), RunContext(tools=ToolRegistry(world.tools), approve=yes))
    assert outcome.answer == (1,) and graph.result("a") == "found"


async def test_a_call_of_an_earlier_round_is_asked_about_once(journal: Journal) -> None:
    world = World(asks=False)
    first = [call("u", "pay", amount=0), answer(Ref("u"))]
    await killed(journal, world, [first], [[call("a", "pay", amount=5)]], until=running(world, 1))
    asked: list[str] = []

    async def ask(question: str) -> str:
        asked.append(question)
        return "yes"

    graph, outcome = await resumed(journal, world, rounds=2, ask=ask)
    assert outcome.answered and (graph.state("u"), graph.state("a")) == ("done", "done")
    assert len(asked) == 2 and "amount=0" in asked[0] and "amount=5" in asked[1]


async def test_out_of_time_while_a_call_is_looked_into(journal: Journal) -> None:
    world = World(asks=False)
    w = call("w2", "later", bind="w", value=5)
    await killed(
        journal,
        world,
        [BEFORE],
        [[w, call("extra", "pay", amount=7)]],
        until=lambda graph: world.under_way == 1 and graph.state("answer") == "done",
    )

    async def ask(_: str) -> str:
        await asyncio.sleep(60)
        return "yes"

    graph, outcome = await resumed(journal, world, rounds=2, ask=ask, budget=Budget(seconds=0.2))
    assert outcome.answered and graph.state("extra") == "uncertain"


async def test_a_tool_that_is_not_here_any_more(journal: Journal) -> None:
    world = World()
    await killed(journal, world, [[call("a", "pay", amount=5), answer(Ref("a"))]], until=running(world, 1))
    graph, outcome = await resumed(journal, world, tools=ToolRegistry(world.tools[1:]))
    assert not outcome.answered and graph.state("a") == "uncertain"
    assert rows(journal) == {"a": "started"}


async def test_a_run_that_has_its_answer_asks_nobody(journal: Journal) -> None:
    world = World(asks=False)
    await killed(
        journal,
        world,
        [[call("u", "pay", amount=5), call("w", "later", value=1), answer(Ref("w"))]],
        until=lambda graph: world.under_way == 1 and graph.state("answer") == "done",
    )
    asked: list[str] = []

    async def no(question: str) -> str:
        asked.append(question)
        return "no"

    graph, outcome = await resumed(journal, world, answered=True, ask=no)
    assert outcome.answer == (1,) and graph.state("u") == "uncertain"
    assert asked == [] and world.paid == []


def forget(journal: Journal, node: str) -> None:
    """Leave the result of a node out of the journal, as if it could not be stored."""
    with journal.transaction() as db:
        for id, data in db.execute("SELECT id, data FROM log WHERE kind = 'settled'").fetchall():
            if data.startswith(f'["{node}"'):
                lost = '{"$": "lost", "why": "no form", "text": ""}'
                db.execute("UPDATE log SET value = ? WHERE id = ?", (lost, id))
