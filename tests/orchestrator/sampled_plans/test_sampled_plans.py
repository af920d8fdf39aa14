"""Runs whose plan is the winner of a vote: what is shared, what waits, what a stop and a resume leave."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from braid import Budget, ModelSettings
from braid.engine import Usage
from braid.engine.scripted import Response, ScriptedEngine
from braid.executors import Tool, tool
from braid.orchestrator import Agent, RunResult
from braid.orchestrator.cli.display.live import LiveDisplay
from braid.orchestrator.cli.display.plain import PlainDisplay
from braid.orchestrator.cli.display.summary import report_lines
from braid.orchestrator.review import ApprovePlan, PlanReview
from braid.orchestrator.sampled_plans import (
    PlanSampled,
    PlansRequested,
    PlansVoted,
    SampleText,
    affordable,
    default_samples,
)

RIGHT = 'a = height("K2")\nb = height("Mont Blanc")\nc = calculate(f"{a} - {b}")\nanswer(c)\n'
RENAMED = 'y = height("Mont Blanc")\nx = height("K2")\nd = calculate(f"{x} - {y}")\nanswer(d)\n'
SUMMED = 'a = height("K2")\nb = height("Mont Blanc")\nc = calculate(f"{a} + {b}")\nanswer(c)\n'
TURNED = 'a = height("K2")\nb = height("Mont Blanc")\nc = calculate(f"{b} - {a}")\nanswer(c)\n'
QUESTION = "How much taller is K2 than Mont Blanc?"


class World:
    """Tools that note what was called."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.hanging = asyncio.Event()
        self.hangs = False

    async def yes(self, _: object) -> bool:
        self.calls.append("asked")
        return True

    def tools(self) -> list[Tool]:
        @tool
        async def height(name: str) -> int:
            self.calls.append(name)
            await asyncio.sleep(0)
            return {"K2": 8611, "Mont Blanc": 4806}[name]

        @tool(effect="mutating")
        async def send(text: str) -> str:
            self.calls.append(f"send {text}")
            if self.hangs:
                self.hanging.set()
                await asyncio.sleep(60)
            return f"sent {text}"

        @tool(effect="idempotent")
        async def store(text: str) -> str:
            self.calls.append(f"store {text}")
            return text

        return [height, send, store]


def agent_of(world: World, plans: Sequence[Response], **options: Any) -> Agent:
    engine = ScriptedEngine(list(plans), details=options.pop("details", None))
    given = {"samples": len(plans), "approve": world.yes, "max_rounds": 1, "shortcuts": False, **options}
    return Agent(engine, tools=world.tools(), **given)


def ballots(result: RunResult[Any]) -> list[PlanSampled]:
    found = [each.event for each in result.events if isinstance(each.event, PlanSampled)]
    return sorted(found, key=lambda ballot: ballot.sample)


def vote(result: RunResult[Any]) -> PlansVoted:
    (found,) = [each.event for each in result.events if isinstance(each.event, PlansVoted)]
    return found


async def test_the_majority_wins_and_look_ups_are_shared() -> None:
    world = World()
    agent = agent_of(world, [SUMMED, RIGHT, RENAMED])
    result = await agent.run(QUESTION)
    assert (result.answer, result.status, result.output) == ("3805", "answered", 3805)
    assert result.confidence == 0.6667 and result.doubt == ""
    assert sorted(world.calls) == ["K2", "Mont Blanc"]
    engine = await agent.open()
    assert isinstance(engine, ScriptedEngine)
    assert len(engine.prefills) == 1 and len(engine.calls) == 3 and engine.open_contexts() == 0
    assert [call.params.temperature for call in engine.calls] == [0.0, 0.7, 0.7]
    assert len({call.params.seed for call in engine.calls}) == 3
    assert [ballot.same_as for ballot in ballots(result)] == [None, None, 1]
    assert result.plan == RIGHT.strip() and vote(result).sample == 1
    assert len(result.graph.nodes) == 4, "the graph holds the plan that won"
    plans = [call.usage for call in result.calls if call.kind == "plan"]
    assert len(plans) == 3 and result.usage.calls == 3
    assert result.usage.generated_tokens == sum(usage.generated_tokens for usage in plans) > 100
    assert result.usage.prompt_tokens == max(usage.prompt_tokens for usage in plans)
    assert result.budget["tokens"].spent == result.usage.prompt_tokens + result.usage.generated_tokens
    assert "3 plans" not in result.page() and "agreement" not in result.answer
    assert result.to_dict()["confidence"] == 0.6667


async def test_one_plan_is_as_it_always_was() -> None:
    kinds: list[list[str]] = []
    usages: list[Usage] = []
    for options in ({}, {"samples": 1}, {"details": {"plan_samples": "1"}}):
        async with agent_of(World(), [RIGHT], **{"samples": None, **options}) as agent:
            result = await agent.run(QUESTION)
        assert result.answer == "3805" and result.confidence is None and result.doubt == ""
        kinds.append([each.event.kind for each in result.events])
        usages.append(result.usage)
    assert kinds[0] == kinds[1] == kinds[2] and usages[0] == usages[1] == usages[2]
    assert not any(kind.startswith("plans.") for kind in kinds[0])


async def test_an_engine_may_ask_for_several_plans() -> None:
    details = {"plan_samples": "3"}
    assert default_samples(ScriptedEngine("", details=details)) == 3
    async with agent_of(World(), [RIGHT, RIGHT, SUMMED], samples=None, details=details) as agent:
        assert (await agent.run(QUESTION)).confidence == 0.6667


async def test_settings_of_one_run_win() -> None:
    async with agent_of(World(), [SUMMED, RIGHT, RIGHT], samples=1) as agent:
        settings = ModelSettings(samples=3, sample_temperature=0.4, answer_agreement=0.9)
        result = await agent.run(QUESTION, settings=settings)
        engine = await agent.open()
    assert isinstance(engine, ScriptedEngine)
    assert [call.params.temperature for call in engine.calls] == [0.0, 0.4, 0.4]
    assert result.answer == "3805" and result.confidence == 0.6667
    assert result.doubt == "3 plans came to 2 answers, and 2 of them agree (3805; 13417)"
    assert "not sure: 3 plans" in result.page()


async def test_a_person_sees_the_plans_and_the_vote() -> None:
    async with agent_of(World(), [SUMMED, RIGHT, RENAMED]) as agent:
        result = await agent.run(QUESTION)
    stream = io.StringIO()
    with PlainDisplay(stream) as show:
        for envelope in result.events:
            show(envelope)
    lines = [line.partition("] ")[2] for line in stream.getvalue().splitlines()]
    assert lines[0] == "writing 3 plans side by side"
    assert "plan 1 answered: 13417" in lines and "plan 3 answered: 3805, as plan 2" in lines
    assert "2 of 3 plans agree, plan 2 is run" in lines
    assert "3 plans drawn, agreement 0.67" in list(report_lines(result))
    console = Console(file=io.StringIO(), width=120)
    live = LiveDisplay(console)
    for envelope in result.events:
        live(envelope)
    console.print(live.render())
    assert isinstance(console.file, io.StringIO) and "2 of 3 plans agree" in console.file.getvalue()


async def test_a_check_outvotes_plans_that_cannot_be_right() -> None:
    async with agent_of(World(), [TURNED, TURNED, RIGHT]) as agent:
        result = await agent.run(QUESTION)
    assert result.answer == "3805" and result.confidence == 0.3333 and result.doubt
    assert [ballot.weight for ballot in ballots(result)] == [0, 0, 1]
    assert ballots(result)[0].objections == ("a difference between two things cannot be negative",)


async def test_too_little_agreement_declines_and_nothing_is_sent() -> None:
    world = World()
    plans = [f'a = send("{text}")\nanswer(a)\n' for text in ("one", "two", "three", "four")]
    async with agent_of(world, plans) as agent:
        result = await agent.run("Send it.")
    assert result.status == "declined" and world.calls == []
    assert result.reason == "I am not sure: 4 plans came to 4 answers, and 1 of them agree"
    assert result.confidence == 0.25 and result.hint


async def test_effects_wait_for_the_vote() -> None:
    world = World()
    effect = 'a = height("K2")\nb = send(f"K2 has {a}")\nanswer(b)\n'
    other = 'a = height("Mont Blanc")\nb = send(f"it has {a}")\nc = store("late")\nanswer(b, c)\n'
    renamed = 'h = height("K2")\nsent = send(f"K2 has {h}")\nanswer(sent)\n'
    agent = agent_of(world, [other, effect, renamed])
    order: list[str] = []
    async with agent, agent.stream("Send how high K2 is.") as events:
        async for envelope in events:
            if isinstance(envelope.event, PlansVoted):
                order += [*world.calls, "voted"]
    result = events.result
    assert result.answer == "sent K2 has 8611"
    assert sorted(order) == ["K2", "Mont Blanc", "voted"] and order[-1] == "voted"
    assert world.calls[2:] == ["asked", "send K2 has 8611"]
    assert ballots(result)[0].effects == ('send(text="it has 4806")', 'store(text="late")')
    assert ballots(result)[1].effects == ballots(result)[2].effects == ('send(text="K2 has 8611")',)


async def test_conditions_that_are_false_hold_nothing_back() -> None:
    plan = 'a = height("K2")\nif a > 9000:\n    send("high")\nanswer(a)\n'
    world = World()
    async with agent_of(world, [plan, plan]) as agent:
        result = await agent.run("How high is K2?")
    assert result.answer == "8611" and result.confidence == 1.0
    assert [ballot.effects for ballot in ballots(result)] == [(), ()] and world.calls == ["K2"]


async def test_without_a_vote_the_first_plan_is_run() -> None:
    plan = 'a = height("K99")\nanswer(a)\n'
    async with agent_of(World(), [plan, plan, RIGHT], samples=2, max_rounds=2) as agent:
        result = await agent.run(QUESTION)
    assert vote(result).decision == "open" and result.confidence is None
    assert result.answer == "3805" and result.rounds == 2, "the second round mends the first plan"


async def test_no_valid_plan_at_all() -> None:
    async with agent_of(World(), ["nothing of a plan", "neither this"], max_repairs=0) as agent:
        result = await agent.run(QUESTION)
    assert result.status == "failed" and result.stopped == "max_rounds" and result.usage.calls == 2
    assert [ballot.state for ballot in ballots(result)] == ["invalid", "invalid"]


async def test_an_invalid_plan_is_repaired_or_has_no_vote() -> None:
    async with agent_of(World(), [RIGHT, "answer(no_such)\n", RIGHT], samples=2) as agent:
        result = await agent.run(QUESTION)
        assert result.confidence == 1.0 and [b.attempts for b in ballots(result)] == [1, 2]
    async with agent_of(World(), [RIGHT, RIGHT, "answer(no_such)\n"], max_repairs=0) as agent:
        result = await agent.run(QUESTION)
        assert result.confidence == 0.6667 and ballots(result)[2].state == "invalid"


async def test_plans_that_decline_have_votes() -> None:
    async with agent_of(World(), [RIGHT, 'decline("no tool")\n', 'decline("I have none")\n']) as agent:
        result = await agent.run(QUESTION)
    assert (result.status, result.reason, result.confidence) == ("declined", "no tool", 0.6667)


async def test_a_person_reviews_the_plan_that_won() -> None:
    seen: list[str] = []

    def review(shown: PlanReview) -> ApprovePlan:
        seen.append(shown.plan)
        return ApprovePlan()

    async with agent_of(World(), [SUMMED, RIGHT, RIGHT], review=review) as agent:
        assert (await agent.run(QUESTION)).answer == "3805"
    assert seen == [RIGHT]


@pytest.mark.parametrize(
    ("budget", "samples"),
    [
        (Budget(), 8),
        (Budget(tokens=100_000), 8),
        (Budget(tokens=3_000), 4),
        (Budget(tokens=700), 1),
        (Budget(tokens=0), 1),
        (Budget(calls=8), 2),
        (Budget(calls=3), 1),
        (Budget(tokens=100_000, soft=0.0), 1),
    ],
    ids=str,
)
def test_a_small_budget_takes_fewer_plans(budget: Budget, samples: int) -> None:
    assert affordable(8, budget, max_tokens=512) == samples


async def test_a_small_budget_is_kept() -> None:
    async with agent_of(World(), [RIGHT, RIGHT, RIGHT], samples=8) as agent:
        result = await agent.run(QUESTION, budget=Budget(calls=12))
    requested = [each.event for each in result.events if isinstance(each.event, PlansRequested)]
    assert [event.samples for event in requested] == [3] and result.confidence == 1.0
    async with agent_of(World(), [RIGHT], samples=8) as agent:
        result = await agent.run(QUESTION, budget=Budget(calls=6))
    assert result.answer == "3805" and result.confidence is None


async def test_late_plans_are_not_waited_for() -> None:
    async def slow(prompt: str) -> AsyncIterator[str]:
        yield 'a = height("K2")\n'
        await asyncio.sleep(60)

    async with agent_of(World(), [RIGHT, RIGHT, slow]) as agent:
        result = await agent.run(QUESTION, budget=Budget(seconds=2))
        assert (await agent.open()).open_contexts() == 0
    assert result.answer == "3805" and vote(result).samples == 2 and result.seconds < 2


async def test_cancelling_stops_all_plans() -> None:
    begun = asyncio.Event()

    async def slow(prompt: str) -> AsyncIterator[str]:
        yield 'a = height("K2")\n'
        begun.set()
        await asyncio.sleep(60)

    agent = agent_of(World(), [RIGHT, slow, slow])
    run = asyncio.create_task(agent.run(QUESTION))
    await begun.wait()
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run
    assert (await agent.open()).open_contexts() == 0
    await agent.close()


async def test_a_failing_engine_is_an_error() -> None:
    async with agent_of(World(), [RIGHT, ConnectionError("gone"), RIGHT]) as agent:
        with pytest.raises(ConnectionError, match="gone"):
            await agent.run(QUESTION)
        assert (await agent.open()).open_contexts() == 0


@pytest.mark.parametrize("style", ["chat", "compact"])
async def test_what_was_drawn_is_not_drawn_again(tmp_path: Path, style: str) -> None:
    details = {"prompt_style": "compact"} if style == "compact" else {}
    paused = asyncio.Event()
    first, other = SUMMED[: SUMMED.index("c =")], SUMMED[SUMMED.index("c =") :]

    async def stops(prompt: str) -> AsyncIterator[str]:
        yield first
        paused.set()
        await asyncio.sleep(60)

    world = World()
    journal = tmp_path / "journal.db"
    agent = agent_of(world, [RIGHT, stops, RENAMED], details=details, journal=journal)
    drawn: list[int] = []
    async with agent.stream(QUESTION) as events:
        async for envelope in events:
            drawn += [envelope.event.sample] if isinstance(envelope.event, PlanSampled) else []
            if len(drawn) == 2:
                await paused.wait()
                break
    await agent.close()
    rest = other if style == "compact" else SUMMED
    async with agent_of(world, [rest], details=details, journal=journal) as agent:
        result = await agent.resume("last")
        engine = await agent.open()
    assert isinstance(engine, ScriptedEngine)
    assert len(engine.calls) == 1, "one plan was missing"
    if style == "compact":
        assert engine.calls[0].prompt.endswith(first)
    assert result.answer == "3805" and result.confidence == 0.6667
    assert [ballot.sample for ballot in ballots(result)] == [0, 1, 2]
    assert ballots(result)[1].shown == "13417"
    assert len([call for call in result.calls if call.kind == "plan"]) == 3


async def test_a_vote_is_not_repeated_and_what_was_sent_is_not_sent_again(tmp_path: Path) -> None:
    world = World()
    world.hangs = True
    journal = tmp_path / "journal.db"
    plan = 'a = height("K2")\nb = send(f"K2 has {a}")\nanswer(b)\n'
    agent = agent_of(world, [plan, plan], journal=journal)
    async with agent.stream("Send how high K2 is.") as events:
        async for _ in events:
            if world.hanging.is_set():
                break
    await agent.close()
    assert world.calls == ["K2", "asked", "send K2 has 8611"]

    async def happened(question: str) -> str:
        assert "Did it happen?" in question
        return "yes"

    async with agent_of(world, [], samples=2, journal=journal, ask=happened) as agent:
        result = await agent.resume("last")
        again = await agent.resume("last")
    assert result.complete and result.confidence == again.confidence == 1.0
    assert world.calls == ["K2", "asked", "send K2 has 8611"]
    assert len(ballots(result)) == 2 and vote(result).votes == 2
    assert again.usage == result.usage and again.answer == result.answer


async def test_a_run_that_was_cut_off_anywhere_ends_the_same(tmp_path: Path) -> None:
    """It is stopped after an event of each kind in turn, and resumed. Nothing is drawn or sent twice."""
    plan = 'a = height("K2")\nb = send(f"K2 has {a}")\nanswer(b)\n'
    plans = [plan, SUMMED, plan]
    async with agent_of(World(), plans, journal=tmp_path / "whole.db") as agent:
        whole = await agent.run("Send how high K2 is.")
    kinds = [each.event.kind for each in whole.events]
    stops = {kind: place for place, kind in enumerate(kinds)}  # the last of each kind
    assert SampleText.model_fields["kind"].default in stops
    for place in stops.values():
        world = World()
        journal = tmp_path / f"{place}.db"
        agent = agent_of(world, plans, journal=journal)
        async with agent.stream("Send how high K2 is.") as events:
            async for envelope in events:
                if envelope.seq == place:
                    break
        await agent.close()

        def again(prompt: str) -> str:
            return plan

        engine = ScriptedEngine(again)
        async with Agent(engine, tools=world.tools(), approve=world.yes, journal=journal) as agent:
            result = await agent.resume("last")
        assert result.answer == "sent K2 has 8611", (kinds[place], result.reason)
        assert [ballot.sample for ballot in ballots(result)] == [0, 1, 2], kinds[place]
        assert len(engine.calls) <= 3 and vote(result).samples == 3
        assert world.calls.count("send K2 has 8611") == 1, kinds[place]


async def test_the_embedded_model_draws_on_one_prompt() -> None:
    async with Agent("local:braid-mini", shortcuts=False) as agent:
        one = await agent.run(QUESTION)
        four = await agent.run(QUESTION, settings=ModelSettings(samples=4))
        assert (await agent.open()).open_contexts() == 0
    assert one.answer == four.answer == "3805 m" and four.confidence is not None
    assert four.usage.prompt_tokens == one.usage.prompt_tokens and four.usage.calls >= 4
    assert ballots(four)[0].plan == one.plan + "\n", "the first plan is that of a run of one"
