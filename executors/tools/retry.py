"""Whether a failed call is made again, and when: exponential backoff with full jitter, and what the other side asks for.

Full jitter: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
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
"""Longest wait between two attempts that we choose ourselves, in seconds."""

MAX_RETRY_AFTER: Final = 60.0
"""Longest wait that the other side may ask for, in seconds; who asks for more is not tried again."""

RetryOn: TypeAlias = type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]
"""Which failures another attempt may mend: types of errors, or a function that is given the error that the tool raised."""


def may_retry(error: BraidError, retry_on: RetryOn | None) -> bool:
    """Whether the policy of a tool allows another attempt after `error`.

    Without `retry_on`: after a timeout, `ToolUnavailableError`, and errors that are not Braid's own. Arguments that do not fit,
    an exhausted budget and a call of unknown fate are never tried again.
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
    """Seconds until the attempt after `attempt` (from 1), or None when the other side asks for longer than we wait."""
    jitter = random.uniform(0.0, min(MAX_BACKOFF, backoff * 2 ** (attempt - 1)))
    asked = retry_after(cause_of(error))
    if asked is None:
        return jitter
    # Never earlier than asked; the jitter on top keeps those who were all told the same apart.
    return None if asked > MAX_RETRY_AFTER else asked + min(jitter, 1.0)


def cause_of(error: BraidError) -> BaseException:
    """What the tool raised."""
    return error.__cause__ if isinstance(error, ToolCrashError) and error.__cause__ is not None else error


def retry_after(error: BaseException) -> float | None:
    """Seconds that the other side asks to wait: the error's `retry_after`, or its response's header; None if unsaid."""
    said: object = getattr(error, "retry_after", None)
    if isinstance(said, (int, float)) and not isinstance(said, bool) and said >= 0:
        return float(said)
    headers = getattr(getattr(error, "response", None), "headers", None)
    if headers is None:
        return None
    from braid.engine.remote import retry_after as told

    return told(headers)
