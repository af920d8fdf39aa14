"""Hedging: a call that takes unusually long is made once more, the first result counts, and the other call is cancelled.

J. Dean, L. A. Barroso, "The Tail at Scale", CACM 56(2), 2013.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, Final, TypeAlias, TypeVar

from braid.executors.tools.threads import CallResult

T = TypeVar("T")


class CancelReason(Enum):
    """Why a call is cancelled: the message of its `CancelledError`."""

    SLOWER = "another call was quicker"
    """Its result is not needed, so nobody has to wait for its end."""


MIN_SAMPLES: Final = 10
"""So many latencies must be known before a quantile of them means anything."""

HedgeAfter: TypeAlias = float | str
"""When a second call is made: after so many seconds, or after a quantile of the tool's own latencies ("p95")."""

OnHedged: TypeAlias = Callable[[bool, float], None]
"""Told when a hedged call has its result: whether the second call was the quicker one, and how long the other one ran in vain."""


class Latencies:
    """How long the last calls took, in seconds; and from that, when the next one is a straggler."""

    def __init__(self, after: HedgeAfter) -> None:
        self.after = after
        self._seconds: deque[float] = deque(maxlen=128)

    def add(self, seconds: float) -> None:
        self._seconds.append(seconds)

    @property
    def delay(self) -> float | None:
        """Seconds to wait for a call before a second one is made; None: not known yet."""
        if not isinstance(self.after, str):
            return self.after
        if len(self._seconds) < MIN_SAMPLES:
            return None
        ordered = sorted(self._seconds)
        share = read_quantile(self.after) or 0.0
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def read_quantile(text: str) -> float | None:
    """ "p95" is 0.95; None for what is no quantile."""
    digits = text.removeprefix("p")
    if not text.startswith("p") or not digits.isdecimal():
        return None
    share = int(digits) / 10 ** len(digits)
    return share if share > 0 else None


async def hedged(
    attempt: Callable[[], Awaitable[T]],
    *,
    delay: float,
    allowed: Callable[[], bool],
    on_hedged: OnHedged | None,
) -> T:
    """The first result of `attempt()` and, if it takes longer than `delay` seconds and is `allowed`, of another one.

    One that fails leaves it to the other; when both fail, the first failure is raised.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        runs = {group.create_task(_outcome(attempt)): loop.time()}
        done, pending = await asyncio.wait(runs, timeout=delay)
        if not done and allowed():
            runs[group.create_task(_outcome(attempt))] = loop.time()
            pending = set(runs)
        first: CallResult | None = None
        winner: asyncio.Task[CallResult] | None = None
        while winner is None and (pending or done):
            if not done:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                outcome = task.result()
                first = first or outcome
                if outcome.error is None:
                    winner = task
            done = set[asyncio.Task[CallResult]]()
        for task in pending:
            task.cancel(CancelReason.SLOWER)
        if winner is not None and len(runs) > 1 and on_hedged is not None:
            (loser,) = runs.keys() - {winner}
            on_hedged(winner is list(runs)[1], loop.time() - runs[loser])
    outcome = winner.result() if winner is not None else first
    assert outcome is not None
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


async def _outcome(attempt: Callable[[], Awaitable[Any]]) -> CallResult:
    try:
        return CallResult(value=await attempt())
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # travels as a value: a failure must not cancel the other call
        return CallResult(error=error)
