"""Signatures: the JSON schema of a typed function's arguments, and the check of given arguments against it.

The coercion rule: values keep their type. Text is not parsed into numbers, numbers are not written out as
text, and booleans are not numbers. These are allowed:

- an int where a float is asked, and a whole float (`3.0`) where an int is asked,
- what JSON writes differently: lists for tuples and sets, objects for models, ISO text for dates,
- rich values: an object with a numeric `.value`, such as a fact, where a number is asked, and an object with
  a `short_form()` method where text is asked.
"""

from __future__ import annotations

import difflib
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired, Required, Union, cast, get_args, get_origin

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PydanticInvalidForJsonSchema,
    PydanticSchemaGenerationError,
    PydanticUndefinedAnnotation,
    PydanticUserError,
    Strict,
    TypeAdapter,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_jsonable_python
from typing_extensions import TypedDict

from braid.executors.tools.errors import ToolArgumentError, ToolDefinitionError

_UNBUILDABLE = (
    PydanticSchemaGenerationError,
    PydanticInvalidForJsonSchema,
    PydanticUndefinedAnnotation,
    PydanticUserError,
    TypeError,
)


@dataclass(frozen=True)
class Signature:
    """What a function takes and gives. Built once for each tool."""

    tool: str
    """Name of the tool, for messages."""
    description: str
    parameters: dict[str, Any]
    """JSON schema of the argument object."""
    returns: dict[str, Any] | None
    """JSON schema of the result. None where it is not known."""
    context_parameter: str | None
    """Name of the parameter that takes the `ToolContext`, if there is one."""
    adapter: TypeAdapter[dict[str, Any]]
    """Checks and coerces arguments."""
    scalars: Mapping[str, type] | None = None
    """Types of the parameters where all are plain numbers, texts or booleans.

    Such arguments are checked without pydantic where nothing is to be coerced.
    """
    required: frozenset[str] = frozenset()
    """Names of the parameters without a default."""

    def check(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments for the function: checked, and coerced by the rule of this module.

        Defaults are left to the function.

        Raises:
            ToolArgumentError: Names every argument that is missing, unknown or of the wrong type.
        """
        scalars = self.scalars
        if scalars is not None and self.required <= args.keys():
            for name, value in args.items():
                if scalars.get(name) is not type(value):
                    break
            else:
                return dict(args)
        try:
            return self.adapter.validator.validate_python(args)
        except ValidationError as error:
            raise ToolArgumentError(self._explain(error), tool=self.tool) from None

    def _explain(self, error: ValidationError) -> str:
        accepted: list[str] = list(self.parameters.get("properties", {}))
        lines: list[str] = []
        for problem in error.errors(include_url=False, include_context=False):
            where = _path(problem["loc"])
            if problem["type"] == "extra_forbidden":
                near = difflib.get_close_matches(where, accepted, n=1)
                hint = (
                    f"; did you mean {near[0]!r}?" if near else f"; it takes {', '.join(accepted) or 'none'}"
                )
                lines.append(f"unknown argument {where!r}{hint}")
            elif problem["type"] == "missing":
                lines.append(f"argument {where!r} is missing")
            else:
                given = problem["input"]
                hint = _hint(problem["type"], given)
                lines.append(f"{where}: {problem['msg']}, got {_brief(given)}{hint}")
        return f"{self.tool}: " + "; ".join(dict.fromkeys(lines))


def signature_of(
    function: Callable[..., Any], *, tool: str, context_type: type, namespace: Mapping[str, Any] | None = None
) -> Signature:
    """Read the signature, type hints and docstring of `function`.

    Args:
        function: The function.
        tool: The tool's name, for messages.
        context_type: A first parameter of this type is left out of the schema. It is injected at the call.
        namespace: Names visible where the function was defined, for hints that are strings.

    Raises:
        ToolDefinitionError: A parameter has no annotation, no name, or a type without a JSON schema.
    """
    hints = _hints(function, tool, namespace)
    summary, documented = parse_docstring(inspect.getdoc(_documented(function)) or "")
    fields: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    scalars: dict[str, type] = {}
    context_parameter: str | None = None
    for position, (name, parameter) in enumerate(inspect.signature(function).parameters.items()):
        _refuse_unnameable(tool, parameter)
        if name not in hints:
            raise ToolDefinitionError(
                f"tool {tool!r}: parameter {name!r} has no type annotation; "
                f"write `{name}: str`, or the type it takes",
                tool=tool,
            )
        hint = hints[name]
        if hint in (int, float, str, bool):
            scalars[name] = hint
        if hint is context_type or get_origin(hint) is context_type:
            if position != 0:
                raise ToolDefinitionError(
                    f"tool {tool!r}: the {context_type.__name__} parameter {name!r} must come first",
                    tool=tool,
                )
            context_parameter = name
            continue
        annotation = strict(hint)
        if name in documented and not _is_described(hint):
            annotation = Annotated[annotation, Field(description=documented[name])]
        if parameter.default is parameter.empty:
            fields[name] = Required[annotation]
        elif isinstance(parameter.default, FieldInfo):
            raise ToolDefinitionError(
                f"tool {tool!r}: parameter {name!r} has a Field as default;"
                f" write `{name}: Annotated[type, Field(...)] = default`",
                tool=tool,
            )
        else:
            fields[name] = NotRequired[annotation]
            defaults[name] = parameter.default
    adapter = _adapter(tool, fields)
    return Signature(
        tool=tool,
        description=summary,
        parameters=_parameters_schema(adapter, defaults),
        returns=_returns_schema(hints.get("return", inspect.Parameter.empty)),
        context_parameter=context_parameter,
        adapter=adapter,
        scalars=scalars if len(scalars) == len(fields) else None,
        required=frozenset(fields.keys() - defaults.keys()),
    )


def strict(hint: Any) -> Any:
    """`hint` with every int, float, bool and str in it replaced by one that follows the coercion rule."""
    if isinstance(hint, type) and hint in _SCALARS:
        return Annotated[hint, Strict(), _SCALARS[hint]]
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated and isinstance(args[0], type) and args[0] in _SCALARS:
        # The rich value is unwrapped first, so that the given constraints see the number or the text.
        inner = (args[0], Strict(), *args[1:], _SCALARS[args[0]])
        return Annotated[inner]  # pyright: ignore[reportInvalidTypeForm]
    if origin is Annotated:
        return Annotated[(strict(args[0]), *args[1:])]  # pyright: ignore[reportInvalidTypeForm]
    if origin in (Union, types.UnionType):
        return Union[tuple(strict(arg) for arg in args)]  # noqa: UP007 - built from a tuple
    if isinstance(origin, type) and origin in _CONTAINERS and args:
        # A plan writes the keys of a dict as text, as JSON does. Numbers are read from it.
        kept = args[:1] if origin in _MAPPINGS and args[0] is not str else ()
        rewritten = (*kept, *(arg if arg is Ellipsis else strict(arg) for arg in args[len(kept) :]))
        generic = cast("Any", hint)
        if isinstance(hint, types.GenericAlias):
            return types.GenericAlias(origin, rewritten)
        return generic.copy_with(rewritten)
    return hint


def parse_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The first paragraph as one line, and the parameters' descriptions.

    Descriptions come from an `Args:` section or from `:param name:` lines.
    """
    lines = text.splitlines()
    summary: list[str] = []
    for line in lines:
        if not line.strip() or _SECTION.match(line) or _PARAM.match(line):
            if summary or line.strip():
                break
            continue
        summary.append(line.strip())
    described: dict[str, str] = {}
    inside, depth, current = False, 0, ""
    for line in lines:
        text_, indent = line.strip(), len(line) - len(line.lstrip())
        if match := _PARAM.match(line):
            inside, current, depth = True, match[1], indent + 1
            described[current] = match[2].strip()
        elif match := _SECTION.match(line):
            inside, current, depth = match[1] in _ARGS, "", 0
        elif inside and text_:
            if indent == 0:
                inside = False
            elif (match := _ENTRY.match(text_)) and (not current or indent <= depth):
                current, depth = match[1], indent
                described[current] = match[2].strip()
            elif current and indent > depth - 1:
                described[current] = f"{described[current]} {text_}".strip()
    return " ".join(" ".join(summary).split()), described


_ARGS = frozenset({"Args", "Arguments", "Parameters", "Params"})
_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Params|Returns?|Raises|Yields|Examples?|Notes?|Attributes):\s*$"
)
_PARAM = re.compile(r"^\s*:param\s+(?:[\w.\[\], |]+\s)?(\w+):(.*)$")
_ENTRY = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")


def _as_number(value: Any) -> Any:
    if isinstance(value, int | float | str):
        return value
    inner = getattr(value, "value", None)
    return inner if isinstance(inner, int | float) and not isinstance(inner, bool) else value


def _as_integer(value: Any) -> Any:
    number = _as_number(value)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _as_text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    short_form = getattr(value, "short_form", None)
    return short_form() if callable(short_form) and not isinstance(value, type) else value


def _as_bool(value: Any) -> Any:
    inner = getattr(value, "value", None)
    return inner if isinstance(inner, bool) else value


_SCALARS = {
    int: BeforeValidator(_as_integer),
    float: BeforeValidator(_as_number),
    str: BeforeValidator(_as_text),
    bool: BeforeValidator(_as_bool),
}
_MAPPINGS = frozenset([dict, typing.Mapping.__origin__, typing.MutableMapping.__origin__])  # type: ignore[attr-defined]
_CONTAINERS = frozenset(
    [list, tuple, dict, set, frozenset]
    + [
        getattr(typing, name).__origin__
        for name in ("Sequence", "Iterable", "Collection", "Mapping", "MutableMapping", "Set")
    ]
)


def _documented(function: Callable[..., Any]) -> Any:
    """What carries the docstring: the function, or the `__call__` method of an object that has one."""
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    target = getattr(function, "func", None)  # functools.partial
    return target if callable(target) else type(function).__call__


def _hints(function: Callable[..., Any], tool: str, namespace: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        return typing.get_type_hints(
            _documented(function), localns=dict(namespace or {}), include_extras=True
        )
    except NameError as error:
        raise ToolDefinitionError(
            f"tool {tool!r}: the annotation names {error.name!r}, which is not visible where the function is"
            " defined; import it at run time (not under TYPE_CHECKING) or define it before the function",
            tool=tool,
        ) from error
    except TypeError as error:
        raise ToolDefinitionError(
            f"tool {tool!r}: its annotations cannot be read: {error}", tool=tool
        ) from error


def _refuse_unnameable(tool: str, parameter: inspect.Parameter) -> None:
    shown = str(parameter).split(":")[0]
    match parameter.kind:
        case inspect.Parameter.VAR_POSITIONAL | inspect.Parameter.VAR_KEYWORD:
            raise ToolDefinitionError(
                f"tool {tool!r}: {shown!r} has no fixed schema; take a list or a dict parameter instead",
                tool=tool,
            )
        case inspect.Parameter.POSITIONAL_ONLY:
            raise ToolDefinitionError(
                f"tool {tool!r}: parameter {parameter.name!r} is positional-only, but tools are called by"
                " name; remove the `/`",
                tool=tool,
            )
        case _:
            pass


def _is_described(hint: Any) -> bool:
    return get_origin(hint) is Annotated and any(
        isinstance(extra, FieldInfo) and extra.description for extra in get_args(hint)[1:]
    )


def _adapter(tool: str, fields: dict[str, Any]) -> TypeAdapter[dict[str, Any]]:
    for name, annotation in fields.items():
        try:
            TypeAdapter(get_args(annotation)[0]).json_schema()
        except _UNBUILDABLE as error:
            reason = str(error).splitlines()[0]
            raise ToolDefinitionError(
                f"tool {tool!r}: parameter {name!r} has a type that JSON cannot carry ({reason}); use"
                " numbers, text, booleans, lists, dicts, Literals, dataclasses or pydantic models",
                tool=tool,
            ) from error
    make: Any = TypedDict  # built at run time, so no static type describes it
    arguments = make(f"{tool}_arguments", fields)
    arguments.__pydantic_config__ = ConfigDict(extra="forbid")
    return TypeAdapter(arguments)


def _parameters_schema(adapter: TypeAdapter[dict[str, Any]], defaults: dict[str, Any]) -> dict[str, Any]:
    schema = adapter.json_schema()
    schema.pop("title", None)
    properties: dict[str, dict[str, Any]] = schema.setdefault("properties", {})
    for name, described in properties.items():
        described.pop("title", None)
        if name in defaults:
            # A default that JSON cannot show is still used by the function.
            with suppress(PydanticSerializationError):
                described["default"] = to_jsonable_python(defaults[name])
    return schema


def _returns_schema(hint: Any) -> dict[str, Any] | None:
    if hint is inspect.Parameter.empty or hint is Any:
        return None
    try:
        return TypeAdapter(hint).json_schema(mode="serialization")
    except _UNBUILDABLE:
        return None  # a result may be any Python value, with or without a schema


def _path(location: tuple[int | str, ...]) -> str:
    """The place of an error without pydantic's names for union members and validators."""
    inner = (
        part
        for part in location[1:]
        if isinstance(part, int) or (part.isidentifier() and part not in _UNION_TAGS)
    )
    return ".".join(str(part) for part in (*location[:1], *inner)) or "arguments"


_UNION_TAGS = frozenset({"int", "float", "str", "bool", "none", "dict", "list", "tuple", "set"})


def _hint(kind: str, given: Any) -> str:
    if kind == "string_type" and isinstance(given, int | float):
        return ' (write f"{...}" to make text of it)'
    if kind in ("int_type", "float_type") and isinstance(given, str):
        return " (text is not read as a number; give the number itself)"
    return ""


def _brief(value: Any, limit: int = 80) -> str:
    shown = repr(value)
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."
