"""What a JSON schema says about paths and literals."""

from __future__ import annotations

from typing import Any

from braid.executors.nodes import Const, DictOf, Expr, ListOf
from braid.planner.checker.types import JsonType, Mismatch, NoSuchPart

RECORD: dict[str, Any] = {"type": "object", "title": "R", "properties": {"y": {"type": "string"}}}


def test_a_missing_field_names_the_record_and_not_the_null_beside_it() -> None:
    """The record's reason is the shorter one here."""
    nullable = JsonType.of({"anyOf": [RECORD, {"type": "null"}]})
    assert nullable.step("x", "a") == NoSuchPart("there is no `a.x`", "R has y")
    assert nullable.step("y", "a") == JsonType.of({"type": "string"})


def test_a_step_into_what_is_not_known_is_not_known() -> None:
    assert JsonType.of(None).step("x", "a") == JsonType.of(None)
    either = JsonType.of({"anyOf": [RECORD, {"type": "object", "properties": {"y": {"type": "integer"}}}]})
    assert either.step("y", "a") == JsonType.of(None)


def mismatch(schema: dict[str, Any], literal: Expr) -> Mismatch:
    found = JsonType.of(schema).mismatch(literal)
    assert found is not None
    return found


def test_a_mismatch_says_which_kinds_are_expected() -> None:
    found = mismatch({"type": ["string", "null"]}, Const(3))
    assert (found.reason, found.expected, found.nested) == (
        "expected text or None, got 3",
        ("string", "null"),
        False,
    )
    numbers = {"type": "array", "items": {"type": "number"}}
    found = mismatch(numbers, ListOf((Const(1), Const("x"))))
    assert (found.reason, found.expected, found.nested) == (
        "item 1: expected a number, got 'x'",
        ("number",),
        True,
    )


def test_a_mismatch_of_names_says_what_was_meant() -> None:
    found = mismatch({"enum": ["left", "right"]}, Const("lefft"))
    assert (found.fix, found.expected) == ('did you mean "left"?', ())
    closed = {**RECORD, "additionalProperties": False}
    assert mismatch(closed, DictOf((("z", Const(1)),))).fix == "known: y"
