"""Tools of a chat: their form in requests, the grammar of calls, and the text that tells a model of them.

A call is sampled under a grammar, so its arguments are valid under the function's schema, whatever the model.
Source: the request types of the `openai` package.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError, from_json

from braid.engine.server.errors import invalid
from braid.engine.server.request_part import RequestPart
from braid.engine.tool_calls import HERMES, CallForm
from braid.engine.types import Grammar, Message

_PROMPT = Template(files("braid.engine.server").joinpath("tool_prompt.txt").read_text(encoding="utf-8"))
_MAX_CALLS = 16
"""Calls in one completion."""
_TYPES = frozenset({"null", "boolean", "object", "array", "number", "integer", "string"})
_DATA = frozenset({"const", "enum", "default", "example", "examples"})
"""Keywords whose values are data, not schemas."""
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords whose values are schemas by name."""
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$#&~/-]")
"""What stands for something else in a regular expression of a Lark grammar."""

_Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]


def _schemas(schema: object, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All schemas within `schema`, itself included, and where they stand in it."""
    if isinstance(schema, list):
        for place, item in enumerate(cast("list[object]", schema)):
            yield from _schemas(item, f"{path}[{place}]")
    if not isinstance(schema, dict):
        return
    fields = cast("dict[str, Any]", schema)
    yield path, fields
    for key, value in fields.items():
        if key in _NAMED and isinstance(value, dict):
            for name, item in cast("dict[str, object]", value).items():
                yield from _schemas(item, f"{path}.{key}.{name}")
        elif key not in _DATA and isinstance(value, dict | list):
            yield from _schemas(cast("object", value), f"{path}.{key}")


def closed(given: Mapping[str, Any]) -> dict[str, Any]:
    """A schema whose objects have no further properties than it names, unless it says so.

    It says so with `additionalProperties`. Schemas with `allOf` are left as they are: its parts describe the
    same object.
    """
    schema: dict[str, Any] = from_json(json.dumps(given))
    inside = [each for _, each in _schemas(schema)]
    if not any("allOf" in each for each in inside):
        for each in inside:
            if "properties" in each or (each is schema and each.get("type") == "object"):
                each.setdefault("additionalProperties", False)
    return schema


class Function(RequestPart):
    """A function that a model may call."""

    name: _Name
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any], validate_default=True)
    strict: bool = False
    """Arguments are valid under the schema in either case."""

    @field_validator("parameters")
    @classmethod
    def _readable(cls, value: dict[str, Any]) -> dict[str, Any]:
        value = {"type": "object", **value}
        if value["type"] != "object":
            raise PydanticCustomError("schema", "arguments are an object, so the schema's type is 'object'")
        for path, schema in _schemas(value):
            kinds = schema.get("type", [])
            for kind in cast("list[object]", kinds) if isinstance(kinds, list) else [kinds]:
                if kind not in _TYPES:
                    raise PydanticCustomError(
                        "schema",
                        "{place} is {kind}, which is no type of JSON schemas: {types}",
                        {"place": f"parameters{path}.type", "kind": repr(kind), "types": sorted(_TYPES)},
                    )
        return value

    def to_template(self) -> dict[str, Any]:
        """The function as chat templates take it."""
        return {"type": "function", "function": self.model_dump(exclude={"strict"})}


class Tool(RequestPart):
    """A tool of a request."""

    type: Literal["function"]
    function: Function


class _Named(RequestPart):
    name: str


def _spelled_out(value: object) -> object:
    return {"type": value} if value in ("none", "auto", "required") else value


class _Choice(RequestPart):
    type: Literal["none", "auto", "required", "function"]
    function: _Named | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.type == "function") != (self.function is not None):
            raise ValueError("function is given exactly if type is 'function'")
        return self


ToolChoice = Annotated[_Choice, BeforeValidator(_spelled_out)]
"""Whether to call: `none`, `auto`, `required`, or the name of a function."""


class _WrittenFunction(RequestPart):
    name: _Name
    arguments: str = "{}"


class WrittenCall(RequestPart):
    """A call in a message of the assistant."""

    id: str
    type: Literal["function"] = "function"
    function: _WrittenFunction
    index: int = 0

    def to_template(self) -> dict[str, Any]:
        """The call as chat templates take it: with arguments as an object, where they can be read."""
        arguments: object = self.function.arguments
        with suppress(ValueError):  # a model wrote them, and its limit may have cut them off
            arguments = from_json(self.function.arguments or "{}")
        function = {"name": self.function.name, "arguments": arguments}
        return {"id": self.id, "type": "function", "function": function}


@dataclass(frozen=True, kw_only=True)
class ToolUse:
    """What a completion may call."""

    functions: tuple[Function, ...]
    """Functions that may be called."""
    forced: bool
    """Whether there must be a call."""
    parallel: bool
    """Whether there may be several."""
    answer: Mapping[str, object] | None = None
    """JSON schema of an answer without calls. None: any text."""

    @property
    def leads_with_text(self) -> bool:
        """Whether text may come before a call."""
        return not self.forced and self.answer is None

    def grammar(self, form: CallForm) -> Grammar:
        """The grammar of a completion: calls in `form`, or an answer."""
        more = ""
        if self.parallel and form.separator is not None:
            more = f"({_spelled(form, form.separator)} call){{0,{_MAX_CALLS - 1}}}"
        lines: list[str] = []
        if self.leads_with_text:
            # A call begins where its trigger stands, and no other text may have that.
            rest = form.begin.removeprefix(form.trigger)
            trigger = _SPECIAL.sub(r"\\\g<0>", form.trigger)
            token = form.tokens.get(form.trigger)
            marks = ",".join(map(str, sorted(form.text_tokens)))
            marked = f"(TEXT <[{marks}]>)*" if marks else ""
            lines += [
                f"start: {marked} TEXT | {marked} lead rest {more}",
                f"lead[lazy]: /(?s:.*){trigger}/" if token is None else f"lead: TEXT <[{token}]>",
                f"TEXT: /(?s:.*)/ & ~/(?s:.*{trigger}.*)/",
                f"call: {_spelled(form, form.trigger)} rest",
            ]
        else:
            rest = form.begin
            lines += [f"start: call {more}" + ("" if self.answer is None else " | answer"), "call: rest"]
            if self.answer is not None:
                lines.append(f"answer: {_json(self.answer)}")
        lines.append("rest: " + " | ".join(f"rest_{place}" for place in range(len(self.functions))))
        for place, function in enumerate(self.functions):
            head = _spelled(form, rest + function.name + form.middle)
            lines.append(f"rest_{place}: {head} arguments_{place} {_spelled(form, form.end)}")
            lines.append(f"arguments_{place}: {_json(closed(function.parameters))}")
        return Grammar("lark", "\n".join(lines))


def _spelled(form: CallForm, text: str) -> str:
    """A text of a form in a grammar: tokens by their ids, the rest in quotes."""
    pieces = form.split(text) if text else []
    return " ".join(
        f"<[{form.tokens[piece]}]>" if piece in form.tokens else json.dumps(piece, ensure_ascii=False)
        for piece in pieces
    )


def _json(schema: Mapping[str, object]) -> str:
    return "%json " + json.dumps({**schema, "x-guidance": {"whitespace_flexible": False}})


def tool_use(
    tools: Sequence[Tool],
    choice: ToolChoice | None,
    *,
    parallel: bool,
) -> ToolUse | None:
    """What a completion may call. None: nothing.

    Raises:
        ApiError: tools have the same name, or the choice is none of them.
    """
    functions = [tool.function for tool in tools]
    names = [function.name for function in functions]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise invalid(f"tools[{place}].function.name", f"there are two functions {name!r}")
    kind = "auto" if choice is None else choice.type
    if choice is not None and choice.function is not None:
        name = choice.function.name
        if name not in names:
            raise invalid("tool_choice.function.name", f"no tool has the name {name!r}; there are {names}")
        return ToolUse(functions=(functions[names.index(name)],), forced=True, parallel=False)
    if kind == "required" and not tools:
        raise invalid("tool_choice", "'required' needs tools, and the request has none")
    if kind == "none" or not tools:
        return None
    return ToolUse(functions=tuple(functions), forced=kind == "required", parallel=parallel)


def plain_call(call: WrittenCall) -> str:
    """A call as text."""
    return HERMES.write(call.function.name, call.function.arguments or "{}")


def plain_result(text: str) -> str:
    """The result of a call as text of a user."""
    return f"<tool_response>\n{text}\n</tool_response>"


def tell_of_tools(messages: Sequence[Message], functions: Sequence[Function]) -> list[Message]:
    """The messages with the functions in the system message, for models whose template takes no tools."""
    if not functions:
        return list(messages)
    text = _PROMPT.substitute(
        example=HERMES.write("NAME", "{...}"),
        functions="\n".join(
            json.dumps(function.to_template()["function"], ensure_ascii=False) for function in functions
        ),
    ).strip()
    system = [message["content"] for message in messages[:1] if message["role"] == "system"]
    first = Message(role="system", content="\n\n".join([*system, text]))
    return [first, *messages[len(system) :]]
