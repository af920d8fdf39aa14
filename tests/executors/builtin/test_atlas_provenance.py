"""Where facts come from: sources, what is unverified, figures that disagree, and how packages are merged."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest

from braid.executors.builtin.atlas import Atlas, Entity, Fact, Source, load_atlas
from braid.executors.builtin.atlas.build import settle
from braid.executors.builtin.atlas.entities import MEMORY
from braid.executors.builtin.atlas.lookup import FactNotFound
from braid.executors.builtin.atlas.vocabulary import fold


def test_every_fact_has_a_source_with_a_licence() -> None:
    atlas = load_atlas()
    for entity in atlas:
        assert set(entity.sources) == set(entity.facts), entity.title
        assert set(entity.sources.values()) <= set(atlas.sources), entity.title
    assert all(source.licence for key, source in atlas.sources.items() if key != MEMORY)


def test_every_row_is_a_sound_entity() -> None:
    for entity in load_atlas():
        assert Entity.model_validate(entity.model_dump()) == entity


def test_lesser_cities_are_filed_under_their_folded_names() -> None:
    lines = files("braid.executors.builtin.atlas").joinpath("cities.tsv").read_text(encoding="utf-8")
    for line in lines.splitlines():
        name, row = line.split("\t")
        assert name == " ".join(fold(json.loads(row)["title"])).removeprefix("the ")


@pytest.mark.parametrize(
    ("query", "verified", "source", "text"),
    [
        ("height of K2", False, "memory", "K2 (mountain): height 8611 m (unverified)"),
        ("currency of Japan", True, "CLDR", "Japan (country): currency yen (CLDR 2025)"),
        ("symbol of gold", True, "mendeleev", "gold (element): symbol Au (mendeleev)"),
        ("time zone of Guadalajara", True, "GeoNames", "time zone America/Mexico_City (GeoNames)"),
    ],
)
def test_a_fact_says_where_it_comes_from(query: str, verified: bool, source: str, text: str) -> None:
    fact = load_atlas().lookup(query)
    assert (fact.verified, fact.source) == (verified, source)
    assert text in fact.text
    assert fact.short_form() in text


def test_a_package_figure_comes_first_and_the_written_one_is_kept() -> None:
    fact = load_atlas().lookup("population of Tokyo")
    assert fact.verified and fact.source == "GeoNames"
    assert fact.disputed == ("14040000 people (unverified)",)
    assert "another figure: 14040000 people (unverified)" in fact.text


def test_both_readings_of_a_height_are_said() -> None:
    text = load_atlas().lookup("how tall is the Empire State Building").text
    assert "roof height 381 m" in text and "tip height 443 m" in text


@pytest.mark.parametrize(
    ("query", "note"),
    [
        ("capital of Georgia", "Georgia (U.S. state)"),
        ("diameter of Mercury", "mercury (element)"),
        ("population of Birmingham", "Birmingham, Alabama"),
        ("length of Mississippi", "Mississippi (US state)"),
    ],
)
def test_a_name_that_others_have_too_is_noted(query: str, note: str) -> None:
    assert f"not to be confused with {note}" in load_atlas().lookup(query).text


@pytest.mark.parametrize(
    ("query", "title", "instead"),
    [
        ("length of Mont Blanc", "Mont Blanc", "Mont Blanc Tunnel"),
        ("how long is Mont Blanc", "Mont Blanc", "Mont Blanc Tunnel"),
        ("floors of Shanghai", "Shanghai", "Shanghai Tower"),
        ("opening year of Panama", "Panama", "Panama Canal"),
    ],
)
def test_a_thing_named_after_another_does_not_answer_for_it(query: str, title: str, instead: str) -> None:
    with pytest.raises(FactNotFound, match=f"there is a .* of {instead}") as caught:
        load_atlas().lookup(query)
    assert caught.value.title == title


def test_facts_of_earlier_journals_still_decode() -> None:
    old = {"title": "K2", "attribute": "height", "value": 8611, "unit": "m", "text": "K2 (mountain): height"}
    fact = Fact.model_validate(old)
    assert (fact.source, fact.year, fact.verified, fact.disputed, fact.entries) == ("", None, False, (), ())
    assert fact.caution() == ""


def test_provenance_is_no_part_of_what_planners_see() -> None:
    assert list(Fact.model_json_schema()["properties"]) == ["title", "attribute", "value", "unit", "text"]


def test_an_atlas_of_ones_own_names_its_sources() -> None:
    peak = Entity(title="Zorak", kind="mountain", facts={"height": (9, "m")}, sources={"height": "survey"})
    fact = Atlas([peak], {"survey": Source(name="Survey", year=2020)}).lookup("height of Zorak")
    assert fact.verified and fact.text == "Zorak (mountain): height 9 m (Survey 2020)"


# The merge.


@pytest.mark.parametrize(
    ("written", "figures", "value", "others"),
    [
        (None, [(5, "a")], [5, "", "a"], None),
        (100, [(104, "a")], [104, "", "a"], None),
        (100, [(150, "a")], [150, "", "a"], [[100, MEMORY]]),
        (100, [(150, "a"), (101, "b")], [101, "", "b"], [[150, "a"]]),
        (100, [(0, "a"), ("", "b")], [0, "", "a"], [[100, MEMORY]]),
        (100, [("", "a")], [100, ""], None),
        ("yen", [("Japanese yen", "a")], ["yen", "", "a"], None),
        ("Astana", [("Almaty", "a")], ["Almaty", "", "a"], [["Astana", MEMORY]]),
    ],
)
def test_packages_come_first_and_nothing_is_lost(
    written: object, figures: list[Any], value: list[object], others: object
) -> None:
    row: dict[str, Any] = {"facts": {} if written is None else {"population": [written, ""]}}
    settle(row, "population", figures)
    assert row["facts"]["population"] == value
    assert row.get("others", {}).get("population") == others
