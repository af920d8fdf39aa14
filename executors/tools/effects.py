"""Effects of tools, and the record of mutating calls. This table decides what an effect allows.

| | pure | idempotent | mutating |
|---|---|---|---|
| another attempt after a failure | yes | yes | if `reconcile` says `NotDone` |
| one call for equal arguments, hedging | yes | hedging only | no |
| repeated by a resumed run that finds it unfinished | yes | yes | if `reconcile` says `NotDone` |

The record in memory is here. The record on disk is in `braid.executors.journal`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from braid.engine import Usage
    from braid.executors.graph import GraphPatch
    from braid.executors.scheduler import RecordedRun

Effect: TypeAlias = Literal["pure", "idempotent", "mutating"]
"""What a call does to the world: nothing, the same thing however often, or something new each time."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of a call."""

    state: Literal["started", "done", "failed", "not_done"]
    """`started`: nobody knows how it ended. `not_done`: it was begun, and it did not happen."""
    value: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What `reconcile` returns for a call that happened."""

    value: Any = None
    """The call's result."""


@dataclass(frozen=True, slots=True)
class NotDone:
    """What `reconcile` returns for a call that did not happen. It may be made now."""


class CallLog(Protocol):
    """What happened to the calls of mutating tools, by idempotency key."""

    def recall(self, key: str) -> Recorded | None:
        """What is known of the call. None: it was never started."""
        ...

    def started(self, key: str, *, node: str, tool: str, args: Mapping[str, Any], effect: Effect) -> None:
        """The call is about to be made. Must be durable when this returns."""
        ...

    def finished(self, key: str, value: Any) -> None:
        """The call returned `value`."""
        ...

    def failed(self, key: str, error: str) -> None:
        """The call raised. The tool says that it did not do its job."""
        ...

    def not_done(self, key: str) -> None:
        """The call was begun, and it did not happen."""
        ...


class RunJournal(CallLog, Protocol):
    """What a run writes down before anybody sees it, so that another process can go on from there.

    Called on the event loop, before readers of a node are released and before events are told. What the graph
    derives by itself (guards, skips, maps, blocked readers) is not written:
    `braid.executors.scheduler.replay` derives it again.
    """

    def begin(self) -> RecordedRun | None:
        """A run of the graph begins; returns what an earlier process wrote down of this very one."""
        ...

    def patched(self, patch: GraphPatch, *, at: float, running: Sequence[str]) -> None:
        """The graph has taken `patch`, while `running` ran (told only where a name was bound anew)."""
        ...

    def planned(self, *, at: float) -> None:
        """The stream of patches is at its end."""
        ...

    def settled(
        self,
        node: str,
        *,
        state: Literal["done", "failed"],
        value: Any,
        error: str | None,
        started: float,
        finished: float,
        usage: Usage | None,
    ) -> None:
        """A node that ran has ended by itself; times are seconds since the graph's first run began."""
        ...

    def commit(self, nodes: Collection[str] | None = None) -> None:
        """Something outside the process is about to see an effect of these nodes, or of any (None): what was told of them, and
        all before, must outlive the process. An item of a map goes by the map's id."""
        ...


class MemoryCalls:
    """A `CallLog` in memory, for a run without a journal."""

    def __init__(self) -> None:
        self._calls: dict[str, Recorded] = {}

    def recall(self, key: str) -> Recorded | None:
        return self._calls.get(key)

    def started(self, key: str, *, node: str, tool: str, args: Mapping[str, Any], effect: Effect) -> None:
        self._calls[key] = Recorded("started")

    def finished(self, key: str, value: Any) -> None:
        self._calls[key] = Recorded("done", value=value)

    def failed(self, key: str, error: str) -> None:
        self._calls[key] = Recorded("failed", error=error)

    def not_done(self, key: str) -> None:
        self._calls[key] = Recorded("not_done")
