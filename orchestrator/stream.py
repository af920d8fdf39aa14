"""A run as a stream of its events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from braid.engine import Envelope
from braid.engine.system import OneLoop
from braid.executors.scheduler import SteeringQueue
from braid.orchestrator.recorder import Recorder
from braid.orchestrator.result import RunResult


class RunStream:
    """The events of one run, to be read once, and then its `result`. After `async with` the run is over.

    It belongs to one event loop. Any thread may use `say`, and `result` once the run is over.
    """

    def __init__(
        self,
        start: Callable[[Recorder], Coroutine[Any, Any, RunResult[Any]]],
        inbox: SteeringQueue | None = None,
    ) -> None:
        self._start = start
        self._inbox = inbox or SteeringQueue()
        self._task: asyncio.Task[RunResult[Any]] | None = None
        self._closed = False
        self._loop = OneLoop("the stream of a run")

    @property
    def result(self) -> RunResult[Any]:
        """The finished run.

        Raises:
            RuntimeError: The run is not over. What the run itself raised is raised as it is.
        """
        if self._task is None or not self._task.done() or self._task.cancelled():
            raise RuntimeError("the run is not over: read all of its events first")
        return self._task.result()

    def say(self, text: str) -> None:
        """Tell the planner something while the run goes on. It may revise what has not started yet.

        It becomes an event. What no plan takes up is in `RunResult.unheard`.
        """
        self._inbox.say(text)

    def __aiter__(self) -> AsyncIterator[Envelope]:
        self._loop.check()
        if self._task is not None or self._closed:
            raise RuntimeError("the events of a run can be read once; start another stream")
        queue: asyncio.Queue[Envelope | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._start(Recorder(queue.put_nowait)))
        self._task.add_done_callback(lambda _: queue.put_nowait(None))
        return _events(self._task, queue)

    async def aclose(self) -> None:
        """Cancel the run if it is not over, and wait until everything that it started has ended."""
        self._loop.check()
        self._closed = True
        if self._task is not None:
            await _cancel_and_wait(self._task)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def _events(
    task: asyncio.Task[RunResult[Any]], queue: asyncio.Queue[Envelope | None]
) -> AsyncIterator[Envelope]:
    # Not a method of RunStream. A reference to it would keep the run of a loop that is left early going until
    # the garbage collector finds the cycle.
    try:
        while (envelope := await queue.get()) is not None:
            yield envelope
        task.result()
    finally:
        await _cancel_and_wait(task)


async def _cancel_and_wait(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # read, so that asyncio does not report it once more
