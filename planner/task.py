"""What a planner is asked for: one round of planning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from braid.engine import Budget, Message
from braid.executors import TaskGraph
from braid.executors.tools import ToolSpec


@dataclass(frozen=True, kw_only=True)
class PartialPlan:
    """What interrupted processes had of a round's plan: each attempt's text and whether it was rejected (else it was cut off)."""

    attempts: Sequence[tuple[str, bool]]
    tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class PlanTask:
    """One round of planning.

    Args:
        question: the task, in the user's words.
        tools: what the plan may call.
        history: the conversation before this task.
        graph: what earlier rounds have left; its names may be read, and those that came to nothing bound again.
        round: number of this round, from 0.
        feedback: why there is another round; empty in round 0.
        final: whether no round follows, because the budget is nearly used up.
        instructions: what the agent's owner wants the planner to know.
        seed: fixes what is drawn when the planner samples.
        budget: None means the ambient one.
        written: what there is of this round's plan already; planning goes on from there.
    """

    question: str
    tools: Sequence[ToolSpec] = ()
    history: Sequence[Message] = ()
    graph: TaskGraph = field(default_factory=TaskGraph)
    round: int = 0
    feedback: str = ""
    final: bool = False
    instructions: str = ""
    seed: int = 0
    budget: Budget | None = None
    written: PartialPlan | None = None
