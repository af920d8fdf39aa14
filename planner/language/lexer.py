"""Logical lines of a plan: where a statement begins and ends, whatever a model writes around its plan.

The unit is the physical line, so any chunking of the input gives the same logical lines. Every character is
looked at once. Markdown fences, prose before and after the plan, thinking blocks, comments and end marks are
dropped here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from braid.planner.errors import Place, PlanSyntaxError

MAX_STATEMENT_CHARS = 20_000
"""A longer statement is an error. Usually one of its brackets is never closed."""

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_LINE_END = re.compile(r"[\r\n]")
_NEXT = re.compile(r"[()\[\]{}]|\"{3}|'{3}|[\"'#]|\\$|<[|/]|```")
_FENCE = re.compile(r"\s*(```|~~~)")
_END_MARK = re.compile(r"\s*<[|/]")
_THINK_OPEN = re.compile(r"\s*<think(?:ing)?>")
_THINK_CLOSE = re.compile(r"</think(?:ing)?>")
_STRING_END = {quote: re.compile(rf"(?:\\.|(?!{quote})[^\\])*{quote}") for quote in ('"', "'", '"""', "'''")}
_STATEMENT_START = re.compile(
    r"""\s*(?:
        [^\W\d][\w\u0300-\u1fff.]*(?:\[\w*\])?\s*(?:,\s*[^\W\d]\w*\s*)*  # a name is bound, marks included,
            (?::\s*[\w.]+(?:\[[^\]]*\])?\s*)?[-+*/]?=(?!=)             # with or without an annotation
      | [^\W\d][\w\u0300-\u1fff]*(?:\.\w+)*\(                                           # a call
      | if\b.*[:(\[] | elif\b | else\s*:                                # a branch
      | \[.*\( | \[\s*$                                                  # a map without a name
      | (?:for|while|with|async)\b.*:\s*$ | (?:def|class)\s+\w+.*:\s*$ # Python that plans do not have
      | try\s*:
      | import\s+[\w.,\s]+$ | from\s+[\w.]+\s+import\b | return\b | pass\s*$
    )""",
    re.VERBOSE,
)


def starts_plan(line: str) -> bool:
    """Whether a line that comes first belongs to a plan: a statement, a fence or a comment begins with it."""
    begins = _STATEMENT_START.match(line) or _FENCE.match(line)
    return begins is not None or line.lstrip().startswith("#")


@dataclass(frozen=True)
class LogicalLine:
    """The text of one statement, over all its physical lines."""

    text: str
    """The statement from its first character on."""
    line: int
    """Number of its first physical line, from 1."""
    column: int
    """Column of its first character, from 1."""
    indent: int
    """Width of the white space before it. A tab reaches to the next multiple of 8."""
    end: int
    """Offset in the whole input just behind its line end."""
    opens_block: bool
    """Whether its last character of code is a colon."""
    physical: tuple[str, ...]
    """Its physical lines, white space and comments included."""


@dataclass(frozen=True)
class _Opening:
    """A bracket or quote that opens something."""

    mark: str
    line: int
    column: int


@dataclass
class _Statement:
    """A logical line that is being read."""

    line: int
    parts: list[str] = field(default_factory=lambda: list[str]())
    """The physical lines so far."""
    size: int = 0
    """Characters so far."""
    brackets: list[_Opening] = field(default_factory=lambda: list[_Opening]())
    """The brackets that are open, outermost first."""
    string: _Opening | None = None
    """The quote of the string that is open."""
    last_code: str = ""
    """The last character that is neither white space nor comment."""

    def add(self, text: str) -> None:
        self.parts.append(text)
        self.size += len(text) + 1

    @property
    def innermost(self) -> _Opening | None:
        return self.brackets[-1] if self.brackets else None


_Scanned = Literal["open", "closed", "ended"]
"""The statement goes on behind its line, ends with the line, or the whole plan ends in the line."""


class LineReader:
    """Splits a stream of characters into logical lines.

    Lines that do not look like statements are prose before the first statement and after an `answer`. Prose
    is dropped. In between, such lines are handed out, and the parser refuses them.

    Args:
        max_statement_chars: A longer statement is an error.
    """

    def __init__(self, *, max_statement_chars: int = MAX_STATEMENT_CHARS) -> None:
        self.started = False
        """Whether there was a statement. The parser sets it."""
        self.answered = False
        """Whether there was an `answer`. The parser sets it."""
        self.ended = False
        """Whether an end mark was read. Nothing is read behind it."""
        self.fences_opened = 0
        """Number of Markdown fences that were opened."""
        self.drafts = 0
        """How often a `</think>` came that nothing had opened, and that no `answer` stood before."""
        self._limit = max_statement_chars
        self._pending: list[str] = []
        self._pending_size = 0
        self._discarding = False
        self._skip_line_feed = False
        self._in_fence = False
        self._thinking = False
        self._line = 0
        self._offset = 0
        self._statement: _Statement | None = None

    def feed(self, chunk: str) -> Iterator[LogicalLine | PlanSyntaxError]:
        """Take the next characters. Yield the logical lines that they complete, and located errors.

        Run the generator to its end. The caller sets `started` and `answered` while it runs.
        """
        start = 0
        while start < len(chunk) and not self.ended:
            if self._skip_line_feed:
                self._skip_line_feed = False
                if chunk[start] == "\n":
                    start += 1
                    self._offset += 1
                    continue
            found = _LINE_END.search(chunk, start)
            stop = found.start() if found else len(chunk)
            if stop > start:
                self._offset += stop - start
                error = self._buffer(chunk[start:stop])
                if error is not None:
                    yield error
            start = stop
            if found:
                start += 1
                self._offset += 1
                self._skip_line_feed = found.group() == "\r"
                item = self._end_line()
                if item is not None:
                    yield item

    def finish(self) -> Iterator[LogicalLine | PlanSyntaxError]:
        """The input has ended. Yield what the last line holds, and an error for what was left open."""
        if self.ended:
            return
        for item in (self._end_line() if self._pending else None, self._unclosed()):
            if item is not None:
                yield item
        self.ended = True

    def _buffer(self, piece: str) -> PlanSyntaxError | None:
        """Keep a piece of the physical line. Returns an error once the statement is too long."""
        if self._discarding:
            return None
        self._pending.append(piece)
        self._pending_size += len(piece)
        statement = self._statement
        if (statement.size if statement else 0) + self._pending_size <= self._limit:
            return None
        text = statement.parts[0] if statement else "".join(self._pending)
        opening = statement.innermost if statement else None
        self._statement = None
        self._pending.clear()
        self._discarding = True
        return PlanSyntaxError(
            f"statement is longer than {self._limit} characters",
            line=statement.line if statement else self._line + 1,
            column=1,
            fix=f"close the {opening.mark!r} of line {opening.line}, column {opening.column}"
            if opening
            else "write shorter statements, one on each line",
            source_line=text[: min(60, self._limit)],
        )

    def _end_line(self) -> LogicalLine | PlanSyntaxError | None:
        """Read the physical line that is complete. Returns the statement or the error that ends with it."""
        text = "".join(self._pending)
        discard = self._discarding
        self._pending.clear()
        self._pending_size = 0
        self._discarding = False
        self._line += 1
        if self._line == 1:
            text = text.removeprefix("\ufeff")
        if discard:
            return None
        if self._statement is None:
            begun = self._begin(text)
            if begun is None:
                return None
            text = begun
            self._statement = _Statement(line=self._line)
        statement = self._statement
        scanned = self._scan(statement, text)
        if scanned == "open":
            return None
        if scanned == "ended" and (statement.brackets or statement.string):
            return self._unclosed()
        self._statement = None
        return scanned if isinstance(scanned, PlanSyntaxError) else self._logical(statement)

    def _begin(self, text: str) -> str | None:
        """The text of a line that begins a statement. None for every other kind of line."""
        if self._thinking or (not self.started and _THINK_OPEN.match(text)):
            close = _THINK_CLOSE.search(text)
            self._thinking = close is None
            if close is None:
                return None
            text = text[close.end() :]
        elif self.started and not self.answered and (close := _THINK_CLOSE.match(text.lstrip())):
            self.drafts += 1
            self.started = self._in_fence = False
            self.fences_opened = 0
            text = text.lstrip()[close.end() :]
        stripped = text.strip()
        if not stripped or stripped.startswith("#"):
            return None
        if _FENCE.match(text):
            self._in_fence = not self._in_fence
            self.fences_opened += self._in_fence
            return None
        if self._in_fence:
            pass
        elif self.fences_opened:
            return None
        elif (not self.started or self.answered) and not _STATEMENT_START.match(text):
            if _END_MARK.match(text) and (self.started or not _THINK_CLOSE.search(text)):
                self.ended = True
            return None
        if _END_MARK.match(text):
            self.ended = True
            return None
        return text

    def _scan(self, statement: _Statement, text: str) -> _Scanned | PlanSyntaxError:
        """Read one physical line into `statement`."""
        at = 0
        while True:
            if statement.string is not None:
                close = _STRING_END[statement.string.mark].match(text, at)
                if close is None:
                    return self._scan_open_string(statement, statement.string, text, at)
                at = close.end()
                statement.string = None
                statement.last_code = '"'
            found = _NEXT.search(text, at)
            code = text[at : found.start() if found else len(text)].rstrip()
            if code:
                statement.last_code = code[-1]
            if found is None or found.group() == "#":
                statement.add(text)
                return "open" if statement.brackets else "closed"
            opening = _Opening(found.group(), self._line, found.start() + 1)
            at = found.end()
            match opening.mark:
                case "(" | "[" | "{":
                    statement.brackets.append(opening)
                    statement.last_code = opening.mark
                case ")" | "]" | "}":
                    if (
                        _CLOSING.get(statement.brackets[-1].mark if statement.brackets else "")
                        != opening.mark
                    ):
                        return _unbalanced(statement.innermost, opening, text)
                    statement.brackets.pop()
                    statement.last_code = opening.mark
                case "\\":
                    statement.add(text)
                    return "open"
                case "```":
                    statement.add(text[: found.start()])
                    self._in_fence = False
                    self.fences_opened += not self.fences_opened
                    return "ended"
                case "<|" | "</":
                    statement.add(text[: found.start()])
                    self.ended = True
                    return "ended"
                case _:
                    statement.string = opening

    def _scan_open_string(
        self, statement: _Statement, opening: _Opening, text: str, start: int
    ) -> _Scanned | PlanSyntaxError:
        """Read the rest of a physical line, which is inside a string from `start` on."""
        statement.add(text)
        if len(opening.mark) == 3 or _ends_in_backslash(text[start:]):
            return "open"
        return PlanSyntaxError(
            "this string is not closed on its line",
            line=opening.line,
            column=opening.column,
            fix="close the quote, write a line break as \\n, or use triple quotes for text of several lines",
            source_line=text if opening.line == self._line else "",
        )

    def _logical(self, statement: _Statement) -> LogicalLine | None:
        """The logical line of a statement. None if it has no text."""
        first = statement.parts[0]
        body = first.lstrip()
        if not "".join(statement.parts).strip():
            return None
        white = first[: len(first) - len(body)]
        text = "\n".join([body, *statement.parts[1:]]).rstrip()
        if len(statement.parts) > 1 and not statement.parts[-1].strip():
            text = text.removesuffix("\\")  # a continuation with nothing on its next line
        return LogicalLine(
            text=text,
            line=statement.line,
            column=len(white) + 1,
            indent=len(white.expandtabs(8)),
            end=self._offset,
            opens_block=statement.last_code == ":",
            physical=tuple(statement.parts),
        )

    def _unclosed(self) -> PlanSyntaxError | None:
        """The error of a statement that is open at the end of the plan. None if there is none."""
        statement = self._statement
        if statement is None:
            return None
        self._statement = None
        opening = statement.string or statement.innermost
        if opening is None:
            return PlanSyntaxError(
                "the plan ends behind a backslash",
                line=self._line,
                column=1,
                source_line=statement.parts[-1],
            )
        index = opening.line - statement.line
        return PlanSyntaxError(
            f"the plan ends before the {opening.mark!r} that was opened here is closed",
            line=opening.line,
            column=opening.column,
            fix=f"write the closing {_CLOSING.get(opening.mark, opening.mark)!r}",
            source_line=statement.parts[index] if index < len(statement.parts) else "",
        )


def _unbalanced(opened: _Opening | None, closing: _Opening, text: str) -> PlanSyntaxError:
    """The error of a closing bracket that does not fit the bracket that is open."""
    place = Place(closing.line, closing.column, text)
    if opened is None:
        return PlanSyntaxError.at(place, f"{closing.mark!r} closes nothing", "balance the brackets")
    return PlanSyntaxError.at(
        place,
        f"{closing.mark!r} does not close the {opened.mark!r} of line {opened.line}, column {opened.column}",
        f"write {_CLOSING[opened.mark]!r} here",
    )


def _ends_in_backslash(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1
