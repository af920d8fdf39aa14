"""The planner's patches as the loop takes them: a planner that gives up, or is cut off, ends its plan and never the run."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from engine import Event
from executors import GraphPatch
from planner import (
    LLMPlanner,
    PlannerFinished,
    PlannerStatement,
    PlannerText,
    PlanningError,
    PlanTask,
    render_plan,
)


@dataclass
class _Written:
    """What the planner has told so far."""

    texts: list[str] = field(default_factory=lambda: list[str]())
    statements: int = 0
    attempts: int = 1
    finished: bool = False

    def take(self, event: Event) -> None:
        match event:
            case PlannerText():
                self.texts.append(event.text)
                self.attempts = event.attempt + 1
            case PlannerStatement():
                self.statements += 1
            case PlannerFinished():
                self.finished = True
            case _:
                pass


async def plan_patches(
    planner: LLMPlanner,
    task: PlanTask,
    *,
    emit: Callable[[Event], None],
    gave_up: list[PlanningError],
) -> AsyncGenerator[GraphPatch]:
    """The patches of one round; an error of the planner's own goes into `gave_up`, and what it has started may finish.

    An answer, the budget or the caller may close the stream in the middle of a plan. The planner can then say nothing more, so
    its last event is made here, from what the round's own budget scope has booked.
    """
    began = time.monotonic()
    written = _Written()
    scope = None if task.budget is None else task.budget.child("plan")

    def tell(event: Event) -> None:
        written.take(event)
        emit(event)

    try:
        patches = planner.patches(replace(task, budget=scope), emit=tell)
        async with aclosing(patches):
            async for patch in patches:
                yield patch
    except PlanningError as error:
        gave_up.append(error)
    finally:
        if not written.finished:
            generated = sum(1 for text in written.texts if text)
            emit(
                PlannerFinished(
                    valid=True,
                    plan=_accepted(task),
                    text="".join(written.texts),
                    seconds=time.monotonic() - began,
                    round=task.round,
                    attempts=written.attempts,
                    statements=written.statements,
                    prompt_tokens=0 if scope is None else max(0, scope.spent["tokens"] - generated),
                    generated_tokens=generated,
                )
            )


def _accepted(task: PlanTask) -> str:
    """This round's statements in the graph, as plan text; items of maps and calls inside calls belong to theirs."""
    nodes = [
        node
        for id, node in task.graph.nodes.items()
        if node.round == task.round
        and task.graph.entry(id).parent is None
        and not (node.name or "").startswith("_")
    ]
    return render_plan(nodes, line=lambda node: node.source)
