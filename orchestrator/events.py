"""Events of a run as a whole. The events of planner and nodes are defined in their rooms."""

from __future__ import annotations

from typing import Any, Literal, cast

from pydantic import model_validator

from braid.engine import Event
from braid.planner.follow_up import Turn

RunStatus = Literal["answered", "declined", "partial", "failed"]
"""How a run ended.

- `answered`: the plan reached its answer.
- `declined`: the plan says that the question cannot be answered, and why.
- `partial`: the run was stopped early, with at least one result.
- `failed`: the run was stopped early, without any.
"""

StopReason = Literal["budget", "cancelled", "plan", "max_rounds", "tools"]
"""Why a run ended early.

It reached a limit of its budget, was cancelled, had no valid plan, had no round left, or needed a tool that
could not be used.
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
    engine_reason: str = ""
    """Why this engine was chosen, where it was not named."""


class Rewritten(Event):
    """The question is a follow-up. From here on it stands by itself."""

    kind: Literal["run.rewritten"] = "run.rewritten"
    question: str
    """The question as it is answered."""
    reason: str
    """What the words of the follow-up were taken for."""


class PersonSaid(Event):
    """The person typed something while the run went on."""

    kind: Literal["run.said"] = "run.said"
    text: str


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
    """A plan has been run. `why` says why it brought no answer. It is empty where the plan declined."""

    kind: Literal["round.finished"] = "round.finished"
    round: int
    answered: bool
    why: str = ""


class AnswerDoubted(Event):
    """A plan came to an answer that cannot be what the question asks for. It is not given."""

    kind: Literal["answer.doubted"] = "answer.doubted"
    round: int
    answer: str
    reason: str


class RunAnswered(Event):
    """The plan reached its answer."""

    kind: Literal["run.answered"] = "run.answered"
    answer: str


class RunFinished(Event):
    """The last event of a run that returned. `stopped` and `reason` say why it has no full answer."""

    kind: Literal["run.finished"] = "run.finished"
    answer: str
    rounds: int
    seconds: float
    status: RunStatus = "answered"
    stopped: StopReason | None = None
    reason: str = ""
    hint: str = ""
    """What would answer a question that was declined."""
    confidence: float | None = None
    """How far the plans agreed, where several were drawn: 0 to 1."""
    doubt: str = ""
    """Why the answer is doubted. Empty where it is not."""
    turn: Turn | None = None
    """The run as a turn of its conversation, for runs that go on with it."""

    @model_validator(mode="before")
    @classmethod
    def _without_status(cls, data: Any) -> Any:
        """Events of older journals have no status."""
        if not isinstance(data, dict):
            return data
        fields = cast("dict[str, Any]", data)
        return {"status": "partial", **fields} if fields.get("stopped") else fields


class RunFailed(Event):
    """The last event of a run that raised."""

    kind: Literal["run.failed"] = "run.failed"
    error: str
