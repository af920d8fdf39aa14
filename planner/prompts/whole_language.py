"""The whole plan language as a grammar, for models that write names and texts of their own.

`plan_grammar` is for braid-mini: its names are spans of the question. Here texts are free, and so are names
of variables, unless they are the letters a, b, c. The rest follows the parser and the checker: tools, kinds
of arguments, fields of results, where arithmetic may stand, and what may follow what.

The notation is llguidance's Lark with parameters. A rule's parameter has 64 bits. They hold what the text
before it has bound, and where in the branches of an `if` it is. A parameter only flows forward, so each
statement has all that follow it behind it.

What is said of variables depends on their names:

- `letters`: the next variable has the next letter. Each letter has its kind in the parameter, and so its own
  fields.
- free names: the parameter has the first letters of bound names, and the kinds of results that are bound. A
  name is readable if a bound name begins like it. It may have any field of a kind that is bound. The checker
  does the rest.

What the language allows and this grammar does not is listed in `docs/plan-language.md`.
"""

from __future__ import annotations

import itertools
import json
import keyword
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from string import ascii_lowercase
from typing import Any, Final, cast

from braid.engine import Grammar
from braid.executors.tools import ToolSpec
from braid.planner.checker import THINK_RESULT, JsonType
from braid.planner.language import SPECIAL_FORMS
from braid.reasoning import default_method, method_names, method_spec

Schema = Mapping[str, Any]

MAX_STATEMENTS: Final = 48
"""Statements of a plan before an `answer` or `decline` has to come. Letters end with z."""

_TEXT = r"""
STRING: DOUBLE | SINGLE
DOUBLE: /"([^"\\\x00-\x1f\x7f]|\\["'\\nrt]|\\x[0-9a-f]{2}|\\u[0-9a-f]{4})*"/
SINGLE: /'([^'\\\x00-\x1f\x7f]|\\["'\\nrt]|\\x[0-9a-f]{2}|\\u[0-9a-f]{4})*'/
TEXT: /"([^"\\\x00-\x1f\x7f]|\\["'\\nrt]|\\x[0-9a-f]{2}|\\u[0-9a-f]{4})+"/
    | /'([^'\\\x00-\x1f\x7f]|\\["'\\nrt]|\\x[0-9a-f]{2}|\\u[0-9a-f]{4})+'/
DOUBLE_PART: /([^"\\{}\x00-\x1f\x7f]|\\["'\\nrt]|\\x[0-9a-f]{2}|\\u[0-9a-f]{4})+/
SINGLE_PART: /([^'\\{}\x00-\x1f\x7f]|\\["'\\nrt]|\\x[0-9a-f]{2}|\\u[0-9a-f]{4})+/
SPEC: /:[<>^=+ ]?[0-9]{0,2},?(\.[0-9]{1,2})?[defgns%]?/
INTEGER: /-?[0-9]{1,18}/
NUMBER: /-?[0-9]{1,18}(\.[0-9]{1,18})?(e[+\-]?[0-9]{1,2})?/
COMMA: /, ?/
EQUALS: / ?= ?/
COLON: /: ?/
COMPARISON: / ?(<|>|<=|>=|==|!=) ?| in | not in | is | is not /
JOINT: / and | or /
OPERATOR: / ?(\+|-|−|\*|×|\/|÷|%|\*\*|\/\/) ?/
DIGITS: /[0-9]{1,18}/
FRACTION: /\.[0-9]{1,18}/
EXPONENT: /[eE][+\-]?[0-9]{1,3}/
FUNCTION: /(abs|round|min|max|sum|sqrt|mean|median|floor|ceil|log|exp)\(/
LINE_END: /\n{1,2}/
INDEX: /\[[0-9]{1,4}\]/
ANY_FIELD: /\.[A-Za-z][A-Za-z0-9_]*/
ANY_KEY: /\["[^"\\_\x00-\x1f][^"\\\x00-\x1f]*"\]|\['[^'\\_\x00-\x1f][^'\\\x00-\x1f]*'\]/
FENCE_OPEN: /```[a-z]{0,10}\n/
FENCE_CLOSE: /```\n?/
number: DIGITS ("," DIGITS)* FRACTION? EXPONENT?
"""

_FIRSTS: Final = (*ascii_lowercase, "other")
"""Classes of first letters, one bit each. Capitals count as small letters."""

# The parameter, from bit 0 on: the place in the plan, the number of statements, and then the variables.
_DEPTH: Final = (0, 1)
"""Set inside of one `if`, and inside of two."""
_FRESH: Final = 2
"""The branch has no statement yet."""
_DONE: Final = 3
"""The branch has answered."""
_OPEN: Final = (4, 7)
"""At this level, `elif` or `else` may follow."""
_ELSE: Final = (5, 8)
"""At this level, the last branch is an `else`."""
_ALL: Final = (6, 9)
"""At this level, every branch so far has answered."""
_COUNT: Final = (10, 16)
_FIRST_BITS: Final = 16
_KIND_BITS: Final = _FIRST_BITS + len(_FIRSTS)
_WORD: Final = 64
_HOP: Final = re.compile(r"(?<=^)(\w+::[a-z]\S*(?: \S+\))?)(?= %if|$)")
"""An alternative that does nothing but change the parameter."""
_OR: Final = "\n    | "
_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_BOUND: Final = re.compile(r"^([a-z]) *= *(\[?)(\w+)\(", re.MULTILINE)


def language_grammar(
    tools: Sequence[ToolSpec],
    *,
    letters: bool = False,
    plan_so_far: str = "",
    earlier: Collection[str] = (),
) -> Grammar:
    """The plans that may be written with these tools, in Lark's notation.

    Args:
        tools: What a plan may call.
        letters: Whether variables are the letters a, b, c and so on, and items of maps are called x. Such
            plans stand in no fence, and calls do not stand in one another.
        plan_so_far: With letters, statements of top level that the model goes on from, in whole lines.
        earlier: Names of earlier rounds that may be read.
    """
    source = _Writer(tools, letters).source(plan_so_far, earlier)
    return Grammar("lark", source, after_thoughts=not letters)


class _Writer:
    """Writes the rules. A rule that depends on what is bound has a parameter.

    Rules of arguments exist for three places. In the call of a map (`m`), the item may be read. A call that
    stands in another (`n`) has no calls in it, nor has that of a map. Everywhere else (`v`), there may be.
    """

    def __init__(self, tools: Sequence[ToolSpec], letters: bool) -> None:
        self._tools = tools
        self._letters = letters
        self._rules: dict[str, str] = {}
        self._values: dict[tuple[str, str], str] = {}
        self._paths: dict[tuple[str, bool], tuple[str, str]] = {}
        self._fields = _all_fields(spec.returns for spec in tools)
        self._kinds: list[str] = [""]
        """The kinds of results, by the rules of the paths into them. The first is that of plain values."""
        self._calls: dict[int, list[str]] = {}
        """The calls of each kind."""
        self._nested: dict[int, list[str]] = {}
        """The same calls where they stand in others."""
        self._alone: dict[int, list[str]] = {}
        """What stands in no other call, of each kind: maps, and questions to the person."""
        self._kind_of: dict[str, tuple[int, int]] = {}
        """Kind of a function's result, and of a list of such results."""

    def source(self, plan_so_far: str, earlier: Collection[str]) -> str:
        self._references()
        self._formulas()
        self._any()
        for spec in self._tools:
            calls = [f'"{spec.name}(" {self._arguments(spec, place)} ")"' for place in ("v", "n")]
            self._add(spec.name, JsonType.of(spec.returns), calls, self._each(spec))
        self._special_forms()
        self._statements()
        self._blocks()
        self._reading()
        state = self._state(plan_so_far, earlier)
        fence = "" if self._letters else "FENCE_OPEN? "
        lines = [f"start: {fence}next::{state:#x}", f"end: {'' if self._letters else 'FENCE_CLOSE?'}"]
        if self._letters:
            lines[1] = 'end: ""'
        rules = [*lines, *(f"{name}: {body}" for name, body in self._rules.items())]
        return "\n".join(_without_idle_parameters(rules)) + _TEXT

    # What is bound.

    def _add(self, function: str, result: JsonType, calls: Sequence[str], each: str) -> None:
        """Add a function that a statement may call, alone or for each item of a list."""
        kind = self._kind(result)
        self._calls.setdefault(kind, []).append(calls[0])
        self._nested.setdefault(kind, []).append(calls[1])
        of_list = kind
        if each:
            of_list = self._kind(result.list_of())
            self._alone.setdefault(of_list, []).append(each)
        self._kind_of[function] = (kind, of_list)

    def _kind(self, result: JsonType) -> int:
        """The number of a kind of results."""
        path, _ = self._path(result, strings=True)
        if path not in self._kinds:
            if len(self._kinds) >= (32 if self._letters else _WORD - _KIND_BITS) and path != "any_path_v":
                return self._kinds.index("any_path_v") if "any_path_v" in self._kinds else self._kind_any()
            self._kinds.append(path)
        return self._kinds.index(path)

    def _kind_any(self) -> int:
        self._kinds.append("any_path_v")
        return len(self._kinds) - 1

    def _slot(self, letter: int) -> tuple[int, int]:
        """The bits of a letter's kind. Empty for letters that have no room."""
        width = max(1, (len(self._kinds) - 1).bit_length())
        start = _FIRST_BITS + letter * width
        return (start, start + width) if start + width <= _WORD else (0, 0)

    def _state(self, plan_so_far: str, earlier: Collection[str]) -> int:
        """The parameter with which a plan begins."""
        state = 0
        if self._letters:
            bound = 0
            for letter, bracket, function in _BOUND.findall(plan_so_far):
                index = ascii_lowercase.index(letter)
                bound = max(bound, index + 1)
                kind = self._kind_of.get(function, (0, 0))[bool(bracket)]
                start, stop = self._slot(index)
                state = state & ~(((1 << (stop - start)) - 1) << start) | kind << start if stop else state
            return state | bound << _COUNT[0]
        for name in earlier:
            state |= 1 << _FIRST_BITS + _first_class(name)
        if earlier:  # their kinds are not known here
            state |= ((1 << len(self._kinds) - 1) - 1) << _KIND_BITS
        return state

    def _binds(self, index: int, kind: int) -> int:
        """The bits that a statement sets whose variable has a letter, or begins with one."""
        if self._letters:
            start, stop = self._slot(index)
            return kind << start if stop else 0
        return 1 << _FIRST_BITS + index | (1 << _KIND_BITS + kind - 1 if kind else 0)

    # Statements and branches.

    def _statements(self) -> None:
        kinds = sorted({*self._calls, *self._alone})
        for kind in kinds:
            if kind in self._calls:
                self._rules[f"call_{kind}::_"] = _either(self._calls[kind])
            both = [f"call_{kind}::_"] if kind in self._calls else []
            self._rules[f"value_{kind}::_"] = _either([*both, *self._alone.get(kind, [])])
        lines: list[str] = []
        for index, first in enumerate(ascii_lowercase if self._letters else _FIRSTS):
            if self._letters:
                condition = f"eq([{_COUNT[0]}:{_COUNT[1]}], {index})"
                lines.append(f'"{first}" EQUALS right_{first}::_ %if {condition}')
            else:
                lines.append(f"BIND_{first.upper()} right_{first}::_ %if {_COUNT_LEFT}")
                not_bound = f"/({_RESERVED}|[A-Z].*) ?= ?/"
                self._rules[f"BIND_{first.upper()}"] = f"/{_name(first)} ?= ?/ & ~{not_bound}"
            self._rules[f"right_{first}::_"] = _either(
                f"value_{kind}::_ LINE_END bound::bit_or({self._binds(index, kind):#x})"
                if self._binds(index, kind)
                else f"value_{kind}::_ LINE_END bound::_"
                for kind in kinds
            )
        if not self._letters:
            self._rules["bare::_"] = _either(f"value_{kind}::_" for kind in kinds)
            lines.append(f"bare::_ LINE_END bound::_ %if {_COUNT_LEFT}")
        self._rules["line::_"] = _either(lines)
        self._rules["final::_"] = (
            '"answer(" value_any_v::_ (COMMA value_any_v::_)* ")" | "decline(" value_text_v::_ ")"'
        )

    def _blocks(self) -> None:
        """What may follow a line, by the place in the branches."""
        inside, twice = (f"bit_set({bit})" for bit in _DEPTH)
        alive, fresh = f"bit_clear({_DONE})", f"bit_set({_FRESH})"
        depths = [f"bit_clear({_DEPTH[0]})", f"and({inside}, bit_clear({_DEPTH[1]}))", twice]
        self._rules["next::_"] = _either(
            [f"at_{depth}::_ %if and({alive}, {condition})" for depth, condition in enumerate(depths)]
            + [f"close_{depth}::_ %if and(not({fresh}), {depths[depth]})" for depth in (1, 2)]
        )
        for depth in range(3):
            indent = f'"{"    " * depth}" ' if depth else ""
            options = [
                f"{indent}line::_",
                f"{indent}final::_ LINE_END answered_{depth}::_",
                f"{indent}final::_ end",
            ]
            self._rules[f"answered_{depth}::_"] = (
                "end" if depth == 0 else f"settled::bit_and({_without(_FRESH)}){_OR}end"
            )
            if depth < 2:
                options += self._ifs(depth, indent)
            self._rules[f"at_{depth}::_"] = _either(options)
        # A bound name closes the `if` before it.
        self._rules["bound::_"] = _either(
            [
                f"tick::bit_and({_without(_FRESH, _OPEN[0], _ALL[0])}) %if {depths[0]}",
                f"tick::bit_and({_without(_FRESH, _OPEN[1], _ALL[1])}) %if {depths[1]}",
                f"tick::bit_and({_without(_FRESH)}) %if {depths[2]}",
            ]
        )
        self._rules["bound::_"] += f"{_OR}end"
        self._rules["settled::_"] = f"next::bit_or({1 << _DONE:#x})"
        self._rules["tick::_"] = f"next::incr([{_COUNT[0]}:{_COUNT[1]}])"
        for depth in (1, 2):
            self._rules[f"close_{depth}::_"] = self._close(depth)

    def _ifs(self, depth: int, indent: str) -> list[str]:
        """`if`, `elif` and `else` at a level. An answer may stand on the same line."""
        left = f"and({_COUNT_LEFT}, gt([{_COUNT[0]}:{_COUNT[1]}], 0))" if self._letters else _COUNT_LEFT
        opened = _bits(_OPEN[depth], _ALL[depth])
        enter = _bits(_DEPTH[depth], _FRESH)
        more = f"bit_set({_OPEN[depth]})"
        self._rules[f"enter_{depth}::_"] = f"next::bit_or({enter:#x})"
        self._rules[f"else_{depth}::_"] = f"enter_{depth}::bit_or({_bits(_ELSE[depth]):#x})"
        self._rules[f"body_{depth}::_"] = f'":" LINE_END enter_{depth}::_ | ": " final::_ LINE_END inline::_'
        self._rules["inline::_"] = f"next::bit_and({_without(_FRESH)}){_OR}end"
        over = "end" if depth == 0 else f"answered_{depth}::_"
        self._rules[f"last_{depth}::_"] = _either(
            [
                f"{over} %if bit_set({_ALL[depth]})",
                f"next::bit_and({_without(_FRESH, _OPEN[depth])}) %if bit_clear({_ALL[depth]})",
            ]
        )
        return [
            f'{indent}"if " condition::_ body_{depth}::bit_or({opened:#x}) %if {left}',
            f'{indent}"elif " condition::_ body_{depth}::_ %if {more}',
            f'{indent}"else:" LINE_END else_{depth}::bit_and({_without(_OPEN[depth])}) %if {more}',
            f'{indent}"else: " final::_ LINE_END last_{depth}::_ %if {more}',
            f'{indent}"else: " final::_ end %if {more}',
        ]

    @staticmethod
    def _close(depth: int) -> str:
        """Leave a branch. One that ends without an answer leaves the whole `if` without one.

        What follows an `if` is answered where all of its branches are, and the last is an `else`.
        """
        level = depth - 1
        out, done, last, every = _DEPTH[level], _DONE, _ELSE[level], _ALL[level]
        states = [
            (f"and(bit_clear({done}), bit_clear({last}))", (out, every)),
            (f"and(bit_clear({done}), bit_set({last}))", (out, every, last)),
            (f"and(bit_set({done}), bit_clear({last}))", (out, done)),
            (f"and(bit_set({done}), and(bit_set({last}), bit_clear({every})))", (out, done, last)),
            (f"and(bit_set({done}), and(bit_set({last}), bit_set({every})))", (out, last, every)),
        ]
        return _either(f"next::bit_and({_without(*bits)}) %if {condition}" for condition, bits in states)

    # Expressions.

    def _references(self) -> None:
        """Paths into a result of which nothing is known, and the names of items of maps."""
        fields = [f"{_quoted('.' + name)}" for name in self._fields or ()] or []
        known = self._fields is not None
        for place, keys in (("v", ["ANY_KEY"]), ("h", [])):
            steps = ["INDEX", *(fields if known else ["ANY_FIELD"]), *keys]
            self._rules[f"any_path_{place}"] = f"({' | '.join(steps)}){{0,4}}"
        self._rules["ITEM"] = '"x"' if self._letters else f"/[A-Za-z][A-Za-z0-9_]{{0,40}}/ & ~/{_RESERVED}/"
        if self._letters:
            return
        for first in _FIRSTS:
            self._rules[f"NAME_{first.upper()}"] = f"/{_name(first)}/ & ~/{_RESERVED}/"

    def _reading(self) -> None:
        """References, alone (`v`, `n`, `m`) and in the braces of an f-string (`h`, `k`)."""
        # Nothing can stand in braces before a name is bound.
        bound = (
            f"gt([{_COUNT[0]}:{_COUNT[1]}], 0)" if self._letters else f"ne([{_FIRST_BITS}:{_KIND_BITS}], 0)"
        )
        self._rules["hole::_"] = f'"{{" ref_h::_ SPEC? "}}" %if {bound}'
        self._rules["item_hole::_"] = '"{" ref_k::_ SPEC? "}"'
        for place, path_place in (("v", "v"), ("n", "v"), ("m", "v"), ("h", "h"), ("k", "h")):
            options: list[str] = []
            if self._letters:
                for index, letter in enumerate(ascii_lowercase):
                    bound = f"gt([{_COUNT[0]}:{_COUNT[1]}], {index})"
                    options.append(f'"{letter}" letter_{letter}_{path_place}::_ %if {bound}')
            else:
                for index, first in enumerate(_FIRSTS):
                    options.append(
                        f"NAME_{first.upper()} path_{path_place}::_ %if bit_set({_FIRST_BITS + index})"
                    )
            if place in ("m", "k"):
                options.append(f"ITEM any_path_{path_place}")
            self._rules[f"ref_{place}::_"] = _either(options)
        for place in ("v", "h"):
            paths = [self._in_place(path, place) for path in self._kinds]
            if not self._letters:
                self._rules[f"path_{place}::_"] = _either(
                    ['""', *(f"{path} %if bit_set({_KIND_BITS + at})" for at, path in enumerate(paths[1:]))]
                )
                continue
            for index, letter in enumerate(ascii_lowercase):
                start, stop = self._slot(index)
                own = [f"{path} %if eq([{start}:{stop}], {at})" for at, path in enumerate(paths) if path]
                self._rules[f"letter_{letter}_{place}::_"] = _either(
                    ['""', *own] if stop else [f"any_path_{place}"]
                )

    def _in_place(self, path: str, place: str) -> str:
        return path if place == "v" or not path else f"{path.removesuffix('_v')}_h"

    def _path(self, result: JsonType, *, strings: bool) -> tuple[str, str]:
        """The rules of the paths into a result: anywhere, and in an f-string. Empty for plain values."""
        key = (json.dumps([result.schema, result.definitions], sort_keys=True, default=str), True)
        if key in self._paths:
            return self._paths[key]
        fields, items, unknown = _parts(result)
        if unknown:
            self._paths[key] = ("any_path_v", "any_path_h")
        elif not fields and not items:
            self._paths[key] = ("", "")
        else:
            name = f"path_{len(self._paths)}"
            self._paths[key] = (f"{name}_v", f"{name}_h")
            for place in ("v", "h"):
                options = ['""']
                for field, part in fields.items():
                    inner = self._in_place(self._path(part, strings=strings)[0], place)
                    if _IDENTIFIER.fullmatch(field) and not keyword.iskeyword(field):
                        options.append(f"{_quoted('.' + field)} {inner}")
                    if place == "v":
                        written = json.dumps(field, ensure_ascii=False)
                        options += [f"{_quoted(f'[{written}]')} {inner}"]
                        if written.isprintable() and "'" not in field and "\\" not in written:
                            single = f"['{field}']"
                            options.append(f"{_quoted(single)} {inner}")
                for index, part in items.items():
                    inner = self._in_place(self._path(part, strings=strings)[0], place)
                    options.append((f'"[{index}]"' if index is not None else "INDEX") + f" {inner}")
                self._rules[f"{name}_{place}"] = _either(options)
        return self._paths[key]

    def _formulas(self) -> None:
        """Arithmetic: in a text, in an f-string, and as operators between references."""
        for place in ("v", "m", "n"):
            hole = "item_hole::_" if place == "m" else "hole::_"
            for form, term in (("in", f"number | {hole}"), ("out", f"number | ref_{place}::_")):
                rule = f"sum_{form}_{place}::_"
                self._rules[rule] = f"SIGN? term_{form}_{place}::_ (OPERATOR term_{form}_{place}::_)*"
                self._rules[f"term_{form}_{place}::_"] = (
                    f'{term} | "(" {rule} ")"'
                    f' | FUNCTION ("[" {rule} (COMMA {rule})* "]" | {rule} (COMMA {rule})*) ")"'
                )
            inside, outside = f"sum_in_{place}::_", f"sum_out_{place}::_"
            inside = f"{inside} (RELATION {inside})?"
            self._rules[f"value_formula_{place}::_"] = (
                f'"f\\"" {inside} "\\"" | "f\'" {inside} "\'" | {outside}'
                ' | "\\"" plain (RELATION plain)? "\\"" | "\'" plain (RELATION plain)? "\'"'
            )
        self._rules["SIGN"] = "/-/"
        self._rules["RELATION"] = "/ ?(<|>|<=|>=|==|!=) ?/"
        self._rules["plain"] = "SIGN? plain_term (OPERATOR plain_term)*"
        self._rules["plain_term"] = (
            'number | "(" plain ")" | FUNCTION ("[" plain (COMMA plain)* "]" | plain (COMMA plain)*) ")"'
        )

    def _any(self) -> None:
        """Values of no certain kind, texts, and conditions."""
        for place in ("v", "m", "n"):
            hole = "item_hole::_" if place == "m" else "hole::_"
            braces = '"{{" | "}}"'
            self._rules[f"template_{place}::_"] = (
                f'"f\\"" (DOUBLE_PART | {hole} | {braces})* "\\""'
                f' | "f\'" (SINGLE_PART | {hole} | {braces})* "\'"'
            )
            read = self._read(place)
            self._rules[f"value_text_{place}::_"] = f"TEXT | template_{place}::_ | {read}"
            item = f"value_any_{place}::_"
            self._rules[f"list_any_{place}::_"] = f'"[" ({item} (COMMA {item})*)? "]"'
            self._rules[f"dict_any_{place}::_"] = (
                f'"{{" (STRING COLON {item} (COMMA STRING COLON {item})*)? "}}"'
            )
            self._rules[item] = (
                f'STRING | template_{place}::_ | NUMBER | "True" | "False" | "None"'
                f" | list_any_{place}::_ | dict_any_{place}::_ | {read}"
            )
        operand = 'ref_v::_ | NUMBER | STRING | "True" | "False" | "None" | literals'
        self._rules["operand::_"] = operand
        self._rules["literals"] = '"[" (STRING | NUMBER) (COMMA (STRING | NUMBER))* "]"'
        self._rules["condition::_"] = "test::_ (JOINT test::_)*"
        self._rules["test::_"] = '"not "? (operand::_ (COMPARISON operand::_)? | "(" condition::_ ")")'

    def _read(self, place: str) -> str:
        return f"ref_{place}::_" if self._letters or place != "v" else f"ref_{place}::_ | nested::_"

    # Calls.

    def _arguments(self, spec: ToolSpec, place: str) -> str:
        """Arguments by position, then by name. All that are required are given, and none twice."""
        properties: Schema = spec.parameters.get("properties", {})
        required = {name for name in spec.parameters.get("required", ()) if name in properties}
        accepted = JsonType.of(spec.parameters)
        names = list(properties)
        values = [self._value(accepted.part(properties[name]), place) for name in names]
        if spec.name == "calculate" and len(names) == 1:
            values = [f"value_formula_{place}::_"]
        if not names:
            return ""
        stem = f"{place}_{len(self._rules)}"
        written = dict(zip(names, values, strict=True))

        def by_name(left: tuple[str, ...], comma: bool) -> str:
            """What may follow by name, while `left` are not given. In any order if they are few."""
            rule = f"named_{stem}_{'_'.join(str(names.index(name)) for name in left)}_{int(comma)}::_"
            if rule in self._rules:
                return rule
            self._rules[rule] = ""
            options = [] if required & set(left) else ['""']
            for at, name in enumerate(left):
                behind = left[at + 1 :]
                rest = (*left[:at], *behind) if len(left) <= 4 else behind
                if len(left) > 4 and required & set(left[:at]):
                    break
                more = by_name(rest, True) if rest else ""
                options.append(f'{"COMMA " if comma else ""}"{name}=" {written[name]} {more}')
            self._rules[rule] = _either(options)
            return rule

        body = ""
        for at in range(len(names) - 1, -1, -1):
            comma = "COMMA " if at else ""
            body = f"({comma}{values[at]} {body} | {by_name(tuple(names[at:]), bool(at))})"
        return body

    def _each(self, spec: ToolSpec) -> str:
        """A map over the tool."""
        required = spec.parameters.get("required", ())
        arguments = self._arguments(spec, "m")
        if required and "on_error" not in spec.parameters.get("properties", {}) and not self._letters:
            arguments += ' ("COMMA on_error=" STRING)?'.replace('"COMMA on_error="', 'COMMA "on_error="')
        return f'"[{spec.name}(" {arguments} ")" over::_ "]"'

    def _special_forms(self) -> None:
        listed = "list_any_v::_"
        over = f"ref_v::_ | {listed}" + ("" if self._letters else " | nested::_")
        self._rules["over::_"] = f'" for " ITEM " in " ({over})'
        question = '"question="? value_text_{0}::_'
        for place in ("v", "m", "n"):
            self._rules[f"think_{place}::_"] = f"{question.format(place)} ({self._thought(place)})"
        self._add(
            "think",
            THINK_RESULT,
            ['"think(" think_v::_ ")"', '"think(" think_n::_ ")"'],
            '"[think(" think_m::_ ")" over::_ "]"',
        )
        text = JsonType.of({"type": "string"})
        self._alone.setdefault(self._kind(text), []).append(f'"ask(" {question.format("v")} ")"')
        verifier = " | ".join(_quoted(json.dumps(spec.name)) for spec in self._tools) or "STRING"
        verified, confident, *others = (
            _quoted(f'policy="{name}"') for name in ("verified", "confident", "all", "first", "vote")
        )
        at_least = '(COMMA "at_least=" NUMBER)?'
        policies = [
            f"COMMA ({' | '.join(others)} | SOME)",
            f'COMMA {verified} (COMMA "verifier=" ({verifier}))? {at_least}',
            f"COMMA {confident} {at_least}",
        ]
        self._rules["SOME"] = '/policy="[1-9][0-9]{0,2} of [1-9][0-9]{0,2}"/'
        item = "value_any_v::_"
        parts = f'("[" {item} (COMMA {item})* "]" | ref_v::_)'
        join = f'"join(" "parts="? {parts} ({" | ".join(policies)})? ")"'
        self._add("join", JsonType(None, {}), [join, join.replace("_v::_", "_n::_")], "")
        if not self._letters:
            calls = [
                f"({' | '.join(self._nested[kind])}) {self._kinds[kind]}" for kind in sorted(self._nested)
            ]
            self._rules["nested::_"] = _either(calls)

    def _thought(self, place: str) -> str:
        """What may follow the question of a thought, by method."""
        item = f"value_any_{place}::_"
        given = f'COMMA "given=" ("[" ({item} (COMMA {item})*)? "]" | ref_{place}::_)'
        verifier = " | ".join(_quoted(json.dumps(spec.name)) for spec in self._tools) or "STRING"
        options: list[str] = []
        methods = [
            (name, f"COMMA {_quoted(f'method={json.dumps(name)}')}") for name in sorted(method_names())
        ]
        methods += [(default_method(()), ""), (default_method(("n",)), 'COMMA "n=" INTEGER')]
        for name, named in methods:
            spec = method_spec(name)
            kinds = {int: "INTEGER", float: "NUMBER", bool: '("True" | "False")', str: "STRING"}
            settable = [
                f'COMMA "{option}=" {kinds[kind]}'
                for option, kind in spec.options.items()
                if kind is not None
            ]
            if spec.verifies:
                settable.append(f'COMMA "verifier=" ({verifier})')
            own = f"({' | '.join([given, *settable])}){{0,3}}"
            options.append(f"{own} {named} {own}" if named else own)
        return " | ".join(dict.fromkeys(options))

    # Values by their schemas.

    def _value(self, accepted: JsonType, place: str) -> str:
        """The rule of a value of a type."""
        key = (json.dumps([accepted.schema, accepted.definitions], sort_keys=True, default=str), place)
        if key not in self._values:
            rule = f"value_t{len(self._values)}_{place}::_"
            self._values[key] = rule
            literals = dict.fromkeys(
                literal for option in accepted.options() for literal in self._literals(option, place)
            )
            if f"value_any_{place}::_" in literals:
                self._values[key] = f"value_any_{place}::_"
            else:
                self._rules[rule] = _either([*literals, self._read(place)])
        return self._values[key]

    def _literals(self, accepted: JsonType, place: str) -> list[str]:
        """The literals of a type that has no alternatives."""
        schema = accepted.schema
        if schema is None:
            return [f"value_any_{place}::_"]
        values = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
        if values is not None:
            return [form for value in values for form in _written(value)]
        match accepted.kind:
            case "string":
                return ["STRING", f"template_{place}::_"]
            case "integer":
                return ["INTEGER"]
            case "number":
                return ["NUMBER"]
            case "boolean":
                return ['"True"', '"False"']
            case "null":
                return ['"None"']
            case "array":
                item = self._value(accepted.part(schema.get("items")), place)
                return [f'"[" ({item} (COMMA {item})*)? "]"']
            case "object":
                return [self._record(accepted, schema, place)]
            case _:
                return [f"value_any_{place}::_"]

    def _record(self, accepted: JsonType, schema: Schema, place: str) -> str:
        properties: Schema = schema.get("properties", {})
        if not properties or schema.get("additionalProperties") is not False:
            return f"dict_any_{place}::_"
        entries = [
            f"{_quoted(json.dumps(name, ensure_ascii=False))} COLON {self._value(accepted.part(part), place)}"
            for name, part in properties.items()
        ]
        entry = f"({' | '.join(entries)})"
        return f'"{{" ({entry} (COMMA {entry})*)? "}}"'


_COUNT_LEFT: Final = f"lt([{_COUNT[0]}:{_COUNT[1]}], {MAX_STATEMENTS})"
_RESERVED: Final = f"({'|'.join([*keyword.kwlist, *sorted(SPECIAL_FORMS), '_[0-9]+', '__.*'])})"


def _with_passes(rules: Iterable[str]) -> Iterator[str]:
    """The rules, with something empty before what stands alone and changes the parameter.

    llguidance takes such a name for another name of the rule, and forgets the change. A rule of nothing else
    gets a condition that always holds, or it would be written out where it is used.
    """
    for rule in rules:
        head, _, body = rule.partition(": ")
        options = [f"pass::_ {option}" if _HOP.match(option) else option for option in body.split(_OR)]
        if len(options) == 1 and options[0] != body:
            options[0] += " %if or(bit_set(0), bit_clear(0))"
        yield f"{head}: {_either(options)}"
    yield f'pass::_: "" %if true{_OR}"pass" %if and(bit_set(0), bit_clear(0))'


def _without_idle_parameters(rules: Sequence[str]) -> list[str]:
    """The rules, without the parameters of those that do not need one, which llguidance refuses."""
    kept = list(_with_passes(rules))
    while True:
        parts = (rule.partition(": ") for rule in kept)
        idle = [
            name.removesuffix("::_")
            for name, _, body in parts
            if name.endswith("::_") and "::" not in body and "%if" not in body
        ]
        if not idle:
            return kept
        found = re.compile(rf"\b({'|'.join(map(re.escape, idle))})::_")
        kept = [found.sub(r"\1", rule) for rule in kept]


def _either(options: Iterable[str]) -> str:
    return _OR.join(options)


def _bits(*bits: int) -> int:
    return sum(1 << bit for bit in bits)


def _without(*bits: int) -> str:
    return f"{(1 << _WORD) - 1 & ~_bits(*bits):#x}"


def _name(first: str) -> str:
    """A regular expression of the names of a class."""
    start = r"(_|[^\W\d_A-Za-z\p{M}])" if first == "other" else f"[{first}{first.upper()}]"
    return rf"{start}\w{{0,40}}"


def _first_class(name: str) -> int:
    first = name[:1].lower()
    return ascii_lowercase.index(first) if first and first in ascii_lowercase else len(ascii_lowercase)


def _quoted(text: str) -> str:
    """`text` as a terminal of the grammar."""
    return json.dumps(text, ensure_ascii=False)


def _written(value: object) -> list[str]:
    """A constant as a plan writes it, in either kind of quotes."""
    if not isinstance(value, str):
        return [_quoted(repr(value))]
    double = json.dumps(value, ensure_ascii=False)
    forms = [_quoted(double)]
    if double == f'"{value}"' and "'" not in value:
        single = f"'{value}'"
        forms.append(_quoted(single))
    return forms


def _parts(result: JsonType) -> tuple[dict[str, JsonType], dict[int | None, JsonType], bool]:
    """Fields and items of a result, and whether it may have others. An item of `None` stands for all."""
    fields: dict[str, JsonType] = {}
    items: dict[int | None, JsonType] = {}
    unknown = False
    for option in result.options():
        schema = option.schema
        match option.kind:
            case "object" if schema is not None:
                properties: Schema = schema.get("properties", {})
                for name, part in properties.items():
                    if not name.startswith("_"):
                        fields[name] = option.part(part) if name not in fields else JsonType(None, {})
                unknown |= not properties or schema.get("additionalProperties", False) is not False
            case "array" if schema is not None:
                fixed = schema.get("prefixItems")
                if isinstance(fixed, list):
                    parts: list[object] = cast("list[object]", fixed)
                    items |= {index: option.part(part) for index, part in enumerate(parts)}
                else:
                    items[None] = option.part(schema.get("items"))
            case "string" | "integer" | "number" | "boolean" | "null":
                pass
            case _:
                unknown = True
    return fields, items, unknown


def _all_fields(returned: Iterable[Schema | None]) -> list[str] | None:
    """The fields that any result may have, at any depth. None if one of them may have any."""
    fields: dict[str, None] = {"answer": None, "reason": None, "confidence": None, "candidates": None}
    seen: set[str] = set()
    todo = [JsonType.of(schema) for schema in returned]
    while todo:
        result = todo.pop()
        key = json.dumps(result.schema, sort_keys=True, default=str)
        if key in seen:
            continue
        seen.add(key)
        own, items, unknown = _parts(result)
        if unknown:
            return None
        fields |= dict.fromkeys(name for name in own if _IDENTIFIER.fullmatch(name))
        todo += itertools.chain(own.values(), items.values())
    return list(fields)
