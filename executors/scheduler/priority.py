"""Which ready node goes first when slots are scarce: the one with the longest chain of work behind it.

This is list scheduling by bottom level. All nodes that are ready may start at the same moment, so the one
with the longest path to the end of the graph has the least slack. The duration of a node is what the caller
says, or the mean of its tool in this run so far. Ranks are computed when they are first needed. They are
computed again only after the graph has grown by a part of its size or a mean has moved far, so the whole cost
stays linear in the size of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from braid.executors.graph import NodeRecord, TaskGraph, exclusive
from braid.executors.nodes import Answer, Ask, Join, Map, Node, Think

Estimate: TypeAlias = Callable[[Node], float | None]
"""The seconds that a node will take, or None where the caller does not know."""

GROWTH: Final = 1.05
"""The graph may grow by this factor before ranks are computed again."""

DRIFT: Final = 1.5
"""A mean may move by this factor before ranks are computed again."""


class Priorities:
    """Ranks of the unstarted nodes of `graph`, in seconds."""

    def __init__(self, graph: TaskGraph, estimate: Estimate | None = None) -> None:
        self.graph = graph
        self.estimate = estimate
        self.generation = 0
        """How often ranks were forgotten, to be computed anew."""
        self._ranks: dict[NodeRecord, float] = {}
        self._size = 0
        self._means: dict[str, tuple[int, float]] = {}
        self._assumed: dict[str, float] = {}
        self._drifted = False
        self._end = 0.0

    def observe(self, entry: NodeRecord) -> None:
        """Take note of how long `entry` took."""
        kind = duration_class(entry.node)
        count, mean = self._means.get(kind, (0, 0.0))
        mean += (entry.seconds - mean) / (count + 1)
        self._means[kind] = count + 1, mean
        before = self._assumed.get(kind)
        if before is not None and not before / DRIFT <= mean <= before * DRIFT:
            self._drifted = True

    def refresh(self) -> int:
        """Forget ranks that the graph has outgrown. Returns the generation that `rank` answers from."""
        size = len(self.graph.entries)
        if self._drifted or size > self._size * GROWTH + 16:
            self._ranks.clear()
            self._assumed.clear()
            self._size, self._drifted = size, False
            self.generation += 1
        return self.generation

    def rank(self, entry: NodeRecord) -> float:
        """Seconds from the start of `entry` to the end of the longest chain that begins with it."""
        ranks = self._ranks
        if entry in ranks:
            return ranks[entry]
        # Names of opposite branches may look like a cycle. The second visit finds a rank of 0.
        ranks[entry] = 0.0
        stack = [(entry, self._readers(entry), 0.0)]
        while True:
            current, readers, longest = stack.pop()
            deeper: NodeRecord | None = None
            for reader in readers:
                known = ranks.get(reader)
                if known is None:
                    deeper = reader
                    break
                longest = max(longest, known)
            if deeper is not None:
                ranks[deeper] = 0.0
                stack.append((current, readers, longest))
                stack.append((deeper, self._readers(deeper), 0.0))
                continue
            found = ranks[current] = longest + self._seconds(current.node)
            if not stack:
                return found
            above, its_readers, so_far = stack.pop()
            stack.append((above, its_readers, max(so_far, found)))

    def slack(self, entry: NodeRecord, now: float) -> float:
        """Seconds by which `entry` may start after `now` without delaying the longest chain so far."""
        self.refresh()
        end = now + self.rank(entry)
        self._end = max(self._end, end)
        return self._end - end

    def _readers(self, entry: NodeRecord) -> Iterator[NodeRecord]:
        """The unstarted nodes that wait for `entry`, or for the map that it is an item of."""
        owner = entry.parent or entry
        slot = self.graph.slots.get(owner.node.name) if owner.node.name is not None else None
        if slot is None:
            return
        for reader in slot.readers:
            if reader.state == "pending" and not exclusive(reader.node, owner.node):
                yield reader

    def _seconds(self, node: Node) -> float:
        if isinstance(node.op, (Answer, Join)):
            return 0.0
        estimated = self.estimate(node) if self.estimate is not None else None
        if estimated is not None:
            return estimated
        kind = duration_class(node)
        known = self._means.get(kind)
        if known is not None:
            seconds = known[1]
        else:  # nothing of this kind has run yet: as long as the others do
            means = self._means.values()
            seconds = sum(mean for _, mean in means) / len(means) if means else 1.0
        self._assumed[kind] = seconds
        return seconds


def duration_class(node: Node) -> str:
    """The class of nodes of about the same duration: those of one tool, or of one method of thinking."""
    op = node.op.body if isinstance(node.op, Map) else node.op
    match op:
        case Think():
            return f"think {op.method}"
        case Ask():
            return "ask"
        case Answer():
            return "answer"
        case Join():
            return "join"
        case _:
            return f"tool {op.tool}"
