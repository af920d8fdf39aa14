"""The one thread that runs the model, and how requests get there and back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

import torch

from braid.engine.errors import EngineError
from braid.engine.local.kv import Pool
from braid.engine.local.scheduler.request import Finished, Request
from braid.engine.local.scheduler.scheduler import Scheduler, step_failed

T = TypeVar("T")


class RequestHandle:
    """A submitted request, as the asyncio side sees it. `done` is a future of the loop that made it."""

    def __init__(self, request: Request, pool: Pool) -> None:
        self.request = request
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Any] = self._loop.create_future()

    async def result(self) -> Any:
        """Wait for the result.

        When the waiting task is cancelled, the request is dropped before the next step.
        """
        try:
            return await asyncio.shield(self.done)
        except asyncio.CancelledError:
            await self.drop()
            raise

    def cancel(self) -> None:
        """Cancel the request. What it made is released, whether or not somebody waits for that."""
        self.request.cancelled = True
        if self.done.done():
            self._discard(self.done)
        else:
            self.done.add_done_callback(self._discard)

    async def drop(self) -> None:
        """Cancel the request, and wait until the worker has let go of it."""
        self.cancel()
        if not self.done.done():
            await asyncio.wait([self.done])

    def _discard(self, done: asyncio.Future[Any]) -> None:
        if not done.cancelled():
            done.exception()  # retrieved, so that asyncio does not report it: nobody waits for it
        self.request.discard(self._pool)

    def deliver(self, finished: Finished) -> None:
        """Give the result to the event loop that waits for it. Called on the worker thread."""

        def set_done() -> None:
            if self.done.done():
                return
            if finished.error is not None:
                self.done.set_exception(finished.error)
            else:
                self.done.set_result(finished.result)

        try:
            self._loop.call_soon_threadsafe(set_done)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self.request.discard(self._pool)


async def in_own_thread(work: Callable[[], T]) -> T:
    """Run `work` on a thread that ends with it.

    Each thread that has run operators on several CPU threads keeps helpers of its own. While there are more
    of these than processors, GNU OpenMP lets waiting threads sleep at once instead of spinning, and every
    operator of the engine takes some 80 microseconds longer. Cancelling leaves the thread to its work, whose
    result nobody reads.
    """
    threads = ThreadPoolExecutor(1, thread_name_prefix="braid-local-engine-load")
    running = asyncio.get_running_loop().run_in_executor(threads, work)
    threads.shutdown(wait=False)
    result = await running
    await asyncio.to_thread(threads.shutdown)
    return result


class Worker:
    """Steps the scheduler while there are requests, on a thread of its own with `threads` CPU threads."""

    def __init__(self, scheduler: Scheduler, pool: Pool, threads: int) -> None:
        self._scheduler = scheduler
        self._pool = pool
        self._threads = threads
        self._inbox: SimpleQueue[RequestHandle | Future[Any] | None] = SimpleQueue()
        self._calls: dict[Future[Any], Callable[[], Any]] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._main, name="braid-local-engine", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        return self._closed

    def submit(self, request: Request) -> RequestHandle:
        """Give a request to the worker.

        Raises:
            EngineError: the engine is closed.
        """
        handle = RequestHandle(request, self._pool)
        with self._lock:
            if self._closed:
                self._pool.release(request.locks)
                raise EngineError("the engine is closed")
            self._inbox.put(handle)
        return handle

    async def call(self, work: Callable[[], T]) -> T:
        """Run `work` on the model's thread, between two steps.

        Raises:
            EngineError: the engine is closed.
        """
        done: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise EngineError("the engine is closed")
            self._calls[done] = work
            self._inbox.put(done)
        return await asyncio.wrap_future(done)

    def close(self) -> None:
        """Drop all work and end the thread. Blocks for at most one step."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._inbox.put(None)
        self._thread.join()

    def _run_call(self, done: Future[Any]) -> None:
        work = self._calls.pop(done)
        if not done.set_running_or_notify_cancel():
            return
        try:
            done.set_result(work())
        except Exception as error:
            done.set_exception(error)

    @torch.inference_mode()
    def _main(self) -> None:
        torch.set_num_threads(self._threads)  # holds for this thread
        handles: dict[Request, RequestHandle] = {}

        def deliver(finished: Iterable[Finished]) -> None:
            for outcome in finished:
                handles.pop(outcome.request).deliver(outcome)

        while True:
            while not self._scheduler.busy or not self._inbox.empty():
                handle = self._inbox.get()
                if handle is None:
                    closed = EngineError("the engine was closed while this request ran")
                    deliver(self._scheduler.fail_all(closed))
                    return
                if isinstance(handle, Future):
                    self._run_call(handle)
                    continue
                handles[handle.request] = handle
                self._scheduler.add(handle.request)
            try:
                deliver(self._scheduler.step())
            except Exception as error:  # an internal error: the waiting requests fail, later ones are served
                deliver(self._scheduler.fail_all(step_failed(error)))
