"""Types of values, as JSON schemas tell them, and what they say about literals and paths.

Where a schema is silent, anything goes. Tools check their arguments again at run time.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from braid.executors.nodes import Const, DictOf, Expr, ListOf, Template

Schema = Mapping[str, Any]

_MAX_HOPS = 32
"""References and alternatives that are followed in one schema."""

_KIND_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "True or False",
    "null": "None",
    "array": "a list",
    "object": "a dict",
}

_DETAIL = {"object": 2, "array": 1}
"""How much an alternative's reason says. One with fields says more than the null beside it."""


@dataclass(frozen=True)
class NoSuchPart:
    """A step of a path that leads nowhere."""

    reason: str
    fix: str
    """What the value has instead."""


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """Why a literal is no value of a type."""

    reason: str
    fix: str = ""
    """What to write instead, where the type tells it."""
    expected: tuple[str, ...] = ()
    """The kinds that the type allows, if the literal is of another kind."""
    nested: bool = False
    """Whether the reason is about an item or an entry of the literal."""

    def inside(self, part: str) -> Mismatch:
        """This mismatch as one of the surrounding literal, in which it stands at `part`."""
        return replace(self, reason=f"{part}: {self.reason}", nested=True)


@dataclass(frozen=True)
class JsonType:
    """What is known of a value."""

    schema: Schema | None
    """Its JSON schema. None if nothing is known."""
    definitions: Schema
    """What the schema's `$ref`s point to."""

    @staticmethod
    def of(schema: Schema | None) -> JsonType:
        """The type of a whole schema, as a tool's specification holds it."""
        definitions: Schema = (schema or {}).get("$defs", {})
        return JsonType(schema, definitions)

    def part(self, schema: object) -> JsonType:
        """The type of a part of this schema."""
        return JsonType(cast("Schema", schema) if isinstance(schema, Mapping) else None, self.definitions)

    def list_of(self) -> JsonType:
        """The type of a list of such values."""
        return JsonType({"type": "array", "items": self.schema}, self.definitions)

    def options(self) -> Iterator[JsonType]:
        """The alternatives of this type, references resolved. An unknown type has one, itself."""
        todo = [self.schema]
        for _ in range(_MAX_HOPS):
            if not todo:
                return
            schema = todo.pop(0)
            if schema is None:
                yield self.part(None)
            elif isinstance(reference := schema.get("$ref"), str):
                todo.insert(0, self.definitions.get(reference.rsplit("/", 1)[-1]))
            elif isinstance(parts := schema.get("anyOf") or schema.get("oneOf"), Sequence):
                todo[:0] = list(cast("Sequence[Schema]", parts))
            elif isinstance(kinds := schema.get("type"), list):
                for kind in cast("list[str]", kinds):
                    yield self.part({**schema, "type": kind})
            else:
                yield self.part(schema)

    @property
    def kind(self) -> str | None:
        """JSON's word for a single alternative, such as `string` or `array`. None if it is not known."""
        if self.schema is None:
            return None
        kind = self.schema.get("type")
        if kind is None and "properties" in self.schema:
            return "object"
        return kind if isinstance(kind, str) else None

    def step(self, key: str | int, shown: str) -> JsonType | NoSuchPart:
        """The type of a field or an item.

        Args:
            key: The field's name or the item's index.
            shown: The path to this value as the plan writes it, for the reason.
        """
        found: list[JsonType] = []
        missing: list[tuple[int, NoSuchPart]] = []
        for option in self.options():
            result = _step(option, key, shown)
            if isinstance(result, JsonType):
                found.append(result)
            else:
                missing.append((_DETAIL.get(option.kind or "", 0), result))
        if found or not missing:
            return found[0] if len(found) == 1 else UNKNOWN
        return max(missing, key=lambda ranked: ranked[0])[1]

    def mismatch(self, expr: Expr) -> Mismatch | None:
        """Why the literal `expr` is no value of this type. None if it is one, or if `expr` is no literal."""
        options = list(self.options())
        if not isinstance(expr, (Const, Template, ListOf, DictOf)) or not options:
            return None
        found: list[Mismatch] = []
        for option in options:
            mismatch = _mismatch(expr, option)
            if mismatch is None:
                return None
            found.append(mismatch)
        if len(found) == 1:
            return found[0]
        nested = next((mismatch for mismatch in found if mismatch.nested), None)
        if nested is not None:
            return nested
        values = [v for option in options if option.schema for v in option.schema.get("enum", ())]
        if values and isinstance(expr, Const):
            return _not_one_of(expr.value, values)
        return _wrong_kind(expr, [option.kind or "" for option in options])


UNKNOWN = JsonType(None, {})


def common(types: Iterable[JsonType]) -> JsonType:
    """The type of a value that has one of `types`. It is known only if they are all the same."""
    known = list(types)
    return known[0] if known and all(other.schema == known[0].schema for other in known) else UNKNOWN


def suggest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant. None if no one is close."""
    known = list(known)
    lowered = {name.lower(): name for name in known}
    if word.lower() in lowered:
        return lowered[word.lower()]
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else None


def _step(option: JsonType, key: str | int, shown: str) -> JsonType | NoSuchPart:
    schema = option.schema
    match option.kind:
        case "object" if schema is not None:
            return _field(option, schema, key, shown)
        case "array" if schema is not None:
            return _item(option, schema, key, shown)
        case "string" | "integer" | "number" | "boolean" | "null" as kind:
            part = f"item {key}" if isinstance(key, int) else f"`{key}`"
            return NoSuchPart(f"`{shown}` is {_KIND_WORDS[kind]} and has no {part}", f"use `{shown}` itself")
        case _:
            return UNKNOWN


def _field(option: JsonType, schema: Schema, key: str | int, shown: str) -> JsonType | NoSuchPart:
    properties = cast("Schema", schema.get("properties", {}))
    if key in properties:
        return option.part(properties[cast("str", key)])
    extra = schema.get("additionalProperties", False)
    if not properties or extra is not False:
        return option.part(extra)
    has = f"{schema.get('title') or shown} has {', '.join(properties)}"
    if isinstance(key, int):
        return NoSuchPart(f"`{shown}` is not a list, it has no item {key}", has)
    guess = suggest(key, properties)
    return NoSuchPart(
        f"there is no `{shown}.{key}`", f"{has}; did you mean `{shown}.{guess}`?" if guess else has
    )


def _item(option: JsonType, schema: Schema, key: str | int, shown: str) -> JsonType | NoSuchPart:
    if not isinstance(key, int):
        return NoSuchPart(f"`{shown}` is a list and has no `{key}`", f"take an item, such as `{shown}[0]`")
    fixed = schema.get("prefixItems")
    if not isinstance(fixed, list):
        return option.part(schema.get("items"))
    items = cast("list[object]", fixed)
    if key < len(items):
        return option.part(items[key])
    return NoSuchPart(f"there is no `{shown}[{key}]`", f"it has {len(items)} items")


def _mismatch(expr: Expr, option: JsonType) -> Mismatch | None:
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
        return _wrong_kind(expr, [kind])
    if isinstance(expr, ListOf):
        for index, item in enumerate(expr.items):
            if mismatch := option.part(schema.get("items")).mismatch(item):
                return mismatch.inside(f"item {index}")
    if isinstance(expr, DictOf):
        return _dict_mismatch(expr, option, schema)
    return None


def _dict_mismatch(expr: DictOf, option: JsonType, schema: Schema) -> Mismatch | None:
    properties = cast("Schema", schema.get("properties", {}))
    extra = schema.get("additionalProperties")
    for key, value in expr.items:
        if key not in properties and properties and extra is False:
            known = f"known: {', '.join(properties)}"
            return Mismatch(reason=f"entry {key!r} is unknown", fix=known, nested=True)
        if mismatch := option.part(properties.get(key, extra)).mismatch(value):
            return mismatch.inside(f"entry {key!r}")
    given = {key for key, _ in expr.items}
    missing = [key for key in schema.get("required", ()) if key not in given]
    return Mismatch(reason=f"entry {missing[0]!r} is missing", nested=True) if missing else None


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


def _wrong_kind(expr: Expr, kinds: Sequence[str]) -> Mismatch:
    words = dict.fromkeys(_KIND_WORDS.get(kind, "something else") for kind in kinds)
    return Mismatch(
        reason=f"expected {' or '.join(words)}, got {_shown(expr)}", expected=tuple(dict.fromkeys(kinds))
    )


def _not_one_of(value: object, values: Sequence[object]) -> Mismatch:
    listed = ", ".join(json.dumps(v, ensure_ascii=False, default=str) for v in values)
    guess = suggest(value, [v for v in values if isinstance(v, str)]) if isinstance(value, str) else None
    return Mismatch(
        reason=f"expected one of {listed}, got {value!r}",
        fix=f"did you mean {json.dumps(guess)}?" if guess else "",
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
