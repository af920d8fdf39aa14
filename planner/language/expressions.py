"""Expressions of the plan language, read from Python's syntax tree: literals, names, f-strings, calls."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import NoReturn

from braid.engine.surrogates import mend_text
from braid.executors.builtin import builtin_tools
from braid.executors.nodes import (
    WIDEST_FORMAT,
    AllOf,
    AnyOf,
    Compare,
    Const,
    DictOf,
    Expr,
    Field,
    ListOf,
    Not,
    Ref,
    Template,
)
from braid.executors.tools import ToolError
from braid.executors.values import short_form
from braid.planner.errors import Place
from braid.planner.language.arithmetic import (
    CALCULATE,
    NoArithmeticError,
    Parts,
    arithmetic,
    as_text,
    has_text,
    is_arithmetic,
    join_parts,
    source_of,
)
from braid.planner.language.locator import Locator

FINAL_FORMS = frozenset({"answer", "decline"})
"""Functions that end a plan."""

_SPEC_NUMBER = re.compile(r"\d+")
_ANONYMOUS = re.compile(r"_\d+")


@dataclass(frozen=True)
class Argument:
    """One argument of a call."""

    value: Expr
    keyword: str | None
    """None for a positional argument."""
    place: Place = field(compare=False)


@dataclass(frozen=True)
class Call:
    """A call of a tool or of a special form."""

    function: str
    args: tuple[Argument, ...]
    place: Place = field(compare=False)
    written: str = field(default="", compare=False)
    """The arithmetic that the plan has in place of this call of `calculate`. Empty for any other call."""


@dataclass(frozen=True)
class Lifted:
    """A call or a piece of arithmetic that stood inside another call. It becomes a node of its own."""

    placeholder: str
    """The name by which the outer call refers to its result."""
    call: Call


def anonymous_name(number: int) -> str:
    """The name of a call that stood inside another call. Plans cannot bind such names."""
    return f"_{number}"


def is_anonymous(name: str) -> bool:
    """Whether `name` is one of `anonymous_name`."""
    return _ANONYMOUS.fullmatch(name) is not None


class ExpressionReader:
    """Reads the expressions of one statement.

    Args:
        locator: Finds the places of syntax nodes.
        in_map: Whether the expressions stand in a map's call. Calls inside them are errors there.
    """

    def __init__(self, locator: Locator, *, in_map: bool = False) -> None:
        self._locator = locator
        self._fail = locator.fail
        self._in_map = in_map
        self.lifted: list[Lifted] = []
        """Calls that stood inside what was read, innermost first."""

    def call(self, node: ast.Call) -> Call:
        """A call and its arguments."""
        if not isinstance(node.func, ast.Name):
            if isinstance(node.func, ast.Attribute):
                self._fail(
                    node.func,
                    f"`{source_of(node.func)}` is not a tool; values have no methods in a plan",
                    "call one of the tools, or `calculate` and `think`",
                )
            self._fail(node.func, "only a tool's name can be called", "write `name = tool(...)`")
        function = node.func.id
        args: list[Argument] = []
        for arg in node.args:
            if isinstance(arg, ast.Starred):
                self._fail(arg, "there is no `*` in calls", "write each argument, or give the list itself")
            args.append(Argument(self._argument(function, arg), None, self._locator.place(arg)))
        for keyword in node.keywords:
            if keyword.arg is None:
                self._fail(keyword.value, "there is no `**` in calls", "write each argument as `name=value`")
            args.append(
                Argument(self._argument(function, keyword.value), keyword.arg, self._locator.place(keyword))
            )
        return Call(function, tuple(args), self._locator.place(node))

    def _argument(self, function: str, node: ast.expr) -> Expr:
        if function == CALCULATE and is_arithmetic(node):
            return as_text(self._arithmetic(node))
        if function == CALCULATE and isinstance(node, ast.JoinedStr):
            return self._template(node, calculated=True)
        read = self.read(node)
        if function == CALCULATE and isinstance(node, ast.Call) and isinstance(read, Ref):
            return Template((Field(read),))
        return read

    def calculation(self, node: ast.expr) -> Call:
        """The call of `calculate` that works out an arithmetic expression."""
        place = self._locator.place(node)
        argument = Argument(as_text(self._arithmetic(node)), None, place)
        return Call(CALCULATE, (argument,), place, source_of(node))

    def _arithmetic(self, node: ast.expr) -> Parts:
        if has_text(node):
            self._fail(
                node,
                "text is not put together with operators",
                'write one f-string: `f"{a.value} {b.value}"`',
            )
        try:
            return arithmetic(node, self.read)
        except NoArithmeticError as error:
            self._fail(
                error.node,
                f"`{error}` is no part of arithmetic",
                "arithmetic takes numbers, results and + - * / // % **",
            )

    def _worked_out(self, node: ast.expr) -> Expr:
        """The value of arithmetic: a number where it has no result in it, else a call that is lifted out."""
        call = self.calculation(node)
        match call.args[0].value:
            case Const(str() as text):
                try:
                    return Const(builtin_tools(CALCULATE)[0](text))
                except ToolError as error:
                    self._fail(node, str(error), "write arithmetic that has a value")
            case _ if self._in_map:
                self._fail(
                    node,
                    "arithmetic inside a map's call",
                    f"make two maps: bind `[{source_of(node)} for x in xs]` to a name and map over it",
                )
            case _:
                return Ref(self._lift_call(call))

    def read(self, node: ast.expr) -> Expr:
        """A literal, a reference, an f-string, a list, a dict, or a call that is lifted out."""
        match node:
            case ast.Constant(value):
                if isinstance(value, bytes):
                    self._fail(node, "there are no byte strings", "write plain text without the `b`")
                if isinstance(value, complex) or value is ...:
                    self._fail(node, f"`{source_of(node)}` is not a value of the plan language")
                return Const(mend_text(value) if isinstance(value, str) else value)
            case ast.UnaryOp(
                op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=int() | float() as number)
            ):
                if isinstance(number, bool):
                    self._not_an_argument(node)
                return Const(-number if isinstance(sign, ast.USub) else number)
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self._ref(node)
            case ast.JoinedStr():
                return self._template(node)
            case ast.List(items) | ast.Tuple(items):
                for item in items:
                    if isinstance(item, ast.Starred):
                        self._fail(
                            item, "there is no `*` in lists", "write the items, or give the list itself"
                        )
                return ListOf(tuple(self.read(item) for item in items))
            case ast.Dict(keys, values):
                return DictOf(
                    tuple((self._key(node, key), self.read(v)) for key, v in zip(keys, values, strict=True))
                )
            case ast.Call():
                return Ref(self._lift(node))
            case ast.BinOp() | ast.UnaryOp() if is_arithmetic(node):
                return self._worked_out(node)
            case _:
                self._not_an_argument(node)

    def _not_an_argument(self, node: ast.expr) -> NoReturn:
        match node:
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                self._fail(
                    node,
                    "a comparison stands only behind `if`",
                    "use an `if` with `else:`, or `calculate` for a yes/no value",
                )
            case ast.IfExp():
                self._fail(
                    node, "there is no `... if ... else ...`", "use an `if` statement with a body and `else:`"
                )
            case ast.Lambda():
                self._fail(node, "there is no `lambda`", "call a tool, or `think`")
            case ast.ListComp() | ast.GeneratorExp() | ast.SetComp() | ast.DictComp():
                self._fail(
                    node,
                    "a map is a statement of its own",
                    "bind it to a name first: `xs = [tool(x) for x in ...]`",
                )
            case ast.Set():
                self._fail(node, "there are no sets", "write a list: `[...]`")
            case ast.Await():
                self._fail(node, "there is no `await`", "write the call alone; it runs by itself")
            case ast.NamedExpr(target=ast.Name(id=name)):
                self._fail(node, "there is no `:=`", f"write `{name} = ...` as a statement of its own")
            case _:
                self._fail(
                    node,
                    f"`{source_of(node)}` is not an argument of the plan language",
                    "give literals, names or f-strings",
                )

    def _key(self, node: ast.Dict, key: ast.expr | None) -> str:
        if key is None:
            self._fail(node, "there is no `**` in dicts", 'write each entry as `"key": value`')
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            self._fail(key, "the keys of a dict are plain strings", 'write `{"key": value}`')
        return key.value

    def _lift(self, node: ast.Call) -> str:
        if self._in_map:
            self._fail(
                node,
                "a call inside a map's call",
                "make two maps: bind the inner one to a name and map over it",
            )
        call = self.call(node)
        if call.function in (*FINAL_FORMS, "ask"):
            self._fail(
                node,
                f"`{call.function}` is a statement of its own",
                f"write `{call.function}(...)` on its own line",
            )
        return self._lift_call(call)

    def _lift_call(self, call: Call) -> str:
        placeholder = f"~{len(self.lifted)}"  # no name of a plan looks like this
        self.lifted.append(Lifted(placeholder, call))
        return placeholder

    def _ref(self, node: ast.expr) -> Expr:
        path: list[str | int] = []
        base: ast.expr = node
        while True:
            match base:
                case ast.Attribute(value=inner, attr=attr):
                    self._public(base, attr)
                    path.append(attr)
                    base = inner
                case ast.Subscript(value=inner, slice=index):
                    path.append(self._index(index))
                    base = inner
                case ast.Name(id=name):
                    if name.startswith("__"):
                        self._fail(base, f"`{name}` cannot be read")
                    return Ref(name, tuple(reversed(path)))
                case ast.Call():
                    return Ref(self._lift(base), tuple(reversed(path)))
                case _:
                    self._fail(base, "only results have fields and items", "bind it to a name first")

    def _public(self, node: ast.AST, attr: str) -> None:
        if attr.startswith("_"):
            self._fail(
                node, f"`{attr}` is private and cannot be read", "read one of the result's public fields"
            )

    def _index(self, node: ast.expr) -> str | int:
        match node:
            case ast.Constant(value=bool()):
                pass
            case ast.Constant(value=int() as index):
                return index
            case ast.Constant(value=str() as key):
                self._public(node, key)
                return key
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int())):
                self._fail(
                    node,
                    "items are counted from the front",
                    "use an index from 0 up; rank the other way round for the last",
                )
            case ast.Slice():
                self._fail(node, "there are no slices", "name the items: `[xs[0], xs[1]]`")
            case _:
                pass
        self._fail(
            node, "an index is a whole number or a key in quotes", "write `xs[0]`, or map over the list"
        )

    def _template(self, node: ast.JoinedStr, *, calculated: bool = False) -> Expr:
        """An f-string. Arithmetic in braces stays text in one whose text is `calculated`."""
        parts: Parts = []
        for value in node.values:
            match value:
                case ast.Constant(value=str() as text):
                    parts.append(mend_text(text))
                case ast.FormattedValue(value=inner, format_spec=None) if calculated and is_arithmetic(inner):
                    parts += ["(", *self._arithmetic(inner), ")"]
                case ast.FormattedValue():
                    parts.append(self._field(node, value))
                case _:
                    self._fail(node, "this f-string cannot be read")
        return as_text(join_parts(parts))

    def _field(self, whole: ast.JoinedStr, node: ast.FormattedValue) -> str | Field:
        if node.conversion != -1:
            self._fail(
                whole,
                f"there is no `!{chr(node.conversion)}` and no `=` in f-strings",
                "write `{name}` or `{name:.2f}`",
            )
        spec = ""
        if node.format_spec is not None:
            match node.format_spec:
                case ast.JoinedStr(values=[ast.Constant(value=str() as spec)]):
                    pass
                case ast.JoinedStr(values=[]):
                    pass
                case _:
                    self._fail(whole, "a format specification is plain text", "write it as in `{name:.2f}`")
            self._check_spec(whole, spec)
        inner = node.value
        if isinstance(inner, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)) or is_arithmetic(inner):
            match self.read(inner):
                case Ref() as ref:
                    return Field(ref, spec)
                case Const(value):
                    return format(value, spec) if spec else short_form(value)
                case _:
                    pass
        self._fail(
            whole,
            f"`{{{source_of(inner)}}}`: f-strings take names, fields, constant indexes and arithmetic",
            "bind it to a name first, then use `{name}`",
        )

    def _check_spec(self, node: ast.JoinedStr, spec: str) -> None:
        if len(spec) > 30 or any(int(n) > WIDEST_FORMAT for n in _SPEC_NUMBER.findall(spec)):
            self._fail(
                node,
                f"the format specification {spec!r} is too wide",
                f"use numbers up to {WIDEST_FORMAT}",
            )
        for sample in (1.5, 1, "text"):
            try:
                format(sample, spec)
            except ValueError:
                continue
            return
        self._fail(
            node, f"{spec!r} is not a format specification", "write it as in `{name:.2f}` or `{name:,}`"
        )


def rename(expr: Expr, names: dict[str, str]) -> Expr:
    """`expr` with other names in its references.

    Args:
        expr: The expression.
        names: The new name of each name that changes.
    """
    match expr:
        case Const():
            return expr
        case Ref(name, path):
            return Ref(names.get(name, name), path)
        case Template(parts):
            return Template(
                tuple(
                    Field(Ref(names.get(p.ref.name, p.ref.name), p.ref.path), p.spec)
                    if isinstance(p, Field)
                    else p
                    for p in parts
                )
            )
        case ListOf(items):
            return ListOf(tuple(rename(item, names) for item in items))
        case DictOf(items):
            return DictOf(tuple((key, rename(value, names)) for key, value in items))
        case Compare(op, left, right):
            return Compare(op, rename(left, names), rename(right, names))
        case AllOf(terms):
            return AllOf(tuple(rename(term, names) for term in terms))
        case AnyOf(terms):
            return AnyOf(tuple(rename(term, names) for term in terms))
        case Not(term):
            return Not(rename(term, names))
