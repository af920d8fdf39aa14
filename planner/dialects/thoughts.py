"""Thoughts in the text of a chat whose opening the model's template has written.

The text of such a model has only the closing `</think>`. What stands before it may hold drafts of a plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from braid.planner.language import starts_plan

OPENINGS = ("<think>", "<thinking>")
"""Tags that open thoughts."""
_CLOSE = re.compile(r"</think(?:ing)?>")
_THOUGHTS = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_DECIDED = 2_000
"""Characters of a first line after which it is taken as it is, without its end."""


def without_thoughts(text: str) -> str:
    """`text` without what stands in thoughts."""
    return _THOUGHTS.sub("", text).strip()


def opened_thoughts(prompt: str) -> str:
    """The opening of thoughts with which `prompt` ends, as a line. Empty where it ends with none."""
    return next((f"{tag}\n" for tag in OPENINGS if prompt.rstrip().endswith(tag)), "")


class ThoughtReader:
    """Holds a text back as long as it may be thoughts.

    A text that begins with a plan or a fence passes. One that begins with prose is held back until it ends,
    or until `</think>`, and what stands before that is dropped. Of one that begins with `<think>`, it is
    dropped in any case. Line numbers stay.

    It belongs to one text. One thread at a time uses it.
    """

    def __init__(self) -> None:
        self._state: Literal["start", "held", "passing"] = "start"
        self._pieces: list[str] = []
        self._line = ""
        """The last line so far."""
        self._opened = False
        """Whether the text has an opening tag."""

    def feed(self, text: str) -> Iterator[str]:
        """Take what was written next. Yield what is known to be no thoughts."""
        if self._state == "start":
            text = "".join(self._pieces) + text
            self._pieces.clear()
            self._state = self._begun(text, at_end=len(text.lstrip()) > _DECIDED)
        if self._state == "passing":
            yield text
            return
        self._pieces.append(text)
        if self._state == "held":
            yield from self._until_the_end_of_thoughts(text)

    def _until_the_end_of_thoughts(self, text: str) -> Iterator[str]:
        line = self._line + text
        if _CLOSE.search(line) is None:
            self._line = line[max(line.rfind("\n"), line.rfind("\r")) + 1 :]
            return
        held = "".join(self._pieces)
        close = _CLOSE.search(held)
        assert close is not None
        self._state = "passing"
        self._pieces.clear()
        yield "\n" * len(re.findall(r"\r\n?|\n", held[: close.end()])) + held[close.end() :].lstrip(" \t")

    def finish(self) -> Iterator[str]:
        """The text has ended. Yield what was held back, if nothing has said that it was thoughts."""
        if self._state != "passing" and not self._opened:
            yield "".join(self._pieces)
        self._pieces.clear()
        self._state = "passing"

    def _begun(self, text: str, *, at_end: bool) -> Literal["start", "held", "passing"]:
        """What the first line of `text` says. It is not over as long as no line end was read."""
        begin = text.lstrip()
        self._opened = begin.startswith(OPENINGS)
        if self._opened:
            return "held"
        line, end, _ = begin.partition("\n")
        if not end and not at_end:
            return "start"
        return "passing" if starts_plan(line) and _CLOSE.search(line) is None else "held"
