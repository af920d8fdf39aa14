"""Joins in whole runs: with a model's plan, a verifier of the agent's own, rounds, and resumed runs."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from braid.engine.scripted import ScriptedEngine
from braid.executors import tool
from braid.executors.report import diagram, spans_of
from braid.executors.tools import ToolDefinitionError
from braid.orchestrator import Agent, ResumeRefusedError, compare_with_sequential
from tests.support.interrupted_runs import interrupted


class Parts:
    """Tools whose calls end in the order of their names here. Those of `hang` and of no name never end."""

    def __init__(self, *order: str, hang: str = "", value: Any = None) -> None:
        self.order = list(order)
        self.hang = hang
        self.begun: list[str] = []
        self.checked: list[str] = []
        self.hanging = asyncio.Event()
        parts = self

        @tool
        async def part(name: str) -> Any:
            parts.begun.append(name)
            if name == parts.hang:
                parts.hanging.set()
            if name not in parts.order or name == parts.hang:
                await asyncio.Event().wait()
            await asyncio.sleep(0.1 * parts.order.index(name))
            return name if value is None else value(name)

        @tool
        async def check(answer: str) -> bool:
            parts.checked.append(answer)
            return answer != "a"

        @tool
        async def accepts(answer: Any) -> bool:
            return True

        self.tools = [part, check, accepts]


def agent_of(parts: Parts, plan: str | Sequence[str], **options: Any) -> Agent:
    engine = ScriptedEngine(plan, chunk="whole")
    given = {"approve": lambda call: True, "max_rounds": 1, **options}
    return Agent(engine, tools=parts.tools, builtins=False, **given)


PLAN = """\
a = part("a")
b = part("b")
c = part("c")
d = join([a, b, c], policy={policy})
e = part(f"after {{d}}")
answer(d, e)
"""
POLICIES = ['"first"', '"2 of 3"', '"verified", verifier="check"', '"vote"']


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_resumed_run_takes_what_it_took(tmp_path: Path, policy: str) -> None:
    """Also where another part would be first now."""
    plan = PLAN.format(policy=policy)
    after = {'"2 of 3"': "after b, c", '"vote"': "after a"}.get(policy, "after b")
    first = Parts("b", "c", "a", hang=after)
    file = tmp_path / "journal.db"
    id = await interrupted(agent_of(first, plan, journal=file), first.hanging)
    second = Parts("a", "c", "b", after)
    async with agent_of(second, plan, journal=file) as agent:
        result = await agent.resume(id)
    assert result.answer == f"{after.removeprefix('after ')}, {after}", result.reason
    assert second.begun == [after]
    assert second.checked == []
    assert result.graph.state("a") == ("done" if policy == '"vote"' else "cancelled")


async def test_a_verifier_that_changed_is_refused_on_resume(tmp_path: Path) -> None:
    plan = PLAN.format(policy='"verified", verifier="check"')
    first = Parts("a", hang="b")
    file = tmp_path / "journal.db"
    await interrupted(agent_of(first, plan, journal=file), first.hanging)
    second = Parts()
    second.tools.pop(1)
    async with agent_of(second, plan, journal=file) as agent:
        with pytest.raises(ResumeRefusedError, match="check is not here"):
            await agent.resume("last")


@pytest.mark.parametrize("policy", ['"first"', '"verified", verifier="accepts"'])
async def test_a_winner_whose_value_is_lost_is_made_again_and_no_other(tmp_path: Path, policy: str) -> None:
    plan = f"""\
a = part("a")
b = part("b")
d = join([a, b], policy={policy})
if d != 0:
    answer("done", part("later"))
"""
    first = Parts("b", "a", hang="later", value=lambda name: lambda: name)  # no journal can store a function
    file = tmp_path / "journal.db"
    id = await interrupted(agent_of(first, plan, journal=file), first.hanging)
    second = Parts("a", "b", "later")
    async with agent_of(second, plan, journal=file) as agent:
        result = await agent.resume(id)
    assert result.complete, result.reason
    assert result.graph.result("d") == "b"
    assert second.begun == ["b", "later"]
    assert result.graph.state("a") == "cancelled"


async def test_wherever_the_journal_is_cut_the_same_part_wins(tmp_path: Path) -> None:
    """Once it is written that a check passed, no other part wins. Before that any may, and the run ends."""
    plan = PLAN.format(policy='"verified", verifier="check"')
    file = tmp_path / "journal.db"
    async with agent_of(Parts("a", "c", "b", "after c"), plan, journal=file) as agent:
        result = await agent.run("go")
    assert result.answer == "c, after c"
    with sqlite3.connect(file) as db:
        rows: list[tuple[int, str, str]] = list(db.execute("SELECT id, kind, data FROM log ORDER BY id"))
    (passed,) = [id for id, kind, data in rows if kind == "settled" and json.loads(data)[0] == "d[2]"]
    (planned,) = [id for id, kind, _ in rows if kind == "planned"]
    winners: dict[int, str] = {}
    for kept in (id for id, _, _ in rows[:-1] if id >= planned):
        cut = tmp_path / f"cut{kept}.db"
        with sqlite3.connect(file) as whole, sqlite3.connect(cut) as db:
            whole.backup(db)
            db.execute("DELETE FROM log WHERE id > ?", (kept,))
            db.execute("UPDATE runs SET status = 'interrupted', answer = NULL")
        async with agent_of(Parts("b", "c", "a", "after b", "after c"), plan, journal=cut) as agent:
            again = await agent.resume("last")
        assert again.complete, (kept, again.reason)
        winners[kept] = str(again.graph.result("d"))
    assert {winner for kept, winner in winners.items() if kept >= passed} == {"c"}
    assert winners[planned] == "b"


async def test_a_later_round_joins_what_earlier_ones_left(tmp_path: Path) -> None:
    parts = Parts("a", "b", "c", "d")
    plans = [
        'a = part("a")\nb = part("gone")\nd = join([a, b], policy="first")\n',
        'c = part("b")\ne = join([a, c, d], policy="vote")\nanswer(d, e)\n',
    ]
    result = await agent_of(parts, plans, max_rounds=2).run("go")
    assert (result.answer, result.rounds) == ("a, a", 2)
    again = result.graph.result("d")
    assert again == "a" and "d was decided without it" in (result.graph.error("b") or "")


async def test_a_verifier_of_the_agents_own(tmp_path: Path) -> None:
    asked: list[Any] = []

    def good(question: str, answer: Any) -> bool:
        asked.append((question, answer))
        return answer == "b"

    plan = PLAN.format(policy='"verified"')
    parts = Parts("a", "b", "c", "after b")
    result = await agent_of(parts, plan, verifier=good).run("Which?")
    assert result.answer == "b, after b"
    assert asked == [("Which?", "a"), ("Which?", "b")]
    # Without one, the plan is refused where it says so.
    result = await agent_of(Parts("a", "b", "c"), [plan, plan, plan]).run("Which?")
    assert "this run has none of its own" in result.reason


async def test_best_of_n_with_a_verifier_of_the_agents_own() -> None:
    plan = 't = think("Which?", method="best_of_n", n=3)\nanswer(t.answer)\n'
    engine = ScriptedEngine([plan, ["Answer: bad", "Answer: good", "Answer: worse"]])
    agent = Agent(
        engine, tools=[shorten], builtins=False, max_rounds=1, verifier=lambda answer: answer == "good"
    )
    assert (await agent.run("go")).answer == "good"


@tool(effect="mutating")
async def forget(answer: str) -> bool:
    return bool(answer)


@tool
async def shorten(answer: str) -> str:
    return answer[:1]


@pytest.mark.parametrize(
    ("verifier", "why"),
    [
        (lambda: True, "takes the answer, or question and answer"),
        (forget, "changes things in the world"),
        (shorten, "returns True, False or a number"),
        ("check", "a tool or a function"),
    ],
)
def test_what_is_no_verifier_is_refused_where_the_agent_is_made(verifier: Any, why: str) -> None:
    with pytest.raises(ToolDefinitionError, match=why):
        Agent(ScriptedEngine(""), verifier=verifier)


async def test_the_sequential_baseline_of_a_plan_with_a_join() -> None:
    parts = Parts("b", "a", "c", "after b", "after a")
    agent = agent_of(parts, PLAN.format(policy='"first"'))
    result = await agent.run("go")
    assert result.answer == "b, after b"
    parts.order[:] = ["a", "b", "c", "after b", "after a"]
    comparison = await compare_with_sequential(agent, result)
    assert comparison.one_by_one > 0 and comparison.nodes == 4
    assert parts.begun[-2:] == ["a", "after a"]  # what it need not run, it does not run


async def test_a_join_in_a_diagram_and_on_a_page() -> None:
    result = await agent_of(Parts("b", "a", "c", "after b"), PLAN.format(policy='"first"')).run("go")
    assert "join([a, b, c], policy=&quot;first&quot;)" in result.page()
    text = diagram(spans_of(result.graph))
    assert text.count("-->") == 6 and "join([a, b, c]" in text
