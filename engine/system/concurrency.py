"""Structured concurrency: run coroutines side by side, merge streams, unwrap error groups."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, TypeVar, cast

from braid.engine.errors import BraidError

T = TypeVar("T")


class WrongLoopError(BraidError, RuntimeError):
    """An object that belongs to one event loop was used in another one."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} belongs to the event loop in which it was used first, and this is another one; "
            "use it there, or make one for each loop (`Agent.run_sync` does)"
        )


class OneLoop:
    """The event loop that an object belongs to: the one in which it is checked first."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def ended(self) -> bool:
        """Whether that loop is closed."""
        return self._loop is not None and self._loop.is_closed()

    def check(self) -> None:
        """Raise `WrongLoopError` in any other loop."""
        running = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = running
        elif self._loop is not running:
            raise WrongLoopError(self._what)


async def run_all(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all of `work`, in its order.

    The first failure stops the rest and is raised as it is, not in a group.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in work]
    except BaseExceptionGroup as error:
        raise first_error(error) from None
    return [task.result() for task in tasks]


def first_error(error: BaseException) -> BaseException:
    """The first error inside groups, however deep.

    Callers need not unpack groups that structured concurrency makes.
    """
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


async def merge_streams(sources: Sequence[AsyncGenerator[T]]) -> AsyncGenerator[T]:
    """Everything that `sources` yield, as it comes.

    Closing it closes them all. The first failure stops the rest.
    """
    if len(sources) == 1:
        async with aclosing(sources[0]) as only:
            async for item in only:
                yield item
        return
    # The bound makes a slow reader slow the servers down instead of filling memory.
    queue: asyncio.Queue[tuple[T] | None] = asyncio.Queue(maxsize=64)

    async def pump(source: AsyncGenerator[T]) -> None:
        async with aclosing(source):
            async for item in source:
                await queue.put((item,))

    async def pump_all() -> None:
        try:
            await run_all([pump(source) for source in sources])
        finally:
            if not queue.full():  # a full queue wakes the reader without a last word
                queue.put_nowait(None)

    work = asyncio.create_task(pump_all(), name="braid: merged streams")
    try:
        while not (work.done() and queue.empty()):
            entry = await queue.get()
            if entry is not None:
                yield entry[0]
        await work
    finally:
        work.cancel()
        await asyncio.wait([work])
