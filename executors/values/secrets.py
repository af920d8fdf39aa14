"""Secrets of a run, and the border that takes them out of everything that is written or shown outside.

They are the secrets of the environment, and the values of secret arguments (`pydantic.SecretStr`) of its
tools. Values inside the process are never changed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar, cast

from braid.executors.values.json_text import json_text

REDACTED: Final = "[secret]"
"""What stands in the place of a secret."""

_NAMES: Final = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASS|CREDENTIALS?|AUTH)(_|$)")
_IN_ADDRESS: Final = re.compile(r"://[^\s/:@]*:([^\s/@]+)@")
_MIN_LENGTH: Final = 8
"""Least length of a secret of the environment. A shorter secret argument counts as a whole word only."""
_MIN_WORD: Final = 4
"""Least length of such a word. A shorter one counts as a whole text, or between quotes.

It is also the least length of the beginning of a secret that is taken out before the mark of a cut.
"""
_CUT: Final = "…"
_STRUCTURE: Final = frozenset({"", "$", "kind"})
"""Keys whose values are names of Braid's own. Only a long secret is taken out of them."""

T = TypeVar("T")


class Secrets:
    """What a run keeps to itself.

    Args:
        values: The secrets. Those of the environment unless given.
        schemas: The JSON schemas of each tool's arguments, by tool. They say which are secret.
    """

    def __init__(
        self, values: Iterable[str] | None = None, *, schemas: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        self._schemas = {tool: schema for tool, schema in (schemas or {}).items() if _mentions_secret(schema)}
        self._forms: tuple[str, ...] = ()
        self._pattern: re.Pattern[str] | None = None
        self._long = re.compile(r"(?!)")
        self.on_learned: Callable[[str], None] | None = None
        """Called with each secret that `learn` finds. It may have been written down already."""
        self.resumed = False
        """Whether the run goes on from a journal, which has `REDACTED` in the place of secrets."""
        for value in secrets_of(os.environ) if values is None else values:
            self.add(value)

    def __bool__(self) -> bool:
        return self._pattern is not None

    def add(self, value: str) -> bool:
        """Take `value` out of everything from now on. Returns whether it was not known."""
        if not value or value in self._forms:
            return False
        self._forms = tuple(sorted({*self._forms, *forms_of(value)}, key=len, reverse=True))
        self._pattern = re.compile("|".join(map(_as_pattern, self._forms)))
        long = [re.escape(form) for form in self._forms if len(form) >= _MIN_LENGTH]
        self._long = re.compile("|".join(long) or r"(?!)")
        return True

    def watches(self, tool: str) -> bool:
        """Whether calls of `tool` must pass `lost_in` and `learn`."""
        return self.resumed or tool in self._schemas

    def learn(self, tool: str, args: Mapping[str, Any]) -> None:
        """Learn the secret arguments of a call that is about to be made."""
        schema = self._schemas.get(tool)
        if schema is None:
            return
        properties: Mapping[str, Any] = schema.get("properties", {})
        for name, value in args.items():
            for secret in _secret_parts(properties.get(name), value, schema.get("$defs", {})):
                if self.add(secret) and self.on_learned is not None:
                    self.on_learned(secret)

    def lost_in(self, args: Mapping[str, Any]) -> bool:
        """Whether a secret in these arguments was not kept for the resumed run."""
        if not self.resumed:
            return False
        try:
            return REDACTED in json.dumps(list(args.values()), default=str, skipkeys=True)
        except (ValueError, RecursionError):  # it contains itself, so it came from no journal
            return False

    def redact(self, text: str) -> str:
        """`text` without the secrets. The same object where there are none."""
        if self._pattern is None:
            return text
        found = self._pattern.sub(REDACTED, text)
        if _CUT in found:
            *parts, rest = found.split(_CUT)
            found = _CUT.join([*map(self._without_beginning, parts), rest])
        return text if found == text else found

    def redact_json(self, text: str) -> str:
        """JSON without the secrets. Its structure is kept. The same object where there are none."""
        if self._pattern is None or (_CUT not in text and self._pattern.search(text) is None):
            return text
        try:
            data = json.loads(text)
        except ValueError:
            return self.redact(text)
        found = self.redact_data(data)
        return text if found == data else json_text(found)

    def redact_data(self, data: T) -> T:
        """JSON-able data without the secrets."""
        return cast("T", self._redacted(data)) if self else data

    def unfinished(self, text: str) -> int:
        """Number of characters at the end of `text` that may be the beginning of a secret."""
        longest = max(map(len, self._forms), default=0)
        for start in range(max(0, len(text) - longest + 1), len(text)):
            if any(form.startswith(text[start:]) for form in self._forms):
                return len(text) - start
        return 0

    def _redacted(self, data: Any) -> Any:
        if isinstance(data, str):
            return self.redact(data)
        if isinstance(data, dict):
            known = cast("dict[Any, Any]", data)
            return {self._name(key): self._item(key, item) for key, item in known.items()}
        if isinstance(data, (list, tuple)):
            return [self._redacted(item) for item in cast("list[Any]", data)]
        if isinstance(data, (int, float)) and not isinstance(data, bool):
            text = str(data) if abs(data) < 1e300 else ""
            return REDACTED if len(text) >= _MIN_WORD and text in self._forms else data
        return data

    def _name(self, key: Any) -> Any:
        return self._long.sub(REDACTED, key) if isinstance(key, str) else key

    def _item(self, key: Any, item: Any) -> Any:
        return self._name(item) if key in _STRUCTURE and isinstance(item, str) else self._redacted(item)

    def _without_beginning(self, text: str) -> str:
        size = self.unfinished(text)
        return text if size < _MIN_WORD else text[:-size] + REDACTED


class RedactedStream:
    """Text that comes in pieces, without the secrets. A piece may hold a part of one."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._held = ""

    def take(self, piece: str) -> str:
        """What may be shown by now. The rest, which may be the beginning of a secret, comes later."""
        text = self._secrets.redact(self._held + piece)
        size = self._secrets.unfinished(text)
        self._held = text[len(text) - size :]
        return text[: len(text) - size]


def forms_of(value: str) -> set[str]:
    """The ways in which a secret may stand in text: as it is, and escaped by JSON or Python."""
    forms = {value, repr(value)[1:-1]}
    for _ in range(2):
        forms |= {json.dumps(form, ensure_ascii=flag)[1:-1] for form in forms for flag in (True, False)}
    return forms


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Values of variables with a secret name, such as `OPENAI_API_KEY`, and passwords in addresses."""
    named = [value.strip() for name, value in environment.items() if _NAMES.search(name.upper())]
    in_addresses = [found for value in environment.values() for found in _IN_ADDRESS.findall(value)]
    return [value for value in (*named, *in_addresses) if len(value) >= _MIN_LENGTH]


def is_secret(schema: Any) -> bool:
    """Whether a JSON schema is that of a secret: `pydantic.SecretStr`, `SecretBytes`."""
    if not isinstance(schema, dict):
        return False
    found = cast("dict[str, Any]", schema)
    if found.get("format") == "password" or found.get("writeOnly") is True:
        return True
    return any(is_secret(option) for key in ("anyOf", "oneOf", "allOf") for option in found.get(key, ()))


def _mentions_secret(schema: Mapping[str, Any]) -> bool:
    return re.search(r'"format": "password"|"writeOnly": true', json.dumps(schema, default=str)) is not None


def _secret_parts(schema: Any, value: Any, definitions: Mapping[str, Any]) -> Iterator[str]:
    """The texts in `value` that `schema` calls secret."""
    if not isinstance(schema, dict):
        return
    known = cast("dict[str, Any]", schema)
    reveal = getattr(value, "get_secret_value", None)
    if reveal is not None:
        value = reveal()
    if is_secret(known) and isinstance(value, (str, bytes, int, float)) and not isinstance(value, bool):
        yield value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    reference = str(known.get("$ref", ""))
    if reference.startswith("#/$defs/"):
        yield from _secret_parts(definitions.get(reference.removeprefix("#/$defs/")), value, definitions)
    for key in ("anyOf", "oneOf", "allOf"):
        for option in known.get(key, ()):
            yield from _secret_parts(option, value, definitions)
    if isinstance(value, (list, tuple, set, frozenset)):
        for item in cast("Iterable[Any]", value):
            yield from _secret_parts(known.get("items"), item, definitions)
    elif isinstance(value, dict) or hasattr(value, "__dict__"):
        fields: Mapping[str, Any] = cast("dict[str, Any]", value) if isinstance(value, dict) else vars(value)
        properties: Mapping[str, Any] = known.get("properties", {})
        for name, item in fields.items():
            part = properties.get(name, known.get("additionalProperties"))
            yield from _secret_parts(part, item, definitions)


def _as_pattern(form: str) -> str:
    exact = re.escape(form)
    if len(form) >= _MIN_LENGTH:
        return exact
    if len(form) >= _MIN_WORD:
        return rf"(?<!\w){exact}(?!\w)"
    return rf"(?:\A|(?<=[\"'])){exact}(?:\Z|(?=[\"']))"
