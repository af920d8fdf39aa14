"""Guards, skips, branches and maps."""

from __future__ import annotations

import asyncio

import pytest

from braid.executors import GraphPatch, Limits, TaskGraph, tool
from braid.executors.graph import GraphError
from braid.executors.nodes import Compare, Const, DictOf, Field, Guard, Ref, Template, ToolCall
from braid.executors.scheduler.answers import Answers
from braid.executors.scheduler.dataflow import Dataflow
from braid.executors.values import ItemError
from tests.support.small_tools import TOOLS, same
from tests.support.written_plans import Recorded, answer, branch, call, mapped


async def test_guards_choose_a_branch_and_both_may_bind_one_name() -> None:
    for value, expected in ((5, "big"), (1, "small")):
        recorded = Recorded()
        condition = Compare(">", Ref("a"), Const(3))
        outcome = await recorded.run(
            call("a", "pause", x=value),
            call("x1", "same", x="big", bind="x", guards=branch(condition)),
            call("x2", "same", x="small", bind="x", guards=branch(condition, holds=False)),
            call("y", "same", x=Ref("x")),
            answer(Ref("y")),
            tools=TOOLS,
        )
        assert outcome.answer == (expected,)
        assert len(recorded.of("node.skipped")) == 1


async def test_a_reader_of_a_skipped_node_is_skipped_but_lists_given_and_answer_drop_it() -> None:
    recorded = Recorded()
    no = branch(Const(False))
    outcome = await recorded.run(
        call("s", "same", x=1, guards=no),
        call("reader", "same", x=Ref("s")),
        call("text", "same", x=Template(("s is ", Field(Ref("s"))))),
        call("mapping", "same", x=DictOf((("k", Ref("s")),))),
        call("listed", "same", x=[Ref("s"), 2]),
        mapped("items", [Ref("s"), 3], "same", x=Ref("m")),
        mapped("over", Ref("s"), "same", x=Ref("m")),
        mapped("body", [1, 2], "add", a=Ref("m"), b=Ref("s")),
        call("second", "same", x=Ref("items", (1,))),
        call("first", "same", x=Ref("items", (0,))),
        call("guarded", "same", x=1, guards=branch(Compare("==", Ref("s"), Const(1)))),
        answer(Ref("s"), Ref("listed"), Ref("items"), Ref("second"), Ref("over"), Ref("body"), Ref("first")),
        tools=TOOLS,
    )
    assert outcome.answer == ([2], [3], 3)
    skipped = {"s", "reader", "text", "mapping", "over", "body", "first", "guarded"}
    assert {id for id in recorded.graph.nodes if recorded.graph.state(id) == "skipped"} >= skipped


async def test_an_answer_that_lost_all_its_values_is_skipped() -> None:
    outcome = await Recorded().run(
        call("s", "same", x=1, guards=branch(Const(False))), answer(Ref("s")), tools=TOOLS
    )
    assert not outcome.answered


async def test_an_inner_guard_is_not_evaluated_when_the_outer_says_no() -> None:
    recorded = Recorded()
    await recorded.run(
        call("a", "same", x=None),
        call(
            "b",
            "same",
            x=1,
            guards=(
                Guard(Compare("!=", Ref("a"), Const(None)), True),
                Guard(Compare(">", Ref("a"), Const(1)), True),
            ),
        ),
        tools=TOOLS,
    )
    assert recorded.graph.state("b") == "skipped"


async def test_a_guard_that_cannot_be_evaluated_fails_its_node() -> None:
    outcome = await Recorded().run(
        call("a", "same", x="tall"),
        call("b", "same", x=1, guards=branch(Compare(">", Ref("a"), Const(1)))),
        tools=TOOLS,
    )
    assert outcome.failures[0][0] == "b"
    assert "cannot compare 'tall' (text) > '1' (a number)" in outcome.failures[0][1]


async def test_long_chains_of_skips_and_blocks_do_not_recurse() -> None:
    for first in (call("n0", "same", x=1, guards=branch(Const(False))), call("n0", "broken", x=1)):
        chain = [first, *(call(f"n{i}", "same", x=Ref(f"n{i - 1}")) for i in range(1, 3000))]
        recorded = Recorded()
        await recorded.run(tools=TOOLS, chunks=[chain])
        assert recorded.graph.state("n2999") in ("skipped", "blocked")


async def test_an_item_is_there_before_its_list() -> None:
    hold = asyncio.Event()

    @tool
    async def gate(x: int) -> int:
        if x == 1:
            await hold.wait()
        return x * 10

    @tool
    async def release(x: int) -> int:
        hold.set()
        return x

    recorded = Recorded()
    outcome = await recorded.run(
        mapped("xs", [0, 1], "gate", x=Ref("m")),
        call("first", "release", x=Ref("xs", (0,))),  # the second item waits for this
        call("last", "same", x=Ref("xs", (-1,))),
        answer(Ref("first"), Ref("last"), Ref("xs")),
        tools=[gate, release, same],
    )
    assert outcome.answer == (0, 10, [0, 10])


async def test_a_map_over_a_list_of_the_run() -> None:
    recorded = Recorded()
    outcome = await recorded.run(
        call("ns", "numbers", n=3),
        mapped("ys", Ref("ns"), "add", a=Ref("m"), b=Ref("ns", (2,))),
        call("none", "numbers", n=0),
        mapped("empty", Ref("none"), "same", x=Ref("m")),
        answer(Ref("ys"), Ref("empty"), Ref("ys", (2,))),
        tools=TOOLS,
    )
    assert outcome.answer == ([2, 3, 4], [], 4)
    assert [child.id for child in recorded.graph.children("ys")] == ["ys[0]", "ys[1]", "ys[2]"]
    assert recorded.at("node.added", "ys[2]") > recorded.at("node.finished", "ns")


async def test_a_failed_item_fails_the_list_but_not_its_siblings() -> None:
    @tool
    async def picky(x: int) -> int:
        if x == 1:
            raise ValueError("one")
        return x

    recorded = Recorded()
    outcome = await recorded.run(
        mapped("xs", [0, 1, 2], "picky", x=Ref("m")),
        call("two", "same", x=Ref("xs", (2,))),
        call("all", "same", x=Ref("xs")),
        mapped("ys", [0, 1, 2], "picky", on_error="collect", x=Ref("m")),
        answer(Ref("ys"), Ref("two"), Ref("ys", (1,))),
        tools=[picky, same],
    )
    assert recorded.graph.state("xs") == "failed"
    assert recorded.graph.state("all") == "blocked"
    collected = ItemError("picky: ValueError: one")
    assert outcome.answer == ([0, collected, 2], 2, collected)
    assert outcome.failures == (("xs", "item 1: picky: ValueError: one"),)


async def test_maps_of_what_is_no_list_and_items_that_are_not_there() -> None:
    recorded = Recorded()
    await recorded.run(
        call("n", "same", x=5),
        mapped("xs", Ref("n"), "same", x=Ref("m")),
        mapped("ys", [1, 2], "same", x=Ref("m")),
        call("z", "same", x=Ref("ys", (7,))),
        tools=TOOLS,
        limits=Limits(max_map_items=3),
    )
    assert "a map needs a list, got '5' (int)" in (recorded.graph.error("xs") or "")
    assert "there is no item 7" in (recorded.graph.error("z") or "")
    recorded = Recorded()
    await recorded.run(
        mapped("xs", [1, 2, 3, 4], "same", x=Ref("m")), tools=TOOLS, limits=Limits(max_map_items=3)
    )
    assert "max_map_items" in (recorded.graph.error("xs") or "")


async def test_too_many_nodes_are_refused() -> None:
    with pytest.raises(GraphError, match="max_nodes"):
        await Recorded().run(
            *(call(f"n{i}", "same", x=1) for i in range(5)), tools=TOOLS, limits=Limits(max_nodes=4)
        )


def test_the_state_machine_alone() -> None:
    """Changes are taken from a queue. Readers of a settled node follow only once it is released."""
    graph = TaskGraph()
    nodes = (
        call("a", "same", x=1),
        call("b", "same", x=Ref("a")),
        mapped("xs", Ref("b"), "same", x=Ref("m")),
        call("no", "same", x=1, guards=branch(Compare("==", Ref("a"), Const(2)))),
    )
    graph.apply(GraphPatch(0, nodes))
    answers = Answers(graph, lambda entry: False, ())
    flow = Dataflow(graph, Limits(), answers, lambda verifier, part: ToolCall("check"))

    def changes() -> list[tuple[str, str]]:
        return [(kind, entry.node.id) for kind, entry in iter(flow.next_change, None)]

    flow.begin()
    assert changes() == [("ready", "a")]
    a, b = graph.entry("a"), graph.entry("b")
    flow.settle(a, "done", value=1)
    assert changes() == [("settled", "a")]
    flow.release(a)
    assert changes() == [("ready", "b"), ("settled", "no")]
    assert graph.state("no") == "skipped"
    flow.settle(b, "done", value=[5, 6])
    assert changes() == [("settled", "b")]
    flow.release(b)
    assert changes() == [("expanded", "xs"), ("ready", "xs[0]"), ("ready", "xs[1]")]
    flow.cancel(graph.entry("xs"), "enough")
    assert changes() == [("settled", "xs"), ("settled", "xs[0]"), ("settled", "xs[1]")]
