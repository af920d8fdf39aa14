"""Whole questions answered without a plan: right ones, and those that are left to a planner."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braid.executors.builtin import answer_query


@pytest.mark.parametrize(
    ("question", "answers"),
    [
        ("What's the highest mountain?", ["Mount Everest"]),
        ("Which is the largest country in South America?", ["Brazil"]),
        ("what money do they use in Japan?", ["yen"]),
        ("what is the capital of Peru", ["Lima"]),
        ("Can you tell me the capital of Peru, please?", ["Lima"]),
        ("who first climbed K2", ["Achille Compagnoni and Lino Lacedelli"]),
        ("when was K2 first climbed?", ["1954"]),
        ("Who first climbed K2, and when?", ["Achille Compagnoni and Lino Lacedelli", "1954"]),
        ("how tall is the Eiffel tower", ["330 m"]),
        ("how tall is the Eiffel tower in metres", ["330 m"]),
        ("what languages are spoken in Switzerland", ["German, French, Italian and Romansh"]),
        ("Atomic number and symbol of tungsten?", ["74", "W"]),
        ("At what temperature does mercury boil?", ["356.6 °C"]),
        ("who designed the Sydney Opera House", ["Jørn Utzon"]),
        ("who built the Taj Mahal", ["Shah Jahan"]),
        ("when was the Brooklyn Bridge built", ["1883"]),
        ("who founded Saint Petersburg", ["Peter the Great"]),
        ("which continent is Egypt in", ["Africa"]),
        ("what country is Mount Fuji in", ["Japan"]),
        ("what do pandas eat", ["bamboo"]),
        ("how long do cats live", ["14 years"]),
        ("how long is a day on Mars", ["24.62 hours"]),
        ("who invented the telephone", ["Alexander Graham Bell"]),
        ("where does the Danube end", ["Black Sea"]),
        ("how many countries are in Africa", ["54"]),
        ("how tal is the burj kalifa", ["828 m"]),
    ],
)
def test_questions_that_one_look_up_answers(question: str, answers: list[str]) -> None:
    assert [fact.short_form() for fact in answer_query(question)] == answers


@pytest.mark.parametrize(
    "question",
    [
        "",
        "?",
        "2",
        "hello",
        "What is 2+2?",
        "asdf",
        "K2",
        "how big is it",
        "Is K2 higher than Mont Blanc?",
        "Isn't Sydney the capital of Australia?",
        "Which has more people, Iceland or Malta?",
        "height of K2 minus Everest",
        "population of France and Germany",
        "population of the capital of Peru",
        "how tall is the Eiffel Tower in feet",
        "how old is the Eiffel Tower",
        "how long does a cheetah run",
        "how many steps are there in the Eiffel Tower",
        "who is the president of France",
        "who is the capital of Peru",
        "weather in Paris",
        "price of gold",
        "population of Germany in 1950",
        "smallest lake",
        "tell me a joke about cats",
        "tallest person in the world",
        "how high is the sky",
        "how many languages are spoken in India",
        "how many planets have moons",
        "What area does Kyrgyzstan's continent have",
        "what is the area of the continent of Peru",
        "population of the continent of the United States",
        "how far below the surface does Lake Chad go",
        "how big is the capital of Kenya",
        "how large is the capital of Peru",
        "when was the Eiffel Tower built and how tall is it",
        "how high is K2 and where is it",
    ],
)
def test_everything_else_is_left_to_a_planner(question: str) -> None:
    assert answer_query(question) == ()


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=40)
    | st.lists(
        st.sampled_from(
            [
                "the",
                "of",
                "highest",
                "lakes",
                "how",
                "many",
                "five",
                "K2",
                "Peru",
                "euro",
                "and",
                "when",
                "who",
                "by",
                "in",
                "is",
                "most",
            ]
        ),
        max_size=9,
    ).map(" ".join)
)
def test_any_text_gives_facts_or_nothing(question: str) -> None:
    for fact in answer_query(question):
        assert fact.title and fact.short_form()
