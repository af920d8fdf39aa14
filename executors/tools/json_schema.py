"""Arguments of tools that have a JSON schema and no Python signature, such as those of MCP servers."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import jsonschema
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, to_jsonable_python

from braid.executors.tools.errors import ToolArgumentError, ToolDefinitionError
from braid.executors.tools.schema_check import schema_problem
from braid.executors.tools.signature import Signature
from braid.executors.tools.spec import ToolSpec

_ANY = TypeAdapter(dict[str, Any])
_Validator: Any = jsonschema.Draft202012Validator


class SchemaSignature(Signature):
    """Checks arguments against a JSON schema. Rich values are coerced as for typed functions."""

    def check(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as JSON values that fit the schema.

        Raises:
            ToolArgumentError: An argument does not fit. The message names it.
        """
        accepted: Mapping[str, Any] = self.parameters["properties"]
        try:
            given = {
                name: to_jsonable_python(_plain(value, accepted.get(name))) for name, value in args.items()
            }
        except PydanticSerializationError as error:
            raise ToolArgumentError(f"{self.tool}: {error}", tool=self.tool) from None
        for name in given:
            if accepted and name not in accepted and not self.parameters.get("additionalProperties"):
                near = difflib.get_close_matches(name, accepted, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(accepted)}"
                raise ToolArgumentError(f"{self.tool}: unknown argument {name!r}; {hint}", tool=self.tool)
        try:
            error: Any = schema_problem(self.parameters, given)
        except Exception as broken:  # a schema may refer to what is not there, or be endless
            raise ToolArgumentError(
                f"{self.tool}: its schema cannot be used: {broken!s:.300}", tool=self.tool
            ) from broken
        if error is not None:
            where = error.json_path.removeprefix("$.").removeprefix("$")
            raise ToolArgumentError(
                f"{self.tool}: {f'{where}: ' if where else ''}{error.message:.500}", tool=self.tool
            )
        return given


def schema_signature(spec: ToolSpec) -> SchemaSignature:
    """The signature of a tool whose arguments are described by the JSON schema of `spec`.

    Raises:
        ToolDefinitionError: The schema is invalid, or describes something else than an object.
    """
    tool = spec.name
    schema: dict[str, Any] = {"type": "object", "properties": {}, **spec.parameters}
    try:
        _Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ToolDefinitionError(
            f"tool {tool!r}: its input schema is not valid: {error.message}", tool=tool
        ) from None
    if schema["type"] != "object":
        raise ToolDefinitionError(
            f"tool {tool!r}: its input schema describes a {schema['type']}, not an object", tool=tool
        )
    return SchemaSignature(
        tool=tool,
        description=spec.description,
        parameters=schema,
        returns=dict(spec.returns) if spec.returns else None,
        context_parameter=None,
        adapter=_ANY,
    )


def _plain(value: Any, schema: Any) -> Any:
    """A rich value as the schema asks for it: its `.value` as a number, or its `short_form()` as text."""
    if isinstance(value, (str, int, float, bool)) or value is None or not isinstance(schema, Mapping):
        return value
    wanted = cast("Mapping[str, Any]", schema)
    if isinstance(value, (list, tuple)):
        return [_plain(item, wanted.get("items")) for item in cast("Sequence[Any]", value)]
    kind = wanted.get("type")
    number = getattr(value, "value", None)
    if kind in ("number", "integer") and isinstance(number, (int, float)):
        return number
    if kind == "string" and callable(getattr(value, "short_form", None)):
        return value.short_form()
    return value
