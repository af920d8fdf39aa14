"""What JSON schemas say about literals and paths. Where a schema is silent, anything goes: tools check again at run time."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from braid.executors.nodes import Const, DictOf, Expr, ListOf, Template

Schema = Mapping[str, Any]

_MAX_HOPS = 32

_KIND_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "True or False",
    "null": "None",
    "array": "a list",
    "object": "a dict",
}


@dataclass(frozen=True)
class Typed:
    """A schema together with the definitions that its `$ref`s point into. `schema` None: nothing is known."""

    schema: Schema | None
    definitions: Schema

    @staticmethod
    def of(schema: Schema | None) -> Typed:
        """A whole schema, as a tool's specification holds it."""
        definitions: Schema = (schema or {}).get("$defs", {})
        return Typed(schema, definitions)

    def at(self, schema: object) -> Typed:
        """A part of this schema."""
        return Typed(cast("Schema", schema) if isinstance(schema, Mapping) else None, self.definitions)

    def options(self) -> Iterator[Typed]:
        """The alternatives of this schema with references resolved; an unknown schema has one, itself."""
        todo = [self.schema]
        for _ in range(_MAX_HOPS):
            if not todo:
                return
            schema = todo.pop(0)
            if schema is None:
                yield self.at(None)
            elif isinstance(reference := schema.get("$ref"), str):
                todo.insert(0, self.definitions.get(reference.rsplit("/", 1)[-1]))
            elif isinstance(parts := schema.get("anyOf") or schema.get("oneOf"), Sequence):
                todo[:0] = list(cast("Sequence[Schema]", parts))
            elif isinstance(kinds := schema.get("type"), list):
                for kind in cast("list[str]", kinds):
                    yield self.at({**schema, "type": kind})
            else:
                yield self.at(schema)

    @property
    def kind(self) -> str | None:
        """`string`, `array`, ... of a single alternative; None where it is not told."""
        if self.schema is None:
            return None
        kind = self.schema.get("type")
        if kind is None and "properties" in self.schema:
            return "object"
        return kind if isinstance(kind, str) else None


UNKNOWN = Typed(None, {})


def near(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    known = list(known)
    lowered = {name.lower(): name for name in known}
    if word.lower() in lowered:
        return lowered[word.lower()]
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else None


def step(typed: Typed, key: str | int, shown: str) -> Typed | str:
    """Follow one step of a path; a text says why it leads nowhere. `shown` is the path so far."""
    reasons: list[str] = []
    found: list[Typed] = []
    for option in typed.options():
        result = _step_one(option, key, shown)
        if isinstance(result, str):
            reasons.append(result)
        else:
            found.append(result)
    if found:
        return found[0] if len(found) == 1 else UNKNOWN
    # The alternative with fields says more than the null beside it.
    return max(reasons, key=len) if reasons else UNKNOWN


def _step_one(option: Typed, key: str | int, shown: str) -> Typed | str:
    schema = option.schema
    match option.kind:
        case "object" if schema is not None:
            properties = cast("Schema", schema.get("properties", {}))
            if key in properties:
                return option.at(properties[cast("str", key)])
            extra = schema.get("additionalProperties", False)
            if not properties or extra is not False:
                return option.at(extra)
            has = f"{schema.get('title') or shown} has {', '.join(properties)}"
            if isinstance(key, int):
                return f"`{shown}` is not a list, it has no item {key}; {has}"
            guess = near(key, properties)
            return f"there is no `{shown}.{key}`; {has}" + (
                f"; did you mean `{shown}.{guess}`?" if guess else ""
            )
        case "array" if schema is not None:
            if isinstance(key, int):
                fixed = schema.get("prefixItems")
                if isinstance(fixed, list):
                    items = cast("list[object]", fixed)
                    if key < len(items):
                        return option.at(items[key])
                    return f"there is no `{shown}[{key}]`; it has {len(items)} items"
                return option.at(schema.get("items"))
            return f"`{shown}` is a list and has no `{key}`; take an item, such as `{shown}[0]`"
        case "string" | "integer" | "number" | "boolean" | "null" as kind:
            part = f"item {key}" if isinstance(key, int) else f"`{key}`"
            return f"`{shown}` is {_KIND_WORDS[kind]} and has no {part}; use `{shown}` itself"
        case _:
            return UNKNOWN


def mismatch(expr: Expr, typed: Typed) -> str | None:
    """Why a literal cannot be an argument of this type; None if it can be, or is not a literal."""
    options = list(typed.options())
    if not isinstance(expr, (Const, Template, ListOf, DictOf)) or not options:
        return None
    reasons = [_mismatch_one(expr, option) for option in options]
    if any(reason is None for reason in reasons):
        return None
    told = [reason for reason in reasons if reason is not None]
    if len(told) == 1:
        return told[0]
    deeper = [reason for reason in told if reason.startswith("item ") or reason.startswith("entry ")]
    if deeper:
        return deeper[0]
    values = [v for option in options if option.schema for v in option.schema.get("enum", ())]
    if values and isinstance(expr, Const):
        return _not_one_of(expr.value, values)
    kinds = dict.fromkeys(_KIND_WORDS.get(option.kind or "", "something else") for option in options)
    return f"expected {' or '.join(kinds)}, got {_shown(expr)}"


def _mismatch_one(expr: Expr, option: Typed) -> str | None:
    schema = option.schema
    if schema is None:
        return None
    if isinstance(expr, Const):
        values = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
        if values is not None:
            return None if expr.value in values else _not_one_of(expr.value, values)
    kind = option.kind
    if kind is None or kind not in _KIND_WORDS:
        return None
    if not _fits(expr, kind):
        return f"expected {_KIND_WORDS[kind]}, got {_shown(expr)}"
    if isinstance(expr, ListOf):
        for index, item in enumerate(expr.items):
            if reason := mismatch(item, option.at(schema.get("items"))):
                return f"item {index}: {reason}"
    if isinstance(expr, DictOf):
        return _dict_mismatch(expr, option, schema)
    return None


def _dict_mismatch(expr: DictOf, option: Typed, schema: Schema) -> str | None:
    properties = cast("Schema", schema.get("properties", {}))
    extra = schema.get("additionalProperties")
    for key, value in expr.items:
        if key not in properties and properties and extra is False:
            return f"entry {key!r} is unknown; known: {', '.join(properties)}"
        if reason := mismatch(value, option.at(properties.get(key, extra))):
            return f"entry {key!r}: {reason}"
    given = {key for key, _ in expr.items}
    missing = [key for key in schema.get("required", ()) if key not in given]
    return f"entry {missing[0]!r} is missing" if missing else None


def _fits(expr: Expr, kind: str) -> bool:
    match expr:
        case Template():
            return kind == "string"
        case ListOf():
            return kind == "array"
        case DictOf():
            return kind == "object"
        case Const(value=bool()):
            return kind == "boolean"
        case Const(value=int()):
            return kind in ("integer", "number")
        case Const(value=float() as number):
            return kind == "number" or (kind == "integer" and number.is_integer())
        case Const(value=str()):
            return kind == "string"
        case Const(value=None):
            return kind == "null"
        case _:
            return True


def _not_one_of(value: object, values: Sequence[object]) -> str:
    listed = ", ".join(json.dumps(v, ensure_ascii=False, default=str) for v in values)
    guess = near(value, [v for v in values if isinstance(v, str)]) if isinstance(value, str) else None
    return f"expected one of {listed}, got {value!r}" + (
        f"; did you mean {json.dumps(guess)}?" if guess else ""
    )


def _shown(expr: Expr) -> str:
    match expr:
        case Const(value):
            text = repr(value)
            return text if len(text) <= 60 else text[:57] + "..."
        case Template():
            return "text (an f-string)"
        case ListOf():
            return "a list"
        case DictOf():
            return "a dict"
        case _:
            return "something else"
