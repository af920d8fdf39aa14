"""The agent loop: plan, run, answer, or another round. Read this page first.

The plan runs while it is being written. `run_graph` takes the planner's patches as they come, and starts each
node when its inputs exist. A round whose plan brings no answer is followed by another one on the same graph.
Its results stay readable by name, and the planner learns why another plan is needed. When a planner gives up,
the statements that were accepted until then still run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from braid.engine import Budget, BudgetExceededError, Engine, Envelope, Event, Message, Usage
from braid.engine.automatic import note_speed
from braid.engine.scope import use_budget
from braid.executors import RunContext, RunOutcome, TaskGraph, Tool, ToolRegistry, run_graph
from braid.executors.joins import Verify
from braid.executors.nodes import ToolCall
from braid.executors.scheduler import Approve, AskPerson, Replan, SteeringQueue, close_graph
from braid.executors.tools import CallMemo
from braid.executors.values import Secrets
from braid.orchestrator.errors import OutputTypeError
from braid.orchestrator.events import (
    AnswerDoubted,
    PersonSaid,
    RoundFinished,
    RoundStarted,
    RunAnswered,
    RunFailed,
    RunFinished,
    RunStarted,
    RunStatus,
    StopReason,
)
from braid.orchestrator.history import History
from braid.orchestrator.outputs import answer_text, plain_output, said_text, told_type, typed_output
from braid.orchestrator.planning import (
    HINT_WIDER,
    Ending,
    PlanReviser,
    Rounds,
    ending_of_decline,
    partial_answer,
    why_again,
    why_failed,
)
from braid.orchestrator.question import (
    Shortcut,
    give_earlier_values,
    in_context,
    installation,
    shortcut,
    turn_left,
)
from braid.orchestrator.recorder import Recorder
from braid.orchestrator.result import ModelCall, RunResult, node_calls, plan_calls, total_usage
from braid.orchestrator.review import PlanRejectedError, PlanReviewed, Review, no_plan, rejection, reviewed
from braid.orchestrator.sampled_plans import (
    EarlierSamples,
    PlanSampled,
    PlanSampling,
    PlansVoted,
    affordable,
    default_samples,
    sampled_plans,
)
from braid.orchestrator.settings import RunSpec
from braid.orchestrator.subagents import OuterRun, use_outer_run
from braid.planner import (
    Doubt,
    LLMPlanner,
    PartialPlan,
    PlannerFinished,
    PlannerStatement,
    PlanStream,
    PlanTask,
    Routed,
    doubt_of,
    given_plan,
    run_root,
)

if TYPE_CHECKING:
    from braid.executors.journal import RunLog


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that one run needs. Made by `Agent`."""

    question: str
    spec: RunSpec
    engine: Engine
    """What plans."""
    think_engine: Engine
    """What thinks, answers directly and restates an answer as the output type."""
    tools: ToolRegistry
    budget: Budget
    """The budget scope of this run."""
    memo: CallMemo | None = None
    secrets: Secrets = field(default_factory=Secrets)
    """What nothing that is written or shown may hold."""
    history: Sequence[Message] = ()
    """What the model is shown of the conversation."""
    output_type: Any = None
    approve: Approve | None = None
    ask: AskPerson | None = None
    verifier: Tool | Verify | None = None
    deps: Any = None
    replan: Replan | None = field(default_factory=Replan)
    """When the graph is revised while it runs. None revises it only between rounds."""
    inbox: SteeringQueue | None = None
    live: bool = False
    """Whether somebody reads the events while the run goes on."""
    run_id: str | None = None
    journal: RunLog | None = None
    earlier: Sequence[EarlierRound] = ()
    routed: Routed | None = None
    """The decision before the plan, as an earlier process recorded it."""
    refused: set[str] = field(default_factory=lambda: set[str]())
    """The calls that the person refused in this run."""
    draft: str = ""
    """The plan of the first round, where code can tell it."""
    depth: int = 0
    """The level of the run. Runs in its tools are one level deeper."""
    unresolved: str = ""
    """What the question leans on that no earlier turn tells."""
    review: Review | None = None
    """Decides about each plan before anything of it runs."""
    prompt: Literal["full", "short"] = "full"
    """How much the planner's model is told about the plan language."""


@dataclass(frozen=True, kw_only=True)
class EarlierRound:
    """A round of planning as an earlier process recorded it."""

    number: int
    begun: int
    """How many rounds had begun at its end, revisions during it included."""
    feedback: str = ""
    """Why the round was needed."""
    final: bool = False
    """Whether no round may follow."""
    written: PartialPlan | None = None
    """The part of its plan that was written."""
    why: str | None = None
    """Why it brought no answer. None for a round that was not over."""
    reviewed: PlanReviewed | None = None
    """What a person decided about its plan."""
    sampled: EarlierSamples | None = None
    """The plans that were drawn for it."""


@dataclass(frozen=True, kw_only=True)
class LoopOutcome:
    """How the rounds of a run ended."""

    graph: TaskGraph
    outcomes: tuple[RunOutcome, ...]
    """One for each run of the graph."""
    rounds: int
    root: tuple[Message, ...]
    """What the prompts of the run's think nodes begin with."""
    values: tuple[Any, ...] | None = None
    """The values of the answer. None where there is none."""
    stopped: StopReason | None = None
    """What stopped the run early."""
    declined: bool = False
    """Whether the plan ended by saying why there is no answer."""
    reason: str = ""
    """Why there is no answer, in words."""
    hint: str = ""
    """What would answer a question that was declined."""
    shortcut: Shortcut | None = None
    """The answer, where no plan was needed."""
    vote: PlansVoted | None = None
    """The vote over the plans, where several were drawn."""


async def run_rounds(job: Job, emit: Callable[[Event], None]) -> LoopOutcome:
    """Plan and run `job` until there is an answer, a limit, or no round left."""
    graph = TaskGraph()
    give_earlier_values(graph, job.spec.turns)
    if not job.spec.plan:
        job, outcome = await _without_plan(job, graph, emit)
        if outcome is not None:
            return outcome
    planner = planner_of(job)
    if not job.spec.plan:
        job = replace(job, prompt=await planner.prompt_length(plan_task(job, graph)))
    compact = planner.style == "compact" and not job.spec.plan
    rounds = Rounds(1 if job.spec.plan else job.spec.max_rounds)
    reviser = None
    # Where code could not find it, a small model would guess.
    if job.replan is not None and not job.spec.plan and not (job.draft and compact):
        reviser = _reviser(job, job.replan, planner, rounds, graph, emit)
    outcomes: list[RunOutcome] = []
    feedback = ""
    votes: list[PlansVoted] = []

    def hear(event: Event) -> None:
        votes.extend([event] if isinstance(event, PlansVoted) else [])
        emit(event)

    while True:
        earlier = job.earlier[len(outcomes)] if len(outcomes) < len(job.earlier) else None
        if earlier is None:
            number = rounds.next()
            final = number > 0 and job.budget.tight
            emit(RoundStarted(round=number, feedback=feedback, final=final))
        else:
            number, rounds.begun, feedback = earlier.number, earlier.begun, earlier.feedback
            final = earlier.final
            votes += [earlier.sampled.vote] if earlier.sampled and earlier.sampled.vote else []
        written = earlier.written if earlier is not None else None
        task = plan_task(job, graph, round=number, feedback=feedback, final=final, written=written)
        root = tuple(run_root(task))
        context = RunContext(
            tools=job.tools,
            engine=job.think_engine,
            root=root,
            budget=job.budget,
            emit=emit,
            limits=job.spec.limits,
            approve=job.approve,
            refused=job.refused,
            ask=job.ask,
            deps=job.deps,
            seed=job.spec.seed,
            sampling=job.spec.sampling,
            verifier=job.verifier,
            question=job.question,
            think_text=job.live,
            run_id=job.run_id,
            journal=job.journal,
            memo=job.memo,
            secrets=job.secrets,
        )
        plan = start_plan(job, planner, task, hear, earlier, context)
        outcome = await run_graph(
            graph,
            plan,
            context,
            sequential=job.spec.sequential,
            replanner=reviser,
            replan=job.replan,
            queue=None if compact else job.inbox,  # it would not see the words
        )
        outcomes.append(outcome)
        answer = None if outcome.declined else outcome.answer
        doubt = _doubt(job, answer, graph, compact=compact)
        if earlier is not None and earlier.why is not None:
            feedback = earlier.why
        else:
            feedback = "" if outcome.answered else why_again(graph, outcome, plan.error)
            if doubt is not None:
                emit(AnswerDoubted(round=number, answer=answer_text(answer or ()), reason=doubt.reason))
                feedback = f"the answer is no answer to the task: {doubt.reason}"
            if feedback and plan.unread:
                feedback += f"; nothing reads {', '.join(plan.unread)}"
            emit(RoundFinished(round=number, answered=answer is not None and doubt is None, why=feedback))
        rejected = isinstance(plan.error, PlanRejectedError)
        if compact and (doubt is not None or rejected or (job.draft and not outcome.answered)):
            break  # its prompt has no feedback, so it would write the same, or guess what code could not find
        ended = (outcome.answered and doubt is None) or outcome.stopped is not None
        if ended or final or rounds.left <= 0:
            break
        if plan.error is not None and not rejected and _is_empty(graph, number):
            break  # not one valid statement in all the attempts of a round: the next would not be better
    close_graph(graph, emit=emit)
    drafted = bool(job.draft) and compact and outcome.stopped is None and not outcome.answered
    if (outcome.declined or (drafted and not rejected)) and not outcome.cut_off:
        unsure = bool(votes) and votes[-1].decision == "decline"
        own_words = not compact or unsure or (bool(job.draft) and not outcome.failures)
        ending = ending_of_decline(job.question, graph, outcome, own_words=own_words)
        declined = ending.stopped is None
    else:
        why = why_failed(graph, outcome) if job.spec.plan and not rejected else feedback
        ending = _ending(job, outcome, rounds, why, doubt, final=final, rejected=rejected)
        declined = doubt is not None and ending.stopped is None
    return LoopOutcome(
        graph=graph,
        outcomes=tuple(outcomes),
        rounds=rounds.begun,
        root=root,
        values=answer if doubt is None and not outcome.cut_off else None,
        stopped=ending.stopped,
        declined=declined,
        reason=ending.reason,
        hint=ending.hint,
        vote=votes[-1] if votes and rounds.begun == 1 else None,  # no other plan has a part in the answer
    )


def _doubt(job: Job, answer: tuple[Any, ...] | None, graph: TaskGraph, *, compact: bool) -> Doubt | None:
    """Why the answer of a model's plan cannot be one to the question."""
    if not answer or job.spec.plan:
        return None
    small = compact and not job.draft and installation(job).facts
    return doubt_of(job.question, answer, graph, small=small)


def _is_empty(graph: TaskGraph, round: int) -> bool:
    """Whether a round has brought no node."""
    return all(node.round < round for node in graph.nodes.values())


def _ending(
    job: Job,
    outcome: RunOutcome,
    rounds: Rounds,
    feedback: str,
    doubt: Doubt | None,
    *,
    final: bool,
    rejected: bool,
) -> Ending:
    """Why a run without a `decline` ended. It has an answer where the reason is empty."""
    if outcome.cut_off:
        why = f"{outcome.reason}, before all calls of the plan were made: {', '.join(outcome.cut_off[:3])}"
        return Ending(stopped=outcome.stopped, reason=why)
    if doubt is not None:
        return Ending(stopped=None, reason=doubt.reason, hint=HINT_WIDER)
    if outcome.answered:
        return Ending(stopped=None, reason="")
    if outcome.stopped is not None:
        return Ending(stopped=outcome.stopped, reason=outcome.reason)
    if final:
        why = f"the soft limit of the budget is reached, and there is no answer: {feedback}"
        return Ending(stopped="budget", reason=why)
    if rejected or job.spec.plan:
        return Ending(stopped="plan", reason=feedback)
    why = f"no answer after {rounds.begun} round{'s' * (rounds.begun > 1)}: {feedback}"
    return Ending(stopped="max_rounds" if rounds.left <= 0 else "plan", reason=why)


async def _without_plan(
    job: Job, graph: TaskGraph, emit: Callable[[Event], None]
) -> tuple[Job, LoopOutcome | None]:
    """What is left of `job` for the planner, or its outcome where it needs no plan or can have none."""
    job, taken = await shortcut(job, emit)
    nothing = LoopOutcome(graph=graph, outcomes=(), rounds=0, root=())
    if taken is not None and taken.declined:
        return job, replace(nothing, declined=True, reason=taken.answer, shortcut=taken)
    if taken is not None and taken.over_budget:
        return job, replace(nothing, stopped="budget", reason=taken.over_budget, shortcut=taken)
    if taken is not None:
        return job, replace(nothing, values=(taken.value,), shortcut=taken)
    if job.unresolved and not job.draft:
        return job, replace(nothing, declined=True, reason=job.unresolved)  # it says what to do
    return job, None


def _reviser(
    job: Job,
    policy: Replan,
    planner: LLMPlanner,
    rounds: Rounds,
    graph: TaskGraph,
    emit: Callable[[Event], None],
) -> PlanReviser:
    def task(number: int, feedback: str) -> PlanTask:
        return plan_task(job, graph, round=number, feedback=feedback)

    def start(task: PlanTask) -> PlanStream:
        return start_plan(job, planner, task, emit)

    return PlanReviser(start, rounds, policy, task, emit)


def start_plan(
    job: Job,
    planner: LLMPlanner,
    task: PlanTask,
    emit: Callable[[Event], None],
    earlier: EarlierRound | None = None,
    context: RunContext | None = None,
) -> PlanStream:
    """The plan of one round: what was given, else what the model writes, and what a person made of it.

    With `context`, that of the run, several plans may be drawn. The one that wins the vote is the plan.
    """
    decided = earlier.reviewed if earlier is not None else None
    if decided is not None and decided.decision == "rejected":
        return no_plan(rejection(decided.plan, decided.reason))
    if decided is not None and decided.decision == "edited":
        return given_plan(decided.plan, task, emit=emit)
    given = job.spec.plan
    sampled = earlier.sampled if earlier is not None else None
    sampling = None if given or context is None else _sampling(job, planner, task, earlier)
    if context is not None and sampling is not None:

        def trial_graph() -> TaskGraph:
            graph = TaskGraph()
            give_earlier_values(graph, job.spec.turns)
            return graph

        plan = sampled_plans(
            planner,
            task,
            sampling,
            context,
            graph=trial_graph,
            emit=emit,
            sequential=job.spec.sequential,
            earlier=sampled,
        )
    else:
        plan = given_plan(given, task, emit=emit) if given else planner.start(task, emit=emit)
    if job.review is None or decided is not None:
        return plan
    return reviewed(plan, task, job.review, tools=job.tools, emit=emit)


def _sampling(
    job: Job, planner: LLMPlanner, task: PlanTask, earlier: EarlierRound | None
) -> PlanSampling | None:
    """How the plans of a round are drawn. None where there is one plan: later rounds go on from results."""
    spec = job.spec
    if task.round > 0 or task.draft:
        return None
    if earlier is not None:
        samples = earlier.sampled.samples if earlier.sampled is not None else 1
    else:
        wanted = spec.samples or default_samples(job.engine)
        samples = affordable(wanted, job.budget, max_tokens=planner.max_tokens) if wanted > 1 else 1
    if samples < 2:
        return None
    return PlanSampling(
        samples=samples,
        temperature=spec.sample_temperature,
        answer=spec.answer_agreement,
        doubt=spec.doubt_agreement,
    )


def planner_of(job: Job) -> LLMPlanner:
    """What writes the plans of `job`."""
    spec = job.spec
    return LLMPlanner(
        job.engine,
        max_repairs=spec.max_repairs,
        max_tokens=spec.max_tokens,
        temperature=spec.temperature or 0.0,
        top_p=spec.top_p or 1.0,
    )


def plan_task(
    job: Job,
    graph: TaskGraph,
    *,
    round: int = 0,
    feedback: str = "",
    final: bool = False,
    written: PartialPlan | None = None,
) -> PlanTask:
    """The task of the planner in one round of `job`."""
    return PlanTask(
        question=job.question,
        tools=job.tools.specs(),
        history=job.history,
        graph=graph,
        round=round,
        feedback=feedback,
        final=final,
        prompt=job.prompt,
        instructions=f"{job.spec.instructions}\n\n{told_type(job.output_type)}",
        seed=job.spec.seed,
        budget=job.budget,
        verifier=job.verifier is not None,
        draft=job.draft if round == 0 else "",
        written=written,
    )


async def run_job(job: Job, recorder: Recorder) -> RunResult[Any]:
    """Run `job` to its result. Its `RunStarted` is emitted already. Its journal is finished in any case."""
    log = job.journal
    recorder.secrets = job.secrets
    if job.inbox is not None:
        job.inbox.record(lambda text: recorder(PersonSaid(text=text)))
    outer = OuterRun(
        journal=log.journal if log is not None else None,
        approve=job.approve,
        ask=job.ask,
        run=recorder.run,
        depth=job.depth,
        loop=asyncio.get_running_loop(),
    )
    try:
        with use_budget(job.budget), use_outer_run(outer):
            result = await _run_to_result(job, recorder)
    except BaseException as error:
        recorder(RunFailed(error=f"{type(error).__name__}: {error}"))
        if log is not None:
            log.finish("failed" if isinstance(error, Exception) else "cancelled", None)
        raise
    if log is not None:
        log.finish(result.status, result.answer)
    return result


def never_begun(
    recorder: Recorder, question: str, spec: RunSpec, budget: Budget, error: BudgetExceededError
) -> RunResult[Any]:
    """The result of a run whose budget was spent before it began. No journal knows it."""
    recorder(RunStarted(question=question, engine=spec.engine, tools=(), max_rounds=spec.max_rounds))
    reason = f"{error}, before the run began"
    seconds = error.spent
    recorder(
        RunFinished(answer="", rounds=0, seconds=seconds, status="failed", stopped="budget", reason=reason)
    )
    return RunResult(
        run_id=recorder.run,
        question=question,
        answer="",
        output=None,
        graph=TaskGraph(),
        plan="",
        rounds=0,
        usage=Usage(),
        calls=(),
        engine=spec.engine,
        seconds=seconds,
        planning_seconds=0.0,
        status="failed",
        stopped="budget",
        reason=reason,
        events=recorder,
        history=History.of(spec.history, spec.turns),
        unheard=(),
        root=(),
        budget=budget.statement(),
    )


def _note_speed(events: Iterable[Envelope], engine: str) -> None:
    """Remember how long the engine took to the first statement of the first round."""
    began: float | None = None
    for envelope in events:
        match envelope.event:
            case RoundStarted(round=0):
                began = envelope.at
            case PlannerStatement() if began is not None:
                return note_speed(engine, envelope.at - began)
            case _:
                pass


async def _run_to_result(job: Job, recorder: Recorder) -> RunResult[Any]:
    asked, turns = job.question, job.spec.turns
    compact = LLMPlanner(job.engine).style == "compact" and not job.spec.plan
    read = in_context(asked, turns, compact=compact, recorder=recorder)
    question, draft = read.question, read.draft
    job = replace(job, question=question, draft=draft, unresolved=read.unresolved)
    outcome = await run_rounds(job, recorder)
    planned = [event for event in recorder.emitted if isinstance(event, (PlannerFinished, PlanSampled))]
    uri, think_uri = job.engine.info.uri, job.think_engine.info.uri
    _note_speed(recorder, uri)
    calls = [*plan_calls(planned, uri), *node_calls(outcome.graph, think_uri)]
    if outcome.shortcut is not None and outcome.shortcut.call is not None:
        calls.append(outcome.shortcut.call)
    stopped, reason, output = outcome.stopped, outcome.reason, None
    exceeded = outcome.outcomes[-1].exceeded if outcome.outcomes else None
    misfit: OutputTypeError | None = None
    if outcome.declined:
        answer = reason
    elif outcome.values is None:
        written = outcome.shortcut
        answer = written.answer if written else partial_answer(outcome.graph, outcome.outcomes[-1])
    else:
        answer = said_text(outcome.values, _computed(outcome.graph) if compact else ())
        if outcome.shortcut is not None:
            answer = outcome.shortcut.answer
        recorder(RunAnswered(answer=answer))
        try:
            output = await _output(outcome.values, job, calls.append)
        except BudgetExceededError as error:
            stopped, reason, exceeded = "budget", str(error), error
        except OutputTypeError as error:
            misfit, reason = error, str(error)
    seconds = time.monotonic() - job.budget.started  # the time of earlier processes included
    rounds = outcome.rounds
    status = _status(outcome, stopped, answer)
    plan = "\n".join(_plans(recorder).values())
    turn = None
    spoke_of_the_last = question == asked and bool(draft)
    if not spoke_of_the_last and not (outcome.declined and read.names_nothing):
        plan_of_turn = plan if rounds == 1 else ""
        turn = turn_left(
            outcome.graph,
            outcome.values,
            asked=asked,
            question=question,
            answer=answer,
            unit=outcome.shortcut.unit if outcome.shortcut is not None else "",
            plan=plan_of_turn,
        )
    confidence = outcome.vote.agreement if outcome.vote is not None else None
    doubted = outcome.vote is not None and outcome.vote.decision == "doubt" and status == "answered"
    doubt = outcome.vote.reason if outcome.vote is not None and doubted else ""
    if misfit is None:
        recorder(
            RunFinished(
                answer=answer,
                rounds=rounds,
                seconds=seconds,
                status=status,
                stopped=stopped,
                reason=reason,
                hint=outcome.hint,
                confidence=confidence,
                doubt=doubt,
                turn=turn,
            )
        )
    result = RunResult(
        run_id=recorder.run,
        question=asked,
        answer=answer,
        output=output,
        graph=outcome.graph,
        plan=plan,
        rounds=rounds,
        usage=total_usage(calls, outcome.outcomes),
        calls=tuple(calls),
        engine=uri,
        seconds=seconds,
        planning_seconds=sum(event.seconds for event in planned if isinstance(event, PlannerFinished)),
        status=status,
        stopped=stopped,
        reason=reason,
        exceeded=exceeded,
        hint=outcome.hint,
        confidence=confidence,
        doubt=doubt,
        events=recorder,
        history=History.of(job.spec.history, turns).extended(asked, answer, turn),
        unheard=() if job.inbox is None else job.inbox.unheard,
        root=outcome.root,
        budget=job.budget.statement(),
        secrets=job.secrets,
    )
    if misfit is not None:
        misfit.result = result
        raise misfit
    return result


def _plans(recorder: Recorder) -> dict[int, str]:
    """The plan of each round, as it was run."""
    plans: dict[int, str] = {}
    for event in recorder.emitted:
        match event:
            case PlanReviewed(decision="rejected"):
                plans.pop(event.round, None)
            case PlannerFinished() | PlanReviewed():
                plans[event.round] = event.plan.rstrip("\n")
            case _:
                pass
    return plans


def _computed(graph: TaskGraph) -> list[object]:
    """What `calculate` gave in this run."""
    return [
        entry.value
        for entry in graph.entries.values()
        if entry.state == "done" and isinstance(entry.node.op, ToolCall) and entry.node.op.tool == "calculate"
    ]


def _status(outcome: LoopOutcome, stopped: StopReason | None, answer: str) -> RunStatus:
    if outcome.declined:
        return "declined"
    if stopped is None:
        return "answered"
    return "partial" if answer else "failed"


async def _output(values: tuple[Any, ...], job: Job, spent: Callable[[ModelCall], None]) -> Any:
    if job.output_type is None:
        return plain_output(values)
    async with job.budget.deadline():
        return await typed_output(values, job, spent)
