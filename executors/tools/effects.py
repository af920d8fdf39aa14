"""Effects of tools, and the record of mutating calls. This table decides what an effect allows.

| | pure | idempotent | mutating |
|---|---|---|---|
| another attempt after a failure | yes | yes | if `reconcile` says `NotDone` |
| one call for equal arguments, hedging | yes | hedging only | no |
| repeated by a resumed run that finds it unfinished | yes | yes | if `reconcile` says `NotDone` |

The record in memory is here. The record on disk is in `braid.executors.journal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

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


class Unfinished(NotDone):
    """What `reconcile` returns for a call that did a part of its work.

    Made again under the same key, it does the rest. Until then it is uncertain.
    """


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


class MemoryCalls:
    """A `CallLog` in memory, for a run without a journal.

    It belongs to one run, and so to one event loop.
    """

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
