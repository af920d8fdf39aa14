"""The agent loop: plan, run, answer, or another round. Read this page first.

The plan is run while it is being written: `run_graph` takes the planner's patches as they come, and starts each node when its
inputs exist. A round whose plan brings no answer is followed by another one on the same graph, whose results stay
readable by name; the planner is told why. What a planner that gives up has planned until then is still run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engine import Budget, Engine, Event, Message
from executors import (
    Approve,
    AskPerson,
    Limits,
    RunOutcome,
    TaskGraph,
    ToolRegistry,
    close_graph,
    run_graph,
)
from orchestrator.events import RoundFinished, RoundStarted, StopReason
from orchestrator.feedback import why_again
from orchestrator.planning import plan_patches
from planner import LLMPlanner, PlanningError, PlanTask, run_root


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that one run needs; made by `Agent`."""

    question: str
    engine: Engine
    tools: ToolRegistry
    budget: Budget
    history: tuple[Message, ...] = ()
    instructions: str = ""
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
    """How the rounds ended: with the values of an answer, or with None, and then `stopped` and `reason` say why.

    `root` is what the prompts of the run's think nodes begin with.
    """

    graph: TaskGraph
    outcomes: tuple[RunOutcome, ...]
    root: tuple[Message, ...]
    values: tuple[Any, ...] | None = None
    stopped: StopReason | None = None
    reason: str = ""


async def run_rounds(job: Job, emit: Callable[[Event], None]) -> Ending:
    """Plan and run `job` until there is an answer, a limit, or no round left."""
    graph = TaskGraph()
    planner = LLMPlanner(job.engine, max_repairs=job.max_repairs)
    outcomes: list[RunOutcome] = []
    feedback = ""
    while True:
        number = len(outcomes)
        emit(RoundStarted(round=number, feedback=feedback))
        task = plan_task(job, graph, round=number, feedback=feedback)
        root = tuple(run_root(task))
        gave_up: list[PlanningError] = []
        outcome = await run_graph(
            graph,
            plan_patches(planner, task, emit=emit, gave_up=gave_up),
            tools=job.tools,
            engine=job.engine,
            root=root,
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
        feedback = "" if outcome.answered else why_again(graph, outcome, gave_up)
        emit(RoundFinished(round=number, answered=outcome.answered, why=feedback))
        if outcome.answered or outcome.stopped is not None or len(outcomes) >= job.max_rounds:
            break
        if gave_up and all(node.round < number for node in graph.nodes.values()):
            break  # not one valid statement in all the attempts of a round: the next would not be better
    close_graph(graph, emit=emit)
    stopped, reason = outcome.stopped, outcome.reason
    if outcome.answered:
        stopped, reason = None, ""
    elif stopped is None:
        stopped = "max_rounds" if len(outcomes) >= job.max_rounds else "plan"
        reason = f"no answer after {len(outcomes)} round{'s' * (len(outcomes) > 1)}: {feedback}"
    return Ending(
        graph=graph,
        outcomes=tuple(outcomes),
        root=root,
        values=outcome.answer,
        stopped=stopped,
        reason=reason,
    )


def plan_task(job: Job, graph: TaskGraph, *, round: int = 0, feedback: str = "") -> PlanTask:
    """What the planner is asked for in one round of `job`."""
    return PlanTask(
        question=job.question,
        tools=job.tools.specs(),
        history=job.history,
        graph=graph,
        round=round,
        feedback=feedback,
        instructions=job.instructions,
        seed=job.seed,
        budget=job.budget,
    )
