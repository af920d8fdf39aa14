"""The agent loop: plan, run, answer, or another round. Read this page first.

The plan is run while it is being written: `run_graph` takes the planner's patches as they come, and starts each node when its
inputs exist. A round whose plan brings no answer is followed by another one on the same graph, whose results stay
readable by name; the planner is told why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engine import Budget, Engine, Event, Message
from executors import Approve, AskPerson, Limits, RunOutcome, TaskGraph, ToolRegistry, run_graph
from orchestrator.events import RoundFinished, RoundStarted, StopReason
from orchestrator.feedback import why_again
from planner import LLMPlanner, PlanTask, run_root


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that one run needs; made by `Agent`."""

    question: str
    engine: Engine
    tools: ToolRegistry
    budget: Budget
    history: tuple[Message, ...] = ()
    max_rounds: int = 3
    max_repairs: int = 2
    limits: Limits = field(default_factory=Limits)
    sequential: bool = False
    approve: Approve | None = None
    ask: AskPerson | None = None
    deps: Any = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How the rounds ended. `values` are the answer's, or None when there is none, and then `stopped` and `reason` say why."""

    graph: TaskGraph
    outcomes: tuple[RunOutcome, ...]
    values: tuple[Any, ...] | None
    stopped: StopReason | None = None
    reason: str = ""


async def run_rounds(job: Job, emit: Callable[[Event], None]) -> Ending:
    """Plan and run `job` until there is an answer, a limit, or no round left."""
    graph = TaskGraph()
    planner = LLMPlanner(job.engine, max_repairs=job.max_repairs)
    outcomes: list[RunOutcome] = []
    feedback = ""
    for number in range(job.max_rounds):
        emit(RoundStarted(round=number, feedback=feedback))
        task = PlanTask(
            question=job.question,
            tools=job.tools.specs(),
            history=job.history,
            graph=graph,
            round=number,
            feedback=feedback,
            seed=job.seed,
            budget=job.budget,
        )
        outcome = await run_graph(
            graph,
            planner.patches(task, emit=emit),
            tools=job.tools,
            engine=job.engine,
            root=run_root(task),
            budget=job.budget,
            emit=emit,
            limits=job.limits,
            sequential=job.sequential,
            approve=job.approve,
            ask=job.ask,
            deps=job.deps,
            seed=job.seed,
        )
        outcomes.append(outcome)
        feedback = "" if outcome.answered else why_again(graph, outcome)
        emit(RoundFinished(round=number, answered=outcome.answered, why=feedback))
        if outcome.answered:
            return Ending(graph=graph, outcomes=tuple(outcomes), values=outcome.answer)
        if outcome.stopped is not None:
            return Ending(
                graph=graph, outcomes=tuple(outcomes), values=None, stopped=outcome.stopped, reason=outcome.reason
            )
    return Ending(
        graph=graph,
        outcomes=tuple(outcomes),
        values=None,
        stopped="max_rounds",
        reason=f"no answer after {job.max_rounds} round(s): {feedback}",
    )
