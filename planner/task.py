"""The task of a planner: one round of planning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from braid.engine import Budget, Message
from braid.executors import TaskGraph
from braid.executors.tools import ToolSpec

PromptLength = Literal["full", "short"]
"""How much a chat model is told about the plan language. `short` is for small models and short contexts."""


@dataclass(frozen=True, kw_only=True)
class PartialPlan:
    """What interrupted processes wrote of a round's plan."""

    attempts: Sequence[tuple[str, bool]]
    """Each attempt's text, and whether it was rejected. An attempt that was not rejected was cut off."""
    tokens: int = 0
    """Tokens that were generated for it."""


@dataclass(frozen=True, kw_only=True)
class PlanTask:
    """One round of planning."""

    question: str
    """The task, in the user's words."""
    tools: Sequence[ToolSpec] = ()
    """What the plan may call."""
    history: Sequence[Message] = ()
    """The conversation before this task."""
    graph: TaskGraph = field(default_factory=TaskGraph)
    """What earlier rounds have left. Its names may be read. Names without a result may be bound again."""
    round: int = 0
    """Number of this round, from 0."""
    feedback: str = ""
    """Why there is another round. Empty in round 0."""
    final: bool = False
    """Whether no round follows, because the budget is nearly used up."""
    prompt: PromptLength = "full"
    """The length of the prompt, which is the same in all rounds of a run."""
    instructions: str = ""
    """What the agent's owner wants the planner to know."""
    seed: int = 0
    """Fixes the planner's sampling."""
    budget: Budget | None = None
    """None means the ambient budget."""
    verifier: bool | None = None
    """Whether the run has a verifier of its own. None if that is not known."""
    draft: str = ""
    """A plan that is known already, such as that of a follow-up. It is the first attempt of this round."""
    written: PartialPlan | None = None
    """What interrupted processes wrote of this round's plan. Planning goes on from there."""
