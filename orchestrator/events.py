"""Events of a run as a whole; the planner's and the nodes' own events are defined in their rooms."""

from __future__ import annotations

from typing import Literal

from braid.engine import Event

StopReason = Literal["budget", "cancelled", "plan", "max_rounds"]
"""Why a run ended without an answer: a hard limit, a planner that was cancelled, no valid plan, or no round left."""


class RunStarted(Event):
    kind: Literal["run.started"] = "run.started"
    question: str
    engine: str
    tools: tuple[str, ...]
    max_rounds: int
    sequential: bool = False
    seed: int = 0


class RunResumed(Event):
    """Another process goes on with the run. `done` nodes had ended; what had not is run now."""

    kind: Literal["run.resumed"] = "run.resumed"
    done: int


class JournalFailed(Event):
    """The journal cannot be written any more: the run goes on without it, and cannot be resumed from here on."""

    kind: Literal["journal.failed"] = "journal.failed"
    error: str


class RoundStarted(Event):
    """A plan is about to be asked for; `feedback` tells the planner why. A `revision` joins a graph that is running.

    A `final` round is the last one, because a soft limit of the budget is reached.
    """

    kind: Literal["round.started"] = "round.started"
    round: int
    feedback: str = ""
    revision: bool = False
    final: bool = False


class RoundFinished(Event):
    kind: Literal["round.finished"] = "round.finished"
    round: int
    answered: bool
    why: str = ""


class RunAnswered(Event):
    kind: Literal["run.answered"] = "run.answered"
    answer: str


class RunFinished(Event):
    """The last event of a run that returned; `stopped` and `reason` say why its answer is partial."""

    kind: Literal["run.finished"] = "run.finished"
    answer: str
    rounds: int
    seconds: float
    stopped: StopReason | None = None
    reason: str = ""


class RunFailed(Event):
    """The last event of a run that raised."""

    kind: Literal["run.failed"] = "run.failed"
    error: str
