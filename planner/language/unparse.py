"""Nodes as text of the plan language, for later rounds and for people."""

from __future__ import annotations

import json
import keyword
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

from braid.executors.nodes import (
    AllOf,
    Answer,
    AnyOf,
    Ask,
    Compare,
    Const,
    DictOf,
    Expr,
    Field,
    Guard,
    Join,
    ListOf,
    Map,
    Node,
    Not,
    Op,
    Ref,
    Template,
    Think,
    ToolCall,
)


def render_expr(expr: Expr) -> str:
    """`expr` as it is written in a plan. Parsing the text gives `expr` again."""
    match expr:
        case Const(value):
            return _quoted(value) if isinstance(value, str) else repr(value)
        case Ref(name, path):
            return name + "".join(_step(key) for key in path)
        case Template(parts):
            return "f" + _quoted("".join(_part(part) for part in parts))
        case ListOf(items):
            return "[" + ", ".join(render_expr(item) for item in items) + "]"
        case DictOf(items):
            return "{" + ", ".join(f"{_quoted(key)}: {render_expr(value)}" for key, value in items) + "}"
        case Compare(op, left, right):
            return f"{render_expr(left)} {op} {render_expr(right)}"
        case AllOf(terms):
            return " and ".join(_grouped(term) for term in terms)
        case AnyOf(terms):
            return " or ".join(_grouped(term) for term in terms)
        case Not(term):
            return f"not {_grouped(term)}"
        case _:
            assert_never(expr)


def render_guards(guards: Sequence[Guard]) -> str:
    """The conditions of all the `if`s around a node as one. Empty where there are none."""
    terms = [guard.condition if guard.expected else Not(guard.condition) for guard in guards]
    return render_expr(terms[0] if len(terms) == 1 else AllOf(tuple(terms))) if terms else ""


def render_statement(node: Node) -> str:
    """A node's statement without the `if`s around it."""
    return (f"{node.name} = " if node.name is not None else "") + _op(node.op)


def render_plan(nodes: Iterable[Node], *, line: Callable[[Node], str] = render_statement) -> str:
    """The plan that gives these nodes, `if`s included. Every line ends with a line break.

    Args:
        nodes: The nodes, in the order of the plan.
        line: Writes one node.
    """
    lines: list[str] = []
    before: tuple[tuple[Expr, bool], ...] = ()
    for node in nodes:
        guards = tuple((guard.condition, guard.expected) for guard in node.guards)
        depth = 0
        while depth < min(len(before), len(guards)) and before[depth] == guards[depth]:
            depth += 1
        for level in range(depth, len(guards)):
            condition, expected = guards[level]
            indent = "    " * level
            # `else:` belongs to the `if` of the node before. Without one, an empty `if` is written.
            attaches = level == depth and level < len(before) and before[level] == (condition, not expected)
            if expected:
                lines.append(f"{indent}if {render_expr(condition)}:")
            elif attaches:
                lines.append(f"{indent}else:")
            else:
                lines += [f"{indent}if {render_expr(condition)}:", f"{indent}    pass", f"{indent}else:"]
        indent = "    " * len(guards)
        lines.append(indent + line(node))  # the further lines may be text, so they are not indented
        before = guards
    return "".join(text + "\n" for text in lines)


def _op(op: Op) -> str:
    match op:
        case ToolCall(tool, args):
            return f"{tool}({', '.join(f'{name}={render_expr(value)}' for name, value in args)})"
        case Think(question, given, method, options):
            args = [render_expr(question)]
            if given:
                args.append(f"given={render_expr(ListOf(given))}")
            if method is not None:
                args.append(f"method={_quoted(method)}")
            args += [f"{name}={render_expr(Const(value))}" for name, value in options]
            return f"think({', '.join(args)})"
        case Ask(question):
            return f"ask({render_expr(question)})"
        case Answer(values, declines):
            function = "decline" if declines else "answer"
            return f"{function}({', '.join(render_expr(value) for value in values)})"
        case Map(var, over, body, on_error):
            call = _op(body)
            if on_error == "collect":
                call = f'{call[:-1]}{"" if call.endswith("()") else ", "}on_error="collect")'
            return f"[{call} for {var} in {render_expr(over)}]"
        case Join(parts, policy, count, total, verifier, at_least):
            args = [render_expr(parts if isinstance(parts, Ref) else ListOf(parts))]
            if policy != "all":
                args.append(f'policy="{policy if policy != "some" else f"{count} of {total}"}"')
            if verifier is not None:
                args.append(f"verifier={_quoted(verifier)}")
            if at_least is not None:
                args.append(f"at_least={at_least!r}")
            return f"join({', '.join(args)})"
        case _:
            assert_never(op)


def _grouped(term: Expr) -> str:
    return f"({render_expr(term)})" if isinstance(term, (AllOf, AnyOf, Not, Compare)) else render_expr(term)


def _step(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if _is_attribute(key) else f"[{_quoted(key)}]"


def _is_attribute(key: str) -> bool:
    # Python normalizes identifiers, so a key that is not in normal form would come back as another.
    return key.isidentifier() and not keyword.iskeyword(key) and unicodedata.normalize("NFKC", key) == key


def _part(part: str | Field) -> str:
    if isinstance(part, str):
        return part.replace("{", "{{").replace("}", "}}")
    path = "".join(
        _step(key) if isinstance(key, int) or _is_attribute(key) else f"[{key!r}]" for key in part.ref.path
    )
    return "{" + part.ref.name + path + (f":{part.spec}" if part.spec else "") + "}"


def _quoted(text: str) -> str:
    """A string literal that JSON and Python read alike, on one line."""
    return json.dumps(text, ensure_ascii=False)
