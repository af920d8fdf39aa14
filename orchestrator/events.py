"""Events of a run as a whole. The events of planner and nodes are defined in their rooms."""

from __future__ import annotations

from typing import Literal

from braid.engine import Event

StopReason = Literal["budget", "cancelled", "plan", "max_rounds"]
"""Why a run ended without an answer.

It reached a limit of its budget, was cancelled, had no valid plan, or had no round left.
"""


class RunStarted(Event):
    """The first event of a run: its question and its options."""

    kind: Literal["run.started"] = "run.started"
    question: str
    engine: str
    tools: tuple[str, ...]
    max_rounds: int
    sequential: bool = False
    seed: int = 0


class RunResumed(Event):
    """Another process goes on with the run."""

    kind: Literal["run.resumed"] = "run.resumed"
    done: int
    """How many nodes had ended. The others are run now."""


class JournalFailed(Event):
    """The journal cannot be written any more. The run goes on, and cannot be resumed from here on."""

    kind: Literal["journal.failed"] = "journal.failed"
    error: str


class RoundStarted(Event):
    """A plan is about to be written."""

    kind: Literal["round.started"] = "round.started"
    round: int
    feedback: str = ""
    """Why another plan is needed, for the planner."""
    revision: bool = False
    """Whether the plan joins a graph that is running."""
    final: bool = False
    """Whether the round is the last one, because a soft limit of the budget is reached."""


class RoundFinished(Event):
    """A plan has been run. `why` says why it brought no answer."""

    kind: Literal["round.finished"] = "round.finished"
    round: int
    answered: bool
    why: str = ""


class RunAnswered(Event):
    """The plan reached its answer."""

    kind: Literal["run.answered"] = "run.answered"
    answer: str


class RunFinished(Event):
    """The last event of a run that returned. `stopped` and `reason` say why its answer is partial."""

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
