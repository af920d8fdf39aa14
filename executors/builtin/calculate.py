"""The tool `calculate`: arithmetic on a text, bounded in time and memory.

The text is read with `ast` and never executed.
"""

from __future__ import annotations

import ast
import itertools
import math
import operator
import re
import statistics
from collections.abc import Callable
from typing import Final, TypeAlias

from braid.executors.tools import ToolError, tool

Number: TypeAlias = "int | float"

MAX_LENGTH: Final = 4000
"""Most characters of an expression."""

MAX_DEPTH: Final = 60
"""Most parentheses, calls and signs inside each other. A chain of operators of one kind does not count."""

MAX_BITS: Final = 4096
"""Most bits of a whole number: about 1,200 digits."""

DIGITS: Final = 12
"""Significant digits of a fractional result: few enough to drop the noise of binary fractions."""

ALLOWED: Final = (
    "allowed are numbers, + - * / // % **, parentheses, comparisons, and the functions abs, min, max, round,"
    " sum, sqrt, log, exp, floor, ceil, mean, median"
)


class CalculationError(ToolError):
    """The expression cannot be read, is not arithmetic, or has no finite result."""

    def __init__(self, message: str) -> None:
        super().__init__(f"calculate: {message}", tool="calculate")


@tool(effect="pure", inline=True)
def calculate(expression: str) -> int | float | bool:
    """Evaluate an arithmetic expression or comparison.

    Args:
        expression: numbers, + - * / // % **, comparisons, abs, min, max, round, sum, sqrt, log, exp, floor,
            ceil, mean, median.
    """
    if len(expression) > MAX_LENGTH:
        raise CalculationError(
            f"the expression is too long: {len(expression)} characters, at most {MAX_LENGTH}"
        )
    text = join_thousands(expression.strip().translate(_SIGNS))
    if not text:
        raise CalculationError(f"the expression is empty; {ALLOWED}")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CalculationError(_reason_unreadable(expression, error)) from None
    if isinstance(tree, ast.Compare):
        return _compare(tree)
    result = _number(tree, 0)
    return _rounded(result)


def join_thousands(text: str) -> str:
    """Take the commas out of numbers such as 1,642.

    Inside a call or a list they separate, as in `max(1,642)`.
    """
    separating = [False]
    pieces: list[str] = []
    position = 0
    for match in _TOKENS.finditer(text):
        pieces.append(text[position : match.start()])
        position = match.end()
        token = match[0]
        if token[0] in "([":
            before = text[: match.start()].rstrip()
            separating.append(token == "[" or before[-1:].isalnum() or before[-1:] == "_")
        elif token in ")]":
            if len(separating) > 1:
                separating.pop()
        elif not separating[-1]:
            token = token.replace(",", "")
        pieces.append(token)
    return "".join(pieces) + text[position:]


_TOKENS = re.compile(r"[(\[\])]|(?<![\w.,])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9,])")
_SIGNS = str.maketrans({"−": "-", "×": "*", "÷": "/"})

_OPERATORS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: left / right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: operator.mod,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Number, Number], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def _round(values: list[Number]) -> Number:
    if len(values) == 1:
        return round(values[0])
    digits = values[1]
    if not isinstance(digits, int) or abs(digits) > 1000:
        raise CalculationError(
            f"round: the number of digits must be a whole number up to 1000, got {digits!r}"
        )
    return round(values[0], digits)


_FUNCTIONS: dict[str, tuple[int, int | None, Callable[[list[Number]], Number]]] = {
    "abs": (1, 1, lambda values: abs(values[0])),
    "min": (1, None, min),
    "max": (1, None, max),
    "sum": (1, None, sum),
    "round": (1, 2, _round),
    "sqrt": (1, 1, lambda values: math.sqrt(values[0])),
    "log": (1, 2, lambda values: math.log(*values)),
    "exp": (1, 1, lambda values: math.exp(values[0])),
    "floor": (1, 1, lambda values: math.floor(values[0])),
    "ceil": (1, 1, lambda values: math.ceil(values[0])),
    "mean": (1, None, statistics.fmean),
    "median": (1, None, statistics.median),
}
"""By name: the least and the most numbers that a function takes (None: no limit), and the function."""


def _number(node: ast.expr, depth: int) -> Number:
    if depth > MAX_DEPTH:
        raise CalculationError(f"the expression is nested too deeply, at most {MAX_DEPTH} levels")
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _checked(value, node)
        case ast.BinOp():
            return _chain(node, depth)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand, depth + 1)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _number(operand, depth + 1)
        case ast.Call():
            return _call(node, depth)
        case ast.Compare():
            raise CalculationError(
                f"{_shown(node)}: a comparison gives yes or no, and cannot be part of a number"
            )
        case _:
            raise CalculationError(f"{_shown(node)} is not arithmetic; {ALLOWED}")


def _chain(node: ast.BinOp, depth: int) -> Number:
    """`a + b - c ...` from the left, without recursion: sums may have hundreds of terms."""
    links: list[ast.BinOp] = []
    first: ast.expr = node
    while isinstance(first, ast.BinOp):
        links.append(first)
        first = first.left
    result = _number(first, depth + 1)
    for link in reversed(links):
        result = _binary(link, result, _number(link.right, depth + 1))
    return result


def _binary(node: ast.BinOp, left: Number, right: Number) -> Number:
    if isinstance(node.op, ast.BitXor):
        raise CalculationError("^ is not a power here; write ** (2 ** 3 is 8)")
    try:
        if isinstance(node.op, ast.Pow):
            return _checked(_power(left, right), node)
        apply = _OPERATORS.get(type(node.op))
        if apply is None:
            raise CalculationError(f"{_shown(node)} uses an operator that is not arithmetic; {ALLOWED}")
        return _checked(apply(left, right), node)
    except ZeroDivisionError:
        raise CalculationError(f"{_shown(node)} divides by zero") from None
    except OverflowError:
        raise CalculationError(f"{_shown(node)} is too large") from None


def _power(base: Number, exponent: Number) -> Number:
    whole = isinstance(base, int) and isinstance(exponent, int)
    # Refused before it is computed: 9 ** 9 ** 9 would fill the memory.
    if whole and exponent > 0 and math.frexp(base)[1] * exponent > MAX_BITS:
        raise OverflowError
    if base < 0 and not float(exponent).is_integer():
        raise CalculationError(f"{base} ** {exponent} has no real value")
    return base**exponent


def _call(node: ast.Call, depth: int) -> Number:
    name = node.func.id if isinstance(node.func, ast.Name) else None
    if name is None or name not in _FUNCTIONS:
        raise CalculationError(f"{_shown(node.func)} is not a function that can be used here; {ALLOWED}")
    if node.keywords:
        raise CalculationError(f"{name}: give the numbers only, without names")
    least, most, apply = _FUNCTIONS[name]
    given = node.args
    # Plans write both sum([1, 2]) and sum(1, 2).
    if len(given) == 1 and isinstance(given[0], ast.List | ast.Tuple) and most is None:
        given = given[0].elts
    values = [_number(argument, depth + 1) for argument in given]
    if len(values) < least or (most is not None and len(values) > most):
        wanted = f"{least} or more" if most is None else str(least) if least == most else f"{least} to {most}"
        raise CalculationError(f"{name} takes {wanted} numbers, got {len(values)}")
    try:
        return _checked(apply(values), node)
    except OverflowError:
        raise CalculationError(f"{_shown(node)} is too large") from None
    except (ValueError, ZeroDivisionError):
        raise CalculationError(f"{_shown(node)} is not defined for {', '.join(map(str, values))}") from None


def _compare(node: ast.Compare) -> bool:
    compares: list[Callable[[Number, Number], bool]] = []
    for kind in node.ops:
        if type(kind) not in _COMPARISONS:
            raise CalculationError(
                f"{_shown(node)} is not a comparison of numbers; use ==, !=, <, <=, > or >="
            )
        compares.append(_COMPARISONS[type(kind)])
    # Rounded, so that 0.1 + 0.2 == 0.3 holds.
    values = [_rounded(_number(operand, 1)) for operand in (node.left, *node.comparators)]
    return all(compare(*pair) for compare, pair in zip(compares, itertools.pairwise(values), strict=True))


def _checked(value: Number, node: ast.expr) -> Number:
    if isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            raise CalculationError(f"{_shown(node)} is too large")
    elif not math.isfinite(value):
        raise CalculationError(f"{_shown(node)} is too large")
    return value


def _rounded(value: Number) -> Number:
    return value if isinstance(value, int) else float(f"{value:.{DIGITS}g}")


def _reason_unreadable(expression: str, error: Exception) -> str:
    shown = _short(expression)
    if isinstance(error, RecursionError | MemoryError) or "nested" in str(error):
        return "the expression is nested too deeply"
    if re.search(r"[0-9)]\s*%\s*($|[-+*/),<>=])", expression):
        return f"{shown} cannot be read: % is the remainder of a division; for a percentage write / 100"
    return f"{shown} cannot be read as arithmetic; {ALLOWED}"


def _shown(node: ast.expr) -> str:
    try:
        return _short(ast.unparse(node))
    except (RecursionError, ValueError):
        return "the expression"


def _short(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else f"{text[:limit]}..."
