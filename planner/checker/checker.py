"""From statements to nodes: are the tools, their arguments, and the names what the plan takes them for?

A `PlanChecker` follows one round of planning. It knows what the earlier rounds have left in the graph, and remembers what each
accepted statement binds. A statement that it rejects changes nothing.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from braid.executors import TaskGraph
from braid.executors.nodes import (
    Answer,
    Ask,
    Const,
    Expr,
    Guard,
    ListOf,
    Map,
    Node,
    Op,
    Ref,
    Scalar,
    Think,
    ToolCall,
    refs,
)
from braid.executors.tools import ToolSpec
from braid.planner.checker.scope import Binding, Scope
from braid.planner.checker.types import UNKNOWN, Typed, mismatch, near, step
from braid.planner.errors import PlanCheckError, PlanError
from braid.planner.language import (
    SPECIAL_FORMS,
    Argument,
    Call,
    MapForm,
    Place,
    Statement,
    parse_plan,
    rename,
)
from braid.planner.prompts import compact_signature

_THINK_RESULT = Typed.of(
    {
        "type": "object",
        "title": "the result of think",
        "properties": {
            "answer": {"type": "string"},
            "reason": {"type": "string"},
            "confidence": {"type": "number"},
            "candidates": {"type": "array"},
        },
    }
)
_TEXT = Typed.of({"type": "string"})


class PlanChecker:
    """Turns the statements of one round into nodes.

    Args:
        tools: what the plan may call.
        graph: the graph of the earlier rounds; its names may be read, and those that came to nothing bound again.
        round: number of this round, from 0.
    """

    def __init__(self, tools: Sequence[ToolSpec], graph: TaskGraph | None = None, *, round: int = 0) -> None:
        self._tools = {spec.name: spec for spec in tools}
        self._round = round
        self._names = Scope(graph, {*self._tools, *SPECIAL_FORMS}, self._type_of)

    @property
    def answered(self) -> bool:
        """Whether an `answer` that depends on no condition was accepted: the plan is complete."""
        return self._names.answered

    def check(self, statement: Statement) -> list[Node]:
        """The statement's nodes: those of calls that stood inside it, then its own.

        Raises:
            PlanCheckError: it does not fit the tools or the names at hand; nothing is remembered of it.
        """
        guards: tuple[Guard, ...] = ()
        for condition in statement.conditions:
            self._check_refs(condition.expr, condition.place, guards, {})
            guards += (Guard(condition.expr, condition.expected),)
        names: dict[str, str] = {}
        bindings: list[Binding] = []
        pending: dict[str, Binding] = {}
        for lifted in statement.lifted:
            op, typed = self._call(lifted.call, names, pending, guards)
            anonymous = self._names.anonymous(pending)
            names[lifted.placeholder] = anonymous
            node = self._node(statement, op, anonymous, guards)
            pending[anonymous] = Binding(node, typed)
            bindings.append(pending[anonymous])
        if isinstance(statement.form, MapForm):
            op, typed = self._map(statement.form, names, pending, guards)
        else:
            op, typed = self._call(statement.form, names, pending, guards)
        own_guards = self._names.answer_guards(statement, guards) if isinstance(op, Answer) else guards
        node = self._node(statement, op, statement.name, own_guards)
        if statement.name is not None:
            self._names.check_new(statement, statement.name, node)
        bindings.append(Binding(node, typed))
        self._names.remember(statement, bindings, guards)
        return [binding.node for binding in bindings]

    def _node(self, statement: Statement, op: Op, name: str | None, guards: tuple[Guard, ...]) -> Node:
        return Node(
            id=self._names.new_id(name or _called(op)),
            op=op,
            name=name,
            guards=guards,
            round=self._round,
            line=statement.line,
            source=statement.source,
        )

    def _fail(self, place: Place, message: str, fix: str = "") -> NoReturn:
        raise PlanCheckError(
            message, line=place.line, column=place.column, fix=fix, source_line=place.source_line
        )

    def _check_refs(
        self,
        expr: Expr,
        place: Place,
        guards: Sequence[Guard],
        pending: Mapping[str, Binding],
        item: tuple[str, Typed] | None = None,
    ) -> None:
        for ref in refs(expr):
            at = _find(ref.name, place)
            is_item = item is not None and ref.name == item[0]
            typed = item[1] if is_item and item else self._names.typed(ref, at, guards, pending)
            shown = ref.name if not re.fullmatch(r"_\d+", ref.name) else "the call"
            for key in ref.path:
                following = step(typed, key, shown)
                if isinstance(following, str):
                    reason, _, fix = following.partition("; ")
                    self._fail(at, reason, fix)
                typed = following
                shown += f"[{key}]" if isinstance(key, int) else f".{key}"

    def _type_of_expr(
        self, expr: Expr, place: Place, guards: Sequence[Guard], pending: Mapping[str, Binding]
    ) -> Typed:
        if not isinstance(expr, Ref):
            return UNKNOWN
        typed = self._names.typed(expr, place, guards, pending)
        for key in expr.path:
            following = step(typed, key, expr.name)
            if isinstance(following, str):
                return UNKNOWN
            typed = following
        return typed

    def _map(
        self, form: MapForm, names: dict[str, str], pending: Mapping[str, Binding], guards: Sequence[Guard]
    ) -> tuple[Op, Typed]:
        over = rename(form.over.value, names)
        self._check_refs(over, form.over.place, guards, pending)
        item = UNKNOWN
        match over:
            case Ref():
                typed = self._type_of_expr(over, form.over.place, guards, pending)
                kinds = {option.kind for option in typed.options()}
                if kinds and kinds <= {"string", "integer", "number", "boolean", "null"}:
                    self._fail(
                        form.over.place, "a map goes over a list, and this is none", "give a list: `[a, b]`"
                    )
                element = step(typed, 0, over.name)
                item = UNKNOWN if isinstance(element, str) else element
            case ListOf():
                pass
            case _:
                self._fail(
                    form.over.place, "a map goes over a list", "give a list: `[a, b]`, or the name of one"
                )
        spec = self._tools.get(form.body.function)
        own = spec is not None and "on_error" in spec.parameters.get("properties", {})
        on_error: str = "fail"
        body = form.body
        if not own:
            policy = [arg for arg in body.args if arg.keyword == "on_error"]
            if policy:
                value = policy[0].value
                if not isinstance(value, Const) or value.value not in ("fail", "collect"):
                    self._fail(
                        policy[0].place, '`on_error` is "fail" or "collect"', 'write `on_error="collect"`'
                    )
                on_error = str(value.value)
                body = Call(body.function, tuple(a for a in body.args if a.keyword != "on_error"), body.place)
        op, typed = self._call(body, names, pending, guards, (form.var, item))
        if not isinstance(op, (ToolCall, Think)):
            self._fail(form.place, "a map calls a tool or thinks for each item")
        listed = Typed({"type": "array", "items": typed.schema}, typed.definitions)
        return Map(form.var, over, op, "collect" if on_error == "collect" else "fail"), listed

    def _call(
        self,
        call: Call,
        names: dict[str, str],
        pending: Mapping[str, Binding],
        guards: Sequence[Guard],
        item: tuple[str, Typed] | None = None,
    ) -> tuple[ToolCall | Think | Ask | Answer, Typed]:
        args = [Argument(rename(arg.value, names), arg.keyword, arg.place) for arg in call.args]
        seen: set[str] = set()
        for arg in args:
            if arg.keyword is not None and arg.keyword in seen:
                self._fail(arg.place, f"the argument `{arg.keyword}` is given twice", "give it once")
            seen.add(arg.keyword or "")
            self._check_refs(arg.value, arg.place, guards, pending, item)
        match call.function:
            case "answer":
                return self._answer(call, args), UNKNOWN
            case "ask":
                return Ask(self._question(call, args, ())), _TEXT
            case "think":
                return self._think(call, args), _THINK_RESULT
            case _:
                return self._tool(call, args)

    def _tool(self, call: Call, args: Sequence[Argument]) -> tuple[ToolCall, Typed]:
        spec = self._tools.get(call.function)
        if spec is None:
            self._unknown_tool(call)
        parameters = list(spec.parameters.get("properties", {}))
        extra = spec.parameters.get("additionalProperties", False)
        typed = Typed.of(spec.parameters)
        given: dict[str, Expr] = {}
        positional = [arg for arg in args if arg.keyword is None]
        if len(positional) > len(parameters):
            self._fail(
                positional[len(parameters)].place,
                f"`{call.function}` takes {_count(len(parameters), 'argument')}, {len(positional)} were given",
                f"its signature: {compact_signature(spec)}",
            )
        for place, arg in enumerate(args):
            name = parameters[place] if arg.keyword is None else arg.keyword
            if name in given:
                self._fail(
                    arg.place, f"the argument `{name}` is given twice", "give it once, by place or by name"
                )
            if name not in parameters and extra is False:
                guess = near(name, [p for p in parameters if p not in given])
                told = f"did you mean `{guess}`? " if guess else ""
                self._fail(
                    arg.place,
                    f"`{call.function}` has no argument `{name}`",
                    f"{told}Its signature: {compact_signature(spec)}",
                )
            schema = spec.parameters.get("properties", {}).get(name, extra)
            if reason := mismatch(arg.value, typed.at(schema)):
                self._fail_type(call, name, arg, reason)
            given[name] = arg.value
        missing = [name for name in spec.parameters.get("required", ()) if name not in given]
        if missing:
            self._fail(
                call.place,
                f"`{call.function}` needs {_listed(missing)}",
                f"its signature: {compact_signature(spec)}",
            )
        return ToolCall(spec.name, tuple(given.items())), Typed.of(spec.returns)

    def _fail_type(self, call: Call, name: str, arg: Argument, reason: str) -> NoReturn:
        told, _, guess = reason.partition("; ")
        self._fail(
            arg.place,
            f"argument `{name}` of `{call.function}`: {told}",
            guess or _type_fix(arg.value, reason),
        )

    def _unknown_tool(self, call: Call) -> NoReturn:
        name = call.function
        known = [*self._tools, *sorted(SPECIAL_FORMS)]
        guess = near(name, known)
        if name == "print":
            fix = "end the plan with `answer(...)`"
        elif guess:
            fix = f"did you mean `{guess}`?"
        elif (
            name in ("abs", "round", "min", "max", "sum", "float", "int", "pow")
            and "calculate" in self._tools
        ):
            fix = (
                f'write it inside `calculate`: `calculate(f"{name}(...)")`'
                if name != "float"
                else "use the value as it is"
            )
        elif hasattr(builtins, name):
            fix = f"a plan has no Python functions; the tools are: {', '.join(known)}"
        else:
            fix = f"the tools are: {', '.join(known)}"
        self._fail(call.place, f"there is no tool `{name}`", fix)

    def _answer(self, call: Call, args: Sequence[Argument]) -> Answer:
        for arg in args:
            if arg.keyword is not None:
                self._fail(arg.place, "`answer` takes values without names", "write `answer(value)`")
        if not args:
            self._fail(call.place, "`answer` needs at least one value", "write `answer(value)`")
        return Answer(tuple(arg.value for arg in args))

    def _question(self, call: Call, args: Sequence[Argument], options: Iterable[str]) -> Expr:
        positional = [arg for arg in args if arg.keyword is None]
        named = [arg for arg in args if arg.keyword == "question"]
        allowed = ["question", *options]
        for arg in args:
            if arg.keyword is not None and arg.keyword not in allowed and "*" not in allowed:
                self._fail(
                    arg.place,
                    f"`{call.function}` has no argument `{arg.keyword}`",
                    f"it takes {', '.join(allowed)}",
                )
        if len(positional) + len(named) != 1:
            place = (positional[1:] or named or [Argument(Const(None), None, call.place)])[0].place
            self._fail(place, f"`{call.function}` takes one question", f'write `{call.function}("...")`')
        question = (positional or named)[0]
        if reason := mismatch(question.value, _TEXT):
            self._fail(
                question.place, f"the question of `{call.function}`: {reason}", "write the question in quotes"
            )
        return question.value

    def _think(self, call: Call, args: Sequence[Argument]) -> Think:
        question = self._question(call, args, ("given", "method", "*"))
        given: tuple[Expr, ...] = ()
        method: str | None = None
        options: list[tuple[str, Scalar]] = []
        for arg in args:
            match arg.keyword, arg.value:
                case ((None | "question"), _):
                    pass
                case "given", ListOf(items):
                    given = items
                case "given", value:
                    given = (value,)
                case "method", Const(str() as method):
                    pass
                case "method", _:
                    self._fail(
                        arg.place, "`method` is the name of a method", 'write `method="self_consistency"`'
                    )
                case str() as keyword, Const(value):
                    options.append((keyword, value))
                case keyword, _:
                    self._fail(
                        arg.place,
                        f"the option `{keyword}` of `think` is a plain value",
                        "hand results over by `given=[...]`",
                    )
        return Think(question, given, method, tuple(options))

    def _type_of(self, op: Op) -> Typed:
        match op:
            case ToolCall(tool):
                spec = self._tools.get(tool)
                return Typed.of(spec.returns) if spec else UNKNOWN
            case Think():
                return _THINK_RESULT
            case Ask():
                return _TEXT
            case Answer():
                return UNKNOWN
            case Map(_, _, body):
                inner = self._type_of(body)
                return Typed({"type": "array", "items": inner.schema}, inner.definitions)


def compile_plan(
    text: str, tools: Sequence[ToolSpec], graph: TaskGraph | None = None, *, round: int = 0
) -> tuple[list[Node], list[PlanError]]:
    """The nodes and the mistakes of a whole plan. It is valid when it has nodes and no mistakes."""
    checker = PlanChecker(tools, graph, round=round)
    nodes: list[Node] = []
    errors: list[PlanError] = []
    for item in parse_plan(text):
        if isinstance(item, PlanError):
            errors.append(item)
            continue
        try:
            nodes += checker.check(item)
        except PlanCheckError as error:
            errors.append(error)
    return nodes, errors


def _called(op: Op) -> str:
    match op:
        case ToolCall(tool):
            return tool
        case Map(_, _, body):
            return _called(body)
        case Think():
            return "think"
        case Ask():
            return "ask"
        case Answer():
            return "answer"


def _find(name: str, place: Place) -> Place:
    """Where `name` stands at or behind `place`, on its line; places inside f-strings are not told by Python."""
    found = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)").search(place.source_line, place.column - 1)
    return Place(place.line, found.start() + 1, place.source_line) if found else place


def _type_fix(value: Expr, reason: str) -> str:
    if isinstance(value, Const) and "expected text" in reason:
        return f'write it in quotes: `"{value.value}"`'
    if isinstance(value, Const) and isinstance(value.value, str) and "number, got" in reason:
        try:
            float(value.value.replace(",", ""))
        except ValueError:
            return "give a number, or the name of a result that is one"
        return f"write it without quotes: `{value.value.replace(',', '')}`"
    if "expected a list" in reason:
        return "write a list: `[...]`"
    return ""


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}" + ("" if number == 1 else "s")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
