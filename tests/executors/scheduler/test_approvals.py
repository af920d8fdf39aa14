"""Nodes that wait for a person."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from braid.executors import RunContext, TaskGraph, ToolRegistry, run_graph, tool
from braid.executors.nodes import Ask, Const, Node, Ref
from braid.executors.scheduler import ToolCallRequest
from tests.support.small_tools import same
from tests.support.written_plans import Recorded, answer, assert_settled, call, mapped, patches


@tool(effect="mutating")
async def send(x: Any) -> Any:
    await asyncio.sleep(0.01)
    return x


async def yes(request: ToolCallRequest) -> bool:
    return True


async def test_mutating_tools_need_approval() -> None:
    asked: list[ToolCallRequest] = []

    async def no(request: ToolCallRequest) -> bool:
        asked.append(request)
        return False

    without = await Recorded().run(call("a", "send", x=1), tools=[send])
    assert "nobody to approve it" in without.failures[0][1]
    refused = await Recorded().run(call("a", "send", x=1), tools=[send], approve=no)
    assert "was not approved" in refused.failures[0][1]
    assert asked == [ToolCallRequest(node="a", tool="send", args={"x": 1}, effect="mutating")]
    outcome = await Recorded().run(
        call("a", "send", x=1),
        call("b", "same", x=Ref("a")),
        answer(Ref("b")),
        tools=[send, same],
        approve=yes,
    )
    assert outcome.answer == (1,)


async def test_ask() -> None:
    async def person(question: str) -> str:
        return question.upper()

    node = Node(id="a", op=Ask(Const("who?")), name="a")
    assert (await Recorded().run(node, answer(Ref("a")), tools=[], ask=person)).answer == ("WHO?",)
    assert "no person to ask" in (await Recorded().run(node, tools=[])).failures[0][1]


async def test_plain_functions_answer_for_a_person() -> None:
    for allowed in (True, False):
        outcome = await Recorded().run(
            call("a", "send", x=1), answer(Ref("a")), tools=[send], approve=lambda _, said=allowed: said
        )
        assert outcome.answer == ((1,) if allowed else None)
    node = Node(id="a", op=Ask(Const("who?")), name="a")
    assert (await Recorded().run(node, answer(Ref("a")), tools=[], ask=str.upper)).answer == ("WHO?",)


async def test_a_cancelled_run_asks_nobody_any_more() -> None:
    started = asyncio.Event()
    asked: list[ToolCallRequest] = []

    @tool
    async def slow(x: int) -> int:
        started.set()
        await asyncio.Event().wait()
        return x

    async def approve(request: ToolCallRequest) -> bool:
        asked.append(request)
        return True

    graph = TaskGraph()
    # The map collects what its items failed with, so its reader has its input even now.
    nodes = [mapped("xs", [1, 2], "slow", on_error="collect", x=Ref("m")), call("mail", "send", x=Ref("xs"))]
    context = RunContext(tools=ToolRegistry([slow, send]), approve=approve)
    task = asyncio.create_task(run_graph(graph, patches(graph, [nodes]), context))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asked == []
    assert graph.state("mail") == "cancelled"
    assert_settled(graph)


async def test_a_refused_call_is_not_asked_about_again() -> None:
    asked: list[ToolCallRequest] = []
    refused: set[str] = set()

    async def no(request: ToolCallRequest) -> bool:
        asked.append(request)
        await asyncio.sleep(0.01)
        return False

    for _ in range(2):  # two rounds of one run
        plan = [
            call("a", "send", x="hello"),
            call("b", "send", x="hello"),
            call("c", "send", x=2),
        ]
        recorded = Recorded()
        outcome = await recorded.run(*plan, tools=[send], approve=no, refused=refused)
        assert len(outcome.failures) == 3
    assert [request.args for request in asked] == [{"x": "hello"}, {"x": 2}]
    assert len(refused) == 2


@pytest.mark.parametrize("reply", ["no", "yes", 1, None, [True]])
async def test_only_true_and_false_decide(reply: Any) -> None:
    outcome = await Recorded().run(call("a", "send", x=1), tools=[send], approve=lambda _: reply)
    assert "approve must return True or False" in outcome.failures[0][1]


async def test_an_error_of_approve_is_told_as_one() -> None:
    def broken(request: ToolCallRequest) -> bool:
        raise ValueError("a bug")

    outcome = await Recorded().run(call("a", "send", x=1), tools=[send], approve=broken)
    assert "approve raised ValueError: a bug" in outcome.failures[0][1]


async def test_an_interrupt_at_the_question_ends_the_run() -> None:
    def interrupted(request: ToolCallRequest) -> bool:
        raise KeyboardInterrupt

    def run() -> None:
        asyncio.run(Recorded().run(call("a", "send", x=1), tools=[send], approve=interrupted))

    with pytest.raises(KeyboardInterrupt):
        await asyncio.to_thread(run)
