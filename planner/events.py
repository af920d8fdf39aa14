"""Events of planning: the text as it is written, what became of each statement, and the end."""

from __future__ import annotations

from typing import Literal

from braid.engine import Event

RouteKind = Literal[
    "arithmetic", "conversion", "date", "small_talk", "about_braid", "nonsense", "empty", "direct", "plan"
]
"""Where a question goes. `direct` is one generation of a model that writes, and `plan` the planner."""


class Routed(Event):
    """Where the question goes. An answer of code is in it, so that a resumed run gives the same one."""

    kind: Literal["planner.routed"] = "planner.routed"
    route: RouteKind
    reason: str
    """Why, in a few words."""
    answer: str | None = None
    value: int | float | str | bool | None = None
    """The value behind the answer."""
    unit: str = ""
    """The unit of a number."""
    declined: bool = False
    """Whether the answer says that there is none."""
    question: str = ""
    """What is left to answer for `direct` and `plan`."""


class DirectText(Event):
    """A piece of an answer that a model writes without a plan, for display."""

    kind: Literal["planner.direct"] = "planner.direct"
    text: str


class PlannerText(Event):
    """A piece of raw text from the model, for display."""

    kind: Literal["planner.text"] = "planner.text"
    text: str
    attempt: int = 0
    """Number of the attempt, from 0. Each repair is a further attempt."""


class PlannerStatement(Event):
    """A statement was accepted. Its nodes go to the graph."""

    kind: Literal["planner.statement"] = "planner.statement"
    nodes: tuple[str, ...]
    """Ids of its nodes. Those of calls that stood inside it come first."""
    name: str | None = None
    """The name that it binds."""
    source: str
    """Its text."""
    condition: str = ""
    """The conditions under which it runs, as text. Empty where it runs in any case."""
    line: int
    """Its line in the text of the attempt, from 1."""
    round: int = 0
    attempt: int = 0


class PlannerRejected(Event):
    """A statement was refused."""

    kind: Literal["planner.rejected"] = "planner.rejected"
    line: int
    """Its line in the text of the attempt, from 1."""
    column: int
    message: str
    """What is wrong."""
    fix: str = ""
    """What to write instead."""
    text: str
    """The whole error, with the line and a caret."""
    attempt: int = 0


class PlannerRepaired(Event):
    """A repair brought a valid plan."""

    kind: Literal["planner.repaired"] = "planner.repaired"
    rejected: int
    """Number of attempts that were rejected before."""


class PlannerFinished(Event):
    """The end of a round's planning. There is one for every round."""

    kind: Literal["planner.finished"] = "planner.finished"
    valid: bool
    """Whether the plan came to its end, and all mistakes were repaired."""
    stopped: bool = False
    """Whether the run was over first: it had its answer, was cancelled, or the engine failed."""
    plan: str
    """The accepted statements."""
    text: str
    """Everything that the model wrote. A blank line separates attempts."""
    seconds: float
    """Wall time. Tools ran beside it."""
    round: int = 0
    attempts: int = 1
    statements: int = 0
    """Number of accepted statements."""
    unread: tuple[str, ...] = ()
    """What a plan that answers looks up or works out for nothing: no statement reads it."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    reasoning_tokens: int = 0
    """Those of the generated tokens that were thoughts, as far as a server tells."""


PlanEvent = PlannerText | PlannerStatement | PlannerRejected | PlannerRepaired | PlannerFinished
