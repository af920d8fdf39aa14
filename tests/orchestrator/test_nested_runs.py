"""A plain tool that runs an agent: its run is a part of the run around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from braid.engine import Budget
from braid.engine.scripted import ScriptedEngine
from braid.executors import tool
from braid.executors.journal import Journal
from braid.executors.scheduler import ToolCallRequest
from braid.orchestrator import Agent, RunResult
from tests.support.interrupted_runs import interrupted

OUTER = 'a = research("what?")\nanswer(a)\n'
INNER = 'a = note("hello")\nb = calculate("1 + 1")\nanswer(f"{a}, {b}")\n'


class Notes:
    """An agent whose tool is a plain function that runs another agent, which takes notes."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        self.asked: list[tuple[str, asyncio.AbstractEventLoop]] = []
        self.results: list[RunResult[Any]] = []
        self.loop: asyncio.AbstractEventLoop | None = None

        @tool(effect="mutating")
        async def note(text: str) -> str:
            self.noted.append(text)
            return f"noted {text}"

        self.note = note
        self.inner = Agent(ScriptedEngine(INNER, chunk="whole"), tools=[note], max_rounds=1)

    async def approve(self, request: ToolCallRequest) -> bool:
        self.asked.append((request.tool, asyncio.get_running_loop()))
        return True

    def outer(self, research: Callable[..., Any], plan: str = OUTER, **options: Any) -> Agent:
        engine = ScriptedEngine(plan, chunk="whole")
        return Agent(engine, tools=[research], max_rounds=1, **{"approve": self.approve, **options})


async def test_it_shares_the_person_the_budget_and_the_journal(tmp_path: Path) -> None:
    notes, file = Notes(), tmp_path / "runs.db"

    async def research(question: str) -> str:
        """Find it out."""
        notes.results.append(await notes.inner.run(question))
        return notes.results[-1].answer

    budget = Budget(tokens=50_000)
    async with notes.outer(research, journal=file) as agent:
        result = await agent.run("What?", budget=budget)
    assert result.answer == "noted hello, 2" and [name for name, _ in notes.asked] == ["note"]
    (inner,) = notes.results
    spent = [each.usage.prompt_tokens + each.usage.generated_tokens for each in (result, inner)]
    assert budget.spent["tokens"] >= sum(spent) > max(spent)
    with Journal(file) as journal:
        row = journal.find(inner.run_id)
        assert inner.run_id.startswith(f"{result.run_id}:a/1-")
        assert (row.question, row.status, row.answer) == ("what?", "answered", "noted hello, 2")


async def test_a_stream_within_a_run_is_a_part_of_it(tmp_path: Path) -> None:
    notes = Notes()

    async def research(question: str) -> str:
        """Find it out."""
        async with notes.inner.stream(question) as run:
            return "".join([piece async for piece in run.text()])

    async with notes.outer(research, journal=tmp_path / "runs.db") as agent:
        result = await agent.run("What?")
        assert agent.journal is not None and agent.journal.find("last").id == result.run_id
    assert result.answer == "noted hello, 2" and [name for name, _ in notes.asked] == ["note"]


async def test_what_the_inner_agent_has_is_its_own() -> None:
    notes, own = Notes(), list[str]()

    async def approve(request: ToolCallRequest) -> bool:
        own.append(request.tool)
        return True

    notes.inner.approve = approve

    async def research(question: str) -> str:
        """Find it out."""
        return (await notes.inner.run(question)).answer

    assert (await notes.outer(research).run("What?")).answer == "noted hello, 2"
    assert own == ["note"] and not notes.asked
    alone = await Agent(ScriptedEngine(INNER), tools=[notes.note], max_rounds=1).run("What?")
    assert not alone.complete, "what was lent has gone back"


async def test_it_is_resumed_with_the_run_around_it(tmp_path: Path) -> None:
    hanging, let_go = asyncio.Event(), asyncio.Event()
    notes, file = Notes(), tmp_path / "runs.db"

    async def slow(text: str) -> str:
        """Slow."""
        hanging.set()
        await let_go.wait()
        return text

    plan = 'a = note("hello")\nb = slow(a)\nanswer(b)\n'

    def agent() -> Agent:
        inner = Agent(ScriptedEngine(plan, chunk="whole"), tools=[notes.note, slow], max_rounds=1)

        async def research(question: str) -> str:
            """Find it out."""
            return (await inner.run(question)).answer

        return notes.outer(research, journal=file)

    await interrupted(agent(), hanging)
    assert notes.noted == ["hello"]
    let_go.set()
    async with agent() as second:
        result = await second.resume("last")
    assert result.answer == "noted hello" and notes.noted == ["hello"], "not a second time"


async def test_equal_questions_of_one_call_are_runs_of_their_own(tmp_path: Path) -> None:
    notes = Notes()

    async def research(question: str) -> list[str]:
        """Find it out."""
        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(notes.inner.run(question)) for _ in range(3)]
        return [run.result().run_id for run in runs]

    async with notes.outer(research, journal=tmp_path / "runs.db") as agent:
        assert len({*(await agent.run("What?")).output}) == 3
    assert notes.noted == ["hello"] * 3


async def test_a_plain_function_in_a_thread_asks_the_person_on_their_own_loop() -> None:
    notes = Notes()

    def research(question: str) -> str:
        """Find it out."""
        return notes.inner.run_sync(question).answer

    async with asyncio.timeout(30):
        result = await notes.outer(research).run("What?")
    assert result.answer == "noted hello, 2"
    assert notes.asked == [("note", asyncio.get_running_loop())]


async def test_runs_within_runs_have_a_deepest_level() -> None:
    depth = 0

    async def deeper(question: str) -> str:
        """Go deeper."""
        nonlocal depth
        depth += 1
        result = await agent.run(question)
        return result.answer if result.complete else result.reason

    agent = Agent(ScriptedEngine('a = deeper("and?")\nanswer(a)\n'), tools=[deeper], max_rounds=1)
    result = await agent.run("What?")
    assert depth == 4 and "nested 3 deep" in f"{result.answer}{result.reason}"


@pytest.mark.parametrize("cancelled", [False, True])
async def test_the_limits_and_the_cancellation_of_the_outer_run_reach_it(cancelled: bool) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def endless() -> str:
        """Never ends."""
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    inner = Agent(ScriptedEngine("a = endless()\nanswer(a)\n"), tools=[endless])

    async def research(question: str) -> str:
        """Find it out."""
        return (await inner.run(question)).answer

    outer = Notes().outer(research)
    async with asyncio.timeout(30):
        if not cancelled:
            result = await outer.run("What?", budget=Budget(seconds=1))
            assert result.stopped == "budget"
        else:
            run = asyncio.create_task(outer.run("What?"))
            await began.wait()
            run.cancel()
            await asyncio.wait([run])
            assert run.cancelled()
    assert ended.is_set()
