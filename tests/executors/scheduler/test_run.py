from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from braid.engine import Budget, BudgetExceededError, Event
from braid.engine.scope.budget import ambient_budget
from braid.engine.scripted import ScriptedEngine
from braid.executors import (
    GraphPatch,
    Limits,
    RunContext,
    TaskGraph,
    ToolContext,
    ToolRegistry,
    run_graph,
    tool,
)
from braid.executors.graph.patch import GraphError
from braid.executors.nodes.nodes import (
    Ask,
    Compare,
    Const,
    DictOf,
    Field,
    Guard,
    ListOf,
    Map,
    Node,
    Ref,
    Template,
    Think,
    ToolCall,
)
from braid.executors.scheduler import ToolCallRequest
from braid.executors.scheduler.run import close_graph
from braid.executors.values.values import ItemError
from tests.support.written_plans import (
    Recorded,
    all_refs,
    answer,
    assert_settled,
    branch,
    call,
    mapped,
    patches,
)


@tool
async def same(x: Any) -> Any:
    return x


@tool
async def add(a: int, b: int) -> int:
    return a + b


@tool
async def pause(x: Any, seconds: float = 0.01) -> Any:
    await asyncio.sleep(seconds)
    return x


@tool
async def broken(x: Any = None) -> Any:
    raise ValueError(f"cannot do {x}")


@tool
async def numbers(n: int) -> list[int]:
    return list(range(n))


@tool
async def forever(x: Any = None) -> Any:
    await asyncio.Event().wait()


TOOLS = [same, add, pause, broken, numbers, forever]


# Random graphs: every node once, after its inputs, with the same results however the plan was cut into patches.


@st.composite
def dags(draw: st.DrawFn) -> tuple[list[list[int]], list[int], list[float]]:
    """Dependencies of each node (on earlier ones), sizes of the chunks, and delays of the nodes in seconds."""
    size = draw(st.integers(1, 14))
    depends = [
        sorted(draw(st.sets(st.integers(0, node - 1), max_size=4))) if node else [] for node in range(size)
    ]
    chunks: list[int] = []
    while sum(chunks) < size:
        chunks.append(draw(st.integers(1, size - sum(chunks))))
    delays = draw(st.lists(st.sampled_from([0.0, 0.0, 0.001, 0.003]), min_size=size, max_size=size))
    return depends, chunks, delays


def nodes_of(depends: list[list[int]], delays: list[float]) -> list[Node]:
    return [
        call(f"n{node}", "work", node=node, inputs=all_refs(*(f"n{d}" for d in inputs)), seconds=delays[node])
        for node, inputs in enumerate(depends)
    ]


def chunked(nodes: Sequence[Node], sizes: Sequence[int]) -> list[Sequence[Node]]:
    parts: list[Sequence[Node]] = []
    for size in sizes:
        parts.append(nodes[:size])
        nodes = nodes[size:]
    return parts


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(dag=dags(), width=st.sampled_from([1, 2, 64]), sequential=st.booleans())
def test_random_graphs(
    dag: tuple[list[list[int]], list[int], list[float]], width: int, sequential: bool
) -> None:
    depends, sizes, delays = dag
    expected: list[int] = []
    for node, inputs in enumerate(depends):
        expected.append(node + 1 + 3 * sum(expected[i] for i in inputs))
    ran: Counter[int] = Counter()
    running = peak = 0

    @tool
    async def work(node: int, inputs: list[int], seconds: float) -> int:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        ran[node] += 1
        await asyncio.sleep(seconds)
        running -= 1
        return node + 1 + 3 * sum(inputs)

    async def go() -> None:
        recorded = Recorded()
        nodes = nodes_of(depends, delays)
        await recorded.run(
            tools=[work],
            chunks=chunked(nodes, sizes),
            limits=Limits(max_concurrency=width),
            sequential=sequential,
        )
        assert [recorded.graph.result(node.id) for node in nodes] == expected
        assert ran == Counter(range(len(depends)))
        for node, inputs in enumerate(depends):
            for source in inputs:
                assert recorded.at("node.finished", f"n{source}") < recorded.at("node.started", f"n{node}")
        if sequential:
            assert recorded.of("node.started") == [node.id for node in nodes]
        whole = Recorded()
        await whole.run(tools=[work], chunks=[nodes])
        shape = [(n["id"], n["depends_on"], n["result"]) for n in recorded.graph.to_dict()["nodes"]]
        assert shape == [(n["id"], n["depends_on"], n["result"]) for n in whole.graph.to_dict()["nodes"]]

    asyncio.run(go())
    assert peak <= 64


@pytest.mark.parametrize("width", [1, 3])
async def test_max_concurrency_holds(width: int) -> None:
    running = peak = 0

    @tool
    async def watch(x: int) -> int:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.002)
        running -= 1
        return x

    await Recorded().run(
        mapped("xs", list(range(10)), "watch", x=Ref("m")),
        tools=[watch],
        limits=Limits(max_concurrency=width),
    )
    assert peak == width


async def test_a_capped_tool_does_not_starve_the_others() -> None:
    running = peak = 0

    @tool(max_concurrency=2)
    async def narrow(x: int) -> int:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.005)
        running -= 1
        return x

    recorded = Recorded()
    await recorded.run(
        mapped("xs", list(range(8)), "narrow", x=Ref("m")),
        call("other", "same", x=1),
        tools=[narrow, same],
        limits=Limits(max_concurrency=4),
    )
    assert peak == 2
    assert recorded.graph.result("xs") == list(range(8))
    assert recorded.at("node.started", "other") < recorded.at("node.finished", "xs[0]")


# Guards, skips, branches.


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


# Maps.


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


# Revisions while the run goes on.


async def test_a_revision_mends_a_failed_node_while_others_run() -> None:
    graph = TaskGraph()
    failed = asyncio.Event()

    def emit(event: Event) -> None:
        if event.kind == "node.failed":
            failed.set()

    async def stream() -> AsyncIterator[GraphPatch]:
        first = [
            call("slow", "pause", x=1, seconds=0.05),
            call("a", "broken"),
            call("b", "add", a=Ref("a"), b=Ref("slow")),
            answer(Ref("b")),
        ]
        yield GraphPatch(graph.version, tuple(first))
        await failed.wait()
        assert graph.state("slow") == "running"
        yield GraphPatch(graph.version, (call("a2", "same", x=41, bind="a"),))

    outcome = await run_graph(graph, stream(), RunContext(tools=ToolRegistry(TOOLS), emit=emit))
    assert outcome.answer == (42,)
    assert_settled(graph)


async def test_a_revision_cancels_a_running_node_and_the_tool_stops() -> None:
    recorded = Recorded()
    graph = recorded.graph
    started, stopped = asyncio.Event(), asyncio.Event()

    @tool
    async def slow(x: int) -> int:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return x

    async def stream() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(0, (call("a", "slow", x=1), call("b", "same", x=Ref("a")), answer(Ref("b"))))
        await started.wait()
        yield GraphPatch(1, (call("a2", "same", x=2, bind="a"),), cancel=("a",), reason="too slow")
        await stopped.wait()

    outcome = await run_graph(
        graph, stream(), RunContext(tools=ToolRegistry([slow, same]), emit=recorded.events.append)
    )
    assert outcome.answer == (2,)
    assert graph.state("a") == "cancelled"
    assert graph.error("a") == "too slow"
    assert_settled(graph)


async def test_a_node_cancelled_before_its_first_step_gives_its_slot_back() -> None:
    graph = TaskGraph()

    async def stream() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(0, (call("a", "forever"),))

    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        if event.kind == "plan.patched" and graph.version == 1:
            return
        if event.kind == "node.started" and graph.version == 1:
            loop.call_soon(
                graph.apply, GraphPatch(1, (call("b", "same", x=1),), cancel=("a",))
            )  # runs before the node's task does

    loop = asyncio.get_running_loop()
    await run_graph(
        graph, stream(), RunContext(tools=ToolRegistry(TOOLS), emit=emit, limits=Limits(max_concurrency=1))
    )
    assert graph.state("a") == "cancelled"
    assert graph.result("b") == 1
    assert_settled(graph)


async def test_names_of_earlier_rounds_stay_readable() -> None:
    recorded = Recorded()
    first = await recorded.run(call("a", "same", x=20), call("b", "broken"), answer(Ref("b")), tools=TOOLS)
    assert not first.answered
    second = await recorded.run(
        call("c", "add", a=Ref("a"), b=22), answer(Ref("c"), id="answer2"), tools=TOOLS
    )
    assert second.answer == (42,)


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


# The end of the plan.


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


async def test_empty_plans_end() -> None:
    assert not (await Recorded().run(tools=[])).answered
    assert not (await run_graph(TaskGraph(), None, RunContext(tools=ToolRegistry()))).answered


# Approval, people, context.


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


async def test_tools_are_given_their_context_and_share_no_context_variables() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="clean")

    @tool
    async def peek(context: ToolContext[dict[str, int]], x: Any = None) -> str:
        seen = variable.get()
        variable.set("dirty")
        return f"{seen} {context.deps['k']} {context.idempotency_key}"

    outcome = await Recorded().run(
        call("a", "peek"),
        call("b", "peek", x=Ref("a")),
        answer(Ref("a"), Ref("b")),
        tools=[peek],
        deps={"k": 7},
        run_id="r1",
    )
    assert outcome.answer == ("clean 7 r1:a", "clean 7 r1:b")


# Thinking.


async def test_think_nodes_see_the_root_and_what_is_given_and_release_their_contexts() -> None:
    engine = ScriptedEngine(lambda prompt: "Answer: yes")
    root = [{"role": "system", "content": "You are terse."}]
    recorded = Recorded()
    outcome = await recorded.run(
        call("total", "same", x=16.5),
        call("gone", "same", x=1, guards=branch(Const(False))),
        Node(
            id="v",
            op=Think(Const("Is it more than 17?"), (Ref("total"), Ref("gone"), Const("a hint"))),
            name="v",
        ),
        call("after", "same", x="ran", guards=branch(Compare("==", Ref("v", ("answer",)), Const("yes")))),
        answer(Ref("v"), Ref("after")),
        tools=TOOLS,
        engine=engine,
        root=root,
    )
    assert outcome.answered, outcome
    assert outcome.answer is not None
    assert outcome.answer[0].answer == "yes"
    assert outcome.answer[1] == "ran"
    assert outcome.usage.calls >= 1
    messages = engine.calls[0].messages
    assert messages is not None
    assert messages[0]["content"] == "You are terse."
    assert messages[1]["content"] == "Is it more than 17?\n\nWhat is known:\n- total: 16.5\n- a hint"
    assert engine.open_contexts() == 0


async def test_think_without_engine_or_with_an_unknown_method_fails_its_node() -> None:
    node = Node(id="v", op=Think(Const("?"), (), "no_such_method"), name="v")
    assert "no engine to think with" in (await Recorded().run(node, tools=[])).failures[0][1]
    recorded = Recorded()
    engine = ScriptedEngine("x")
    outcome = await recorded.run(node, tools=[], engine=engine)
    assert "no_such_method" in outcome.failures[0][1]
    assert engine.open_contexts() == 0


# Budgets.


async def test_a_call_budget_stops_the_run_and_what_finished_stays() -> None:
    recorded = Recorded()
    budget = Budget(calls=2)
    nodes = [
        call("a", "same", x=1),
        call("b", "add", a=Ref("a"), b=1),
        call("c", "add", a=Ref("b"), b=1),
        call("d", "add", a=Ref("c"), b=1),
        answer(Ref("b"), Ref("d")),
    ]
    outcome = await recorded.run(tools=TOOLS, budget=budget, chunks=[nodes])
    assert outcome.stopped == "budget"
    assert "calls limit 2" in outcome.reason
    assert not outcome.answered
    assert outcome.partial == (2,)
    assert recorded.graph.result("b") == 2
    assert [event.kind for event in recorded.events].count("budget.exceeded") == 1
    assert budget.spent["calls"] == 2
    assert budget.reserved["calls"] == 0


async def test_calls_that_are_paid_for_finish() -> None:
    recorded = Recorded()
    await recorded.run(
        call("slow", "pause", x=1, seconds=0.03),
        call("b", "same", x=1),
        call("c", "same", x=1),
        tools=TOOLS,
        budget=Budget(calls=2),
    )
    assert recorded.graph.result("slow") == 1
    assert recorded.graph.state("c") == "cancelled"


async def test_a_time_budget_stops_what_runs_and_closes_a_silent_stream() -> None:
    graph = TaskGraph()

    async def stream() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(0, (call("a", "same", x=1), call("b", "forever"), answer(Ref("a"), Ref("b"))))
        await asyncio.Event().wait()

    outcome = await run_graph(
        graph, stream(), RunContext(tools=ToolRegistry(TOOLS), budget=Budget(seconds=0.03))
    )
    assert outcome.stopped == "budget"
    assert outcome.partial == (1,)
    assert graph.state("b") == "cancelled"
    assert_settled(graph)


async def test_the_budget_is_the_ambient_one_inside_tools_and_their_own_scopes_are_their_own() -> None:
    seen: list[Budget] = []

    @tool
    async def look() -> int:
        seen.append(ambient_budget())
        raise BudgetExceededError(limit="tokens", scope="my own", allowed=1, spent=1, asked=1)

    budget = Budget(calls=5)
    outcome = await Recorded().run(call("a", "look"), tools=[look], budget=budget)
    assert seen == [budget]
    assert outcome.stopped is None
    assert outcome.failures[0][0] == "a"


async def test_a_planner_out_of_budget_stops_the_run() -> None:
    graph = TaskGraph()
    budget = Budget(tokens=1, name="run")

    async def stream() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(0, (call("a", "pause", x=1),))
        budget.reserve(tokens=5)

    outcome = await run_graph(graph, stream(), RunContext(tools=ToolRegistry(TOOLS), budget=budget))
    assert outcome.stopped == "budget"
    assert graph.result("a") == 1


# Cancelling, and errors that are not a node's.


async def test_cancelling_the_caller_cancels_every_node_and_waits() -> None:
    graph = TaskGraph()
    cleaned: list[str] = []
    started = asyncio.Event()

    @tool
    async def careful(x: int) -> int:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.005)
            cleaned.append("done")
        return x

    events: list[Event] = []
    nodes = [
        call("a", "careful", x=1),
        call("b", "same", x=Ref("a")),
        call("c", "same", x=3),
        answer(Ref("b")),
    ]
    task = asyncio.create_task(
        run_graph(
            graph,
            patches(graph, [nodes]),
            RunContext(tools=ToolRegistry([careful, same]), emit=events.append),
        )
    )
    await started.wait()
    await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == ["done"]
    assert graph.state("a") == "cancelled"
    assert graph.result("c") == 3
    assert_settled(graph)


async def test_an_error_of_the_stream_cancels_the_run_and_is_raised_as_it_is() -> None:
    graph = TaskGraph()

    async def stream() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(0, (call("a", "forever"),))
        await asyncio.sleep(0.005)
        raise ConnectionError("the planner is gone")

    with pytest.raises(ConnectionError, match="the planner is gone"):
        await run_graph(graph, stream(), RunContext(tools=ToolRegistry(TOOLS)))
    assert graph.state("a") == "cancelled"
    assert_settled(graph)


async def test_a_planner_that_was_cancelled_ends_the_stream() -> None:
    graph = TaskGraph()

    async def stream() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(0, (call("a", "pause", x=1),))
        raise asyncio.CancelledError

    outcome = await run_graph(graph, stream(), RunContext(tools=ToolRegistry(TOOLS)))
    assert outcome.stopped == "cancelled"
    assert_settled(graph)


@pytest.mark.parametrize("kind", ["plan.patched", "node.added", "node.started", "node.finished"])
async def test_an_error_of_the_listener_ends_the_run(kind: str) -> None:
    graph = TaskGraph()

    def emit(event: Event) -> None:
        if event.kind == kind:
            raise RuntimeError("the display is broken")

    nodes = [[call("a", "pause", x=1)], [call("b", "forever")], [call("c", "same", x=Ref("a"))]]
    with pytest.raises(RuntimeError, match="the display is broken"):
        await run_graph(graph, patches(graph, nodes), RunContext(tools=ToolRegistry(TOOLS), emit=emit))
    assert not graph.running


async def test_one_run_at_a_time() -> None:
    graph = TaskGraph()
    task = asyncio.create_task(
        run_graph(graph, patches(graph, [[call("a", "forever")]]), RunContext(tools=ToolRegistry(TOOLS)))
    )
    await asyncio.sleep(0.005)
    with pytest.raises(GraphError, match="being run already"):
        await run_graph(graph, None, RunContext(tools=ToolRegistry(TOOLS)))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_closing_tells_what_was_skipped() -> None:
    recorded = Recorded()
    await recorded.run(call("a", "broken"), call("b", "same", x=Ref("a")), tools=TOOLS)
    assert recorded.of("node.blocked") == ["b"]
    assert close_graph(recorded.graph, emit=recorded.events.append) == ("b",)
    assert recorded.of("node.skipped") == ["b"]


# Sequential.


async def test_sequential_reads_the_whole_stream_first_and_keeps_plan_order() -> None:
    recorded = Recorded()
    outcome = await recorded.run(
        call("slow", "pause", x=1, seconds=0.01),
        mapped("xs", [1, 2], "same", x=Ref("m")),
        call("last", "add", a=Ref("slow"), b=Ref("xs", (1,))),
        answer(Ref("last")),
        tools=TOOLS,
        sequential=True,
    )
    assert outcome.answer == (3,)
    started = [node for node in recorded.of("node.started") if node not in ("xs", "answer")]
    assert started == ["slow", "xs[0]", "xs[1]", "last"]
    assert recorded.at("node.started", "slow") > recorded.at("node.added", "answer")
    for earlier, later in pairwise(started):
        assert recorded.at("node.finished", earlier) < recorded.at("node.started", later)


async def test_a_map_of_thoughts() -> None:
    engine = ScriptedEngine(lambda prompt: "Answer: " + ("A" if "first" in prompt else "B"))
    body = Think(Template(("Which letter for ", Field(Ref("m")), "?")))
    node = Node(id="xs", op=Map("m", ListOf((Const("first"), Const("second"))), body), name="xs")
    outcome = await Recorded().run(node, answer(Ref("xs")), tools=[], engine=engine)
    assert outcome.answer is not None
    assert [solution.answer for solution in outcome.answer[0]] == ["A", "B"]
    assert engine.open_contexts() == 0


def test_tool_calls_in_maps_keep_their_operation() -> None:
    op = mapped("xs", [1], "same", x=Ref("m")).op
    assert isinstance(op, Map)
    assert isinstance(op.body, ToolCall)


# Random plans with guards, failures and maps: every order of events gives the same states and results.


@st.composite
def plans(draw: st.DrawFn) -> list[Node]:
    nodes: list[Node] = []
    names: list[str] = []
    lists: list[str] = []

    def ref() -> Ref:
        if lists and draw(st.booleans()):
            return Ref(draw(st.sampled_from(lists)), (draw(st.integers(-2, 2)),))
        return Ref(draw(st.sampled_from(names)))

    for place in range(draw(st.integers(2, 10))):
        id = f"n{place}"
        guards: tuple[Guard, ...] = ()
        if names and draw(st.integers(0, 2)) == 0:
            guards = branch(Compare("!=", ref(), Const(draw(st.integers(0, 2)))), holds=draw(st.booleans()))
        value: Any = ref() if names and draw(st.booleans()) else draw(st.integers(0, 2))
        match draw(st.sampled_from(["same", "pause", "broken", "listed", "map", "map over"])):
            case "same":
                nodes.append(call(id, "same", guards=guards, x=value))
            case "pause":
                nodes.append(call(id, "pause", guards=guards, x=value, seconds=0.001))
            case "broken":
                nodes.append(call(id, "broken", guards=guards, x=value))
            case "listed":
                nodes.append(call(id, "same", guards=guards, x=[value, 1]))
            case "map":
                items = [value, 0, ref() if names else 1]
                picked = mapped(id, items, draw(st.sampled_from(["same", "picky"])), x=Ref("m"))
                nodes.append(Node(id=id, op=picked.op, name=id, guards=guards))
                lists.append(id)
            case _:
                over = Ref(draw(st.sampled_from(names))) if names else [1, 2]
                on_error = draw(st.sampled_from(["fail", "collect"]))
                nodes.append(mapped(id, over, "picky", on_error=on_error, x=Ref("m")))
                lists.append(id)
        names.append(id)
    return nodes


@tool
async def picky(x: Any) -> Any:
    await asyncio.sleep(0)
    if x == 1:
        raise ValueError("one")
    return x


def told(graph: TaskGraph) -> dict[str, tuple[str, Any]]:
    return {n["id"]: (n["state"], n["result"]) for n in graph.to_dict()["nodes"]}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nodes=plans(), data=st.data())
def test_random_plans_end_the_same_way_in_every_order(nodes: list[Node], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(nodes) - 1))))
    chunks = [nodes[i:j] for i, j in pairwise([0, *cuts, len(nodes)])]
    width = data.draw(st.sampled_from([1, 2, 64]))

    async def go(chunks: list[list[Node]], **options: Any) -> dict[str, tuple[str, Any]]:
        recorded = Recorded()
        async with asyncio.timeout(20):
            await recorded.run(tools=[*TOOLS, picky], chunks=chunks, **options)
        return told(recorded.graph)

    expected = asyncio.run(go([nodes], sequential=True))
    assert asyncio.run(go(chunks, limits=Limits(max_concurrency=width))) == expected
    assert asyncio.run(go([[node] for node in nodes])) == expected


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nodes=plans(), after=st.floats(0.0, 0.004), width=st.sampled_from([1, 64]))
def test_random_plans_can_be_cancelled_at_any_time(nodes: list[Node], after: float, width: int) -> None:
    async def go() -> None:
        graph = TaskGraph()
        task = asyncio.create_task(
            run_graph(
                graph,
                patches(graph, [[node] for node in nodes], gap=0.0005),
                RunContext(tools=ToolRegistry([*TOOLS, picky]), limits=Limits(max_concurrency=width)),
            )
        )
        await asyncio.sleep(after)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert_settled(graph)
        outcome = await run_graph(
            graph, None, RunContext(tools=ToolRegistry(TOOLS))
        )  # the graph can be run again
        assert outcome.stopped is None

    asyncio.run(go())
