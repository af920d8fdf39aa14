"""Graphs that are revised while they run, and agents within agents."""

from __future__ import annotations

import asyncio

import pytest

from engine import Budget
from executors import GraphError, GraphPatch, Replan, StalePatchError, TaskGraph, tool
from executors.nodes import Answer, Const, Node, Ref, ToolCall
from orchestrator import Agent
from orchestrator.testing import ScriptedEngine


class Gate:
    """A tool that waits to be let through, and notes what was called."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.called: list[str] = []

    def tools(self) -> list:
        @tool
        async def slow(name: str) -> str:
            self.called.append(name)
            await self.open.wait()
            return f"slow {name}"

        @tool
        async def quick(name: str) -> str:
            self.called.append(name)
            if name == "bad":
                raise ValueError("no such thing")
            if name == "opens":
                self.open.set()
            return f"quick {name}"

        return [slow, quick]


async def test_a_failure_is_mended_while_everything_else_goes_on():
    gate = Gate()
    engine = ScriptedEngine(
        [
            'a = slow("one")\nb = quick("bad")\nc = quick(b)\nanswer(a, c)\n',
            # Only this revision opens the gate: it must be asked for while `a` is still running.
            'd = quick("opens")\nanswer(a, d)\n',
        ]
    )
    async with Agent(engine, tools=gate.tools()) as agent:
        result = await agent.run("What?")
    assert result.answer == "slow one, quick opens"
    assert gate.called == ["one", "bad", "opens"]  # nothing ran twice
    assert result.rounds == 2
    assert "no such thing" in engine.calls[1].prompt


async def test_without_replanning_a_round_waits_for_what_runs():
    gate = Gate()
    gate.open.set()
    engine = ScriptedEngine(['b = quick("bad")\nanswer(b)\n', 'd = quick("good")\nanswer(d)\n'])
    async with Agent(engine, tools=gate.tools(), replan=None) as agent:
        assert (await agent.run("What?")).answer == "quick good"


async def test_a_failure_that_blocks_nothing_calls_for_no_revision():
    gate = Gate()
    gate.open.set()
    engine = ScriptedEngine(['b = quick("bad")\na = slow("one")\nanswer(a)\n'])
    async with Agent(engine, tools=gate.tools()) as agent:
        result = await agent.run("What?")
    assert result.answer == "slow one" and len(engine.calls) == 1


async def test_a_surprising_result_is_not_read_by_the_plan():
    gate = Gate()
    gate.open.set()
    engine = ScriptedEngine(['a = quick("odd")\nb = quick(a)\nanswer(b)\n', 'c = quick("even")\nanswer(c)\n'])
    replan = Replan(check=lambda node, value: "that is odd" if value == "quick odd" else None)
    async with Agent(engine, tools=gate.tools(), replan=replan) as agent:
        result = await agent.run("What?")
    assert result.answer == "quick even"
    assert gate.called == ["odd", "even"]
    assert "that is odd" in engine.calls[1].prompt


async def test_a_revision_after_some_results_gets_a_summary_and_may_cancel_nothing():
    gate = Gate()
    plan = 'a = quick("x")\nb = quick("y")\nz = slow("one")\nanswer(a, b, z)\n'
    engine = ScriptedEngine([plan, 'o = quick("opens")\n'])
    async with Agent(engine, tools=gate.tools(), replan=Replan(every=2, max_revisions=1)) as agent:
        result = await agent.run("What?")
    assert result.answer == "quick x, quick y, slow one"
    assert "a = quick x" in engine.calls[1].prompt


async def test_what_a_person_says_reaches_the_planner_of_a_running_graph():
    gate = Gate()
    engine = ScriptedEngine(['a = slow("one")\nanswer(a)\n', 'o = quick("opens")\nanswer(o)\n'])
    async with Agent(engine, tools=gate.tools()) as agent, agent.stream("What?") as events:
        async for envelope in events:
            if envelope.event.kind == "node.started" and "one" in gate.called:
                events.say("leave that, say quick opens")
        assert "leave that" in engine.calls[1].prompt
        assert events.result.rounds == 2
        assert gate.called == ["one", "opens"]


async def test_revisions_end():
    gate = Gate()
    engine = ScriptedEngine(['b = quick("bad")\nanswer(b)\n'] * 10)
    async with Agent(engine, tools=gate.tools(), max_rounds=4) as agent:
        result = await agent.run("What?")
    assert result.stopped == "max_rounds"
    assert len(engine.calls) == 4


def test_a_stale_patch_is_refused_and_can_be_rebased_unless_it_conflicts():
    graph = TaskGraph()
    call = ToolCall("t", ())
    graph.apply(GraphPatch(base_version=0, add=(Node(id="a", name="a", op=call),)))
    late = GraphPatch(base_version=0, add=(Node(id="b", name="b", op=ToolCall("t", (("x", Ref("a")),))),))
    with pytest.raises(StalePatchError):
        graph.apply(late)
    graph.apply(graph.rebase(late))
    assert list(graph.nodes) == ["a", "b"]
    with pytest.raises(GraphError, match="bound already"):
        graph.rebase(GraphPatch(base_version=0, add=(Node(id="c", name="a", op=Answer((Const(1),))),)))


async def test_an_agent_within_an_agent_spends_the_outer_budget_and_shows_in_its_usage():
    inner = Agent(ScriptedEngine(["answer(1 + 1)\n", 'answer("two")\n']), tools=[])
    outer_engine = ScriptedEngine(['a = helper("what is one and one?")\nanswer(a)\n'])
    helper = inner.as_tool("helper", "knows numbers", tokens=5000)
    budget = Budget(tokens=20_000)
    async with inner, Agent(outer_engine, tools=[helper]) as agent:
        result = await agent.run("What?", budget=budget)
    assert result.answer == "two"
    spent = result.usage.prompt_tokens + result.usage.generated_tokens
    assert spent == budget.spent["tokens"] > 0


async def test_agents_nest_to_a_limit():
    async def made(depth: int) -> Agent:
        engine = ScriptedEngine(['a = deeper("and?")\nanswer(a)\n'] * 9)
        if depth == 0:
            return Agent(ScriptedEngine(['answer("bottom")\n'] * 9), tools=[])
        return Agent(engine, tools=[(await made(depth - 1)).as_tool("deeper", "goes deeper")], max_rounds=1)

    assert (await (await made(3)).run("What?")).answer == "bottom"
    result = await (await made(4)).run("What?")
    assert not result.complete and "nested 3 deep" in result.reason
