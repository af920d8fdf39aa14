"""Who may run now: slots of the run and of each tool, and queues for both. No waiting here, only bookkeeping."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TypeAlias

from executors.entries import Entry, tool_of

Place: TypeAlias = "tuple[float, tuple[int, int], int, int, Entry]"
"""Slack, plan order, a tie breaker, the entry's epoch when it was queued, the entry."""


class Admission:
    """Slots for `width` nodes at once, and for each tool as many as `cap_of` says (None: no cap).

    A node that waits for its tool holds no slot of the run, so that one narrow tool does not starve the rest.
    """

    def __init__(self, width: int, cap_of: Callable[[str], int | None]) -> None:
        self.width = width
        self.cap_of = cap_of
        self.active = 0
        self.held = False
        self._queue: list[Place] = []
        self._by_tool: dict[str, list[Place]] = {}
        self._tool_active: dict[str, int] = {}
        self._ticket = 0

    def take(self, entry: Entry) -> bool:
        """Take the slots that `entry` needs, or queue it and return False."""
        tool = tool_of(entry.node)
        if tool is not None and self._is_full(tool):
            heapq.heappush(self._by_tool.setdefault(tool, []), self._place(entry))
            return False
        if self.held or self.active >= self.width or self._queue:
            heapq.heappush(self._queue, self._place(entry))
            return False
        self._occupy(tool)
        return True

    def next(self) -> Entry | None:
        """The next queued entry that can run now, its slots taken; None if there is none."""
        while not self.held and self._queue and self.active < self.width:
            place = heapq.heappop(self._queue)
            epoch, entry = place[3], place[4]
            tool = tool_of(entry.node)
            if entry.epoch != epoch or entry.state != "pending":
                self._wake(tool)  # it does not use the slot of its tool that it was woken for
            elif tool is not None and self._is_full(tool):
                heapq.heappush(self._by_tool.setdefault(tool, []), place)
            else:
                self._occupy(tool)
                return entry
        return None

    def give_back(self, entry: Entry) -> None:
        """Return the slots of an entry that ran."""
        self.active -= 1
        tool = tool_of(entry.node)
        if tool is not None:
            self._tool_active[tool] -= 1
            self._wake(tool)

    def _occupy(self, tool: str | None) -> None:
        self.active += 1
        if tool is not None:
            self._tool_active[tool] = self._tool_active.get(tool, 0) + 1

    def _wake(self, tool: str | None) -> None:
        waiting = self._by_tool.get(tool) if tool is not None else None
        if waiting:
            heapq.heappush(self._queue, heapq.heappop(waiting))

    def _is_full(self, tool: str) -> bool:
        cap = self.cap_of(tool)
        return cap is not None and self._tool_active.get(tool, 0) >= cap

    def _place(self, entry: Entry) -> Place:
        # Slack on the critical path goes first in the order once it is known; until then plan order decides.
        self._ticket += 1
        return 0.0, entry.order, self._ticket, entry.epoch, entry
