"""An event loop in a thread of its own. Work of any other loop can be done there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from braid.engine import BraidError

T = TypeVar("T")


class LoopEndedError(BraidError):
    """The thread was stopped before the work was done."""


class LoopThread:
    """A thread with an event loop. It starts with the first work.

    It may be shared between threads and loops. What its work makes belongs to its own loop.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`. Cancelling the caller cancels it.

        Raises:
            LoopEndedError: The thread was stopped before `work` was done.
        """
        # Under the lock, so that `stop` cancels whatever was handed over before it.
        with self._lock:
            future = asyncio.run_coroutine_threadsafe(work, self._running())
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise LoopEndedError(f"{self._name} was closed while a request was under way") from None

    async def stop(self) -> None:
        """Cancel what is under way, and end the thread. Later work starts another."""
        with self._lock:
            thread, loop, end = self._thread, self._loop, self._end
            self._thread = self._loop = self._end = None
            if loop is not None and end is not None:
                loop.call_soon_threadsafe(end.set)
        if thread is not None:
            await asyncio.to_thread(thread.join)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            ready = threading.Event()

            async def main() -> None:
                self._loop, self._end = asyncio.get_running_loop(), (end := asyncio.Event())
                ready.set()
                await end.wait()

            self._thread = threading.Thread(target=lambda: asyncio.run(main()), name=self._name, daemon=True)
            self._thread.start()
            ready.wait()
        assert self._loop is not None
        return self._loop
