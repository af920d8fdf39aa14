"""What effects allow: retries, one call for equal calls, hedging, and mutating calls that happen once."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from braid.engine import Budget
from braid.executors import Limits, ToolContext, tool
from braid.executors.nodes.nodes import Ask, Const, Node, Ref
from braid.executors.scheduler.think import ToolCallRequest
from braid.executors.tools.effects import Done, MemoryCalls, NotDone
from braid.executors.tools.errors import (
    ToolCrashError,
    ToolDefinitionError,
    ToolError,
    ToolUnavailableError,
    UncertainError,
)
from braid.executors.tools.memo import CallMemo, MemoryResults, result_key
from braid.executors.tools.retry import may_retry, retry_after, wait_before
from tests.support.written_plans import Recorded, answer, call, mapped

# Retries.


def crash(error: BaseException) -> ToolCrashError:
    made = ToolCrashError("crashed")
    made.__cause__ = error
    return made


def test_what_is_tried_again() -> None:
    assert may_retry(crash(ConnectionError()), None)
    assert may_retry(ToolUnavailableError("later"), None)
    assert not may_retry(ToolError("no such title"), None)
    assert may_retry(crash(ConnectionError()), (ConnectionError, TimeoutError))
    assert not may_retry(crash(KeyError()), ConnectionError)
    assert may_retry(crash(KeyError("busy")), lambda error: "busy" in str(error))
    assert not may_retry(UncertainError("?"), lambda error: True)


def test_waits_grow_with_full_jitter_and_follow_what_is_asked() -> None:
    first = [wait_before(crash(OSError()), attempt=1, backoff=1.0) or 0.0 for _ in range(300)]
    fourth = [wait_before(crash(OSError()), attempt=4, backoff=1.0) or 0.0 for _ in range(300)]
    assert 0 <= min(first) < 0.1 and 0.9 < max(first) <= 1.0
    assert min(fourth) < 0.8 and 7 < max(fourth) <= 8.0
    asked = wait_before(ToolUnavailableError("busy", retry_after=3), attempt=1, backoff=1.0)
    assert asked is not None and 3 <= asked <= 4
    assert wait_before(ToolUnavailableError("busy", retry_after=3600), attempt=1, backoff=1.0) is None


def test_the_header_of_a_response_is_honoured() -> None:
    response = httpx.Response(429, headers={"retry-after": "7"}, request=httpx.Request("GET", "http://x"))
    assert retry_after(httpx.HTTPStatusError("slow down", request=response.request, response=response)) == 7
    assert retry_after(ValueError()) is None


async def test_each_attempt_costs_a_call_and_the_budget_ends_the_attempts() -> None:
    tried = 0

    @tool(retries=10, backoff=0.0)
    async def flaky() -> int:
        nonlocal tried
        tried += 1
        raise ConnectionError("gone")

    budget = Budget(calls=3)
    run = Recorded()
    outcome = await run.run(call("a", "flaky"), answer(Ref("a")), tools=[flaky], budget=budget)
    assert outcome.stopped == "budget" and "calls" in outcome.reason
    assert tried == budget.spent["calls"] == 3


async def test_only_the_errors_of_the_policy_are_tried_again() -> None:
    tried: Counter[str] = Counter()

    @tool(retries=2, backoff=0.0, retry_on=ConnectionError)
    async def flaky(kind: str) -> str:
        tried[kind] += 1
        if kind == "bug":
            raise KeyError(kind)
        if tried[kind] < 3:
            raise ConnectionResetError(kind)
        return kind

    run = Recorded()
    await run.run(call("a", "flaky", kind="net"), call("b", "flaky", kind="bug"), tools=[flaky])
    assert run.graph.result("a") == "net" and run.graph.state("b") == "failed"
    assert tried == {"net": 3, "bug": 1}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"effect": "mutating", "retries": 1}, "never retried"),
        ({"effect": "mutating", "hedge": 1.0}, "never hedged"),
        ({"effect": "idempotent", "cache": "always"}, "only results of pure tools"),
        ({"reconcile": lambda key: Done()}, "reconcile is for mutating"),
        ({"effect": "mutating", "reconcile": dict}, "reconcile must be"),
        ({"hedge": "soon"}, "quantile"),
        ({"retry_on": "always"}, "retry_on"),
    ],
)
def test_options_that_contradict_the_effect_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ToolDefinitionError, match=says):

        @tool(**options)
        async def example() -> None: ...


# One call for equal calls.


async def test_equal_calls_of_a_pure_tool_are_made_once_even_in_flight() -> None:
    calls: Counter[str] = Counter()

    @tool
    async def look(word: str) -> str:
        calls[word] += 1
        await asyncio.sleep(0.01)
        return word.upper()

    @tool(effect="idempotent")
    async def put(word: str) -> str:
        calls["put"] += 1
        return word

    @tool(cache="never")
    async def dice() -> int:
        calls["dice"] += 1
        return calls["dice"]

    nodes = [call(f"n{i}", "look", word="a" if i % 2 else "b") for i in range(10)]
    nodes += [
        call("p1", "put", word="x"),
        call("p2", "put", word="x"),
        call("d1", "dice"),
        call("d2", "dice"),
    ]
    late = call("late", "look", word=Ref("p1"))
    again = call("again", "look", word="x")
    run, budget = Recorded(), Budget()
    await run.run(
        *nodes,
        late,
        again,
        tools=[look, put, dice],
        memo=CallMemo(),
        budget=budget,
    )
    assert calls == {"a": 1, "b": 1, "x": 1, "put": 2, "dice": 2}
    assert run.graph.result("n0") == "B" and run.graph.result("n9") == "A"
    assert run.graph.result("late") == run.graph.result("again") == "X"
    assert budget.spent["calls"] == 7 and len(run.of("tool.reused")) == 9


async def test_those_who_wait_for_a_failing_call_fail_with_it_and_a_later_call_is_made_anew() -> None:
    calls = 0

    @tool
    async def flaky() -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.01)
        if calls == 1:
            raise ValueError("not yet")
        return calls

    memo = CallMemo()
    run = Recorded()
    await run.run(call("a", "flaky"), call("b", "flaky"), tools=[flaky], memo=memo)
    assert run.graph.state("a") == run.graph.state("b") == "failed" and calls == 1
    later = Recorded()
    await later.run(call("a", "flaky"), tools=[flaky], memo=memo)
    assert later.graph.result("a") == 2


async def test_when_the_call_that_others_wait_for_is_cancelled_one_of_them_makes_it() -> None:
    calls = 0

    @tool
    async def slow(x: int) -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.02)
        return x

    memo = CallMemo()
    first = asyncio.create_task(memo.call(slow, {"x": 1}, lambda: slow.call({"x": 1})))
    others = [asyncio.create_task(memo.call(slow, {"x": 1}, lambda: slow.call({"x": 1}))) for _ in range(5)]
    await asyncio.sleep(0.005)
    first.cancel()
    assert [await other for other in others] == [1] * 5
    assert first.cancelled() and calls == 2


async def test_results_outlive_the_run_by_version_and_arguments() -> None:
    calls = 0

    def make(version: str | None) -> Any:
        @tool(cache="always", version=version)
        async def look(x: float) -> float:
            nonlocal calls
            calls += 1
            return x

        return look

    kept = MemoryResults()
    for version, x, made in [
        ("1", 1.5, 1),
        ("1", 1.5, 1),
        ("1", 2.5, 2),
        ("2", 1.5, 3),
        (None, 1.5, 4),
        (None, 1.5, 4),
    ]:
        run = Recorded()
        await run.run(call("a", "look", x=x), tools=[make(version)], memo=CallMemo(kept))
        assert run.graph.result("a") == x and calls == made


def test_keys_tell_apart_what_tools_can() -> None:
    @tool
    async def any_(x: Any) -> None: ...

    values: list[Any] = [
        1,
        1.0,
        True,
        "1",
        None,
        [1],
        (1,),
        {"a": 1},
        {1: "a"},
        {"1": "a"},
        float("nan"),
        {1},
        Path("1"),
    ]
    keys = [result_key(any_, {"x": value}) for value in values]
    assert None not in keys and len(set(keys)) == len(values)
    assert result_key(any_, {"x": {"a": 1, "b": 2}}) == result_key(any_, {"x": {"b": 2, "a": 1}})
    assert result_key(any_, {"x": object()}) is None
    assert result_key(any_, {"x": "y" * 10**8}) is None and result_key(any_, {"x": [0] * 10**6}) is None


# Hedging.


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_straggler_is_called_again_and_the_loser_is_cancelled(blocking: bool) -> None:
    began: list[int] = []
    cancelled = threading.Event()

    async def look(context: ToolContext[Any], x: int) -> int:
        began.append(x)
        if len(began) == 1:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                cancelled.set()
                raise
        return x

    def look_blocking(context: ToolContext[Any], x: int) -> int:
        began.append(x)
        if len(began) == 1:
            while not context.stopping:
                time.sleep(0.005)
            cancelled.set()
        return x

    made = tool(name="look", hedge=0.03)(look_blocking if blocking else look)
    run, budget = Recorded(), Budget()
    async with asyncio.timeout(10):
        await run.run(call("a", "look", x=7), tools=[made], budget=budget)
    assert run.graph.result("a") == 7 and began == [7, 7]
    assert cancelled.wait(2)
    (event,) = [e for e in run.events if e.kind == "tool.hedged"]
    assert event.second_won and event.wasted_seconds > 0.02  # type: ignore[attr-defined]
    assert budget.spent["calls"] == 2


async def test_a_hedge_waits_for_a_quantile_of_the_tools_own_latencies() -> None:
    calls = 0

    @tool(hedge="p90")
    async def look(slow: bool = False) -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.3 if slow and calls == 21 else 0.001)
        return calls

    for _ in range(20):
        await look.call({})
    assert calls == 20
    hedged: list[bool] = []
    assert await look.call({"slow": True}, on_hedged=lambda second, wasted: hedged.append(second)) == 22
    assert hedged == [True]


async def test_no_hedge_without_budget_and_both_failures_are_one() -> None:
    calls = 0

    @tool(hedge=0.01)
    async def look() -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.05)
        raise ValueError("no")

    run, budget = Recorded(), Budget(calls=1)
    await run.run(call("a", "look"), tools=[look], budget=budget)
    assert calls == 1 and run.graph.state("a") == "failed"
    with pytest.raises(ToolError, match="no"):
        await look.call({})
    assert calls == 3


# Mutating calls.


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
    assert (len(questions) == 1 and "post(what=hello)" in questions[0]) == (said is not None)
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


# People.


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
