"""What a patch may do to a graph: the rules, and the messages that say how to mend a patch that breaks one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine import BraidError
from executors.entries import REBINDABLE, UNSTARTED, Entry, Slot, exclusive, names_read
from executors.nodes import Node


class GraphError(BraidError, ValueError):
    """A patch breaks a rule of the graph. Says which, and how to mend it; the graph is as it was."""


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
    """One change: nodes to cancel, then nodes to add, for the graph at `base_version`."""

    base_version: int
    add: tuple[Node, ...] = ()
    cancel: tuple[str, ...] = ()
    reason: str = ""


class Rules:
    """The rules of one graph, over its live entries and slots."""

    def __init__(self, entries: Mapping[str, Entry], slots: Mapping[str, Slot]) -> None:
        self.entries = entries
        self.slots = slots

    def check(self, patch: GraphPatch, *, version: int) -> list[Entry]:
        """Raise `GraphError` if `patch` breaks a rule; else return the entries whose names it binds anew."""
        if patch.base_version != version:
            raise StalePatchError(base=patch.base_version, version=version)
        for id in patch.cancel:
            known = self.entries.get(id)
            if known is None:
                raise GraphError(f"there is no node {id!r} to cancel; the nodes are {few(self.entries)}")
            if known.state == "done":
                raise GraphError(
                    f"node {id!r} is done: a finished node is never edited; leave it out of `cancel`"
                )
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
                raise GraphError(
                    f"name {name!r} is bound twice, by {other.id!r} and {node.id!r}; use a new name"
                )
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
                        f"{few([*(n for n, s in self.slots.items() if s.binders), *new]) or 'none'}"
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
                old = (
                    [b.node for b in slot.binders if b not in superseded and b.state in UNSTARTED]
                    if slot
                    else []
                )
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
                    raise GraphError(
                        f"these nodes would wait for each other: {' -> '.join(reversed(loop))}; use a new name"
                    )
                elif following.id not in finished:
                    path[following.id] = None
                    stack.append((following, producers(following)))


def few(names: Iterable[str], limit: int = 12) -> str:
    """The first of `names`, for a message."""
    known = list(dict.fromkeys(names))
    return ", ".join(known[:limit]) + (", ..." if len(known) > limit else "")
