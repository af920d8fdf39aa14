"""Tools as plans see them in tests. They are typed functions, so their schemas are like users'."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from braid.executors import ToolRegistry, tool


class Fact(BaseModel):
    title: str
    value: float | str
    unit: str | None
    text: str


HEIGHTS = {"K2": 8611, "Mont Blanc": 4806, "Ararat": 5137}


@tool
def search(query: str) -> Fact:
    """Look up one fact."""
    for name, height in HEIGHTS.items():
        if name in query:
            return Fact(title=name, value=height, unit="m", text=f"{name} is {height} m high.")
    raise LookupError(f"nothing is known about {query!r}")


@tool
def calculate(expression: str) -> float:
    """Evaluate a difference."""
    left, _, right = expression.partition(" - ")
    return float(left) - float(right or 0)


@tool
def rank(
    names: list[str], values: list[float], order: Literal["descending", "ascending"] = "descending"
) -> list[str]:
    """Sort names by their values."""
    pairs = sorted(zip(values, names, strict=True), reverse=order == "descending")
    return [name for _, name in pairs]


@tool
def place(
    latitude: float, longitude: float, tags: list[str] | None = None, options: dict[str, int] | None = None
) -> str:
    """Name a place."""
    return f"{latitude} {longitude} {tags} {options}"


@tool
def population(country: str) -> int:
    """How many people live there."""
    return len(country)


def plan_tools() -> ToolRegistry:
    return ToolRegistry([search, calculate, rank, place, population])
