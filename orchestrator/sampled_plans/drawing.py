"""Drawing plans: several are written side by side on one prompt, tried, and voted on.

The first plan is the one that a run of a single plan has. The others are written at a temperature. Each is
tried as soon as it is written, and one that says the same as another is not tried twice. Pure calls with
equal arguments are made once for all of them, and the plan that wins finds their results.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass, replace

from braid.engine import Budget, BudgetExceededError, Engine, Event
from braid.engine.system import first_error
from braid.executors import GraphPatch, RunContext, TaskGraph
from braid.executors.nodes import Answer, Node
from braid.executors.values import preview
from braid.orchestrator.sampled_plans.checks import objections, weight_of
from braid.orchestrator.sampled_plans.earlier import EarlierSamples
from braid.orchestrator.sampled_plans.events import (
    PlanSampled,
    PlansRequested,
    PlansVoted,
    SampleRejected,
    SampleText,
)
from braid.orchestrator.sampled_plans.forms import PlanForm, plan_form
from braid.orchestrator.sampled_plans.shared_prefix import SharedPrefixEngine
from braid.orchestrator.sampled_plans.trial import Trial, is_effect, try_plan
from braid.orchestrator.sampled_plans.vote import comparable, count_votes
from braid.planner import (
    LLMPlanner,
    PlanEvent,
    PlannerFinished,
    PlannerRejected,
    PlannerText,
    PlanningError,
    PlanStream,
    PlanTask,
    given_plan,
)
from braid.planner.prompts import read_refusal
from braid.reasoning import derived_seed

_TIME_FOR_PLANS = 0.5
"""Share of the time that is left after which no plan is waited for, once one is there."""
_CALLS_FOR_A_PLAN = 4
"""Calls of a budget that a further plan must leave: its own, and those of its look-ups."""


@dataclass(frozen=True, kw_only=True)
class PlanSampling:
    """How plans are drawn and voted on."""

    samples: int
    temperature: float
    """Of all plans but the first."""
    answer: float
    """Share of the plans that must agree for an answer without a word of doubt."""
    doubt: float
    """Share of the plans that must agree for an answer at all."""


def default_samples(engine: Engine) -> int:
    """How many plans `engine` asks for in its details (`plan_samples`). 1 unless it does."""
    said = engine.info.details.get("plan_samples", "")
    return max(1, int(said)) if said.isdecimal() else 1


def affordable(samples: int, budget: Budget, *, max_tokens: int) -> int:
    """How many of `samples` plans the budget can pay for. At least one.

    Args:
        samples: How many are wanted.
        budget: What limits them. One that is `tight` allows one plan.
        max_tokens: Most tokens of one plan.
    """
    tokens, calls = budget.remaining("tokens"), budget.remaining("calls")
    if budget.tight:
        return 1
    if tokens is not None:  # one share is left for the prompt and what follows
        samples = min(samples, tokens // max_tokens - 1)
    if calls is not None:
        samples = min(samples, calls // _CALLS_FOR_A_PLAN)
    return max(1, samples)


def sampled_plans(
    planner: LLMPlanner,
    task: PlanTask,
    sampling: PlanSampling,
    context: RunContext,
    *,
    graph: Callable[[], TaskGraph],
    emit: Callable[[Event], None],
    sequential: bool = False,
    earlier: EarlierSamples | None = None,
) -> PlanStream:
    """The plan that a vote over several chooses, as the plan of one round. It comes in one patch.

    Args:
        planner: Writes them.
        task: The round. Its graph is left alone until the vote.
        sampling: How many plans, and what decides.
        context: The context of the run. Trials share its tools, budget and known results.
        graph: Makes the graph that a trial begins with.
        emit: Called with each event.
        sequential: Try plans one node at a time.
        earlier: What an earlier process drew for this round.
    """
    drawing = _Drawing(planner, task, sampling, context, graph, emit, earlier, sequential=sequential)
    return PlanStream(drawing.patches())


class _Drawing:
    """One round of sampled plans."""

    def __init__(
        self,
        planner: LLMPlanner,
        task: PlanTask,
        sampling: PlanSampling,
        context: RunContext,
        graph: Callable[[], TaskGraph],
        emit: Callable[[Event], None],
        earlier: EarlierSamples | None,
        *,
        sequential: bool,
    ) -> None:
        self._planner = planner
        self._task = task
        self._sampling = sampling
        self._context = context
        self._graph = graph
        self._emit = emit
        self._earlier = earlier
        self._sequential = sequential
        self._understand = read_refusal if planner.style == "compact" else None
        self._ballots: dict[int, PlanSampled] = {}
        self._tried: dict[str, tuple[int, Trial]] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._exceeded: BudgetExceededError | None = None

    async def patches(self) -> AsyncGenerator[GraphPatch]:
        began = time.monotonic()
        vote = self._earlier.vote if self._earlier is not None else None
        if vote is None:
            vote = await self._vote()
            self._emit(vote)
        if vote.decision == "none":
            raise PlanningError(f"none of {vote.samples} plans was valid", errors=(), text="")

        def emit(event: PlanEvent) -> None:
            if isinstance(event, PlannerFinished):  # the events of the plans tell what they cost
                event = event.model_copy(update={"seconds": time.monotonic() - began})
            self._emit(event)

        chosen = given_plan(vote.plan, self._task, emit=emit, understand=self._understand)
        async with aclosing(chosen):
            async for patch in chosen:
                yield patch

    async def _vote(self) -> PlansVoted:
        earlier, sampling = self._earlier, self._sampling
        samples = sampling.samples if earlier is None else earlier.samples
        if earlier is None:
            self._emit(PlansRequested(round=self._task.round, samples=samples))
        else:
            self._ballots = {ballot.sample: ballot for ballot in earlier.ballots}
        missing = [sample for sample in range(samples) if sample not in self._ballots]
        engine = SharedPrefixEngine(self._planner.engine)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._draw(sample, engine)) for sample in missing]
                await self._in_time(tasks)
        except BaseExceptionGroup as failed:
            raise first_error(failed) from None
        finally:
            engine.release()
        if not self._ballots and self._exceeded is not None:
            raise self._exceeded
        ballots = [self._ballots[sample] for sample in sorted(self._ballots)]
        return count_votes(ballots, round=self._task.round, answer=sampling.answer, doubt=sampling.doubt)

    async def _in_time(self, tasks: list[asyncio.Task[None]]) -> None:
        """Wait for the plans. Where time is limited, those that are late are given up once one is there."""
        rest = self._context.budget.remaining_seconds() if self._context.budget is not None else None
        if rest is None or not tasks:
            return
        done, late = await asyncio.wait(tasks, timeout=max(0.0, rest) * _TIME_FOR_PLANS)
        if late and not (done or self._ballots):
            _, late = await asyncio.wait(late, return_when=asyncio.FIRST_COMPLETED)
        for task in late:
            task.cancel()

    async def _draw(self, sample: int, engine: SharedPrefixEngine) -> None:
        """Write one plan, try it, and enter its vote."""
        try:
            ballot = await self._ballot(sample, engine)
        except BudgetExceededError as error:
            self._exceeded = error
            return
        self._ballots[sample] = ballot
        self._emit(ballot)

    async def _ballot(self, sample: int, engine: SharedPrefixEngine) -> PlanSampled:
        written = await self._written(sample, engine)
        ballot = PlanSampled(
            round=self._task.round,
            sample=sample,
            state="invalid",
            plan=written.plan,
            attempts=written.attempts,
            seconds=written.seconds,
            prompt_tokens=written.prompt_tokens,
            cached_tokens=written.cached_tokens,
            generated_tokens=written.generated_tokens,
            reasoning_tokens=written.reasoning_tokens,
        )
        if not written.valid:
            return ballot
        graph = self._graph()
        task = replace(self._task, graph=graph, draft="", written=None)
        nodes: list[Node] = []
        async with aclosing(given_plan(written.plan, task, understand=self._understand)) as patches:
            async for patch in patches:
                nodes += patch.add
        form = plan_form(nodes, is_effect=lambda node: is_effect(node, self._context.tools))
        async with self._locks[form.whole]:
            known = self._tried.get(form.whole)
            if known is None:
                trial = await try_plan(nodes, form, graph, self._context, sequential=self._sequential)
                self._tried[form.whole] = sample, trial
                return self._judged(ballot, nodes, trial, form)
        return self._judged(ballot.model_copy(update={"same_as": known[0]}), nodes, known[1], form)

    def _judged(self, ballot: PlanSampled, nodes: list[Node], trial: Trial, form: PlanForm) -> PlanSampled:
        """`ballot` with what the trial of its plan came to."""
        outcome = trial.outcome
        if outcome.answered and not outcome.declined:
            found = objections(self._task.question, nodes, trial)
            answer = outcome.answer or ()
            return ballot.model_copy(
                update={
                    "state": "answered",
                    "answer": tuple(map(comparable, answer)),
                    "effects": trial.effects,
                    "shown": ", ".join(preview(value) for value in answer),
                    "weight": weight_of(found),
                    "objections": tuple(objection.reason for objection in found),
                }
            )
        if outcome.declined:
            return ballot.model_copy(update={"state": "declined", "effects": trial.effects})
        held = any(isinstance(node.op, Answer) for node in trial.held)
        if held and not outcome.failures:
            update = {"state": "unfinished", "answer": (form.answer,), "effects": trial.effects}
            return ballot.model_copy(update=update)
        reasons = tuple(error for _, error in outcome.failures[:1])
        return ballot.model_copy(update={"state": "failed", "objections": reasons})

    async def _written(self, sample: int, engine: SharedPrefixEngine) -> PlannerFinished:
        """Write one plan to its end, or until the planner gives up.

        Raises:
            BudgetExceededError: The budget does not allow another plan.
        """
        planner = copy(self._planner)
        planner.engine = engine
        task = self._task
        if sample:
            planner.temperature = self._sampling.temperature
            task = replace(task, seed=derived_seed(task.seed, sample))
        if self._earlier is not None:
            task = replace(task, written=self._earlier.written.get(sample))
        finished: PlannerFinished | None = None
        try:
            async with aclosing(planner.plan(task)) as events:
                async for event in events:
                    match event:
                        case PlannerText():
                            self._emit(SampleText(sample=sample, text=event.text))
                        case PlannerRejected():
                            self._emit(SampleRejected(sample=sample, message=event.message))
                        case PlannerFinished():
                            finished = event
                        case _:
                            pass
        except PlanningError:
            pass  # its last event says that it is not valid
        assert finished is not None
        return finished
