"""Events of a run: one for each change of a node, in the order in which the changes happened.

`at` is seconds since the graph's first run began (monotonic clock). `seconds` is how long the node ran.
"""

from __future__ import annotations

from typing import Literal

from braid.engine import Event
from braid.executors.nodes import FailureKind, OpKind


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
    passes_on: str | None = None
    """The node whose result, and nothing else, is the answer. None for all else, also under a condition."""


class NodeStarted(Event):
    """The node's inputs were there and it began to run."""

    kind: Literal["node.started"] = "node.started"
    node: str
    at: float


class ThinkText(Event):
    """A piece of a thought as the model writes it, for display. Only streamed runs have it."""

    kind: Literal["think.text"] = "think.text"
    node: str
    text: str


class NodeFinished(Event):
    """The node has a result. `result` is its short form, cut to a line or two."""

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
    failure: FailureKind = "error"
    """`missing`: what was asked for is not known. `outage`: the tool could not be used. Else `error`."""


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
    """The node was stopped or will not start.

    A revision, the end of the plan, the budget or the caller is the reason.
    """

    kind: Literal["node.cancelled"] = "node.cancelled"
    node: str
    at: float
    seconds: float
    reason: str


class NodeUncertain(Event):
    """The node's mutating call was begun, and how it ended is not known: it is not made again."""

    kind: Literal["node.uncertain"] = "node.uncertain"
    node: str
    at: float
    reason: str


class NodeWaits(Event):
    """The node waits for a person: for approval of its call, or for the outcome of a call that was begun."""

    kind: Literal["node.waits"] = "node.waits"
    node: str
    reason: Literal["approval", "outcome"]


class ApprovalRefused(Event):
    """The person did not allow the node's call. That holds for all equal calls of the run."""

    kind: Literal["approval.refused"] = "approval.refused"
    node: str
    tool: str
    call: str
    """Tool and arguments as one key. Equal calls have the same."""


class ToolReused(Event):
    """No call was made: the result of an equal one was there, from this run or an earlier one."""

    kind: Literal["tool.reused"] = "tool.reused"
    node: str
    tool: str
    source: Literal["run", "earlier run"]


class ToolHedged(Event):
    """A slow call was made a second time. The slower of the two ran `wasted_seconds` in vain."""

    kind: Literal["tool.hedged"] = "tool.hedged"
    node: str
    tool: str
    second_won: bool
    wasted_seconds: float


class NodeRetried(Event):
    """An attempt failed and the tool tries again after `wait` seconds. `attempt` counts from 1."""

    kind: Literal["node.retried"] = "node.retried"
    node: str
    attempt: int
    error: str
    wait: float


class ToolAbandoned(Event):
    """A tool's thread did not stop when its node was cancelled or timed out. Its result will not be read."""

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
    """The budget stopped the run. What was finished stays readable."""

    kind: Literal["budget.exceeded"] = "budget.exceeded"
    limit: str
    scope: str
    message: str
