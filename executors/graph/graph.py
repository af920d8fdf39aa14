"""The task graph: its nodes, the state of each, and what binds which name.

A graph changes only by `GraphPatch`, which is versioned (compare and swap) and taken completely or not at
all. While a run is active, the run takes the patches and acts on them at once. Graphs are not thread-safe.
They belong to the event loop that runs them.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from braid.executors.graph.patch import GraphError, GraphPatch, PatchChecker, name_list
from braid.executors.graph.state import (
    FINAL,
    REBINDABLE,
    UNSTARTED,
    Key,
    NameSlot,
    NodeRecord,
    exclusive,
    keys_of,
    names_read,
    op_exprs,
    op_kind,
    tool_of,
)
from braid.executors.nodes import Expr, Join, Map, Node, NodeState, ToolCall
from braid.executors.values import own_copy, plain_data, preview

LARGE: Final = 2_000
"""Nodes of a patch from which on the garbage collector rests while it is taken in."""


class ActiveRun(Protocol):
    """The run that a graph is lent to. It takes the patches, since tasks and readers depend on them."""

    def apply(self, patch: GraphPatch) -> None:
        """Commit `patch` (`TaskGraph.commit`) and act on it, or raise and change nothing."""
        ...


@dataclass(frozen=True, slots=True)
class GraphChange:
    """What a committed patch did to the graph."""

    added: Sequence[NodeRecord]
    """The new records, in the patch's order."""
    rebound: Sequence[str]
    """Names with readers that have a new binder."""


class TaskGraph:
    """Nodes by id, with the state and result of each.

    They are in the order in which they came, children of maps included.

    It belongs to one event loop, that of its run, and has one run at a time. Once the run is over, any thread
    may read it.
    """

    def __init__(self) -> None:
        self.version = 0
        self.entries: dict[str, NodeRecord] = {}
        self.slots: dict[str, NameSlot] = {}
        self.origin: float | None = None
        """When the first run began, on the clock of the runs."""
        self.runs = 0
        """How many runs have ended, and how many revisions have begun."""
        self._clock: Callable[[], float] = time.monotonic
        self._run: ActiveRun | None = None
        self._nodes = _Nodes(self.entries)
        self._next_order = 0
        self._rules = PatchChecker(self.entries, self.slots)

    @property
    def nodes(self) -> Mapping[str, Node]:
        """All nodes by id, in insertion order. Read-only: the graph changes by `apply`."""
        return self._nodes

    def entry(self, id: str) -> NodeRecord:
        """The entry of a node. Raises `GraphError` for an unknown id."""
        found = self.entries.get(id)
        if found is None:
            raise GraphError(
                f"there is no node {id!r}; the graph has {len(self.entries)} nodes: {name_list(self.entries)}"
            )
        return found

    def state(self, id: str) -> NodeState:
        return self.entry(id).state

    def result(self, id: str) -> Any:
        """A copy of the value of a finished node. Raises `GraphError` when there is none."""
        entry = self.entry(id)
        if entry.state != "done":
            raise GraphError(
                f"node {id!r} has no result: it is {entry.state}"
                + (f", {entry.error}" if entry.error else "")
            )
        return own_copy(entry.value)

    def error(self, id: str) -> str | None:
        """Why the node failed, was blocked, skipped or cancelled. None for a node that is none of these."""
        return self.entry(id).error

    def exception(self, id: str) -> BaseException | None:
        """The exception that failed the node, if one did."""
        return self.entry(id).exception

    def children(self, id: str) -> list[Node]:
        """The per-item nodes of a map, in the order of its list. Empty until the list is there."""
        return [child.node for child in self.entry(id).children or ()]

    def binders(self, name: str) -> list[Node]:
        """The nodes that bind `name` now: none, one, or one for each branch."""
        slot = self.slots.get(name)
        return [entry.node for entry in slot.binders] if slot else []

    def names(self) -> list[str]:
        """Every name that a later node may read, in the order of first binding."""
        return [name for name, slot in self.slots.items() if slot.binders]

    def rebindable(self, name: str) -> bool:
        """Whether a new node may bind `name`, opposite branches aside.

        It may when nothing that binds the name now can give a value.
        """
        slot = self.slots.get(name)
        return slot is None or all(binder.state in REBINDABLE for binder in slot.binders)

    @property
    def running(self) -> bool:
        """Whether a run of the graph is active."""
        return self._run is not None

    def check(self, patch: GraphPatch) -> None:
        """Raise what `apply` would raise. Change nothing."""
        self._rules.check(patch, version=self.version)

    def rebase(self, patch: GraphPatch) -> GraphPatch:
        """`patch` for the graph as it is now, if it still keeps the rules.

        Raises:
            GraphError: it breaks a rule by now. The message says which.
        """
        current = replace(patch, base_version=self.version)
        self.check(current)
        return current

    def apply(self, patch: GraphPatch) -> None:
        """Commit `patch`, or raise and change nothing. While a run is active, the run acts on it at once.

        The rules:

        - Ids are new.
        - A name that is read is bound.
        - A name is bound once, but for opposite branches of one `if` and names whose nodes failed, were
          blocked, skipped or cancelled. Readers that have not started follow a name that is bound anew.
        - There are no cycles, not even through a name that is bound anew.
        - A node that is done is not cancelled.

        Raises:
            StalePatchError: `base_version` is not the version of the graph.
            GraphError: a rule is broken.
        """
        if self._run is not None:
            self._run.apply(patch)
        else:
            revive(self, self.commit(patch, cancel=_cancel).rebound)

    def commit(self, patch: GraphPatch, *, cancel: Callable[[NodeRecord, str], None]) -> GraphChange:
        """The part of `apply` that changes the graph itself, for the active run.

        `cancel` is called with each record to cancel and the reason, before anything is added.
        """
        if len(patch.add) < LARGE:
            return self._commit(patch, cancel)
        with _no_collection():
            return self._commit(patch, cancel)

    def _commit(self, patch: GraphPatch, cancel: Callable[[NodeRecord, str], None]) -> GraphChange:
        checked = self._rules.check(patch, version=self.version)
        self.version += 1
        for id in patch.cancel:
            cancel(self.entries[id], patch.reason or "cancelled by a revision of the plan")
        for entry in checked.superseded:
            assert entry.node.name is not None
            self.slots[entry.node.name].binders.remove(entry)
            if entry.state == "blocked":
                cancel(entry, f"{entry.node.name} was bound anew")
        slots = self.slots
        rebound = {
            node.name: None
            for node in patch.add
            if node.name is not None and node.name in slots and slots[node.name].readers
        }
        now = self.now()
        added = [self._add(node, stages, now) for node, stages in zip(patch.add, checked.stages, strict=True)]
        return GraphChange(added, tuple(rebound))

    def give(self, name: str, value: Any, *, source: str = "") -> None:
        """Bind `name` to a value from before the plan. No node computes it. Plans may read it.

        Args:
            name: What it is called.
            value: The value.
            source: Where it comes from, for prompts and displays.
        """
        node = Node(id=name, op=ToolCall("given"), name=name, round=-1, source=source)
        self.apply(GraphPatch(self.version, add=(node,)))
        self.entries[name].state, self.entries[name].value = "done", value

    @property
    def given(self) -> list[NodeRecord]:
        """The records of the values that come from before the plan."""
        return [entry for entry in self.entries.values() if entry.node.round < 0]

    @contextmanager
    def attach(self, run: ActiveRun) -> Iterator[None]:
        """Let `run` take the patches of this block. A graph has one run at a time."""
        assert self._run is None
        self._run = run
        try:
            yield
        finally:
            self._run = None
            self.runs += 1

    def start_clock(self, clock: Callable[[], float], *, elapsed: float = 0.0) -> None:
        """Count seconds on `clock`, of which `elapsed` have passed, unless an earlier run has begun to."""
        self._clock = clock
        if self.origin is None:
            self.origin = clock() - elapsed

    def now(self) -> float:
        """Seconds since the first run began. It is 0 before that."""
        return self._clock() - self.origin if self.origin is not None else 0.0

    def close(self) -> tuple[str, ...]:
        """Skip blocked nodes, and any not yet started, since no revision will come. Returns their ids."""
        changed: list[str] = []
        for entry in self.entries.values():
            if entry.state in UNSTARTED:
                entry.state = "skipped"
                entry.error = entry.error or "the run ended before it could start"
                changed.append(entry.node.id)
        return tuple(changed)

    def to_dict(self) -> dict[str, Any]:
        """The graph as JSON-able data: version, and each node with its state, times (seconds) and result."""
        return {"version": self.version, "nodes": [self._describe(entry) for entry in self.entries.values()]}

    def _describe(self, entry: NodeRecord) -> dict[str, Any]:
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

    def producers(self, entry: NodeRecord) -> list[NodeRecord]:
        """The entries that `entry` reads, guards included.

        A map's child also reads what its map reads. Reading a whole list means reading its map.
        """
        found: dict[NodeRecord, None] = {}
        keys = [key for stage in entry.stages for key in stage]
        if entry.parent is None:
            if isinstance(entry.node.op, Join):
                keys += keys_of(op_exprs(entry.node.op))
        elif not isinstance(entry.parent.node.op, Join):
            above = [key for stage in entry.parent.stages for key in stage]
            # Where a map goes item by item, a child reads its own item and not the whole list.
            keys += [key for key in above if key[1] != "items" or not entry.item_is_expr]
        for name, index in keys:
            slot = self.slots.get(name)
            for binder in slot.binders if slot else ():
                if exclusive(binder.node, entry.node):
                    continue
                children = binder.children
                if isinstance(index, int) and children and -len(children) <= index < len(children):
                    found[children[index]] = None
                else:
                    found[binder] = None
        return list(found)

    def add_children(self, parent: NodeRecord, items: Iterable[Any], *, are_exprs: bool) -> list[NodeRecord]:
        """Expand a map into one entry for each item. Items are values, or expressions to wait for."""
        op = parent.node.op
        assert isinstance(op, Map)
        body_keys = keys_of(op_exprs(op.body), local=op.var)
        children: list[NodeRecord] = []
        for index, item in enumerate(items):
            node = Node(
                id=f"{parent.node.id}[{index}]",
                op=op.body,
                round=parent.node.round,
                line=parent.node.line,
                source=parent.node.source,
            )
            keys = tuple(dict.fromkeys((*keys_of((item,)), *body_keys))) if are_exprs else body_keys
            child = NodeRecord(
                node,
                (parent.order[0], index + 1),
                (keys,),
                parent=parent,
                var=op.var,
                item=item,
                item_is_expr=are_exprs,
                batch=parent.batch,
                tool=parent.tool,
                added=parent.added,
            )
            self._register(child)
            children.append(child)
        parent.children = children
        parent.unsettled = len(children)
        return children

    def add_parts(self, join: NodeRecord, parts: Sequence[Expr | ToolCall]) -> list[NodeRecord]:
        """Let a join wait for its parts, or for the calls that check them, which are nodes of the graph."""
        found: list[NodeRecord] = []
        for index, part in enumerate(parts):
            checked = isinstance(part, ToolCall)
            node = Node(
                id=f"{join.node.id}[{index}]",
                op=part if checked else join.node.op,
                round=join.node.round,
                line=join.node.line,
                source=join.node.source,
            )
            keys = keys_of(op_exprs(part) if checked else (part,))
            record = NodeRecord(
                node,
                (join.order[0], index + 1),
                (keys,),
                parent=join,
                item=part,
                batch=join.batch,
                tool=part.tool if checked else None,
                added=join.added,
            )
            if checked:
                # In plan order, a part is checked before the next one is begun.
                record.order = max((each.order for each in self.producers(record)), default=record.order)
                self._register(record)
            else:
                self._add_reader(record, {name for name, _ in keys})
            found.append(record)
        join.parts = found
        join.unsettled = len(found)
        return found

    def add_lost_item(self, id: str, tool: str) -> NodeRecord:
        """A cancelled node for an item that its map has no more, but whose call was begun."""
        above = self.entries[id.partition("[")[0]]
        node = Node(id=id, op=ToolCall(tool, ()), round=above.node.round, line=above.node.line, source=id)
        why = "its list does not have this item any more"
        entry = NodeRecord(node, above.order, (), "cancelled", error=why, batch=self.runs, tool=tool)
        self._register(entry)
        return entry

    def _add(self, node: Node, stages: tuple[tuple[Key, ...], ...], now: float) -> NodeRecord:
        entry = NodeRecord(
            node, (self._next_order, 0), stages, batch=self.runs, tool=tool_of(node), added=now
        )
        self._next_order += 1
        self._register(entry)
        if node.name is not None:
            slot = self.slots.get(node.name)
            if slot is None:
                slot = self.slots[node.name] = NameSlot()
            slot.binders.append(entry)
        return entry

    def _register(self, entry: NodeRecord) -> None:
        node, stages = entry.node, entry.stages
        self.entries[node.id] = entry
        keys = stages[0] if len(stages) == 1 else [key for stage in stages for key in stage]
        if type(node.op) is Map or type(node.op) is Join:  # what its items will read
            self._add_reader(entry, set(names_read(node)))
        elif keys:
            self._add_reader(entry, {name for name, _ in keys})

    def _add_reader(self, entry: NodeRecord, names: Iterable[str]) -> None:
        slots = self.slots
        for name in names:
            slot = slots.get(name)
            if slot is None:
                slot = slots[name] = NameSlot()
            slot.readers.append(entry)


def _cancel(entry: NodeRecord, reason: str) -> None:
    """Cancel a record of a graph that is not being run."""
    if entry.state not in FINAL:
        entry.state, entry.error = "cancelled", reason


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector from visiting, again and again, what is being built and cannot be garbage.

    For 100,000 nodes in one patch this halves what a run costs in all.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Nodes(Mapping[str, Node]):
    """The nodes of a graph by id: a view, not a copy."""

    def __init__(self, entries: Mapping[str, NodeRecord]) -> None:
        self._entries = entries

    def __getitem__(self, id: str) -> Node:
        return self._entries[id].node

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def reopen(entry: NodeRecord) -> None:
    """Take back that `entry` was settled, and that a map or a join was blocked for its sake."""
    entry.state, entry.error = "pending", None
    if entry.parent is not None:
        entry.parent.unsettled += 1
        if entry.parent.state == "blocked":
            entry.parent.state, entry.parent.error = "running", None


def revive(
    graph: TaskGraph, names: Iterable[str], *, held: dict[str, None] | None = None
) -> list[NodeRecord]:
    """Let unstarted readers of names that were bound anew follow. Try again what was blocked behind them.

    With `held`, what is blocked stays so, and can be bound anew itself. The names that it reads are added to
    `held`, to be revived later.

    Returns the readers in plan order. All are pending, and nothing that they waited for counts any more.
    """
    found: dict[NodeRecord, None] = {}
    todo = list(names)
    asked: set[str] = set()
    while todo:
        name = todo.pop()
        if name in asked or name not in graph.slots:
            continue
        asked.add(name)
        for reader in graph.slots[name].readers:
            expanded = reader.children is not None or reader.parts is not None
            if reader in found or reader.state not in UNSTARTED or expanded:
                continue  # a map that has its items follows through these, a join through its parts
            if held is not None and reader.state == "blocked":
                held[name] = None
                continue
            found[reader] = None
            reader.epoch += 1
            if reader.state == "blocked":
                reopen(reader)
                owner = reader.parent or reader
                if owner.node.name is not None:
                    todo.append(owner.node.name)
    return sorted(found, key=lambda entry: entry.order)
