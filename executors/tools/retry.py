"""Retries: which failures are tried again, and after what delay.

Exponential backoff with full jitter, unless the other side asks for a delay.

Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, TypeAlias

from braid.engine import BraidError, BudgetExceededError
from braid.executors.tools.errors import (
    ToolArgumentError,
    ToolCrashError,
    ToolTimeoutError,
    ToolUnavailableError,
    UncertainError,
)

MAX_BACKOFF: Final = 10.0
"""Longest delay between two attempts that we choose ourselves, in seconds."""

MAX_RETRY_AFTER: Final = 60.0
"""Longest delay that the other side may ask for, in seconds.

After a longer one the call is not tried again.
"""

RetryOn: TypeAlias = type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]
"""Which failures are tried again: types of errors, or a function of the error that the tool raised."""


def may_retry(error: BraidError, retry_on: RetryOn | None) -> bool:
    """Whether the policy of a tool allows another attempt after `error`.

    Without `retry_on` these are tried again: timeouts, `ToolUnavailableError`, and errors that are not
    Braid's own. Arguments that do not fit, an exhausted budget and a call of unknown outcome are never tried
    again.
    """
    if isinstance(error, (ToolArgumentError, BudgetExceededError, UncertainError)):
        return False
    if retry_on is None:
        return isinstance(error, (ToolTimeoutError, ToolCrashError, ToolUnavailableError))
    raised = cause_of(error)
    if isinstance(retry_on, (type, tuple)):
        return isinstance(raised, retry_on) or isinstance(error, retry_on)
    return bool(retry_on(raised))


def retry_delay(error: BraidError, *, attempt: int, backoff: float) -> float | None:
    """Seconds from attempt number `attempt` (from 1) to the next.

    None when the other side asks for more than we wait.
    """
    jitter = random.uniform(0.0, min(MAX_BACKOFF, backoff * 2 ** (attempt - 1)))
    requested = retry_after(cause_of(error))
    if requested is None:
        return jitter
    # Never earlier than requested. The jitter on top keeps clients with the same request apart.
    return None if requested > MAX_RETRY_AFTER else requested + min(jitter, 1.0)


def cause_of(error: BraidError) -> BaseException:
    """What the tool raised."""
    return error.__cause__ if isinstance(error, ToolCrashError) and error.__cause__ is not None else error


def retry_after(error: BaseException) -> float | None:
    """Seconds that the other side asks to wait: the error's `retry_after`, its response's header, or None."""
    requested: object = getattr(error, "retry_after", None)
    if isinstance(requested, (int, float)) and not isinstance(requested, bool) and requested >= 0:
        return float(requested)
    headers = getattr(getattr(error, "response", None), "headers", None)
    if headers is None:
        return None
    from braid.engine.system import retry_after as delay_of_headers

    return delay_of_headers(headers)
