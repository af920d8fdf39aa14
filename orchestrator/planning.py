"""The planner's patches as the loop takes them: a planner that gives up ends its plan and not the run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from braid.engine import Event
from braid.executors import GraphPatch
from braid.planner import LLMPlanner, PlanningError, PlanTask


def plan_patches(
    planner: LLMPlanner, task: PlanTask, *, emit: Callable[[Event], None], gave_up: list[PlanningError]
) -> AsyncGenerator[GraphPatch]:
    """The patches of one round; an error of the planner's own goes into `gave_up`, and what it has started may finish."""
    return _caught(planner.patches(task, emit=emit), gave_up)


async def _caught(
    patches: AsyncGenerator[GraphPatch], gave_up: list[PlanningError]
) -> AsyncGenerator[GraphPatch]:
    try:
        async with aclosing(patches):
            async for patch in patches:
                yield patch
    except PlanningError as error:
        gave_up.append(error)
