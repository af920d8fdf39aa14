"""A node's place in a graph: its state, what it waits for, and the slots that names are. Internal to the room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, assert_never

from engine import Usage
from executors.nodes import Answer, Ask, Expr, Guard, ListOf, Map, Node, NodeState, Think, ToolCall, refs

Key: TypeAlias = "tuple[str, int | None]"
"""What a node waits for: a name, or one item of the list that a name is bound to."""

REBINDABLE: Final[frozenset[NodeState]] = frozenset({"failed", "skipped", "cancelled", "blocked"})
FINAL: Final[frozenset[NodeState]] = frozenset({"done", "failed", "skipped", "cancelled"})
UNSTARTED: Final[frozenset[NodeState]] = frozenset({"pending", "blocked"})


@dataclass(slots=True, eq=False)
class Entry:
    """A node and its state in this graph. A child of a map is an entry too.

    `stages` are the keys to wait for: one tuple for each guard, then one for the inputs. `stage`, `waiting` and `epoch`
    are the ready counter's. `item` is the child's item: an expression where the map is over a literal list, else a value.
    `batch` counts the runs of the graph that had ended when the node came.
    """

    node: Node
    order: tuple[int, int]
    stages: tuple[tuple[Key, ...], ...]
    state: NodeState = "pending"
    value: Any = None
    error: str | None = None
    exception: BaseException | None = None
    args: Any = None
    started: float | None = None
    finished: float | None = None
    usage: Usage | None = None
    parent: Entry | None = None
    var: str | None = None
    item: Any = None
    batch: int = 0
    children: list[Entry] | None = None
    unsettled: int = 0
    dropped: bool = False
    stage: int = 0
    waiting: int = 0
    epoch: int = 0
    task: Any = None
    begun: bool = False

    @property
    def seconds(self) -> float:
        """How long it ran; 0 if it did not."""
        return self.finished - self.started if self.started is not None and self.finished is not None else 0.0


@dataclass(slots=True, eq=False)
class Slot:
    """A name: its current binders, all its readers, and who waits for it (or for one of its items) in the active run."""

    binders: list[Entry] = field(default_factory=lambda: list[Entry]())
    readers: list[Entry] = field(default_factory=lambda: list[Entry]())
    waiters: list[tuple[Entry, int]] = field(default_factory=lambda: list[tuple[Entry, int]]())
    item_waiters: dict[int, list[tuple[Entry, int]]] = field(
        default_factory=lambda: dict[int, list[tuple[Entry, int]]]()
    )


def exclusive(a: Node, b: Node) -> bool:
    """Whether the two stand in opposite branches of one `if`, so that at most one of them runs."""
    if not a.guards or not b.guards:
        return False
    return any(Guard(guard.condition, not guard.expected) in b.guards for guard in a.guards)


def op_exprs(op: ToolCall | Think | Ask | Answer) -> Iterator[Expr]:
    """The expressions of an operation, in order."""
    match op:
        case ToolCall(_, args):
            yield from (value for _, value in args)
        case Think(question, given):
            yield question
            yield from given
        case Ask(question):
            yield question
        case Answer(values):
            yield from values
        case _:
            assert_never(op)


def keys_of(exprs: Iterable[Expr], *, local: str | None = None) -> tuple[Key, ...]:
    """What `exprs` wait for, each once; `local` is a map's own variable."""
    found: dict[Key, None] = {}
    for expr in exprs:
        for ref in refs(expr):
            if ref.name != local:
                head = ref.path[0] if ref.path else None
                found[ref.name, head if isinstance(head, int) else None] = None
    return tuple(found)


def input_keys(node: Node) -> tuple[Key, ...]:
    """What a node waits for once its guards allow it. A map over a literal list waits for nothing: its children do."""
    op = node.op
    if not isinstance(op, Map):
        return keys_of(op_exprs(op))
    return () if isinstance(op.over, ListOf) else keys_of((op.over,))


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


def op_kind(node: Node) -> str:
    """The kind of a node in one word: tool, think, ask, answer or map."""
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
        case _:
            assert_never(node.op)


def tool_of(node: Node) -> str | None:
    """The name of the tool that a node or its map calls, if it does."""
    op = node.op.body if isinstance(node.op, Map) else node.op
    return op.tool if isinstance(op, ToolCall) else None
