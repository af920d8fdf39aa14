"""Solving a sample with the Agent: plan, run, answer."""

from __future__ import annotations

from engine import Engine
from evals.task import Options, Output, Sample, Score
from orchestrator import Agent
from planner import PlannerRejected, PlanningError


async def solve_with_agent(engine: Engine, sample: Sample, options: Options, *, seed: int) -> Output:
    """One `Agent.run` with the built-in tools. `detail` says whether the plan was valid, and valid at once.

    A model that writes no valid plan gave a wrong answer; only what is not the model's doing is an error.
    """
    events = Agent(engine, seed=seed).stream(sample.question, sequential=options.sequential)
    rejected = 0
    try:
        async with events:
            async for envelope in events:
                rejected += isinstance(envelope.event, PlannerRejected)
        result = events.result
    except PlanningError as error:
        return Output(
            answer="", seconds=0.0, detail={"valid": False, "rejected": rejected, "why": str(error)}
        )
    return Output(
        answer=result.answer if result.complete else "",
        seconds=result.seconds,
        usage=result.usage,
        detail={
            "valid": result.complete,
            "rejected": rejected,
            "plan": result.plan,
            "why": result.reason,
            "speedup": result.report().speedup,
        },
    )


def planning_metrics(output: Output, correct: bool) -> Score:
    """The score of a plan: right or wrong, and whether the plan was valid, at once or after repairs."""
    valid = bool(output.detail["valid"])
    return Score(
        correct=float(correct),
        metrics={"valid plan": float(valid), "valid at once": float(valid and not output.detail["rejected"])},
    )
