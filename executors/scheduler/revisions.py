"""Revisions of a graph while it runs: what calls for one, and who is asked.

The run reports to `Revisions` what happens. `Revisions` asks a `Replanner`, which the caller provides,
for patches. Revisions come one at a time, after the plan's own stream has ended. Requests that come meanwhile
are handed over together. What a revision does not touch goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from braid.executors.graph import GraphError, GraphPatch, NodeRecord, TaskGraph
from braid.executors.nodes import Answer, Node
from braid.executors.values import preview

_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class RevisionRequest:
    """What calls for a revision, in words for the planner."""

    kind: Literal["failed", "surprise", "progress", "person", "rejected"]
    """What happened.

    A node failed, its result is a surprise, there are so many results, a person said something, or patches of
    the last revision were not taken.
    """
    text: str
    node: str | None = None
    """The id of the node, for `failed` and `surprise`."""


class Replanner(Protocol):
    """Turns requests into patches for the running graph."""

    def surprise(self, node: Node, value: Any) -> str | None:
        """Why the result of a node is not what the plan expected, or None. The node then counts as failed."""
        ...

    def revise(self, requests: Sequence[RevisionRequest], /) -> AsyncIterator[GraphPatch]:
        """Patches, each made for the graph's version at the moment when it is given. May end without any."""
        ...


@dataclass(frozen=True, kw_only=True)
class Replan:
    """When a running graph is revised."""

    on_failure: bool = True
    """As soon as a failure blocks something."""
    every: int | None = None
    """After each so many results."""
    check: Callable[[Node, Any], str | None] | None = None
    """Whenever this finds a result surprising. It returns why, or None."""
    max_revisions: int = 3
    """How often at most. Revisions that a person asks for do not count."""

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise GraphError(f"every must be at least 1 or None, got {self.every!r}")
        if self.max_revisions < 0:
            raise GraphError(f"max_revisions must not be negative, got {self.max_revisions!r}")


class SteeringQueue:
    """Where a person's words for a running graph arrive. Those that nobody has heard are kept.

    Threads and loops may share it to say something. What is said is heard in the loop of the run.
    """

    def __init__(self) -> None:
        self._early: list[str] = []
        self._listener: Callable[[str], None] | None = None
        self._unrecorded: list[str] = []
        self._record: Callable[[str], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop of the run that listens."""

    @property
    def unheard(self) -> Sequence[str]:
        """What no planner was told yet."""
        return tuple(self._early)

    def record(self, record: Callable[[str], None]) -> None:
        """Call `record` with all that is said, what has come already included."""
        self._loop = asyncio.get_running_loop()
        said, self._unrecorded, self._record = self._unrecorded, [], record
        for text in said:
            record(text)

    def give_back(self, texts: Sequence[str]) -> None:
        """Keep words for the next listener. They are recorded already."""
        self._early[:0] = texts

    def say(self, text: str) -> None:
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        loop = self._loop
        if loop is None or loop is here or loop.is_closed():
            self._say(text)
        else:
            loop.call_soon_threadsafe(self._say, text)

    def _say(self, text: str) -> None:
        if self._record is not None:
            self._record(text)
        else:
            self._unrecorded.append(text)
        if self._listener is not None:
            self._listener(text)
        else:
            self._early.append(text)

    @contextmanager
    def listened_to(self, listener: Callable[[str], None]) -> Iterator[None]:
        """Hand what has come to `listener`, and what comes within the block."""
        self._loop = asyncio.get_running_loop()
        early, self._early = self._early, []
        self._listener = listener
        try:
            for text in early:
                listener(text)
            yield
        finally:
            self._listener = None


class SurprisingResultError(GraphError):
    """A result that the planner's check did not expect. It is the failure of the node."""


class Revisions:
    """The requests of one run that wait for a revision."""

    def __init__(self, graph: TaskGraph, replanner: Replanner, policy: Replan) -> None:
        self.graph = graph
        self.replanner = replanner
        self.policy = policy
        self.running = False
        """Whether a revision is under way. The run sets it."""
        self._left = policy.max_revisions
        self._waiting: list[RevisionRequest] = []
        self._done = 0

    @property
    def due(self) -> bool:
        """Whether a revision could start now."""
        return not self.running and bool(self._allowed())

    def surprise(self, entry: NodeRecord, value: Any) -> str | None:
        """Why `value` calls for a revision. None when it does not, or no revision is left."""
        if self._left <= 0 or entry.parent is not None:
            return None
        return self.replanner.surprise(entry.node, value)

    def settled(self, entry: NodeRecord) -> None:
        """Take note of a node that came to its end."""
        if self._left <= 0 or entry.parent is not None or isinstance(entry.node.op, Answer):
            return
        if entry.state == "failed":
            if isinstance(entry.exception, SurprisingResultError):
                self._add("surprise", _described(entry), entry.node.id)
            elif self.policy.on_failure:
                self._add("failed", _described(entry), entry.node.id)
        elif entry.state == "done":
            self._done += 1
            if self.policy.every is not None and self._done % self.policy.every == 0:
                self._add("progress", summary(self.graph))

    def say(self, text: str) -> None:
        """Hand over what a person said."""
        self._add("person", text)

    @property
    def unheard(self) -> list[str]:
        """The person's words that no revision has taken up."""
        return [request.text for request in self._waiting if request.kind == "person"]

    async def revise(self, apply: Callable[[GraphPatch], None]) -> None:
        """Ask the replanner once, about all that is waiting, and apply the patches that it gives."""
        # What failed may have blocked something a moment later.
        await asyncio.sleep(0)
        requests, self._waiting = self._allowed(), []
        # A failure that nothing waits for needs no mending.
        requests = [request for request in requests if request.kind != "failed" or self._blocks()]
        if not requests:
            return
        self._left -= any(request.kind != "person" for request in requests)
        reasons: list[str] = []
        async for patch in self.replanner.revise(requests):
            try:
                apply(patch)
            except GraphError as error:  # a node has moved on, so nothing of the patch was taken
                reasons.append(str(error))
        if reasons:
            self._add("rejected", "; ".join(reasons))

    def _allowed(self) -> list[RevisionRequest]:
        """What waits and may still have a revision: a person's words always may."""
        return [request for request in self._waiting if self._left > 0 or request.kind == "person"]

    def _blocks(self) -> bool:
        return any(entry.state == "blocked" for entry in self.graph.entries.values())

    def _add(
        self,
        kind: Literal["failed", "surprise", "progress", "person", "rejected"],
        text: str,
        node: str | None = None,
    ) -> None:
        self._waiting.append(RevisionRequest(kind=kind, text=text, node=node))


def summary(graph: TaskGraph) -> str:
    """How far the graph is, and its latest results, in a few lines."""
    entries = [entry for entry in graph.entries.values() if entry.parent is None]
    done = [entry for entry in entries if entry.state == "done" and entry.node.name is not None]
    lines = [f"{entry.node.name} = {preview(entry.value)}" for entry in done[-_SHOWN:]]
    return f"{len(done)} of {len(entries)} nodes are done; latest: " + "; ".join(lines)


def _described(entry: NodeRecord) -> str:
    return f"{' '.join(entry.node.source.split()) or entry.node.id}: {entry.error}"
