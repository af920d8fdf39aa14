"""Schemas that others wrote: what fits, what does not, and patterns that would never end."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from braid.executors import Tool
from braid.executors.tools import ToolArgumentError, ToolSpec, schema_problem

pytest.importorskip("jsonschema")


def schema_tool(**properties: Any) -> Tool:
    parameters = {"type": "object", "properties": properties}
    return Tool(lambda **_: None, spec=ToolSpec(name="send", description="", parameters=parameters))


ENDLESS: dict[str, tuple[dict[str, Any], Any]] = {
    "pattern": ({"type": "string", "pattern": "(a+)+$"}, "a" * 40 + "!"),
    "alternatives": ({"pattern": r"^(\w|\w\w)*;$"}, "b" * 60),
    "in a list": ({"items": {"pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"}}, ["a" * 60]),
    "names": ({"patternProperties": {"(x+x+)+y": {"type": "number"}}}, {"x" * 40: 1}),
    "other names": (
        {"patternProperties": {"^(a|a)*$": True}, "additionalProperties": False},
        {"a" * 40 + "!": 1},
    ),
    "unevaluated": (
        {"patternProperties": {"^(a|aa)+$": True}, "unevaluatedProperties": False},
        {"a" * 60 + "!": 1},
    ),
    "look-ahead": ({"pattern": "^(?=(a+)+$)"}, "a" * 40 + "!"),
    "branches": (
        {
            "$defs": {str(i): {"anyOf": [{"$ref": f"#/properties/x/$defs/{i + 1}"}] * 2} for i in range(39)}
            | {"39": {"type": "string"}}
        }
        | {"$ref": "#/properties/x/$defs/0"},
        1,
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_no_schema_keeps_the_process(name: str) -> None:
    script = f"""
from tests.executors.tools.test_schema_check import *
schema, value = ENDLESS[{name!r}]
try:
    schema_tool(x=schema).signature.check({{"x": value}})
except ToolArgumentError as error:
    assert len(str(error)) < 1000
"""
    subprocess.run([sys.executable, "-c", script], timeout=30, check=True)


@pytest.mark.parametrize(
    ("schema", "fits", "does_not"),
    [
        ({"pattern": "^a+$"}, "aaa", "aab"),
        ({"pattern": r"\d{2}"}, "in 42 days", "in 4 days"),
        ({"pattern": "^a+$"}, 7, "b"),
        ({"patternProperties": {"^n_": {"type": "number"}}}, {"n_a": 1, "s": "x"}, {"n_a": "1"}),
        ({"patternProperties": {"^n_": True}, "additionalProperties": False}, {"n_a": 1}, {"m": 1}),
        ({"properties": {"a": {}}, "additionalProperties": {"type": "string"}}, {"a": 1, "b": "x"}, {"b": 2}),
        ({"additionalProperties": False}, [1], {"b": 2}),
    ],
)
def test_the_bounded_check_agrees_with_the_standard(schema: dict[str, Any], fits: Any, does_not: Any) -> None:
    assert schema_problem(schema, fits) is None
    assert schema_problem(schema, does_not) is not None
    assert schema_tool(x=schema).signature.check({"x": fits}) == {"x": fits}
    with pytest.raises(ToolArgumentError, match="x"):
        schema_tool(x=schema).signature.check({"x": does_not})
