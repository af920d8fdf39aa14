"""Typed errors of the planner: what is wrong in a plan, where, and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence

from braid.engine import BraidError


class PlanError(BraidError, ValueError):
    """One mistake in a plan. The parser hands it out as a value; `check` raises it.

    Args:
        message: what is wrong.
        line: 1-based line in the plan's text as it was written.
        column: 1-based column, in characters.
        fix: what to write instead; empty where nothing better can be said.
        source_line: the text of that line, for the caret.
    """

    def __init__(self, message: str, *, line: int, column: int, fix: str = "", source_line: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.fix = fix
        self.source_line = source_line

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

    def same_as(self, other: PlanError) -> bool:
        """Whether both name the same mistake in the same place."""
        return (self.line, self.column, self.message) == (other.line, other.column, other.message)


class PlanSyntaxError(PlanError):
    """The text breaks a rule of the plan language, whatever the tools are."""


class PlanCheckError(PlanError):
    """The statement is well formed, but does not fit the tools or the names at hand."""


class PlanningError(BraidError):
    """The planner gave up: the model did not write a valid plan within the repairs it was allowed.

    `errors` holds one error per failed attempt, `text` everything that the model wrote, attempts separated by a blank line.
    """

    def __init__(self, message: str, *, errors: Sequence[PlanError], text: str) -> None:
        super().__init__(message)
        self.errors = tuple(errors)
        self.text = text
