from __future__ import annotations

import json

import pytest

from braid.executors import GraphPatch, RunContext, TaskGraph, ToolRegistry, run_graph, tool
from braid.executors.graph import GraphError, StalePatchError
from braid.executors.nodes import Answer, Compare, Const, ListOf, Node, Ref
from tests.support.written_plans import answer, branch, call, mapped


def graph_of(*nodes: Node) -> TaskGraph:
    graph = TaskGraph()
    graph.apply(GraphPatch(0, nodes))
    return graph


@tool
async def same(x: object) -> object:
    return x


@tool
async def broken(x: object) -> object:
    raise ValueError(f"cannot do {x}")


TOOLS = ToolRegistry([same, broken])


def test_versions_count_patches_and_a_stale_patch_changes_nothing() -> None:
    graph = graph_of(call("a", "same", x=1))
    assert graph.version == 1
    with pytest.raises(StalePatchError, match="version 0 of the graph, which is now at version 1"):
        graph.apply(GraphPatch(0, (call("b", "same", x=1),)))
    assert list(graph.nodes) == ["a"]
    assert graph.names() == ["a"]


def test_a_patch_is_all_or_nothing() -> None:
    graph = graph_of(call("a", "same", x=1))
    before = graph.to_dict()
    with pytest.raises(GraphError, match="reads 'nothing'"):
        graph.apply(
            GraphPatch(1, (call("b", "same", x=2), call("c", "same", x=Ref("nothing"))), cancel=("a",))
        )
    assert graph.to_dict() == before
    assert graph.names() == ["a"]


@pytest.mark.parametrize(
    ("patch", "says"),
    [
        (GraphPatch(1, (call("a", "same", x=2),)), "'a' is in the graph already"),
        (GraphPatch(1, (call("b", "same", x=1), call("b", "same", x=1, bind="c"))), "two nodes of one patch"),
        (GraphPatch(1, (call("b", "same", x=1, bind="a"),)), "'a' is bound already, by node 'a'"),
        (GraphPatch(1, (call("b", "same", x=1, bind="n"), call("c", "same", x=1, bind="n"))), "bound twice"),
        (GraphPatch(1, (call("b", "same", x=Ref("zzz")),)), "names so far: a"),
        (
            GraphPatch(1, (call("b", "same", x=Ref("c")), call("c", "same", x=Ref("b")))),
            "wait for each other",
        ),
        (GraphPatch(1, (call("b", "same", x=Ref("b")),)), "wait for each other: b -> b"),
        (GraphPatch(1, cancel=("q",)), "no node 'q' to cancel"),
    ],
)
def test_rules(patch: GraphPatch, says: str) -> None:
    graph = graph_of(call("a", "same", x=1))
    with pytest.raises(GraphError, match=says):
        graph.check(patch)
    with pytest.raises(GraphError, match=says):
        graph.apply(patch)
    assert graph.version == 1


def test_a_patch_may_list_its_nodes_in_any_order() -> None:
    graph = graph_of(call("b", "same", x=Ref("a")), call("a", "same", x=1))
    assert list(graph.nodes) == ["b", "a"]


def test_opposite_branches_may_bind_one_name() -> None:
    condition = Compare(">", Ref("a"), Const(0))
    graph = graph_of(
        call("a", "same", x=1),
        call("x1", "same", x=1, bind="x", guards=branch(condition)),
        call("x2", "same", x=2, bind="x", guards=branch(condition, holds=False)),
    )
    assert [node.id for node in graph.binders("x")] == ["x1", "x2"]
    with pytest.raises(GraphError, match="bound already"):
        graph.apply(GraphPatch(1, (call("x3", "same", x=3, bind="x", guards=branch(condition)),)))


async def test_a_finished_node_is_never_edited() -> None:
    graph = graph_of(call("a", "same", x=1))
    await run_graph(graph, None, RunContext(tools=TOOLS))
    assert graph.result("a") == 1
    with pytest.raises(GraphError, match="'a' is done: a finished node is never edited"):
        graph.apply(GraphPatch(1, cancel=("a",)))
    with pytest.raises(GraphError, match=r"bound already, by node 'a' \(done\)"):
        graph.apply(GraphPatch(1, (call("a2", "same", x=1, bind="a"),)))


async def test_names_of_failed_nodes_may_be_bound_anew_and_unstarted_readers_follow() -> None:
    graph = graph_of(
        call("a", "broken", x=1),
        call("b", "same", x=Ref("a")),
        call("c", "same", x=Ref("b")),
    )
    outcome = await run_graph(graph, None, RunContext(tools=TOOLS))
    assert [graph.state(id) for id in "abc"] == ["failed", "blocked", "blocked"]
    assert outcome.blocked == ("b", "c")
    assert "cannot do 1" in (graph.error("b") or "")
    assert graph.rebindable("a")
    graph.apply(GraphPatch(1, (call("a2", "same", x=5, bind="a"),)))
    assert not graph.rebindable("a")
    outcome = await run_graph(graph, None, RunContext(tools=TOOLS))
    assert graph.result("c") == 5
    assert outcome.failures == ()


async def test_binding_anew_must_not_close_a_cycle() -> None:
    graph = graph_of(call("a", "broken", x=1), call("b", "same", x=Ref("a")))
    await run_graph(graph, None, RunContext(tools=TOOLS))
    with pytest.raises(GraphError, match="wait for each other"):
        graph.apply(GraphPatch(1, (call("a2", "same", x=Ref("b"), bind="a"),)))


async def test_binding_a_blocked_name_anew_cancels_the_blocked_node() -> None:
    graph = graph_of(call("a", "broken", x=1), call("b", "same", x=Ref("a")), answer(Ref("b")))
    await run_graph(graph, None, RunContext(tools=TOOLS))
    graph.apply(GraphPatch(1, (call("b2", "same", x=7, bind="b"),)))
    assert graph.state("b") == "cancelled"
    outcome = await run_graph(graph, None, RunContext(tools=TOOLS))
    assert outcome.answer == (7,)


async def test_blocked_becomes_skipped_only_when_the_graph_is_closed() -> None:
    graph = graph_of(call("a", "broken", x=1), call("b", "same", x=Ref("a")), answer(Ref("b")))
    outcome = await run_graph(graph, None, RunContext(tools=TOOLS))
    assert not outcome.answered
    assert outcome.failures == (("a", "broken: ValueError: cannot do 1"),)
    assert graph.state("b") == "blocked"
    assert graph.close() == ("b", "answer")
    assert graph.state("b") == graph.state("answer") == "skipped"


async def test_a_blocked_map_is_revived_with_its_items() -> None:
    graph = graph_of(
        call("good", "same", x=1),
        call("bad", "broken", x=1),
        mapped("xs", [Ref("good"), Ref("bad")], "same", x=Ref("m")),
        answer(Ref("xs")),
    )
    await run_graph(graph, None, RunContext(tools=TOOLS))
    assert graph.state("xs") == graph.state("xs[1]") == "blocked"
    assert graph.result("xs[0]") == 1
    graph.apply(GraphPatch(1, (call("bad2", "same", x=2, bind="bad"),)))
    outcome = await run_graph(graph, None, RunContext(tools=TOOLS))
    assert outcome.answer == ([1, 2],)


def test_cancelling_without_a_run() -> None:
    graph = graph_of(call("a", "same", x=1))
    graph.apply(GraphPatch(1, (call("a2", "same", x=2, bind="a"),), cancel=("a",), reason="better idea"))
    assert graph.state("a") == "cancelled"
    assert graph.error("a") == "better idea"
    assert [node.id for node in graph.binders("a")] == ["a2"]


async def test_to_dict_is_json() -> None:
    graph = graph_of(
        call("a", "same", x=1), mapped("xs", [1, Ref("a")], "same", x=Ref("m")), answer(Ref("xs", (0,)))
    )
    await run_graph(graph, None, RunContext(tools=TOOLS))
    told = json.loads(json.dumps(graph.to_dict()))
    by_id = {node["id"]: node for node in told["nodes"]}
    assert by_id["xs[1]"]["parent"] == "xs"
    assert by_id["xs[1]"]["depends_on"] == ["a"]
    assert by_id["answer"]["depends_on"] == ["xs[0]"]
    assert by_id["answer"]["result"] == [1]
    assert [child.id for child in graph.children("xs")] == ["xs[0]", "xs[1]"]


def test_looking_for_what_is_not_there() -> None:
    graph = graph_of(Node(id="end", op=Answer((ListOf(()),))))
    with pytest.raises(GraphError, match="no node 'x'"):
        graph.state("x")
    with pytest.raises(GraphError, match="'end' has no result: it is pending"):
        graph.result("end")
    assert graph.binders("x") == []
