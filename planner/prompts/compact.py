"""The prompt of the embedded planner model: tool signatures, the question, and the place where the plan begins.

The form is fixed because braid-mini is trained on exactly this text (see `training/`):

    <|tools|>
    search(query: str) -> Fact(title, value, unit, text): look up one fact
    <|question|>
    How tall is K2?
    <|plan|>

The model goes on from there and ends the plan with `STOP`. In a later round the statements that are done stand behind the
plan marker; for a model whose prompt style is `compact-results`, each with its result, and those that failed with the reason:

    <|plan|>
    a = search("height of K2")  # 8611 m
    # b = search("height of K99")  # failed: there is no K99 in the atlas
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from braid.executors.tools import ToolSpec

TOOLS = "<|tools|>"
QUESTION = "<|question|>"
PLAN = "<|plan|>"
STOP = "<|end|>"
"""The token that ends a plan; the end-of-sequence token of the embedded model."""

MAX_DESCRIPTION = 100
"""Characters of a tool's description that reach the prompt."""

MAX_TOOLS = 8
"""Tools that reach the prompt; training never shows the model more."""

_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def compact_signature(spec: ToolSpec) -> str:
    """One line for one tool: `name(parameter: type, ...) -> type: description`.

    Types are rendered from the JSON schemas as Python would write them; a returned record shows its field
    names, because plans read fields (`a.value`).
    """
    definitions = _definitions(spec.parameters)
    properties: Mapping[str, Any] = spec.parameters.get("properties", {})
    required = set(spec.parameters.get("required", ()))
    parameters: list[str] = []
    for name, schema in properties.items():
        parameter = f"{name}: {_type(schema, definitions)}"
        if name not in required:
            parameter += f" = {_default(schema)}"
        parameters.append(parameter)
    signature = f"{spec.name}({', '.join(parameters)})"
    if spec.returns is not None:
        signature += f" -> {_type(spec.returns, _definitions(spec.returns))}"
    description = plain_line(spec.description)
    if len(description) > MAX_DESCRIPTION:
        description = description[:MAX_DESCRIPTION].rsplit(" ", 1)[0]
    description = description.rstrip(". ")
    return f"{signature}: {description}" if description else signature


def compact_prompt(question: str, tools: Sequence[ToolSpec], *, plan_so_far: str = "") -> str:
    """The text that the embedded model continues.

    Args:
        question: the task; line breaks become spaces, and marker look-alikes are defused.
        tools: what the plan may call. Of more than `MAX_TOOLS`, those whose name and description share most
            words with the question are kept, and the given order stays.
        plan_so_far: the statements of earlier rounds (`braid.planner.prompts.history.finished_statements`) and the valid ones of a
            plan that is being repaired; the model goes on behind them.
            A missing line end is added, so that no statement is continued in mid-line.
    """
    lines = [TOOLS, *(compact_signature(spec) for spec in _most_relevant(question, tools))]
    lines += [QUESTION, plain_line(question), PLAN]
    if plan_so_far and not plan_so_far.endswith("\n"):
        plan_so_far += "\n"
    return "\n".join(lines) + "\n" + defuse(plan_so_far)


def plain_line(text: str) -> str:
    """`text` on one line with single spaces, with nothing in it that reads as one of the prompt's markers."""
    return defuse(" ".join(text.split()))


def defuse(text: str) -> str:
    """Break up `<|...|>` so that the tokenizer cannot read data as a control token."""
    return text.replace("<|", "< |").replace("|>", "| >")


def _most_relevant(question: str, tools: Sequence[ToolSpec]) -> Sequence[ToolSpec]:
    if len(tools) <= MAX_TOOLS:
        return tools
    asked = _words(question)
    ranked = sorted(tools, key=lambda spec: -len(asked & _words(f"{spec.name} {spec.description}")))
    kept = {spec.name for spec in ranked[:MAX_TOOLS]}
    return [spec for spec in tools if spec.name in kept]


def _words(text: str) -> set[str]:
    return {word for word in re.split(r"[\W_]+", text.lower()) if len(word) > 3}


def _definitions(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return schema.get("$defs", {})


def _default(schema: Mapping[str, Any]) -> str:
    default = schema.get("default")
    return json.dumps(default) if isinstance(default, str) else repr(default)


def _type(schema: Mapping[str, Any] | bool, definitions: Mapping[str, Any]) -> str:
    if isinstance(schema, bool) or not schema:
        return "Any"
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        target = definitions.get(name)
        # A record inside itself would never end; its name says enough the second time.
        remaining = {key: value for key, value in definitions.items() if key != name}
        return _type({"title": name, **target}, remaining) if target else name
    if "const" in schema:
        return json.dumps(schema["const"]) if isinstance(schema["const"], str) else repr(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(v) if isinstance(v, str) else repr(v) for v in schema["enum"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " | ".join(dict.fromkeys(_type(option, definitions) for option in schema[key]))
    kind: str | list[str] | None = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(dict.fromkeys(_SCALARS.get(one, one) for one in kind))
    if kind == "array":
        return f"list[{_type(schema['items'], definitions)}]" if schema.get("items") else "list"
    if kind == "object":
        return _record(schema, definitions)
    return _SCALARS.get(str(kind), "Any")


def _record(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if properties := schema.get("properties"):
        return f"{schema.get('title', 'Record')}({', '.join(properties)})"
    values: Mapping[str, Any] | bool | None = schema.get("additionalProperties")
    return f"dict[str, {_type(values, definitions)}]" if isinstance(values, Mapping) else "dict"
