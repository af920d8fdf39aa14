"""From text to token ids and back: prompts, and decoding a growing completion in whole characters."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, cast

from braid.engine.errors import InvalidParamsError
from braid.engine.prompts import ChatPrompt, TextPrompt, TokenPrompt, plain_chat, without_system
from braid.engine.surrogates import mend_text
from braid.engine.tool_calls import HERMES, CallForm, ChatReading, find_call_form
from braid.engine.types import Message

_TORN = "\ufffd"
_LOOK_BACK = 6
_MARK = "\ufdd0"
"""Stands in special tokens that are text. It is no character, and no text has it."""


_LONG = 4_000
"""Characters (or token ids) that are read in about a millisecond."""


def prompt_size(prompt: object) -> int:
    """Characters of text and messages, or the number of token ids. 0 for what is no prompt."""
    if not isinstance(prompt, Sequence):
        return 0
    items = cast("Sequence[object]", prompt)
    if isinstance(prompt, str) or len(items) > _LONG:
        return len(items)
    messages = [cast("Mapping[str, object]", item) for item in items if isinstance(item, Mapping)]
    return sum(len(str(message.get("content"))) for message in messages)


async def off_loop(read: Callable[[], tuple[int, ...]], size: int) -> tuple[int, ...]:
    """The ids of a text of that size. Long ones are read on a thread, so that the event loop continues."""
    return read() if size <= _LONG else await asyncio.to_thread(read)


class TextCodec:
    """A Hugging Face tokenizer as the engine needs it.

    Special tokens written in a text prompt are read as such: `<|end|>` is one token, not its characters.
    Prompts for models with their own markup rely on it. Neutralise untrusted text before putting it into one.
    In the messages of a chat they are text. Only those of the template are special.
    """

    def __init__(self, tokenizer: Any, vocabulary: int) -> None:
        self._tokenizer = tokenizer
        self.vocabulary = vocabulary
        added = getattr(tokenizer, "added_tokens_decoder", {}).values()
        special = {str(token) for token in added if token.special} | set(tokenizer.all_special_tokens)
        texts = sorted(filter(None, special), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, texts)) or "(?!)")
        self._marked = re.compile("|".join(re.escape(_marked(text)) for text in texts) or "(?!)")
        self.has_template = bool(getattr(tokenizer, "chat_template", None))

    def read(self, prompt: TextPrompt | ChatPrompt | TokenPrompt) -> tuple[int, ...]:
        """The ids of a prompt. Text gets the special tokens that the tokenizer puts before a document."""
        match prompt:
            case TextPrompt(text):
                ids = self._document(text)
            case ChatPrompt(messages):
                ids = self._read_messages(messages, {})
            case TokenPrompt(ids):
                bad = [token for token in ids if not 0 <= token < self.vocabulary]
                if bad:
                    raise InvalidParamsError(
                        f"token ids must lie in 0..{self.vocabulary - 1}; the prompt has {bad[:5]}"
                    )
        if not ids:
            raise InvalidParamsError("the prompt has no tokens")
        return ids

    def read_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
        options: Mapping[str, Any],
    ) -> ChatReading | None:
        """The ids of a chat with tools, or with options for the template.

        Args:
            messages: messages in the words of the OpenAI API. Their calls have arguments as objects.
            tools: tools in the words of the OpenAI API.
            options: variables of the template. Without a template they have no effect.

        Returns:
            None where there are tools or calls that no template can show.

        Raises:
            InvalidParamsError: the template refuses messages without tools and calls, or an option has the
                name of something else.
        """
        reserved = {"messages"}
        if self.has_template:
            reserved |= inspect.signature(self._tokenizer.apply_chat_template).parameters.keys()
        if taken := sorted(reserved & options.keys()):
            raise InvalidParamsError(
                f"chat_template_kwargs sets variables of the chat template; {taken} are none",
                param="chat_template_kwargs",
            )
        called = any(message["role"] == "tool" or "tool_calls" in message for message in messages)
        special = called or bool(tools)
        if special and self._call_form is None:
            return None
        try:
            ids = self._read_messages(messages, options, tools)
        except InvalidParamsError:
            if special:
                return None
            raise
        return ChatReading(ids=ids, call_form=self._call_form or HERMES)

    def _read_messages(
        self,
        messages: Sequence[Mapping[str, Any]],
        options: Mapping[str, Any],
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> tuple[int, ...]:
        if self.has_template:
            return self._encode_marked(self._render(messages, options, tools), self.encode)
        return self._encode_marked(plain_chat(self._mark(messages)), self._document)

    @cached_property
    def _call_form(self) -> CallForm | None:
        """How the model writes calls. None where no template takes tools."""
        if not self.has_template:
            return None

        def render(
            messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], start: bool
        ) -> str:
            return self._apply_template(
                messages, {"tools": list(tools) or None, "add_generation_prompt": start}
            )

        return find_call_form(render)

    def _render(
        self,
        messages: Sequence[Mapping[str, Any]],
        options: Mapping[str, Any],
        tools: Sequence[Mapping[str, Any]],
    ) -> str:
        """Messages in the markup of the chat template.

        Some templates refuse the system role. Its text then goes before that of the first user message.

        Raises:
            InvalidParamsError: the template refuses the messages all the same.
        """
        roles = [message["role"] for message in messages]
        messages, tools = self._mark(messages), self._mark(tools)
        options = {**options, "tools": tools or None, "add_generation_prompt": True}
        try:
            return self._apply_template(messages, options)
        except Exception as error:  # templates are programs that come with the model
            moved = without_system(cast("Sequence[Message]", messages))
            if moved is not None:
                with suppress(Exception):
                    return self._apply_template(moved, options)
            reason = " ".join(str(error).split())[:200]
            raise InvalidParamsError(
                f"the model's chat template refuses these messages ({type(error).__name__}: {reason}); "
                f"their roles are {roles}",
            ) from error

    def _apply_template(self, messages: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> str:
        return self._tokenizer.apply_chat_template(list(messages), tokenize=False, **options)

    def encode(self, text: str) -> tuple[int, ...]:
        """The ids of text that continues something. Nothing is put before or after it."""
        return tuple(self._tokenizer.encode(mend_text(text), add_special_tokens=False, verbose=False))

    def _mark(self, value: Any) -> Any:
        """A value of JSON with a mark in each special token that is written in its texts."""
        match value:
            case str():
                return self._special.sub(lambda found: _marked(found.group()), value)
            case Mapping():
                return {self._mark(key): self._mark(item) for key, item in value.items()}
            case list() | tuple():
                return [self._mark(item) for item in value]
            case _:
                return value

    def _encode_marked(self, text: str, encode: Callable[[str], tuple[int, ...]]) -> tuple[int, ...]:
        """The ids of a text with marks. A special token with a mark is read as its characters."""
        found: list[int] = []
        start = 0
        for marked in self._marked.finditer(text):
            if before := text[start : marked.start()]:
                found += encode(before) if start == 0 else self.encode(before)
            plain = marked.group().replace(_MARK, "")
            found += self._tokenizer.encode(
                plain, add_special_tokens=False, split_special_tokens=True, verbose=False
            )
            start = marked.end()
        if start == 0:
            return encode(text)
        return (*found, *self.encode(text[start:]))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens included. Incomplete characters come out as U+FFFD."""
        return self._tokenizer.decode(
            list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    def _document(self, text: str) -> tuple[int, ...]:
        bos = self._tokenizer.bos_token
        if bos and text.startswith(bos):  # the caller has marked it up, a second one would be wrong
            return self.encode(text)
        return tuple(self._tokenizer.encode(text, add_special_tokens=True, verbose=False))


def _marked(special: str) -> str:
    return special[0] + _MARK + special[1:]


class Detokenizer:
    """Decodes a sequence that grows token by token.

    A token's text can depend on its neighbours, and a character's bytes can be spread over several tokens. So
    each step decodes a short window and shows what is new in it, once it ends with a whole character.
    """

    def __init__(self, codec: TextCodec, before: Sequence[int]) -> None:
        self._codec = codec
        self._window = list(before[-_LOOK_BACK:])
        self._known = codec.decode(self._window)
        self._fresh = 0
        self.torn = False
        """Whether the last token ended inside a character."""

    def push(self, token: int) -> str:
        """The text that `token` completes. Empty while a character is incomplete."""
        self._window.append(token)
        self._fresh += 1
        text = self._codec.decode(self._window)
        self.torn = text.endswith(_TORN)
        return "" if self.torn else self._show(text)

    def push_all(self, tokens: Sequence[int]) -> str:
        """The text of `tokens` at once. A character may be incomplete at its end."""
        self._window += tokens
        self._fresh += len(tokens)
        return self.flush()

    def flush(self) -> str:
        """What is still held back. A character may be incomplete at its end."""
        if not self._fresh:
            return ""
        self.torn = False
        return self._show(self._codec.decode(self._window))

    def _show(self, text: str) -> str:
        shown = text[len(self._known) :]
        self._window = self._window[-self._fresh :]
        self._fresh = 0
        self._known = self._codec.decode(self._window)
        return shown
