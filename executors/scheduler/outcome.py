"""The bounds that a run is given, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from braid.engine import BudgetExceededError, Usage
from braid.executors.graph import GraphError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one run."""

    max_concurrency: int = 64
    """How many nodes may run at once."""
    node_timeout: float | None = None
    """Seconds for one tool call or think node, retries included. People may take longer."""
    max_nodes: int = 10_000
    """How many nodes the graph may have, items of maps included."""
    max_map_items: int = 10_000
    """How many items one map may have."""

    def __post_init__(self) -> None:
        if self.max_concurrency < 1 or self.max_nodes < 1 or self.max_map_items < 1:
            raise GraphError(f"limits must be at least 1, got {self!r}")
        if self.node_timeout is not None and not self.node_timeout > 0:
            raise GraphError(
                f"node_timeout must be a positive number of seconds or None, got {self.node_timeout!r}"
            )


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """How a run ended."""

    answer: tuple[Any, ...] | None = None
    """The values of the answer that ran."""
    answered: bool = False
    """Whether an answer ran."""
    declined: bool = False
    """Whether it was a `decline`. `answer` is its reason then."""
    partial: tuple[Any, ...] = ()
    """The answer's values that were there when something stopped the run before it could answer."""
    cut_off: tuple[str, ...] = ()
    """Mutating calls before the answer that were not made, because the run was stopped."""
    stopped: Literal["budget", "cancelled"] | None = None
    """What stopped the run, if something did."""
    reason: str = ""
    """`stopped` in words."""
    exceeded: BudgetExceededError | None = None
    """The limit that stopped the run, if one did. It knows its scope."""
    failures: tuple[tuple[str, str], ...] = ()
    """The failed and uncertain nodes that nothing has replaced, with their errors."""
    blocked: tuple[str, ...] = ()
    """Ids of the blocked nodes."""
    usage: Usage = field(default_factory=Usage)
    """What the think nodes of this run spent."""
    seconds: float = 0.0
    """Duration of the run."""
