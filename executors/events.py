"""What a run tells the outside: one event for each change of a node, in the order in which the changes happened.

`at` is seconds since the graph's first run began (monotonic clock); `seconds` is how long the node ran.
"""

from __future__ import annotations

from typing import Literal

from engine import Event

OpKind = Literal["tool", "think", "ask", "answer", "map"]


class NodeAdded(Event):
    """A node stands in the graph: a statement of the plan, or an item of a map (then `parent` is the map)."""

    kind: Literal["node.added"] = "node.added"
    node: str
    op: OpKind
    name: str | None = None
    tool: str | None = None
    source: str = ""
    round: int = 0
    line: int = 0
    parent: str | None = None
    depends_on: tuple[str, ...] = ()


class NodeStarted(Event):
    """The node's inputs were there and it began to run."""

    kind: Literal["node.started"] = "node.started"
    node: str
    at: float


class NodeFinished(Event):
    """The node has a result; `result` is its short form, cut to a line or two."""

    kind: Literal["node.finished"] = "node.finished"
    node: str
    at: float
    seconds: float
    result: str


class NodeFailed(Event):
    """The node raised, ran out of time, or its inputs did not fit."""

    kind: Literal["node.failed"] = "node.failed"
    node: str
    at: float
    seconds: float
    error: str


class NodeSkipped(Event):
    """A guard said no, something that the node reads was skipped, or the run ended while it was blocked."""

    kind: Literal["node.skipped"] = "node.skipped"
    node: str
    reason: str


class NodeBlocked(Event):
    """Something that the node reads failed or was cancelled. A revision of the plan may still mend that."""

    kind: Literal["node.blocked"] = "node.blocked"
    node: str
    reason: str


class NodeCancelled(Event):
    """The node was stopped, or will not start: by a revision, the end of the plan, the budget, or the caller."""

    kind: Literal["node.cancelled"] = "node.cancelled"
    node: str
    at: float
    seconds: float
    reason: str


class NodeRetried(Event):
    """An attempt failed and the tool tries again after `wait` seconds; `attempt` counts from 1."""

    kind: Literal["node.retried"] = "node.retried"
    node: str
    attempt: int
    error: str
    wait: float


class ToolAbandoned(Event):
    """A tool's thread did not stop when its node was cancelled or timed out: it goes on by itself, its result unread."""

    kind: Literal["tool.abandoned"] = "tool.abandoned"
    node: str
    tool: str
    seconds: float


class PlanPatched(Event):
    """The graph changed to `version`."""

    kind: Literal["plan.patched"] = "plan.patched"
    version: int
    added: tuple[str, ...]
    cancelled: tuple[str, ...] = ()
    reason: str = ""


class BudgetExceeded(Event):
    """The budget stopped the run; what was finished stays readable."""

    kind: Literal["budget.exceeded"] = "budget.exceeded"
    limit: str
    scope: str
    message: str
