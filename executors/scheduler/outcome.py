"""The bounds that a run is given, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from braid.engine import Usage
from braid.executors.graph import GraphError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one run. `node_timeout`: seconds for one tool call or think node, retries included; people may take longer."""

    max_concurrency: int = 64
    node_timeout: float | None = None
    max_nodes: int = 10_000
    max_map_items: int = 10_000

    def __post_init__(self) -> None:
        if self.max_concurrency < 1 or self.max_nodes < 1 or self.max_map_items < 1:
            raise GraphError(f"limits must be at least 1, got {self!r}")
        if self.node_timeout is not None and not self.node_timeout > 0:
            raise GraphError(
                f"node_timeout must be a positive number of seconds or None, got {self.node_timeout!r}"
            )


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """How a run ended. `answer` holds the values of the answer that ran.

    When something `stopped` the run before it could answer, `partial` holds what the answer's values came to so far.
    `failures` are the failed and uncertain nodes that nothing has replaced, with what went wrong. `usage` is what the think
    nodes of this run spent; `seconds` its duration.
    """

    answer: tuple[Any, ...] | None = None
    answered: bool = False
    partial: tuple[Any, ...] = ()
    stopped: Literal["budget", "cancelled"] | None = None
    reason: str = ""
    failures: tuple[tuple[str, str], ...] = ()
    blocked: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
