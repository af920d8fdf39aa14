"""Agents within agents: budget, usage, depth, cancellation, and the outer run's person and dependencies."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from braid.engine import Budget
from braid.engine.scripted import ScriptedEngine
from braid.executors import ToolContext, tool
from braid.executors.mcp import McpServer
from braid.executors.scheduler import ToolCallRequest
from braid.orchestrator import Agent

ASKS_HELPER = 'a = helper("what is it?")\nanswer(a)\n'


async def test_an_agent_within_an_agent_spends_the_outer_budget_and_shows_in_its_usage() -> None:
    inner = Agent(ScriptedEngine(["answer(1 + 1)\n", 'answer("two")\n']), tools=[])
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
