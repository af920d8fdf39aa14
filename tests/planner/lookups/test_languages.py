"""Questions in other languages: read where every word is known, and declined where not."""

from __future__ import annotations

import pytest

from braid.engine.scripted import ScriptedEngine
from braid.evals.tasks.planning_data import SPLITS, questions
from braid.executors.builtin import builtin_tools
from braid.orchestrator import Agent, RunResult
from braid.planner.lookups import unread


async def asked(question: str) -> RunResult[object]:
    """The small model would answer everything with a wrong number."""
    engine = ScriptedEngine(
        ['a = search("population of Lima")\nanswer(a)\n'], details={"prompt_style": "compact"}
    )
    return await Agent(engine, tools=builtin_tools("search", "calculate", "rank", "now")).run(question)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Wie hoch ist eigentlich die Zugspitze?", "2962 m"),
        ("Wie viele Einwohner hat Deutschland?", "84119100 people"),
        ("Was ist höher, K2 oder der Mont Blanc?", "K2 (K2 8611 m, Mont Blanc 4806 m)"),
        ("Quelle est la capitale de la Mongolie ?", "Ulaanbaatar"),
        ("Quel est le point de fusion de l'or ?", "1064.2 °C"),
        ("Quelle est la plus haute montagne d'Afrique ?", "Mount Kilimanjaro"),
        ("¿Qué río es más largo, el Ebro o el Tajo?", "Tagus (Ebro 930 km, Tagus 1007 km)"),
        ("¿Cuál es la capital de Perú?", "Lima"),
        ("Cuánto mide la Torre Eiffel?", "330 m"),
        ("Quanto è alto il Monte Everest?", "8849 m"),
        ("Qual è la capitale dell'Italia?", "Rome"),
        ("Qual é a moeda do Vietname?", "dong"),
        ("Wat is de hoofdstad van Frankrijk?", "Paris"),
    ],
)
async def test_a_simple_question_in_another_language_is_answered(question: str, answer: str) -> None:
    assert (await asked(question)).answer == answer


@pytest.mark.parametrize(
    "question",
    [
        "Wer hat den Eiffelturm gebaut?",
        "Quel est le prix de l'essence à Paris ?",
        "¿Quién es el presidente de Perú?",
        "Quante lune ha il pianeta Giove?",
        "Quem construiu a Torre Eiffel?",
        "Hoeveel kost een brood in Amsterdam?",
    ],
)
async def test_other_questions_in_another_language_are_declined(question: str) -> None:
    result = await asked(question)
    assert (result.status, result.rounds) == ("declined", 1)
    assert "English" in result.reason


@pytest.mark.parametrize(
    "question",
    [
        "capital of Peru",
        "El Salvador population",
        "population of Las Vegas",
        "Lake Como depth",
        "Rio de Janeiro",
        "Isle of Man area",
        "Was Big Ben built in 1859?",
        "how high is Pico de Orizaba",
    ],
)
def test_names_make_no_question_foreign(question: str) -> None:
    assert unread(question) == ""


def test_no_question_of_the_benchmark_is_taken_for_another_language() -> None:
    assert not [row.question for split in SPLITS for row in questions(split) if unread(row.question)]
