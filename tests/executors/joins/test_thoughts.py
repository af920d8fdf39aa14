"""Joins of thoughts, and verifiers of `best_of_n`: on a scripted engine, and on the local one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from braid.engine import Budget, connect
from braid.engine.scripted import ScriptedEngine
from braid.executors import tool
from braid.executors.nodes import Const, Node, Ref, Think
from braid.executors.tools import CallMemo, ToolError
from tests.support.tiny_models import build_model
from tests.support.virtual_clock import run_virtually
from tests.support.written_plans import Recorded, all_refs, answer, call, joined


def think(id: str, question: str, method: str | None = None, **options: Any) -> Node:
    return Node(id=id, name=id, op=Think(Const(question), (), method, tuple(options.items())))


def samples(script: Mapping[str, Sequence[tuple[int, str]]]) -> ScriptedEngine:
    """An engine that answers each question with its samples in turn: so many words, then the answer."""
    drawn = dict.fromkeys(script, 0)

    def respond(prompt: str) -> str:
        question = next(question for question in script if question in prompt)
        words, text = script[question][drawn[question] % len(script[question])]
        drawn[question] += 1
        return "well " * words + f"Answer: {text}" if text else ""

    return ScriptedEngine(respond, delay=1.0)


def run(engine: ScriptedEngine, *nodes: Node, **options: Any) -> Recorded:
    recorded = Recorded()
    run_virtually(
        lambda clock: recorded.run(chunks=[nodes], engine=engine, clock=clock, **{"tools": [], **options})
    )
    assert engine.open_contexts() == 0
    return recorded


SURE = [(0, "yes"), (0, "yes"), (0, "yes")]
UNSURE = [(0, "no"), (0, "no"), (0, "yes")]
SLOW = [(50, "no")] * 3


def test_the_surest_thought_wins() -> None:
    thoughts = [think("a", "Quick?", n=3), think("b", "Slow?", n=3), think("c", "Sure?", n=3)]
    script = {"Quick?": UNSURE, "Slow?": [(5, "no")] * 3, "Sure?": SURE}
    recorded = run(samples(script), *thoughts, joined("d", all_refs("a", "b", "c"), "confident"))
    assert recorded.graph.result("d").answer == "no"  # of two that are sure, the earliest in plan order
    assert recorded.graph.result("d").confidence == 1


def test_a_thought_that_is_sure_enough_wins_at_once_and_the_rest_is_discarded() -> None:
    budget = Budget()
    recorded = run(
        samples({"Quick?": UNSURE, "Sure?": SURE, "Slow?": SLOW}),
        think("a", "Quick?", n=3),
        think("b", "Sure?", n=3),
        think("c", "Slow?", n=3),
        joined("d", all_refs("a", "b", "c"), "confident", at_least=0.9),
        call("later", "sleep", seconds=20.0),
        tools=[sleep],
        budget=budget,
    )
    assert recorded.graph.result("d").answer == "yes"
    assert recorded.graph.state("c") == "cancelled"
    assert recorded.graph.entry("c").finished == recorded.graph.entry("d").finished
    assert recorded.outcome is not None
    usage = recorded.outcome.usage
    assert 0 < usage.discarded_tokens < usage.generated_tokens
    kept = [recorded.graph.entry(id).usage for id in "ab"]
    assert usage.generated_tokens - usage.discarded_tokens == sum(u.generated_tokens for u in kept if u)
    assert usage.calls == 3


def test_thoughts_vote_by_their_answers() -> None:
    script = {"One?": [(0, "Paris")], "Two?": [(1, "Rome")], "Three?": [(2, "the PARIS")], "Four?": SLOW}
    thoughts = [think(f"t{i}", question) for i, question in enumerate(script)]
    recorded = run(samples(script), *thoughts, joined("d", all_refs("t0", "t1", "t2", "t3"), "vote"))
    assert recorded.graph.result("d").answer == "Paris"
    empty = {"One?": [(0, "")], "Two?": [(1, "")], "Three?": [(2, "Rome")]}
    thoughts = [think(f"t{i}", question) for i, question in enumerate(empty)]
    recorded = run(samples(empty), *thoughts, joined("d", all_refs("t0", "t1", "t2"), "vote"))
    assert recorded.graph.result("d").answer == "Rome"  # what is empty has no vote


def test_what_is_not_sure_of_anything_cannot_win() -> None:
    nodes = [call("a", "sleep", seconds=1.0), call("b", "sleep", seconds=2.0)]
    recorded = run(samples({}), *nodes, joined("d", all_refs("a", "b"), "confident"), tools=[sleep])
    error = "none of its parts can be taken: part 1 does not say how sure it is; part 2"
    assert (recorded.graph.error("d") or "").startswith(error)


def test_a_verifier_gets_a_thoughts_question_and_answer() -> None:
    asked: list[Any] = []

    async def judge(question: str, answer: Any) -> float:
        asked.append((question, answer))
        return 0.9 if answer == "Rome" else 0.1

    script = {"One?": [(0, "Paris")], "Two?": [(1, "Rome")]}
    recorded = run(
        samples(script),
        think("a", "One?"),
        think("b", "Two?"),
        joined("d", all_refs("a", "b"), "verified"),
        verifier=judge,
        question="The task",
    )
    assert recorded.graph.result("d").answer == "Rome"
    assert asked == [("One?", "Paris"), ("Two?", "Rome")]


@tool
async def sleep(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "slept"


DRAFTS = [(0, "bad"), (0, "good"), (0, "bad"), (0, "worse")]


@pytest.mark.parametrize("named", [True, False])
def test_best_of_n_with_a_tool_or_with_the_runs_verifier(named: bool) -> None:
    """Its calls are those of any pure tool: paid for, and made once for equal answers."""
    checked: list[str] = []

    @tool
    async def grade(answer: str) -> float:
        checked.append(answer)
        return float(answer == "good")

    budget = Budget(calls=9)
    node = think("t", "Which?", "best_of_n", n=4, **({"verifier": "grade"} if named else {}))
    recorded = run(
        samples({"Which?": DRAFTS}),
        node,
        answer(Ref("t", ("answer",))),
        tools=[grade],
        verifier=None if named else grade,
        budget=budget,
        memo=CallMemo(),
    )
    assert recorded.outcome is not None and recorded.outcome.answer == ("good",)
    assert sorted(checked) == ["bad", "good", "worse"]
    assert budget.remaining("calls") == 9 - 1 - 3


def test_best_of_n_fails_with_its_verifier_and_without_one() -> None:
    @tool
    async def grade(answer: str) -> float:
        raise ToolError("out of order", tool="grade")

    @tool
    async def words(answer: str) -> str:
        return answer

    bare = think("t", "Which?", "best_of_n", n=2)
    recorded = run(samples({"Which?": DRAFTS}), bare)
    assert "needs a verifier" in (recorded.graph.error("t") or "")
    for name, error in (("grade", "out of order"), ("words", "returns string"), ("gone", "no tool named")):
        node = think("t", "Which?", "best_of_n", n=2, verifier=name)
        recorded = run(samples({"Which?": DRAFTS}), node, tools=[grade, words])
        assert error in (recorded.graph.error("t") or "")
    node = think("t", "Which?", "best_of_n", n=2, verifier="grade")
    recorded = run(samples({"Which?": DRAFTS}), node, tools=[grade], budget=Budget(calls=1))
    assert recorded.outcome is not None and recorded.outcome.stopped == "budget"


async def test_losers_give_their_kv_back_before_the_plan_ends(tmp_path: Path) -> None:
    """The real local engine on a tiny model of random weights."""
    folder = build_model(tmp_path, "qwen3", context=1024)
    async with await connect(f"local:{folder}", threads=1) as engine:
        held: list[int] = []

        @tool(cache="never")
        async def look(after: Any = None) -> int:
            """Bytes of KV that contexts and requests hold: at most until nothing more is given back."""
            until = time.monotonic() + 20
            while True:
                engine.forget()  # what is only kept for reuse
                held.append(engine.kv_bytes())
                wanted = engine.open_contexts() > 0 if after is None else engine.open_contexts() == 0
                if (wanted and (held[-1] > 0) == (after is None)) or time.monotonic() > until:
                    return held[-1]
                await asyncio.sleep(0.005)

        options = {"n": 4, "max_tokens": 900, "temperature": 1.5}
        run = Recorded()
        budget = Budget()
        outcome = await run.run(
            chunks=[
                [
                    think("long", "question one " * 10, "self_consistency", **options),
                    think("longer", "question two " * 10, "self_consistency", **options),
                    call("before", "look"),
                    Node(
                        id="short",
                        name="short",
                        op=Think(Const("?"), (Ref("before"),), None, (("max_tokens", 2),)),
                    ),
                    joined("d", all_refs("long", "longer", "short"), "first"),
                    call("freed", "look", after=Ref("d")),
                    answer(Ref("freed")),
                ]
            ],
            tools=[look],
            engine=engine,
            budget=budget,
        )
        assert run.graph.result("before") > 0
        assert outcome.answer == (0,)
        assert [run.graph.state(id) for id in ("long", "longer")] == ["cancelled", "cancelled"]
        assert run.at("node.cancelled", "longer") < run.at("node.finished", "freed")
        assert 0 < outcome.usage.discarded_tokens < 2 * 4 * 900
        assert not any(budget.reserved.values())
