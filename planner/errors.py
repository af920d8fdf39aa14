"""Typed errors of the planner: what is wrong in a plan, where, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from braid.engine import BraidError


@dataclass(frozen=True)
class Place:
    """A place in the plan's text."""

    line: int
    """Line number, from 1."""
    column: int
    """Column in characters, from 1."""
    source_line: str
    """The text of the line."""

    def of(self, name: str) -> Place:
        """Where `name` stands here or behind, on this line. Python does not tell places inside f-strings."""
        found = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)").search(self.source_line, self.column - 1)
        return Place(self.line, found.start() + 1, self.source_line) if found else self


class PlanError(BraidError, ValueError):
    """One mistake in a plan. The parser returns it as a value. The checker raises it.

    Args:
        message: What is wrong.
        line: Line in the plan's text as it was written, from 1.
        column: Column in characters, from 1.
        fix: What to write instead. Empty where nothing better can be said.
        source_line: The text of the line, for the caret.
    """

    def __init__(self, message: str, *, line: int, column: int, fix: str = "", source_line: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.fix = fix
        self.source_line = source_line

    @classmethod
    def at(cls, place: Place, message: str, fix: str = "") -> Self:
        """The error at `place`."""
        return cls(message, line=place.line, column=place.column, fix=fix, source_line=place.source_line)

    def __str__(self) -> str:
        lines = [f"line {self.line}, column {self.column}: {self.message}"]
        if self.source_line.strip():
            # Tabs stay tabs, so that the caret stands below its character whatever a tab's width.
            before = self.source_line[: self.column - 1]
            lines.append("    " + self.source_line)
            lines.append("    " + "".join("\t" if c == "\t" else " " for c in before) + "^")
        if self.fix:
            lines.append(f"fix: {self.fix}")
        return "\n".join(lines)


class PlanSyntaxError(PlanError):
    """The text breaks a rule of the plan language, whatever the tools are."""


class PlanCheckError(PlanError):
    """The statement is well formed. It does not fit the tools or the names at hand."""


class PlanningError(BraidError):
    """The planner gave up. The model wrote no valid plan within the repairs it was allowed.

    Args:
        message: How many attempts there were, and the last mistake.
        errors: One error for each failed attempt.
        text: Everything that the model wrote. A blank line separates attempts.
    """

    def __init__(self, message: str, *, errors: Sequence[PlanError], text: str) -> None:
        super().__init__(message)
        self.errors = tuple(errors)
        self.text = text


class InvalidPlanError(BraidError, ValueError):
    """A plan that was written by hand cannot be run.

    Args:
        errors: Its mistakes, each with its place.
    """

    wrong_usage = True
    shows_lines = True
    """Whether the message shows lines of a text, and is not to be put on one line."""

    def __init__(self, errors: Sequence[PlanError]) -> None:
        are = f"are {len(errors)} mistakes" if len(errors) > 1 else "is a mistake"
        super().__init__(f"there {are} in the plan\n" + "\n\n".join(map(str, errors)))
        self.errors = tuple(errors)


class PlanValueError(BraidError, TypeError):
    """A value or a name that a plan built in Python cannot take."""
