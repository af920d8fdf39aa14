"""The options of one run, as `Agent.run`, `run_sync` and `stream` take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from braid.engine import Budget, Message
from braid.executors import Tool
from braid.orchestrator.options.model_settings import ModelSettings


class RunOptions(TypedDict, total=False):
    """The keyword options of one run, beside `output_type`."""

    deps: Any
    """Given to tools through `ToolContext.deps`."""
    history: Sequence[Message] | None
    """The conversation so far: `earlier.history`, or messages.

    A follow-up such as "And Mont Blanc?" is read from the typed turns that `earlier.history` carries.
    """
    budget: Budget | None
    """Limits of this run.

    Those of the ambient budget hold as well. Its clock runs from when it is made. Where the run opens the
    engine, loading the model is part of the time.
    """
    sequential: bool
    """Run one node at a time, in plan order. This is the baseline of every speed-up."""
    settings: ModelSettings | None
    """Settings of the model for this run, over those of the agent."""
    tools: Sequence[Tool | Callable[..., Any]]
    """Tools of this run, beside those of the agent. No two may have one name."""
    instructions: str | None
    """Given to the planner in this run, after those of the agent."""
    output_retries: int | None
    """In place of the agent's own."""
