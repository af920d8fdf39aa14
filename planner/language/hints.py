"""Hints for arithmetic: the `calculate` call to write instead of an operator."""

from __future__ import annotations

import ast

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


def calculation(node: ast.expr) -> str:
    """The `calculate` call for an arithmetic expression, with its references in braces.

    References stand in parentheses where a negative value would change the meaning (`{a} ** 2`, `-{a}`).
    """
    text = _arithmetic_text(node)
    if text is None:
        return 'calculate(f"{a} + {b}")'
    return f'calculate(f"{text}")' if "{" in text else f'calculate("{text}")'


def _arithmetic_text(node: ast.expr, above: int = 0) -> str | None:
    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return source_of(node)
        case ast.Name() | ast.Attribute() | ast.Subscript():
            shown = source_of(node)
            if any(c in shown for c in '"\\{}'):
                return None
            return f"({{{shown}}})" if above >= 3 else f"{{{shown}}}"
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            inner = _arithmetic_text(operand, 3)
            return None if inner is None else _grouped(f"{_OPERATORS[type(op)]}{inner}", 3, above)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            precedence = _PRECEDENCE[type(op)]
            # Operators of equal precedence group from the left, so the right side needs parentheses.
            # `**` groups from the right.
            is_power = isinstance(op, ast.Pow)
            first = _arithmetic_text(left, precedence + is_power)
            second = _arithmetic_text(right, precedence if is_power else precedence + 1)
            if first is None or second is None:
                return None
            return _grouped(f"{first} {_OPERATORS[type(op)]} {second}", precedence, above)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if args:
            inner_texts = [_arithmetic_text(arg) for arg in args]
            if any(text is None for text in inner_texts):
                return None
            return f"{name}({', '.join(t for t in inner_texts if t is not None)})"
        case _:
            return None


def _grouped(text: str, precedence: int, above: int) -> str:
    return f"({text})" if precedence < above else text


def is_arithmetic(node: ast.expr) -> bool:
    """Whether `node` is an arithmetic operator, on numbers or on text."""
    return isinstance(node, ast.BinOp) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd, ast.Invert))
    )


def is_number(node: ast.expr) -> bool:
    """Whether `node` is a number with a sign."""
    return isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant)


def source_of(node: ast.AST) -> str:
    """`node` as Python text, shortened for messages."""
    text = ast.unparse(node)
    return text if len(text) <= 80 else text[:77] + "..."
