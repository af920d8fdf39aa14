"""What can go wrong between a plan and a tool. All derive from `ToolError`; tools raise `ToolError` themselves to say no."""

from __future__ import annotations

from braid.engine import BraidError


class ToolError(BraidError):
    """A tool could not do its job.

    A tool raises it on purpose when another try would end the same way (no such title, division by zero): it is
    never retried, and its text is written for whoever wrote the plan. Any other exception of a tool is wrapped in
    one of these, with the original as `__cause__`.
    """

    def __init__(self, message: str, *, tool: str | None = None) -> None:
        super().__init__(message)
        self.tool = tool


class UnknownToolError(ToolError, KeyError):
    """No tool of that name is registered; the message names the nearest ones."""

    def __str__(self) -> str:
        return str(self.args[0])


class ToolArgumentError(ToolError, ValueError):
    """The arguments do not fit the tool's parameters; the message says which, why, and what is accepted."""


class ToolTimeoutError(ToolError, TimeoutError):
    """The tool took longer than it may."""

    def __init__(self, message: str, *, seconds: float, tool: str | None = None) -> None:
        super().__init__(message, tool=tool)
        self.seconds = seconds


class ToolCrashError(ToolError):
    """A tool raised something that is not a `BraidError` (the `__cause__`): a failure that another attempt may mend."""


class ToolUnavailableError(ToolError):
    """For tools to raise: it cannot be done now, but perhaps in `retry_after` seconds (None: unknown). Tried again if the tool
    has `retries` left."""

    def __init__(self, message: str, *, retry_after: float | None = None, tool: str | None = None) -> None:
        super().__init__(message, tool=tool)
        self.retry_after = retry_after


class UncertainError(ToolError):
    """A call of a mutating tool was begun, and nobody knows whether it happened: it is not made again."""


class ToolDefinitionError(ToolError, TypeError):
    """A function cannot be made into a tool; the message says what to change in its signature."""
