"""Conversations: the messages and the typed turns that one run hands to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, cast

from braid.engine import Message
from braid.engine.surrogates import mend_text
from braid.orchestrator.errors import InvalidHistoryError
from braid.planner.follow_up import Turn

_ROLES = ("system", "user", "assistant")


def read_history(history: Sequence[Message] | None) -> list[Message]:
    """A checked copy of `history`.

    Raises:
        InvalidHistoryError: It is no sequence of messages. The error names the message that is wrong.
    """
    if history is None:
        return []
    if isinstance(history, (str, bytes)) or not isinstance(history, Sequence):
        raise InvalidHistoryError(
            f"history must be a sequence of messages, such as result.history; got {history!r:.80}"
        )
    return [_message(place, message) for place, message in enumerate(history)]


class History(tuple[Message, ...]):
    """The messages of a conversation, for chat models, and its turns as typed data.

    Wherever messages are taken, a `History` is taken too. Follow-ups are read from its turns.
    """

    turns: tuple[Turn, ...] = ()

    @classmethod
    def of(cls, messages: Sequence[Message], turns: Sequence[Turn]) -> Self:
        """The history of these messages and turns."""
        made = cls(messages)
        made.turns = tuple(turns)
        return made

    def extended(self, question: str, answer: str, turn: Turn | None) -> History:
        """This history with one more exchange."""
        more: list[Message] = [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
        return History.of((*self, *more), self.turns if turn is None else (*self.turns, turn))


def _message(place: int, given: object) -> Message:
    message = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES or not isinstance(content, str):
        raise InvalidHistoryError(
            f"history[{place}] must have a role ({', '.join(_ROLES)}) and a content text, got {given!r:.80}"
        )
    return {"role": role, "content": mend_text(content)}
