"""The checker: from statements to nodes, if tools, arguments and names are what the plan takes them for.

A `PlanChecker` follows one round of planning. It knows what the earlier rounds have left in the graph. It
remembers what each accepted statement binds. A statement that it rejects changes nothing.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, NoReturn

from braid.executors import TaskGraph
from braid.executors.nodes import (
    Answer,
    Ask,
    Const,
    Expr,
    Guard,
    Join,
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
from braid.planner.checker.joins import JoinCheck
from braid.planner.checker.scope import Binding, ReadContext, Scope
from braid.planner.checker.types import UNKNOWN, JsonType, Mismatch, NoSuchPart, suggest
from braid.planner.errors import Place, PlanCheckError, PlanError
from braid.planner.language import (
    CALCULATE,
    SPECIAL_FORMS,
    Argument,
    Call,
    Lifted,
    MapForm,
    Statement,
    as_text,
    compact_signature,
    function_text,
    is_anonymous,
    parse_plan,
)
from braid.reasoning import default_method, method_names, method_spec

THINK_RESULT = JsonType.of(
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
_TEXT = JsonType.of({"type": "string"})
_JSON_KINDS = {bool: "boolean", int: "integer", float: "number", str: "string"}
_SCALAR_KINDS = {"string", "integer", "number", "boolean", "null"}


class PlanChecker:
    """Turns the statements of one round into nodes.

    It belongs to one round of planning. One thread at a time uses it.

    Args:
        tools: What the plan may call.
        graph: The graph of the earlier rounds. Its names may be read. Names without a result may be bound
            again.
        round: Number of this round, from 0.
        verifier: Whether the run has a verifier of its own. None if that is not known.
    """

    def __init__(
        self,
        tools: Sequence[ToolSpec],
        graph: TaskGraph | None = None,
        *,
        round: int = 0,
        verifier: bool | None = None,
    ) -> None:
        self._tools = {spec.name: spec for spec in tools}
        self._round = round
        self._scope = Scope(graph, {*self._tools, *SPECIAL_FORMS}, self._type_of)
        self._joins = JoinCheck(self._tools, verifier)
        self._compared: dict[tuple[Op, tuple[Guard, ...]], str] = {}
        """The node for each piece of arithmetic in a condition, by what it works out and when it runs."""

    @property
    def answered(self) -> bool:
        """Whether an `answer` that depends on no condition was accepted. The plan is complete then."""
        return self._scope.answered

    def check(self, statement: Statement) -> list[Node]:
        """The statement's nodes: first those of calls that stood inside it, then its own.

        Raises:
            PlanCheckError: The statement does not fit the tools or the names at hand. Nothing of it is
                remembered.
        """
        context = ReadContext()
        compared: dict[tuple[Op, tuple[Guard, ...]], str] = {}
        for condition in statement.conditions:
            context.placeholders.clear()
            for lifted in condition.lifted:
                self._lift(statement, lifted, context, compared)
            expr = context.named(condition.expr)
            self._check_refs(expr, condition.place, context)
            context.guards += (Guard(expr, condition.expected),)
        context.placeholders.clear()
        for lifted in statement.lifted:
            self._lift(statement, lifted, context)
        if isinstance(statement.form, MapForm):
            op, result = self._map(statement.form, context)
        else:
            op, result = self._call(statement.form, context)
        guards = context.guards
        if isinstance(op, Answer):
            guards = self._scope.answer_guards(statement, guards)
        node = self._node(statement, op, statement.name, guards)
        if statement.name is not None:
            self._scope.check_new(statement, statement.name, node)
        bindings = [*context.lifted.values(), Binding(node, result)]
        self._scope.add(statement, bindings, context.guards)
        self._compared |= compared
        return [binding.node for binding in bindings]

    def _lift(
        self,
        statement: Statement,
        lifted: Lifted,
        context: ReadContext,
        compared: dict[tuple[Op, tuple[Guard, ...]], str] | None = None,
    ) -> None:
        """Make a node of a call that stood inside `statement`.

        Args:
            statement: The statement.
            lifted: The call.
            context: What the statement sees.
            compared: For arithmetic in a condition: the names of the nodes that the statement brings for it.
                A node that an earlier statement under the same `if` brought stands for this one too.
        """
        op, result = self._call(lifted.call, context)
        key = (op, context.guards)
        if compared is not None and (name := {**self._compared, **compared}.get(key)):
            context.placeholders[lifted.placeholder] = name
            return
        name = self._scope.anonymous(context)
        context.placeholders[lifted.placeholder] = name
        context.lifted[name] = Binding(self._node(statement, op, name, context.guards), result)
        if compared is not None:
            compared[key] = name

    def _node(self, statement: Statement, op: Op, name: str | None, guards: tuple[Guard, ...]) -> Node:
        return Node(
            id=self._scope.new_id(name or _function(op)),
            op=op,
            name=name,
            guards=guards,
            round=self._round,
            line=statement.line,
            source=statement.source,
        )

    def _fail(self, place: Place, message: str, fix: str = "") -> NoReturn:
        raise PlanCheckError.at(place, message, fix)

    def _check_refs(self, expr: Expr, place: Place, context: ReadContext) -> None:
        """Check that every name in `expr` may be read, and that every path leads somewhere."""
        for ref in refs(expr):
            self._type_at(ref, place.of(ref.name), context)

    def _type_at(self, ref: Ref, place: Place, context: ReadContext) -> JsonType:
        """The type of what `ref` reads."""
        found = self._scope.type_of(ref, place, context)
        shown = "the call" if is_anonymous(ref.name) else ref.name
        for key in ref.path:
            part = found.step(key, shown)
            if isinstance(part, NoSuchPart):
                self._fail(place, part.reason, part.fix)
            found = part
            shown += f"[{key}]" if isinstance(key, int) else f".{key}"
        return found

    def _item_type(self, over: Expr, place: Place, context: ReadContext) -> JsonType:
        """The type of the items that a map goes over."""
        self._check_refs(over, place, context)
        if isinstance(over, ListOf):
            return UNKNOWN
        if not isinstance(over, Ref):
            self._fail(place, "a map goes over a list", "give a list: `[a, b]`, or the name of one")
        found = self._type_at(over, place, context)
        kinds = {option.kind for option in found.options()}
        if kinds and kinds <= _SCALAR_KINDS:
            self._fail(place, "a map goes over a list, and this is none", "give a list: `[a, b]`")
        item = found.step(0, over.name)
        return UNKNOWN if isinstance(item, NoSuchPart) else item

    def _map(self, form: MapForm, context: ReadContext) -> tuple[Op, JsonType]:
        over = context.named(form.over.value)
        item = self._item_type(over, form.over.place, context)
        body, on_error = self._error_policy(form.body)
        op, result = self._call(body, replace(context, item=(form.var, item)))
        if not isinstance(op, (ToolCall, Think)):
            self._fail(form.place, "a map calls a tool or thinks for each item")
        return Map(form.var, over, op, on_error), result.list_of()

    def _error_policy(self, body: Call) -> tuple[Call, Literal["fail", "collect"]]:
        """A map's call without its `on_error`, and the value of that."""
        spec = self._tools.get(body.function)
        if spec is not None and "on_error" in spec.parameters.get("properties", {}):
            return body, "fail"  # the argument is the tool's own
        given = [arg for arg in body.args if arg.keyword == "on_error"]
        if not given:
            return body, "fail"
        rest = tuple(arg for arg in body.args if arg.keyword != "on_error")
        match given[0].value:
            case Const("fail" | "collect" as policy):
                return replace(body, args=rest), policy
            case _:
                self._fail(given[0].place, '`on_error` is "fail" or "collect"', 'write `on_error="collect"`')

    def _call(
        self, call: Call, context: ReadContext
    ) -> tuple[ToolCall | Think | Ask | Answer | Join, JsonType]:
        args = [replace(arg, value=context.named(arg.value)) for arg in call.args]
        seen: set[str] = set()
        for arg in args:
            if arg.keyword is not None and arg.keyword in seen:
                self._fail(arg.place, f"the argument `{arg.keyword}` is given twice", "give it once")
            seen.add(arg.keyword or "")
            self._check_refs(arg.value, arg.place, context)
        match call.function:
            case "answer":
                return self._answer(call, args), UNKNOWN
            case "decline":
                return self._decline(call, args), UNKNOWN
            case "ask":
                return self._ask(call, args), _TEXT
            case "think":
                return self._think(call, args), THINK_RESULT
            case "join":
                return self._join(call, args, context)
            case _:
                return self._tool(*self._arithmetic(call, args, context))

    def _arithmetic(
        self, call: Call, args: Sequence[Argument], context: ReadContext
    ) -> tuple[Call, Sequence[Argument]]:
        """`call`, as one of `calculate` where it is `abs`, `round` or the like of numbers.

        Raises:
            PlanCheckError: The plan has arithmetic, and no tool works it out, or it reads what is no number.
        """
        calculates = CALCULATE in self._tools
        if not call.written:
            if not calculates or call.function in self._tools:
                return call, args
            inner = function_text(call.function, [arg.value for arg in args if arg.keyword is None])
            if inner is None or any(arg.keyword is not None for arg in args):
                return call, args
            return replace(call, function=CALCULATE), [Argument(as_text(inner), None, call.place)]
        if not calculates:
            self._fail(
                call.place,
                f"no tool works out `{call.written}`: there is no `{CALCULATE}` among the tools",
                "give `answer` the results themselves, or work it out with `think`",
            )
        for ref in refs(args[0].value):
            kinds = {option.kind for option in self._type_at(ref, call.place, context).options()}
            if kinds and kinds <= {"object"}:
                shown = "the call" if is_anonymous(ref.name) else ref.name
                self._fail(
                    call.place.of(ref.name),
                    f"`{call.written}`: `{shown}` is a record and no number",
                    f"read a field of it: `{shown}.value`, if that is the field",
                )
        return call, args

    def _tool(self, call: Call, args: Sequence[Argument]) -> tuple[ToolCall, JsonType]:
        spec = self._tools.get(call.function)
        if spec is None:
            self._unknown_tool(call)
        parameters = list(spec.parameters.get("properties", {}))
        extra = spec.parameters.get("additionalProperties", False)
        accepted = JsonType.of(spec.parameters)
        given: dict[str, Expr] = {}
        positional = [arg for arg in args if arg.keyword is None]
        if len(positional) > len(parameters):
            self._fail(
                positional[len(parameters)].place,
                f"`{call.function}` takes {_count(len(parameters), 'argument')},"
                f" {len(positional)} were given",
                f"its signature: {compact_signature(spec)}",
            )
        for position, arg in enumerate(args):
            name = parameters[position] if arg.keyword is None else arg.keyword
            if name in given:
                self._fail(
                    arg.place, f"the argument `{name}` is given twice", "give it once, by place or by name"
                )
            if name not in parameters and extra is False:
                guess = suggest(name, [p for p in parameters if p not in given])
                hint = f"did you mean `{guess}`? " if guess else ""
                self._fail(
                    arg.place,
                    f"`{call.function}` has no argument `{name}`",
                    f"{hint}Its signature: {compact_signature(spec)}",
                )
            schema = spec.parameters.get("properties", {}).get(name, extra)
            if mismatch := accepted.part(schema).mismatch(arg.value):
                self._fail(
                    arg.place,
                    f"argument `{name}` of `{call.function}`: {mismatch.reason}",
                    mismatch.fix or _kind_fix(arg.value, mismatch),
                )
            given[name] = arg.value
        missing = [name for name in spec.parameters.get("required", ()) if name not in given]
        if missing:
            self._fail(
                call.place,
                f"`{call.function}` needs {_listed(missing)}",
                f"its signature: {compact_signature(spec)}",
            )
        return ToolCall(spec.name, tuple(given.items())), JsonType.of(spec.returns)

    def _unknown_tool(self, call: Call) -> NoReturn:
        name = call.function
        known = [*self._tools, *sorted(SPECIAL_FORMS)]
        guess = suggest(name, known)
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

    def _decline(self, call: Call, args: Sequence[Argument]) -> Answer:
        named = [arg for arg in args if arg.keyword is not None]
        if len(args) != 1 or named:
            place = (named or args[1:])[0].place if args else call.place
            self._fail(place, "`decline` takes one reason", 'write `decline("...")`')
        if mismatch := _TEXT.mismatch(args[0].value):
            self._fail(
                args[0].place, f"the reason of `decline`: {mismatch.reason}", "write the reason in quotes"
            )
        return Answer((args[0].value,), declines=True)

    def _ask(self, call: Call, args: Sequence[Argument]) -> Ask:
        for arg in args:
            if arg.keyword not in (None, "question"):
                self._fail(arg.place, f"`ask` has no argument `{arg.keyword}`", "it takes question")
        return Ask(self._question(call, args))

    def _question(self, call: Call, args: Sequence[Argument]) -> Expr:
        positional = [arg for arg in args if arg.keyword is None]
        named = [arg for arg in args if arg.keyword == "question"]
        if len(positional) + len(named) != 1:
            place = (positional[1:] or named or [Argument(Const(None), None, call.place)])[0].place
            self._fail(place, f"`{call.function}` takes one question", f'write `{call.function}("...")`')
        question = (positional or named)[0]
        if mismatch := _TEXT.mismatch(question.value):
            self._fail(
                question.place,
                f"the question of `{call.function}`: {mismatch.reason}",
                "write the question in quotes",
            )
        return question.value

    def _think(self, call: Call, args: Sequence[Argument]) -> Think:
        question = self._question(call, args)
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
                case "adapter", value if not (isinstance(value, Const) and isinstance(value.value, str)):
                    self._fail(arg.place, "`adapter` is the name of an adapter", 'write `adapter="..."`')
                case str() as keyword, Const(value):
                    options.append((keyword, value))
                case keyword, _:
                    self._fail(
                        arg.place,
                        f"the option `{keyword}` of `think` is a plain value",
                        "hand results over by `given=[...]`",
                    )
        of_method = {keyword: value for keyword, value in options if keyword != "adapter"}
        self._check_method(call, args, method, of_method)
        return Think(question, given, method, tuple(options))

    def _check_method(
        self, call: Call, args: Sequence[Argument], method: str | None, options: Mapping[str, Scalar]
    ) -> None:
        """Check that the method of a thought is there and takes these options."""
        places = {arg.keyword: arg.place for arg in args}
        if method is not None and method not in (known := method_names()):
            guess = suggest(method, known)
            fix = f"did you mean `{guess}`?" if guess else f"the methods are: {', '.join(known)}"
            self._fail(places["method"], f"there is no method `{method}`", fix)
        name = method or default_method(options)
        spec = method_spec(name)
        for option, value in options.items():
            place = places[option]
            if option == "verifier" and spec.verifies:
                if not isinstance(value, str):
                    self._fail(place, "`verifier` is the name of a tool", 'write `verifier="..."`')
                self._joins.verifier(place, value)
            elif option not in spec.options:
                if spec.closed:
                    settable = [each for each, kind in spec.options.items() if kind is not None]
                    settable += ["verifier"] if spec.verifies else []
                    guess = suggest(option, [*settable, "given", "method"])
                    hint = f"did you mean `{guess}`? " if guess else ""
                    self._fail(
                        place,
                        f"the method `{name}` has no option `{option}`",
                        f"{hint}It has {', '.join(settable)}",
                    )
            elif (kind := spec.options[option]) is None:
                self._fail(place, f"the option `{option}` cannot be written in a plan", "leave it out")
            elif mismatch := JsonType.of({"type": _JSON_KINDS[kind]}).mismatch(Const(value)):
                fix = mismatch.fix or _kind_fix(Const(value), mismatch)
                self._fail(place, f"the option `{option}` of `{name}`: {mismatch.reason}", fix)
        if spec.verifies and "verifier" not in options:
            self._joins.no_verifier(call.place, f"the method `{name}`")

    def _join(self, call: Call, args: Sequence[Argument], context: ReadContext) -> tuple[Join, JsonType]:
        def type_of(ref: Ref) -> JsonType:
            return self._type_at(ref, call.place.of(ref.name), context)

        return self._joins.check(call, args, type_of, lambda name: self._scope.nodes(name, context))

    def _type_of(self, op: Op) -> JsonType:
        """The type of an operation's result."""
        match op:
            case ToolCall(tool):
                spec = self._tools.get(tool)
                return JsonType.of(spec.returns) if spec else UNKNOWN
            case Think():
                return THINK_RESULT
            case Ask():
                return _TEXT
            case Answer():
                return UNKNOWN
            case Map(_, _, body):
                return self._type_of(body).list_of()
            case Join():
                return self._joins.type_of(op, self._earlier_type)

    def _earlier_type(self, ref: Ref) -> JsonType:
        """The type of what `ref` reads of an earlier round, whatever became of it."""
        found = self._scope.earlier_type(ref.name)
        for key in ref.path:
            part = found.step(key, ref.name)
            found = UNKNOWN if isinstance(part, NoSuchPart) else part
        return found


def compile_plan(
    text: str,
    tools: Sequence[ToolSpec],
    graph: TaskGraph | None = None,
    *,
    round: int = 0,
    verifier: bool | None = None,
) -> tuple[list[Node], list[PlanError]]:
    """The nodes and the mistakes of a whole plan. It is valid if it has nodes and no mistakes."""
    checker = PlanChecker(tools, graph, round=round, verifier=verifier)
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


def _function(op: Op) -> str:
    """What a plan calls for `op`."""
    match op:
        case ToolCall(tool):
            return tool
        case Map(_, _, body):
            return _function(body)
        case Think():
            return "think"
        case Ask():
            return "ask"
        case Answer(_, declines):
            return "decline" if declines else "answer"
        case Join():
            return "join"


def _kind_fix(value: Expr, mismatch: Mismatch) -> str:
    """What to write instead of a literal of the wrong kind."""
    match value, mismatch.expected:
        case Const(literal), ("string", *_):
            return f'write it in quotes: `"{literal}"`'
        case Const(str() as text), (*_, "integer" | "number"):
            try:
                float(text.replace(",", ""))
            except ValueError:
                return "give a number, or the name of a result that is one"
            return f"write it without quotes: `{text.replace(',', '')}`"
        case _, ("array", *_):
            return "write a list: `[...]`"
        case _:
            return ""


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}" + ("" if number == 1 else "s")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
