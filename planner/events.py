"""What planning tells the outside: the text as it is written, what became of each statement, and the end."""

from __future__ import annotations

from typing import Literal

from braid.engine import Event


class PlannerText(Event):
    """A piece of raw text from the model, for display. `attempt` counts from 0; each repair is a further attempt."""

    kind: Literal["planner.text"] = "planner.text"
    text: str
    attempt: int = 0


class PlannerStatement(Event):
    """A statement was accepted and its nodes go to the graph. `line` is its line in the text of `attempt`."""

    kind: Literal["planner.statement"] = "planner.statement"
    nodes: tuple[str, ...]
    name: str | None = None
    source: str
    line: int
    round: int = 0
    attempt: int = 0


class PlannerRejected(Event):
    """A statement was refused: where, why, and how to mend it; `text` is the whole message with its caret."""

    kind: Literal["planner.rejected"] = "planner.rejected"
    line: int
    column: int
    message: str
    fix: str = ""
    text: str
    attempt: int = 0


class PlannerRepaired(Event):
    """The attempt after `rejected` rejections brought a valid plan."""

    kind: Literal["planner.repaired"] = "planner.repaired"
    rejected: int


class PlannerFinished(Event):
    """The end of a round's planning; there is one of these for every round.

    `valid` says that the plan came to its end without a mistake that was not repaired. `stopped` says that the run was over
    first, because it had its answer, was cancelled, or the engine failed; `valid` then tells whether the plan was complete.
    `plan` holds the accepted statements, `text` everything that the model wrote. `seconds` is wall time, in which tools
    ran beside it.
    """

    kind: Literal["planner.finished"] = "planner.finished"
    valid: bool
    stopped: bool = False
    plan: str
    text: str
    seconds: float
    round: int = 0
    attempts: int = 1
    statements: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0


PlanEvent = PlannerText | PlannerStatement | PlannerRejected | PlannerRepaired | PlannerFinished
