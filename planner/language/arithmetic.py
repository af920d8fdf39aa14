"""Arithmetic in a plan, as the text that the tool `calculate` takes."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from braid.executors.nodes import Const, Expr, Field, ListOf, Ref, Template

CALCULATE = "calculate"
"""The tool that arithmetic in a plan becomes a call of."""

FUNCTIONS = frozenset({"abs", "ceil", "floor", "max", "mean", "median", "min", "round", "sqrt", "sum"})
"""Python's words for arithmetic that `calculate` knows."""

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.USub: "-",
    ast.UAdd: "+",
}
_PRECEDENCE: dict[type[ast.AST], int] = {
    ast.Add: 1,
    ast.Sub: 1,
    ast.Mult: 2,
    ast.Div: 2,
    ast.FloorDiv: 2,
    ast.Mod: 2,
    ast.USub: 3,
    ast.UAdd: 3,
    ast.Pow: 4,
}

Parts = list["str | Field"]


class NoArithmeticError(Exception):
    """A part of an expression is neither a number nor a result.

    Args:
        node: The part.
    """

    def __init__(self, node: ast.expr) -> None:
        super().__init__(source_of(node))
        self.node = node


def arithmetic(node: ast.expr, read: Callable[[ast.expr], Expr]) -> Parts:
    """The text of an arithmetic expression, with its results as fields.

    A result stands in parentheses where a negative value would change the meaning (`({a}) ** 2`, `-({a})`).

    Args:
        node: The expression.
        read: Reads a name, a field, an item or a call.

    Raises:
        NoArithmeticError: It has a part that no number can come of.
    """
    return join_parts(_parts(node, read, 0))


def function_text(name: str, values: Sequence[Expr]) -> Parts | None:
    """The text of a function of `calculate` with these numbers, results or one list of them.

    Returns:
        None where it is no such function, or there is something else among the values.
    """
    match values:
        case (ListOf(items),) if items:
            values = items
        case _:
            pass
    if name not in FUNCTIONS or not values:
        return None
    parts: Parts = [f"{name}("]
    for place, value in enumerate(values):
        match value:
            case Const(int() | float() as number) if not isinstance(number, bool):
                part: str | Field = repr(number)
            case Ref():
                part = Field(value)
            case _:
                return None
        parts += [", ", part] if place else [part]
    return join_parts([*parts, ")"])


def join_parts(parts: Parts) -> Parts:
    """`parts` with texts side by side as one."""
    joined: Parts = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


def as_text(parts: Parts) -> Expr:
    """The value of these parts as an expression."""
    if all(isinstance(part, str) for part in parts):
        return Const("".join(part for part in parts if isinstance(part, str)))
    return Template(tuple(parts))


def _parts(node: ast.expr, read: Callable[[ast.expr], Expr], above: int) -> Parts:
    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return [ast.unparse(node)]
        case ast.Name() | ast.Attribute() | ast.Subscript() | ast.Call():
            ref = read(node)
            if not isinstance(ref, Ref):
                raise NoArithmeticError(node)
            return _grouped([Field(ref)], 3, above + 1)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _grouped([_OPERATORS[type(op)], *_parts(operand, read, 3)], 3, above)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            precedence = _PRECEDENCE[type(op)]
            # Operators of equal precedence group from the left, so the right side needs parentheses.
            # `**` groups from the right.
            is_power = isinstance(op, ast.Pow)
            first = _parts(left, read, precedence + is_power)
            second = _parts(right, read, precedence if is_power else precedence + 1)
            return _grouped([*first, f" {_OPERATORS[type(op)]} ", *second], precedence, above)
        case _:
            raise NoArithmeticError(node)


def _grouped(parts: Parts, precedence: int, above: int) -> Parts:
    return ["(", *parts, ")"] if precedence < above else parts


def is_arithmetic(node: ast.expr) -> bool:
    """Whether `node` is an arithmetic operator, on numbers or on text. A number with a sign is none."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
        return isinstance(node.operand.value, bool) and not isinstance(node.op, ast.Not)
    return isinstance(node, ast.BinOp) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd, ast.Invert))
    )


def has_text(node: ast.expr) -> bool:
    """Whether text stands in `node`, calls and indexes aside."""
    match node:
        case ast.JoinedStr() | ast.Constant(value=str()):
            return True
        case ast.BinOp(left=left, right=right):
            return has_text(left) or has_text(right)
        case ast.UnaryOp(operand=operand):
            return has_text(operand)
        case _:
            return False


def source_of(node: ast.AST) -> str:
    """`node` as Python text, shortened for messages."""
    text = ast.unparse(node)
    return text if len(text) <= 80 else text[:77] + "..."
