"""Admission of requests: who generates, who waits, who is refused, and when a stopping server ends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from braid.engine.server.errors import ApiError, server_error


class Admission:
    """First come, first served."""

    def __init__(self, *, max_running: int, max_waiting: int) -> None:
        self.running = 0
        self.waiting = 0
        self.draining = False
        self.stop_now = asyncio.Event()
        """Set when the grace time is over: whatever still runs is to end now."""
        self._max_waiting = max_waiting
        self._slots = asyncio.Semaphore(max_running)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the places while the block runs.

        Raises:
            ApiError: 429 when the queue is full, 503 when the server drains.
        """
        if self.draining:
            raise shutting_down()
        if self._slots.locked() and self.waiting >= self._max_waiting:
            raise ApiError(
                429,
                f"the server is busy: {self.running} requests are running and {self.waiting} are waiting",
                type="rate_limit_error",
                code="rate_limit_exceeded",
                retry_after=1,
            )
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._slots.release()


def shutting_down() -> ApiError:
    """The error for requests that a stopping server ends or refuses."""
    return server_error(503, "the server is shutting down", "shutting_down")
