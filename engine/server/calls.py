"""Calls of tools, read from a completion while it is written."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from braid.engine.stop_strings import held_back
from braid.engine.tool_calls import CallForm


@dataclass
class CallReader:
    """Splits what is written under the grammar of a `ToolUse` into text and calls."""

    form: CallForm
    leads_with_text: bool
    """Whether text may come before a call."""
    calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """The calls so far, in the API's words."""
    text: str = ""
    """The text so far."""
    _state: Literal["text", "answer", "name", "arguments", "end"] = "text"
    _rest: str = ""
    """What is not told yet."""
    _depth: int = 0
    _quoted: bool = False
    _escaped: bool = False

    @property
    def complete(self) -> bool:
        """Whether everything is read that a call needs."""
        return self._state == "end" and self._rest.startswith(self.form.end)

    def feed(self, text: str, *, last: bool = False) -> dict[str, Any]:
        """What `text` adds, as the delta of a chunk. `last`: nothing follows."""
        self._rest += text
        said, deltas = "", list[dict[str, Any]]()
        for piece in self._pieces(last):
            if isinstance(piece, str):
                said += piece
            else:
                deltas.append(piece)
        self.text += said
        return ({"content": said} if said else {}) | ({"tool_calls": deltas} if deltas else {})

    def _pieces(self, last: bool) -> Iterator[str | dict[str, Any]]:
        if self._state in ("text", "answer"):
            yield from self._read_text(last)
        while self._state not in ("text", "answer"):
            if self._state == "end" and not self._skip_to_next():
                return
            if self._state == "name":
                call = self._read_name()
                if call is None:
                    return
                yield call
            if self._rest:
                written = self._read_arguments()
                self.calls[-1]["function"]["arguments"] += written
                yield {"index": len(self.calls) - 1, "function": {"arguments": written}}
            if self._state == "arguments":
                return

    def _read_text(self, last: bool) -> Iterator[str]:
        at = held = 0
        if self._state == "text":
            trigger = self.form.trigger if self.leads_with_text else self.form.begin
            at = self._rest.find(trigger)
            if at == 0 or (at > 0 and self.leads_with_text):
                self._state = "name"
            else:
                held = 0 if last else held_back(self._rest, [trigger])
                if not self.leads_with_text and held < len(self._rest):
                    self._state, held = "answer", 0
        if self._state != "name":
            at = len(self._rest) - held
        if self._rest[:at]:
            yield self._rest[:at]
        self._rest = self._rest[at:]

    def _read_name(self) -> dict[str, Any] | None:
        start = len(self.form.begin)
        at = self._rest.find(self.form.middle, start)
        if at < 0:
            return None
        function = {"name": self._rest[start:at], "arguments": ""}
        self.calls.append({"id": f"call_{secrets.token_hex(12)}", "type": "function", "function": function})
        self._rest = self._rest[at + len(self.form.middle) :]
        self._state = "arguments"
        return {"index": len(self.calls) - 1, **self.calls[-1], "function": dict(function)}

    def _read_arguments(self) -> str:
        """The arguments as far as they are written. They end with the bracket that closes them."""
        for at, character in enumerate(self._rest):
            if self._escaped:
                self._escaped = False
            elif self._quoted:
                self._escaped = character == "\\"
                self._quoted = character != '"'
            elif character == '"':
                self._quoted = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth == 0:
                    self._state = "end"
                    written, self._rest = self._rest[: at + 1], self._rest[at + 1 :]
                    return written
        written, self._rest = self._rest, ""
        return written

    def _skip_to_next(self) -> bool:
        """Whether another call begins. Then it is next."""
        head = self.form.end + (self.form.separator or "")
        if len(self._rest) <= len(head):
            return False
        self._rest = self._rest[len(head) :]
        self._state = "name"
        return True
