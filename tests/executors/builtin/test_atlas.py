"""The offline atlas: its data are sound, and a query in plain words finds the right fact or says why not."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from braid.executors.builtin.atlas import Atlas, Entity, Fact, load_atlas
from braid.executors.builtin.atlas.lookup import (
    MAX_QUERY,
    AtlasError,
    EntityNotFound,
    FactNotFound,
    QueryError,
)
from braid.executors.builtin.atlas.vocabulary import KIND_WORDS, PHRASES, fold
from braid.executors.builtin.search import Latency, search
from braid.executors.tools import ToolError

UNITS: dict[str, set[str]] = {
    "height": {"m"}, "elevation": {"m"}, "depth": {"m"},
    "average depth": {"m"}, "longest span": {"m"}, "wingspan": {"m"},
    "length": {"m", "km"}, "diameter": {"km"}, "area": {"km2"},
    "population": {"people"}, "top speed": {"km/h"},
    "weight": {"kg"}, "mass": {"kg"}, "lifespan": {"years"}, "floors": {"floors"}, "orbital period": {"days"},
    "distance from the sun": {"million km"}, "distance from Earth": {"light-years"},
    "surface gravity": {"m/s2"},
    "roof height": {"m"}, "tip height": {"m"}, "day length": {"hours", "days"}, "atomic mass": {"u"},
    "melting point": {"°C"}, "boiling point": {"°C"}, "surface temperature": {"°C"}, "density": {"g/cm3"},
}  # fmt: skip
"""Attributes with a unit. All others have none."""

BESIDES_CITIES = frozenset(KIND_WORDS) - {"city"}

KILOMETRES = {"river", "tunnel", "canal", "wall", "canyon", "cave"}

PLAUSIBLE: dict[tuple[str, str], tuple[float, float]] = {
    ("mountain", "height"): (300, 8850), ("volcano", "height"): (500, 22000),
    ("ocean trench", "depth"): (5000, 11050),
    ("ocean", "area"): (1e7, 2e8), ("ocean", "depth"): (5000, 11050),
    ("sea", "area"): (500, 5e6), ("sea", "depth"): (80, 9200),
    ("lake", "depth"): (5, 1700), ("lake", "area"): (10, 4e5),
    ("river", "length"): (200, 6700), ("desert", "area"): (1e4, 1.5e7),
    ("forest", "area"): (1, 2e7), ("island", "area"): (100, 2.2e6), ("country", "population"): (500, 1.5e9),
    ("country", "area"): (0.4, 1.8e7), ("continent", "area"): (8e6, 4.5e7),
    ("US state", "population"): (5e5, 4e7),
    ("US state", "area"): (3900, 1.8e6), ("city", "population"): (1, 3.3e7),
    ("city", "elevation"): (-30, 4200),
    ("building", "height"): (20, 830), ("tower", "height"): (100, 650), ("statue", "height"): (1, 190),
    ("bridge", "length"): (40, 170000), ("tunnel", "length"): (0.3, 60), ("canal", "length"): (6, 1800),
    ("waterfall", "height"): (20, 1000), ("canyon", "depth"): (500, 6100), ("cave", "length"): (20, 700),
    ("animal", "top speed"): (0.01, 400), ("animal", "weight"): (0.0001, 150000),
    ("animal", "lifespan"): (0.1, 300),
    ("animal", "length"): (0.01, 30), ("planet", "diameter"): (4000, 150000),
    ("moon", "diameter"): (10, 5300),
    ("planet", "distance from the sun"): (50, 5000), ("element", "atomic number"): (1, 118),
    ("element", "melting point"): (-273, 3600), ("aircraft", "top speed"): (40, 7300),
    ("ship", "length"): (60, 400),
    ("train", "top speed"): (100, 450),
}  # fmt: skip


def atlas_file(name: str) -> list[str]:
    return files("braid.executors.builtin.atlas").joinpath(name).read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return load_atlas()


# The data.


def test_there_is_enough_of_every_kind(atlas: Atlas) -> None:
    kinds = Counter(entity.kind for entity in atlas)
    assert len(atlas) >= 450
    at_least = {
        "mountain": 60, "ocean trench": 12, "lake": 30, "river": 45,
        "desert": 15, "island": 25, "country": 100,
        "US state": 50, "city": 90, "statue": 12, "animal": 45, "planet": 8,
    }  # fmt: skip
    assert {kind: kinds[kind] for kind, count in at_least.items() if kinds[kind] < count} == {}
    assert kinds["building"] + kinds["tower"] >= 25
    assert set(kinds) == set(KIND_WORDS)


def test_every_unit_is_the_canonical_one(atlas: Atlas) -> None:
    for entity in atlas:
        for attribute, (value, unit) in entity.facts.items():
            assert unit in UNITS.get(attribute, {""}), (entity.title, attribute, unit)
            if unit:
                assert isinstance(value, int | float), (entity.title, attribute, value)
            if attribute == "length":
                assert unit == ("km" if entity.kind in KILOMETRES else "m"), entity.title


def test_numbers_are_plausible(atlas: Atlas) -> None:
    for entity in atlas:
        for attribute, (value, _) in entity.facts.items():
            if bounds := PLAUSIBLE.get((entity.kind, attribute)):
                assert isinstance(value, int | float)
                assert bounds[0] <= value <= bounds[1], (entity.title, attribute, value)
            if attribute.endswith("year") or attribute in ("first ascent", "first flight", "last eruption"):
                assert isinstance(value, int) and -3000 < value < 2030, (entity.title, attribute, value)


def test_names_are_unique_after_folding(atlas: Atlas) -> None:
    names = Counter(fold(name) for entity in atlas for name in (entity.title, *entity.aliases))
    assert [name for name, count in names.items() if count > 1] == []
    assert all(atlas.get(name) is entity for entity in atlas for name in (entity.title, *entity.aliases))


def test_what_a_fact_names_can_be_looked_up_itself(atlas: Atlas) -> None:
    titles = {name for entity in atlas for name in (entity.title, *entity.aliases)}
    for entity in atlas:
        for attribute in ("capital", "country", "city", "state", "planet"):
            if attribute in entity.facts:
                assert entity.facts[attribute][0] in titles, (entity.title, attribute)
        if entity.kind in ("country", "US state"):
            assert "capital" in entity.facts, entity.title


def test_the_file_is_one_plain_object_a_line() -> None:
    header, *lines = atlas_file("atlas.jsonl")
    assert list(json.loads(header)) == ["sources"]
    fields = ["title", "kind", "aliases", "facts", "others", "namesakes"]
    for row in [json.loads(line) for line in lines]:
        assert list(row) == [name for name in fields if name in row], row["title"]


def test_a_damaged_row_is_refused() -> None:
    with pytest.raises(ValidationError):
        Entity.model_validate({"title": "K2", "kind": "mountain", "facts": {}})


def test_every_attribute_has_words_that_ask_for_it(atlas: Atlas) -> None:
    asked = {attribute for phrase in PHRASES.values() for attribute in phrase.attributes}
    assert {attribute for entity in atlas for attribute in entity.facts} <= asked


# Look-ups.


@pytest.mark.parametrize("shape", ["{a} of {n}", "{n} {a}", "{n}'s {a}", "What is the {a} of the {n}?"])
def test_every_fact_is_found_by_every_name(atlas: Atlas, shape: str) -> None:
    missed: list[str] = []
    lesser = [entity for entity in atlas if entity.kind == "city" and "elevation" not in entity.facts]
    for entity in {e.title: e for e in (*atlas.of_kind(BESIDES_CITIES), *lesser[::40])}.values():
        for name in (entity.title, *entity.aliases):
            for attribute in entity.facts:
                query = shape.format(a=attribute, n=name)
                try:
                    fact = atlas.lookup(query)
                except AtlasError:
                    missed.append(query)
                    continue
                if (fact.title, fact.attribute) != (entity.title, attribute):
                    missed.append(query)
    # "Earth's Moon" is the name of another entry.
    assert set(missed) <= {"Earth moons", "Earth's moons"}, missed


@pytest.mark.parametrize(
    ("query", "title", "attribute"),
    [
        ("how tall is K2", "K2", "height"),
        ("HEIGHT OF k2", "K2", "height"),
        ("elevation of Mt. Everest", "Mount Everest", "height"),
        ("height of Everest above sea level in metres", "Mount Everest", "height"),
        ("How fast can a cheetah run?", "cheetah", "top speed"),
        ("maximum flight velocity of peregrine falcon", "peregrine falcon", "top speed"),
        ("gazelles' top speed", "gazelle", "top speed"),
        ("how deep is the Mariana Trench", "Mariana Trench", "depth"),
        ("depth of the Java Trench", "Sunda Trench", "depth"),
        ("how big is the Sahara", "Sahara Desert", "area"),
        ("how many people live in Paris?", "Paris", "population"),
        ("Paris, France population", "Paris", "population"),
        ("population of Cote d'Ivoire", "Ivory Coast", "population"),
        ("population of São Paulo", "São Paulo", "population"),
        ("population of Sao Paulo", "São Paulo", "population"),
        ("population size of Germany", "Germany", "population"),
        ("the USA's population in 2023", "United States", "population"),
        ("U.S. population", "United States", "population"),
        ("how far is Mars from the Sun", "Mars", "distance from the sun"),
        ("diameter of the sun", "Sun", "diameter"),
        ("how many moons does Saturn have", "Saturn", "moons"),
        ("moons of Earth", "Earth", "moons"),
        ("diameter of the moon Titan", "Titan", "diameter"),
        ("population of the capital Lima", "Lima", "population"),
        ("what language is spoken in Brazil", "Brazil", "official language"),
        ("where is K2", "K2", "location"),
        ("area of Long Island", "Long Island", "area"),
        ("height of the Statue of Liberty", "Statue of Liberty", "height"),
    ],
)
def test_queries_as_people_write_them(atlas: Atlas, query: str, title: str, attribute: str) -> None:
    fact = atlas.lookup(query)
    assert (fact.title, fact.attribute) == (title, attribute)


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("Congo River", "Congo River"),
        ("Congo Forest", "Congo Rainforest"),
        ("Amazon River", "Amazon River"),
        ("Amazon Rainforest", "Amazon Rainforest"),
        ("area of Amazon", "Amazon Rainforest"),
        ("length of Amazon", "Amazon River"),
        ("capital of Georgia", "Georgia"),
        ("admission year of Georgia", "Georgia (U.S. state)"),
        ("capital of Georgia, USA", "Georgia (U.S. state)"),
        ("length of Mississippi", "Mississippi River"),
        ("population of Mississippi", "Mississippi"),
        ("capital of New York", "New York (state)"),
        ("population of New York", "New York City"),
        ("diameter of Mercury", "Mercury"),
        ("melting point of mercury", "mercury (element)"),
        ("area of Japan", "Japan"),
        ("area of the Sea of Japan", "Sea of Japan"),
        ("depth of Victoria", "Lake Victoria"),
        ("height of Victoria", "Victoria Falls"),
    ],
)
def test_names_that_resemble_each_other_are_told_apart(atlas: Atlas, query: str, title: str) -> None:
    assert atlas.lookup(query).title == title


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("height of Mount Everset", "Mount Everest"),
        ("hieght of Kilimanjero", "Mount Kilimanjaro"),
        ("Lake Baikel", "Lake Baikal"),
        ("Kili manjaro", "Mount Kilimanjaro"),
        ("top speed of the SR71 Blackbird", "Lockheed SR-71 Blackbird"),
    ],
)
def test_light_misspellings_are_forgiven(atlas: Atlas, query: str, title: str) -> None:
    assert atlas.lookup(query).title == title


def test_a_name_alone_gives_the_main_fact_with_the_others_in_its_text(atlas: Atlas) -> None:
    fact = atlas.lookup("Lake Baikal")
    assert (fact.attribute, fact.value, fact.unit) == ("depth", 1642, "m")
    known = "depth 1642 m; area 31722 km2; location Russia; continent Asia"
    assert fact.text == f"Lake Baikal (lake): {known} (all unverified)"
    assert atlas.lookup("area of Lake Baikal").text == "Lake Baikal (lake): area 31722 km2 (unverified)"


def test_the_short_form_reads_back_as_number_and_unit(atlas: Atlas) -> None:
    assert atlas.lookup("height of K2").short_form() == "8611 m"
    assert atlas.lookup("capital of Peru").short_form() == "Lima"
    assert atlas.lookup("atomic number of gold").short_form() == "79"


def test_the_value_of_one_look_up_serves_the_next(atlas: Atlas) -> None:
    for entity in atlas:
        if entity.kind not in ("country", "US state"):
            continue
        capital = atlas.lookup(f"capital of {entity.title}").short_form()
        found = atlas.lookup(f"population of {capital}")
        assert found.title == capital and isinstance(found.value, int)


def test_facts_are_frozen_and_survive_json(atlas: Atlas) -> None:
    fact = atlas.lookup("weight of a cheetah")
    assert Fact.model_validate_json(fact.model_dump_json()) == fact
    assert isinstance(fact.value, int)
    with pytest.raises(ValidationError):
        fact.value = 1


# Misses.


def test_a_fact_that_is_not_there_names_those_that_are(atlas: Atlas) -> None:
    with pytest.raises(FactNotFound, match=r"no depth of K2 .*height, location") as caught:
        atlas.lookup("depth of K2")
    assert caught.value.known[0] == "height"
    assert caught.value.asked == "depth"


@pytest.mark.parametrize(
    ("query", "suggestion"),
    [
        ("height of Tokyo Zorak Tower", "Tokyo Tower"),
        ("weight of tiger beetle", "tiger"),
        ("population of Paris, Texas", "Paris"),
        ("highest volcano in Africa", "Africa"),
        ("height of Khalifa", "Burj Khalifa"),
        ("hue of peregrine falcon", "peregrine falcon"),
    ],
)
def test_a_miss_suggests_near_titles(atlas: Atlas, query: str, suggestion: str) -> None:
    with pytest.raises(EntityNotFound, match="near titles") as caught:
        atlas.lookup(query)
    assert suggestion in caught.value.suggestions
    assert len(caught.value.suggestions) <= 5


def test_a_name_that_fits_several_entries_is_not_guessed(atlas: Atlas) -> None:
    with pytest.raises(EntityNotFound, match="several") as caught:
        atlas.lookup("population of Congo")
    assert set(caught.value.suggestions) == {"Democratic Republic of the Congo", "Republic of the Congo"}


def test_invented_names_find_nothing(atlas: Atlas) -> None:
    syllables = [
        onset + vowel
        for onset in ("b", "f", "h", "j", "k", "m", "p", "thr", "w", "x", "z")
        for vowel in "aeiou"
    ]
    shapes = ("{}", "Mount {}", "Lake {}", "{} River", "{} Tower", "{} Falls", "{} Desert")
    rng = random.Random(7)
    for _ in range(100):
        name = "".join(rng.choices(syllables, k=4)).title()
        with pytest.raises(EntityNotFound):
            atlas.lookup(f"height of {rng.choice(shapes).format(name)}")


@pytest.mark.parametrize("query", ["", "   ", "?!", "\x00", "x" * (MAX_QUERY + 1), "K2 " * 10_000])
def test_empty_and_huge_queries_are_refused(atlas: Atlas, query: str) -> None:
    with pytest.raises(QueryError) as caught:
        atlas.lookup(query)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("query", ["population and area of France", "population of the capital of Peru"])
def test_two_facts_at_once_are_refused(atlas: Atlas, query: str) -> None:
    with pytest.raises(QueryError, match="one fact at a time"):
        atlas.lookup(query)


WORDS = [
    "the",
    "of",
    "K2",
    "height",
    "Congo",
    "River",
    "area",
    "Tower",
    "moon",
    "capital",
    "Nile",
    "how's",
    "Mt.",
]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_any_text_gives_a_fact_or_a_typed_error(query: str) -> None:
    try:
        fact = load_atlas().lookup(query)
    except AtlasError as error:
        assert isinstance(error, ToolError) and str(error)
    else:
        assert load_atlas().get(fact.title) is not None


def test_an_atlas_of_ones_own() -> None:
    own = Atlas([Entity(title="Zorak Peak", kind="mountain", facts={"height": (1234.5, "m")})])
    assert own.lookup("how high is Zorak Peak").short_form() == "1234.5 m"
    with pytest.raises(EntityNotFound):
        own.lookup("height of K2")
    with pytest.raises(EntityNotFound):
        Atlas([]).lookup("height of K2")


# The tool.


async def test_search_is_a_pure_tool_that_returns_a_fact() -> None:
    assert search.spec.name == "search"
    assert search.spec.effect == "pure"
    assert search.spec.description.startswith("Look up one fact about a place, building, animal or planet")
    assert list(search.spec.parameters["properties"]) == ["query"]
    assert search.spec.returns is not None and {"title", "value", "unit", "text"} <= set(
        search.spec.returns["properties"]
    )
    fact = await search.call({"query": "height of K2"})
    assert isinstance(fact, Fact) and fact.value == 8611


async def test_search_passes_the_atlas_errors_on() -> None:
    with pytest.raises(EntityNotFound):
        await search.call({"query": "height of Zorakthor"})


async def test_latency_is_waited_without_blocking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_SEARCH_LATENCY", "30")
    async with asyncio.TaskGroup() as group:
        pending = group.create_task(search.call({"query": "K2"}))
        await asyncio.sleep(0.01)
        assert not pending.done()
        pending.cancel()


def test_latency_is_drawn_from_seed_and_query(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Latency().of("K2") == 0
    assert Latency(median=0.5).of("K2") == Latency(median=0.5).of("Mont Blanc") == 0.5
    monkeypatch.setenv("BRAID_SEARCH_LATENCY", "0.5")
    monkeypatch.setenv("BRAID_SEARCH_JITTER", "0.4")
    monkeypatch.setenv("BRAID_SEARCH_SEED", "demo")
    latency = Latency.from_environment()
    assert latency.of("K2") == latency.of("K2") != latency.of("Mont Blanc")
    waits = sorted(latency.of(str(i)) for i in range(501))
    assert waits[0] > 0
    assert waits[250] == pytest.approx(0.5, rel=0.1)  # pyright: ignore[reportUnknownMemberType]


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "1000"])
async def test_a_latency_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("BRAID_SEARCH_LATENCY", text)
    with pytest.raises(ToolError, match="BRAID_SEARCH_LATENCY"):
        await search.call({"query": "K2"})
