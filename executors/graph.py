"""The task graph: nodes, what binds which name, the state of each node, and the rules by which a patch may change it.

A graph changes only by `GraphPatch`: versioned (compare and swap) and all or nothing. While a run is active, a patch takes
effect at once: the run listens. Graphs are not thread-safe; they live on the event loop that runs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias, assert_never

from engine import BraidError, Usage
from executors.nodes import Answer, Ask, Expr, Guard, ListOf, Map, Node, NodeState, Think, ToolCall, refs
from executors.values import plain_data, preview

Key: TypeAlias = "tuple[str, int | None]"
"""What a node waits for: a name, or one item of the list that a name is bound to."""

REBINDABLE: Final[frozenset[NodeState]] = frozenset({"failed", "skipped", "cancelled", "blocked"})
FINAL: Final[frozenset[NodeState]] = frozenset({"done", "failed", "skipped", "cancelled"})
UNSTARTED: Final[frozenset[NodeState]] = frozenset({"pending", "blocked"})


class GraphError(BraidError, ValueError):
    """A patch breaks a rule of the graph. Says which, and how to mend it; the graph is as it was."""


class StalePatchError(GraphError):
    """The graph has changed since the patch was made: look at it again and make a new one."""

    def __init__(self, *, base: int, version: int) -> None:
        super().__init__(f"the patch was made for version {base} of the graph, which is now at version {version}")
        self.base = base
        self.version = version


@dataclass(frozen=True)
class GraphPatch:
    """One change: nodes to cancel, then nodes to add, for the graph at `base_version`."""

    base_version: int
    add: tuple[Node, ...] = ()
    cancel: tuple[str, ...] = ()
    reason: str = ""


@dataclass(slots=True, eq=False)
class Entry:
    """A node and its state in this graph. Internal to the room; a child of a map is an entry too.

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


class Listener(Protocol):
    """The active run. Told after a patch was committed."""

    def patched(self, patch: GraphPatch, added: Sequence[Entry], rebound: Sequence[str]) -> None: ...

    def cancel(self, entry: Entry, reason: str) -> None: ...


class TaskGraph:
    """Nodes by id in the order in which they came, children of maps included, with the state and result of each."""

    def __init__(self) -> None:
        self.version = 0
        self.entries: dict[str, Entry] = {}
        self.slots: dict[str, Slot] = {}
        self.listener: Listener | None = None
        self.origin: float | None = None
        self.runs = 0
        self._nodes: dict[str, Node] = {}
        self._next_order = 0

    @property
    def nodes(self) -> Mapping[str, Node]:
        """All nodes by id, in insertion order. Read-only: the graph changes by `apply`."""
        return MappingProxyType(self._nodes)

    def entry(self, id: str) -> Entry:
        """The entry of a node; raises `GraphError` for an unknown id."""
        found = self.entries.get(id)
        if found is None:
            raise GraphError(f"there is no node {id!r}; the graph has {len(self.entries)} nodes: {_few(self.entries)}")
        return found

    def state(self, id: str) -> NodeState:
        return self.entry(id).state

    def result(self, id: str) -> Any:
        """The value of a finished node; raises `GraphError` when there is none."""
        entry = self.entry(id)
        if entry.state != "done":
            raise GraphError(f"node {id!r} has no result: it is {entry.state}" + (f", {entry.error}" if entry.error else ""))
        return entry.value

    def error(self, id: str) -> str | None:
        """Why the node failed, was blocked, skipped or cancelled; None for a node that is none of these."""
        return self.entry(id).error

    def exception(self, id: str) -> BaseException | None:
        """The exception that failed the node, if one did."""
        return self.entry(id).exception

    def children(self, id: str) -> list[Node]:
        """The per-item nodes of a map, in the order of its list; empty until the list is there."""
        return [child.node for child in self.entry(id).children or ()]

    def binders(self, name: str) -> list[Node]:
        """The nodes that bind `name` now: none, one, or one for each branch."""
        slot = self.slots.get(name)
        return [entry.node for entry in slot.binders] if slot else []

    def names(self) -> list[str]:
        """Every name that a later node may read, in the order of first binding."""
        return [name for name, slot in self.slots.items() if slot.binders]

    def rebindable(self, name: str) -> bool:
        """Whether a new node may bind `name` without standing in an opposite branch: nothing that binds it can still give a value."""
        slot = self.slots.get(name)
        return slot is None or all(binder.state in REBINDABLE for binder in slot.binders)

    def check(self, patch: GraphPatch) -> None:
        """Raise what `apply` would raise; change nothing."""
        self._superseded(patch)

    def apply(self, patch: GraphPatch) -> None:
        """Commit `patch`, or raise and change nothing.

        The rules: ids are new; a name that is read is bound; a name is bound once, but for opposite branches of one `if`
        and names whose nodes failed, were blocked, skipped or cancelled; no cycles, not even through a name that is bound
        anew; a node that is done is not cancelled. Readers that have not started follow a name that is bound anew.

        Raises:
            StalePatchError: `base_version` is not the version of the graph.
            GraphError: a rule is broken.
        """
        superseded = self._superseded(patch)
        self.version += 1
        for id in patch.cancel:
            self._cancel(self.entries[id], patch.reason or "cancelled by a revision of the plan")
        for entry in superseded:
            assert entry.node.name is not None
            self.slots[entry.node.name].binders.remove(entry)
            if entry.state == "blocked":
                self._cancel(entry, f"{entry.node.name} was bound anew")
        rebound = {
            node.name: None
            for node in patch.add
            if node.name is not None and node.name in self.slots and self.slots[node.name].readers
        }
        added = [self._add(node) for node in patch.add]
        if self.listener is not None:
            self.listener.patched(patch, added, tuple(rebound))
        else:
            revive(self, rebound)

    def close(self) -> tuple[str, ...]:
        """Say that no revision will come: blocked nodes, and any not yet started, become skipped. Returns their ids."""
        changed: list[str] = []
        for entry in self.entries.values():
            if entry.state in UNSTARTED:
                entry.state = "skipped"
                entry.error = entry.error or "the run ended before it could start"
                changed.append(entry.node.id)
        return tuple(changed)

    def to_dict(self) -> dict[str, Any]:
        """The graph as JSON-able data: version, and for each node what it is, its state, times in seconds and result."""
        return {"version": self.version, "nodes": [self._describe(entry) for entry in self.entries.values()]}

    def _describe(self, entry: Entry) -> dict[str, Any]:
        node = entry.node
        return {
            "id": node.id,
            "name": node.name,
            "op": op_kind(node),
            "tool": tool_of(node),
            "source": node.source,
            "round": node.round,
            "line": node.line,
            "parent": entry.parent.node.id if entry.parent else None,
            "depends_on": [producer.node.id for producer in self.producers(entry)],
            "state": entry.state,
            "started": entry.started,
            "finished": entry.finished,
            "result": plain_data(entry.value) if entry.state == "done" else None,
            "text": preview(entry.value) if entry.state == "done" else None,
            "error": entry.error,
        }

    def producers(self, entry: Entry) -> list[Entry]:
        """The entries that `entry` reads, guards included; a map's child also reads what its map reads, and `xs` all of xs."""
        found: dict[Entry, None] = {}
        if entry.parent is not None:
            found.update(dict.fromkeys(self.producers(entry.parent)))
        for stage in entry.stages:
            for name, index in stage:
                slot = self.slots.get(name)
                for binder in slot.binders if slot else ():
                    if exclusive(binder.node, entry.node):
                        continue
                    children = binder.children
                    if index is not None and children and -len(children) <= index < len(children):
                        found[children[index]] = None
                    else:
                        found[binder] = None
        return list(found)

    def add_children(self, parent: Entry, items: Iterable[Any], *, literal: bool) -> list[Entry]:
        """Expand a map: one entry for each item."""
        op = parent.node.op
        assert isinstance(op, Map)
        body_keys = keys_of(op_exprs(op.body), local=op.var)
        children: list[Entry] = []
        for index, item in enumerate(items):
            node = Node(
                id=f"{parent.node.id}[{index}]",
                op=op.body,
                round=parent.node.round,
                line=parent.node.line,
                source=parent.node.source,
            )
            keys = tuple(dict.fromkeys((*keys_of((item,)), *body_keys))) if literal else body_keys
            child = Entry(node, (parent.order[0], index + 1), (keys,), parent=parent, var=op.var, item=item, batch=parent.batch)
            self._register(child)
            children.append(child)
        parent.children = children
        parent.unsettled = len(children)
        return children

    def _cancel(self, entry: Entry, reason: str) -> None:
        if self.listener is not None:
            self.listener.cancel(entry, reason)
        elif entry.state not in FINAL:
            entry.state, entry.error = "cancelled", reason

    def _add(self, node: Node) -> Entry:
        stages = (*(keys_of((guard.condition,)) for guard in node.guards), input_keys(node))
        entry = Entry(node, (self._next_order, 0), stages, batch=self.runs)
        self._next_order += 1
        self._register(entry)
        if node.name is not None:
            self.slots.setdefault(node.name, Slot()).binders.append(entry)
        return entry

    def _register(self, entry: Entry) -> None:
        self.entries[entry.node.id] = entry
        self._nodes[entry.node.id] = entry.node
        for name in {name for stage in entry.stages for name, _ in stage}:
            self.slots.setdefault(name, Slot()).readers.append(entry)

    def _superseded(self, patch: GraphPatch) -> list[Entry]:
        """Check `patch`; the entries whose names it binds anew."""
        if patch.base_version != self.version:
            raise StalePatchError(base=patch.base_version, version=self.version)
        for id in patch.cancel:
            if self.entry(id).state == "done":
                raise GraphError(f"node {id!r} is done: a finished node is never edited; leave it out of `cancel`")
        binders: dict[str, list[Node]] = {}
        superseded: dict[Entry, None] = {}
        seen: set[str] = set()
        for node in patch.add:
            self._check_id(node, seen)
            if node.name is not None:
                superseded.update(dict.fromkeys(self._check_name(node, binders, patch.cancel)))
                binders.setdefault(node.name, []).append(node)
        self._check_references(patch, binders, superseded)
        return list(superseded)

    def _check_id(self, node: Node, seen: set[str]) -> None:
        known = self.entries.get(node.id)
        if known is not None:
            raise GraphError(
                f"node {node.id!r} is in the graph already ({known.state}): a node keeps what it was started with; "
                "cancel it if it has not started, and add a node with a new id"
            )
        if node.id in seen:
            raise GraphError(f"two nodes of one patch have the id {node.id!r}; give each its own")
        seen.add(node.id)

    def _check_name(self, node: Node, new: Mapping[str, list[Node]], cancel: Sequence[str]) -> list[Entry]:
        name = node.name
        assert name is not None
        for other in new.get(name, ()):
            if not exclusive(other, node):
                raise GraphError(f"name {name!r} is bound twice, by {other.id!r} and {node.id!r}; use a new name")
        slot = self.slots.get(name)
        superseded: list[Entry] = []
        for binder in slot.binders if slot else ():
            if exclusive(binder.node, node):
                continue
            if binder.state not in REBINDABLE and binder.node.id not in cancel:
                raise GraphError(
                    f"name {name!r} is bound already, by node {binder.node.id!r} ({binder.state}); use a new name: only names "
                    "whose node failed, was skipped or cancelled, or stands in the opposite branch, may be bound again"
                )
            superseded.append(binder)
        return superseded

    def _check_references(
        self, patch: GraphPatch, new: Mapping[str, list[Node]], superseded: Mapping[Entry, None]
    ) -> None:
        bound: set[str] = set()
        suspicious = False
        for node in patch.add:
            if node.name is not None:
                slot = self.slots.get(node.name)
                suspicious = suspicious or (slot is not None and bool(slot.readers))
            for name in names_read(node):
                slot = self.slots.get(name)
                if name not in new and not (slot is not None and slot.binders):
                    raise GraphError(
                        f"node {node.id!r} reads {name!r}, which nothing binds; names so far: "
                        f"{_few([*self.names(), *new]) or 'none'}"
                    )
                suspicious = suspicious or (name in new and name not in bound)
            if node.name is not None:
                bound.add(node.name)
        # Nodes that read only what came before them cannot close a cycle.
        if suspicious:
            self._check_cycles(patch.add, new, superseded)

    def _check_cycles(
        self, added: Sequence[Node], new: Mapping[str, list[Node]], superseded: Mapping[Entry, None]
    ) -> None:
        def producers(node: Node) -> Iterator[Node]:
            for name in names_read(node):
                slot = self.slots.get(name)
                old = [b.node for b in slot.binders if b not in superseded and b.state in UNSTARTED] if slot else []
                for binder in (*old, *new.get(name, ())):
                    if not exclusive(binder, node):
                        yield binder

        finished: set[str] = set()
        for root in added:
            path: dict[str, None] = {}
            stack: list[tuple[Node, Iterator[Node]]] = []
            if root.id not in finished:
                path[root.id] = None
                stack.append((root, producers(root)))
            while stack:
                node, rest = stack[-1]
                following = next(rest, None)
                if following is None:
                    stack.pop()
                    path.pop(node.id)
                    finished.add(node.id)
                elif following.id in path:
                    chain = list(path)
                    loop = [*chain[chain.index(following.id) :], following.id]
                    raise GraphError(f"these nodes would wait for each other: {' -> '.join(reversed(loop))}; use a new name")
                elif following.id not in finished:
                    path[following.id] = None
                    stack.append((following, producers(following)))


def revive(graph: TaskGraph, names: Iterable[str]) -> list[Entry]:
    """Let the unstarted readers of names that were bound anew follow, and what was blocked behind them be tried again.

    Returns them in plan order; all are pending, and nothing that they waited for counts any more.
    """
    found: dict[Entry, None] = {}
    todo = list(names)
    asked: set[str] = set()
    while todo:
        name = todo.pop()
        if name in asked or name not in graph.slots:
            continue
        asked.add(name)
        for reader in graph.slots[name].readers:
            if reader in found or reader.state not in UNSTARTED:
                continue
            found[reader] = None
            reader.epoch += 1
            if reader.state == "blocked":
                reader.state, reader.error = "pending", None
                if reader.parent is not None:
                    reader.parent.unsettled += 1
                    if reader.parent.state == "blocked":
                        reader.parent.state, reader.parent.error = "running", None
                owner = reader.parent or reader
                if owner.node.name is not None:
                    todo.append(owner.node.name)
    return sorted(found, key=lambda entry: entry.order)


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


def _few(names: Iterable[str], limit: int = 12) -> str:
    known = list(dict.fromkeys(names))
    return ", ".join(known[:limit]) + (", ..." if len(known) > limit else "")
