"""An event loop whose clock jumps to the next timer when nothing else is to be done.

Hours of waiting take milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """Timers fire in order and at their exact times, as on a machine that needs no time to compute."""

    def __init__(self) -> None:
        self._virtual = 0.0
        super().__init__()

    def time(self) -> float:
        return self._virtual

    def _run_once(self) -> None:
        ready, scheduled = getattr(self, "_ready"), getattr(self, "_scheduled")  # noqa: B009 - not public
        if not ready and scheduled:
            self._virtual = max(self._virtual, scheduled[0].when())
        super()._run_once()  # type: ignore[misc]


def run_virtually(work: Callable[[Callable[[], float]], Coroutine[Any, Any, T]]) -> tuple[T, float]:
    """What `work` returns, and the virtual seconds that it took. It is handed the clock."""
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        clock = runner.get_loop().time
        return runner.run(work(clock)), clock()
