"""Solving a sample with the Agent: plan, run, answer."""

from __future__ import annotations

from collections.abc import Sequence

from braid.engine import Engine
from braid.evals.task import Options, Output, Sample, Score
from braid.executors import Tool
from braid.orchestrator import Agent
from braid.planner import PlannerFinished, PlannerRejected


async def solve_with_agent(
    engine: Engine, sample: Sample, options: Options, *, seed: int, tools: Sequence[Tool] | None = None
) -> Output:
    """One `Agent.run` with `tools`, or with the usual ones. `detail` says whether the first plan was valid, and what it refused.

    A model that writes no valid plan gave a wrong answer; only what is not the model's doing is an error.
    """
    events = Agent(engine, tools=tools, seed=seed).stream(sample.question, sequential=options.sequential)
    first: PlannerFinished | None = None
    rejected = 0
    async with events:
        async for envelope in events:
            if first is None:
                rejected += isinstance(envelope.event, PlannerRejected)
            if first is None and isinstance(envelope.event, PlannerFinished):
                first = envelope.event
        result = events.result
    return Output(
        answer=result.answer if result.complete else "",
        seconds=result.seconds,
        usage=result.usage,
        detail={
            "valid": first is not None
            and (first.valid or first.stopped),  # stopped: answered before it was written out
            "rejected": rejected,
            "rounds": result.rounds,
            "plan": result.plan,
            "why": result.reason,
        },
    )


def planning_metrics(output: Output, correct: bool) -> Score:
    """The score of a plan: right or wrong, and whether the first plan was valid, at once or after repairs."""
    valid = bool(output.detail["valid"])
    return Score(
        correct=float(correct),
        metrics={"valid plan": float(valid), "valid at once": float(valid and not output.detail["rejected"])},
    )
