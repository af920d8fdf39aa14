"""The rules by which calls are compared with the expected ones."""

from __future__ import annotations

from typing import Any

import pytest

from braid.evals.tasks.bfcl_rules import are_expected, value_fits

TEXT = {"type": "string"}
NUMBER = {"type": "float"}
NUMBERS = {"type": "array", "items": NUMBER}
PAIR = {"type": "dict"}
PAIRS = {"type": "array", "items": PAIR}


@pytest.mark.parametrize(
    ("value", "allowed", "schema", "fits"),
    [
        ("new york, n.y.", ["New York, NY"], TEXT, True),
        ("o'hare_field", ['O"Hare Field'], TEXT, True),
        ("New York!", ["New York"], TEXT, False),
        ("", ["metric", ""], TEXT, True),
        (5, [5.0], NUMBER, True),
        (5.0, [5], {"type": "integer"}, False),
        (5.0, [5.0], {"type": "integer"}, True),
        (5, [5], {"type": "integer"}, True),
        (True, [1], {"type": "integer"}, False),
        ("5", [5], {"type": "integer"}, False),
        (1, [True], {"type": "boolean"}, False),
        (True, [True, ""], {"type": "boolean"}, True),
        ("x", ["x"], {"type": "integer"}, True),  # what is allowed has another type
        ("X", ["x"], {"type": "integer"}, False),  # and is compared as it is
        (None, ["", None], {"type": "integer"}, True),
        ("free", ["Free"], {"type": "any"}, True),
        ([1.0, 2.5], [[1.0, 2.5]], NUMBERS, True),
        ([2.5, 1.0], [[1.0, 2.5]], NUMBERS, False),
        ([1, 2.5], [[1.0, 2.5]], NUMBERS, False),
        ([1, 2], [[1, 2]], NUMBERS, True),
        ([], [[1.0], ""], NUMBERS, True),
        ([], [[1.0]], NUMBERS, False),
        (["A b"], [["x"], ["ab"]], {"type": "tuple", "items": TEXT}, True),
        ({"size": "XL"}, [{"size": ["xl"], "color": ["red", ""]}], PAIR, True),
        ({"size": "XL"}, [{"size": ["xl"], "color": ["red"]}], PAIR, False),
        ({"size": "XL", "fit": 1}, ["", {"size": ["xl"]}], PAIR, False),
        ([{"a": 1}, {"a": 2}], [[{"a": [1]}, {"a": [2, 3]}]], PAIRS, True),
        ([{"a": 2}, {"a": 1}], [[{"a": [1]}, {"a": [2, 3]}]], PAIRS, False),
        ([{"a": 1}], [[{"a": [1]}, {"a": [2]}]], PAIRS, False),
    ],
)
def test_a_value_has_the_type_and_one_of_the_allowed_values(
    value: Any, allowed: list[Any], schema: dict[str, Any], fits: bool
) -> None:
    assert value_fits(value, allowed, schema) is fits


PARAMETERS = {
    "play": {
        "type": "dict",
        "properties": {"artist": TEXT, "minutes": {"type": "integer"}, "loud": {"type": "boolean"}},
        "required": ["artist"],
    },
    "stop": {"type": "dict", "properties": {}},
}
EXPECTED: list[tuple[str, dict[str, Any]]] = [
    ("play", {"artist": ["Abba"], "minutes": [20], "loud": [True, ""]}),
    ("play", {"artist": ["Queen"], "minutes": [15], "loud": [False, ""]}),
    ("stop", {}),
]
ABBA = ("play", {"artist": "abba", "minutes": 20})
QUEEN = ("play", {"artist": "Queen", "minutes": 15, "loud": False})
STOP: tuple[str, dict[str, Any]] = ("stop", {})


@pytest.mark.parametrize(
    ("calls", "right"),
    [
        ([ABBA, QUEEN, STOP], True),
        ([STOP, QUEEN, ABBA], True),
        ([ABBA, QUEEN], False),
        ([ABBA, QUEEN, STOP, STOP], False),
        ([ABBA, ABBA, STOP], False),
        ([ABBA, ("play", {"artist": "Queen"}), STOP], False),  # minutes may not be left out
        ([ABBA, ("play", {"minutes": 15}), STOP], False),
        ([ABBA, ("play", {**QUEEN[1], "loud": True}), STOP], False),
        ([ABBA, ("play", {**QUEEN[1], "where": "here"}), STOP], False),
        ([ABBA, QUEEN, ("halt", {})], False),
    ],
)
def test_calls_are_a_set_of_which_none_is_missing_and_none_is_too_much(
    calls: list[tuple[str, dict[str, Any]]], right: bool
) -> None:
    assert are_expected(calls, EXPECTED, PARAMETERS) is right
