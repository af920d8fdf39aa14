"""What each call of a model in a run cost, and that these add up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from braid.engine import Usage
from braid.engine.scripted import ScriptedEngine
from braid.executors import tool
from braid.orchestrator import Agent, OutputTypeError, RunResult


class Height(BaseModel):
    metres: int


@tool
def height(name: str) -> int:
    """Height in metres."""
    return {"K2": 8611}[name]


def adds_up(result: RunResult[Any]) -> bool:
    total = Usage()
    for call in result.calls:
        total = total.beside(call.usage)
    return replace(total, critical_path_tokens=0) == replace(result.usage, critical_path_tokens=0)


THOUGHTS = 'a = think("x")\nbs = [think(f"{i}", n=2) for i in [1, 2]]\nanswer(a, bs)\n'


@pytest.mark.parametrize(
    ("script", "kinds", "nodes"),
    [
        ([THOUGHTS, "p", "q", "r"], ["plan", "think", "think", "think"], ["", "a", "bs[0]", "bs[1]"]),
        (['a = hight("K2")\n', 'a = height("K2")\nanswer(a)\n'], ["plan"], [""]),
        (['a = height("K3")\n', 'b = think("y")\nanswer(b)', "p"], ["plan", "plan", "think"], ["", "", "b"]),
        (["answer(1 + 1)\n"] * 9, ["plan"], [""]),
    ],
    ids=["thoughts", "repair", "rounds", "no plan"],
)  # fmt: skip
async def test_they_add_up(script: list[str], kinds: list[str], nodes: list[str]) -> None:
    result = await Agent(ScriptedEngine(script), tools=[height], shortcuts=False, max_rounds=2).run("?")
    assert adds_up(result) and result.usage.calls > 0
    assert ([call.kind for call in result.calls], [call.node for call in result.calls]) == (kinds, nodes)
    assert all(call.usage.generated_tokens and call.seconds >= 0 for call in result.calls)
    assert [call["kind"] for call in result.to_dict()["calls"]] == kinds


async def test_direct_answers_and_outputs_have_theirs() -> None:
    direct = await Agent(ScriptedEngine("A poem."), tools=[]).run("Write a poem about the sea.")
    assert [call.kind for call in direct.calls] == ["direct"] and adds_up(direct)
    engine = ScriptedEngine(['answer("8611 m")', "no JSON", '{"metres": 8611}'])
    result = await Agent(engine, tools=[], output_retries=2).run("How tall is K2?", output_type=Height)
    assert [call.kind for call in result.calls] == ["plan", "output", "output"] and adds_up(result)
    engine = ScriptedEngine(['answer("8611 m")', "no JSON"])
    with pytest.raises(OutputTypeError) as caught:
        await Agent(engine, tools=[]).run("How tall is K2?", output_type=Height)
    assert caught.value.result is not None and adds_up(caught.value.result)
    assert caught.value.result.calls[-1].kind == "output"


async def test_an_agent_as_a_tool_is_one_call_of_its_node() -> None:
    inner = Agent(ScriptedEngine('answer("two")\n'), tools=[])
    engine = ScriptedEngine('a = helper("what?")\nanswer(a)\n')
    result = await Agent(engine, tools=[inner.as_tool("helper", "knows")]).run("?")
    assert [(call.kind, call.node, call.engine) for call in result.calls] == [
        ("plan", "", "scripted:scripted"),
        ("tool", "a", ""),
    ]
    assert adds_up(result)


async def test_a_plan_of_code_is_no_call() -> None:
    async with Agent("local:braid-mini") as agent:
        result = await agent.run("How tall is K2?")
    assert result.answer and result.calls == () and result.usage == Usage()


async def test_a_resumed_run_tells_those_of_both_processes(tmp_path: Path) -> None:
    script = ['a = think("x")\nanswer(f"{a}")\n', "yes"]
    options: dict[str, Any] = {"tools": [], "journal": tmp_path / "runs.db", "shortcuts": False}
    async with Agent(ScriptedEngine(script), **options) as agent:
        first = await agent.run("?")
    async with Agent(ScriptedEngine([]), **options) as agent:
        again = await agent.resume("last")
    assert [call.usage for call in again.calls] == [call.usage for call in first.calls]
    assert adds_up(again) and again.usage == first.usage
