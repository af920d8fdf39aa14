"""Statements and conditions of the plan language, read from Python's syntax tree.

Nothing here knows which tools exist or which names are bound. `braid.planner.checker` does.
"""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass, field
from typing import NoReturn

from braid.executors.nodes import AllOf, AnyOf, Compare, CompareOp, Expr, Not
from braid.planner.errors import Place, PlanSyntaxError
from braid.planner.language.arithmetic import is_arithmetic, source_of
from braid.planner.language.expressions import (
    FINAL_FORMS,
    Argument,
    Call,
    ExpressionReader,
    Lifted,
    is_anonymous,
)
from braid.planner.language.lexer import LogicalLine
from braid.planner.language.locator import Locator

SPECIAL_FORMS = FINAL_FORMS | {"think", "ask", "join"}
"""Functions of the language itself. Tools and results cannot have these names."""

MAX_NESTING = 64
"""How many syntax nodes may stand inside one another. What reads an expression calls itself for each."""

_COMPARE: dict[type[ast.cmpop], CompareOp] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "==",
    ast.IsNot: "!=",
}


@dataclass(frozen=True)
class MapForm:
    """A map: `[body for var in over]`."""

    var: str
    over: Argument
    body: Call
    place: Place = field(compare=False)


Form = Call | MapForm


class SyntaxReader:
    """Reads the syntax trees of one logical line."""

    def __init__(self, line: LogicalLine) -> None:
        self._locator = Locator(line)
        self._fail = self._locator.fail

    def place(self, node: ast.AST) -> Place:
        """Where `node` stands in the plan."""
        return self._locator.place(node)

    def parse(self, text: str, *, shown: str | None = None) -> list[ast.stmt]:
        """Python's syntax tree of `text`.

        Args:
            text: What is parsed.
            shown: The text in the plan, where `text` was changed to be parsable alone.

        Raises:
            PlanSyntaxError: Python cannot read the text, or it is nested too deeply.
        """
        try:
            with warnings.catch_warnings():
                # Doubtful escapes in strings are the model's data, not our code.
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
        except SyntaxError as error:
            lines = (shown or text).split("\n")
            row = min(max(error.lineno or 1, 1), len(lines))
            message = error.msg or "invalid syntax"
            raise PlanSyntaxError.at(
                self._locator.place_at(row, max((error.offset or 1) - 1, 0)),
                f"not a statement of the plan language: {message}",
                _syntax_fix(message, lines[row - 1]),
            ) from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise PlanSyntaxError.at(
                self._locator.place_at(1, 0),
                f"this statement cannot be read: {error or type(error).__name__}",
                "write plain text without control characters, and nest less deeply",
            ) from None
        self._check_nesting(tree)
        return tree.body

    def _check_nesting(self, tree: ast.Module) -> None:
        level: list[ast.AST] = [tree]
        for _ in range(MAX_NESTING):
            level = [inner for node in level for inner in ast.iter_child_nodes(node)]
        if level:
            deepest = next((node for node in level if isinstance(node, ast.expr)), level[0])
            self._fail(
                deepest, "this statement is nested too deeply", "use more statements with shorter expressions"
            )

    def statement(self, node: ast.stmt) -> tuple[str | None, Form, tuple[Lifted, ...]]:
        """Name, form, and lifted calls of a statement.

        Raises:
            PlanSyntaxError: The statement is none of the language's.
        """
        expressions = ExpressionReader(self._locator)
        name, value = self._target(node)
        if isinstance(value, ast.ListComp):
            form: Form = self._map(value, expressions)
        elif isinstance(value, ast.Call):
            form = expressions.call(value)
        elif is_arithmetic(value):
            form = expressions.calculation(value)
        else:
            self._not_a_call(value, name)
        if name is not None and isinstance(form, Call) and form.function in FINAL_FORMS:
            self._fail(
                node, f"`{form.function}` gives nothing back", f"write `{form.function}(...)` without a name"
            )
        return name, form, tuple(expressions.lifted)

    def _target(self, node: ast.stmt) -> tuple[str | None, ast.expr]:
        match node:
            case ast.Expr(value):
                return None, value
            case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
                if name in SPECIAL_FORMS:
                    self._fail(
                        target, f"`{name}` is part of the language and cannot be bound", "use another name"
                    )
                if is_anonymous(name) or name.startswith("__"):
                    self._fail(target, f"names like `{name}` are reserved", "use a name of letters")
                return name, value
            case ast.AnnAssign(target=ast.Name(id=name)):
                self._fail(node, "names take no type annotation", f"write `{name} = ...`")
            case ast.AugAssign(target=target):
                self._fail(
                    node, "a name is bound once and never changed", 'use `new = calculate(f"{a} + {b}")`'
                )
            case ast.Assign():
                self._fail(
                    node, "a statement binds one name", "write one statement `name = tool(...)` for each name"
                )
            case _:
                self._fail(
                    node,
                    f"`{_word(node)}` is not part of the plan language",
                    "a plan has only `name = tool(...)`, maps `[tool(x) for x in xs]`,"
                    " `think`, `join`, `ask`, `answer`, `decline` and `if`",
                )

    def _not_a_call(self, value: ast.expr, name: str | None) -> NoReturn:
        bound = f"{name} = " if name else ""
        if isinstance(value, ast.Await):
            self._fail(value, "there is no `await`", "write the call alone; it runs by itself")
        if isinstance(value, (ast.GeneratorExp, ast.SetComp, ast.DictComp)):
            self._fail(
                value, "maps are written with square brackets", f"write `{bound}[tool(x) for x in xs]`"
            )
        if isinstance(value, ast.IfExp):
            self._fail(
                value, "there is no `... if ... else ...`", "use an `if` statement with a body and `else:`"
            )
        if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Call):
            other = name or "x"
            self._fail(
                value,
                "a statement binds the whole result of a call",
                f"write `{other} = {source_of(value.value)}`"
                f" and read `{other}.{value.attr}` where it is used",
            )
        self._fail(
            value,
            "a statement calls a tool; this one calls nothing",
            "write literals and results where they are used, and end with `answer(...)`",
        )

    def _map(self, node: ast.ListComp, expressions: ExpressionReader) -> MapForm:
        if len(node.generators) != 1:
            self._fail(node, "a map has one `for`", "bind the inner map to a name first")
        loop = node.generators[0]
        if loop.is_async:
            self._fail(
                node,
                "there is no `async for`",
                "write `[tool(x) for x in xs]`; the items run side by side anyway",
            )
        if loop.ifs:
            self._fail(
                loop.ifs[0], "a map has no `if`", "filter with a tool, or map over the items that are wanted"
            )
        if not isinstance(loop.target, ast.Name):
            self._fail(loop.target, "a map binds one name for its item", "write `[tool(x) for x in xs]`")
        over = Argument(expressions.read(loop.iter), None, self.place(loop.iter))
        inner = ExpressionReader(self._locator, in_map=True)
        if isinstance(node.elt, ast.Call):
            body = inner.call(node.elt)
        elif is_arithmetic(node.elt):
            body = inner.calculation(node.elt)
        else:
            self._fail(
                node.elt,
                "a map calls a tool for each item",
                "write `[tool(x) for x in xs]`; in it, `x` may be used in arguments and f-strings",
            )
        if body.function in (*FINAL_FORMS, "ask", "join"):
            self._fail(
                node.elt, f"`{body.function}` cannot stand in a map", "call it once, with the map's name"
            )
        return MapForm(loop.target.id, over, body, self.place(node))

    def condition(self, node: ast.expr) -> tuple[Expr, tuple[Lifted, ...]]:
        """The condition of an `if`, and the arithmetic that stood in it.

        Raises:
            PlanSyntaxError: The condition is none of the language's.
        """
        expressions = ExpressionReader(self._locator)
        return self._condition(node, expressions), tuple(expressions.lifted)

    def _condition(self, node: ast.expr, expressions: ExpressionReader) -> Expr:
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return AllOf(tuple(self._condition(v, expressions) for v in values))
            case ast.BoolOp(values=values):
                return AnyOf(tuple(self._condition(v, expressions) for v in values))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Not(self._condition(operand, expressions))
            case ast.Compare():
                return self._compare(node, expressions)
            case _:
                return self._operand(node, expressions)

    def _compare(self, node: ast.Compare, expressions: ExpressionReader) -> Expr:
        operands = [node.left, *node.comparators]
        terms: list[Expr] = []
        for op, left, right in zip(node.ops, operands, operands[1:], strict=False):
            singleton = isinstance(right, ast.Constant) and (
                right.value is None or isinstance(right.value, bool)
            )
            if isinstance(op, (ast.Is, ast.IsNot)) and not singleton:
                self._fail(node, "`is` compares only with None, True and False", "write `==` or `!=`")
            terms.append(
                Compare(
                    _COMPARE[type(op)], self._operand(left, expressions), self._operand(right, expressions)
                )
            )
        return terms[0] if len(terms) == 1 else AllOf(tuple(terms))

    def _operand(self, node: ast.expr, expressions: ExpressionReader) -> Expr:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call):
                self._fail(
                    inner, "a condition calls nothing", f"bind it to a name first: `x = {source_of(inner)}`"
                )
        return expressions.read(node)


def _word(node: ast.stmt) -> str:
    names: dict[type[ast.stmt], str] = {
        ast.FunctionDef: "def",
        ast.AsyncFunctionDef: "async def",
        ast.ClassDef: "class",
        ast.AsyncFor: "async for",
        ast.AsyncWith: "async with",
        ast.ImportFrom: "from ... import",
        ast.Delete: "del",
    }
    return names.get(type(node), type(node).__name__.lower())


_SYNTAX_FIXES = {
    "null byte": "write plain text without control characters",
    "f-string": "inside the braces of an f-string write only names and fields, with the other kind of quote",
    "perhaps you forgot a comma": "separate arguments by commas, and escape quotes inside strings",
    "expected ':'": "end the line of an `if` with a colon",
}
"""The fix for each part of a message, the first that fits."""


def _syntax_fix(message: str, line: str) -> str:
    """What to write instead of a line that Python cannot parse.

    Python gives its syntax errors no codes, so this is the one place that reads their messages.
    """
    lowered = message.lower()
    if any(quote in line for quote in "“”„‘’"):
        return "use plain quotes: \" or '"
    for part, fix in _SYNTAX_FIXES.items():
        if part in lowered:
            return fix
    return 'write one statement on each line, such as `a = tool("text")`'
