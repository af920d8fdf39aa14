"""Errors of tools. All derive from `ToolError`."""

from __future__ import annotations

from typing import ClassVar, cast

from braid.engine import BraidError
from braid.executors.nodes import FailureKind


class ToolError(BraidError):
    """A tool could not do its job.

    A tool raises it when another attempt would end the same way: no such title, division by zero. It is never
    retried. Its message is for the author of the plan. Any other exception of a tool becomes the `__cause__`
    of a `ToolError`.
    """

    failure: ClassVar[FailureKind] = "error"
    """What kind of failure it is. A class of its own may say so."""

    def __init__(self, message: str, *, tool: str | None = None) -> None:
        super().__init__(message)
        self.tool = tool


class UnknownToolError(ToolError, KeyError):
    """No tool of that name is registered. The message names the nearest ones."""

    wrong_usage = True

    def __str__(self) -> str:
        return str(self.args[0])


class ToolArgumentError(ToolError, ValueError):
    """The arguments do not fit the tool's parameters. The message says which, why, and what is accepted."""


class ToolTimeoutError(ToolError, TimeoutError):
    """The tool took longer than it may."""

    failure = "outage"

    def __init__(self, message: str, *, seconds: float, tool: str | None = None) -> None:
        super().__init__(message, tool=tool)
        self.seconds = seconds


class ToolCrashError(ToolError):
    """A tool raised something that is not a `BraidError`: the `__cause__`. Another attempt may succeed."""

    failure = "outage"


class ToolUnavailableError(ToolError):
    """For tools to raise: the call cannot be made now. It is tried again if the tool has `retries` left.

    Args:
        message: What is unavailable, and why.
        retry_after: Seconds after which it may be tried again. None: unknown.
        tool: The tool's name.
    """

    failure = "outage"

    def __init__(self, message: str, *, retry_after: float | None = None, tool: str | None = None) -> None:
        super().__init__(message, tool=tool)
        self.retry_after = retry_after


class UncertainError(ToolError):
    """A call of a mutating tool was begun, and nobody knows whether it happened. It is not made again."""


def failure_kind(error: BaseException) -> FailureKind:
    """The kind of failure that an exception stands for. Its class says so by `failure`."""
    return getattr(error, "failure", "error")


class ToolDefinitionError(ToolError, TypeError):
    """A function or its options make no tool. The message says what to change."""


def errors_in(error: BaseException) -> list[BaseException]:
    """The errors in a group of errors and in the groups in it. Any other error is the only one."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    group = cast("BaseExceptionGroup[BaseException]", error)
    return [found for each in group.exceptions for found in errors_in(each)]
