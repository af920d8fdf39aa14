"""Solving a sample with the Agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from braid.engine import Engine
from braid.evals.task import EvalError, Options, Output, Sample, Score
from braid.executors import Tool
from braid.executors.nodes import Answer
from braid.executors.values import short_form
from braid.orchestrator import Agent, RunResult
from braid.orchestrator.options import MOST_SAMPLES
from braid.planner import PlannerFinished, PlannerRejected

SAMPLES_ARGUMENT = "plans that are written for each question and voted on (default: what the engine says)"
"""What `-T samples=...` means, for tasks that plan."""


def plan_samples(options: Options) -> int | None:
    """The value of `-T samples=...`.

    Raises:
        EvalError: It is no number of plans.
    """
    given = options.arguments.get("samples")
    if given is not None and (not given.isdecimal() or not 1 <= int(given) <= MOST_SAMPLES):
        raise EvalError(f"-T samples takes a number from 1 to {MOST_SAMPLES}, got {given!r}")
    return None if given is None else int(given)


async def solve_with_agent(
    engine: Engine,
    sample: Sample,
    options: Options,
    *,
    seed: int,
    tools: Sequence[Tool] | None = None,
    builtins: bool = True,
    max_rounds: int | None = None,
    read: Callable[[RunResult[object]], str] | None = None,
) -> Output:
    """One `Agent.run`. Its `detail` says whether the first plan was valid.

    A model that writes no valid plan gave a wrong answer. What is not the model's doing is an error.

    Args:
        engine: Plans and thinks.
        sample: Its question is asked.
        options: `sequential` and the argument `samples` are read.
        seed: Seed of the agent.
        tools: The agent's tools. Default: the usual ones.
        builtins: Whether built-in tools are added to them.
        max_rounds: How many plans the run may write. Default: what the settings say.
        read: What is scored. Default: what the run said.
    """
    # Planners are measured, not the way before them.
    agent = Agent(
        engine,
        tools=tools,
        builtins=builtins,
        seed=seed,
        shortcuts=False,
        samples=plan_samples(options),
        max_rounds=max_rounds,
    )
    events = agent.stream(sample.question, sequential=options.sequential)
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
        answer=(read or _said)(result),
        seconds=result.seconds,
        usage=result.usage,
        detail={
            # A stopped plan was answered before it was written out.
            "valid": first is not None and (first.valid or first.stopped),
            "rejected": rejected,
            "rounds": result.rounds,
            "plan": result.plan,
            "why": result.reason,
            "answered": result.complete,
            "confidence": result.confidence,
            "doubt": result.doubt,
        },
    )


def _said(result: RunResult[object]) -> str:
    """The answer. Where the plan declined, its own words: a benchmark may hold a refusal to be right."""
    if result.complete:
        return short_form(result.output) if result.plan else result.answer  # every digit is compared
    for entry in result.graph.entries.values():
        if isinstance(entry.node.op, Answer) and entry.node.op.declines and entry.state == "done":
            return short_form(entry.value[0])
    return ""


def planning_metrics(output: Output, correct: bool) -> Score:
    """The score of a run, with metrics for a first plan that was valid, and valid without repairs.

    An answer is wrong with confidence where it was given without a doubt.
    """
    valid = bool(output.detail["valid"])
    sure = output.detail.get("answered", True) and not output.detail.get("doubt")
    return Score(
        correct=float(correct),
        metrics={
            "valid plan": float(valid),
            "valid at once": float(valid and not output.detail["rejected"]),
            "wrong with confidence": float(not correct and bool(sure)),
        },
    )
