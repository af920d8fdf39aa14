"""Threads for tools that block: daemon threads that are reused, one call at a time.

`concurrent.futures` and `asyncio.to_thread` join their threads when the interpreter exits, so a tool that
never returns would keep the program from ending. Their pools also have a fixed size, which such tools would
use up. Here a stuck thread is never handed out again.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

IDLE_SECONDS: Final = 10.0
"""Seconds that a thread waits for its next call before it ends."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """Result of a call: a value, or an error.

    The error travels as a value, because futures refuse some exceptions (`StopIteration`) and event loops
    stop at others (`SystemExit`).
    """

    value: Any = None
    error: BaseException | None = None
    """What the call raised."""


class _Worker:
    def __init__(self) -> None:
        self.inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._serve, name="braid-tool", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                job = self.inbox.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                with _lock:
                    if self not in _idle:
                        continue  # just handed out: its job is about to arrive
                    _idle.remove(self)
                return
            job()
            # The idle list must not keep what the last call worked on alive.
            del job
            with _lock:
                _idle.append(self)


_lock = threading.Lock()
_idle: list[_Worker] = []


def call_in_thread(function: Callable[[], Any]) -> asyncio.Future[CallResult]:
    """Start `function()` in a thread, with a copy of the present context variables. Returns at once.

    The future never fails. Cancelling it leaves the thread running to its end: Python offers no way to stop
    one.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[CallResult] = loop.create_future()
    context = contextvars.copy_context()

    def deliver(result: CallResult) -> None:
        if not future.done():
            future.set_result(result)

    def job() -> None:
        try:
            result = CallResult(value=context.run(function))
        except BaseException as error:  # it belongs to the caller and must not end this thread
            result = CallResult(error=error)
        # RuntimeError: the loop was closed while the call ran, so nobody waits for it.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver, result)

    with _lock:
        worker = _idle.pop() if _idle else None
    (worker or _Worker()).inbox.put(job)
    return future
