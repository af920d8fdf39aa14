"""The plan language as a grammar for one question and its tools.

With it, a small model cannot write an invalid plan.

It covers what the embedded model writes. First come statements that call a tool, once or for each item of a
list, or `think`. Then comes an answer, a condition with an answer in each branch, or nothing, where another
round goes on from the results. Tools, the kinds of their arguments, the fields of results and the order of
variables are those at hand. Names of things are spans of the question or of a result, word for word. What a
variable's result holds is left to the checker.

The notation is llguidance's Lark. Its lexer takes the longest match and never goes back. What could begin
alike at one place is therefore a single terminal here, or begins with one that all of them share.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from string import ascii_lowercase
from typing import Any, Literal

from braid.engine import Grammar
from braid.executors.tools import ToolSpec
from braid.planner.language import single_line

Schema = Mapping[str, Any]

MAX_STATEMENTS = len(ascii_lowercase)
"""How many statements of a plan may bind a variable, which is a letter from a to z."""

# An attribute has no "of" of its own unless it is a span, so that behind "height of" there comes a name. What
# could go on for ever has a limit, which leads a model that repeats itself back to the plan.
_TEXT = r"""
ATTRIBUTE: WORD (" " WORD){0,4}
WORD: /[a-np-z][a-z'\-]{0,15}|o([a-eg-z'\-][a-z'\-]{0,14}|f[a-z'\-]{1,14})?/
PHRASE: ATTRIBUTE | SPAN
NAME: "\"" SPAN "\""
WORDS: "\"" PHRASE "\""
PAIR: NAME ", " WORDS | WORDS ", " NAME
QUERY: "\"" (PHRASE " of ")? SPAN "\""
LITERAL: QUERY | "\"" ARITHMETIC "\""
ARITHMETIC: /[0-9(][0-9 .()+*\/%\-]{0,80}/
VERDICT: "\"" ("yes" | "no" | SPAN | REFUSAL) "\""
REFUSAL: "I have no tool for that." | "I could not find the " ATTRIBUTE " of " SPAN "."
OPENING: "f\""
SUBJECT: (ATTRIBUTE | SPAN & /[^0-9({}][^{}]*/) " of {"
BETWEEN: REMARK? (SPAN & /[^{}]*/) REMARK? | REMARK
REMARK: /(The |the |I )?[a-z0-9 ;,:.%°²()'\/\-]{1,40}|°[CF]/
NUMBER: /-?[0-9]{1,18}(\.[0-9]{1,18})?(e[0-9]{1,2})?/
OPERATOR: / (\+|-|\*|\/|%|\*\*|\/\/) /
FUNCTION: /(abs|round|min|max|sum|sqrt|mean|median|floor|ceil|log|exp)\(/
COMPARISON: / (<|>|<=|>=|==|!=) /
JOINT: / (and|or) /
"""

_CHUNK = re.compile(r"[^\W_]+|.", re.DOTALL)
_RESULT = re.compile(r"^(?!#).*?  # (.+)$", re.MULTILINE)
_BOUND = re.compile(r"^\s*([a-z]) *=[^=]", re.MULTILINE)


Position = Literal["top", "first", "between", "second"]
"""A place in a plan: at the top level, in the first branch of an `if`, behind it, or in the second branch."""


def plan_grammar(tools: Sequence[ToolSpec], *, names_from: str, plan_so_far: str = "") -> Grammar:
    """The plans that the embedded model may write for a question, in Lark's notation.

    Args:
        tools: What a plan may call.
        names_from: The question. Names in the plan are runs of its words.
        plan_so_far: Statements that the model goes on from, in whole lines. The grammar begins behind them.
            Results that stand behind them as comments may hold names too.
    """
    first = max((ascii_lowercase.index(letter) + 1 for letter in _BOUND.findall(plan_so_far)), default=0)
    rules = [f"start: {_position(plan_so_far)}_{first}", _spans(names_from, plan_so_far), _TEXT.strip()]
    for bound in range(first, MAX_STATEMENTS + 1):
        rules += _statements(tools, bound)
    return Grammar("lark", "\n".join(rules) + "\n")


def _position(plan_so_far: str) -> Position:
    """Where the text goes on."""
    position: Position = "top"
    for line in plan_so_far.splitlines():
        inside = line[:1].isspace()
        if line.startswith("if "):
            position = "first"
        elif line.startswith("else") and position in ("first", "between"):
            position = "second"
        elif position == "first" and inside and line.strip().startswith("answer("):
            position = "between"
        elif not inside:
            position = "top"
    return position


def _spans(question: str, plan_so_far: str) -> str:
    """The rules of SPAN: any run of whole words of the question or of a result, escaped for quotation marks.

    A word that begins the question may be written with a small letter too.
    """
    chunks = _CHUNK.findall(single_line(question))
    runs = [chunks, *(_CHUNK.findall(result) for result in _RESULT.findall(plan_so_far))]
    if chunks and chunks[0] != (lower := chunks[0][:1].lower() + chunks[0][1:]):
        runs.append([lower, *chunks[1:]])
    texts = [json.dumps([_escaped(chunk) for chunk in run], ensure_ascii=False) for run in runs]
    spans = " | ".join(f"RUN_{index}" for index in range(len(runs)))
    rules = [f'RUN_{index}: %regex {{"substring_chunks": {text}}}' for index, text in enumerate(texts)]
    # A span neither begins nor ends with a mark that stands between names.
    edges = r"/[^ ,.;:!?)\]}%]|[^ ,.;:!?)\]}%](?s:.*)[^ ,;:?(\[{]/"
    return "\n".join([*rules, f"SPAN: ({spans}) & {edges}"])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _statements(tools: Sequence[ToolSpec], bound: int) -> list[str]:
    """The rules of what may follow once `bound` variables have a value."""
    more = bound < MAX_STATEMENTS and bool(tools)
    rules = _values(tools, bound)
    if more:
        calls = [_call(spec, bound) for spec in tools]
        calls += [_think(bound), *_each(tools, bound)]
        rules.append(f"call_{bound}: " + "\n    | ".join(calls))
    for place, indent, end in (
        ("top", "", ""),
        ("first", "    ", f" between_{bound}"),
        ("second", "    ", ""),
    ):
        options = [f'"{indent}answer(" answer_{bound} ")\\n"{end}']
        if more:
            variable = ascii_lowercase[bound]
            options.append(f'"{indent}{variable} = " call_{bound} "\\n" {place}_{bound + 1}')
        if place == "top" and bound:
            test = f"REF_{bound} COMPARISON (REF_{bound} | NUMBER)"
            options.append(f'"if " {test} (JOINT {test})* ":\\n" first_{bound}')
            options.append('""')
        rules.append(f"{place}_{bound}: " + "\n    | ".join(options))
    rules.append(f'between_{bound}: "else:\\n" second_{bound}')
    return rules


def _values(tools: Sequence[ToolSpec], bound: int) -> list[str]:
    """References to `bound` variables and the texts that they stand in."""
    if not bound:
        return ["answer_0: VERDICT"]
    paths = [rf"\.{re.escape(name)}" for name in dict.fromkeys((*_all_fields(tools), "answer"))]
    if any(_returns(spec, "array") for spec in tools):
        paths.append(r"\[[0-9]\]")
    path = f"({'|'.join(paths)})?" if paths else ""
    return [
        f"REF_{bound}: /[a-{ascii_lowercase[bound - 1]}]{path}/",
        f'PAIR_{bound}: PAIR | WORDS ", " REF_{bound} | REF_{bound} ", " (WORDS | REF_{bound})',
        f'hole_{bound}: "{{" REF_{bound} "}}"',
        f"sum_{bound}: term_{bound} (OPERATOR term_{bound})*",
        f'term_{bound}: hole_{bound} | NUMBER | "(" sum_{bound} ")"'
        f' | FUNCTION sum_{bound} (", " sum_{bound})* ")"',
        f'answer_{bound}: REF_{bound} | VERDICT | OPENING (BETWEEN? hole_{bound})+ BETWEEN? "\\""',
    ]


def _call(spec: ToolSpec, bound: int) -> str:
    """A call of `spec`.

    Arguments go by position. Optional ones may be left out from the end, or go by name.
    """
    definitions: Schema = spec.parameters.get("$defs", {})
    properties: Schema = spec.parameters.get("properties", {})
    required = set(spec.parameters.get("required", ()))
    kinds = [_kind(schema, definitions) for schema in properties.values()]
    if kinds == ["string", "string"] and len(required) == 2:
        # Of a thing and its attribute, say, at least one is a name or a result.
        return f'"{spec.name}(" {f"PAIR_{bound}" if bound else "PAIR"} ")"'
    body = ""
    last = True
    for position, (name, schema) in reversed(list(enumerate(properties.items()))):
        if kinds[position] == "string" and kinds.count("string") == 1:
            argument = _query(bound, arithmetic=not _fields(spec.returns or {}))
        else:
            argument = _argument(schema, definitions, bound)
        comma = '", " ' if position else ""
        last = last and name not in required
        key = f'"{name}=" ' if last else ""
        by_name = f"{comma}{key}({argument}) {body}" if last else ""
        body = f"{comma}({argument}) {body}"
        if last:
            body = f"({body} | {by_name})?"
    return f'"{spec.name}(" {body} ")"'


def _think(bound: int) -> str:
    """A `think`. Its question is in words of the task."""
    given = f'(", given=[" REF_{bound} (", " REF_{bound})* "]")?' if bound else ""
    return f'"think(" NAME {given} ")"'


def _each(tools: Sequence[ToolSpec], bound: int) -> list[str]:
    """Maps: calls, for every item of a list, of tools that are asked about one thing."""
    bodies: list[str] = []
    for spec in tools:
        definitions: Schema = spec.parameters.get("$defs", {})
        properties: Schema = spec.parameters.get("properties", {})
        required = set(spec.parameters.get("required", ()))
        kinds = [_kind(schema, definitions) for name, schema in properties.items() if name in required]
        if kinds == ["string"]:
            bodies.append(f'"{spec.name}(" ("x" | OPENING SUBJECT "x}}" "\\"") ")"')
        elif kinds == ["string", "string"]:
            bodies.append(f'"{spec.name}(" ("x, " WORDS | WORDS ", x") ")"')
    if not bodies:
        return []
    listing = '"[" NAME (", " NAME)* "]"' + (f" | REF_{bound}" if bound else "")
    return [f'"[" ({" | ".join(bodies)}) " for x in " ({listing}) "]"']


def _query(bound: int, *, arithmetic: bool) -> str:
    """The only text argument of a tool: what is looked up, or a formula if the tool may be a calculator."""
    text = "LITERAL" if arithmetic else "QUERY"
    if not bound:
        return text
    formula = f" | sum_{bound}" if arithmetic else ""
    return f'{text} | REF_{bound} | OPENING (SUBJECT REF_{bound} "}}"{formula}) "\\""'


def _argument(schema: Schema | bool, definitions: Schema, bound: int) -> str:
    schema = {} if isinstance(schema, bool) else schema
    reference = f"REF_{bound}" if bound else ""
    match _kind(schema, definitions):
        case "choice":
            return " | ".join(_quoted(_written(value)) for value in _choices(_resolved(schema, definitions)))
        case "boolean":
            own = '"True" | "False"'
        case "number":
            own = "NUMBER"
        case "string":
            own = "WORDS"
        case "array":
            items: Schema | bool = _resolved(schema, definitions).get("items", True)
            item = "NAME" if _kind(items, definitions) == "string" else _argument(items, definitions, 0)
            if reference:
                item += f" | {reference}"
            own = f'"[" ({item}) (", " ({item}))* "]"'
        case _:
            own = "NUMBER | WORDS"
    return f"{own} | {reference}" if reference else own


def _quoted(text: str) -> str:
    """`text` as a terminal of the grammar."""
    return json.dumps(text, ensure_ascii=False)


def _written(value: object) -> str:
    """A constant as a plan writes it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _kind(schema: Schema | bool, definitions: Schema) -> str:
    """`choice`, one of JSON's kinds (whole numbers are numbers), or `any`."""
    if isinstance(schema, bool):
        return "any"
    schema = _resolved(schema, definitions)
    if _choices(schema):
        return "choice"
    for key in ("anyOf", "oneOf"):
        kinds = {_kind(option, definitions) for option in schema.get(key, ())} - {"null"}
        if kinds:
            return kinds.pop() if len(kinds) == 1 and kinds != {"choice"} else "any"
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return "any"
    return "number" if kind == "integer" else str(kind)


def _choices(schema: Schema) -> Sequence[object]:
    return [schema["const"]] if "const" in schema else schema.get("enum", ())


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """`schema`, or the definition that it refers to. Of null and one alternative, the alternative."""
    seen: set[str] = set()
    while (reference := schema.get("$ref")) and reference not in seen:
        seen.add(reference)
        schema = definitions.get(str(reference).rsplit("/", 1)[-1], {})
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    return _resolved(options[0], definitions) if len(options) == 1 else schema


def _returned(schema: Schema) -> list[Schema]:
    """What a tool may return: the schema itself, or each of its alternatives."""
    definitions: Schema = schema.get("$defs", {})
    resolved = _resolved(schema, definitions)
    return [_resolved(option, definitions) for option in resolved.get("anyOf", ())] or [resolved]


def _fields(returns: Schema) -> list[str]:
    return [name for schema in _returned(returns) for name in schema.get("properties", ())]


def _all_fields(tools: Sequence[ToolSpec]) -> list[str]:
    return list(dict.fromkeys(name for spec in tools for name in _fields(spec.returns or {})))


def _returns(spec: ToolSpec, kind: str) -> bool:
    return any(schema.get("type") == kind for schema in _returned(spec.returns or {}))
