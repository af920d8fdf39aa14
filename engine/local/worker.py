"""The one thread that runs the model. Jobs are generators that yield after each step and take turns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import torch

from engine.errors import EngineError

T = TypeVar("T")


class Work(Generic[T]):
    """A job under way, as the asyncio side sees it. `done` is a future of the loop that made it."""

    def __init__(self, job: Generator[None, None, T]) -> None:
        self.job = job
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[T] = self.loop.create_future()
        self.cancelled = False

    async def result(self) -> T:
        """Wait for the job. When the waiting task is cancelled, the job is dropped before its next step."""
        try:
            return await asyncio.shield(self.done)
        except asyncio.CancelledError:
            await self.drop()
            raise

    async def drop(self) -> None:
        """Cancel the job and wait until the worker has let go of it."""
        self.cancelled = True
        if not self.done.done():
            await asyncio.wait([self.done])
        if not self.done.cancelled():
            self.done.exception()  # taken note of: nobody waits for it any more

    def finish(self, value: T | None, error: BaseException | None) -> None:
        """Hand over the outcome, from the worker thread."""

        def deliver() -> None:
            if self.done.done():
                return
            if error is not None:
                self.done.set_exception(error)
            else:
                self.done.set_result(value)  # type: ignore[arg-type]

        with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self.loop.call_soon_threadsafe(deliver)


class Worker:
    """Runs the jobs round-robin, one step of each in turn, on a thread of its own with `threads` CPU threads."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._inbox: SimpleQueue[Work[Any] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._main, name="braid-local-engine", daemon=True)
        self._thread.start()

    def submit(self, job: Generator[None, None, T]) -> Work[T]:
        work = Work(job)
        with self._lock:
            if self._closed:
                raise EngineError("the engine is closed")
            self._inbox.put(work)
        return work

    def close(self) -> None:
        """Drop all work and end the thread. Blocks for at most one step."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._inbox.put(None)
        self._thread.join()

    @torch.inference_mode()
    def _main(self) -> None:
        torch.set_num_threads(self._threads)  # holds for this thread
        active: list[Work[Any]] = []
        while True:
            while not active or not self._inbox.empty():
                work = self._inbox.get()
                if work is None:
                    self._abandon(active)
                    return
                active.append(work)
                del work  # an idle worker must not hold the last result, and with it its KV
            active = [work for work in active if self._step(work)]

    def _step(self, work: Work[Any]) -> bool:
        """One step of one job; says whether there is more."""
        try:
            if work.cancelled:
                work.job.close()
                work.finish(None, EngineError("the request was cancelled"))
                return False
            next(work.job)
        except StopIteration as end:
            work.finish(end.value, None)
            return False
        except Exception as error:
            work.finish(None, error)
            return False
        return True

    def _abandon(self, active: list[Work[Any]]) -> None:
        for work in active:
            work.job.close()
            work.finish(None, EngineError("the engine was closed while this request ran"))
