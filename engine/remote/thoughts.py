"""Thoughts that a server leaves in the text of a chat: `<think>...</think>` at its very beginning.

Whatever else looks like a tag is text. So is all of a text that only ends thoughts (`...</think>`), since its
beginning was handed on before.
"""

from __future__ import annotations

from typing import Literal

from braid.engine.stop_strings import held_back

_BEGIN, _END = "<think>", "</think>"


class ThoughtSplitter:
    """Splits a text that comes in pieces into what is said and thoughts.

    White space between the end of thoughts and the text is dropped.
    """

    def __init__(self) -> None:
        self._state: Literal["begin", "thoughts", "after", "text"] = "begin"
        self._held = ""
        """What may be part of a tag."""

    @property
    def thinking(self) -> bool:
        """Whether thoughts have begun and no text came behind them."""
        return self._state in ("thoughts", "after")

    def feed(self, piece: str) -> tuple[str, str]:
        """The text and the thoughts that `piece` adds."""
        text, self._held = self._held + piece, ""
        thought = ""
        if self._state == "begin":
            start = text.lstrip()
            thinks = start.startswith(_BEGIN)
            if not thinks and _BEGIN.startswith(start):
                self._held = text
                return "", ""
            self._state, text = ("thoughts", start.removeprefix(_BEGIN)) if thinks else ("text", text)
        if self._state == "thoughts":
            thought, tag, text = text.partition(_END)
            if tag:
                self._state = "after"
            else:
                end = len(thought) - held_back(thought, [_END])
                thought, self._held = thought[:end], thought[end:]
        if self._state == "after":
            text = text.lstrip()
            self._state = "text" if text else "after"
        return text, thought

    def close(self) -> tuple[str, str]:
        """The text and the thoughts that were held back, when nothing follows any more."""
        held, self._held = self._held, ""
        return ("", held) if self.thinking else (held, "")
