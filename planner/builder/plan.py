"""Plans built in Python: `Plan` writes the plan language, and checks each statement as it comes.

    plan = Plan()
    a = plan.call(search, "height of K2")
    b = plan.call(search, "height of Mont Blanc")
    plan.answer(plan.call(calculate, f"{a.value} - {b.value}"))
    result = await agent.run_plan(plan)

What a statement gives back stands for a result that is not there yet (`Result`). It may be an argument, a
part of an f-string, or a side of a condition.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from braid.executors import GraphPatch, TaskGraph, Tool, ToolRegistry
from braid.executors.nodes import Node, Ref
from braid.executors.report import DiagramKind, diagram, spans_of, to_networkx
from braid.executors.tools import ToolSpec
from braid.planner.builder.results import Condition, Expressions, Result
from braid.planner.checker import PlanChecker
from braid.planner.errors import PlanError, PlanValueError
from braid.planner.language import PlanParser, render_expr

if TYPE_CHECKING:
    import networkx

Callee: TypeAlias = "Tool | Callable[..., Any] | str"
"""What a plan calls: a tool, a typed function, or the name of a tool that the agent has."""

_INDENT: Final = "    "


class Plan:
    """A plan of the plan language, built by calls. `str(plan)` is its text.

    Each statement is checked when it is added, so that a mistake is raised where it was made. A statement
    that is refused leaves the plan as it was.

    One thread at a time uses it.
    """

    def __init__(self) -> None:
        self.tools = ToolRegistry()
        """The tools that were given as tools or functions."""
        self._values = Expressions()
        self._lines: list[str] = []
        self._nodes: list[Node] = []
        self._depth = 0
        self._given: dict[str, Callee] = {}
        self._specs: dict[str, ToolSpec] = {}
        self._names: set[str] = set()
        self._counts: dict[str, int] = {}
        self._body: list[str] | None = None
        """The calls of a map's body, while it is written."""
        self._reader: tuple[PlanParser, PlanChecker] | None = None

    def call(self, callee: Callee, /, *args: Any, as_: str | None = None, **named: Any) -> Result:
        """Call a tool.

        Args:
            callee: The tool, a typed function, or the name of a tool that the agent has. One that is given
                by its name takes named arguments only, and is checked when the plan is run.
            args: Arguments by place.
            as_: The name of the result in the plan. None makes one of the tool's name.
            named: Arguments by name.

        Raises:
            PlanError: The arguments do not fit the tool.
            PlanValueError: A value cannot stand in a plan.
        """
        function = self._callee(callee)
        if isinstance(callee, str) and args and callee not in self.tools:
            raise PlanValueError(f"the tool {callee!r} is given by its name: give its arguments by name too")
        return self._statement(function, args, named, as_)

    def map(
        self,
        over: Sequence[Any] | Result,
        body: Callable[[Result], Result],
        *,
        on_error: str = "fail",
        as_: str | None = None,
    ) -> Result:
        """Make one call for each item: `plan.map(names, lambda name: plan.call(search, name))`.

        Args:
            over: A list, or a result that will be one.
            body: Is given the item, and makes one call.
            on_error: `collect` keeps the other items where one fails.
            as_: The name of the result.

        Raises:
            PlanError: The call does not fit.
            PlanValueError: The body makes no call, or several.
        """
        if self._body is not None:
            raise PlanValueError("a map's body is one call; bind the inner map first")
        item = self._new_name("item")
        self._body = []
        try:
            body(Result(self._values, Ref(item)))
            calls = self._body
        finally:
            self._body = None
        if len(calls) != 1:
            raise PlanValueError(f"the body of a map makes one call, this one made {len(calls)}")
        call = calls[0]
        if on_error != "fail":
            inner = "" if call.endswith("()") else ", "
            call = f"{call[:-1]}{inner}on_error={render_expr(self._values.expr(on_error))})"
        name = as_ or self._new_name("items")
        _check_word(name)
        return self._add(name, f"{name} = [{call} for {item} in {render_expr(self._values.expr(over))}]")

    def think(
        self,
        question: str | Result,
        *,
        given: Sequence[Any] | Result = (),
        method: str | None = None,
        as_: str | None = None,
        **options: Any,
    ) -> Result:
        """Ask the model, by a reasoning method. The result has `answer`, `reason` and `confidence`."""
        named = {"given": given, "method": method, **options}
        kept = {key: value for key, value in named.items() if value is not None and value != ()}
        return self._statement("think", (question,), kept, as_)

    def ask(self, question: str | Result, *, as_: str | None = None) -> Result:
        """Ask the person who runs the plan. The result is text."""
        return self._statement("ask", (question,), {}, as_)

    def join(
        self, parts: Sequence[Any] | Result, *, policy: str = "all", as_: str | None = None, **options: Any
    ) -> Result:
        """Join results by a policy, such as `first`, `2 of 3` or `vote` (docs/plan-language.md)."""
        return self._statement("join", (parts,), {"policy": policy, **options}, as_)

    def answer(self, *values: Any) -> None:
        """End the plan with these values."""
        self._add(None, f"answer({', '.join(render_expr(self._values.expr(value)) for value in values)})")

    def decline(self, reason: str | Result) -> None:
        """End the plan without an answer, and say why."""
        self._add(None, f"decline({render_expr(self._values.expr(reason))})")

    @contextmanager
    def when(self, condition: Condition | Result) -> Iterator[None]:
        """Statements of the block run only if `condition` holds."""
        with self._block(f"if {render_expr(self._values.condition(condition))}:"):
            yield

    @contextmanager
    def or_when(self, condition: Condition | Result) -> Iterator[None]:
        """Right behind a `when`: the same, if nothing before held."""
        with self._block(f"elif {render_expr(self._values.condition(condition))}:"):
            yield

    @contextmanager
    def otherwise(self) -> Iterator[None]:
        """Right behind a `when`: statements of the block run if nothing before held."""
        with self._block("else:"):
            yield

    @property
    def text(self) -> str:
        """The plan's text."""
        return "".join(line + "\n" for line in self._lines)

    def __str__(self) -> str:
        return self.text

    def graph(self) -> TaskGraph:
        """The graph of the plan. Nothing of it has run."""
        graph = TaskGraph()
        graph.apply(GraphPatch(base_version=0, add=tuple(self._nodes)))
        return graph

    def diagram(self, kind: DiagramKind = "mermaid") -> str:
        """The graph as text for Mermaid or for Graphviz (`dot`)."""
        return diagram(spans_of(self.graph()), kind)

    def to_networkx(self) -> networkx.DiGraph[str]:
        """The graph for networkx: a node for each statement, an edge to each reader."""
        return to_networkx(spans_of(self.graph()))

    def _statement(
        self, function: str, args: Sequence[Any], named: Mapping[str, Any], name: str | None
    ) -> Result:
        for word in (function, *named, *([] if name is None else [name])):
            _check_word(word)
        given = [render_expr(self._values.expr(value)) for value in args]
        given += [f"{key}={render_expr(self._values.expr(value))}" for key, value in named.items()]
        call = f"{function}({', '.join(given)})"
        if self._body is not None:
            self._body.append(call)
            return Result(self._values, Ref("item"))
        name = name or self._new_name(function)
        return self._add(name, f"{name} = {call}")

    def _add(self, name: str | None, statement: str) -> Result:
        if self._body is not None:
            raise PlanValueError("the body of a map is one call of a tool, or one think")
        self._nodes += self._read(_INDENT * self._depth + statement)
        if name is not None:
            self._names.add(name)
        return Result(self._values, Ref(name or "_"))

    @contextmanager
    def _block(self, header: str) -> Iterator[None]:
        self._read(_INDENT * self._depth + header)
        begun = len(self._lines)
        self._depth += 1
        try:
            yield
            if len(self._lines) == begun:
                self._read(_INDENT * self._depth + "pass")
        except BaseException:
            if len(self._lines) == begun:  # nothing is left of the block
                self._lines.pop()
                self._reader = None
            raise
        finally:
            self._depth -= 1

    def _read(self, line: str) -> list[Node]:
        """Check one more line, and take it. Returns its nodes."""
        if self._reader is None:
            self._reader = PlanParser(), PlanChecker(list(self._specs.values()))
            lines, self._lines = self._lines, []
            for earlier in lines:
                self._read(earlier)
        parser, checker = self._reader
        nodes: list[Node] = []
        try:
            for statement in parser.feed(line + "\n"):
                if isinstance(statement, PlanError):
                    raise statement
                nodes += checker.check(statement)
        except PlanError:
            self._reader = None  # it has read a line that the plan does not have
            raise
        self._lines.append(line)
        return nodes

    def _callee(self, callee: Callee) -> str:
        """The name of what is called. Its schema is known from now on."""
        if isinstance(callee, str):
            if callee not in self._specs:
                anything: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": True}
                self._specs[callee] = ToolSpec(name=callee, description="", parameters=anything)
                self._reader = None
            return callee
        known = {id(given): name for name, given in self._given.items()}
        if id(callee) in known:
            return known[id(callee)]
        made = self.tools.add(callee)
        self._given[made.name] = callee
        self._specs[made.name] = made.spec
        self._reader = None
        return made.name

    def _new_name(self, stem: str) -> str:
        while True:
            self._counts[stem] = self._counts.get(stem, 0) + 1
            name = f"{stem}_{self._counts[stem]}"
            if name not in self._names and name not in self._specs:
                return name


def _check_word(word: str) -> None:
    """Raise `PlanValueError` for what is no name of the plan language."""
    if not word.isidentifier() or keyword.iskeyword(word):
        raise PlanValueError(f"{word!r:.80} is no name; names have letters, digits and underscores")
