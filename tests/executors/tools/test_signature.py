"""What a typed function takes: its schema, and how arguments are coerced or refused."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from braid.executors import ToolContext, tool
from braid.executors.tools import ToolArgumentError, ToolDefinitionError


class Place(BaseModel):
    name: str
    height: float = 0


@dataclass
class Point:
    x: int
    y: int = 0


class Fact(BaseModel):
    value: float | str
    unit: str = ""

    def short_form(self) -> str:
        return f"{self.value} {self.unit}".strip()


def test_schema_and_descriptions() -> None:
    @tool(effect="idempotent", examples=("find('K2')",))
    def find(
        query: str,
        kind: Literal["peak", "lake"] = "peak",
        *,
        near: Place | None = None,
        limit: Annotated[int, Field(ge=1, description="how many")] = 3,
    ) -> list[Place]:
        """Find places
        by name.

        Longer text.

        Args:
            query: what to look for:
                a name
            kind (str): what it is

        Returns:
            limit: not a parameter
        """
        return []

    spec = find.spec
    assert (spec.name, spec.description, spec.effect) == ("find", "Find places by name.", "idempotent")
    assert spec.examples == ("find('K2')",)
    properties = spec.parameters["properties"]
    assert list(properties) == ["query", "kind", "near", "limit"]
    assert properties["query"] == {"type": "string", "description": "what to look for: a name"}
    assert properties["kind"]["enum"] == ["peak", "lake"]
    assert properties["kind"]["description"] == "what it is"
    assert properties["limit"] == {"type": "integer", "minimum": 1, "description": "how many", "default": 3}
    assert properties["near"]["default"] is None
    assert spec.parameters["required"] == ["query"]
    assert spec.parameters["additionalProperties"] is False
    assert spec.returns is not None and spec.returns["type"] == "array"
    assert find("x") == []
    assert "find(query" in repr(find)


def test_hints_as_strings_may_name_local_classes() -> None:
    class Local(BaseModel):
        a: int

    @tool
    def use(value: "Local") -> "Local":
        return value

    assert use.spec.returns is not None and use.spec.returns["title"] == "Local"


def unannotated(a):  # type: ignore[no-untyped-def]
    return a


def variadic(*names: str) -> None: ...


def keywords(**names: str) -> None: ...


def positional(a: str, /) -> None: ...


def callback(a: Callable[[], int]) -> None: ...


def arbitrary(a: threading.Thread) -> None: ...


def unresolved(a: "Nowhere") -> None: ...  # noqa: F821  # pyright: ignore[reportUndefinedVariable]


def late_context(a: int, context: ToolContext[Any]) -> None: ...


def field_default(a: int = Field(default=1)) -> None: ...


def yields(a: int) -> Any:
    yield a


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (unannotated, "'a' has no type annotation"),
        (variadic, r"\*names"),
        (keywords, r"\*\*names"),
        (positional, "positional-only"),
        (callback, "'a' has a type that JSON cannot carry"),
        (arbitrary, "'a' has a type that JSON cannot carry"),
        (unresolved, "Nowhere"),
        (late_context, "must come first"),
        (field_default, "Annotated"),
        (yields, "return a list"),
        (lambda: 1, "Python identifier"),
    ],
)
def test_what_cannot_be_a_tool(function: Callable[..., Any], says: str) -> None:
    with pytest.raises(ToolDefinitionError, match=says):
        tool(function)


@tool
async def take(
    whole: int = 0,
    number: float = 0.0,
    text: str = "",
    flag: bool = False,
    either: float | str = "",
    many: list[float] | None = None,
    table: dict[str, int] | None = None,
    pair: tuple[str, int] | None = None,
    place: Place | None = None,
    point: Point | None = None,
    day: date | None = None,
    anything: Any = None,
) -> dict[str, Any]:
    return {name: value for name, value in locals().items() if value not in (0, "", None, False)}


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"whole": 3.0}, {"whole": 3}),
        ({"number": 3}, {"number": 3.0}),
        ({"number": Fact(value=2.5)}, {"number": 2.5}),
        ({"whole": Fact(value=2.0)}, {"whole": 2}),
        ({"many": [Fact(value=1.5), 2]}, {"many": [1.5, 2.0]}),
        ({"text": Fact(value="Paris")}, {"text": "Paris"}),
        ({"text": Fact(value=8611, unit="m")}, {"text": "8611.0 m"}),
        ({"either": "3"}, {"either": "3"}),
        ({"either": 3}, {"either": 3.0}),
        ({"table": {"a": 1}}, {"table": {"a": 1}}),
        ({"pair": ["a", 1]}, {"pair": ("a", 1)}),
        ({"place": {"name": "K2", "height": 8611}}, {"place": Place(name="K2", height=8611)}),
        ({"place": Place(name="K2")}, {"place": Place(name="K2")}),
        ({"point": {"x": 1}}, {"point": Point(1)}),
        ({"day": "2024-02-29"}, {"day": date(2024, 2, 29)}),
        ({"text": "$1 {x} \n'\"é"}, {"text": "$1 {x} \n'\"é"}),
        ({"anything": {"nested": [1, {"a": ()}]}}, {"anything": {"nested": [1, {"a": ()}]}}),
        ({}, {}),
    ],
)
async def test_coercion(given: dict[str, Any], taken: dict[str, Any]) -> None:
    result = await take.call(given)
    assert result == taken
    assert [type(value) for value in result.values()] == [type(value) for value in taken.values()]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"whole": "3"}, "whole: .*got '3' .text is not read as a number"),
        ({"whole": 3.5}, "whole"),
        ({"whole": True}, "whole"),
        ({"number": "3"}, "number"),
        ({"number": True}, "number"),
        ({"number": None}, "number"),
        ({"number": Fact(value="Paris")}, "number"),
        ({"text": 3}, 'text: .*f"{...}"'),
        ({"flag": 1}, "flag"),
        ({"flag": "yes"}, "flag"),
        ({"many": [1, "x"]}, r"many\.1"),
        ({"many": "12"}, "many"),
        ({"table": {"a": 1.5}}, r"table\.a"),
        ({"place": {}}, "argument 'place.name' is missing"),
        ({"wole": 3}, "unknown argument 'wole'; did you mean 'whole'"),
        ({"zzz": 3}, "it takes whole, number"),
        ({"text": "x" * 10_000, "whole": "y" * 10_000}, r"\.\.\."),
    ],
)
async def test_refusals(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ToolArgumentError, match=says) as caught:
        await take.call(given)
    assert caught.value.tool == "take"
    assert len(str(caught.value)) < 1000
