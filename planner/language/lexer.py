"""From characters to logical lines: where a statement begins and ends, whatever a model writes around its plan.

The unit is the physical line, so any chunking of the input gives the same logical lines, and every character is
looked at once. Markdown fences, prose before and after the plan, thinking blocks, comments and end marks are dropped here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from braid.planner.errors import PlanSyntaxError

MAX_STATEMENT_CHARS = 20_000
"""A statement longer than this is taken for babble, such as a bracket that is never closed."""

_OPEN = {"(": ")", "[": "]", "{": "}"}
_LINE_END = re.compile(r"[\r\n]")
_NEXT = re.compile(r"[()\[\]{}]|\"{3}|'{3}|[\"'#]|\\$|<[|/]|```")
_FENCE = re.compile(r"\s*(```|~~~)")
_END_MARK = re.compile(r"\s*<[|/]")
_THINK_OPEN = re.compile(r"\s*<think(?:ing)?>")
_THINK_CLOSE = re.compile(r"</think(?:ing)?>")
_STRING_END = {quote: re.compile(rf"(?:\\.|(?!{quote})[^\\])*{quote}") for quote in ('"', "'", '"""', "'''")}
_STATEMENT_START = re.compile(
    r"""\s*(?:
        [^\W\d][\w.]*(?:\[\w*\])?\s*(?:,\s*[^\W\d]\w*\s*)*(?::\s*[\w.]+(?:\[[^\]]*\])?\s*)?[-+*/]?=(?!=) # a name is bound
      | [^\W\d]\w*(?:\.\w+)*\(                                           # a call
      | if\b.*[:(\[] | elif\b | else\s*:                                # a branch
      | \[.*\( | \[\s*$                                                  # a map without a name
      | (?:for|while|with|async)\b.*:\s*$ | (?:def|class)\s+\w+.*:\s*$ | try\s*: # Python that plans do not have
      | import\s+[\w.,\s]+$ | from\s+[\w.]+\s+import\b | return\b | pass\s*$
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class LogicalLine:
    """One statement's text, from its first character, over all its physical lines.

    `indent` is the width of the white space before it (tabs reach to the next multiple of 8), `column` where it starts (1-based),
    `end` the offset in the whole input just behind its line end. `opens_block` tells that its last character of code is a colon.
    """

    text: str
    line: int
    column: int
    indent: int
    end: int
    opens_block: bool
    physical: tuple[str, ...]


@dataclass
class _Statement:
    """A logical line in the making."""

    line: int
    parts: list[str] = field(default_factory=lambda: list[str]())
    size: int = 0
    brackets: list[tuple[str, int, int]] = field(default_factory=lambda: list[tuple[str, int, int]]())
    string: tuple[str, int, int] | None = None
    last_code: str = ""


Outcome = Literal["open", "closed", "ended", "failed"]


class LineReader:
    """Splits a stream of characters into logical lines.

    `started` and `answered` are set by the parser: before the first statement and after an `answer`, lines that do not look like
    statements are prose and are dropped; in between they are errors, which the parser finds.
    """

    def __init__(self, *, max_statement_chars: int = MAX_STATEMENT_CHARS) -> None:
        self.started = False
        self.answered = False
        self.ended = False
        self.fences_opened = 0
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
        """Take the next characters; give the logical lines that they complete, and located errors.

        A generator, to be run to its end: what the caller makes of one line decides how the next one is read.
        """
        out: list[LogicalLine | PlanSyntaxError] = []
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
                self._hold(chunk[start:stop], out)
            start = stop
            if found:
                start += 1
                self._offset += 1
                self._skip_line_feed = found.group() == "\r"
                self._end_line(out)
            yield from out
            out.clear()

    def finish(self) -> Iterator[LogicalLine | PlanSyntaxError]:
        """No more characters will come: give what the last line holds, and what was left open."""
        out: list[LogicalLine | PlanSyntaxError] = []
        if not self.ended:
            if self._pending:
                self._end_line(out)
            self._leave_open(out)
            self.ended = True
        yield from out

    def _hold(self, piece: str, out: list[LogicalLine | PlanSyntaxError]) -> None:
        if self._discarding:
            return
        self._pending.append(piece)
        self._pending_size += len(piece)
        held = self._statement.size if self._statement else 0
        if held + self._pending_size > self._limit:
            first = self._statement.line if self._statement else self._line + 1
            head = (self._statement.parts[0] if self._statement else "".join(self._pending))[
                : min(60, self._limit)
            ]
            opened = self._statement.brackets[-1] if self._statement and self._statement.brackets else None
            fix = (
                f"close the {opened[0]!r} of line {opened[1]}, column {opened[2]}"
                if opened
                else "write shorter statements, one on each line"
            )
            out.append(
                PlanSyntaxError(
                    f"statement is longer than {self._limit} characters",
                    line=first,
                    column=1,
                    fix=fix,
                    source_line=head,
                )
            )
            self._statement = None
            self._pending.clear()
            self._discarding = True

    def _end_line(self, out: list[LogicalLine | PlanSyntaxError]) -> None:
        text = "".join(self._pending)
        discard = self._discarding
        self._pending.clear()
        self._pending_size = 0
        self._discarding = False
        self._line += 1
        if self._line == 1:
            text = text.removeprefix("\ufeff")
        if discard:
            return
        if self._statement is None:
            begun = self._begin(text)
            if begun is None:
                return
            text = begun
            self._statement = _Statement(line=self._line)
        statement = self._statement
        outcome = self._scan(statement, text, out)
        if outcome == "open":
            return
        if outcome == "ended" and (statement.brackets or statement.string):
            self._leave_open(out)
            return
        self._statement = None
        if outcome != "failed" and (line := self._logical(statement)):
            out.append(line)

    def _begin(self, text: str) -> str | None:
        """The text of a line that begins a statement; None for every other kind of line."""
        if self._thinking or (not self.started and _THINK_OPEN.match(text)):
            close = _THINK_CLOSE.search(text)
            self._thinking = close is None
            if close is None:
                return None
            text = text[close.end() :]
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

    def _scan(self, statement: _Statement, text: str, out: list[LogicalLine | PlanSyntaxError]) -> Outcome:
        """Read one physical line into `statement`, and say whether the statement goes on behind it."""
        at = 0
        while True:
            if statement.string is not None:
                quote = statement.string[0]
                close = _STRING_END[quote].match(text, at)
                if close is None:
                    self._add(statement, text)
                    if len(quote) == 3 or _ends_in_backslash(text, at):
                        return "open"
                    self._fail(
                        out,
                        "this string is not closed on its line",
                        statement.string[1:],
                        "close the quote, write a line break as \\n, or use triple quotes for text of several lines",
                        text,
                    )
                    return "failed"
                at = close.end()
                statement.string = None
                statement.last_code = '"'
            found = _NEXT.search(text, at)
            code = text[at : found.start() if found else len(text)].rstrip()
            if code:
                statement.last_code = code[-1]
            if found is None:
                self._add(statement, text)
                return "open" if statement.brackets else "closed"
            mark, at = found.group(), found.end()
            place = (self._line, found.start() + 1)
            if mark in _OPEN:
                statement.brackets.append((mark, *place))
                statement.last_code = mark
            elif mark in (")", "]", "}"):
                if not statement.brackets or _OPEN[statement.brackets[-1][0]] != mark:
                    opened = statement.brackets[-1] if statement.brackets else None
                    self._fail(
                        out,
                        f"{mark!r} closes nothing"
                        if opened is None
                        else f"{mark!r} does not close the {opened[0]!r} of line {opened[1]}, column {opened[2]}",
                        place,
                        "balance the brackets" if opened is None else f"write {_OPEN[opened[0]]!r} here",
                        text,
                    )
                    return "failed"
                statement.brackets.pop()
                statement.last_code = mark
            elif mark == "#":
                self._add(statement, text)
                return "open" if statement.brackets else "closed"
            elif mark == "\\":
                self._add(statement, text)
                return "open"
            elif mark in ("<|", "</", "```"):
                self._add(statement, text[: found.start()])
                if mark == "```":
                    self._in_fence = False
                    self.fences_opened += not self.fences_opened
                else:
                    self.ended = True
                return "ended"
            else:
                statement.string = (mark, *place)

    @staticmethod
    def _add(statement: _Statement, text: str) -> None:
        statement.parts.append(text)
        statement.size += len(text) + 1

    def _logical(self, statement: _Statement) -> LogicalLine | None:
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

    def _fail(
        self,
        out: list[LogicalLine | PlanSyntaxError],
        message: str,
        place: tuple[int, int],
        fix: str,
        text: str,
    ) -> None:
        self.started = True
        source = text if place[0] == self._line else ""
        out.append(PlanSyntaxError(message, line=place[0], column=place[1], fix=fix, source_line=source))

    def _leave_open(self, out: list[LogicalLine | PlanSyntaxError]) -> None:
        """Report what a statement leaves open at the end of the plan."""
        statement = self._statement
        if statement is None:
            return
        self._statement = None
        opened = statement.string or (statement.brackets[-1] if statement.brackets else None)
        if opened is None:
            out.append(
                PlanSyntaxError(
                    "the plan ends behind a backslash",
                    line=self._line,
                    column=1,
                    source_line=statement.parts[-1],
                )
            )
            return
        mark, line, column = opened
        closing = _OPEN.get(mark, mark)
        index = line - statement.line
        out.append(
            PlanSyntaxError(
                f"the plan ends before the {mark!r} that was opened here is closed",
                line=line,
                column=column,
                fix=f"write the closing {closing!r}",
                source_line=statement.parts[index] if index < len(statement.parts) else "",
            )
        )


def _ends_in_backslash(text: str, start: int) -> bool:
    tail = text[start:]
    return (len(tail) - len(tail.rstrip("\\"))) % 2 == 1
