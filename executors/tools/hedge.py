"""Hedging: a call that takes unusually long is made once more, and the first result counts.

Source: J. Dean, L. A. Barroso, "The Tail at Scale", CACM 56(2), 2013.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, Final, TypeAlias, TypeVar

from braid.executors.tools.threads import CallResult

T = TypeVar("T")

MIN_SAMPLES: Final = 10
"""Minimum number of latencies before a quantile of them is used."""

WINDOW: Final = 128
"""Number of latencies that a tool remembers."""

HedgeAfter: TypeAlias = float | str
"""When a second call is made: after so many seconds, or a quantile ("p95") of the tool's latencies."""

OnHedged: TypeAlias = Callable[[bool, float], None]
"""Called with (second_call_won, wasted_seconds) when a hedged call has its result."""


class CancelReason(Enum):
    """Why a call is cancelled: the message of its `CancelledError`."""

    SLOWER = "another call was quicker"
    """Its result is not needed, so nobody has to wait for its end."""


class Latencies:
    """Latencies of a tool's last calls. They decide when the next call is hedged."""

    def __init__(self, after: HedgeAfter) -> None:
        self.after = after
        self._seconds: deque[float] = deque(maxlen=WINDOW)

    def add(self, seconds: float) -> None:
        """Remember how long a call took."""
        self._seconds.append(seconds)

    @property
    def delay(self) -> float | None:
        """Seconds to wait for a call before a second one is made. None while too few latencies are known."""
        if not isinstance(self.after, str):
            return self.after
        if len(self._seconds) < MIN_SAMPLES:
            return None
        ordered = sorted(self._seconds)
        quantile = read_quantile(self.after) or 0.0
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]


def read_quantile(text: str) -> float | None:
    """The quantile that `text` names: 0.95 for "p95". None for other text."""
    digits = text.removeprefix("p")
    if not text.startswith("p") or not digits.isdecimal():
        return None
    quantile = int(digits) / 10 ** len(digits)
    return quantile if quantile > 0 else None


async def hedged(
    attempt: Callable[[], Awaitable[T]],
    *,
    delay: float,
    allowed: Callable[[], bool],
    on_hedged: OnHedged | None,
) -> T:
    """The first result of `attempt()` and, after `delay` seconds, of a second one.

    A call that fails leaves it to the other. When both fail, the first failure is raised.

    Args:
        attempt: Makes the call.
        delay: Seconds to wait for the first call.
        allowed: Asked once, before the second call is made.
        on_hedged: Called when there were two calls and one of them succeeded.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        started = {group.create_task(_result_of(attempt)): loop.time()}
        done, pending = await asyncio.wait(started, timeout=delay)
        if not done and allowed():
            started[group.create_task(_result_of(attempt))] = loop.time()
            pending = set(started)
        first: CallResult | None = None
        winner: asyncio.Task[CallResult] | None = None
        while winner is None and (pending or done):
            if not done:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                result = task.result()
                first = first or result
                if result.error is None:
                    winner = task
            done = set[asyncio.Task[CallResult]]()
        for task in pending:
            task.cancel(CancelReason.SLOWER)
        if winner is not None and len(started) > 1 and on_hedged is not None:
            (loser,) = started.keys() - {winner}
            on_hedged(winner is list(started)[1], loop.time() - started[loser])
    result = winner.result() if winner is not None else first
    assert result is not None
    if result.error is not None:
        raise result.error
    return result.value


async def _result_of(attempt: Callable[[], Awaitable[Any]]) -> CallResult:
    try:
        return CallResult(value=await attempt())
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # travels as a value: a failure must not cancel the other call
        return CallResult(error=error)
