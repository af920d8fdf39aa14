"""Calls of tools in the text of a chat, read as it is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal

from braid.planner.dialects.forms import Called, called_statement, calls_in
from braid.planner.language import MAX_STATEMENT_CHARS, starts_plan

_OPENING = re.compile(
    r"\s*(?:```\w*\s*)?(?:<tool_call>|\[TOOL_CALLS\]|<\|python_tag\|>|\{|\[\s*\{|\[\s*[^\W\d]\w*\()"
)
"""The beginning of calls."""
_UNDECIDED = re.compile(r"\s*(?:```\w*\s*)?\[?\s*")
"""The beginning of calls or of a plan."""
_BETWEEN = re.compile(r"(?:[\s,;]|```\w*|</?tool_calls?>|\[/?TOOL_CALLS\]|<\|\w*\|>|</s>)+")
"""What stands around calls."""
_MISTRAL_TAG = "[TOOL_CALLS]"
_MISTRAL = re.compile(r"([^\W\d][\w.-]*)\s*(?:\[CALL_ID\]\w*)?\s*(?:\[ARGS\])?\s*(?=\{)")
"""The name of a call, of which the arguments follow."""
_BRACKETS = re.compile(r"[()\[\]{}\"']|\\.?", re.DOTALL)


class _Block:
    """The end of a block in brackets, in a text that grows. The work is linear in the text's length."""

    def __init__(self) -> None:
        self.open = False
        """Whether a block has begun and is not over."""
        self._at = 0
        self._depth = 0
        self._quote = ""

    def end(self, text: str, start: int) -> int | None:
        """The place behind the bracket that closes the one at `start`. None as long as it is not there."""
        if not self.open:
            self.open, self._at, self._depth, self._quote = True, start, 0, ""
        for found in _BRACKETS.finditer(text, self._at):
            mark = found.group()
            if mark == "\\":
                break  # what it escapes has yet to come
            self._at = found.end()
            if mark[0] == "\\":
                continue
            if mark in "\"'":
                self._quote = "" if self._quote == mark else self._quote or mark
            elif not self._quote:
                self._depth += 1 if mark in "([{" else -1
            if self._depth == 0:
                self.open = False
                return self._at
        else:
            self._at = len(text)
        return None


class CallReader:
    """Turns calls of tools into statements. A text that begins with a plan passes as it is.

    A text is a plan or a list of calls: what comes first decides, and the rest of the other kind is not
    looked for. So a value that looks like a call is no call.

    It belongs to one text. One thread at a time uses it.

    Args:
        write: Writes the line of a call.
    """

    def __init__(self, write: Callable[[Called], str]) -> None:
        self._write = write
        self._state: Literal["start", "plan", "calls"] = "start"
        self._text = ""
        """What is not yet handed on or read."""
        self._found = False
        """Whether there was a call."""
        self._named = False
        """Whether names may stand before the arguments instead of among them, as behind `[TOOL_CALLS]`."""
        self._block = _Block()

    def feed(self, text: str) -> Iterator[str]:
        """Take what was written next. Yield text of the plan language."""
        self._text += text
        yield from self._go_on(at_end=False)

    def finish(self) -> Iterator[str]:
        """The text has ended. Yield the rest."""
        yield from self._go_on(at_end=True)
        if self._text and (self._block.open or not self._found):
            yield self._text
        self._text = ""

    def _go_on(self, *, at_end: bool) -> Iterator[str]:
        if self._state == "start":
            yield from self._start(at_end=at_end)
        if self._state == "calls":
            yield from self._calls(at_end=at_end)
        if self._state == "plan" and self._text:
            text, self._text = self._text, ""
            yield text

    def _start(self, *, at_end: bool) -> Iterator[str]:
        """Hand on the lines before the first call or the first statement."""
        while self._text and self._state == "start":
            end = self._text.find("\n") + 1
            if len(self._text) > MAX_STATEMENT_CHARS:
                self._state = "plan"
            elif _OPENING.match(self._text):
                self._state = "calls"
            elif _UNDECIDED.fullmatch(self._text) or not (end or at_end):
                return
            elif starts_plan(self._text[: end or None]):
                self._state = "plan"
            else:
                line, self._text = self._text[: end or None], self._text[end:] if end else ""
                yield line

    def _calls(self, *, at_end: bool) -> Iterator[str]:
        while self._state == "calls" and self._text:
            if not self._block.open and (between := _BETWEEN.match(self._text)):
                self._named |= _MISTRAL_TAG in between.group()
                self._text = self._text[between.end() :]
                continue
            if _MISTRAL_TAG.startswith(self._text) and not at_end:
                return
            name = _MISTRAL.match(self._text) if self._named else None
            if self._text[0] not in "{[" and name is None:
                end = self._text.find("\n") + 1
                if not end:
                    return
                self._text = self._text[end:]  # prose between calls
                continue
            start = name.end() if name else 0
            end = self._block.end(self._text, start)
            if end is None:
                return
            block = self._text[start:end]
            calls = [Called(tool=name[1], text=called_statement(name[1], block))] if name else calls_in(block)
            if calls is None and not self._found:
                self._state = "plan"
                return
            self._text = self._text[end:]
            self._found = True
            for call in calls or ():
                yield self._write(call)
