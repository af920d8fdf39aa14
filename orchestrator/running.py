"""One run from its job to its result: rounds, typed output, and how it ended in events and journal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from braid.engine import BudgetExceededError, Usage
from braid.engine.scope import use_budget
from braid.orchestrator.events import Recorder, RunAnswered, RunFailed, RunFinished
from braid.orchestrator.feedback import partial_answer
from braid.orchestrator.history import extended
from braid.orchestrator.loop import Job, run_rounds
from braid.orchestrator.nesting import OuterRun, use_outer_run
from braid.orchestrator.outputs import answer_text, plain_output, typed_output
from braid.orchestrator.result import RunResult, total_usage
from braid.planner import PlannerFinished

if TYPE_CHECKING:
    from braid.executors.journal import RunLog


async def carry_out(job: Job, wanted: Any, recorder: Recorder, log: RunLog | None) -> RunResult[Any]:
    """Run `job`, whose start is told already. `wanted` is the output type; the `log` is finished in any case."""
    outer = OuterRun(journal=log.journal if log is not None else None, approve=job.approve, ask=job.ask)
    try:
        with use_budget(job.budget), use_outer_run(outer):
            result = await _finish(job, wanted, recorder)
    except BaseException as error:
        recorder(RunFailed(error=f"{type(error).__name__}: {error}"))
        if log is not None:
            log.finish("failed" if isinstance(error, Exception) else "cancelled", None)
        raise
    if log is not None:
        log.finish("answered" if result.complete else "stopped", result.answer)
    return result


async def _finish(job: Job, wanted: Any, recorder: Recorder) -> RunResult[Any]:
    ending = await run_rounds(job, recorder)
    planned = [event for event in recorder.told if isinstance(event, PlannerFinished)]
    usage = total_usage(planned, ending.outcomes)
    stopped, reason, output = ending.stopped, ending.reason, None
    if ending.values is None:
        answer = partial_answer(ending.graph, ending.outcomes[-1])
    else:
        answer = answer_text(ending.values)
        recorder(RunAnswered(answer=answer))
        try:
            output, more = await _output(ending.values, wanted, job)
            usage = usage.then(more)
        except BudgetExceededError as error:
            stopped, reason = "budget", str(error)
    seconds = time.monotonic() - job.budget.started  # what earlier processes took is in it
    rounds = ending.rounds
    recorder(RunFinished(answer=answer, rounds=rounds, seconds=seconds, stopped=stopped, reason=reason))
    return RunResult(
        run_id=recorder.run,
        question=job.question,
        answer=answer,
        output=output,
        graph=ending.graph,
        plan="\n".join({event.round: event.plan.rstrip("\n") for event in planned}.values()),
        rounds=rounds,
        usage=usage,
        engine=job.engine.info.uri,
        seconds=seconds,
        planning_seconds=sum(event.seconds for event in planned),
        stopped=stopped,
        reason=reason,
        events=recorder,
        history=tuple(extended(job.history, job.question, answer)),
        root=ending.root,
        budget=job.budget.statement(),
    )


async def _output(values: tuple[Any, ...], wanted: Any, job: Job) -> tuple[Any, Usage]:
    if wanted is None:
        return plain_output(values), Usage()
    return await typed_output(
        values, wanted, question=job.question, engine=job.engine, budget=job.budget, seed=job.seed
    )
