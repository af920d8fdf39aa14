"""Concurrency slots of the run and of each tool, and the queue of nodes that need them. Only bookkeeping."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from braid.executors.graph import NodeRecord
from braid.executors.scheduler.priority import Priorities

QueueKey: TypeAlias = "tuple[float, tuple[int, int], int, int, NodeRecord]"
"""Rank (negated: the longest chain first), plan order, a tie breaker, the epoch when queued, the entry."""


class SlotQueue:
    """Slots for `width` nodes at once, and for each tool as many as `cap_of` says (None: no cap).

    Ready entries are `put` in. `acquire` gives the one that may start now and takes its slots. `release`
    returns them. While there are slots for all, entries start in the order in which they came. When there are
    not, they start by `priorities`, or in plan order where there are none. A node that waits for its tool
    holds no slot of the run, so one narrow tool does not starve the rest.
    """

    def __init__(
        self, width: int, cap_of: Callable[[str], int | None], priorities: Priorities | None
    ) -> None:
        self.width = width
        self.cap_of = cap_of
        self.priorities = priorities
        self.active = 0
        self.paused = False
        """Whether `acquire` gives nothing."""
        self.instant: set[str | None] = set()
        """Tools whose calls returned without waiting so far.

        Their calls start before all others: they take no time, and others may wait for them.
        """
        self._arrived: deque[tuple[NodeRecord, int]] = deque()
        self._instant: deque[tuple[NodeRecord, int]] = deque()
        self._queue: list[QueueKey] = []
        self._by_tool: dict[str, list[QueueKey]] = {}
        self._tool_active: dict[str | None, int] = {}
        self._caps: dict[str, int | None] = {}
        self._ticket = 0
        self._generation = 0

    @property
    def waiting(self) -> int:
        """How many were put in and not given out, those that wait for their tool aside."""
        return len(self._arrived) + len(self._instant) + len(self._queue)

    @property
    def startable(self) -> int:
        """How many of these could start now, caps of tools aside."""
        return 0 if self.paused else min(self.waiting, self.width - self.active)

    def put(self, entry: NodeRecord) -> None:
        """Queue an entry that is ready."""
        if entry.tool in self.instant:
            self._instant.append((entry, entry.epoch))
        else:
            self._arrived.append((entry, entry.epoch))

    def acquire(self) -> NodeRecord | None:
        """The entry that can run now, its slots taken. None if there is none."""
        while self.active < self.width and not self.paused:
            if self._instant:
                entry, epoch = self._instant.popleft()
            elif self._arrived and self._needs_no_rank(self._arrived[0][0]):
                entry, epoch = self._arrived.popleft()
            elif self._arrived or self._queue:
                entry, epoch = self._first()
            else:
                return None
            tool = entry.tool
            if entry.epoch != epoch or entry.state != "pending":
                self._wake(tool)  # it does not use the slot of its tool that it was woken for
                continue
            if tool is None:
                cap = None
            elif tool in self._caps:
                cap = self._caps[tool]
            else:
                cap = self._caps[tool] = self.cap_of(tool)
            if tool is not None and cap is not None:
                active = self._tool_active.get(tool, 0)
                if active >= cap:
                    heapq.heappush(self._by_tool.setdefault(tool, []), self._key(entry, epoch))
                    continue
                self._tool_active[tool] = active + 1
            self.active += 1
            return entry
        return None

    def release(self, entry: NodeRecord) -> None:
        """Return the slots of an entry that ran."""
        self.active -= 1
        tool = entry.tool
        if tool in self._tool_active:
            self._tool_active[tool] -= 1
            self._wake(tool)

    def _needs_no_rank(self, entry: NodeRecord) -> bool:
        """Whether the first that arrived may start before the others are compared."""
        if self.priorities is None:
            return False
        tool = entry.tool
        if tool is not None and tool not in self._caps and self.priorities.estimate is None:
            return True  # the first call of a tool shows what to expect of the others
        return tool in self.instant or (not self._queue and len(self._arrived) <= self.width - self.active)

    def _first(self) -> tuple[NodeRecord, int]:
        if self.priorities is not None and self.priorities.refresh() != self._generation:
            self._generation = self.priorities.generation
            for queue in (self._queue, *self._by_tool.values()):
                queue[:] = [self._key(entry, epoch) for _, _, _, epoch, entry in queue]
                heapq.heapify(queue)
        while self._arrived:
            heapq.heappush(self._queue, self._key(*self._arrived.popleft()))
        key = heapq.heappop(self._queue)
        return key[4], key[3]

    def _wake(self, tool: str | None) -> None:
        waiting = self._by_tool.get(tool) if tool is not None else None
        if waiting:
            heapq.heappush(self._queue, heapq.heappop(waiting))

    def _key(self, entry: NodeRecord, epoch: int) -> QueueKey:
        self._ticket += 1
        rank = self.priorities.rank(entry) if self.priorities is not None else 0.0
        return -rank, entry.order, self._ticket, epoch, entry
