"""Resuming runs: what is done is not done again, what was cut off goes on, and what cannot go on says why.

A run is interrupted by cancelling it or by ending its agent at a chosen moment. `tests/crash` kills real
processes.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import types
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from braid.engine import Budget
from braid.engine.scripted import Response, ScriptedEngine
from braid.executors import NodeStarted, ToolContext, tool
from braid.executors.journal import Journal, RunBusyError, UnknownRunError, recorded_events
from braid.executors.scheduler import ToolCallRequest
from braid.executors.tools.effects import Done, NotDone
from braid.orchestrator import Agent, JournalFailed, ResumeRefusedError, RunFinished, RunResumed, RunStarted
from braid.planner import PlannerStatement
from tests.support.interrupted_runs import PLAN, Toolbox, agent_of, interrupted, yes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


async def test_what_is_done_is_not_done_again(file: Path) -> None:
    first = Toolbox(hang="total")
    id = await interrupted(agent_of(file, first), first.hanging)
    assert first.calls == [("double", 1), ("double", 2), ("double", 3), ("total", (2, 4, 6))]
    second = Toolbox()
    async with agent_of(file, second, plan=[]) as agent:  # the plan was whole: no model is asked
        result = await agent.resume(id[:6])
        assert result.answer == "noted 12, 2, 4, 6" and result.complete and result.run_id == id
        assert second.calls == [("total", (2, 4, 6)), ("note", 12)]
        assert agent.journal is not None and agent.journal.find(id).status == "answered"
    kinds = [type(envelope.event) for envelope in result.events]
    assert kinds[0] is RunStarted and kinds[-1] is RunFinished and kinds.count(RunResumed) == 1
    assert [envelope.seq for envelope in result.events] == list(range(len(result.events)))
    assert {envelope.run for envelope in result.events} == {id}
    report = result.report()
    assert report.states == {"done": 7, "skipped": 1} and report.work > 0


async def test_an_answered_run_gives_its_answer_again(file: Path) -> None:
    box = Toolbox()
    async with agent_of(file, box) as agent:
        first = await agent.run("go")
        before = len(box.calls)
        again = await agent.resume(first.run_id)
        assert (again.answer, again.output, again.plan) == (first.answer, first.output, first.plan)
        assert len(box.calls) == before
        assert [e.event for e in again.events] == [e.event for e in first.events]
        assert again.usage == first.usage
        assert agent.journal is not None
        row = agent.journal.find(first.run_id)
        assert [e.event for e in recorded_events(agent.journal, row)] == [e.event for e in first.events]


async def test_an_answer_of_a_revision_is_given_again(file: Path) -> None:
    plans = ["a = broken(1)\nanswer(a)\n", "b = broken(2)\nanswer(b)\n", "c = double(2)\nanswer(c)\n"]
    async with agent_of(file, Toolbox(), plans, max_rounds=4) as agent:
        first = await agent.run("go")
    second = Toolbox()
    async with agent_of(file, second, [], max_rounds=4) as agent:  # no model is asked
        again = await agent.resume("last")
    assert (again.answer, again.rounds) == (first.answer, first.rounds) == ("4", 3)
    assert second.calls == []


@pytest.mark.parametrize("cut", range(0, len(PLAN), 7))
@pytest.mark.parametrize("style", ["chat", "compact"])
async def test_planning_goes_on_where_it_was_cut_off(file: Path, cut: int, style: str) -> None:
    details = {"prompt_style": "compact"} if style == "compact" else {}
    paused = asyncio.Event()

    async def stops(prompt: str) -> AsyncIterator[str]:
        yield PLAN[:cut]
        paused.set()
        await asyncio.sleep(60)

    first = Toolbox()
    agent = agent_of(file, first, ScriptedEngine(stops, details=details, chunk="char"))
    run = asyncio.create_task(agent.run("go"))
    await paused.wait()
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run
    await agent.close()

    def goes_on(prompt: str) -> str:
        if style == "chat":
            return PLAN
        return PLAN[len(prompt.split("<|plan|>\n")[1]) :]

    second = Toolbox()
    engine = ScriptedEngine(goes_on, details=details)
    async with agent_of(file, second, engine) as agent:
        result = await agent.resume("last")
    assert result.answer == "noted 12, 2, 4, 6", result.reason
    assert sorted(first.calls + second.calls) == sorted(
        [("double", 1), ("double", 2), ("double", 3), ("total", (2, 4, 6)), ("note", 12)]
    ), "every call once, over both processes"
    assert result.plan.count("total(") == 1
    assert len(engine.calls) == 1


@pytest.mark.parametrize("place", [0, 1, 3])
async def test_statements_of_one_piece_of_text_are_not_lost(file: Path, place: int) -> None:
    """The process ends when some of them are in the graph, and others are not yet."""
    box = Toolbox()
    runs: list[asyncio.Task[Any]] = []

    @tool
    async def end(x: int) -> int:
        runs[0].cancel()
        return x

    lines = [f"x{i} = double({i})\n" for i in range(8)]
    lines.insert(place, "e = end(1)\n")
    box.tools.append(end)
    plan = "".join(lines) + "answer(x0, x7)\n"
    agent = agent_of(file, box, plan)
    runs.append(asyncio.create_task(agent.run("go")))
    with suppress(asyncio.CancelledError):
        await runs[0]
    assert agent.journal is not None
    written = [e.event for e in recorded_events(agent.journal, agent.journal.find("last"))]
    assert sum(isinstance(event, PlannerStatement) for event in written) < 10, "all were in the graph"
    await agent.close()
    async with agent_of(file, box, []) as agent:
        runs[0] = asyncio.create_task(asyncio.sleep(0))
        result = await agent.resume("last")
    assert result.answer == "0, 14", result.reason


async def test_a_rejected_attempt_counts_after_a_resume(file: Path) -> None:
    async def second_stops(prompt: str) -> AsyncIterator[str]:
        yield "s = double(1)\n"
        paused.set()
        await asyncio.sleep(60)

    paused = asyncio.Event()
    box = Toolbox()
    agent = agent_of(file, box, ["s = double(1)\nt = nonsense(s)\n", second_stops], max_repairs=1)
    run = asyncio.create_task(agent.run("go"))
    await paused.wait()
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run
    await agent.close()
    engine = ScriptedEngine("s = double(1)\nanswer(s)")
    async with agent_of(file, box, engine, max_repairs=1) as agent:
        result = await agent.resume("last")
    assert result.answer == "2" and box.calls == [("double", 1)]
    (call,) = engine.calls
    assert "nonsense" in call.prompt and "breaks off here" in call.prompt


async def test_later_rounds_are_resumed_too(file: Path) -> None:
    plans = ["a = double(1)\nb = broken(a)\nanswer(b)\n", "c = total([a, 3])\nanswer(c)\n"]
    first = Toolbox(hang="total")
    await interrupted(agent_of(file, first, plans, max_rounds=2, replan=None), first.hanging, plans=2)
    second = Toolbox()
    async with agent_of(file, second, [], max_rounds=2, replan=None) as agent:
        result = await agent.resume("last")
    assert result.answer == "5" and result.rounds == 2
    assert second.calls == [("total", (2, 3))]
    assert result.graph.state("b") == "failed"


async def test_the_last_round_that_a_soft_limit_allows_is_the_last_after_a_resume(file: Path) -> None:
    plans = ["a = double(1)\n", "c = total([a, 3])\n"]
    options: Any = {"max_rounds": 5, "replan": None}
    first = Toolbox(hang="total")
    budget = Budget(calls=20, soft=0.1)
    await interrupted(agent_of(file, first, plans, **options), first.hanging, plans=2, budget=budget)
    async with agent_of(file, Toolbox(), [], **options) as agent:
        result = await agent.resume("last", budget=Budget(calls=1000))
    assert (result.rounds, result.stopped) == (2, "budget") and "soft limit" in result.reason


async def test_a_revision_of_the_running_plan_is_resumed(file: Path) -> None:
    plans = ["a = double(1)\nb = broken(a)\nc = double(b)\nanswer(c)\n", "b = total([a, 3])\n"]
    first = Toolbox(hang="total")
    await interrupted(agent_of(file, first, plans, max_rounds=3), first.hanging, plans=2)
    assert ("total", (2, 3)) in first.calls
    second = Toolbox()
    async with agent_of(file, second, [], max_rounds=3) as agent:
        result = await agent.resume("last")
    assert result.answer == "10" and second.calls == [("total", (2, 3)), ("double", 5)]


async def test_what_was_spent_counts(file: Path) -> None:
    first = Toolbox(hang="total")
    await interrupted(agent_of(file, first), first.hanging, budget=Budget(calls=6, tokens=100_000))
    second = Toolbox()
    async with agent_of(file, second, []) as agent:
        result = await agent.resume("last")
        # One call of the model, three of `double`, one of `total` that was cut off: one is left, for `total`.
        assert result.stopped == "budget" and "calls" in result.reason
        assert second.calls == [("total", (2, 4, 6))]
        assert agent.journal is not None and agent.journal.find("last").status == "partial"
        more = await agent.resume("last", budget=Budget(calls=20))
        assert more.answer == "noted 12, 2, 4, 6" and second.calls[1:] == [("note", 12)]
        assert agent.journal.find("last").spent["calls"] == 7


async def test_deps_and_output_types_are_given_again(file: Path) -> None:
    @tool
    async def secret_of(context: ToolContext[dict[str, str]]) -> str:
        """What the caller handed in."""
        if context.deps["wait"]:
            started.set()
            await asyncio.sleep(60)
        return context.deps["word"]

    started = asyncio.Event()
    options: Any = {"tools": [secret_of], "builtins": False, "journal": file, "output_type": list[str]}
    plan = "x = secret_of()\nanswer([x])"
    agent = Agent(ScriptedEngine(plan, chunk="whole"), **options)
    await interrupted(agent, started, deps={"wait": "yes", "word": "never stored"})
    assert b"never stored" not in everything(file)
    async with Agent(ScriptedEngine([]), **options) as agent:
        result = await agent.resume("last", deps={"wait": "", "word": "now"})
    assert result.output == ["now"]


def everything(file: Path) -> bytes:
    return b"".join(one.read_bytes() for one in file.parent.glob(file.name + "*"))


class Handle:
    """Nothing that a journal could hold."""

    def __init__(self, number: int) -> None:
        self.number = number


def handles(hanging: asyncio.Event | None, calls: list[str], *, effect: Any = "pure") -> list[Any]:
    @tool(effect=effect)
    async def grab() -> Any:
        """A thing that cannot be stored."""
        calls.append("grab")
        return Handle(3)

    @tool
    async def look(thing: Any) -> int:
        """Its number."""
        calls.append("look")
        if hanging is not None:
            hanging.set()
            await asyncio.sleep(60)
        return thing.number

    return [grab, look]


@pytest.mark.parametrize("effect", ["pure", "mutating"])
async def test_a_result_that_could_not_be_stored(file: Path, effect: str) -> None:
    calls: list[str] = []
    options: Any = {"builtins": False, "journal": file, "approve": yes, "max_rounds": 1, "replan": None}
    plan = "h = grab()\nn = look(h)\nanswer(n)"
    hanging = asyncio.Event()
    tools = handles(hanging, calls, effect=effect)
    await interrupted(Agent(ScriptedEngine(plan, chunk="whole"), tools=tools, **options), hanging)
    assert calls == ["grab", "look"]
    calls.clear()
    async with Agent(ScriptedEngine([]), tools=handles(None, calls, effect=effect), **options) as agent:
        result = await agent.resume("last", force=True)
    if effect == "pure":
        assert result.answer == "3" and calls == ["grab", "look"]
        calls.clear()
        async with Agent(ScriptedEngine([]), tools=[], **options) as agent:
            assert (await agent.resume("last")).answer == "3" and calls == []
    else:
        assert not result.complete and calls == []
        assert "grab did its work, but its result is not in the journal" in (result.graph.error("h") or "")


async def test_tools_that_changed_are_refused(file: Path) -> None:
    first = Toolbox(hang="total")
    await interrupted(agent_of(file, first), first.hanging)

    @tool
    async def total(xs: list[float]) -> float:
        return sum(xs)

    second = Toolbox()
    changed = [one if one.name != "total" else total for one in second.tools]
    for tools, why in ((changed, "total has changed"), (second.tools[:2], "note is not here")):
        async with Agent(ScriptedEngine([]), tools=tools, builtins=False, journal=file) as agent:
            with pytest.raises(ResumeRefusedError, match=why):
                await agent.resume("last")
    # What only finished nodes called may go.
    async with Agent(
        ScriptedEngine([]), tools=changed[1:], builtins=False, journal=file, approve=yes
    ) as agent:
        assert (await agent.resume("last", force=True)).answer == "noted 12, 2, 4, 6"


async def test_what_cannot_be_resumed_says_so(file: Path) -> None:
    box = Toolbox(hang="total")
    with pytest.raises(ResumeRefusedError, match="journal=True"):
        await Agent(ScriptedEngine([])).resume("x")
    async with agent_of(file, box) as agent:
        with pytest.raises(UnknownRunError, match="no run 'x'"):
            await agent.resume("x")
        run = asyncio.create_task(agent.run("go"))
        await box.hanging.wait()
        with pytest.raises(RunBusyError):
            await agent.resume("last")
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run


@pytest.mark.parametrize("fate", ["done", "not done", "nobody knows", "a person knows"])
async def test_a_mutating_call_under_way(file: Path, fate: str) -> None:
    calls: list[str] = []
    began = asyncio.Event()
    hang = True

    def asked(key: str) -> Done | NotDone:
        assert key.endswith(":p")
        return Done("receipt 1") if fate == "done" else NotDone()

    async def pay(context: ToolContext, amount: int) -> str:
        """Pay."""
        calls.append(context.idempotency_key)
        if hang:
            began.set()
            await asyncio.sleep(60)
        return f"receipt {len(calls)}"

    async def person(question: str) -> str:
        assert "pay(amount=5)" in question
        return "no"

    reconcile: Callable[[str], Done | NotDone] | None = asked if "done" in fate else None
    options: Any = {
        "tools": [tool(effect="mutating", reconcile=reconcile)(pay)],
        "builtins": False,
        "journal": file,
        "approve": yes,
        "max_rounds": 1,
        "replan": None,
        "ask": person if fate == "a person knows" else None,
    }
    plan = "p = pay(5)\nanswer(p)"
    await interrupted(Agent(ScriptedEngine(plan, chunk="whole"), **options), began)
    hang = False
    async with Agent(ScriptedEngine([]), **options) as agent:
        result = await agent.resume("last")
        if fate == "nobody knows":
            assert result.graph.state("p") == "uncertain" and len(calls) == 1
            result = await agent.resume("last")
            assert result.graph.state("p") == "uncertain" and len(calls) == 1, "never repeated blindly"
    assert len(set(calls)) == 1, "one key for one call"
    expected = {"done": ("receipt 1", 1), "not done": ("receipt 2", 2), "a person knows": ("receipt 2", 2)}
    if fate in expected:
        assert (result.answer, len(calls)) == expected[fate]


@pytest.mark.parametrize("asks", [True, False])
async def test_a_mutating_call_that_the_answer_does_not_read(file: Path, asks: bool) -> None:
    """It stands behind the answer, since a revision brought it."""
    began: list[str] = []
    both = asyncio.Event()
    asked: list[str] = []

    async def asked_for(key: str) -> Done | NotDone:
        asked.append(key.partition(":")[2])
        await asyncio.sleep(0)
        return Done(f"receipt {len(asked)}")

    @tool(effect="mutating", reconcile=asked_for if asks else None)
    async def pay(context: ToolContext, amount: int) -> str:
        began.append(context.node_id)
        if len(began) == 2:
            both.set()
        await asyncio.sleep(60)
        return ""

    async def knows_of_the_first(question: str) -> str:
        return "yes" if "amount=4" in question else "no idea"

    plans = ["f = double(2)\nw = broken(f)\nanswer(w)\n", "w = pay(f)\nextra = pay(7)\n"]
    box = Toolbox()
    box.tools.append(pay)
    await interrupted(agent_of(file, box, plans, max_rounds=3), both, plans=2)
    async with agent_of(file, box, [], max_rounds=3, ask=knows_of_the_first) as agent:
        result = await agent.resume("last")
        assert result.complete and len(began) == 2, "nothing is paid twice"
        assert result.graph.state("extra") == ("done" if asks else "uncertain")
        assert agent.journal is not None
        states = {call[1]: call[3] for call in agent.journal.calls(agent.journal.find("last").no)}
        assert states == dict.fromkeys(began, "done") | ({} if asks else {"extra": "started"})
        again = await agent.resume("last")
        assert again.answer == result.answer and again.graph.state("extra") == result.graph.state("extra")
        assert len(asked) == (2 if asks else 0)


async def test_an_agent_within_an_agent_is_resumed_too(file: Path) -> None:
    outer_plan = 'a = helper("first part")\nanswer(a)'
    inner_plan = "m = note(5)\nt = total([1, 2])\nanswer(m, t)"

    def agents(box: Toolbox, inner: Response | list[Response], outer: Response | list[Response]) -> Agent:
        helper = Agent(
            ScriptedEngine(inner, chunk="whole"), tools=box.tools, builtins=False, approve=yes, max_rounds=1
        ).as_tool("helper", "helps")
        return Agent(
            ScriptedEngine(outer, chunk="whole"), tools=[helper], builtins=False, journal=file, approve=yes
        )

    first = Toolbox(hang="total")
    id = await interrupted(agents(first, inner_plan, outer_plan), first.hanging)
    assert sorted(first.calls) == [("note", 5), ("total", (1, 2))]
    second = Toolbox()
    async with agents(second, [], []) as agent:
        result = await agent.resume("last")
        assert result.answer == "noted 5, 3" and result.run_id == id
        assert second.calls == [("total", (1, 2))], "the note is not written again"
        assert agent.journal is not None
        assert [row.id for row in agent.journal.runs()] == [id]
        assert [row.id for row in agent.journal.runs(nested=True)] == [f"{id}:a", id]
        assert agent.journal.find(id[:4]).id == id
        usage = agent.journal.find("last").spent
        assert usage["calls"] >= 4


async def test_a_stream_of_a_resumed_run_begins_at_the_beginning(file: Path) -> None:
    first = Toolbox(hang="total")
    await interrupted(agent_of(file, first), first.hanging)
    second = Toolbox()
    async with agent_of(file, second, []) as agent, agent.stream_resume("last") as events:
        seen = [envelope async for envelope in events]
        assert isinstance(seen[0].event, RunStarted) and isinstance(seen[-1].event, RunFinished)
        assert [e.event for e in seen] == [e.event for e in events.result.events]
        started = [e.event.node for e in seen if isinstance(e.event, NodeStarted)]
        assert started.count("s") == 2 and started.count("xs[0]") == 1


async def test_typed_results_are_what_they_were(file: Path) -> None:
    seen: list[Any] = []
    hanging = asyncio.Event()

    @tool
    async def make() -> Typed:
        """A model."""
        return Typed(number=4)

    @tool
    async def use(thing: Any) -> int:
        """Reads it."""
        seen.append(thing)
        if len(seen) == 1:
            hanging.set()
            await asyncio.sleep(60)
        return thing.number

    options: Any = {"tools": [make, use], "builtins": False, "journal": file}
    plan = "a = make()\nb = use(a)\nanswer(b)"
    await interrupted(Agent(ScriptedEngine(plan, chunk="whole"), **options), hanging)
    async with Agent(ScriptedEngine([]), **options) as agent:
        assert (await agent.resume("last")).answer == "4"
    assert seen == [Typed(number=4), Typed(number=4)] and type(seen[1]) is Typed


class Typed(BaseModel):
    number: int


async def test_a_journal_that_fails_costs_the_run_nothing(file: Path) -> None:
    box = Toolbox()

    @tool
    async def fill() -> str:
        """Fills the disk."""
        assert agent.journal is not None
        agent.journal._db.execute("PRAGMA max_page_count = 1")  # pyright: ignore[reportPrivateUsage]
        return "x" * 200_000

    plan = "a = double(4)\nb = fill()\nc = double(b)\nd = double(a)\nm = note(d)\nanswer(a, d)\n"
    agent = Agent(
        ScriptedEngine(plan, chunk="whole"),
        tools=[*box.tools, fill],
        builtins=False,
        journal=file,
        approve=yes,
        replan=None,
        max_rounds=1,
    )
    async with agent:
        result = await agent.run("go")
        assert result.answer == "8, 16"
        (failed,) = [e.event for e in result.events if isinstance(e.event, JournalFailed)]
        assert "free some space" in failed.error
        assert result.graph.state("m") == "failed" and "note is not called" in (result.graph.error("m") or "")
        assert agent.journal is not None and agent.journal.find("last").status == "interrupted"


async def test_without_a_journal_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_HOME", str(tmp_path / "home"))
    box = Toolbox()
    async with Agent(ScriptedEngine(PLAN), tools=box.tools, approve=yes) as agent:
        result = await agent.run("go")
        assert result.complete and result.run_id and agent.journal is None
    assert not (tmp_path / "home").exists()
    async with Agent(ScriptedEngine(PLAN), tools=box.tools, approve=yes, journal=True) as agent:
        await agent.run("go")
    with Journal(tmp_path / "home" / "journal.db") as journal:
        assert len(journal.runs()) == 1


async def test_a_refused_call_stays_refused_on_resume(file: Path) -> None:
    asked: list[str] = []

    async def no(request: ToolCallRequest) -> bool:
        asked.append(request.tool)
        return False

    first = Toolbox(hang="double")
    plan = "m = note(7)\nx = double(1)\nanswer(m, x)"
    agent = agent_of(file, first, [plan, plan], approve=no, max_rounds=2, replan=None)
    id = await interrupted(agent, first.hanging)
    async with agent_of(file, Toolbox(), "n = note(7)\nanswer(n)", approve=no, max_rounds=2) as agent:
        result = await agent.resume(id)
    assert asked == ["note"] and not result.complete
    assert "refused" in result.reason


SHOP = """
from dataclasses import dataclass

from braid.executors import tool

state = {"refunded": False}


@dataclass
class Order:
    refunded: bool


@tool
def find_order() -> Order:
    '''Look the order up.'''
    return Order(state["refunded"])


@tool(effect="mutating")
def refund() -> str:
    '''Pay money back.'''
    state["refunded"] = True
    return "refunded"
"""


@pytest.mark.parametrize("force", [False, True])
async def test_what_was_found_out_before_a_change_is_not_computed_anew(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    (tmp_path / "shop_of_this_test.py").write_text(SHOP)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "shop_of_this_test", raising=False)
    shop = importlib.import_module("shop_of_this_test")
    hangs = asyncio.Event()

    @tool
    async def receipt(text: str) -> str:
        """Wait, the first time."""
        if not hangs.is_set():
            hangs.set()
            await asyncio.sleep(60)
        return text

    plan = (
        "o = find_order()\nif not o.refunded:\n    r = refund()\n    t = receipt(r)\n"
        'if not o.refunded:\n    answer(t)\nelse:\n    answer("nothing to refund")\n'
    )
    agent = Agent(tools=[shop.find_order, shop.refund, receipt], journal=file, approve=yes)
    task = asyncio.create_task(agent.run_plan(plan))
    await hangs.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await agent.close()
    monkeypatch.setitem(sys.modules, shop.__name__, types.ModuleType(shop.__name__))  # the type is gone
    async with Agent(tools=[shop.find_order, shop.refund, receipt], journal=file, approve=yes) as again:
        if force:
            assert (await again.resume("last", force=True)).answer == "nothing to refund"
            return
        with pytest.raises(ResumeRefusedError, match=r"shop_of_this_test:Order .*--force"):
            await again.resume("last")
        monkeypatch.setitem(sys.modules, shop.__name__, shop)
        assert (await again.resume("last")).answer == "refunded"


async def test_resume_for_code_without_a_loop(file: Path) -> None:
    box = Toolbox()
    async with agent_of(file, box) as agent:
        first = await agent.run("go")
    again = await asyncio.to_thread(agent_of(file, Toolbox(), plan=[]).resume_sync, first.run_id)
    assert again.answer == first.answer


@pytest.mark.parametrize("end", ['answer("done", a)', 'decline(f"no, {a}")'])
@pytest.mark.parametrize("limit", ["calls", "seconds"])
async def test_a_run_that_a_limit_stopped_before_all_its_calls_is_not_over(
    file: Path, end: str, limit: str
) -> None:
    paid: list[int] = []
    waits = {"slow": 0.3 if limit == "seconds" else 0.05}

    @tool
    async def quick(x: int) -> int:
        """At once."""
        return x

    @tool
    async def slow(x: int) -> int:
        """Later."""
        await asyncio.sleep(waits["slow"])
        return x

    @tool(effect="mutating")
    async def pay(x: int) -> str:
        """Pay."""
        paid.append(x)
        return f"paid {x}"

    plan = f"a = quick(1)\nb = slow(2)\nc = pay(b)\n{end}\n"
    tools = [quick, slow, pay]
    async with Agent(tools=tools, journal=file, approve=yes) as agent:
        budget = Budget(calls=2) if limit == "calls" else Budget(seconds=0.15)
        first = await agent.run_plan(plan, budget=budget)
    assert (first.status, first.stopped, paid) == ("partial", "budget", [])
    assert "c" in first.reason
    waits["slow"] = 0.0
    async with Agent(tools=tools, journal=file, approve=yes) as agent:
        second = await agent.resume("last", budget=Budget(calls=10))
    assert second.status == ("answered" if end.startswith("answer") else "declined") and paid == [2]
