"""The parser of the plan language. Each statement comes out the moment its line is complete.

The language is a Python subset, parsed with `ast` and never executed:

    heights = [search(f"height of {m}") for m in ["Mount Everest", "K2"]]
    total = calculate(f"{heights[0].value} + {heights[1].value}")
    if total > 17000:
        answer("yes")
    else:
        answer("no")

Any chunking of the text gives the same statements and errors. The work is linear in the text's length.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from braid.executors.nodes import Const, Expr
from braid.planner.errors import Place, PlanSyntaxError
from braid.planner.language.expressions import FINAL_FORMS, Call, Lifted
from braid.planner.language.lexer import MAX_STATEMENT_CHARS, LineReader, LogicalLine
from braid.planner.language.statements import Form, SyntaxReader

MAX_DEPTH = 16
"""How many `if` statements may stand inside one another."""
MAX_ARMS = 64
"""How many arms an `if` may have. Every statement behind them carries their conditions."""

_KEYWORD = re.compile(r"(if|elif|else)\b")
_ELSE = re.compile(r"else\s*:")


@dataclass(frozen=True)
class Condition:
    """A condition that a statement stands under. It runs only if `expr` comes out as `expected`."""

    expr: Expr
    expected: bool
    place: Place = field(compare=False)
    lifted: tuple[Lifted, ...] = ()
    """The arithmetic that stood in it. It becomes nodes of its own, which run before it."""


_UNREADABLE = Condition(Const(None), True, Place(0, 0, ""))
"""Stands for a condition that could not be read. What depends on it is dropped without a further error."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of a plan.

    Two statements are equal if they say the same, wherever they stand and however they are laid out.
    """

    form: Form
    name: str | None
    """The name that it binds."""
    conditions: tuple[Condition, ...]
    """The conditions that it stands under, outermost first."""
    lifted: tuple[Lifted, ...]
    """The calls that stood inside this one. They become nodes of their own, which run before it."""
    source: str = field(compare=False)
    """Its text."""
    line: int = field(compare=False)
    column: int = field(compare=False)
    end: int = field(compare=False)
    """Offset in the plan's text just behind the line that completed it."""
    drafts: int = field(default=0, compare=False)
    """How often the text had turned out to be a draft before it (`</think>`)."""

    @property
    def is_final(self) -> bool:
        """Whether it ends the plan: `answer` or `decline`."""
        return isinstance(self.form, Call) and self.form.function in FINAL_FORMS


@dataclass
class _If:
    """An `if` with the arms that were read so far."""

    failed: list[Condition]
    """The conditions that the next arm must find false."""
    arm: tuple[Condition, ...] | None
    """The conditions of the last arm's body. None if one of them could not be read."""
    line: LogicalLine
    """The line of the last arm."""
    closed: bool = False
    """Whether there was an `else`."""


@dataclass
class _Level:
    """A run of lines of equal indentation."""

    indent: int
    arm: tuple[Condition, ...] | None
    """The conditions of the arm whose body this is. None if one of them could not be read."""
    last_if: _If | None = None
    """The `if` that an `elif` or `else` on this level belongs to."""


@dataclass
class _State:
    """Where the parser is among the levels of one fenced block."""

    levels: list[_Level] = field(default_factory=lambda: [_Level(-1, ())])
    header: _If | None = None
    """An arm whose body begins with the next line."""
    fences: int = 0
    """Number of the fenced block."""


class PlanParser:
    """Reads a plan in pieces of any size.

    Mistakes are handed out as `PlanSyntaxError` values among the statements. Reading goes on behind them.

    It belongs to one text. One thread at a time uses it.

    Args:
        max_statement_chars: A longer statement is an error. Usually one of its brackets is never closed.
    """

    def __init__(self, *, max_statement_chars: int = MAX_STATEMENT_CHARS) -> None:
        self._lines = LineReader(max_statement_chars=max_statement_chars)
        self._state = _State()
        self._drafts = 0
        self._finished = False

    @property
    def ended(self) -> bool:
        """Whether an end mark such as `<|end|>` was read. What follows it is ignored."""
        return self._lines.ended

    def feed(self, chunk: str) -> list[Statement | PlanSyntaxError]:
        """Take the next characters of the plan. Returns what they complete, in the order of the text."""
        if self._finished:
            raise ValueError("feed() after finish(): use a new PlanParser for a new plan")
        return [found for item in self._lines.feed(chunk) for found in self._take(item)]

    def finish(self) -> list[Statement | PlanSyntaxError]:
        """The plan has ended. Returns what was still open. Calling it again returns nothing."""
        if self._finished:
            return []
        self._finished = True
        found = [found for item in self._lines.finish() for found in self._take(item)]
        return [*found, *self._close_header()]

    def _take(self, item: LogicalLine | PlanSyntaxError) -> Iterator[Statement | PlanSyntaxError]:
        if self._drafts != self._lines.drafts:
            self._drafts = self._lines.drafts
            self._state = _State()
        self._lines.started = True
        if isinstance(item, PlanSyntaxError):
            yield item
            return
        if self._lines.fences_opened != self._state.fences:
            # Another fenced block may be indented differently. It goes on with the same plan.
            yield from self._close_header()
            self._state = _State(fences=self._lines.fences_opened)
        try:
            yield from self._line(item)
        except PlanSyntaxError as error:
            yield error
            if item.opens_block:
                # What is indented below a line that cannot be read says nothing by itself.
                self._state.header = self._state.header or _If([], None, item)

    def _line(self, line: LogicalLine) -> Iterator[Statement | PlanSyntaxError]:
        if line.indent <= self._state.levels[-1].indent:
            yield from self._close_header()
        level = self._enter(line)
        keyword = _KEYWORD.match(line.text)
        if keyword:
            yield from self._branch(line, keyword.group(), level)
            return
        level.last_if = None
        reader = SyntaxReader(line)
        for node in reader.parse(line.text):
            yield from self._statement(reader, node, line)

    def _enter(self, line: LogicalLine) -> _Level:
        """Find the level that `line` stands on."""
        levels = self._state.levels
        if levels[0].indent < 0:
            levels[0].indent = line.indent
        header, self._state.header = self._state.header, None
        if header is not None:
            levels.append(_Level(line.indent, header.arm))
            return levels[-1]
        deeper = line.indent > levels[-1].indent
        while len(levels) > 1 and line.indent < levels[-1].indent:
            levels.pop()
        if line.indent != levels[-1].indent:
            raise self._error(
                line,
                "unexpected indentation" if deeper else "this indentation matches no line above",
                "indent only the lines below `if`, `elif` and `else`, all by the same amount",
            )
        return levels[-1]

    def _close_header(self) -> Iterator[PlanSyntaxError]:
        """End a branch that has no statement."""
        header, self._state.header = self._state.header, None
        if header is not None and header.arm is not None:
            yield self._error(
                header.line, "this branch has no statement", "indent at least one statement below it"
            )

    def _branch(
        self, line: LogicalLine, keyword: str, level: _Level
    ) -> Iterator[Statement | PlanSyntaxError]:
        """Read an `if`, `elif` or `else` line, with the statements that stand on it."""
        current = self._next_if(line, keyword, level)
        level.last_if = current
        broken = any(condition is _UNREADABLE for condition in current.failed)
        reader = SyntaxReader(line)
        try:
            condition, body = self._header(reader, line, keyword)
        except PlanSyntaxError:
            current.failed = [*current.failed, _UNREADABLE]
            raise
        if keyword == "else":
            current.closed = True
        if not broken:
            arm = tuple(replace(c, expected=False) for c in current.failed)
            current.arm = arm if condition is None else (*arm, condition)
        if condition is not None:
            current.failed = [*current.failed, condition]
        if not body:
            self._state.header = current
            return
        self._state.levels.append(_Level(line.indent + 1, current.arm))
        try:
            for node in body:
                yield from self._statement(reader, node, line)
        finally:
            self._state.levels.pop()

    def _next_if(self, line: LogicalLine, keyword: str, level: _Level) -> _If:
        """The `if` that the arm on `line` belongs to."""
        if len(self._state.levels) > MAX_DEPTH:
            raise self._error(
                line, f"more than {MAX_DEPTH} `if` stand inside one another", "join conditions with `and`"
            )
        if keyword == "if":
            return _If([], None, line)
        previous = level.last_if
        if previous is None or previous.closed:
            raise self._error(
                line,
                f"`{keyword}` without an `if` above it",
                "put it below the body of its `if`, equally indented",
            )
        if len(previous.failed) >= MAX_ARMS:
            raise self._error(
                line, f"an `if` with more than {MAX_ARMS} arms", "use a tool that looks the value up"
            )
        return _If(previous.failed, None, line)

    def _header(
        self, reader: SyntaxReader, line: LogicalLine, keyword: str
    ) -> tuple[Condition | None, list[ast.stmt]]:
        """Condition and same-line body of an `if`, `elif` or `else` line."""
        text = line.text
        if keyword == "else":
            colon = _ELSE.match(text)
            if colon is None:
                raise self._error(line, "`else` needs a colon", "write `else:`")
            if line.opens_block and not text[colon.end() :].split("#")[0].strip():
                return None, []
            # As many columns as `else:` takes, so that places stay true.
            return None, self._else_body(reader, text, colon.end())
        shown = text
        if keyword == "elif":
            text = "if  " + text[4:]  # equally long, so that places stay true
        parsable = f"{text}\n pass" if line.opens_block else text
        nodes = reader.parse(parsable, shown=shown)
        node = nodes[0]
        if not isinstance(node, ast.If) or len(nodes) != 1:
            raise self._error(
                line, "this is not an `if` statement", "write `if a.value > 3:` and indent the body"
            )
        expr, lifted = reader.condition(node.test)
        condition = Condition(expr, True, reader.place(node.test), lifted)
        return condition, [] if line.opens_block else node.body

    @staticmethod
    def _else_body(reader: SyntaxReader, text: str, colon: int) -> list[ast.stmt]:
        # `if 1:` stands in for `else:` so that the statement behind it can be parsed where it is.
        head = "if 1:".ljust(colon)
        nodes = reader.parse(head + text[colon:], shown=text)
        first = nodes[0]
        return first.body if isinstance(first, ast.If) else nodes

    def _statement(
        self, reader: SyntaxReader, node: ast.stmt, line: LogicalLine
    ) -> Iterator[Statement | PlanSyntaxError]:
        """Read one statement. Yields nothing if a condition above it could not be read."""
        arms = [level.arm for level in self._state.levels]
        if any(arm is None for arm in arms) or isinstance(node, ast.Pass):
            return
        try:
            name, form, lifted = reader.statement(node)
        except PlanSyntaxError as error:
            yield error
            return
        place = reader.place(node)
        whole = line.text
        alone = place.column == line.column and ";" not in whole
        statement = Statement(
            form=form,
            name=name,
            conditions=tuple(condition for arm in arms if arm is not None for condition in arm),
            lifted=lifted,
            source=whole if alone else ast.get_source_segment(whole, node) or whole,
            line=place.line,
            column=place.column,
            end=line.end,
            drafts=self._drafts,
        )
        if statement.is_final:
            self._lines.answered = True
        yield statement

    @staticmethod
    def _error(line: LogicalLine, message: str, fix: str) -> PlanSyntaxError:
        return PlanSyntaxError.at(Place(line.line, line.column, line.physical[0]), message, fix)


def parse_plan(text: str) -> list[Statement | PlanSyntaxError]:
    """All statements and mistakes of a whole plan."""
    parser = PlanParser()
    return [*parser.feed(text), *parser.finish()]
