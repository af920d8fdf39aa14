"""Joins: each policy decides as it says, cancels the rest at once, and leaves alone what others read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from braid.engine import Budget
from braid.executors import tool
from braid.executors.nodes import Compare, Const, Node, Ref
from tests.support.virtual_clock import run_virtually
from tests.support.written_plans import Recorded, all_refs, answer, branch, call, joined, mapped


class Tools:
    """Tools that wait, and what became of their calls."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.cancelled: list[Any] = []
        self.checked: list[Any] = []

        @tool(cache="never")
        async def wait(value: Any, seconds: float = 0.0, fails: bool = False) -> Any:
            self.begun.append(value)
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                self.cancelled.append(value)
                raise
            if fails:
                raise ValueError(f"no {value}")
            return value

        @tool
        async def check(answer: Any) -> bool:
            self.checked.append(answer)
            return answer == "good"

        @tool
        async def grade(answer: str) -> float:
            return len(answer) / 10

        @tool(effect="mutating")
        async def pay(value: Any, seconds: float = 0.0) -> Any:
            self.begun.append(value)
            await asyncio.sleep(seconds)
            return value

        self.all = [wait, check, grade, pay]


@pytest.fixture
def tools() -> Tools:
    return Tools()


def run(tools: Tools, *nodes: Node, approve: Any = lambda call: True, **options: Any) -> Recorded:
    """Run `nodes` on a clock that jumps, as one patch unless `chunks` says otherwise."""
    recorded = Recorded()
    options.setdefault("chunks", [nodes])
    run_virtually(lambda clock: recorded.run(tools=tools.all, clock=clock, approve=approve, **options))
    return recorded


def waiting(id: str, seconds: float, value: Any = None, **args: Any) -> Node:
    return call(id, "wait", value=id if value is None else value, seconds=seconds, **args)


def states(recorded: Recorded, *ids: str) -> list[str]:
    return [recorded.graph.state(id) for id in ids]


@pytest.mark.parametrize(
    ("policy", "options", "values", "expected"),
    [
        ("all", {}, [("a", 3), ("b", 1)], ["a", "b"]),
        ("first", {}, [("a", 3), ("b", 1), ("c", 2)], "b"),
        ("some", {"count": 2, "total": 3}, [("a", 3), ("b", 1), ("c", 9)], ["a", "b"]),
        ("vote", {}, [("Paris", 1), ("Rome", 2), (" the  PARIS", 3), ("x", 4)], "Paris"),
        ("vote", {}, [("17", 1), (18, 2), (17.0, 3)], "17"),
        ("vote", {}, [([1], 1), ([2], 2), ([2], 3)], [2]),
        ("vote", {}, [("a", 3), ("b", 2), ("c", 1)], "a"),
        ("verified", {"verifier": "check"}, [("bad", 1), ("good", 3), ("worse", 2)], "good"),
        ("verified", {"verifier": "grade"}, [("abc", 1), ("abcdef", 2)], "abcdef"),
        ("verified", {"verifier": "grade", "at_least": 0.3}, [("abc", 1), ("abcdef", 2)], "abc"),
    ],
)
@pytest.mark.parametrize("over", ["names", "map"])
def test_what_each_policy_takes(
    tools: Tools, policy: str, options: Any, values: Any, expected: Any, over: str
) -> None:
    names = [f"p{i}" for i in range(len(values))]
    if over == "names":
        parts = [waiting(name, s, v) for name, (v, s) in zip(names, values, strict=True)]
        join = joined("d", all_refs(*names), policy, **options)
    else:
        parts = [
            mapped("xs", [[v, s] for v, s in values], "wait", value=Ref("m", (0,)), seconds=Ref("m", (1,)))
        ]
        join = joined("d", "xs", policy, **options)
    recorded = run(tools, *parts, join, answer(Ref("d")))
    assert recorded.outcome is not None
    assert recorded.outcome.answer == (expected,), recorded.graph.error("d")
    assert recorded.graph.result("d") == expected


def test_what_is_decided_against_is_cancelled_at_once(tools: Tools) -> None:
    """With what only it needs. The plan goes on meanwhile."""
    recorded = run(
        tools,
        waiting("a", 1),
        waiting("p", 5),
        call("b", "wait", value=Ref("p"), seconds=5),
        waiting("c", 9),
        joined("d", all_refs("a", "b", "c"), "first"),
        waiting("later", 3),
        answer(Ref("d"), Ref("later")),
    )
    assert states(recorded, "a", "p", "b", "c", "d", "later") == ["done", *["cancelled"] * 3, "done", "done"]
    assert tools.cancelled == ["p", "c"]
    assert recorded.graph.error("c") == "d was decided without it"
    assert recorded.graph.entry("c").finished == 1 < (recorded.graph.entry("later").finished or 0)
    assert recorded.graph.entry("d").seconds == 0


@pytest.mark.parametrize("policy", ["first", "verified"])
def test_who_was_first_does_not_depend_on_when_the_join_came(tools: Tools, policy: str) -> None:
    verifier = "grade" if policy == "verified" else None
    parts = [waiting("a", 2, "later on"), waiting("b", 1, "earlier")]
    join = joined("d", all_refs("a", "b"), policy, verifier=verifier)
    recorded = run(tools, chunks=[parts, [join, answer(Ref("d"))]], gap=5.0)
    assert recorded.graph.result("d") == "earlier"


def test_a_vote_is_over_when_no_rest_can_change_it(tools: Tools) -> None:
    values = [("x", 1), ("y", 2), ("x", 3), ("x", 4), ("y", 99)]
    parts = [waiting(f"p{i}", s, v) for i, (v, s) in enumerate(values)]
    recorded = run(
        tools, *parts, joined("d", all_refs(*[f"p{i}" for i in range(5)]), "vote"), answer(Ref("d"))
    )
    assert recorded.graph.entry("d").finished == 4
    assert states(recorded, "p4") == ["cancelled"]


def test_a_tie_goes_to_the_earliest_in_plan_order_and_ends_early_only_where_it_must(tools: Tools) -> None:
    """With one part to come, the later of two leads by one: a tie would go to the earlier."""
    parts = [waiting("a", 9, "x"), waiting("b", 1, "y")]
    recorded = run(tools, *parts, joined("d", all_refs("a", "b"), "vote"), answer(Ref("d")))
    assert recorded.graph.result("d") == "x"
    parts = [waiting("a", 1, "x"), waiting("b", 9, "y")]
    recorded = run(tools, *parts, joined("d", all_refs("a", "b"), "vote"), answer(Ref("d")))
    assert (recorded.graph.result("d"), states(recorded, "b")) == ("x", ["cancelled"])


@pytest.mark.parametrize("reader", ["plain", "map", "guarded map", "other join", "later patch"])
def test_a_loser_that_another_node_reads_stays(tools: Tools, reader: str) -> None:
    guard = branch(Compare("==", Ref("slow"), Const("slow")))
    readers = {
        "plain": call("r", "wait", value=Ref("b")),
        "map": mapped("r", [Ref("b"), 1], "wait", value=Ref("m")),
        "guarded map": Node(
            id="r", name="r", op=mapped("r", [Ref("b"), 1], "wait", value=Ref("m")).op, guards=guard
        ),
        "other join": joined("r", all_refs("slow", "b")),
        "later patch": call("r", "wait", value=Ref("b")),
    }
    nodes = [
        waiting("a", 1),
        waiting("b", 5),
        waiting("slow", 3),
        joined("d", all_refs("a", "b"), "first"),
    ]
    rest = [readers[reader], answer(Ref("d"), Ref("r"))]
    chunks = [nodes, [], rest] if reader == "later patch" else [[*nodes, *rest]]

    recorded = run(tools, chunks=chunks, gap=2.0 if reader == "later patch" else 0.0)
    assert states(recorded, "a", "b", "d", "r") == ["done"] * 4, recorded.graph.error("r")
    assert tools.cancelled == []


def test_a_mutating_call_is_carried_out_whatever_a_join_decides(tools: Tools) -> None:
    """With what it needs, begun or not. So what happens in the world does not depend on who was first."""
    recorded = run(
        tools,
        waiting("a", 1),
        waiting("p", 5),
        call("m", "pay", value=Ref("p")),
        call("b", "wait", value=Ref("m"), seconds=5),
        joined("d", all_refs("a", "b"), "first"),
        waiting("later", 20),
        answer(Ref("d"), Ref("later")),
    )
    assert states(recorded, "a", "p", "m", "b", "d") == ["done", "done", "done", "cancelled", "done"]


def test_a_map_goes_with_its_items_and_a_join_with_its_parts(tools: Tools) -> None:
    recorded = run(
        tools,
        waiting("a", 1),
        mapped("xs", [9, 9], "wait", value=Ref("m"), seconds=Ref("m")),
        joined("inner", "xs", "first"),
        waiting("b", 9),
        joined("checked", [Ref("a"), Ref("b")], "verified", verifier="check"),
        joined("d", [Ref("a"), Ref("inner"), Ref("checked")], "first"),
        waiting("later", 5),
        answer(Ref("d"), Ref("later")),
    )
    assert recorded.graph.result("d") == "a"
    gone = ["xs", "xs[0]", "xs[1]", "inner", "b", "checked", "checked[1]"]
    assert states(recorded, *gone) == ["cancelled"] * 7


def test_failed_and_blocked_parts(tools: Tools) -> None:
    bad = call("bad", "wait", value="bad", fails=True)
    behind = call("behind", "wait", value=Ref("bad"))
    recorded = run(
        tools,
        bad,
        behind,
        waiting("ok", 3),
        joined("first", all_refs("bad", "behind", "ok"), "first"),
        joined("two", all_refs("bad", "behind", "ok"), "some", count=2, total=3),
        joined("vote", all_refs("bad", "ok"), "vote"),
        joined("every", all_refs("bad", "ok")),
        joined("none", all_refs("bad", "behind"), "first"),
    )
    assert states(recorded, "first", "vote") == ["done", "done"]
    assert states(recorded, "two", "every", "none") == ["blocked"] * 3
    assert "bad, which failed" in (recorded.graph.error("none") or "")
    assert recorded.outcome is not None and {"two", "every", "none"} <= set(recorded.outcome.blocked)


def test_a_blocked_join_follows_a_name_that_is_bound_anew(tools: Tools) -> None:
    recorded = run(
        tools,
        call("bad", "wait", value="bad", fails=True),
        call("worse", "wait", value="worse", fails=True),
        joined("d", all_refs("bad", "worse"), "first"),
        joined("v", all_refs("bad", "worse"), "verified", verifier="check"),
        answer(Ref("d"), Ref("v")),
    )
    assert states(recorded, "d", "v", "answer") == ["blocked"] * 3
    run_virtually(
        lambda clock: recorded.run(
            tools=tools.all, clock=clock, chunks=[[call("bad2", "wait", value="good", bind="bad")]]
        )
    )
    assert states(recorded, "d", "v", "answer") == ["done"] * 3
    assert recorded.graph.result("d") == "good"


def test_skipped_parts_are_left_out(tools: Tools) -> None:
    never = branch(Const(False))
    recorded = run(
        tools,
        waiting("a", 1),
        call("no", "wait", value=1, guards=never),
        joined("every", all_refs("a", "no")),
        joined("first", all_refs("no", "a"), "first"),
        joined("two", all_refs("no", "a"), "some", count=2, total=2),
        joined("none", all_refs("no", "no"), "vote"),
        joined("guarded", all_refs("a"), "first", guards=never),
    )
    assert recorded.graph.result("every") == ["a"]
    assert recorded.graph.result("first") == "a"
    assert states(recorded, "two", "none", "guarded") == ["failed", "skipped", "skipped"]
    assert recorded.graph.error("two") == "too few of its parts ended well: it has 1 parts"


def test_the_number_of_parts_of_a_map_is_checked_when_it_is_known(tools: Tools) -> None:
    recorded = run(
        tools,
        mapped("xs", [1, 2, 3], "wait", value=Ref("m")),
        joined("d", "xs", "some", count=2, total=4),
    )
    assert states(recorded, "d") == ["failed"]
    assert recorded.graph.error("d") == ("the policy `2 of 4` needs 4 parts, and there are 3; write `2 of 3`")


def test_verified_says_why_nothing_passed_and_what_is_no_verdict(tools: Tools) -> None:
    @tool
    async def odd(answer: Any) -> Any:
        return "perhaps"

    tools.all.append(odd)
    parts = [waiting("a", 1), waiting("b", 2)]
    recorded = run(
        tools,
        *parts,
        joined("d", all_refs("a", "b"), "verified", verifier="check"),
        joined("e", all_refs("a"), "verified", verifier="odd"),
        joined("f", all_refs("a"), "verified"),
        joined("g", all_refs("a"), "verified", verifier="pay"),
    )
    assert states(recorded, "d", "e", "f", "g") == ["failed"] * 4
    assert recorded.graph.error("d") == "none of its parts passed: part 1 did not pass; part 2 did not pass"
    assert "a verifier returns True, False or a number" in (recorded.graph.error("e") or "")
    assert "there is no verifier: name a tool with verifier=" in (recorded.graph.error("f") or "")
    assert "changes things in the world" in (recorded.graph.error("g") or "")
    assert [node.id for node in recorded.graph.nodes.values() if node.id.startswith("d[")] == ["d[0]", "d[1]"]


def test_checks_spend_the_calls_of_the_budget_and_are_made_once_for_equal_parts(tools: Tools) -> None:
    from braid.executors.tools import CallMemo

    budget = Budget(calls=9)
    parts = [waiting("a", 1, "same"), waiting("b", 2, "same"), waiting("c", 3, "good")]
    join = joined("d", all_refs("a", "b", "c"), "verified", verifier="check")
    recorded = run(tools, *parts, join, budget=budget, memo=CallMemo())
    assert recorded.graph.result("d") == "good"
    assert tools.checked == ["same", "good"]
    assert budget.remaining("calls") == 9 - 3 - 2


@pytest.mark.parametrize("kind", ["function", "async function", "answer only", "tool", "listed tool"])
async def test_the_runs_own_verifier(tools: Tools, kind: str) -> None:
    """It gets the question, where it wants it, and its calls are nodes."""
    asked: list[Any] = []

    def plain(question: str, answer: Any) -> bool:
        asked.append((question, answer))
        return answer == "good"

    async def later(question, answer) -> float:  # type: ignore[no-untyped-def]  # pyright: ignore
        asked.append((question, answer))
        return 1.0 if answer == "good" else 0.2

    def one(answer: str) -> bool:
        return answer == "good"

    given: Any = {
        "function": plain,
        "async function": later,
        "answer only": one,
        "tool": tool(name="judge")(one),
        "listed tool": tools.all[1],
    }[kind]
    parts = [waiting("a", 0, "bad"), waiting("b", 0.1, "good")]
    join = joined("d", all_refs("a", "b"), "verified")
    recorded = Recorded()
    await recorded.run(*parts, join, tools=tools.all, verifier=given, question="Which?")
    assert recorded.graph.result("d") == "good", recorded.graph.error("d")
    assert recorded.graph.state("d[0]") == "done"
    if "function" in kind:
        assert asked == [("Which?", "bad"), ("Which?", "good")]


def test_one_node_at_a_time_in_plan_order(tools: Tools) -> None:
    """What a join does not need is not begun."""
    parts = [waiting("a", 1, "bad"), waiting("b", 1, "good"), waiting("c", 1, "good")]
    recorded = run(
        tools,
        *parts,
        joined("d", all_refs("a", "b", "c"), "verified", verifier="check"),
        answer(Ref("d")),
        sequential=True,
    )
    assert recorded.of("node.started") == ["a", "d[0]", "b", "d[1]", "d", "answer"]
    assert states(recorded, "c", "d[2]") == ["cancelled", "cancelled"]
    recorded = run(tools, *parts, joined("d", all_refs("c", "b", "a"), "first"), sequential=True)
    assert recorded.of("node.started") == ["a", "d"]


def test_a_join_in_the_events_and_the_report(tools: Tools) -> None:
    recorded = run(tools, waiting("a", 1), waiting("b", 3), joined("d", all_refs("a", "b"), "first"))
    added = next(event for event in recorded.events if getattr(event, "node", "") == "d")
    assert (getattr(added, "op", ""), getattr(added, "depends_on", ())) == ("join", ("a", "b"))
    assert recorded.of("node.finished") == ["a", "d"]
    from braid.executors.report import report_of

    report = report_of(recorded.graph)
    assert (report.critical_path, report.wasted) == (1, 1)


def test_a_stopped_run_leaves_no_join_open(tools: Tools) -> None:
    recorded = run(
        tools,
        waiting("a", 1),
        call("b", "wait", value=Ref("a")),
        joined("d", all_refs("b"), "first"),
        joined("v", all_refs("a", "b"), "verified", verifier="check"),
        answer(Ref("d")),
        budget=Budget(calls=1),
    )
    assert states(recorded, "a", "b", "d", "v") == ["done", "cancelled", "blocked", "cancelled"]
