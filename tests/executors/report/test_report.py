from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braid.engine import Usage
from braid.executors import GraphPatch, RunContext, TaskGraph, ToolRegistry, run_graph, tool
from braid.executors.nodes import Ref
from braid.executors.report import RunReport, report_of
from tests.support.written_plans import Recorded, all_refs, answer, call, mapped


@tool
async def work(x: object) -> object:
    return x


def timed(graph: TaskGraph, times: dict[str, tuple[float, float]]) -> TaskGraph:
    """Pretend that the nodes ran in these spans: what a report says must follow from them alone."""
    for id, (started, finished) in times.items():
        entry = graph.entry(id)
        entry.started, entry.finished, entry.state = started, finished, "done"
    return graph


def test_work_critical_path_and_speedup_by_hand() -> None:
    graph = TaskGraph()
    nodes = (
        call("a", "work", x=1),
        call("b", "work", x=Ref("a")),
        call("c", "work", x=Ref("a")),
        call("d", "work", x=all_refs("b", "c")),
        call("e", "work", x=1),
    )
    graph.apply(GraphPatch(0, nodes))
    timed(graph, {"a": (0.0, 1.0), "b": (1.0, 2.0), "c": (1.0, 4.0), "d": (4.0, 5.0), "e": (0.0, 2.0)})
    report = report_of(graph, planner_seconds=0.5)
    assert report.work == pytest.approx(8.0)
    assert report.critical_path == pytest.approx(5.0)
    assert report.critical_nodes == ("a", "c", "d")
    assert report.parallelism == pytest.approx(1.6)
    assert report.wall == pytest.approx(5.0)
    assert report.speedup == pytest.approx(1.6)
    assert report.states == {"done": 5}
    assert json.loads(report.model_dump_json())["planner_seconds"] == 0.5
    assert RunReport.model_validate_json(report.model_dump_json()) == report
    assert "a -> c -> d" in report.text()


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sets(st.integers(0, 9)), st.floats(0.001, 5.0)), min_size=1, max_size=10),
)
def test_the_critical_path_bounds_every_schedule(shape: list[tuple[set[int], float]]) -> None:
    graph = TaskGraph()
    ends: list[float] = []
    times: dict[str, tuple[float, float]] = {}
    for index, (wanted, seconds) in enumerate(shape):
        inputs = sorted(i for i in wanted if i < index)
        start = max((ends[i] for i in inputs), default=0.0)
        ends.append(start + seconds)
        times[f"n{index}"] = (start, start + seconds)
        graph.apply(GraphPatch(index, (call(f"n{index}", "work", x=all_refs(*(f"n{i}" for i in inputs))),)))
    report = report_of(timed(graph, times))
    assert report.critical_path == pytest.approx(max(ends))  # everything started as early as it could
    assert report.wall == pytest.approx(max(ends))
    assert report.critical_path <= report.work + 1e-9


async def test_a_map_adds_no_time_of_its_own() -> None:
    recorded = Recorded()
    await recorded.run(
        mapped("xs", [1, 2, 3], "work", x=Ref("m")),
        call("y", "work", x=Ref("xs")),
        answer(Ref("y")),
        tools=[work],
    )
    graph = recorded.graph
    children = [graph.entry(f"xs[{i}]") for i in range(3)]
    report = report_of(graph)
    assert report.work == pytest.approx(sum(child.seconds for child in children) + graph.entry("y").seconds)
    slowest = max(child.seconds for child in children)
    assert report.critical_path == pytest.approx(slowest + graph.entry("y").seconds)


def test_usage_takes_the_longest_chain_of_tokens() -> None:
    graph = TaskGraph()
    nodes = (call("a", "work", x=1), call("b", "work", x=1), call("c", "work", x=Ref("a")))
    graph.apply(GraphPatch(0, nodes))
    timed(graph, {"a": (0.0, 1.0), "b": (0.0, 1.0), "c": (1.0, 2.0)})
    for id, tokens in (("a", 10), ("b", 15), ("c", 4)):
        graph.entry(id).usage = Usage(generated_tokens=tokens, critical_path_tokens=tokens, calls=1)
    usage = report_of(graph).usage
    assert (usage.generated_tokens, usage.critical_path_tokens, usage.calls) == (29, 15, 3)
    graph.entry("c").usage = Usage(generated_tokens=9, critical_path_tokens=9, calls=1)
    assert report_of(graph).usage.critical_path_tokens == 19


def test_an_empty_graph_has_a_report() -> None:
    report = report_of(TaskGraph())
    assert report.work == report.wall == 0.0
    assert report.nodes == 0
    assert report.text()


async def test_the_wait_for_the_planner_is_no_loss_of_speed() -> None:
    # Two nodes of 20 ms side by side, 100 ms after the run began: the speed-up over one at a time is 2, not
    # 0.3.
    @tool
    async def nap(x: object) -> object:
        await asyncio.sleep(0.02)
        return x

    recorded = Recorded()
    graph = recorded.graph

    async def stream() -> AsyncIterator[GraphPatch]:
        await asyncio.sleep(0.1)
        yield GraphPatch(0, (call("a", "nap", x=1), call("b", "nap", x=2)))

    await run_graph(graph, stream(), RunContext(tools=ToolRegistry([nap])))
    report = report_of(graph)
    assert report.speedup > 1.5
    assert report.planning > report.running
    assert report.running + report.planning + report.queueing == pytest.approx(report.seconds)
    assert "waiting for the plan" in report.text()


def test_where_the_time_went_by_hand() -> None:
    graph = TaskGraph()
    nodes = (call("a", "work", x=1), call("b", "work", x=Ref("a")), call("c", "work", x=Ref("b")))
    graph.apply(GraphPatch(0, nodes))
    timed(graph, {"a": (1.0, 2.0), "b": (2.5, 4.0), "c": (7.0, 12.0)})
    graph.entry("a").added = 0.25
    graph.entry("b").added = 0.5
    graph.entry("c").added = 6.0
    report = report_of(graph)
    assert report.seconds == pytest.approx(12.0)
    assert report.planning == pytest.approx(0.25 + 2.0)
    assert report.queueing == pytest.approx(0.75 + 0.5 + 1.0)
    assert report.running == pytest.approx(1.0 + 1.5 + 5.0)
    assert report.straggling == pytest.approx(3.5)  # beyond the median of 1.5
    assert report.efficiency == pytest.approx(1.0)


def test_work_that_was_thrown_away_is_counted() -> None:
    graph = TaskGraph()
    graph.apply(GraphPatch(0, tuple(call(id, "work", x=1) for id in "abcd")))
    timed(graph, dict.fromkeys("abcd", (0.0, 1.0)))
    graph.entry("b").state = "failed"
    graph.entry("c").state = "cancelled"
    graph.entry("d").wasted = 0.5
    assert report_of(graph).wasted == pytest.approx(2.5)


@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 9)), st.floats(0, 5), st.floats(0, 2), st.floats(0, 2)),
        min_size=1,
        max_size=10,
    )
)
@settings(deadline=None)
def test_all_time_is_explained(shape: list[tuple[set[int], float, float, float]]) -> None:
    graph = TaskGraph()
    ends: list[float] = []
    times: dict[str, tuple[float, float]] = {}
    for index, (wanted, seconds, late, queued) in enumerate(shape):
        inputs = sorted(i for i in wanted if i < index)
        start = max([late, *(ends[i] for i in inputs)]) + queued
        ends.append(start + seconds)
        times[f"n{index}"] = (start, start + seconds)
        graph.apply(GraphPatch(index, (call(f"n{index}", "work", x=all_refs(*(f"n{i}" for i in inputs))),)))
        graph.entry(f"n{index}").added = late
    report = report_of(timed(graph, times))
    assert report.running + report.planning + report.queueing == pytest.approx(max(ends))
    assert report.speedup <= report.parallelism + 1e-9
    assert 0 <= report.straggling <= report.running + 1e-9


def test_what_was_cancelled_is_on_no_critical_path() -> None:
    graph = TaskGraph()
    graph.apply(
        GraphPatch(
            0,
            (
                call("slow", "work", x=1),
                call("quick", "work", x=1),
                call("d", "work", x=all_refs("slow", "quick")),
            ),
        )
    )
    timed(graph, {"slow": (0.0, 1.0), "quick": (0.0, 0.5), "d": (1.0, 1.2)})
    graph.entry("slow").state = "cancelled"
    report = report_of(graph, planner_seconds=0.0, run_seconds=1.2)
    assert report.critical_path == pytest.approx(0.7)  # pyright: ignore
    assert "slow" not in report.text().splitlines()[0]
