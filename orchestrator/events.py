"""Events of a run as a whole; the planner's and the nodes' own events are defined in their rooms."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Literal

from engine import Envelope, Event

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


class RoundStarted(Event):
    """A plan is about to be asked for; `feedback` tells the planner why the round before was not enough."""

    kind: Literal["round.started"] = "round.started"
    round: int
    feedback: str = ""


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


class Recorder:
    """Gives each event its place in the run, keeps it, and hands it to a listener."""

    def __init__(self, listener: Callable[[Envelope], None] | None = None) -> None:
        self.run = uuid.uuid4().hex[:12]
        self.envelopes: list[Envelope] = []
        self._listener = listener

    def __call__(self, event: Event) -> None:
        envelope = Envelope(run=self.run, seq=len(self.envelopes), at=time.time(), event=event)
        self.envelopes.append(envelope)
        if self._listener is not None:
            self._listener(envelope)
