"""Revising a graph while it runs: what calls for it, and who is asked. Everything that a revision does not touch goes on.

The scheduler tells `Revisions` what happens; those ask a `Replanner`, which is handed down from the rooms above, for patches.
Revisions come one at a time, after the plan's own stream has ended; what has called for one meanwhile is handed over together.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from braid.executors.graph import GraphError, GraphPatch, NodeRecord, TaskGraph
from braid.executors.nodes import Answer, Node
from braid.executors.values import preview

_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class RevisionRequest:
    """What calls for a revision, in words for the planner: a node that `failed`, one whose result is a `surprise`, `progress` (a
    summary after so many results), what a `person` said, or why patches of the last revision were `rejected`."""

    kind: Literal["failed", "surprise", "progress", "person", "rejected"]
    text: str
    node: str | None = None


class Replanner(Protocol):
    """Turns triggers into patches for the running graph."""

    def surprise(self, node: Node, value: Any) -> str | None:
        """Why the result of a node is not what the plan reckoned with; None when it is. The node then counts as failed."""
        ...

    def revise(self, triggers: Sequence[RevisionRequest]) -> AsyncIterator[GraphPatch]:
        """Patches, each made for the graph's version at the moment when it is given. May end without any."""
        ...


@dataclass(frozen=True, kw_only=True)
class Replan:
    """When a running graph is revised: as soon as a failure blocks something (`on_failure`), whenever `check` finds a result
    surprising (it says why, or gives None), and after each `every` results; `max_revisions` times at most, not counting those
    that a person asks for."""

    on_failure: bool = True
    every: int | None = None
    check: Callable[[Node, Any], str | None] | None = None
    max_revisions: int = 3

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise GraphError(f"every must be at least 1 or None, got {self.every!r}")
        if self.max_revisions < 0:
            raise GraphError(f"max_revisions must not be negative, got {self.max_revisions!r}")


class SteeringQueue:
    """Where a person's words for a running graph arrive; those that come before anybody listens are kept."""

    def __init__(self) -> None:
        self._early: list[str] = []
        self._listener: Callable[[str], None] | None = None

    def say(self, text: str) -> None:
        if self._listener is not None:
            self._listener(text)
        else:
            self._early.append(text)

    def listen(self, listener: Callable[[str], None] | None) -> None:
        """Hand what comes to `listener`, and what has come; None keeps it again."""
        self._listener = listener
        if listener is not None:
            early, self._early = self._early, []
            for text in early:
                listener(text)


class SurprisingResultError(GraphError):
    """A result that the planner's check did not expect; the message says why. It stands for the node's failure."""


class Revisions:
    """The triggers of one run that wait for a revision. `wake` is called when there is something to do."""

    def __init__(
        self, graph: TaskGraph, replanner: Replanner, policy: Replan, wake: Callable[[], object]
    ) -> None:
        self.graph = graph
        self.replanner = replanner
        self.policy = policy
        self.running = False
        """Whether a revision is under way; the scheduler says so."""
        self._wake = wake
        self._left = policy.max_revisions
        self._waiting: list[RevisionRequest] = []
        self._done = 0

    @property
    def due(self) -> bool:
        """Whether a revision could start now."""
        return not self.running and bool(self._heard())

    def surprise(self, entry: NodeRecord, value: Any) -> str | None:
        """Why `value` calls for a revision; None when it does not, or none is left."""
        if self._left <= 0 or entry.parent is not None:
            return None
        return self.replanner.surprise(entry.node, value)

    def settled(self, entry: NodeRecord) -> None:
        """Take note of a node that came to its end."""
        if self._left <= 0 or entry.parent is not None or isinstance(entry.node.op, Answer):
            return
        if entry.state == "failed":
            if isinstance(entry.exception, SurprisingResultError):
                self._add(RevisionRequest(kind="surprise", text=_told(entry), node=entry.node.id))
            elif self.policy.on_failure:
                self._add(RevisionRequest(kind="failed", text=_told(entry), node=entry.node.id))
        elif entry.state == "done":
            self._done += 1
            if self.policy.every is not None and self._done % self.policy.every == 0:
                self._add(RevisionRequest(kind="progress", text=summary(self.graph)))

    def say(self, text: str) -> None:
        """Hand over what a person said."""
        self._add(RevisionRequest(kind="person", text=text))

    async def revise(self, apply: Callable[[GraphPatch], None]) -> None:
        """Ask the replanner once, about all that is waiting, and apply what it gives."""
        # What failed may have blocked something a moment later.
        await asyncio.sleep(0)
        triggers, self._waiting = self._heard(), []
        # A failure that nothing waits for needs no mending.
        triggers = [one for one in triggers if one.kind != "failed" or self._blocks()]
        if not triggers:
            return
        self._left -= any(one.kind != "person" for one in triggers)
        reasons: list[str] = []
        async for patch in self.replanner.revise(triggers):
            try:
                apply(patch)
            except GraphError as error:  # it met a node that has moved on; nothing of the patch was taken
                reasons.append(str(error))
        if reasons:
            self._add(RevisionRequest(kind="rejected", text="; ".join(reasons)))

    def _heard(self) -> list[RevisionRequest]:
        """What waits and may still have a revision: a person's words always may."""
        return [one for one in self._waiting if self._left > 0 or one.kind == "person"]

    def _blocks(self) -> bool:
        return any(entry.state == "blocked" for entry in self.graph.entries.values())

    def _add(self, trigger: RevisionRequest) -> None:
        self._waiting.append(trigger)
        self._wake()


def summary(graph: TaskGraph) -> str:
    """How far the graph is, and its latest results, in a few lines."""
    entries = [entry for entry in graph.entries.values() if entry.parent is None]
    done = [entry for entry in entries if entry.state == "done" and entry.node.name is not None]
    lines = [f"{entry.node.name} = {preview(entry.value)}" for entry in done[-_SHOWN:]]
    return f"{len(done)} of {len(entries)} nodes are done; latest: " + "; ".join(lines)


def _told(entry: NodeRecord) -> str:
    return f"{' '.join(entry.node.source.split()) or entry.node.id}: {entry.error}"
