"""Where a plan ends: which answer counts, and what it leaves running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from braid.executors import GraphPatch, RunContext, TaskGraph, ToolRegistry, run_graph, tool
from braid.executors.nodes import Const, Ref
from braid.executors.scheduler import ToolCallRequest
from tests.support.small_tools import TOOLS
from tests.support.written_plans import Recorded, answer, assert_settled, branch, call


async def test_the_newest_answer_counts_even_when_a_revision_revives_an_older_one() -> None:
    recorded = Recorded()
    await recorded.run(call("a", "broken"), answer(Ref("a")), tools=TOOLS)
    outcome = await recorded.run(
        call("a2", "same", x=1, bind="a"),
        answer("newer", Ref("a"), id="answer2"),
        tools=TOOLS,
    )
    assert outcome.answer == ("newer", 1)
    assert recorded.graph.state("answer") == "cancelled"


async def test_an_older_answer_runs_when_the_revision_brings_no_newer_one() -> None:
    recorded = Recorded()
    await recorded.run(call("a", "broken"), answer(Ref("a")), tools=TOOLS)
    outcome = await recorded.run(call("a2", "same", x=1, bind="a"), tools=TOOLS)
    assert outcome.answer == (1,)


@tool(effect="mutating")
async def send(x: Any) -> Any:
    await asyncio.sleep(0.01)
    return x


async def yes(request: ToolCallRequest) -> bool:
    return True


async def test_an_answer_cancels_what_it_did_not_read_but_mutating_calls_before_it_finish() -> None:
    recorded = Recorded()
    outcome = await recorded.run(
        tools=[*TOOLS, send],
        approve=yes,
        chunks=[
            [
                call("unread", "forever"),
                call("text", "pause", x="hello", seconds=0.02),
                call("mail", "send", x=Ref("text")),
                answer("sent"),
            ]
        ],
    )
    assert outcome.answer == ("sent",)
    graph = recorded.graph
    assert graph.state("unread") == "cancelled"
    assert graph.result("mail") == "hello"
    assert recorded.at("node.finished", "answer") < recorded.at("node.finished", "mail")


@pytest.mark.parametrize("early", [True, False])
async def test_an_answer_under_an_if_is_an_early_return(early: bool) -> None:
    recorded = Recorded()
    outcome = await recorded.run(
        call("a", "pause", x=early),
        answer("early", guards=branch(Ref("a")), id="answer1"),
        call("mail", "send", x=1),
        answer("late", id="answer2"),
        tools=[*TOOLS, send],
        approve=yes,
        chunks=None,
    )
    assert outcome.answer == (("early",) if early else ("late",))
    if early:
        assert recorded.of("node.started").count("mail") == 0
    else:
        assert recorded.graph.state("mail") == "done"
        assert recorded.at("node.skipped", "answer1") < recorded.at("node.started", "mail")


async def test_an_answer_under_an_if_closes_the_stream() -> None:
    graph = TaskGraph()
    closed = asyncio.Event()

    async def stream() -> AsyncIterator[GraphPatch]:
        try:
            yield GraphPatch(0, (answer(1, guards=branch(Const(True))),))
            await asyncio.Event().wait()
        finally:
            closed.set()

    outcome = await run_graph(graph, stream(), RunContext(tools=ToolRegistry(TOOLS)))
    assert outcome.answer == (1,)
    assert closed.is_set()
    assert_settled(graph)


async def test_statements_behind_an_answer_that_ran_do_not_start() -> None:
    recorded = Recorded()
    outcome = await recorded.run(
        tools=[*TOOLS, send],
        approve=yes,
        chunks=[[answer(1)], [call("late", "send", x=1), call("later", "same", x=1)]],
    )
    assert outcome.answer == (1,)
    assert recorded.graph.state("late") == recorded.graph.state("later") == "cancelled"


async def test_a_plan_without_answer_ends_unanswered() -> None:
    outcome = await Recorded().run(call("a", "same", x=1), tools=TOOLS)
    assert outcome.answer is None
    assert not outcome.answered
    assert outcome.stopped is None
