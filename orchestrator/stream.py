"""A run as a stream of its events."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Self

from braid.engine import Envelope
from braid.engine.system import OneLoop
from braid.executors import NodeAdded, ThinkText
from braid.executors.scheduler import SteeringQueue
from braid.orchestrator.recorder import Recorder
from braid.orchestrator.result import RunResult
from braid.planner import DirectText
from braid.reasoning import extract_answer

_PARTING: Final = "\n\n"
"""Between an answer that was begun and the one that takes its place."""


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

    async def text(self, *, on_event: Callable[[Envelope], None] = lambda _: None) -> AsyncGenerator[str]:
        """Yield the answer in pieces as the model writes it, in place of the events.

        These come as they are written: an answer without a plan, and a thought that is the plan's whole
        answer. Of such a thought `result.answer` is what was read out of it. Any other answer comes as one
        piece at the end, also one that takes the place of what was yielded before.

        Args:
            on_event: Called with each event.
        """
        pieces = _Pieces()
        thoughts: defaultdict[str, str] = defaultdict(str)
        answering = ""
        async with aclosing(aiter(self)) as events:
            async for envelope in events:
                on_event(envelope)
                text = ""
                match envelope.event:
                    case DirectText(text=text):
                        pass
                    case ThinkText(node=node, text=piece):
                        thoughts[node] += piece
                        text = piece if node == answering else ""
                    case NodeAdded(passes_on=str() as node) if node != answering:
                        if pieces.said:
                            yield _PARTING
                        pieces, answering, text = _Pieces(), node, thoughts[node]
                    case _:
                        pass
                if text := pieces.take(text):
                    yield text
        answer = self.result.answer
        if answer and answer != pieces.said and answer != extract_answer(pieces.said):
            yield f"{_PARTING}{answer}" if pieces.said else answer

    def __aiter__(self) -> AsyncGenerator[Envelope]:
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


class _Pieces:
    """What was yielded of an answer, without white space around it."""

    def __init__(self) -> None:
        self.said: str = ""
        self._held: str = ""

    def take(self, text: str) -> str:
        """What may be yielded now. White space at the end waits for what follows it."""
        text = self._held + text if self.said else text.lstrip()
        shown = text.rstrip()
        self._held = text[len(shown) :]
        self.said += shown
        return shown


async def _events(
    task: asyncio.Task[RunResult[Any]], queue: asyncio.Queue[Envelope | None]
) -> AsyncGenerator[Envelope]:
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
