"""Signatures of tools on one line, as the planner's model and the checker's errors show them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from braid.executors.tools import ToolSpec

MAX_DESCRIPTION = 100
"""Characters of a tool's description that a signature shows."""

_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def compact_signature(spec: ToolSpec) -> str:
    """A tool on one line: `name(parameter: type, ...) -> type: description`.

    Types are written as Python would write them. A record that is returned shows the names of its fields,
    because plans read fields (`a.value`).
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
    description = single_line(spec.description)
    if len(description) > MAX_DESCRIPTION:
        description = description[:MAX_DESCRIPTION].rsplit(" ", 1)[0]
    description = description.rstrip(". ")
    return f"{signature}: {description}" if description else signature


def single_line(text: str) -> str:
    """`text` on one line, with single spaces and without markers."""
    return escape_markers(" ".join(text.split()))


def escape_markers(text: str) -> str:
    """`text` with `<|...|>` broken up, so that the tokenizer cannot read data as a control token."""
    return text.replace("<|", "< |").replace("|>", "| >")


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
        return " | ".join(dict.fromkeys(_SCALARS.get(name, name) for name in kind))
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
