"""Patches of a graph, the rules that they keep, and messages that say how to mend one that breaks a rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from braid.engine import BraidError
from braid.executors.graph.state import (
    REBINDABLE,
    UNSTARTED,
    Key,
    NameSlot,
    NodeRecord,
    exclusive,
    names_read,
    stages_of,
)
from braid.executors.nodes import Join, Map, Node


class GraphError(BraidError, ValueError):
    """A patch breaks a rule of the graph. Says which, and how to mend it. The graph is as it was."""


class StalePatchError(GraphError):
    """The graph has changed since the patch was made: look at it again and make a new one."""

    def __init__(self, *, base: int, version: int) -> None:
        super().__init__(
            f"the patch was made for version {base} of the graph, which is now at version {version}"
        )
        self.base = base
        self.version = version


@dataclass(frozen=True)
class GraphPatch:
    """One change of a graph. It cancels nodes, then adds nodes."""

    base_version: int
    """The version of the graph that it was made for."""
    add: tuple[Node, ...] = ()
    """The nodes to add."""
    cancel: tuple[str, ...] = ()
    """Ids of the nodes to cancel."""
    reason: str = ""
    """Why, for events and for the cancelled nodes."""


@dataclass(frozen=True)
class CheckedPatch:
    """A patch that keeps the rules."""

    stages: Sequence[tuple[tuple[Key, ...], ...]]
    """The stages of each added node."""
    superseded: Sequence[NodeRecord]
    """The entries whose names it binds anew."""


class PatchChecker:
    """The rules of one graph, over its live entries and slots."""

    def __init__(self, entries: Mapping[str, NodeRecord], slots: Mapping[str, NameSlot]) -> None:
        self.entries = entries
        self.slots = slots

    def check(self, patch: GraphPatch, *, version: int) -> CheckedPatch:
        """Raise `GraphError` if `patch` breaks a rule."""
        if patch.base_version != version:
            raise StalePatchError(base=patch.base_version, version=version)
        for id in patch.cancel:
            known = self.entries.get(id)
            if known is None:
                raise GraphError(
                    f"there is no node {id!r} to cancel; the nodes are {name_list(self.entries)}"
                )
            if known.state == "done":
                raise GraphError(
                    f"node {id!r} is done: a finished node is never edited; leave it out of `cancel`"
                )
        new: dict[str, list[Node]] = {}
        superseded: dict[NodeRecord, None] = {}
        seen: set[str] = set()
        entries, slots = self.entries, self.slots
        for node in patch.add:
            if node.id in entries or node.id in seen:
                self._refuse_id(node)
            seen.add(node.id)
            name = node.name
            if name is not None:
                slot = slots.get(name)
                if name in new or (slot is not None and slot.binders):
                    superseded.update(dict.fromkeys(self._check_name(node, new, patch.cancel)))
                    new.setdefault(name, []).append(node)
                else:
                    new[name] = [node]
        stages = [stages_of(node) for node in patch.add]
        self._check_references(patch, stages, new, superseded)
        return CheckedPatch(stages, list(superseded))

    def _refuse_id(self, node: Node) -> NoReturn:
        known = self.entries.get(node.id)
        if known is not None:
            raise GraphError(
                f"node {node.id!r} is in the graph already ({known.state}): "
                "a node keeps what it was started with; "
                "cancel it if it has not started, and add a node with a new id"
            )
        raise GraphError(f"two nodes of one patch have the id {node.id!r}; give each its own")

    def _check_name(
        self, node: Node, new: Mapping[str, list[Node]], cancel: Sequence[str]
    ) -> list[NodeRecord]:
        name = node.name
        assert name is not None
        for other in new.get(name, ()):
            if not exclusive(other, node):
                raise GraphError(
                    f"name {name!r} is bound twice, by {other.id!r} and {node.id!r}; use a new name"
                )
        slot = self.slots.get(name)
        superseded: list[NodeRecord] = []
        for binder in slot.binders if slot else ():
            if exclusive(binder.node, node):
                continue
            if binder.state not in REBINDABLE and binder.node.id not in cancel:
                raise GraphError(
                    f"name {name!r} is bound already, by node {binder.node.id!r} ({binder.state}); "
                    "use a new name: only names whose node failed, was skipped or cancelled, "
                    "or stands in the opposite branch, may be bound again"
                )
            superseded.append(binder)
        return superseded

    def _check_references(
        self,
        patch: GraphPatch,
        stages: Sequence[tuple[tuple[Key, ...], ...]],
        new: Mapping[str, list[Node]],
        superseded: Mapping[NodeRecord, None],
    ) -> None:
        slots = self.slots
        bound: set[str] = set()
        suspicious = False
        for node, waits in zip(patch.add, stages, strict=True):
            expands = isinstance(node.op, (Map, Join))  # literal items and parts are no keys of its own
            names = names_read(node) if expands else [name for keys in waits for name, _ in keys]
            for name in names:
                if name in bound:
                    continue
                if name in new:
                    suspicious = True
                    continue
                slot = slots.get(name)
                if slot is None or not slot.binders:
                    raise GraphError(
                        f"node {node.id!r} reads {name!r}, which nothing binds; names so far: "
                        f"{name_list([*(n for n, s in slots.items() if s.binders), *new]) or 'none'}"
                    )
            if node.name is not None:
                bound.add(node.name)
                slot = slots.get(node.name)
                suspicious = suspicious or (slot is not None and bool(slot.readers))
        # Nodes that read only what came before them cannot close a cycle.
        if suspicious:
            self._check_cycles(patch.add, new, superseded)

    def _check_cycles(
        self, added: Sequence[Node], new: Mapping[str, list[Node]], superseded: Mapping[NodeRecord, None]
    ) -> None:
        def producers(node: Node) -> Iterator[Node]:
            for name in names_read(node):
                slot = self.slots.get(name)
                old = [b.node for b in slot.binders if b not in superseded and _waits(b)] if slot else []
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
                    visited = list(path)
                    loop = [*visited[visited.index(following.id) :], following.id]
                    chain = " -> ".join(reversed(loop))
                    raise GraphError(f"these nodes would wait for each other: {chain}; use a new name")
                elif following.id not in finished:
                    path[following.id] = None
                    stack.append((following, producers(following)))


def _waits(entry: NodeRecord) -> bool:
    """Whether the node may yet wait for a name.

    It has not started, or is a map or join whose items have not all.
    """
    expanded = entry.children is not None or entry.parts is not None
    return entry.state in UNSTARTED or (expanded and entry.state == "running")


def name_list(names: Iterable[str], limit: int = 12) -> str:
    """The first of `names`, for a message."""
    known = list(dict.fromkeys(names))
    return ", ".join(known[:limit]) + (", ..." if len(known) > limit else "")
