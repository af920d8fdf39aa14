"""The scope of a plan: what its names are bound to, and which of them a statement may bind or read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from braid.executors import TaskGraph
from braid.executors.graph import exclusive
from braid.executors.nodes import AllOf, Answer, Ask, Const, Expr, Guard, Node, Not, Op, Ref
from braid.planner.checker.types import JsonType, common, suggest
from braid.planner.errors import Place, PlanCheckError
from braid.planner.language import Statement, anonymous_name, is_anonymous, rename

_PYTHON_WORDS = {"true": "True", "false": "False", "null": "None", "none": "None", "nil": "None"}


@dataclass(frozen=True)
class Binding:
    """A node and the type of its result."""

    node: Node
    type: JsonType


@dataclass
class ReadContext:
    """The statement that reads names, and what it sees besides the scope."""

    guards: tuple[Guard, ...] = ()
    """The conditions that it stands under."""
    lifted: dict[str, Binding] = field(default_factory=lambda: dict[str, Binding]())
    """The calls that stood inside it, by their names."""
    placeholders: dict[str, str] = field(default_factory=lambda: dict[str, str]())
    """The name of each placeholder of a lifted call."""
    item: tuple[str, JsonType] | None = None
    """Name and type of a map's item, in the map's call."""

    def named(self, expr: Expr) -> Expr:
        """`expr` with the names of lifted calls in place of their placeholders."""
        return rename(expr, self.placeholders)


class Scope:
    """The names of one round of planning.

    Args:
        graph: The graph of the earlier rounds, if there were any.
        functions: Names of tools and special forms. They have no value.
        type_of: Gives the type of an operation's result.
    """

    def __init__(
        self, graph: TaskGraph | None, functions: Collection[str], type_of: Callable[[Op], JsonType]
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

    def add(self, statement: Statement, bindings: Sequence[Binding], guards: tuple[Guard, ...]) -> None:
        """Add the bindings of an accepted statement. `guards` are those that it stands under in the text."""
        if statement.is_final:
            self._answers.append((statement.line, guards))
        for binding in bindings:
            self._ids.add(binding.node.id)
            if binding.node.name is not None:
                self._bound.setdefault(binding.node.name, []).append(binding)

    def new_id(self, stem: str) -> str:
        """An id that no node has. It begins with `stem`."""
        # Counting from where the last search ended keeps a plan of many like statements linear.
        id = stem
        while id in self._ids:
            self._counts[stem] = self._counts.get(stem, 1) + 1
            id = f"{stem}#{self._counts[stem]}"
        return id

    def anonymous(self, context: ReadContext) -> str:
        """A new name for a call that stood inside another call."""
        while True:
            self._counts["_"] = self._counts.get("_", 0) + 1
            name = anonymous_name(self._counts["_"])
            taken = name in self._ids or name in context.lifted
            if not taken and not (self._graph and self._graph.binders(name)):
                return name

    def check_new(self, statement: Statement, name: str, node: Node) -> None:
        """Check that `node` may bind `name`.

        Raises:
            PlanCheckError: The name is bound by a node that may run in the same case.
        """
        place = _place_of(statement)
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
                    f"read `{name}` as it is, or use a new name; "
                    "only names that came to nothing are bound again",
                )

    def answer_guards(self, statement: Statement, guards: tuple[Guard, ...]) -> tuple[Guard, ...]:
        """The guards of an `answer`. It ends the plan only if no earlier answer does.

        Args:
            statement: The `answer`.
            guards: The guards that it stands under in the text.

        Raises:
            PlanCheckError: An earlier answer ends the plan in every case in which this one would.
        """
        for line, earlier in self._answers:
            own = Node(id="", op=Answer(()), guards=guards)
            if exclusive(Node(id="", op=Answer(()), guards=earlier), own):
                continue
            further = [guard for guard in earlier if guard not in guards]
            if not further:
                _fail(
                    _place_of(statement),
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
        return [name for name in dict.fromkeys([*self._bound, *earlier]) if not is_anonymous(name)]

    def nodes(self, name: str, context: ReadContext) -> list[Node]:
        """The nodes that bind a name, those of earlier rounds included."""
        if name in context.lifted:
            return [context.lifted[name].node]
        own = [binding.node for binding in self._bound.get(name, ())]
        return own or (self._graph.binders(name) if self._graph is not None else [])

    def earlier_type(self, name: str) -> JsonType:
        """The type of the value of a name of an earlier round."""
        binders = self._graph.binders(name) if self._graph is not None else []
        return common(self._type_of(binder.op) for binder in binders)

    def type_of(self, ref: Ref, place: Place, context: ReadContext) -> JsonType:
        """The type of a name's value. The reference's path is not followed.

        Raises:
            PlanCheckError: Nothing that can run beside the reader binds the name.
        """
        name = ref.name
        if context.item is not None and context.item[0] == name:
            return context.item[1]
        if name in context.lifted:
            return context.lifted[name].type
        if own := self._bound.get(name):
            probe = Node(id="", op=Ask(Const("")), guards=context.guards)
            reachable = [binding for binding in own if not exclusive(binding.node, probe)]
            if not reachable:
                _fail(
                    place,
                    f"the name `{name}` is bound only in the other branch of this `if`"
                    f" (line {own[0].node.line})",
                    "bind it before the `if`, or in this branch too",
                )
            return common(binding.type for binding in reachable)
        if self._graph is not None and (binders := self._graph.binders(name)):
            states = [self._graph.state(binder.id) for binder in binders]
            if all(state in ("failed", "cancelled", "skipped") for state in states):
                _fail(
                    place,
                    f"the name `{name}` has no result: its node of an earlier round was {states[0]}",
                    f"bind `{name}` again first, in another way",
                )
            return self.earlier_type(name)
        self._unbound(name, place)

    def _unbound(self, name: str, place: Place) -> NoReturn:
        known = self._readable()
        if name.lower() in _PYTHON_WORDS:
            _fail(place, f"the name `{name}` is not bound", f"write `{_PYTHON_WORDS[name.lower()]}`")
        if name in self._functions:
            _fail(
                place, f"`{name}` is a function and has no value", f"call it: `x = {name}(...)`, then use `x`"
            )
        guess = suggest(name, known)
        hint = f"did you mean `{guess}`? " if guess else "bind it on an earlier line; text needs quotes. "
        listed = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
        bound = f"Bound so far: {listed}" if known else "Nothing is bound so far"
        _fail(place, f"the name `{name}` is not bound yet", hint + bound)


def _place_of(statement: Statement) -> Place:
    """Where a statement begins."""
    first = statement.source.split("\n")[0]
    return Place(statement.line, statement.column, " " * (statement.column - 1) + first)


def _fail(place: Place, message: str, fix: str) -> NoReturn:
    raise PlanCheckError.at(place, message, fix)
