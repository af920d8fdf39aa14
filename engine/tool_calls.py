"""How a model writes calls of tools, and how its chat template shows that."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any


@dataclass(frozen=True, kw_only=True)
class CallForm:
    """The text around the name and the arguments of a call."""

    begin: str
    """Text before the name."""
    middle: str
    """Text between the name and the arguments, which are a JSON object."""
    end: str
    """Text after the arguments."""
    separator: str | None
    """Text between two calls. None: there is one call at most."""

    tokens: Mapping[str, int] = field(default_factory=dict[str, int], hash=False)
    """Tokens in these texts that are no text for a grammar, and their ids."""

    text_tokens: frozenset[int] = frozenset()
    """Further such tokens, which may occur in a text before a call or without one."""

    @property
    def trigger(self) -> str:
        """The beginning of a call, where a call begins if it stands in a text.

        It is a token, or the first line as far as the first token.
        """
        line = self.begin.partition("\n")[0]
        first, *rest = self.split(line)
        return line if not rest else first

    def split(self, text: str) -> list[str]:
        """A part of this form, with the tokens apart from the text between them."""
        names = sorted(self.tokens, key=len, reverse=True)
        if not names:
            return [text]
        pattern = "(" + "|".join(map(re.escape, names)) + ")"
        return [piece for piece in re.split(pattern, text) if piece] or [text]

    def with_tokens(self, known: Mapping[str, int], text_tokens: frozenset[int]) -> CallForm:
        """The form for a tokenizer with the tokens `known`, of which `text_tokens` occur in texts."""
        text = self.begin + self.middle + self.end + (self.separator or "")
        tokens = {token: id for token, id in known.items() if token in text}
        return replace(self, tokens=tokens, text_tokens=text_tokens - {*tokens.values()})

    def write(self, name: str, arguments: str) -> str:
        """A call as text. `arguments` is JSON."""
        return f"{self.begin}{name}{self.middle}{arguments}{self.end}"


HERMES = CallForm(
    begin='<tool_call>\n{"name": "', middle='", "arguments": ', end="}\n</tool_call>", separator="\n"
)
"""The form of Hermes and Qwen, for chats whose template has none."""


@dataclass(frozen=True, kw_only=True)
class ChatReading:
    """A chat in the markup of a model's chat template."""

    ids: tuple[int, ...]
    call_form: CallForm
    """How this model writes calls."""


Render = Callable[[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]], bool], str]
"""The text of messages and tools in a template, with or without the beginning of an answer."""

_NAME = "probe_{}_name"
_TOOL = {
    "type": "function",
    "function": {
        "name": _NAME.format(0),
        "description": "",
        "parameters": {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]},
    },
}
_ASKED = {"role": "user", "content": "x"}


def find_call_form(render: Render) -> CallForm | None:
    """The form in which a template writes calls.

    It is read off messages with calls of a made-up tool. A template that takes tools and writes their calls
    in another way than name, then arguments as JSON, has the form `HERMES`.

    Returns:
        None where the template takes no tools.
    """
    try:
        shown = render([_ASKED], [_TOOL], True)
        if shown == render([_ASKED], [], True):
            return None
    except Exception:  # templates are programs that come with the model
        return None
    for count in (2, 1):
        try:
            text = render([_ASKED, _probe(count)], [_TOOL], False)
        except Exception:  # some refuse more than one call
            continue
        pieces = _split(text, count)
        if pieces is None:
            return HERMES
        form = _of_two(pieces) if count == 2 else _of_one(pieces, shown)
        if form is not None and form.begin and form.end:
            return form
    return HERMES


def _probe(count: int) -> dict[str, Any]:
    calls = [
        {
            "id": f"{place:09d}",
            "type": "function",
            "function": {"name": _NAME.format(place), "arguments": {"key": f"value{place}"}},
        }
        for place in range(count)
    ]
    return {"role": "assistant", "content": "", "tool_calls": calls}


def _split(text: str, count: int) -> list[str] | None:
    """The text around the names and arguments of the calls. None where they are not as expected."""
    # The tool itself has the name of the first call, so that the last one is the call.
    start = text.rfind(_NAME.format(0))
    pieces = [text[:start]]
    rest = text[start:]
    for place in range(count):
        written = json.dumps({"key": f"value{place}"})
        for part in (_NAME.format(place), written if written in rest else written.replace(": ", ":")):
            before, found, rest = rest.partition(part)
            if not found:
                return None
            pieces.append(before)
    return [pieces[0], *pieces[2:], rest]


def _of_two(pieces: list[str]) -> CallForm | None:
    before, middle, between, middle_again, after = pieces
    end = _common(between, after)
    rest = between.removeprefix(end)
    begin = _common(before[::-1], rest[::-1])[::-1]
    separator = rest[: len(rest) - len(begin)]
    stripped = begin.lstrip()
    separator += begin[: len(begin) - len(stripped)]
    if middle != middle_again:
        return None
    return CallForm(begin=stripped, middle=middle, end=end, separator=separator)


def _common(one: str, other: str) -> str:
    """The longest text with which both begin."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(pair[0] for pair in same)


def _of_one(pieces: list[str], shown: str) -> CallForm | None:
    before, middle, after = pieces
    if not before.startswith(shown):
        return None
    # What follows the call's own brackets ends the message, which the end of the sequence does here.
    depth = before[len(shown) :].count("{") - before[len(shown) :].count("}")
    return CallForm(begin=before[len(shown) :], middle=middle, end=after[:depth], separator=None)
