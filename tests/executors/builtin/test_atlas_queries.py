"""Queries over a whole kind: the highest, the five largest, how many, which. And what is refused."""

from __future__ import annotations

import pytest

from braid.executors.builtin.atlas import Atlas, Entity, ask, load_atlas
from braid.executors.builtin.atlas.lookup import EntityNotFound
from braid.executors.builtin.atlas.queries import UnknowableError
from braid.executors.builtin.search import search


@pytest.mark.parametrize(
    ("query", "title", "attribute", "value"),
    [
        ("highest mountain", "Mount Everest", "height", 8849),
        ("What's the highest mountain?", "Mount Everest", "height", 8849),
        ("height of highest mountain", "Mount Everest", "height", 8849),
        ("location of the highest mountain", "Mount Everest", "location", "Nepal and China"),
        ("second highest mountain", "K2", "height", 8611),
        ("longest river in Africa", "Nile", "length", 6650),
        ("smallest planet", "Mercury", "diameter", 4879),
        ("which planet has the most moons", "Saturn", "moons", 274),
        ("which planet is closest to the sun", "Mercury", "distance from the sun", 57.9),
        ("deepest lake in the world", "Lake Baikal", "depth", 1642),
        ("fastest animal", "peregrine falcon", "top speed", 389),
        ("capital of the largest country in South America", "Brazil", "capital", "Brasília"),
        ("highest mountain in Germany", "Zugspitze", "height", 2962),
        ("largest moon of Saturn", "Titan", "diameter", 5150),
        ("largest state in the US", "Alaska", "area", 1723337),
    ],
)
def test_the_first_of_a_kind(query: str, title: str, attribute: str, value: object) -> None:
    fact = ask(load_atlas(), query)
    assert fact is not None
    assert (fact.title, fact.attribute, fact.value) == (title, attribute, value)


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("largest city in Brazil", "São Paulo"),
        ("largest city in Texas", "Houston"),
        ("most populous country in Africa", "Nigeria"),
        ("largest country in Africa by population", "Nigeria"),
        ("largest country in Africa", "Algeria"),
        ("smallest country in the world", "Vatican City"),
        ("heaviest element", "oganesson"),
    ],
)
def test_package_figures_rank(query: str, title: str) -> None:
    fact = ask(load_atlas(), query)
    assert fact is not None and fact.title == title


def test_the_text_says_of_how_many() -> None:
    fact = ask(load_atlas(), "smallest planet")
    assert fact is not None and fact.text.endswith("smallest of the 8 planets in the atlas")


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("the five largest countries by area", ["Russia", "Canada", "United States", "China", "Brazil"]),
        ("name the 5 largest countries", ["Russia", "Canada", "United States", "China", "Brazil"]),
        ("the 3 highest mountains in Asia", ["Mount Everest", "K2", "Kangchenjunga"]),
        ("What are the two deepest lakes on earth?", ["Lake Baikal", "Lake Tanganyika"]),
        ("top 3 longest rivers", ["Nile", "Amazon River", "Yangtze River"]),
    ],
)
def test_the_first_n_are_a_numbered_list(query: str, titles: list[str]) -> None:
    fact = ask(load_atlas(), query)
    assert fact is not None and isinstance(fact.value, str)
    assert [title for title, _, _ in fact.entries] == titles
    assert fact.value.startswith(f"1. {titles[0]} (") and f", {len(titles)}. {titles[-1]} (" in fact.value


@pytest.mark.parametrize(
    ("query", "some", "others"),
    [
        ("countries that use the euro", {"France", "Austria"}, {"Poland", "Switzerland"}),
        ("countries where Spanish is spoken", {"Spain", "Peru"}, {"Brazil"}),
        ("which countries border Switzerland", {"France", "Liechtenstein"}, {"Spain"}),
        ("countries in South America", {"Peru", "Chile"}, {"Mexico"}),
        ("list all planets", {"Earth", "Mars"}, {"Pluto"}),
    ],
)
def test_which_ones(query: str, some: set[str], others: set[str]) -> None:
    fact = ask(load_atlas(), query)
    assert fact is not None
    titles = {title for title, _, _ in fact.entries}
    assert some <= titles and not others & titles


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("how many countries are in Africa", 54),
        ("how many countries are there in South America?", 12),
        ("how many planets are there", 8),
        ("number of US states", 50),
    ],
)
def test_how_many(query: str, count: int) -> None:
    fact = ask(load_atlas(), query)
    assert fact is not None and fact.value == count == len(fact.entries)


@pytest.mark.parametrize(
    "query",
    [
        "smallest lake",
        "shortest river",
        "longest river in Germany",
        "lowest mountain in Africa",
        "slowest animal",
    ],
)
def test_what_well_known_entries_cannot_tell_is_refused(query: str) -> None:
    with pytest.raises(UnknowableError, match="only well-known"):
        ask(load_atlas(), query)


@pytest.mark.parametrize(
    "query",
    [
        "hello",
        "five",
        "country",
        "Which country is K2 in",
        "how many moons does Jupiter have",
        "Which continent is Egypt in",
        "largest company in Germany",
        "highest mountain that sings",
        "oldest country",
        "population of the capital of Peru",
        "",
    ],
)
def test_other_questions_are_none_of_these(query: str) -> None:
    assert ask(load_atlas(), query) is None


def test_a_winner_by_one_figure_only_says_so() -> None:
    fact = ask(load_atlas(), "most populous country", name=True)
    assert fact is not None
    assert fact.value == "China or India"
    assert "by other figures India is first" in fact.text


def test_things_on_other_planets_do_not_count() -> None:
    fact = ask(load_atlas(), "highest volcano")
    assert fact is not None and fact.title != "Olympus Mons"


def test_an_atlas_without_such_a_kind_has_no_answer() -> None:
    own = Atlas([Entity(title="Zorak Peak", kind="mountain", facts={"height": (1234, "m")})])
    assert ask(own, "longest river") is None
    fact = ask(own, "highest mountain")
    assert fact is not None and fact.title == "Zorak Peak"


async def test_the_tool_answers_queries_and_look_ups() -> None:
    assert (await search.call({"query": "highest mountain in Africa"})).title == "Mount Kilimanjaro"
    assert (await search.call({"query": "height of K2"})).value == 8611
    with pytest.raises(EntityNotFound):
        await search.call({"query": "most expensive mountain"})
