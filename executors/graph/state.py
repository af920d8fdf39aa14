"""The record of a node in its graph, and names with their binders and readers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, assert_never

from braid.engine import Usage
from braid.executors.nodes import (
    Answer,
    Ask,
    Const,
    Expr,
    FailureKind,
    Guard,
    Join,
    ListOf,
    Map,
    Node,
    NodeState,
    OpKind,
    Ref,
    Think,
    ToolCall,
    refs,
)

Place: TypeAlias = "int | Literal['items'] | None"
"""The part of a value: all of it (None), one item of a list, or the number of its items (`items`)."""

Key: TypeAlias = "tuple[str, Place]"
"""What a node waits for: a name, or a part of what it is bound to."""

REBINDABLE: Final[frozenset[NodeState]] = frozenset({"failed", "skipped", "cancelled", "blocked"})
FINAL: Final[frozenset[NodeState]] = frozenset({"done", "failed", "skipped", "cancelled", "uncertain"})
UNSTARTED: Final[frozenset[NodeState]] = frozenset({"pending", "blocked"})


@dataclass(slots=True, eq=False)
class NodeRecord:
    """A node and its state in this graph: an entry of the graph. A child of a map is an entry too.

    Times are seconds since the graph's first run began.

    It belongs to one graph, and so to one event loop.
    """

    node: Node
    order: tuple[int, int]
    """Place in the plan. The second number counts the items of a map from 1, and is 0 for others."""
    stages: tuple[tuple[Key, ...], ...]
    """The keys to wait for: one tuple for each guard, then one for the inputs."""
    state: NodeState = "pending"
    value: Any = None
    """The result, if it is done."""
    error: str | None = None
    """Why it failed, was blocked, skipped or cancelled, or is uncertain."""
    exception: BaseException | None = None
    """The exception that failed it."""
    failure: FailureKind = "error"
    """What kind of failure it was, if it failed."""
    args: Any = None
    """The evaluated inputs, from when it is ready until it has run."""
    started: float | None = None
    finished: float | None = None
    usage: Usage | None = None
    """What the engine spent on it."""
    parent: NodeRecord | None = None
    """The map that it is an item of, or the join that it is a part of."""
    var: str | None = None
    """The name under which it reads its item."""
    item: Any = None
    """The item of a child: a value, or an expression (`item_is_expr`). Of a part, its expression."""
    item_is_expr: bool = False
    """Whether the map is over a literal list or another map. The child then waits for its own item only."""
    batch: int = 0
    """How many runs of the graph had ended when the node came."""
    tool: str | None = None
    """The name of the tool that it or its map calls."""
    added: float = 0.0
    """When the node came."""
    wasted: float = 0.0
    """Seconds that went into attempts of which nothing was used."""
    children: list[NodeRecord] | None = None
    """The items of a map, once its list is there."""
    parts: list[NodeRecord] | None = None
    """What a join waits for, once it waits: its parts, or the calls that check them.

    Parts that are not checked are no nodes of the graph.
    """
    unsettled: int = 0
    """How many children or parts are not settled."""
    dropped: bool = False
    """Whether the child has no item."""
    stage: int = 0
    """The stage whose keys it waits for."""
    waiting: int = 0
    """How many keys of the stage are not settled."""
    epoch: int = 0
    """Raised when it begins to wait anew. What was queued in an earlier epoch is stale."""
    task: Any = None
    """The task that runs it now."""

    @property
    def seconds(self) -> float:
        """How long it ran. 0 if it did not."""
        return self.finished - self.started if self.started is not None and self.finished is not None else 0.0


class NameSlot:
    """A name: its current binders, all its readers, and the entries that wait for it in the active run.

    Those that wait for one of its items are kept apart. Each comes with the epoch in which it began to wait.

    It belongs to one graph, and so to one event loop.
    """

    __slots__ = ("binders", "item_waiters", "readers", "waiters")

    def __init__(self) -> None:
        self.binders: list[NodeRecord] = []
        self.readers: list[NodeRecord] = []
        self.waiters: list[tuple[NodeRecord, int]] | None = None
        self.item_waiters: dict[Place, list[tuple[NodeRecord, int]]] | None = None


def exclusive(a: Node, b: Node) -> bool:
    """Whether the two stand in opposite branches of one `if`, so that at most one of them runs."""
    if not a.guards or not b.guards:
        return False
    return any(Guard(guard.condition, not guard.expected) in b.guards for guard in a.guards)


def op_exprs(op: ToolCall | Think | Ask | Answer | Join) -> Sequence[Expr]:
    """The expressions of an operation, in order."""
    match op:
        case ToolCall():
            return [value for _, value in op.args]
        case Think(question, given):
            return (question, *given)
        case Ask(question):
            return (question,)
        case Answer(values):
            return values
        case Join(parts):
            return (parts,) if isinstance(parts, Ref) else parts
        case _:
            assert_never(op)


def keys_of(exprs: Iterable[Expr], *, local: str | None = None) -> tuple[Key, ...]:
    """What `exprs` wait for, each once. `local` is a map's own variable."""
    found: dict[Key, None] = {}
    for expr in exprs:
        for ref in (expr,) if isinstance(expr, Ref) else () if isinstance(expr, Const) else refs(expr):
            if ref.name != local:
                path = ref.path
                found[ref.name, path[0] if path and isinstance(path[0], int) else None] = None
    return tuple(found)


def stages_of(node: Node) -> tuple[tuple[Key, ...], ...]:
    """What a node waits for: one tuple of keys for each guard, then one for its inputs."""
    if not node.guards:
        return (input_keys(node),)
    return (*(keys_of((guard.condition,)) for guard in node.guards), input_keys(node))


def input_keys(node: Node) -> tuple[Key, ...]:
    """What a node waits for once its guards allow it.

    A map over a literal list waits for nothing, nor does a join of named parts. One over a name waits only
    until the number of items is known. Its children and parts wait for the items.
    """
    op = node.op
    if not isinstance(op, (Map, Join)):
        return keys_of(op_exprs(op))
    over = op.over if isinstance(op, Map) else op.parts
    if isinstance(over, (ListOf, tuple)):
        return ()
    if isinstance(over, Ref) and not over.path:
        return ((over.name, "items"),)
    return keys_of((over,))


def names_read(node: Node) -> Iterator[str]:
    """Every name that the node or its guards read, a map's own variable aside."""
    for guard in node.guards:
        yield from (ref.name for ref in refs(guard.condition))
    op = node.op
    if isinstance(op, Map):
        yield from (ref.name for ref in refs(op.over))
        yield from (name for name, _ in keys_of(op_exprs(op.body), local=op.var))
    else:
        yield from (name for name, _ in keys_of(op_exprs(op)))


def op_kind(node: Node) -> OpKind:
    """The kind of a node in one word: tool, think, ask, answer, map or join."""
    match node.op:
        case ToolCall():
            return "tool"
        case Think():
            return "think"
        case Ask():
            return "ask"
        case Answer():
            return "answer"
        case Map():
            return "map"
        case Join():
            return "join"
        case _:
            assert_never(node.op)


def tool_of(node: Node) -> str | None:
    """The name of the tool that a node or its map calls, if it does."""
    op = node.op
    if isinstance(op, Map):
        op = op.body
    return op.tool if isinstance(op, ToolCall) else None
