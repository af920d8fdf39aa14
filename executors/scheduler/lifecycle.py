"""How far a run is, and the steps of a node's life that workers and approvals report to it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, Literal, Protocol, TypeAlias

from braid.engine import BudgetExceededError
from braid.executors.graph import NodeRecord

StopReason: TypeAlias = Literal["budget", "cancelled"]


class RunState:
    """Whether a run goes on, and the task group of everything that it starts.

    It belongs to the event loop that runs it.
    """

    def __init__(self) -> None:
        self.group = asyncio.TaskGroup()
        self.variables = contextvars.copy_context()
        """The context variables that each node starts with."""
        self.closing = False
        """Whether the run is being torn down. Nothing is started and nobody is waited for any more."""
        self.stopped: StopReason | None = None
        """Why nothing new starts. What runs may finish."""
        self.reason = ""
        """`stopped` in words."""
        self.exceeded: BudgetExceededError | None = None
        """The limit that stopped it, if one did."""

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task of the run. It does not see what nodes put into context variables."""
        return self.group.create_task(work, name=name, context=self.variables.copy())


class NodeLifecycle(Protocol):
    """The steps of a node's life. The run implements them.

    It is a protocol since the run owns the workers and approvals that report to it. Importing the run there
    would be a circle.
    """

    def begin(self, entry: NodeRecord) -> None:
        """Mark `entry` as running."""
        ...

    def succeed(self, entry: NodeRecord, value: Any) -> None:
        """`entry` ran and returned `value`."""
        ...

    def fail(self, entry: NodeRecord, error: BaseException) -> None:
        """`entry` ran and raised `error`."""
        ...

    def admit(self, entry: NodeRecord) -> None:
        """Queue `entry` for the slots that it needs."""
        ...

    def rearm(self, entry: NodeRecord) -> None:
        """The call of `entry` did not happen. It is made when its inputs are there, as any other."""
        ...

    def wake(self) -> None:
        """A slot is free or a node waits no longer. Let others run, or end the run if nothing can happen."""
        ...
