"""Faults of LLMCompiler (arXiv 2312.04511, public code of 2024-07) that Braid must not have.

The first part is about executors, the second about the text of plans. There is one test for each fault.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from braid.engine import Budget, Event
from braid.executors import (
    GraphPatch,
    Limits,
    RunContext,
    RunOutcome,
    TaskGraph,
    ToolContext,
    ToolRegistry,
    run_graph,
    tool,
)
from braid.executors.nodes import Answer, Const, DictOf, Field, ListOf, Node, Ref, Template
from braid.planner import compile_plan
from braid.planner.language import PlanParser, Statement, render_expr
from tests.support.written_plans import Recorded, answer, assert_settled, call, mapped, patches


@tool
async def same(x: Any) -> Any:
    return x


@tool
async def forever(x: Any = None) -> Any:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "error", [ValueError("bad"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), TimeoutError()]
)
@pytest.mark.parametrize("blocking", [False, True])
async def test_a_tool_that_raises_fails_its_node_and_the_run_lives_on(
    error: BaseException, blocking: bool
) -> None:
    if blocking:

        @tool(name="bad")
        def bad_sync() -> int:
            raise error

        bad = bad_sync
    else:

        @tool(name="bad")
        async def bad_async() -> int:
            raise error

        bad = bad_async

    recorded = Recorded()
    outcome = await recorded.run(
        call("a", "bad"), call("b", "same", x=Ref("a")), call("c", "same", x=3), tools=[bad, same]
    )
    assert recorded.graph.state("a") == "failed"
    assert recorded.graph.state("b") == "blocked"
    assert recorded.graph.result("c") == 3
    assert outcome.failures[0][0] == "a"
    assert type(error).__name__ in outcome.failures[0][1]


async def test_a_ready_node_starts_while_the_planner_is_silent() -> None:
    recorded = Recorded()
    graph = recorded.graph
    reached = asyncio.Event()

    @tool
    async def reach(x: Any) -> Any:
        reached.set()
        return x

    async def stream() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(0, (call("a", "same", x=1),))
        yield GraphPatch(1, (call("b", "reach", x=Ref("a")),))
        await reached.wait()  # the planner says nothing more before b has run
        yield GraphPatch(2, (answer(Ref("b")),))

    outcome = await run_graph(
        graph, stream(), RunContext(tools=ToolRegistry([same, reach]), emit=recorded.events.append)
    )
    assert outcome.answer == (1,)
    assert recorded.at("node.finished", "b") < recorded.at("node.added", "answer")


PLAN = [
    call("a", "same", x="$1"),
    call("b", "same", x=Template(("got ", Field(Ref("a"))))),
    mapped("xs", [Ref("a"), "two", Ref("b")], "same", x=Ref("m")),
    call("c", "same", x=DictOf((("k", ListOf((Ref("xs", (1,)), Const(1)))), ("ü", Ref("b"))))),
    answer(Ref("c"), Ref("xs")),
]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cuts=st.sets(st.integers(1, len(PLAN) - 1)), gap=st.sampled_from([0.0, 0.001]))
def test_any_chunking_gives_the_same_graph_and_results(cuts: set[int], gap: float) -> None:
    borders = [0, *sorted(cuts), len(PLAN)]
    chunks = [PLAN[i:j] for i, j in pairwise(borders)]

    async def go() -> None:
        graph = TaskGraph()
        outcome = await run_graph(
            graph, patches(graph, chunks, gap=gap), RunContext(tools=ToolRegistry([same]))
        )
        assert outcome.answer == ({"k": ["two", 1], "ü": "got $1"}, ["$1", "two", "got $1"])
        ids = {"a", "b", "xs", "xs[0]", "xs[1]", "xs[2]", "c", "answer"}
        assert set(graph.nodes) == ids
        assert {graph.state(id) for id in ids} == {"done"}
        assert_settled(graph)

    asyncio.run(go())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    text=st.one_of(
        st.text(),
        st.sampled_from(
            [
                "$1",
                "${1}",
                "{a}",
                "{a.value:.2f}",
                "a[0]",
                '"""',
                "it's",
                "line\nbreak",
                "answer(a)",
                "\\n",
                "%s",
            ]
        ),
    )
)
def test_text_is_data_wherever_it_comes_from(text: str) -> None:
    async def go() -> None:
        outcome = await Recorded().run(
            call("a", "same", x=text),  # a literal
            call("b", "same", x=Ref("a")),  # a result that is read
            call("c", "same", x=Template((text, " ", Field(Ref("b")), " ", text))),
            mapped("xs", [text, Ref("b")], "same", x=Ref("m")),
            answer(Ref("b"), Ref("c"), Ref("xs")),
            tools=[same],
        )
        assert outcome.answer == (text, f"{text} {text} {text}", [text, text])

    asyncio.run(go())


async def test_nested_lists_dicts_keyword_arguments_and_unicode_arrive_as_written() -> None:
    @tool
    async def collect(plain: list[Any], mapping: dict[str, Any], words: str = "-") -> Any:
        return [plain, mapping, words]

    outcome = await Recorded().run(
        call("a", "same", x=1),
        call(
            "b",
            "collect",
            mapping=DictOf((("k", ListOf((Ref("a"), DictOf((("deep", Ref("a")),))))),)),
            plain=[[Ref("a")], [2, "ü"]],
            words="naïve 東京",
        ),
        answer(Ref("b")),
        tools=[same, collect],
    )
    assert outcome.answer == ([[[1], [2, "ü"]], {"k": [1, {"deep": 1}]}, "naïve 東京"],)


async def test_a_plan_may_read_results_of_an_earlier_round() -> None:
    recorded = Recorded()
    await recorded.run(call("a", "same", x="$1 {b}"), tools=[same])
    outcome = await recorded.run(
        call("b", "same", x=Template((Field(Ref("a")), "!"))), answer(Ref("b")), tools=[same]
    )
    assert outcome.answer == ("$1 {b}!",)


async def test_node_timeouts() -> None:
    recorded = Recorded()
    outcome = await recorded.run(
        call("a", "forever"), answer(1, id="x"), tools=[forever, same], limits=Limits(node_timeout=0.01)
    )
    assert outcome.answered
    recorded = Recorded()
    outcome = await recorded.run(
        call("a", "forever"),
        call("b", "same", x=Ref("a")),
        tools=[forever, same],
        limits=Limits(node_timeout=0.01),
    )
    assert outcome.failures == (("a", "no result after 0.01 s (node_timeout)"),)
    assert outcome.blocked == ("b",)


async def test_tool_timeouts_and_retries_are_told() -> None:
    attempts: list[int] = []

    @tool(timeout=0.01, retries=2, backoff=0.001)
    async def slow(context: ToolContext[None]) -> int:
        attempts.append(context.attempt)
        if len(attempts) < 3:
            await asyncio.Event().wait()
        return 5

    recorded = Recorded()
    outcome = await recorded.run(call("a", "slow"), answer(Ref("a")), tools=[slow])
    assert outcome.answer == (5,)
    assert attempts == [1, 2, 3]
    assert recorded.of("node.retried") == ["a", "a"]


async def test_a_thread_that_will_not_stop_is_reported_and_does_not_hold_the_run() -> None:
    let_go = threading.Event()

    @tool(timeout=0.02)
    def stuck() -> int:
        let_go.wait(20)
        return 1

    try:
        recorded = Recorded()
        outcome = await recorded.run(call("a", "stuck"), call("b", "same", x=1), tools=[stuck, same])
        assert outcome.failures[0][0] == "a"
        assert recorded.of("tool.abandoned") == ["a"]
        assert recorded.graph.result("b") == 1
    finally:
        let_go.set()


async def test_cancelling_a_run_kills_the_subprocess_of_a_tool() -> None:
    pids: list[int] = []
    started = asyncio.Event()

    @tool
    async def shell() -> int:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
        pids.append(process.pid)
        started.set()
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    graph = TaskGraph()
    task = asyncio.create_task(
        run_graph(graph, patches(graph, [[call("a", "shell")]]), RunContext(tools=ToolRegistry([shell])))
    )
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert_settled(graph)


async def test_a_budget_stops_the_run_with_what_it_has() -> None:
    nodes = [call(f"n{i}", "same", x=i) for i in range(10)]
    recorded = Recorded()
    outcome = await recorded.run(
        tools=[same], chunks=[[*nodes, answer(*(Ref(f"n{i}") for i in range(10)))]], budget=Budget(calls=4)
    )
    assert outcome.stopped == "budget"
    assert outcome.partial == (0, 1, 2, 3)
    assert len([n for n in nodes if recorded.graph.state(n.id) == "done"]) == 4


async def test_unknown_tools_and_wrong_arguments_fail_their_node_only() -> None:
    @tool
    async def count(n: int) -> int:
        return n

    outcome = await Recorded().run(
        call("a", "no_such_tool"),
        call("b", "count", n="many"),
        call("c", "count", m=1),
        call("d", "count", n=2),
        tools=[count],
    )
    assert [id for id, _ in outcome.failures] == ["a", "b", "c"]
    assert "no_such_tool" in outcome.failures[0][1]


async def test_blocking_tools_run_side_by_side() -> None:
    barrier = threading.Barrier(3, timeout=20)

    @tool
    def meet(x: int) -> int:
        barrier.wait()  # passes only when all three are inside at once
        return x

    outcome = await Recorded().run(
        mapped("xs", [1, 2, 3], "meet", x=Ref("m")), answer(Ref("xs")), tools=[meet]
    )
    assert outcome.answer == ([1, 2, 3],)


async def test_no_task_is_left_behind_by_many_runs() -> None:
    for _ in range(20):
        recorded = Recorded()
        await recorded.run(
            call("a", "forever"),
            mapped("xs", list(range(5)), "same", x=Ref("m")),
            answer(Ref("xs")),
            tools=[same, forever],
        )
        assert recorded.graph.state("a") == "cancelled"


async def test_events_are_ordered_and_timed() -> None:
    events: list[Event] = []
    graph = TaskGraph()
    began = time.monotonic()
    nodes: list[Node] = [call("a", "same", x=1), call("b", "same", x=Ref("a")), answer(Ref("b"))]
    await run_graph(
        graph, patches(graph, [nodes]), RunContext(tools=ToolRegistry([same]), emit=events.append)
    )
    limit = time.monotonic() - began
    times = [at for event in events if (at := getattr(event, "at", None)) is not None]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] <= limit
    assert [event.kind for event in events][:4] == ["plan.patched", "node.added", "node.added", "node.added"]


@tool
def echo(text: str) -> str:
    """Give the text back."""
    return text


@tool
def shape(rows: list[dict[str, list[int]]], label: str = "", flags: dict[str, str] | None = None) -> str:
    """Say what was given."""
    return f"{rows!r} {label!r} {flags!r}"


REGISTRY = ToolRegistry([echo, shape])


async def run_plan(text: str) -> RunOutcome:
    nodes, errors = compile_plan(text, REGISTRY.specs())
    assert not errors, str(errors[0])
    graph = TaskGraph()
    graph.apply(GraphPatch(base_version=0, add=tuple(nodes)))
    return await run_graph(graph, None, RunContext(tools=REGISTRY))


@pytest.mark.parametrize(
    "text",
    [
        "$1", "${1}", "costs $15 and $1.50", "{a}", "{{a}}", "{", "}", '"', "'", "'''", '"""', "\\",
        "\\n", "two\nlines\n",
        "\r\n", "\t", "a = echo('x')", "answer(1)", "```python\nanswer(1)\n```", "<|end|>", "</s>",
        "# no comment", "join()",
        "Paris (France)", "f(x))))", "[1, 2", "日本語 – ünïcödé 🏔", "\u2028", "\x00\x07",
        "1. search(x)",
        "import os; os.system('x')",
    ],
)  # fmt: skip
async def test_text_is_data(text: str) -> None:
    quoted = render_expr(Const(text))
    outcome = await run_plan(
        f'a = echo({quoted})\nb = echo(f"{{a}}")\nc = echo(text=b)\nanswer(a, b, c, {quoted})\n'
    )
    assert outcome.answer == (text, text, text, text)


async def test_results_are_never_read_as_references() -> None:
    outcome = await run_plan('one = echo("first")\ntwo = echo("{one} $1 ${1} one")\nanswer(f"{two} {one}")')
    assert outcome.answer == ("{one} $1 ${1} one first",)


async def test_keywords_nested_literals_and_lines() -> None:
    outcome = await run_plan(
        "a = echo(\n"
        '    text="x",  # a comment (with brackets\n'
        ")\n"
        "b = shape(\n"
        '  [{"p": [1, -2]}, {}],\n'
        '  flags={\n    "k": a, "ü": f"{a}!",\n  },\n'
        "  label='''two\n  lines''',\n"
        ")\n"
        "answer(b)"
    )
    assert outcome.answer == (repr([{"p": [1, -2]}, {}]) + " 'two\\n  lines' {'k': 'x', 'ü': 'x!'}",)


async def test_several_statements_in_one_chunk_all_arrive() -> None:
    items = PlanParser().feed('a = echo("1")\nb = echo("2")\nc = echo("3")\nanswer(a, b, c)\n')
    assert [item.line for item in items if isinstance(item, Statement)] == [1, 2, 3, 4]


def test_parentheses_in_an_answer() -> None:
    compiled, errors = compile_plan('answer("Paris (France)")', REGISTRY.specs())
    assert not errors
    assert compiled[0].op == Answer((Const("Paris (France)"),))
