"""How runs end: answered, declined, partial and failed, and what is said then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from braid.engine import Budget
from braid.engine.scripted import ScriptedEngine
from braid.executors import Tool, tool
from braid.executors.builtin import builtin_tools
from braid.executors.tools import ToolError, ToolTimeoutError, ToolUnavailableError
from braid.orchestrator import Agent, RunFinished, RunResult

COMPACT = {"prompt_style": "compact"}


class NoSuchBook(ToolError):
    failure = "missing"


@tool
async def shelf(title: str) -> int:
    """The shelf of a book."""
    if title != "Emma":
        raise NoSuchBook(f"there is no book {title!r}; near titles: Emma")
    return 7


@tool
async def shelves(total: int) -> int:
    """Count the shelves."""
    raise ToolError("shelves: got 9 names and 7 values")


def mini(*plans: str, tools: list[Tool] | None = None, **options: Any) -> Agent:
    """An agent whose engine writes plans as the embedded model does."""
    engine = ScriptedEngine(list(plans), details=COMPACT)
    return Agent(engine, tools=[shelf, shelves] if tools is None else tools, **options)


def chat(*plans: str, **options: Any) -> Agent:
    return Agent(ScriptedEngine(list(plans)), tools=[shelf, shelves], **options)


def finished(result: RunResult[Any]) -> RunFinished:
    event = result.events[-1].event
    assert isinstance(event, RunFinished)
    return event


async def test_an_answer() -> None:
    result = await chat('a = shelf("Emma")\nanswer(a)').run("Where is Emma?")
    assert (result.status, result.complete, result.stopped, result.hint) == ("answered", True, None, "")
    assert finished(result).status == result.to_dict()["status"] == "answered"


@pytest.mark.parametrize("question", ["Where is Emma?", "Open the door.", "Write a poem.", "Sing!"])
async def test_a_decline_has_the_reason_and_no_answer(question: str) -> None:
    result = await chat(f'decline("no tool can do this: {question}")').run(question)
    assert (result.status, result.complete, result.stopped) == ("declined", False, None)
    assert result.reason == result.answer == f"no tool can do this: {question}"
    assert result.output is None and "--mcp" in result.hint and "\n" not in result.hint
    document = result.to_dict()
    json.dumps(document)
    assert (document["status"], document["answer"], document["partial"]) == ("declined", None, None)
    assert (document["reason"], document["hint"]) == (result.reason, result.hint)
    assert (finished(result).status, finished(result).hint) == ("declined", result.hint)
    assert "declined: no tool" in result.page() and result.hint in result.page()
    assert result.history[-1]["content"] == result.reason


async def test_the_reason_of_a_decline_may_read_results_and_be_conditional() -> None:
    plan = 'a = shelf("Emma")\nif a > 5:\n    decline(f"shelf {a} is closed")\nelse:\n    answer(a)\n'
    result = await chat(plan).run("Where is Emma?")
    assert (result.status, result.reason) == ("declined", "shelf 7 is closed")


async def test_a_decline_ends_the_run() -> None:
    engine = ScriptedEngine(['a = shelf("Ulysses")\nanswer(a)', 'decline("no such book")', "answer(1)"])
    result = await Agent(engine, tools=[shelf], max_rounds=3).run("Where is Ulysses?")
    assert (result.status, result.rounds, result.reason) == ("declined", 2, "no such book")
    assert "another name" in result.hint


async def test_a_run_that_is_stopped_is_partial_with_results_and_failed_without() -> None:
    plan = 'a = shelf("Emma")\nb = shelf("Ulysses")\nanswer(a, b)'
    some = await chat(plan, max_rounds=1).run("Where are they?")
    assert (some.status, some.stopped) == ("partial", "max_rounds")
    assert some.to_dict()["partial"] == some.answer and "7" in some.answer
    none = await chat(plan).run("Where are they?", budget=Budget(calls=1))
    assert (none.status, none.stopped, none.answer) == ("failed", "budget", "")


@pytest.mark.parametrize(
    "refusal",
    [
        "I could not find the shelf of Ulysses.",
        "I could not find the elevation of 2.",
        "I could not find the highest mountain of What.",
        "I have no tool for that.",
    ],
)
async def test_a_fixed_refusal_is_a_decline_in_the_words_of_the_tool(refusal: str) -> None:
    result = await mini('a = shelf("Ulysses")\nanswer(a)', f'answer("{refusal}")').run("Where is Ulysses?")
    assert result.status == "declined"
    assert result.reason == "there is no book 'Ulysses'; near titles: Emma"


@pytest.mark.parametrize("style", ["chat", "compact"])
async def test_only_the_embedded_models_own_refusals_are_read(style: str) -> None:
    said = "I could not find the shelf." if style == "compact" else "I have no tool for that."
    agent = mini(f'answer("{said}")') if style == "compact" else chat(f'answer("{said}")')
    result = await agent.run("Where?")
    assert (result.status, result.answer) == ("answered", said)


async def test_a_refusal_that_blames_what_was_found_is_replaced_by_the_real_error() -> None:
    plans = ('a = shelf("Emma")\nb = shelves(a)\nanswer(b)', 'answer("I could not find the shelf of Emma.")')
    result = await mini(*plans).run("How many shelves?")
    assert (result.status, result.reason) == ("declined", "shelves failed: got 9 names and 7 values")
    assert "--engine" in result.hint


async def test_a_refusal_where_nothing_failed_invents_nothing() -> None:
    nothing = await mini('answer("I could not find the height of hello.")').run("How high is hello?")
    assert nothing.status == "declined" and "hello" not in nothing.reason and "tool" in nothing.reason
    found = await mini('a = shelf("Emma")\nanswer("I could not find the shelf of Emma.")').run("Where?")
    assert found.status == "declined" and "Emma" not in found.reason


@pytest.mark.parametrize(
    "error",
    [
        ToolUnavailableError("the catalogue is closed"),
        ToolTimeoutError("no reply", seconds=3),
        ConnectionError("refused"),
        ZeroDivisionError("division by zero"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("style", ["chat", "compact"])
async def test_a_tool_that_cannot_be_used_is_a_failure_that_names_it(error: Exception, style: str) -> None:
    @tool
    async def catalogue(title: str) -> int:
        """Look a book up."""
        raise error

    plans = ['a = catalogue("Emma")\nanswer(a)', 'answer("I could not find the shelf of Emma.")']
    if style == "chat":
        plans[1] = 'decline("the shelf of Emma is not known")'
    engine = ScriptedEngine(plans, details=COMPACT if style == "compact" else {})
    result = await Agent(engine, tools=[catalogue]).run("Where is Emma?")
    assert (result.status, result.stopped, result.answer) == ("failed", "tools", "")
    assert result.reason.startswith("catalogue failed: ") and str(error) in result.reason


@pytest.mark.parametrize("value", ["300", "-1", "soon", "nan"])
async def test_a_search_that_is_set_up_wrongly_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_SEARCH_LATENCY", value)
    plans = ('a = search("length of Elbe")\nanswer(a)', 'answer("I could not find the length of Elbe.")')
    result = await mini(*plans, tools=builtin_tools()).run("How long is the Elbe?")
    assert result.status == "failed" and "search" in result.reason and "BRAID_SEARCH_LATENCY" in result.reason


async def test_an_atlas_that_lacks_the_name_or_the_fact_says_so() -> None:
    for query, says in (("length of Qqqq", "Qqqq"), ("length of K2", "K2")):
        plans = (f'a = search("{query}")\nanswer(a)', 'answer("I have no tool for that.")')
        result = await mini(*plans, tools=builtin_tools()).run("How long?")
        assert result.status == "declined" and says in result.reason and "another name" in result.hint


@pytest.mark.parametrize("style", ["chat", "compact"])
async def test_a_decline_is_final_and_told_again(style: str, tmp_path: Path) -> None:
    plans = ['a = shelf("Ulysses")\nanswer(a)', 'answer("I could not find the shelf of Ulysses.")']
    make = mini if style == "compact" else chat
    if style == "chat":
        plans[1] = 'decline("it is not here")'
    async with make(*plans, journal=tmp_path / "j.db") as agent:
        first = await agent.run("Where is Ulysses?")
        assert agent.journal is not None and agent.journal.find("last").status == "declined"
    async with make(journal=tmp_path / "j.db") as agent:  # no model is asked
        again = await agent.resume("last")
        assert agent.journal is not None and agent.journal.find("last").status == "declined"
    assert (again.status, again.reason, again.hint) == (first.status, first.reason, first.hint)
    assert again.rounds == first.rounds == 2
    assert [e.event for e in again.events] == [e.event for e in first.events]


async def test_the_kind_of_a_failure_outlives_the_process(tmp_path: Path) -> None:
    @tool
    async def catalogue(title: str) -> int:
        """Look a book up."""
        raise ToolUnavailableError("closed")

    plan = 'a = catalogue("Emma")\nanswer(a)'
    file = tmp_path / "j.db"
    async with mini(plan, tools=[catalogue], journal=file, max_rounds=1) as agent:
        assert (await agent.run("?")).status == "failed"
    async with mini('decline("no")', tools=[catalogue], journal=file) as agent:
        result = await agent.resume("last")
    assert result.graph.entry("a").failure == "outage"


async def test_a_nested_agent_that_declines_is_an_error_of_its_tool() -> None:
    inner = chat('decline("nothing is known about it")')
    helper = inner.as_tool("helper", "Answers.")
    result = await Agent(ScriptedEngine('a = helper("?")\nanswer(a)'), tools=[helper], max_rounds=1).run("?")
    assert result.status == "failed" and "declined: nothing is known about it" in result.reason


def test_events_of_older_journals_have_a_status() -> None:
    old = {"kind": "run.finished", "answer": "1", "rounds": 1, "seconds": 0.1, "reason": ""}
    assert RunFinished.model_validate({**old, "stopped": None}).status == "answered"
    assert RunFinished.model_validate({**old, "stopped": "budget"}).status == "partial"
