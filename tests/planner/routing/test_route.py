"""The way before the plan, as its callers see it."""

from __future__ import annotations

import json
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from braid.executors.builtin.atlas import load_atlas
from braid.executors.tools import ToolError
from braid.planner.routing import Installation, Surroundings, route
from tests.planner.routing.rows import ABOUT, ARITHMETIC, CONVERSION, DATES, DECLINED, PLANS, TALK

ROWS = Path(__file__).parents[3] / "evals/tasks/planning"


def known_name(text: str) -> bool:
    try:
        load_atlas().lookup(text)
    except ToolError:
        return False
    return True


SMALL = Surroundings(
    now=datetime(2026, 11, 30, 21, 29, tzinfo=ZoneInfo("Europe/Berlin")),
    here=Installation(
        version="9.9.9",
        engine="local:braid-mini",
        model="braid-mini",
        tools=("search", "calculate"),
        facts=True,
    ),
    known_name=known_name,
)


def chat(*tools: str, remote: bool = False) -> Surroundings:
    """The surroundings of a chat model with `tools`."""
    return Surroundings(here=Installation(chat=True, tools=tools, facts=not remote, other_tools=remote))


@pytest.mark.parametrize(
    ("kind", "question", "answer"),
    [
        (kind, *row)
        for kind, rows in (("arithmetic", ARITHMETIC), ("conversion", CONVERSION), ("date", DATES))
        for row in rows.items()
    ],
)
def test_what_code_can_work_out_is_answered_exactly(kind: str, question: str, answer: str) -> None:
    found = route(question, SMALL)
    assert (found.kind, found.answer, found.declined) == (kind, answer, False)


@pytest.mark.parametrize("question", TALK)
def test_small_talk_is_answered_as_such(question: str) -> None:
    found = route(question, SMALL)
    assert found.kind == "small_talk" and found.answer


@pytest.mark.parametrize(("question", "part"), ABOUT.items())
def test_questions_about_braid_are_answered_from_this_installation(question: str, part: str) -> None:
    found = route(question, SMALL)
    assert found.kind in ("about_braid", "small_talk") and part in (found.answer or "")


@pytest.mark.parametrize("question", DECLINED)
def test_what_is_no_question_for_this_engine_is_declined_plainly(question: str) -> None:
    found = route(question, SMALL)
    assert found.declined and found.answer and found.kind != "plan"


@pytest.mark.parametrize("question", PLANS)
def test_what_is_not_wholly_explained_goes_to_the_plan(question: str) -> None:
    found = route(question, SMALL)
    assert found.kind == "plan" and found.answer is None


def test_a_greeting_before_a_question_is_dropped() -> None:
    assert route("Good evening, how tall is K2?", SMALL).question == "how tall is K2?"
    assert route("Thanks! What is the capital of Peru?", SMALL).question == "What is the capital of Peru?"


def test_a_pronoun_may_refer_to_an_earlier_turn() -> None:
    talking = Surroundings(here=SMALL.here, known_name=known_name, conversation=True)
    assert route("how big is it", talking).kind == "plan"


@pytest.mark.parametrize(
    "question",
    ["Write a haiku about rain", 'Translate "good morning" into French', "Explain entropy", "Tell me a joke"],
)
def test_a_chat_model_writes_without_a_plan(question: str) -> None:
    assert route(question, chat("search", "calculate")).kind == "direct"


def test_foreign_tools_may_be_needed_for_what_is_to_be_written() -> None:
    assert route("Write a letter to Anna", chat("contacts", remote=True)).kind == "plan"
    assert route('Translate into French: "good morning"', chat("contacts", remote=True)).kind == "direct"


def test_a_chat_model_without_tools_answers_directly() -> None:
    assert route("Who wrote Faust?", chat()).kind == "direct"
    assert route("What is 2+2?", chat()).kind == "arithmetic"


@pytest.mark.parametrize(
    "around", [SMALL, Surroundings(here=Installation(chat=True, tools=("search",), facts=True))]
)
def test_no_row_of_the_planning_benchmark_is_taken_wrongly(around: Surroundings) -> None:
    taken: dict[str, tuple[str, object, str]] = {}
    for file in sorted(ROWS.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found = route(row["question"], around) if "question" in row else None
            if found is not None and found.kind != "plan":
                taken[row["question"]] = (found.kind, found.value, row["answer"])
    for question, (kind, value, answer) in taken.items():
        if answer != "I have no tool for that.":
            assert kind == "arithmetic", question
            assert float(f"{value:.10g}") == float(answer), question
    assert 5 < len(taken) < 20


_SIGNS = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}


@st.composite
def expressions(draw: st.DrawFn) -> tuple[str, Fraction | None]:
    """An expression in words and signs, and its exact value by Python's own precedence."""
    size = draw(st.integers(2, 5))
    numbers = draw(
        st.lists(st.decimals(0, 5000, places=draw(st.integers(0, 2))), min_size=size, max_size=size)
    )
    signs = draw(st.lists(st.sampled_from(list(_SIGNS)), min_size=size - 1, max_size=size - 1))
    text, python = f"{numbers[0]}", f"Fraction('{numbers[0]}')"
    for sign, number in zip(signs, numbers[1:], strict=True):
        text += f" {_SIGNS[sign] if draw(st.booleans()) else sign} {number}"
        python += f" {sign} Fraction('{number}')"
    try:
        return text, eval(python, {"Fraction": Fraction})
    except ZeroDivisionError:
        return text, None


@given(
    expressions(), st.sampled_from(["what is {}?", "{}", "how much is {}", "calculate {} please", "{} = ?"])
)
@example(("0 - 0 - 10", Fraction(-10)), "what is {}?")
@example(("12 / 3 / 20", Fraction(1, 5)), "{}")
def test_every_sum_is_what_fractions_say(expression: tuple[str, Fraction | None], frame: str) -> None:
    text, exact = expression
    found = route(frame.format(text), SMALL)
    assert found.kind == "arithmetic", text
    if exact is None:
        assert "divided by zero" in (found.answer or "")
    else:
        assert found.value == (exact.numerator if exact.denominator == 1 else float(exact))


@given(st.text(max_size=80))
def test_any_text_has_a_decision(text: str) -> None:
    found = route(text, SMALL)
    assert (found.answer is None) == (found.kind in ("plan", "direct"))


@pytest.mark.parametrize(
    "question",
    [
        "(" * 300 + "1" + ")" * 300,
        "-" * 400 + "1",
        "2^" * 200 + "2",
        "1e999999999 * 2",
        "9" * 900 + "+1",
        "999!!!!",
    ],
)
def test_monstrous_sums_end_soon(question: str) -> None:
    route(question, SMALL)
