"""Signatures of tools."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, TypeAdapter

from braid.executors.builtin import builtin_tools
from braid.executors.tools import ToolSpec
from braid.planner.language import compact_signature


class Weather(BaseModel):
    sky: str
    degrees: float


def spec(name: str = "tool", *, description: str = "", returns: Any = None, **types: Any) -> ToolSpec:
    properties = {key: TypeAdapter(value).json_schema() for key, value in types.items()}
    return ToolSpec(
        name=name,
        description=description,
        parameters={"type": "object", "properties": properties, "required": list(types)},
        returns=None if returns is None else TypeAdapter(returns).json_schema(),
    )


@pytest.mark.parametrize(
    ("annotation", "rendered"),
    [
        (str, "str"),
        (int, "int"),
        (float, "float"),
        (bool, "bool"),
        (list[str], "list[str]"),
        (list[list[int]], "list[list[int]]"),
        (int | None, "int | None"),
        (Literal["up", "down"], '"up" | "down"'),
        (Literal["one"], '"one"'),
        (dict[str, float], "dict[str, float]"),
        (dict, "dict"),
        (Any, "Any"),
        (Weather, "Weather(sky, degrees)"),
        (list[Weather], "list[Weather]"),
    ],
)
def test_types_are_written_as_python_writes_them(annotation: Any, rendered: str) -> None:
    # A list of records names its item's type through $defs of the schema of the parameter itself.
    signature = compact_signature(spec(x=annotation))
    assert signature.startswith(f"tool(x: {rendered.split('(', maxsplit=1)[0]}")
    if annotation is not list[Weather]:
        assert signature == f"tool(x: {rendered})"


def test_result_description_and_default() -> None:
    tool = ToolSpec(
        name="weather",
        description="The weather.\nOf a city.",
        parameters={
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 3}},
            "required": ["city"],
        },
        returns=Weather.model_json_schema(),
    )
    signature = compact_signature(tool)
    assert signature == "weather(city: str, days: int = 3) -> Weather(sky, degrees): The weather. Of a city"


def test_builtin_signatures_are_one_short_line_each() -> None:
    for tool in builtin_tools():
        signature = compact_signature(tool.spec)
        assert "\n" not in signature
        assert len(signature) < 260, signature


def test_a_record_inside_itself_ends() -> None:
    tree = {
        "$ref": "#/$defs/Tree",
        "$defs": {
            "Tree": {
                "type": "object",
                "title": "Tree",
                "properties": {"left": {"$ref": "#/$defs/Tree"}, "value": {"type": "integer"}},
            }
        },
    }
    tool = ToolSpec(
        name="grow", description="", parameters={"type": "object", "properties": {}}, returns=tree
    )
    assert compact_signature(tool) == "grow() -> Tree(left, value)"
