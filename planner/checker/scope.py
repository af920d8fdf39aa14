"""What the names of a plan are bound to, in this round and the earlier ones, and which of them a statement may bind or read."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from braid.executors import TaskGraph
from braid.executors.graph import exclusive
from braid.executors.nodes import AllOf, Answer, Ask, Const, Guard, Node, Not, Op, Ref
from braid.planner.checker.types import UNKNOWN, Typed, near
from braid.planner.errors import PlanCheckError
from braid.planner.language import Place, Statement

_PYTHON_WORDS = {"true": "True", "false": "False", "null": "None", "none": "None", "nil": "None"}


@dataclass(frozen=True)
class Binding:
    """A node that binds a name, and what is known of its value."""

    node: Node
    typed: Typed


class Scope:
    """The names of one round of planning.

    Args:
        graph: the graph of the earlier rounds, if there were any.
        functions: names of tools and special forms, which have no value.
        type_of: what is known of the result of an operation.
    """

    def __init__(
        self, graph: TaskGraph | None, functions: Collection[str], type_of: Callable[[Op], Typed]
    ) -> None:
        self._graph = graph
        self._functions = functions
        self._type_of = type_of
        self._bound: dict[str, list[Binding]] = {}
        self._ids = set(graph.nodes) if graph is not None else set[str]()
        self._counts: dict[str, int] = {}
        self._answers: list[tuple[int, tuple[Guard, ...]]] = []

    @property
    def answered(self) -> bool:
        """Whether an `answer` that depends on no condition was accepted."""
        return any(not guards for _, guards in self._answers)

    def remember(self, statement: Statement, bindings: Sequence[Binding], guards: tuple[Guard, ...]) -> None:
        """Take note of an accepted statement; `guards` are those that it stands under in the text."""
        if statement.is_answer:
            self._answers.append((statement.line, guards))
        for binding in bindings:
            self._ids.add(binding.node.id)
            if binding.node.name is not None:
                self._bound.setdefault(binding.node.name, []).append(binding)

    def new_id(self, stem: str) -> str:
        """An id that no node has, made from `stem`."""
        # Counting from where the last search ended keeps a plan of many like statements linear.
        id = stem
        while id in self._ids:
            self._counts[stem] = self._counts.get(stem, 1) + 1
            id = f"{stem}#{self._counts[stem]}"
        return id

    def anonymous(self, pending: Mapping[str, Binding]) -> str:
        """A name for a call that stood inside another call."""
        while True:
            self._counts["_"] = self._counts.get("_", 0) + 1
            name = f"_{self._counts['_']}"
            if (
                name not in self._ids
                and name not in pending
                and not (self._graph and self._graph.binders(name))
            ):
                return name

    def check_new(self, statement: Statement, name: str, node: Node) -> None:
        """Raise unless `node` may bind `name`."""
        place = statement_place(statement)
        for binding in self._bound.get(name, ()):
            if not exclusive(binding.node, node):
                _fail(
                    place,
                    f"the name `{name}` is already bound at line {binding.node.line}",
                    "a name is bound once; use a new name",
                )
        if self._graph is None or self._graph.rebindable(name):
            return
        for binder in self._graph.binders(name):
            if not exclusive(binder, node):
                state = self._graph.state(binder.id)
                _fail(
                    place,
                    f"the name `{name}` is already bound by an earlier round ({state})",
                    f"read `{name}` as it is, or use a new name; only names that came to nothing are bound again",
                )

    def answer_guards(self, statement: Statement, guards: tuple[Guard, ...]) -> tuple[Guard, ...]:
        """The guards of an `answer`: it ends the plan only if no earlier answer does, as a reader of the text expects."""
        for line, earlier in self._answers:
            own = Node(id="", op=Answer(()), guards=guards)
            if exclusive(Node(id="", op=Answer(()), guards=earlier), own):
                continue
            further = [guard for guard in earlier if guard not in guards]
            if not further:
                _fail(
                    statement_place(statement),
                    f"the plan has already answered at line {line}",
                    "a plan ends with its answer; give all values in one `answer(...)`",
                )
            if len(further) == 1:
                guards += (Guard(further[0].condition, not further[0].expected),)
            else:
                terms = tuple(g.condition if g.expected else Not(g.condition) for g in further)
                guards += (Guard(AllOf(terms), False),)
        return guards

    def _readable(self) -> list[str]:
        earlier = self._graph.names() if self._graph is not None else []
        return [n for n in dict.fromkeys([*self._bound, *earlier]) if not re.fullmatch(r"_\d+", n)]

    def typed(self, ref: Ref, place: Place, guards: Sequence[Guard], pending: Mapping[str, Binding]) -> Typed:
        """What is known of a name's value.

        Raises:
            PlanCheckError: nothing that can run beside the reader binds it.
        """
        name = ref.name
        if name in pending:
            return pending[name].typed
        if own := self._bound.get(name):
            reader = Node(id="", op=Ask(Const("")), guards=tuple(guards))
            reachable = [b for b in own if not exclusive(b.node, reader)]
            if not reachable:
                _fail(
                    place,
                    f"the name `{name}` is bound only in the other branch of this `if` (line {own[0].node.line})",
                    "bind it before the `if`, or in this branch too",
                )
            return reachable[0].typed if len(reachable) == 1 else _common(b.typed for b in reachable)
        if self._graph is not None and (binders := self._graph.binders(name)):
            states = [self._graph.state(binder.id) for binder in binders]
            if all(state in ("failed", "cancelled", "skipped") for state in states):
                _fail(
                    place,
                    f"the name `{name}` has no result: its node of an earlier round was {states[0]}",
                    f"bind `{name}` again first, in another way",
                )
            return _common(self._type_of(binder.op) for binder in binders)
        self._unbound(name, place)

    def _unbound(self, name: str, place: Place) -> NoReturn:
        known = self._readable()
        if name.lower() in _PYTHON_WORDS:
            _fail(place, f"the name `{name}` is not bound", f"write `{_PYTHON_WORDS[name.lower()]}`")
        if name in self._functions:
            _fail(
                place, f"`{name}` is a function and has no value", f"call it: `x = {name}(...)`, then use `x`"
            )
        guess = near(name, known)
        told = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
        _fail(
            place,
            f"the name `{name}` is not bound yet",
            (f"did you mean `{guess}`? " if guess else "bind it on an earlier line; text needs quotes. ")
            + (f"Bound so far: {told}" if told else "Nothing is bound so far"),
        )


def _common(types: Iterable[Typed]) -> Typed:
    """What is known of a value that is one of several: something only if they all say the same."""
    known = list(types)
    return known[0] if known and all(t.schema == known[0].schema for t in known) else UNKNOWN


def statement_place(statement: Statement) -> Place:
    """Where a statement begins."""
    return Place(
        statement.line, statement.column, " " * (statement.column - 1) + statement.source.split("\n")[0]
    )


def _fail(place: Place, message: str, fix: str = "") -> NoReturn:
    raise PlanCheckError(
        message, line=place.line, column=place.column, fix=fix, source_line=place.source_line
    )
