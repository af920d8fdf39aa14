"""The locator: where Python's syntax nodes stand in the text of a plan."""

from __future__ import annotations

import ast
from typing import NoReturn

from braid.planner.errors import Place, PlanSyntaxError
from braid.planner.language.lexer import LogicalLine


class Locator:
    """Places in one logical line.

    Args:
        line: The logical line that the syntax tree was parsed from.
    """

    def __init__(self, line: LogicalLine) -> None:
        self._line = line

    def place(self, node: ast.AST) -> Place:
        """Where `node` stands in the plan."""
        row = self._clamped(getattr(node, "lineno", 1))
        encoded = self._code(row).encode("utf-8", "surrogatepass")
        # Python counts bytes.
        before = encoded[: getattr(node, "col_offset", 0)].decode("utf-8", "replace")
        return self._place(row, len(before))

    def place_at(self, row: int, offset: int) -> Place:
        """The place `offset` characters into the physical line `row`, which counts from 1."""
        return self._place(self._clamped(row), offset)

    def fail(self, node: ast.AST, message: str, fix: str = "") -> NoReturn:
        """Raise a `PlanSyntaxError` at `node`."""
        raise PlanSyntaxError.at(self.place(node), message, fix)

    def _clamped(self, row: int) -> int:
        return min(max(row, 1), len(self._line.physical))

    def _lead(self, row: int) -> int:
        """Characters of the physical line in front of the parsed text."""
        return self._line.column - 1 if row == 1 else 0

    def _code(self, row: int) -> str:
        return self._line.physical[row - 1][self._lead(row) :]

    def _place(self, row: int, offset: int) -> Place:
        return Place(self._line.line + row - 1, self._lead(row) + offset + 1, self._line.physical[row - 1])
