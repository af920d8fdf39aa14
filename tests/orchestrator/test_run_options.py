"""Tools and instructions of one run, and `run_sync` with every option."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from braid import Budget, ModelSettings
from braid.engine.scripted import ScriptedEngine
from braid.executors import ToolContext, tool
from braid.executors.tools import ToolDefinitionError
from braid.orchestrator import Agent, ResumeRefusedError, RunStarted, compare_with_sequential
from braid.orchestrator.options import RunOptions
from tests.support.interrupted_runs import interrupted


@tool
def height(name: str) -> int:
    """Height in metres."""
    return {"K2": 8611}[name]


def depth(name: str) -> int:
    """Depth in metres."""
    return {"Baikal": 1642}[name]


async def test_tools_of_a_run_are_beside_those_of_the_agent() -> None:
    engine = ScriptedEngine(['a = height("K2")\nb = depth("Baikal")\nanswer(a, b)\n', "answer(1)\n"])
    agent = Agent(engine, tools=[height])
    result = await agent.run("?", tools=[depth])
    assert result.output == (8611, 1642)
    started = next(e.event for e in result.events if isinstance(e.event, RunStarted))
    assert {"height", "depth", "calculate"} <= {*started.tools}
    assert (await compare_with_sequential(agent, result, tools=[depth])).nodes == 3
    await agent.run("?")
    assert "depth(" in engine.calls[0].prompt and "depth(" not in engine.calls[1].prompt
    assert "depth" not in agent.tools


@pytest.mark.parametrize("name", ["height", "calculate"])
async def test_two_tools_of_one_name_are_an_error(name: str) -> None:
    @tool(name=name)
    def other(x: str) -> str:
        """Another one."""
        return x

    engine = ScriptedEngine("answer(1)\n")
    with pytest.raises(ToolDefinitionError, match=name):
        await Agent(engine, tools=[height]).run("?", tools=[other])
    assert not engine.calls


async def test_instructions_of_a_run_follow_those_of_the_agent() -> None:
    engine = ScriptedEngine("answer(1)\n")
    agent = Agent(engine, tools=[], instructions="Use metres.")
    await agent.run("?", instructions="Be brief.")
    await agent.run("?")
    first, second = (call.prompt for call in engine.calls)
    assert first.index("Use metres.") < first.index("Be brief.")
    assert "Use metres." in second and "Be brief." not in second


async def test_a_run_is_resumed_with_its_tools(tmp_path: Path) -> None:
    hanging, let_go = asyncio.Event(), asyncio.Event()

    def made(version: str) -> Any:
        @tool(version=version)
        async def slow(x: int) -> int:
            """Slow."""
            hanging.set()
            await let_go.wait()
            return x + 1

        return slow

    options: Any = {"tools": [height], "journal": tmp_path / "runs.db", "replan": None, "max_rounds": 1}
    plan = 'a = height("K2")\nb = slow(a)\nanswer(b)\n'
    await interrupted(Agent(ScriptedEngine(plan, chunk="whole"), **options), hanging, tools=[made("1")])
    let_go.set()
    async with Agent(ScriptedEngine([]), **options) as agent:
        with pytest.raises(ResumeRefusedError, match="slow is not here"):
            await agent.resume("last")
        with pytest.raises(ResumeRefusedError, match="slow has changed"):
            await agent.resume("last", tools=[made("2")])
        assert (await agent.resume("last", tools=[made("1")])).output == 8612


def test_run_sync_takes_every_option() -> None:
    @tool
    def whose(context: ToolContext[str]) -> str:
        """Whose it is."""
        return context.deps

    engine = ScriptedEngine(['a = whose()\nb = depth("Baikal")\nanswer(b)\n'])
    options: RunOptions = {
        "deps": "Ada",
        "history": [{"role": "user", "content": "before"}],
        "budget": Budget(calls=50),
        "sequential": True,
        "settings": ModelSettings(temperature=0.5, seed=3),
        "tools": [whose, depth],
        "instructions": "Be brief.",
        "output_retries": 0,
    }
    assert options.keys() == RunOptions.__annotations__.keys()
    result = Agent(engine, tools=[]).run_sync("?", output_type=float, **options)
    number: float = result.output
    assert number == 1642.0 and result["a"] == "Ada" and result.history[0]["content"] == "before"
    assert "Be brief." in engine.calls[0].prompt and engine.calls[0].params.temperature == 0.5


async def test_an_option_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(TypeError, match="sequentially"):
        await Agent(ScriptedEngine("answer(1)"), tools=[]).run("?", sequentially=True)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="temprature"):
        Agent(ScriptedEngine("answer(1)"), temprature=1)  # type: ignore[call-arg]
