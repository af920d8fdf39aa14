"""Agents within agents: budget, usage, depth, cancellation, and the outer run's person and dependencies."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from braid.engine import Budget
from braid.engine.scripted import ScriptedEngine
from braid.executors import ToolContext, tool
from braid.executors.mcp import McpServer
from braid.executors.scheduler import AskPerson, ToolCallRequest
from braid.executors.tools import Done, NotDone, ToolError
from braid.orchestrator import Agent

ASKS_HELPER = 'a = helper("what is it?")\nanswer(a)\n'


async def test_an_agent_within_an_agent_spends_the_outer_budget_and_shows_in_its_usage() -> None:
    inner = Agent(ScriptedEngine(["answer(one)\n", 'answer("two")\n']), tools=[])
    helper = inner.as_tool("helper", "knows numbers", tokens=5000)
    budget = Budget(tokens=20_000)
    async with inner, Agent(ScriptedEngine([ASKS_HELPER]), tools=[helper]) as agent:
        result = await agent.run("What?", budget=budget)
    assert result.answer == "two"
    spent = result.usage.prompt_tokens + result.usage.generated_tokens
    assert spent == budget.spent["tokens"] > 0


async def test_its_own_limit_fails_its_node_and_the_outer_run_goes_on() -> None:
    inner = Agent(ScriptedEngine(['answer("never")\n'] * 3), tools=[])
    helper = inner.as_tool("helper", "knows numbers", tokens=3)
    engine = ScriptedEngine([ASKS_HELPER, 'answer("without it")\n'])
    result = await Agent(engine, tools=[helper]).run("What?", budget=Budget(tokens=100_000))
    assert result.complete and result.answer == "without it"
    assert "no full answer" in engine.calls[1].prompt


async def test_agents_nest_to_a_limit() -> None:
    def made(depth: int) -> Agent:
        if depth == 0:
            return Agent(ScriptedEngine(['answer("bottom")\n'] * 9), tools=[])
        engine = ScriptedEngine(['a = deeper("and?")\nanswer(a)\n'] * 9)
        return Agent(engine, tools=[made(depth - 1).as_tool("deeper", "goes deeper")], max_rounds=1)

    assert (await made(3).run("What?")).answer == "bottom"
    result = await made(4).run("What?")
    assert not result.complete and "nested 3 deep" in result.reason


async def test_cancelling_the_outer_run_reaches_the_tools_of_the_inner_one() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    @tool
    async def endless() -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    inner = Agent(ScriptedEngine(["a = endless()\nanswer(a)\n"]), tools=[endless])
    outer = Agent(ScriptedEngine([ASKS_HELPER]), tools=[inner.as_tool("helper", "waits")])
    run = asyncio.create_task(outer.run("What?"))
    async with asyncio.timeout(30):
        await began.wait()
        run.cancel()
        await asyncio.wait([run])
    assert run.cancelled() and ended.is_set()


async def test_the_person_and_the_dependencies_of_the_outer_run_serve_the_inner_one() -> None:
    asked: list[str] = []

    @tool(effect="mutating")
    async def post(context: ToolContext[list[str]], text: str) -> str:
        context.deps.append(text)
        return f"posted {text}"

    async def approve(request: ToolCallRequest) -> bool:
        asked.append(request.tool)
        return True

    plan = 'a = post("hello")\nanswer(a)\n'
    posted: list[str] = []
    inner = Agent(ScriptedEngine([plan] * 2), tools=[post], max_rounds=1)
    outer = Agent(
        ScriptedEngine([ASKS_HELPER] * 2), tools=[inner.as_tool("helper", "posts")], approve=approve
    )
    assert (await outer.run("What?", deps=posted)).answer == "posted hello"
    assert posted == ["hello"] and asked == ["helper", "post"]
    # Alone it has nobody to approve: what was lent has gone back.
    assert not (await inner.run("What?", deps=posted)).complete and posted == ["hello"]


@tool(effect="mutating")
def post(text: str) -> str:
    return f"posted {text}"


@tool
def length(text: str) -> int:
    return len(text)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tools": [post]}, "mutating"),
        ({"tools": [length, Agent(tools=[post]).as_tool("inner", "posts")]}, "mutating"),
        ({"tools": [], "mcp": [McpServer(name="mail", command="mail-server")]}, "mutating"),
        ({"tools": [length]}, "idempotent"),
    ],
)
def test_its_effect_follows_from_its_tools(options: dict[str, Any], expected: str) -> None:
    agent = Agent(ScriptedEngine([]), **options)
    assert agent.as_tool("helper", "helps").spec.effect == expected
    assert agent.as_tool("helper", "helps", effect="pure").spec.effect == "pure"


async def test_without_a_person_to_approve_an_agent_that_changes_things_is_not_asked() -> None:
    engine = ScriptedEngine([])
    helper = Agent(engine, tools=[post]).as_tool("helper", "posts")
    result = await Agent(ScriptedEngine([ASKS_HELPER] * 3), tools=[helper], max_rounds=1).run("What?")
    assert not result.complete and "approve" in result.reason and not engine.calls


class Helped:
    """An agent whose helper makes a payment and then another one, in one journal."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.paid: list[int] = []
        self.reconciles = True
        self.breaks = False
        self.sent = True
        self.began = asyncio.Event()

    def agent(self, *, ask: AskPerson | None = None) -> Agent:
        async def outcome(key: str) -> Done | NotDone:
            if not self.reconciles:
                raise ToolError("the bank is closed")
            return NotDone()

        @tool(effect="mutating", reconcile=outcome)
        async def pay(amount: int) -> str:
            if amount == 2 and self.breaks:
                self.began.set()
                raise ConnectionError("the line is dead")
            self.paid.append(amount)
            return f"paid {amount}"

        inner = Agent(
            ScriptedEngine("a = pay(1)\nb = pay(2)\nanswer(a, b)\n", chunk="whole"), tools=[pay], max_rounds=1
        )
        return Agent(
            ScriptedEngine(ASKS_HELPER, chunk="whole"),
            tools=[inner.as_tool("helper", "pays")],
            max_rounds=1,
            journal=self.file,
            approve=yes,
            ask=ask,
        )


async def yes(_: object) -> bool:
    return True


async def test_an_agent_that_the_outer_budget_stopped_goes_on_when_there_is_more(tmp_path: Path) -> None:
    helped = Helped(tmp_path / "journal.db")
    async with helped.agent() as agent:
        result = await agent.run("What?", budget=Budget(calls=4))
        assert result.status != "answered" and result.stopped == "budget"
        assert result.graph.state("a") == "uncertain", "a part of it has happened"
        assert len(helped.paid) == 1
        result = await agent.resume("last", budget=Budget(calls=1))
        assert result.stopped == "budget" and result.graph.state("a") == "uncertain"
        result = await agent.resume("last", budget=Budget())
    assert result.answer == "paid 1, paid 2" and sorted(helped.paid) == [1, 2]


async def test_an_agent_with_an_uncertain_call_is_uncertain_itself(tmp_path: Path) -> None:
    helped = Helped(tmp_path / "journal.db")
    helped.breaks, helped.reconciles = True, False
    async with helped.agent() as agent:
        result = await agent.run("What?")
        assert result.graph.state("a") == "uncertain" and helped.paid == [1]
    helped.breaks = False

    async def ask(question: str) -> str:
        assert question.startswith("pay(amount=2)"), question
        return "no"

    async with helped.agent(ask=ask) as agent:
        result = await agent.resume("last")
    assert result.answer == "paid 1, paid 2" and helped.paid == [1, 2]
