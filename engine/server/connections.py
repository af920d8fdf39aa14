"""Connections: a deadline for the head of a request, and a limit on their number."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from braid.engine.server.config import ServerLimits

_log = logging.getLogger(__name__)

ACCEPTED_AT_ONCE = 32
"""Connections that one turn of the event loop accepts. So many may be open beyond the limit for a moment."""
_SPARE_FILES = 32
"""Files that are left for everything else that the process opens."""
_LOG_SECONDS = 60.0


class Connections:
    """What the connections of one server share: the limits, and the log."""

    def __init__(self, limits: ServerLimits) -> None:
        self.head_seconds = limits.head_seconds
        self.limit = min(limits.max_connections, max(1, _open_files_allowed()))
        self._last_line = float("-inf")

    def log_closed(self, reason: str) -> None:
        """Say that a connection without a request was closed, in at most one line a minute."""
        if time.monotonic() - self._last_line >= _LOG_SECONDS:
            self._last_line = time.monotonic()
            _log.warning("%s; further such connections are closed without a word for a minute", reason)


class Connection(H11Protocol):
    """One connection. It is closed when the head of its request does not come in time.

    Where there are too many connections, the one that has waited longest for a request is closed.
    """

    def __init__(self, *args: Any, shared: Connections, **options: Any) -> None:
        super().__init__(*args, **options)
        self._shared = shared
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether no request is under way."""
        cycle: Any = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete

    @property
    def waits_until(self) -> float:
        """When it is closed, if no request comes. In the loop's time."""
        return float("inf") if self._deadline is None else self._deadline.when()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > self._shared.limit:
            every = cast("set[object]", self.connections)
            # The new one is among them.
            ours = [each for each in every if isinstance(each, Connection) and each.waits]
            min(ours, key=lambda each: each.waits_until).give_up(
                f"more than {self._shared.limit} connections are open; "
                "the one that has waited longest for a request was closed"
            )

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_watching()

    def give_up(self, reason: str) -> None:
        """Close a connection on which no request is under way."""
        self._shared.log_closed(reason)
        self._stop_watching()
        self.connections.discard(self)
        self.transport.abort()

    def _watch(self) -> None:
        """Start the deadline when no request is under way. Further bytes do not move it."""
        if not self.waits:
            self._stop_watching()
        elif self._deadline is None and not self.transport.is_closing():
            seconds = self._shared.head_seconds
            reason = f"a connection sent no whole head of a request within {seconds:g} s and was closed"
            self._deadline = self.loop.call_later(seconds, self.give_up, reason)

    def _stop_watching(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _open_files_allowed() -> int:
    """Connections for which the process may open files beside those that are open now."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limit
        return 2**31
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return 2**31
    listed = Path("/dev/fd")
    used = len(list(listed.iterdir())) if listed.is_dir() else 64
    return limit - used - ACCEPTED_AT_ONCE - _SPARE_FILES
