"""Plans that a person reviews: nothing of one runs before it is approved, whatever becomes of the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from braid.engine.scripted import ScriptedEngine
from braid.executors import tool
from braid.executors.scheduler import Replan
from braid.orchestrator import Agent, ResumeRefusedError
from braid.orchestrator.review import (
    ApprovePlan,
    Decision,
    EditPlan,
    PlanReview,
    PlanReviewed,
    RejectPlan,
    ReviewError,
)

called: list[str] = []
PLAN = 'a = height("K2")\ns = send(f"{a} m")\nx = [height(n) for n in ["K2", "Mont Blanc"]]\nanswer(a, s)\n'
OTHER = 'a = height("Mont Blanc")\nanswer(a)\n'


@pytest.fixture(autouse=True)
def forget() -> None:
    called.clear()


@tool
def height(name: str) -> int:
    """Height of a mountain."""
    called.append(name)
    if name == "Olympus Mons":
        raise ValueError("not on Earth")
    return {"K2": 8611, "Mont Blanc": 4806}[name]


@tool(effect="mutating")
def send(text: str) -> str:
    """Send a message."""
    called.append(text)
    return "sent"


class Person:
    """Takes its decisions from a list, and keeps what it was shown."""

    def __init__(self, *decisions: Decision | bool) -> None:
        self.decisions = list(decisions)
        self.shown: list[PlanReview] = []
        self.called_before: list[list[str]] = []

    def __call__(self, review: PlanReview) -> Decision | bool:
        self.shown.append(review)
        self.called_before.append(list(called))
        return self.decisions.pop(0)


def agent(person: Callable[[PlanReview], Any], *plans: str, **options: Any) -> Agent:
    given: dict[str, Any] = {"tools": [height, send], "approve": lambda request: True, **options}
    return Agent(ScriptedEngine(list(plans)), review=person, **given)


async def test_nothing_runs_before_the_plan_is_approved() -> None:
    person = Person(True)
    result = await agent(person, PLAN).run("How tall?")
    assert result.answer == "8611, sent" and person.called_before == [[]]
    (shown,) = person.shown
    assert shown.plan == PLAN and shown.calls == 4
    assert [(s.tool, s.effect, s.kind) for s in shown.statements] == [
        ("height", "pure", "tool"),
        ("send", "mutating", "tool"),
        ("height", "pure", "map"),
        (None, None, "answer"),
    ]
    assert [s.source for s in shown.mutating] == ['s = send(f"{a} m")']


async def test_a_rejected_plan_never_runs_and_the_planner_reads_why() -> None:
    person = Person(RejectPlan("send nothing"), ApprovePlan())
    given = agent(person, PLAN, OTHER)
    result = await given.run("How tall?")
    assert (result.answer, result.rounds, called) == ("4806", 2, ["Mont Blanc"])
    assert result.plan == OTHER.rstrip("\n")
    assert person.shown[1].round == 1 and "send nothing" in person.shown[1].feedback
    engine = await given.open()
    assert isinstance(engine, ScriptedEngine) and "send nothing" in engine.calls[1].prompt


async def test_rejections_end_with_the_rounds() -> None:
    person = Person(*[RejectPlan("no")] * 2)
    result = await agent(person, PLAN, OTHER, max_rounds=2).run("How tall?")
    assert (result.status, result.stopped, called) == ("failed", "plan", [])
    assert "no" in result.reason and "rejected" in result.reason


async def test_an_edited_plan_is_checked_again_and_comes_back_with_its_mistakes() -> None:
    wrong = 'a = heigt("K2")\nanswer(a)\n'
    person = Person(EditPlan(wrong), True, EditPlan('b = height("K2")\nanswer(b, "edited")\n'))
    result = await agent(person, PLAN).run("How tall?")
    assert result.answer == "8611, edited" and called == ["K2"]
    assert [len(shown.errors) for shown in person.shown] == [0, 2, 2]
    assert person.shown[1].plan == wrong and person.shown[1].errors[0].line == 1
    assert result.plan == 'b = height("K2")\nanswer(b, "edited")'
    (decided,) = [e.event for e in result.events if isinstance(e.event, PlanReviewed)]
    assert decided.decision == "edited"


async def test_later_rounds_and_revisions_are_reviewed_too() -> None:
    first = 'a = height("Olympus Mons")\nb = height("K2")\nanswer(f"{a} {b}")\n'
    person = Person(True, True)
    result = await agent(person, first, "answer(b)\n", replan=None).run("How tall?")
    assert result.answer == "8611" and [shown.round for shown in person.shown] == [0, 1]
    called.clear()
    person = Person(True, RejectPlan("wait"), True)
    result = await agent(person, first, "answer(1)\n", "answer(b)\n", replan=Replan()).run("How tall?")
    assert result.answer == "8611" and len(person.shown) == 3


async def test_written_plans_are_reviewed_and_coroutines_may_decide() -> None:
    async def decide(review: PlanReview) -> bool:
        await asyncio.sleep(0)
        return "K2" not in review.plan

    given = agent(decide)
    assert (await given.run_plan(OTHER)).answer == "4806"
    refused = await given.run_plan(PLAN)
    assert (refused.status, refused.stopped, called) == ("failed", "plan", ["Mont Blanc"])


@pytest.mark.parametrize("given", [None, "yes", 1, PLAN])
async def test_what_is_no_decision_ends_the_run(given: Any) -> None:
    with pytest.raises(ReviewError, match="must return"):
        await agent(lambda review: given, PLAN).run("How tall?")
    assert called == []


DECISIONS: dict[str, tuple[Sequence[Decision], str]] = {
    "approved": ([ApprovePlan()], "8611, sent"),
    "edited": ([EditPlan('a = height("K2")\nif a > 1:\n    answer("edited", a)\n')], "edited, 8611"),
    "rejected": ([RejectPlan("no"), ApprovePlan()], "4806"),
}


@pytest.mark.parametrize("kind", DECISIONS)
async def test_a_resumed_run_goes_on_as_it_was_decided(kind: str, tmp_path: Path) -> None:
    decisions, answer = DECISIONS[kind]
    journal = tmp_path / "journal.db"

    class Stopped(Exception):
        pass

    def die(event: object) -> None:
        if isinstance(event, PlanReviewed):
            raise Stopped

    person = Person(*decisions)
    first = agent(person, PLAN, OTHER, journal=journal)
    stream = first.stream("How tall?")
    with pytest.raises(Stopped):
        async with stream as events:
            async for envelope in events:
                die(envelope.event)
    await first.close()
    again = Agent(
        ScriptedEngine([OTHER]),
        tools=[height, send],
        approve=lambda request: True,
        journal=journal,
        review=(later := Person(*person.decisions)),
    )
    result = await again.resume("last")
    assert result.answer == answer and len(later.shown) == len(decisions) - 1
    await again.close()


async def test_a_reviewed_run_is_not_resumed_without_a_reviewer(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"

    async def never(review: PlanReview) -> bool:
        await asyncio.sleep(60)
        return True

    first = agent(never, PLAN, journal=journal)
    task = asyncio.create_task(first.run("How tall?"))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await first.close()
    async with Agent(ScriptedEngine([PLAN]), tools=[height, send], journal=journal) as without:
        with pytest.raises(ResumeRefusedError, match="reviews the plans"):
            await without.resume("last")
    async with agent(Person(True), PLAN, journal=journal) as again:
        assert (await again.resume("last")).answer == "8611, sent"
    assert called.count("8611 m") == 1
