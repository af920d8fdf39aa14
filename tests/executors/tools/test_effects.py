"""Mutating calls happen once, and what waits for a person holds up only what reads it."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from braid.engine import Budget
from braid.executors import Limits, ToolContext, tool
from braid.executors.nodes import Ask, Const, Node, Ref
from braid.executors.scheduler import ToolCallRequest
from braid.executors.tools import Done, MemoryCalls, NotDone, ToolError
from tests.support.written_plans import Recorded, answer, call, mapped


class Ledger:
    """A service with a database of its own, which knows what was done by idempotency key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.open() as db:
            db.execute("create table if not exists done (key text, what text)")

    def open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path)

    def do(self, key: str, what: str) -> None:
        with self.open() as db:
            db.execute("insert into done values (?, ?)", (key, what))

    def done(self, key: str) -> list[str]:
        with self.open() as db:
            return [what for (what,) in db.execute("select what from done where key = ?", (key,))]

    def all(self) -> list[str]:
        with self.open() as db:
            return [what for (what,) in db.execute("select what from done")]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


async def yes(request: ToolCallRequest) -> bool:
    return True


async def test_the_key_is_the_run_and_the_node() -> None:
    keys: list[str] = []

    @tool(effect="mutating")
    async def post(context: ToolContext[Any], x: int) -> int:
        keys.append(context.idempotency_key)
        return x

    run = Recorded()
    await run.run(
        call("a", "post", x=1), mapped("m", [1, 2], "post", x=Ref("m")), tools=[post], approve=yes, run_id="r"
    )
    assert sorted(keys) == ["r:a", "r:m[0]", "r:m[1]"]


@pytest.mark.parametrize("happened", [True, False])
async def test_a_call_that_was_begun_by_an_earlier_process_is_reconciled(
    ledger: Ledger, happened: bool
) -> None:
    def reconcile(context: ToolContext[Ledger], key: str) -> Done | NotDone:
        found = context.deps.done(key)
        return Done(found[0]) if found else NotDone()

    @tool(effect="mutating", reconcile=reconcile)
    async def post(context: ToolContext[Ledger], what: str) -> str:
        context.deps.do(context.idempotency_key, what)
        return what

    log = _Log()
    log.started("r:a", node="a", tool="post", args={}, effect="mutating")
    if happened:
        ledger.do("r:a", "hello")
    run = Recorded()

    async def never(request: ToolCallRequest) -> bool:
        raise AssertionError("it was approved when it was begun")

    await run.run(
        call("a", "post", what="hello"), tools=[post], approve=never, deps=ledger, run_id="r", journal=log
    )
    assert run.graph.result("a") == "hello" and ledger.all() == ["hello"]


@pytest.mark.parametrize(
    ("said", "state", "made"),
    [("yes", "done", 0), ("no", "done", 1), ("what?", "uncertain", 0), (None, "uncertain", 0)],
)
async def test_without_reconcile_the_person_is_asked_and_nothing_is_repeated(
    said: str | None, state: str, made: int
) -> None:
    calls = 0

    @tool(effect="mutating")
    async def post(what: str) -> str:
        nonlocal calls
        calls += 1
        return what

    @tool
    async def same(x: str) -> str:
        return x

    questions: list[str] = []

    async def ask(question: str) -> str:
        questions.append(question)
        assert said is not None
        return said

    log = _Log()
    log.started("r:a", node="a", tool="post", args={}, effect="mutating")
    run = Recorded()
    outcome = await run.run(
        call("a", "post", what="hello"),
        call("b", "same", x="other"),
        call("reader", "same", x=Ref("a")),
        answer(Ref("b")),
        tools=[post, same],
        approve=yes,
        ask=None if said is None else ask,
        run_id="r",
        journal=log,
    )
    assert run.graph.state("a") == state and calls == made
    assert (len(questions) == 1 and 'post(what="hello")' in questions[0]) == (said is not None)
    assert outcome.answer == ("other",)
    if state == "uncertain":
        assert run.graph.state("reader") in ("blocked", "cancelled")
        assert run.of("node.uncertain") == ["a"] and outcome.failures[0][0] == "a"


async def test_what_an_earlier_process_finished_is_not_done_again() -> None:
    @tool(effect="mutating")
    async def post(what: str) -> str:
        raise AssertionError("done already")

    log = _Log()
    log.started("r:a", node="a", tool="post", args={}, effect="mutating")
    log.finished("r:a", "sent")
    log.started("r:b", node="b", tool="post", args={}, effect="mutating")
    log.failed("r:b", "refused")
    run = Recorded()
    await run.run(
        call("a", "post", what="x"), call("b", "post", what="y"), tools=[post], run_id="r", journal=log
    )
    assert run.graph.result("a") == "sent"
    assert run.graph.state("b") == "failed" and "refused" in (run.graph.error("b") or "")


async def test_a_mutating_call_that_runs_out_of_time_is_uncertain_and_asks(ledger: Ledger) -> None:
    @tool(effect="mutating", timeout=0.02)
    async def post(context: ToolContext[Ledger], what: str) -> str:
        context.deps.do(context.idempotency_key, what)
        await asyncio.sleep(10)
        return what

    @tool(effect="mutating")
    async def hang(what: str) -> str:
        await asyncio.sleep(10)
        return what

    @tool(effect="mutating")
    async def lost(what: str) -> str:
        raise ConnectionResetError("mid-air")

    @tool(effect="mutating")
    async def refuse(what: str) -> str:
        raise ToolError("no such address")

    run = Recorded()
    await run.run(
        *(call(name, name, what="x") for name in ("post", "hang", "lost", "refuse")),
        tools=[post, hang, lost, refuse],
        approve=yes,
        deps=ledger,
        limits=Limits(node_timeout=0.05),
    )
    states = {name: run.graph.state(name) for name in ("post", "hang", "lost", "refuse")}
    assert states == {"post": "uncertain", "hang": "uncertain", "lost": "uncertain", "refuse": "failed"}
    assert ledger.all() == ["x"]


async def test_a_mutating_tool_with_reconcile_may_be_retried_and_happens_once(ledger: Ledger) -> None:
    attempts: list[int] = []

    async def reconcile(context: ToolContext[Ledger], key: str) -> Done | NotDone:
        return Done("found") if context.deps.done(key) else NotDone()

    @tool(effect="mutating", retries=3, backoff=0.0, reconcile=reconcile)
    async def post(context: ToolContext[Ledger], what: str) -> str:
        attempts.append(context.attempt)
        if context.attempt == 1:
            raise ConnectionError("before anything happened")
        context.deps.do(context.idempotency_key, what)
        raise ConnectionError("the reply was lost")

    run = Recorded()
    await run.run(call("a", "post", what="x"), tools=[post], approve=yes, deps=ledger)
    assert run.graph.result("a") == "found" and attempts == [1, 2] and ledger.all() == ["x"]


async def test_a_reconcile_that_cannot_say_leaves_it_uncertain() -> None:
    def reconcile(key: str) -> Any:
        raise OSError("cannot reach the service")

    @tool(effect="mutating", retries=3, backoff=0.0, reconcile=reconcile)
    async def post() -> None:
        raise ConnectionError("lost")

    run = Recorded()
    await run.run(call("a", "post"), tools=[post], approve=yes)
    assert run.graph.state("a") == "uncertain" and "cannot reach" in (run.graph.error("a") or "")


@pytest.mark.parametrize("width", [1, 64])
async def test_a_waiting_approval_holds_up_only_what_depends_on_it(width: int) -> None:
    allowed = asyncio.Event()
    ran: list[str] = []

    @tool(effect="mutating", max_concurrency=1)
    async def post(x: str) -> str:
        ran.append(x)
        return x

    @tool
    async def work(x: str) -> str:
        ran.append(x)
        if x == "last":
            allowed.set()
        return x

    async def approve(request: ToolCallRequest) -> bool:
        if request.node == "slow":
            await allowed.wait()
        return request.node != "refused"

    run = Recorded()
    async with asyncio.timeout(10):
        outcome = await run.run(
            call("slow", "post", x="slow"),
            call("quick", "post", x="quick"),
            call("refused", "post", x="refused"),
            call("w1", "work", x="first"),
            call("w2", "work", x=Ref("w1"), bind="w2"),
            call("w3", "work", x="last"),
            call("reader", "work", x=Ref("slow")),
            answer(Ref("reader")),
            tools=[post, work],
            approve=approve,
            limits=Limits(max_concurrency=width),
        )
    assert outcome.answer == ("slow",) and ran.index("last") < ran.index("slow")
    assert ran.count("slow") == 2 and "refused" not in ran and "quick" in ran
    assert run.graph.state("refused") == "failed"
    assert set(run.of("node.waits")) == {"slow", "quick", "refused"}
    assert run.at("node.waits", "slow") < run.at("node.started", "slow")


async def test_a_question_holds_up_only_its_readers_and_no_slot() -> None:
    answered = asyncio.Event()

    @tool
    async def work(x: str) -> str:
        if x == "go":
            answered.set()
        return x

    async def ask(question: str) -> str:
        await answered.wait()
        return "blue"

    run = Recorded()
    async with asyncio.timeout(10):
        outcome = await run.run(
            Node(id="q", op=Ask(Const("Which colour?")), name="q"),
            call("reader", "work", x=Ref("q")),
            call("other", "work", x="go"),
            answer(Ref("reader")),
            tools=[work],
            ask=ask,
            limits=Limits(max_concurrency=1),
        )
    assert outcome.answer == ("blue",)


async def test_cancelling_a_run_ends_waiting_approvals_and_questions() -> None:
    ended: list[str] = []

    @tool(effect="mutating")
    async def post() -> None:
        raise AssertionError("never approved")

    async def wait(name: str) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    run = Recorded()
    task = asyncio.create_task(
        run.run(
            call("a", "post"),
            Node(id="q", op=Ask(Const("?")), name="q"),
            tools=[post],
            approve=lambda request: wait("approve"),
            ask=lambda question: wait("ask"),
        )
    )
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == ["approve", "ask"]
    assert {run.graph.state("a"), run.graph.state("q")} == {"cancelled"}


async def test_a_budget_of_time_ends_a_waiting_approval() -> None:
    @tool(effect="mutating")
    async def post() -> None: ...

    async def approve(request: ToolCallRequest) -> bool:
        await asyncio.Event().wait()
        return True

    run = Recorded()
    async with asyncio.timeout(10):
        outcome = await run.run(call("a", "post"), tools=[post], approve=approve, budget=Budget(seconds=0.05))
    assert outcome.stopped == "budget" and run.graph.state("a") == "cancelled"


async def test_a_run_without_budget_waits_for_no_approval() -> None:
    asked = asyncio.Event()

    @tool(effect="mutating")
    async def post() -> None: ...

    @tool
    async def work(x: int) -> int:
        await asked.wait()
        return x

    async def approve(request: ToolCallRequest) -> bool:
        asked.set()
        await asyncio.Event().wait()
        return True

    run = Recorded()
    async with asyncio.timeout(10):
        outcome = await run.run(
            call("a", "post"),
            call("b", "work", x=1),
            call("c", "work", x=Ref("b")),
            tools=[post, work],
            approve=approve,
            budget=Budget(calls=1),
        )
    assert outcome.stopped == "budget" and run.graph.state("b") == "done"
    assert run.graph.state("a") == run.graph.state("c") == "cancelled"


class _Log(MemoryCalls):
    """The journal of a run whose calls are known from an earlier process, and nothing else."""

    def begin(self) -> None:
        return None

    def patched(self, patch: Any, *, at: float, running: Any) -> None: ...
    def planned(self, *, at: float) -> None: ...
    def settled(self, node: str, **how: Any) -> None: ...
    def commit(self, nodes: Any = None) -> None: ...
