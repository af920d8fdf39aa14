"""The specification of a tool, which planners see, and the context of a call, which the tool sees."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic

from typing_extensions import TypeVar

from braid.engine import BraidError, Budget, Usage
from braid.engine.scope import ambient_budget
from braid.executors.tools.effects import Effect

OnRetry = Callable[[int, BraidError, float], None]
"""Called before each retry with (attempt, error, delay): the failed attempt from 1, and seconds."""

OnAbandoned = Callable[[str, float], None]
"""Called with (tool, seconds) when a thread did not stop: how long the call has run.

The thread goes on by itself.
"""

D = TypeVar("D", default=Any)


@dataclass(frozen=True, kw_only=True)
class ToolSpec:
    """What a planner sees of a tool."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of the argument object."""
    returns: dict[str, Any] | None = None
    """JSON schema of the result. None where it is not known."""
    effect: Effect = "pure"
    examples: tuple[str, ...] = field(default=())
    """Calls as they would stand in a plan."""


@dataclass(frozen=True, kw_only=True)
class ToolContext(Generic[D]):
    """The context of a call.

    A tool whose first parameter has this annotation gets it. Planners never see it.
    """

    deps: D
    """What the caller of the run handed in."""
    run_id: str = ""
    node_id: str = ""
    idempotency_key: str = ""
    """The same for every attempt at one node of one run, in a resumed run too, and different from all others.

    A mutating tool passes it on to the service that it calls.
    """
    attempt: int = 1
    """Number of the attempt, from 1."""
    budget: Budget = field(default_factory=ambient_budget, repr=False, compare=False)
    """The node's own scope. It is charged for what the tool spends on engines."""
    stop: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)
    """Set once the call was cancelled or timed out."""

    @property
    def stopping(self) -> bool:
        """True once the call was cancelled or timed out.

        A blocking function with a loop checks this and returns.
        """
        return self.stop.is_set()


@dataclass(frozen=True, kw_only=True)
class UsageResult:
    """Result of a tool that spends tokens itself, such as an agent."""

    value: Any
    """What readers of the node get."""
    usage: Usage
    """What the call spent."""
