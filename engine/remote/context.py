"""A remote Context: text, messages or token ids, sent again with each request.

The server's prefix cache avoids reading them again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from braid.engine.base import Context
from braid.engine.errors import CapabilityError
from braid.engine.prompts import plain_chat
from braid.engine.types import Message, ToolChoice, ToolDeclaration, Usage


@dataclass(frozen=True)
class TextForm:
    """Plain text, for the completions endpoint."""

    content: str

    def extend(self, text: str) -> TextForm:
        return TextForm(self.content + text)


@dataclass(frozen=True)
class ChatForm:
    """Messages of a chat."""

    messages: tuple[Message, ...]
    tail: str = ""
    """Beginning of the assistant's next message. Empty unless the answer has begun."""
    tools: tuple[ToolDeclaration, ...] = ()
    """What the model may call."""
    tool_choice: ToolChoice = "auto"

    def extend(self, text: str) -> ChatForm:
        return replace(self, tail=self.tail + text)

    def messages_to_send(self) -> list[Message]:
        tail: list[Message] = [{"role": "assistant", "content": self.tail}] if self.tail else []
        return [*self.messages, *tail]


@dataclass(frozen=True)
class IdsForm:
    """Token ids."""

    ids: tuple[int, ...]
    tail: str = ""
    """Text behind the ids whose own ids the server did not report. It cannot be sent again."""

    def extend(self, text: str) -> IdsForm:
        return replace(self, tail=self.tail + text)


Form = TextForm | ChatForm | IdsForm


class RemoteContext(Context):
    """Handle on a prompt at a remote server. Made by `RemoteEngine`. It holds nothing at the server.

    It belongs to one event loop, that of its engine.
    """

    def __init__(
        self,
        form: Form,
        *,
        owner: object,
        token_count: int,
        critical_path_tokens: int,
        on_release: Callable[[RemoteContext], None],
        usage: Usage | None = None,
    ) -> None:
        self.form = form
        self.owner = owner
        self._token_count = token_count
        self._critical = critical_path_tokens
        self._usage = usage or Usage()
        self._on_release = on_release
        self._released = False

    @property
    def text(self) -> str:
        """The text as far as it is known here.

        Chat is shown as plain turns, since only the server has the template.

        Raises:
            CapabilityError: the prompt is token ids, whose text only the server knows.
        """
        match self.form:
            case TextForm(content):
                return content
            case ChatForm(messages, tail):
                return plain_chat(messages) + tail
            case IdsForm():
                raise CapabilityError(
                    "detokenize", "this server", "the text of a prompt of token ids is not known here"
                )

    @property
    def token_count(self) -> int:
        return self._token_count

    @property
    def critical_path_tokens(self) -> int:
        return self._critical

    @property
    def usage(self) -> Usage:
        return self._usage

    @property
    def released(self) -> bool:
        return self._released

    def release(self) -> None:
        if not self._released:
            self._released = True
            self._on_release(self)

    def __repr__(self) -> str:
        state = "released" if self._released else f"{self._token_count} tokens"
        return f"<RemoteContext {type(self.form).__name__} {state}>"
