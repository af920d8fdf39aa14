"""Worked examples of plans, chosen by the tools at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from braid.executors.tools import ToolSpec
from braid.planner.language import CALCULATE

_YEARS = """\
Task: Is Anna older than Ben, and by how many years?
```
anna = person("Anna")
ben = person("Ben")
years = calculate(f"{anna.age} - {ben.age}")
if anna.age > ben.age:
    answer(f"Yes, by {years} years")
else:
    answer(f"No, {ben.name} is at least as old")
```"""

_LIBRARIES = """\
Task: Who wrote the Arland Chronicle? Either library may know.
```
old = city_library(title="Arland Chronicle")
new = state_library(title="Arland Chronicle")
book = join([old, new], policy="first")
answer(book.author)
```"""

_MUSEUMS = """\
Task: Of the cities in Arland, how many people live in the one with the best museum, and is that museum \
worth a day?
```
cities = list_cities(country="Arland", limit=20)
museums = [best_museum(city, fields=["title", "rating"]) for city in cities]
choice = think("Which of these museums is the best? Give the name of its city only.", given=[cities, museums])
place = city_facts(choice.answer)
worth = think("Is the best of these museums worth a whole day? One sentence.", given=[museums, choice])
answer(f"{place.population:,} people live in {choice.answer}.", worth)
```"""

_WORDS = """\
Task: Say hello in French.
```
answer("Bonjour !")
```"""

_QUERIES = ("query", "question", "q", "text", "topic")
"""Names of parameters that take a question in words."""


def full_examples(tools: Sequence[ToolSpec]) -> list[str]:
    """Examples for a model that reads a long prompt. Their tools are made up."""
    names = {spec.name for spec in tools}
    found = [_YEARS] if CALCULATE in names else []
    found += [_LIBRARIES] if sum(_looks_up(spec) for spec in tools) > 1 else []
    return [*found, _MUSEUMS] if tools else [_WORDS]


def short_examples(tools: Sequence[ToolSpec]) -> list[str]:
    """Examples for a small model. They call the tools at hand."""
    by_name = {spec.name: spec for spec in tools}
    tool = next((spec for spec in tools if _looks_up(spec)), None)
    if tool is None:
        sums = _example("What is 12 times 7?", ["answer(12 * 7)"])
        return [*([sums] if CALCULATE in by_name else []), _WORDS]
    part, unit = _number_of(tool), _has(tool, "unit")

    def look_up(name: str, river: str) -> str:
        parameter = tool.parameters["required"][0]
        return f'{name} = {tool.name}("{f"length of the {river}" if parameter in _QUERIES else river}")'

    shown = f'f"{{a{part}}} {{a.unit}}"' if unit else f"a{part}"
    found = [_example("How long is the Arl?", [look_up("a", "Arl"), f"answer({shown})"])]
    if CALCULATE in by_name:
        shown = 'f"{d} {a.unit}"' if unit else "d"
        lines = [look_up("a", "Arl"), look_up("b", "Bem"), f"d = a{part} - b{part}", f"answer({shown})"]
        found.append(_example("How much longer is the Arl than the Bem?", lines))
    if "rank" in by_name:
        lines = [look_up("a", "Arl"), look_up("b", "Bem")]
        lines += [f'r = rank(["Arl", "Bem"], [a{part}, b{part}])', "answer(r[0])"]
        found.append(_example("Which is longer, the Arl or the Bem?", lines))
    return found


def _example(task: str, lines: Sequence[str]) -> str:
    return "\n".join([f"Task: {task}", "```", *lines, "```"])


def _looks_up(spec: ToolSpec) -> bool:
    """Whether the tool takes one text and changes nothing."""
    required = spec.parameters.get("required", ())
    if spec.effect == "mutating" or spec.name == CALCULATE or len(required) != 1:
        return False
    return spec.parameters.get("properties", {}).get(required[0], {}).get("type") == "string"


def _number_of(spec: ToolSpec) -> str:
    """The path to the number in the tool's result, as a plan writes it."""
    properties: Mapping[str, Any] = (spec.returns or {}).get("properties", {})
    if "value" in properties:
        return ".value"
    numbers = (name for name, schema in properties.items() if schema.get("type") in ("number", "integer"))
    return next((f".{name}" for name in numbers), "")


def _has(spec: ToolSpec, name: str) -> bool:
    return name in (spec.returns or {}).get("properties", {})
