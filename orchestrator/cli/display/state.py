"""The state of a run, built from its events. `live.py` draws it on a terminal, `plain.py` in a pipe."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from braid.engine import Event
from braid.executors import (
    ApprovalRefused,
    NodeAdded,
    NodeBlocked,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRetried,
    NodeSkipped,
    NodeStarted,
    NodeUncertain,
    ToolAbandoned,
)
from braid.executors.nodes import NodeState
from braid.orchestrator.cli.output import one_line
from braid.orchestrator.events import (
    JournalFailed,
    PersonSaid,
    Rewritten,
    RoundStarted,
    RunResumed,
    RunStarted,
)
from braid.orchestrator.sampled_plans import PlanSampled, PlansRequested, PlansVoted
from braid.planner import PlannerFinished, PlannerRejected, PlannerStatement, Routed


@dataclass
class Row:
    """One node."""

    id: str
    label: str
    state: NodeState = "pending"
    began: float | None = None
    """When it started, on the monotonic clock."""
    seconds: float | None = None
    """Its own time, once it ended."""
    note: str = ""
    changed: int = 0
    """Place of its last change among the changes of all rows."""

    def own_time(self, now: float) -> float | None:
        """Seconds that it ran, up to `now`. None where it did not start."""
        if self.seconds is not None:
            return self.seconds
        return None if self.began is None else now - self.began


@dataclass
class DisplayState:
    """The state of the display. `update` takes every event of the run, in order."""

    rows: dict[str, Row] = field(default_factory=lambda: dict[str, Row]())
    round: int = 0
    opened: bool = False
    planning: bool = False
    statements: int = 0
    rejected: int = 0
    planned_in: float = 0.0
    route: str | None = None
    """What answers the question, where no plan is needed."""
    samples: int = 0
    """How many plans are being written side by side. 0 for a single one."""
    sampled: int = 0
    """How many of them were written and tried."""
    vote: str = ""
    """How the vote over them ended."""
    read_as: str = ""
    """The question as it is answered, where it was a follow-up."""
    notices: list[str] = field(default_factory=lambda: list[str]())
    _began: float = field(default_factory=time.monotonic)
    _clock: int = 0
    _conditions: dict[str, str] = field(default_factory=lambda: dict[str, str]())
    """The condition of each node's statement."""

    def update(self, event: Event) -> None:
        match event:
            case RoundStarted():
                self.round, self.planning = event.round, True
                self._began = time.monotonic()
                if event.round and event.feedback and not event.revision:
                    self.notices.append(f"planning again: {event.feedback}")
            case Routed() if event.route != "plan" and not event.declined:
                self.route = event.route.replace("_", " ")
            case PlannerStatement():
                self.statements += 1
                self._conditions.update(dict.fromkeys(event.nodes, event.condition))
            case PlannerRejected():
                self.rejected += 1
                self.notices.append(f"plan line {event.line}: {event.message}")
            case PlannerFinished():
                self.planning = False
                self.planned_in += event.seconds
                if event.unread:
                    self.notices.append(f"nothing in the plan reads {', '.join(event.unread)}")
            case Rewritten():
                self.read_as = event.question
            case PersonSaid():
                self.notices.append(f"you: {event.text}")
            case ApprovalRefused():
                self.notices.append(f"{event.tool}: refused for all equal calls of this run")
            case RunStarted():
                self.opened = True
                self.notices += _chosen(event)
            case JournalFailed():
                self.notices.append(f"from here on the run cannot be resumed: {event.error}")
            case RunResumed():
                self.notices.append(f"resumed; {event.done} nodes were done")
            case ToolAbandoned():
                self.notices.append(
                    f"{event.tool} did not stop after {event.seconds:.1f} s; its thread goes on by itself"
                )
            case _:
                self._update_samples(event)
                self._update_node(event)

    def planning_for(self) -> float:
        """Seconds spent on plans, the one being written included."""
        return self.planned_in + (time.monotonic() - self._began if self.planning else 0.0)

    def counts(self) -> Counter[NodeState]:
        return Counter(row.state for row in list(self.rows.values()))

    def _update_samples(self, event: Event) -> None:
        match event:
            case PlansRequested():
                self.samples = event.samples
            case PlanSampled():
                self.sampled += 1
            case PlansVoted():
                self.vote = vote_line(event)
            case _:
                pass

    def _update_node(self, event: Event) -> None:
        match event:
            case NodeAdded():
                label = event.source if event.parent is None else f"  {event.node} {event.tool or event.op}"
                condition = self._conditions.get(event.node)
                label = f"if {condition}: {label}" if condition else label
                self._row(event.node).label = _label(label) or event.node
            case NodeStarted():
                self._row(event.node, "running").began = time.monotonic()
            case NodeFinished():
                self._end(event.node, "done", event.result, event.seconds)
            case NodeFailed():
                self._end(event.node, "failed", event.error, event.seconds)
            case NodeRetried():
                self._row(event.node).note = one_line(f"once more after: {event.error}")
            case NodeBlocked():
                self._end(event.node, "blocked", event.reason)
            case NodeSkipped():
                self._end(event.node, "skipped", event.reason)
            case NodeCancelled():
                self._end(event.node, "cancelled", event.reason)
            case NodeUncertain():
                self._end(event.node, "uncertain", event.reason)
            case _:
                pass

    def _row(self, node: str, state: NodeState | None = None) -> Row:
        row = self.rows.setdefault(node, Row(node, node))
        if state is not None:
            row.state = state
        self._clock += 1
        row.changed = self._clock
        return row

    def _end(self, node: str, state: NodeState, note: str, seconds: float | None = None) -> None:
        row = self._row(node, state)
        row.note = one_line(note)
        row.seconds = seconds

    def visible_rows(self, limit: int) -> list[Row]:
        """At most `limit` rows, in plan order.

        Nodes that run are preferred, then failed ones, then those that changed last, then pending ones.
        """
        rows = list(self.rows.values())
        if len(rows) <= limit:
            return rows
        first = {"running": 0, "failed": 1}
        order = sorted(
            rows, key=lambda row: (first.get(row.state, 2 if row.state != "pending" else 3), -row.changed)
        )
        kept = {row.id for row in order[:limit]}
        return [row for row in rows if row.id in kept]


def ballot_line(event: PlanSampled) -> str:
    """What one of several plans came to."""
    same = f", as plan {event.same_as + 1}" if event.same_as is not None else ""
    came_to = f"{event.state}{f': {event.shown}' if event.shown else ''}{same}"
    against = f" ({event.objections[0]})" if event.objections else ""
    return f"plan {event.sample + 1} {came_to}{against}"


def vote_line(event: PlansVoted) -> str:
    """How the vote over several plans ended."""
    if event.agreement is None:
        return f"{event.samples} plans, none of them to vote on"
    chosen = f"{event.votes} of {event.samples} plans agree"
    if event.decision == "decline":
        return f"{chosen}, too few to answer"
    return f"{chosen}, plan {event.sample + 1} is run"


def _label(source: str) -> str:
    """A statement on one line, with the indentation of its branch."""
    return " " * min(8, len(source) - len(source.lstrip())) + one_line(source)


def _chosen(event: RunStarted) -> list[str]:
    return [f"engine {event.engine}: {event.engine_reason}"] if event.engine_reason else []
