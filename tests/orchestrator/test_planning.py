"""Graphs that are revised while they run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from braid.engine import Budget
from braid.engine.scripted import ScriptedEngine
from braid.executors import GraphPatch, RunContext, TaskGraph, ToolRegistry, run_graph, tool
from braid.executors.graph.patch import GraphError, StalePatchError
from braid.executors.nodes.nodes import Answer, Const, Node, Ref, ToolCall
from braid.executors.scheduler.revisions import Replan, RevisionRequest, SteeringQueue
from braid.orchestrator import Agent


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


async def test_a_person_is_heard_also_when_rounds_and_revisions_are_used_up():
    gate = Gate()
    engine = ScriptedEngine(['a = slow("one")\nanswer(a)\n', 'o = quick("opens")\nanswer(o)\n'])
    agent = Agent(engine, tools=gate.tools(), max_rounds=1, replan=Replan(max_revisions=0))
    async with agent, agent.stream("What?") as events:
        async for envelope in events:
            if envelope.event.kind == "node.started" and gate.called == ["one"]:
                events.say("leave that")
    assert events.result.answer == "quick opens" and len(engine.calls) == 2


async def test_words_that_come_before_the_plan_are_kept_for_it():
    gate = Gate()
    engine = ScriptedEngine(['a = slow("one")\nanswer(a)\n', 'o = quick("opens")\nanswer(o)\n'])
    async with Agent(engine, tools=gate.tools()) as agent, agent.stream("What?") as events:
        events.say("quick, please")
        async for _ in events:
            pass
    assert events.result.answer == "quick opens"
    assert "quick, please" in engine.calls[1].prompt


class Scripted:
    """A replanner with given patches. It records the requests that it gets."""

    def __init__(
        self, graph: TaskGraph, revisions: list[list[Node]], during: SteeringQueue | None = None
    ) -> None:
        self.graph = graph
        self.revisions = revisions
        self.during = during
        self.received: list[tuple[str, str]] = []

    def surprise(self, node: Node, value: object) -> str | None:
        return None

    async def revise(self, triggers: Sequence[RevisionRequest]) -> AsyncIterator[GraphPatch]:
        self.received += [(one.kind, one.text) for one in triggers]
        if self.during is not None:
            self.during.say("and now?")
            self.during = None
            await asyncio.sleep(0)
        for node in self.revisions.pop(0) if self.revisions else []:
            yield GraphPatch(base_version=self.graph.version, add=(node,))


def called(name: str, tool: str, argument: object) -> Node:
    given = Ref(argument.name or "") if isinstance(argument, Node) else Const(argument)
    return Node(id=f"{name}-{argument}", name=name, op=ToolCall(tool, (("name", given),)))


async def test_a_patch_that_conflicts_is_rejected_with_the_reason_and_the_rest_of_the_revision_stands():
    gate = Gate()
    graph = TaskGraph()
    bad = called("b", "quick", "bad")
    slow = called("a", "slow", "one")
    waits = Node(id="c", name="c", op=ToolCall("quick", (("name", Ref("b")),)))
    graph.apply(GraphPatch(base_version=0, add=(slow, bad, waits)))
    replanner = Scripted(
        graph,
        [
            [
                called("a", "quick", "again"),
                called("d", "quick", "fits"),
            ],  # `a` is running: it cannot be bound anew
            [called("e", "quick", "opens"), Node(id="end", op=Answer((Ref("a"), Ref("d"), Ref("e"))))],
        ],
    )
    async with asyncio.timeout(30):
        outcome = await run_graph(
            graph, None, RunContext(tools=ToolRegistry(gate.tools()), budget=Budget()), replanner=replanner
        )
    assert outcome.answer == ("slow one", "quick fits", "quick opens")
    assert [kind for kind, _ in replanner.received] == ["failed", "rejected"]
    assert "'a'" in replanner.received[1][1]
    assert "again" not in gate.called


async def test_words_said_during_a_revision_are_handed_over_right_after_it():
    gate = Gate()
    graph = TaskGraph()
    graph.apply(GraphPatch(base_version=0, add=(called("a", "slow", "one"),)))
    inbox = SteeringQueue()
    opens = [called("o", "quick", "opens"), Node(id="end", op=Answer((Ref("a"),)))]
    replanner = Scripted(graph, [[], opens], during=inbox)
    inbox.say("hello")
    async with asyncio.timeout(30):
        outcome = await run_graph(
            graph,
            None,
            RunContext(tools=ToolRegistry(gate.tools()), budget=Budget()),
            replanner=replanner,
            queue=inbox,
        )
    assert outcome.answer == ("slow one",)
    assert replanner.received == [("person", "hello"), ("person", "and now?")]


@pytest.mark.parametrize("chunk", ["word", "whole"])
@pytest.mark.parametrize(
    "second", ["b = book(s[1])\nanswer(b)\n", "b = book(s[0])\nanswer(b)\n", "answer(b)\n"]
)
@pytest.mark.parametrize("replan", [Replan(), None])
async def test_what_a_failure_blocked_waits_for_what_the_next_plan_makes_of_it(
    chunk: Any, second: str, replan: Replan | None
) -> None:
    booked: list[str] = []

    @tool
    async def slots(day: int) -> list[str]:
        """Free times of a day."""
        if day == 1:
            raise KeyError(day)
        return ["9:00", "10:30"]

    @tool(effect="mutating")
    async def book(time: str) -> str:
        """Book a time."""
        booked.append(time)
        return time

    engine = ScriptedEngine(
        ["s = slots(1)\nb = book(s[0])\nanswer(b)\n", "s = slots(2)\n" + second], chunk=chunk
    )
    agent = Agent(engine, tools=[slots, book], approve=lambda request: True, replan=replan)
    result = await agent.run("Book a time.")
    wanted = "10:30" if "s[1]" in second else "9:00"
    assert (result.answer, booked, result.rounds) == (wanted, [wanted], 2)
