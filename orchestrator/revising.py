"""The planner as the replanner of a running graph: a revision is a round of planning whose patches join the run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from braid.engine import Event
from braid.executors import GraphPatch
from braid.executors.nodes import Node
from braid.executors.scheduler import Replan, RevisionRequest
from braid.orchestrator.events import RoundStarted
from braid.planner import LLMPlanner, PlanTask


class Rounds:
    """How many rounds of planning a run has had, revisions included, of the most that it may have."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.begun = 0

    @property
    def left(self) -> int:
        return self.most - self.begun

    def next(self) -> int:
        """The number of the next round, which begins now."""
        self.begun += 1
        return self.begun - 1


class PlanReviser:
    """A `Replanner`: tells the planner what happened, and gives its statements as patches."""

    def __init__(
        self,
        planner: LLMPlanner,
        rounds: Rounds,
        policy: Replan,
        task: Callable[[int, str], PlanTask],
        emit: Callable[[Event], None],
    ) -> None:
        self._planner = planner
        self._rounds = rounds
        self._policy = policy
        self._task = task
        self._emit = emit

    def surprise(self, node: Node, value: Any) -> str | None:
        if self._policy.check is None or self._rounds.left <= 0:
            return None
        return self._policy.check(node, value)

    async def revise(self, triggers: Sequence[RevisionRequest]) -> AsyncIterator[GraphPatch]:
        if self._rounds.left <= 0 and all(one.kind != "person" for one in triggers):
            return
        feedback = told(triggers)
        number = self._rounds.next()
        self._emit(RoundStarted(round=number, feedback=feedback, revision=True))
        # What it accepted until it gave up stands, and another round may mend the rest.
        async with aclosing(self._planner.start(self._task(number, feedback), emit=self._emit)) as plan:
            async for patch in plan:
                yield patch


def told(triggers: Sequence[RevisionRequest]) -> str:
    """Triggers as the planner's feedback."""
    heads = {
        "failed": "failed",
        "surprise": "surprising",
        "progress": "so far",
        "person": "the user says",
        "rejected": "not taken from the last plan",
    }
    return "; ".join(f"{heads[one.kind]}: {one.text}" for one in triggers)
