"""What planners and tools see of a tool: its specification, and the context of a call."""

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
"""Told before each wait: the number of the attempt that failed (from 1), its error, and the wait in seconds."""

OnAbandoned = Callable[[str, float], None]
"""Told when a thread would not stop: the tool's name and how long the call has run, in seconds. The thread goes on by itself."""

D = TypeVar("D", default=Any)


@dataclass(frozen=True, kw_only=True)
class ToolSpec:
    """What a planner sees of a tool: JSON schemas of the argument object and of the result."""

    name: str
    description: str
    parameters: dict[str, Any]
    returns: dict[str, Any] | None = None
    effect: Effect = "pure"
    examples: tuple[str, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class ToolContext(Generic[D]):
    """What a call knows of its run. A tool whose first parameter is annotated with this gets it; planners never see it.

    `deps` is what the caller of the run handed in. `idempotency_key` is the same for every attempt at one node of one run, and
    differs from all others, in a resumed run too: a mutating tool passes it on to the service it calls. `attempt` counts
    from 1. `budget` is the node's own scope: what the tool spends on engines is charged to it.
    """

    deps: D
    run_id: str = ""
    node_id: str = ""
    idempotency_key: str = ""
    attempt: int = 1
    budget: Budget = field(default_factory=ambient_budget, repr=False, compare=False)
    stop: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    @property
    def stopping(self) -> bool:
        """True once the call was cancelled or timed out: a blocking function that loops looks at this and returns."""
        return self.stop.is_set()


@dataclass(frozen=True, kw_only=True)
class UsageResult:
    """What a tool returns that has spent tokens itself, such as an agent: its value, and what it spent."""

    value: Any
    usage: Usage
