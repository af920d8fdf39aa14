"""Names of servers, tools and parameters as names that plans can use."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Callable, Collection
from typing import Any, Final, cast

from braid.executors.tools import RESERVED

_LONGEST: Final = 64
_IN_PLACE: Final = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
"""Keywords whose schemas describe the same object."""


def identifier(text: str) -> str:
    """`text` as an ASCII identifier. Letters of other scripts are named by their sound or their number."""
    spelled = "".join(map(_spelled, unicodedata.normalize("NFKC", text)))
    cleaned = re.sub(r"\W+", "_", spelled, flags=re.ASCII).strip("_")[:_LONGEST].rstrip("_") or "tool"
    return f"_{cleaned}" if cleaned[0].isdigit() else cleaned


def free_name(base: str, taken: Collection[str]) -> str:
    """`base`, with a number behind it if it is taken or a word of the plan language."""
    name, number = base, 2
    while name in taken or name in RESERVED:
        name, number = f"{base}_{number}", number + 1
    return name


def plan_parameters(schema: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """A tool's input schema with parameters that plans can name, and what the server calls those renamed.

    A keyword gets an underscore (`from_`). Other signs become underscores (`cik-A` becomes `cik_A`).
    """
    properties: Any = schema.get("properties")
    if not isinstance(properties, dict):
        return schema, {}
    names = list(cast("dict[str, Any]", properties))
    renamed: dict[str, str] = {}
    taken = {name for name in names if _can_be_written(name)}
    for name in names:
        if name not in taken:
            base = identifier(name)
            new = free_name(f"{base}_" if keyword.iskeyword(base) else base, taken | set(renamed.values()))
            renamed[name] = new
    if not renamed:
        return schema, {}
    return _renamed(schema, lambda name: renamed.get(name, name)), {new: old for old, new in renamed.items()}


def _can_be_written(name: str) -> bool:
    return name.isidentifier() and name.isascii() and not keyword.iskeyword(name)


def _renamed(schema: Any, to: Callable[[str], str]) -> Any:
    """`schema` with the properties of the object that it describes renamed."""
    if not isinstance(schema, dict):
        return schema
    changed = dict(cast("dict[str, Any]", schema))
    for key, value in changed.items():
        if isinstance(value, list):
            items = cast("list[Any]", value)
            if key == "required":
                changed[key] = [to(name) for name in items]
            elif key in _IN_PLACE:
                changed[key] = [_renamed(one, to) for one in items]
        elif isinstance(value, dict):
            if key in ("properties", "dependentRequired", "dependentSchemas"):
                changed[key] = {to(name): inner for name, inner in cast("dict[str, Any]", value).items()}
            elif key in _IN_PLACE:
                changed[key] = _renamed(value, to)
    return changed


def _spelled(char: str) -> str:
    """One sign in ASCII."""
    if char.isascii():
        return char
    plain = unicodedata.normalize("NFKD", char.casefold())
    if plain[0].isascii():
        return "".join(one for one in plain if one.isascii())
    sound = re.search(r"(?:LETTER|SYLLABLE|VOWEL SIGN) (\w+)", unicodedata.name(char, ""))
    if sound is not None:
        return sound[1].lower()
    return f"_u{ord(char):x}" if char.isalnum() else "_"
