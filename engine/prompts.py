"""The three forms of a prompt, and the plain form of a chat for models without a template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from braid.engine.errors import InvalidParamsError
from braid.engine.surrogates import mend_text
from braid.engine.types import Message, Prompt

_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class TextPrompt:
    """A prompt given as text."""

    text: str


@dataclass(frozen=True)
class ChatPrompt:
    """A prompt given as messages."""

    messages: tuple[Message, ...]


@dataclass(frozen=True)
class TokenPrompt:
    """A prompt given as token ids."""

    ids: tuple[int, ...]


def read_prompt(prompt: Prompt) -> TextPrompt | ChatPrompt | TokenPrompt:
    """Check a prompt and return it in its form. Halves of characters in its text are mended.

    Raises:
        InvalidParamsError: the prompt is empty or malformed.
    """
    raw: object = prompt
    if isinstance(raw, str):
        if not raw:
            raise InvalidParamsError("the prompt is empty; give at least one character")
        return TextPrompt(mend_text(raw))
    if not isinstance(raw, Sequence) or isinstance(raw, bytes | bytearray):
        raise InvalidParamsError(f"a prompt is text, a list of messages or a list of token ids, got {raw!r}")
    items = cast("Sequence[object]", raw)
    if not items:
        raise InvalidParamsError("the prompt is empty; give at least one message or token id")
    if all(isinstance(item, int) and not isinstance(item, bool) for item in items):
        return TokenPrompt(tuple(cast("Sequence[int]", items)))
    return ChatPrompt(tuple(_message(item, place) for place, item in enumerate(items)))


def _message(item: object, place: int) -> Message:
    if not isinstance(item, Mapping):
        raise InvalidParamsError(
            f"prompt item {place} must be a message with 'role' and 'content', got {item!r}"
        )
    fields = cast("Mapping[str, Any]", item)
    role, content = fields.get("role"), fields.get("content")
    if role not in _ROLES:
        raise InvalidParamsError(f"message {place}: role must be one of {_ROLES}, got {role!r}")
    if not isinstance(content, str):
        raise InvalidParamsError(f"message {place}: content must be text, got {content!r}")
    return Message(role=role, content=mend_text(content))


def plain_chat(messages: Sequence[Message]) -> str:
    """Chat as plain text, for models without a chat template.

    Each message is `System: ...`, `User: ...` or `Assistant: ...`, one empty line apart. The text ends with
    `Assistant:`, where the model continues.
    """
    turns = [f"{message['role'].capitalize()}: {message['content']}" for message in messages]
    return "\n\n".join([*turns, "Assistant:"])


def without_system(messages: Sequence[Message]) -> tuple[Message, ...] | None:
    """The messages with the text of all system messages before that of the first user message.

    Returns:
        None where there is no system message or no user message.
    """
    system = [message["content"] for message in messages if message["role"] == "system"]
    others = [message for message in messages if message["role"] != "system"]
    first = next((place for place, message in enumerate(others) if message["role"] == "user"), None)
    if not system or first is None:
        return None
    others[first] = Message(role="user", content="\n\n".join([*system, others[first]["content"]]))
    return tuple(others)
