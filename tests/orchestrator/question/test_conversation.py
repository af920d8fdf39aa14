"""Runs as turns of a conversation: rewritten follow-ups, and earlier values that plans can read."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from braid.engine.scripted import ScriptedEngine
from braid.executors import tool
from braid.executors.journal import Journal, UnknownRunError, recorded_events
from braid.orchestrator import (
    Agent,
    InvalidHistoryError,
    PersonSaid,
    Rewritten,
    RoundStarted,
    RunResult,
    RunStarted,
    compare_with_sequential,
)
from braid.orchestrator.history import History
from braid.orchestrator.resume import history_of
from braid.planner import PlannerFinished
from tests.support.interrupted_runs import Toolbox, interrupted


@tool
async def height(name: str) -> float:
    """Height of a mountain in metres."""
    return {"K2": 8611.0, "Mont Blanc": 4806.0}[name]


def read_as(result: RunResult[Any]) -> list[str]:
    return [each.event.question for each in result.events if isinstance(each.event, Rewritten)]


TALKS = [
    (["How high is K2?", "And Mont Blanc?"], "4806"),
    (["How high is Mount Fuji?", "and in feet?"], "12,388"),
    (["How high is Mount Fuji?", "and in feet?", "Is Etna higher than that?"], "no"),
    (["capital of peru", "and Bolivia?", "which of those two countries is bigger?"], "Peru"),
    (["How long is the Nile", "what about the amazon?", "so whats the difference"], "250 km"),
    (["what is 15 * 24", "now divide that by 7", "round it up to a whole number"], "52"),
    (["30 km at 60 km/h, how long does it take", "double that"], "1 hour"),
    (["how many minutes are 3 hours", "half of it"], "90 minutes"),
    (["What is the population of France?", "and its capital?"], "Paris"),
    (["Which is longer, the Nile or the Amazon?", "and how long is the other one?"], "6400"),
    (["How high is K2?", "where is it?"], "Pakistan"),
    (["How high is K2?", "and Mont Blanc?", "and together?"], "13417"),
    (["How high is K2?", "thanks", "and Mont Blanc?"], "4806"),
    (["How high is K2?", "source?"], "height of K2: 8611 m"),
    (
        ["who designed the Sagrada Familia?", "In which year did they start building it?", "where is it?"],
        "Barcelona",
    ),
    (["how tall is the eiffel tower", "who built it", "and when?"], "1889"),
    (
        ["How tall is the Titanic?", "who was its captain", "and when did it sink", "where is it"],
        "RMS Titanic",
    ),
    (["Which is longer, the Nile or the Amazon?", "and the Danube?"], "2850 km"),
    (["What continent is Egypt in?", "what's its biggest city"], "Cairo"),
    (
        ["When did the Brooklyn Bridge open?", "before or after they finished the eiffel tower?"],
        "I cannot tell",
    ),
    (
        ["When did the Brooklyn Bridge open?", "was that before or after the eiffel tower was built?"],
        "before",
    ),
    (["name the three highest mountains", "in which country is the second one?"], "Pakistan"),
    (["How large is the Sahara?", "And the Gobi?", "What percentage of the first is the second?"], "14"),
    (["melting point of iron?", "and of copper? Which is higher?"], "iron"),
    (["What day of the week was 20 July 1969?", "And ten days later?"], "30 July 1969"),
]


@pytest.mark.parametrize(("questions", "expected"), TALKS, ids=[" / ".join(row[0]) for row in TALKS])
async def test_the_embedded_model_answers_follow_ups(questions: list[str], expected: str) -> None:
    async with Agent("local:braid-mini") as agent:
        result = await agent.run(questions[0])
        for question in questions[1:]:
            result = await agent.run(question, history=result.history)
    assert expected in result.answer
    assert result.question == questions[-1]


ROUNDED = [
    (["How high is Mount Fuji?", "and in feet?"], "about 12,388.5 feet", 12388.4514436),
    (["What is the population of Spain?", "per square km"], "about 93.44 people per km2", 93.4410030198),
    (["what is 65 / 3?", "half of that"], "about 10.83", 10.8333333333),
]


@pytest.mark.parametrize(("questions", "said", "value"), ROUNDED, ids=[row[1] for row in ROUNDED])
async def test_a_computed_number_is_said_rounded_and_kept_exact(
    questions: list[str], said: str, value: float
) -> None:
    async with Agent("local:braid-mini") as agent:
        result = await agent.run(questions[0])
        for question in questions[1:]:
            result = await agent.run(question, history=result.history)
    assert result.answer == said
    assert result.history.turns[-1].value == pytest.approx(value)


NOWHERE = [
    ["How tall is Big Ben?", "and its mayor?"],
    ["who is the mayor of London?", "and when"],
    ["symbol of tungsten", "its melting point in f at dawn?"],
    ["how tall is the eiffel tower", "who painted it?", "and when?"],
]


@pytest.mark.parametrize("questions", NOWHERE, ids=[" / ".join(row) for row in NOWHERE])
async def test_a_follow_up_that_nothing_answers_is_declined_in_plain_words(questions: list[str]) -> None:
    async with Agent("local:braid-mini") as agent:
        result = await agent.run(questions[0])
        for question in questions[1:]:
            result = await agent.run(question, history=result.history)
    assert result.status == "declined"
    assert "token" not in result.answer and "think" not in result.answer


async def test_what_a_follow_up_was_read_as_is_an_event() -> None:
    async with Agent("local:braid-mini") as agent:
        first = await agent.run("How high is K2?")
        second = await agent.run("And Mont Blanc?", history=first.history)
    assert read_as(first) == []
    assert read_as(second) == ["What is the height of Mont Blanc?"]
    assert [m["content"] for m in second.history][2] == "And Mont Blanc?"


@pytest.mark.parametrize("question", ["And Mont Blanc?", "double that", "which of the two is higher?"])
async def test_a_compact_planner_is_not_asked_what_cannot_be_told(question: str) -> None:
    engine = ScriptedEngine('a = height("K2")\nanswer(a)', details={"prompt_style": "compact"})
    result = await Agent(engine, tools=[height]).run(question)
    assert "I cannot tell" in result.answer and not engine.calls
    assert read_as(result) == []


async def test_a_chat_model_reads_the_conversation_itself() -> None:
    engine = ScriptedEngine(["answer(1)", "answer(2)"])
    agent = Agent(engine, tools=[])
    first = await agent.run("How old is Ada?")
    second = await agent.run("And Ben?", history=first.history)
    assert second.answer == "2" and read_as(second) == []
    assert "And Ben?" in engine.calls[1].prompt


async def test_earlier_values_are_read_by_name() -> None:
    engine = ScriptedEngine(
        [
            'a = height("K2")\nanswer(a)',
            'b = height("Mont Blanc")\nd = calculate(f"{earlier1} - {b}")\nanswer(d)',
            'e = calculate(f"{earlier2} + {earlier1}")\nanswer(e)',
        ]
    )
    agent = Agent(engine, tools=[height])
    first = await agent.run("How tall is K2?")
    second = await agent.run("How much taller is it than the tallest of the Alps?", history=first.history)
    assert second.output == 3805
    assert "`earlier1` = 8611 (How tall is K2?)" in engine.calls[1].prompt
    third = await agent.run("Add the two numbers that you found.", history=second.history)
    assert third.output == 3805 + 8611
    assert third.report().nodes == 2  # the values are no work of this run
    assert (await compare_with_sequential(agent, third)).nodes == 2


async def test_values_that_are_lists_stay_what_they_are() -> None:
    engine = ScriptedEngine(
        ['xs = [height(x) for x in ["K2", "Mont Blanc"]]\nanswer(xs)', "answer(earlier1[1])"]
    )
    agent = Agent(engine, tools=[height])
    first = await agent.run("The heights of both?")
    second = await agent.run("The second number of that list, please.", history=first.history)
    assert second.output == 4806.0


async def test_plain_messages_are_a_history_without_turns() -> None:
    engine = ScriptedEngine(["answer(1)", "answer(2)"])
    agent = Agent(engine, tools=[])
    first = await agent.run("How old is Ada?")
    assert isinstance(first.history, History) and len(first.history.turns) == 1
    second = await agent.run("How old is Ben?", history=list(first.history))
    assert isinstance(second.history, History) and len(second.history.turns) == 1
    assert len(second.history) == 4


async def test_turns_are_in_the_journal_and_resume_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    box = Toolbox()
    async with Agent(ScriptedEngine("x = double(4)\nanswer(x)"), tools=box.tools, journal=file) as agent:
        first = await agent.run("Twice four?")
    hanging = Toolbox(hang="double")
    engine = ScriptedEngine('y = double(1)\nd = calculate(f"{earlier1} + {y}")\nanswer(d)')
    agent = Agent(engine, tools=hanging.tools, journal=file)
    id = await interrupted(agent, hanging.hanging, history=first.history)
    with Journal(file) as journal:
        (turn,) = journal.find(id).spec["turns"]
        assert turn["question"] == "Twice four?" and turn["value"] == 8
    async with Agent(ScriptedEngine([]), tools=Toolbox().tools, journal=file) as again:
        result = await again.resume(id)
    assert result.output == 10


async def test_a_rewritten_run_goes_on_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    asked: list[str] = []
    hanging, let_go = asyncio.Event(), asyncio.Event()

    @tool
    async def search(query: str) -> dict[str, Any]:
        """Look up one fact."""
        asked.append(query)
        if query == "height of Etna":
            hanging.set()
            await let_go.wait()
        name = query.removeprefix("height of ")
        return {"title": name, "attribute": "height", "value": len(name), "unit": "m"}

    compact = {"prompt_style": "compact"}
    engine = ScriptedEngine('a = search("height of K2")\nanswer(a.value)', details=compact)
    async with Agent(engine, tools=[search], journal=file) as agent:
        first = await agent.run("How high is K2?")
        run = asyncio.create_task(agent.run("And Etna?", history=first.history))
        await hanging.wait()
        run.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await run
    let_go.set()
    quiet = ScriptedEngine([], details=compact)
    async with Agent(quiet, tools=[search], journal=file) as again:
        result = await again.resume("last")
    assert result.output["value"] == 4 and not quiet.calls
    assert read_as(result) == ["What is the height of Etna?"]
    assert asked == ["height of K2", "height of Etna", "height of Etna"]


async def test_a_conversation_goes_on_from_the_journal(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    plans = ['a = height("K2")\nanswer(a)', 'b = height("Mont Blanc")\nanswer(b)', "answer(earlier1)"]
    async with Agent(ScriptedEngine(plans), tools=[height], journal=file) as agent:
        first = await agent.run("How tall is K2?")
        second = await agent.run("How tall is the highest of the Alps?", history=first.history)
        assert agent.journal is not None
        again = history_of(agent.journal, "last")
        assert again == second.history and again.turns == second.history.turns
        assert (await agent.run("Which was the first?", history=again)).output == 8611
        only_first = history_of(agent.journal, first.run_id)
        assert [turn.question for turn in only_first.turns] == ["How tall is K2?"]


async def test_a_run_that_is_not_over_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    with Journal(file) as journal:
        with pytest.raises(UnknownRunError):
            history_of(journal, "last")
        box = Toolbox(hang="double")
        agent = Agent(ScriptedEngine("x = double(4)\nanswer(x)"), tools=box.tools, journal=file)
        id = await interrupted(agent, box.hanging)
        with pytest.raises(InvalidHistoryError, match=f"braid resume {id}"):
            history_of(journal, "last")


@tool
async def slow(x: int) -> int:
    """Take a while."""
    await asyncio.sleep(0.2)
    return x


@pytest.mark.parametrize("details", [{}, {"prompt_style": "compact"}], ids=["chat", "compact"])
async def test_words_that_no_plan_takes_up_are_kept(tmp_path: Path, details: dict[str, str]) -> None:
    file = tmp_path / "journal.db"
    # The plan streams on after its answer could be given: words that come meanwhile are not heard.
    engine = ScriptedEngine("answer(1)", chunk="char", delay=0.05, details=details)
    async with Agent(engine, tools=[slow], journal=file) as agent:
        async with agent.stream("One?") as events:
            events.say("said before it began")
            async for envelope in events:
                if isinstance(envelope.event, RoundStarted):
                    events.say("and Mont Blanc?")
        assert events.result.unheard == ("said before it began", "and Mont Blanc?")
        said = [e.event.text for e in events.result.events if isinstance(e.event, PersonSaid)]
        assert said == ["said before it began", "and Mont Blanc?"]
        assert agent.journal is not None
        recorded = recorded_events(agent.journal, agent.journal.find("last"))
    assert [e.event.text for e in recorded if isinstance(e.event, PersonSaid)] == said
    assert isinstance(recorded[0].event, RunStarted)


async def test_words_that_a_plan_takes_up_are_not_answered_again() -> None:
    engine = ScriptedEngine(["x = slow(1)\nanswer(x)", "answer(2)"])
    async with Agent(engine, tools=[slow]) as agent, agent.stream("One?") as events:
        async for envelope in events:
            if isinstance(envelope.event, PlannerFinished) and envelope.event.round == 0:
                events.say("make it two")
    assert "make it two" in engine.calls[1].prompt
    assert events.result.unheard == ()


async def test_words_of_an_interrupted_run_are_heard_when_it_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    box = Toolbox(hang="double")
    agent = Agent(ScriptedEngine("x = double(4)\nanswer(x)", chunk="char"), tools=box.tools, journal=file)
    async with agent, agent.stream("go") as events:
        async for envelope in events:
            if isinstance(envelope.event, RoundStarted):
                events.say("make it eight")
            if isinstance(envelope.event, PlannerFinished) or box.hanging.is_set():
                break
    engine = ScriptedEngine(["x = double(4)\nanswer(x)", "answer(8)"])
    async with Agent(engine, tools=Toolbox().tools, journal=file) as again:
        result = await again.resume("last")
    heard = "make it eight" in "".join(call.prompt for call in engine.calls)
    assert heard or result.unheard == ("make it eight",)
    assert sum(isinstance(e.event, PersonSaid) for e in result.events) == 1
