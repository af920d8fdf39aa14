"""The Agent. It takes a question and returns a `RunResult`: the answer, and how it came about."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from braid.engine import Budget, BudgetExceededError, Engine, Message
from braid.engine.absent import AbsentEngine
from braid.engine.automatic import AUTO, choose_engine
from braid.engine.deferred import DeferredEngine
from braid.engine.scope import ambient_budget, use_budget
from braid.engine.surrogates import mend_text
from braid.executors import ApprovalRefused, Limits, Tool, ToolRegistry
from braid.executors.joins import Verify, verifier_tool
from braid.executors.scheduler import Approve, AskPerson, Replan, SteeringQueue
from braid.executors.tools import CallMemo, MemoryResults, ResultCache
from braid.executors.values import Secrets
from braid.orchestrator.default_tools import registry_of
from braid.orchestrator.errors import InvalidQuestionError, ResumeRefusedError, RunningLoopError
from braid.orchestrator.events import RunResumed, RunStarted
from braid.orchestrator.history import History, read_history
from braid.orchestrator.loop import Job, never_begun, run_job
from braid.orchestrator.options import HistoryProcessor, ModelSettings, RunOptions, processed
from braid.orchestrator.question import answered_by_code, load_tables
from braid.orchestrator.recorder import Recorder
from braid.orchestrator.resources import EngineOption, OpenEngines, Resources, RoleEngines, address_of
from braid.orchestrator.result import RunResult
from braid.orchestrator.resume import (
    JournalOption,
    charge_earlier,
    check_tools,
    check_values,
    earlier_rounds,
    enter_run,
    open_journal,
    reopen_run,
    spending,
    stored_spec,
    unheard_words,
)
from braid.orchestrator.review import Review
from braid.orchestrator.settings import BudgetLimits, RunSpec, load_settings
from braid.orchestrator.stream import RunStream
from braid.orchestrator.subagents import OuterRun, agent_tool, outer_run
from braid.planner import Plan, Routed, check_plan, thinks

if TYPE_CHECKING:
    from braid.executors.journal import Journal
    from braid.executors.mcp import McpServer

OutputT = TypeVar("OutputT")
DEFAULT_REPLAN = Replan()
BY_HAND = "Carry out a plan that was written by hand."
"""The question of a plan that came without one."""


@dataclass(frozen=True, kw_only=True)
class RunInputs:
    """What the caller of one run passes beside the question.

    `history`, `sequential`, `settings`, `instructions`, `output_retries` and the limits of `budget` become
    part of the run's `RunSpec`. `RunOptions` says what each is.
    """

    output_type: Any = None
    deps: Any = None
    history: Sequence[Message] | None = None
    budget: Budget | None = None
    sequential: bool = False
    settings: ModelSettings | None = None
    tools: Sequence[Tool | Callable[..., Any]] = ()
    instructions: str | None = None
    output_retries: int | None = None
    inbox: SteeringQueue | None = None
    """Lines of the person, which arrive while the run goes on."""
    outer: OuterRun = field(default_factory=outer_run)
    """The run around this one."""
    plan: str = ""
    """A plan that is run as it is."""


class Agent:
    """Plans a question as a graph of tool calls and thoughts, runs the graph, and answers.

        agent = Agent(tools=[population])
        result = await agent.run("Which has more people, France or Italy, and by how much?")

    Threads and loops may share it to call `run_sync`, which opens engine and servers of its own. Otherwise it
    belongs to one event loop, from the moment it opens something until `close()`.

    Args:
        engine: An engine, or the address of one. An address is opened when it is first needed. The engine is
            then shared by all runs, and closed by `close()` or `async with agent:`. None takes the address of
            the settings (`BRAID_ENGINE`). A run that is resumed then has the engine that it was started with.
            `{"plan": ..., "think": ...}` names one that plans, and one that writes thoughts, direct answers
            and typed outputs. A role that is not named has the engine of `plan`.
        tools: Tools or typed functions. `calculate` and `rank` are added to them unless `builtins=False`.
            None stands for all built-in tools and those of installed plugins.
        builtins: Whether built-in tools are added.
        mcp: A configuration file of MCP servers, or the servers. They are started with the engine, stopped by
            `close()`, and add their tools. None takes the file of the settings (`BRAID_MCP`), if there is
            one.
        output_type: The type of `result.output`: anything that pydantic validates.
        instructions: Given to the planner in every run.
        temperature: Of plans, thoughts and direct answers. What a plan says of a thought wins. None is 0, or
            what a reasoning method has.
        max_tokens: Most tokens of one generation. What a plan says of a thought wins.
        top_p: Smallest set of tokens with at least this probability, for what has a temperature.
        stop: Strings that end thoughts and direct answers.
        output_retries: How often a chat model is asked to restate an answer that does not fit the output
            type (1). Each time it is told what was wrong.
        history_processors: Functions, plain or coroutine, that take the messages of a conversation and return
            those that the model is to see. `result.history` keeps all of them.
        budget: Limits of all runs of this agent together. `run(budget=...)` replaces them for one run.
        samples: How many plans are written for a question, side by side, and voted on (docs/sampling.md).
            None takes what the engine says, else 1.
        max_rounds: How many plans a run may write before it gives up.
        max_repairs: How often one plan may be sent back for statements that are not valid.
        limits: Bounds of the graph: concurrency, time of a node, number of nodes.
        approve: Asked before a mutating tool runs. Without it mutating tools are refused.
        ask: Puts a plan's question to a person.
        verifier: Says how good an answer is, for `verified` joins and for `best_of_n` where the plan names no
            tool: a tool or a function of the answer, or of question and answer, that returns True, False or a
            score from 0 to 1.
        review: Asked about each plan before anything of it runs. It approves the plan, rejects it with a
            reason that the planner reads, or gives another text (`braid.orchestrator.review`).
        replan: When the graph is revised while the rest of it runs. By default it is revised as soon as a
            failure blocks something. A revision counts as a round. None revises only when nothing more can
            run.
        seed: Seed of everything that is drawn at random.
        shortcuts: Whether arithmetic, conversions, dates and small talk are answered without a plan, even
            where a tool could answer them (the default).
        threads: CPU threads of a local engine that is given by its address.
        probe: Whether a remote engine that is given by its address finds out what its server can do.
        journal: Where runs are recorded as they happen, so that `resume` can go on with one whose process
            ended: True for the user's own journal (`braid runs`), a file, or an open
            `braid.executors.journal.Journal`.
        cache: Keeps results of pure tools for later runs. Without one, equal calls are made once within a
            run. Tools with `cache="always"` are then called once for this agent.

    Raises:
        ToolDefinitionError: A function cannot be a tool, or no verifier, or two tools have one name.
        ConfigurationError: A limit, a setting or a role of an engine cannot be used.
    """

    def __init__(
        self,
        engine: EngineOption = None,
        *,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        builtins: bool = True,
        mcp: str | Path | Sequence[McpServer] | None = None,
        output_type: Any = None,
        instructions: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        top_p: float | None = None,
        stop: str | Sequence[str] | None = None,
        output_retries: int | None = None,
        history_processors: Sequence[HistoryProcessor] = (),
        budget: Budget | None = None,
        samples: int | None = None,
        max_rounds: int | None = None,
        max_repairs: int | None = None,
        limits: Limits | None = None,
        approve: Approve | None = None,
        ask: AskPerson | None = None,
        verifier: Tool | Verify | None = None,
        review: Review | None = None,
        replan: Replan | None = DEFAULT_REPLAN,
        seed: int | None = None,
        shortcuts: bool | None = None,
        threads: int | None = None,
        probe: bool | None = None,
        journal: JournalOption | None = False,
        cache: ResultCache | None = None,
    ) -> None:
        given = RoleEngines.of(engine)
        self.spec = RunSpec.of(
            load_settings(),
            engine=given.plan if isinstance(given.plan, str) else None,
            think_engine=given.think if isinstance(given.think, str) else None,
            threads=threads,
            probe=probe,
            mcp=mcp if isinstance(mcp, (str, Path)) else None,
            instructions=instructions,
            temperature=temperature,
            max_tokens=max_tokens,
            top_p=top_p,
            stop=stop,
            output_retries=output_retries,
            samples=samples,
            max_rounds=max_rounds,
            max_repairs=max_repairs,
            limits=limits,
            seed=seed,
            shortcuts=shortcuts,
        )
        self.output_type = output_type
        self.history_processors = tuple(history_processors)
        self.budget = budget
        self.approve = approve
        self.ask = ask
        if verifier is not None:
            verifier_tool(verifier)  # refused here rather than in a run
        self.verifier = verifier
        self.review = review
        self.replan = replan
        self.cache = cache
        self._results: ResultCache = MemoryResults() if cache is None else cache
        self._journal_option: JournalOption = False if journal is None else journal
        self._journal: Journal | None = None
        servers = None if isinstance(mcp, (str, Path)) else mcp
        if servers is not None:
            self.spec = self.spec.model_copy(update={"mcp": None})
        self._resources = Resources(given, registry_of(tools, builtins=builtins), servers)

    @classmethod
    def from_spec(cls, spec: RunSpec, **others: Any) -> Self:
        """An agent whose runs have the options of `spec`.

        Args:
            spec: The options of a run.
            others: Arguments of `Agent` that are no options of a run, such as `tools` and `journal`.
        """
        agent = cls({"plan": spec.engine, "think": spec.think_engine}, **others)
        agent.spec = spec
        return agent

    @overload
    async def run(
        self, question: str, *, output_type: type[OutputT], **options: Unpack[RunOptions]
    ) -> RunResult[OutputT]: ...

    @overload
    async def run(
        self, question: str, *, output_type: Any = None, **options: Unpack[RunOptions]
    ) -> RunResult[Any]: ...

    async def run(
        self, question: str, *, output_type: Any = None, **options: Unpack[RunOptions]
    ) -> RunResult[Any]:
        """Answer `question`.

        `result.status` says how it ended. A budget or the last round may end it early. `result.stopped` then
        says why, and `result.answer` holds what was found out by then. A plan may also decline, and
        `result.reason` then says why. Cancelling this coroutine stops everything that the run started.

        In a tool of another run, this run is a part of that one: its budget and cancellation hold. What this
        agent lacks of a journal and a person to ask, it has of the outer run, and it is resumed with it.

        Args:
            question: What to find out, as non-empty text.
            output_type: Replaces the agent's output type.
            **options: `deps`, `history`, `budget`, `sequential`, `settings`, `tools`, `instructions` and
                `output_retries`. `braid.orchestrator.options.RunOptions` says what each is.

        Raises:
            InvalidQuestionError: The question cannot be used.
            InvalidHistoryError: The history cannot be used.
            HistoryProcessorError: A history processor failed.
            ConfigurationError: A setting cannot be used.
            ToolDefinitionError: A tool of this run cannot be used, or has the name of another one.
            NestingError: Runs within runs are too deep.
            OutputTypeError: The answer does not fit `output_type`.
            EngineError: The engine cannot be reached, or failed.
            NoPriceError: Money is limited, and the engine has no price. Nothing has begun then.
            JournalError: The journal cannot be written. Nothing has begun then.
        """
        return await self._start(Recorder(), question, RunInputs(output_type=output_type, **options))

    async def run_plan(
        self,
        plan: str | Plan,
        *,
        question: str = BY_HAND,
        output_type: Any = None,
        **options: Unpack[RunOptions],
    ) -> RunResult[Any]:
        """Run a plan that was written by hand. No model is asked, and no engine opened, unless it thinks.

        It is checked as a whole before anything runs.

        Args:
            plan: The text of the plan, or one that was built (`Plan`). The tools of a built one are added.
            question: What thoughts are told about the task.
            output_type: As for `run`.
            **options: As for `run`.

        Raises:
            InvalidPlanError: The plan has mistakes. The error has the line and column of each.
            ToolDefinitionError: A tool of the plan has the name of another one of the agent.
        """
        inputs = self._plan_inputs(plan, RunInputs(output_type=output_type, **options))
        return await self._start(Recorder(), question, inputs)

    def run_plan_sync(
        self,
        plan: str | Plan,
        *,
        question: str = BY_HAND,
        output_type: Any = None,
        **options: Unpack[RunOptions],
    ) -> RunResult[Any]:
        """`run_plan` for code without an event loop, as `run_sync` is for `run`."""
        return self._sync(
            lambda agent: agent.run_plan(plan, question=question, output_type=output_type, **options)
        )

    def stream_plan(
        self,
        plan: str | Plan,
        *,
        question: str = BY_HAND,
        output_type: Any = None,
        **options: Unpack[RunOptions],
    ) -> RunStream:
        """`run_plan` as a stream of its events."""
        inputs = self._plan_inputs(plan, RunInputs(output_type=output_type, **options))
        return RunStream(lambda recorder: self._start(recorder, question, inputs))

    def _plan_inputs(self, plan: str | Plan, inputs: RunInputs) -> RunInputs:
        text = str(plan)
        if not text.strip():
            check_plan(text, ())
        if isinstance(plan, str):
            return replace(inputs, plan=text)
        own = {tool.name: tool.function for tool in (*self.tools, *ToolRegistry(inputs.tools))}
        more = [tool for tool in plan.tools if own.get(tool.name) is not tool.function]
        return replace(inputs, plan=text, tools=(*inputs.tools, *more))

    @overload
    def run_sync(
        self, question: str, *, output_type: type[OutputT], **options: Unpack[RunOptions]
    ) -> RunResult[OutputT]: ...

    @overload
    def run_sync(
        self, question: str, *, output_type: Any = None, **options: Unpack[RunOptions]
    ) -> RunResult[Any]: ...

    def run_sync(
        self, question: str, *, output_type: Any = None, **options: Unpack[RunOptions]
    ) -> RunResult[Any]:
        """`run` for code without an event loop. Takes the same options, and closes what it opened.

        Several threads may do this with one agent. Each opens its own engine and MCP servers.

        Raises:
            RunningLoopError: There is an event loop already. Await `run` there.
        """
        return self._sync(lambda agent: agent.run(question, output_type=output_type, **options))

    def _sync(self, work: Callable[[Self], Awaitable[RunResult[Any]]]) -> RunResult[Any]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RunningLoopError

        async def once() -> RunResult[Any]:
            async with self._unopened() as agent:
                return await work(agent)

        return asyncio.run(once())

    def stream(self, question: str, *, output_type: Any = None, **options: Unpack[RunOptions]) -> RunStream:
        """Run `question`, with options as for `run`, and yield its events as they happen.

            async with agent.stream("...") as events:
                async for envelope in events:
                    print(envelope.event)
            print(events.result.answer)

        `events.text()` yields the answer as it is written instead. Leaving the block or the loop cancels a
        run that is not over.
        """
        inbox = SteeringQueue()
        inputs = RunInputs(output_type=output_type, inbox=inbox, **options)
        return RunStream(lambda recorder: self._start(recorder, question, inputs), inbox)

    def as_tool(self, name: str, description: str, **limits: Any) -> Tool:
        """This agent as a tool of another one.

        A question to it is planned and run as a graph of its own, inside the outer run.

        Args:
            name: The tool's name in plans.
            description: What it can find out or do, for the planner.
            limits: `tokens`, `seconds` and `calls` of one question, within the outer run's budget. Also
                `max_concurrency` (4), and `effect`. Unless given, it is "mutating" for an agent that
                `may_mutate`, else "idempotent".
        """
        return agent_tool(self, name=name, description=description, **limits)

    @property
    def tools(self) -> ToolRegistry:
        """The tools of all runs. Those of MCP servers are among them once these are started."""
        return self._resources.tools

    @property
    def may_mutate(self) -> bool:
        """Whether one of its tools is mutating. So may be those of MCP servers that are not started yet."""
        return self.tools.has_mutating or self._resources.has_unknown_tools(self.spec)

    async def resume(
        self,
        run_id: str,
        *,
        output_type: Any = None,
        deps: Any = None,
        budget: Budget | None = None,
        tools: Sequence[Tool | Callable[..., Any]] = (),
        force: bool = False,
    ) -> RunResult[Any]:
        """Go on with a run whose process ended before it, that was stopped, or that failed.

        Question, plan, options and what was spent come from the journal. Nodes that ended are not run again.
        Of the other nodes, the effect of the tool decides (`braid.executors.tools.effects`): a mutating call
        whose outcome is unknown is never repeated. A run that was answered or declined says so again, and
        nothing is run.

        Args:
            run_id: The run's id, the beginning of it, or "last".
            output_type: As for `run`. It is not in the journal.
            deps: As for `run`. They are not in the journal.
            budget: Replaces the run's own budget. What was spent counts.
            tools: As for `run`. The journal has their fingerprints only.
            force: Go on although tools that the run needs have changed.

        Raises:
            UnknownRunError: There is no such run.
            RunBusyError: A live process works on it.
            JournalError: The journal cannot be read.
            BudgetExceededError: The time was over while the engine was opened. Nothing has changed then.
            ResumeRefusedError: The agent has no journal, or tools are missing or have changed.
        """
        inputs = RunInputs(output_type=output_type, deps=deps, budget=budget, tools=tools)
        return await self._resume(Recorder(), run_id, inputs, force=force)

    async def run_nested(
        self, question: str, *, run_id: str, deps: Any = None, budget: Budget | None = None
    ) -> RunResult[Any]:
        """`run` within the run of another agent.

        Where this agent has no person to ask, the outer run's person is asked. Where it has no journal, the
        outer run's journal records this run under `run_id`. When the outer run is resumed, this one is
        resumed too, and what its tools have done is not done again.
        """
        return await self._start(Recorder(), question, RunInputs(deps=deps, budget=budget), run_id)

    async def _start(
        self, recorder: Recorder, question: str, inputs: RunInputs, run_id: str | None = None
    ) -> RunResult[Any]:
        """Run, or go on with what an earlier process began as the same run within another one."""
        run_id = run_id or inputs.outer.next_run(question)
        if run_id is not None:
            recorder.run = run_id
            journal = self.journal or inputs.outer.journal
            if journal is not None and journal.get(run_id) is not None:
                return await self._resume(recorder, run_id, inputs)
        return await self._run(recorder, question, inputs)

    def resume_sync(self, run_id: str, **options: Any) -> RunResult[Any]:
        """`resume` for code without an event loop, as `run_sync` is for `run`."""
        return self._sync(lambda agent: agent.resume(run_id, **options))

    def stream_resume(self, run_id: str, *, force: bool = False, **options: Any) -> RunStream:
        """`resume` as a stream of its events, those of earlier processes first."""
        inbox = SteeringQueue()
        return RunStream(
            lambda recorder: self._resume(recorder, run_id, RunInputs(inbox=inbox, **options), force=force),
            inbox,
        )

    @property
    def journal(self) -> Journal | None:
        """The journal of this agent, opened now if it was not before. None if it keeps none.

        Raises:
            JournalError: It cannot be opened.
        """
        if self._journal is None and self._journal_option is not False:
            self._journal = open_journal(self._journal_option)
        return self._journal

    async def open(self) -> Engine:
        """The engine that plans, opened by `open_engines`."""
        return (await self.open_engines()).plan

    async def open_engines(self) -> OpenEngines:
        """The engines. They are opened, and MCP servers are started, if they were not before.

        Raises:
            EngineError: An engine cannot be reached.
            McpError: An MCP server cannot be reached.
        """
        return await self._resources.open(self.spec)

    def _unopened(self) -> Self:
        """This agent with nothing opened yet: what is opened belongs to one event loop."""
        agent = copy(self)
        agent._resources, agent._journal = self._resources.unopened(), None
        return agent

    async def close(self) -> None:
        """Close the engines that this agent opened. A later run opens its own again."""
        self._resources.check()
        journal, self._journal = self._journal, None
        if journal is not None and journal is not self._journal_option:
            journal.close()
        await self._resources.close()

    def _result_cache(self, secrets: Secrets) -> ResultCache:
        """Where results are kept for later runs: the cache that was given, the journal, or memory."""
        journal = self.journal
        if self.cache is not None or journal is None:
            return self._results
        from braid.executors.journal import StoredResults

        return StoredResults(journal, secrets)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, recorder: Recorder, question: str, inputs: RunInputs) -> RunResult[Any]:
        spec = self._spec_of(inputs)
        try:
            job = await self._job(question, spec, inputs)
        except BudgetExceededError as error:
            return never_begun(
                recorder, question.strip(), spec, _run_scope(inputs.budget or self.budget), error
            )
        journal = self.journal or inputs.outer.journal
        log = None if journal is None else enter_run(journal, recorder.run, job)
        if log is not None:
            recorder.write_to(log)
        job = replace(job, run_id=recorder.run, journal=log, live=recorder.live)
        recorder(
            RunStarted(
                question=job.question,
                engine=job.engine.info.uri,
                tools=tuple(spec.name for spec in job.tools.specs()),
                max_rounds=job.spec.max_rounds,
                sequential=job.spec.sequential,
                seed=job.spec.seed,
                engine_reason=job.spec.engine_reason,
            )
        )
        return await run_job(job, recorder)

    async def _resume(
        self, recorder: Recorder, run_id: str, inputs: RunInputs, *, force: bool = False
    ) -> RunResult[Any]:
        journal = self.journal or inputs.outer.journal
        if journal is None:
            raise ResumeRefusedError("this agent keeps no journal to resume from; make it with journal=True")
        row = journal.find(run_id)
        spec = stored_spec(row)
        if spec.review and self.review is None and not row.final:
            raise ResumeRefusedError(
                f"a person reviews the plans of run {row.id}, and nobody is there to do so; resume it at a "
                "terminal, or by an agent with review=..."
            )
        async with _run_scope(inputs.budget or self.budget).deadline():
            engines = await self._engines_for(spec, inputs, load=True)
        tools = self._tools_of(inputs)
        log, earlier = reopen_run(journal, row, tools)
        try:
            if not force and not row.final:
                check_tools(log.recorded, spec, tools)
                check_values(log.recorded)
            budget = inputs.budget or (spec.budget and spec.budget.budget())
            job = await self._job(row.question, spec, replace(inputs, budget=budget), engines=engines)
            for scope in (budget, job.budget):
                if scope is not None:
                    charge_earlier(scope, row.spent)
            events = [envelope.event for envelope in earlier]
            inbox = job.inbox or SteeringQueue()
            inbox.give_back(unheard_words(events))
            job = replace(
                job,
                run_id=row.id,
                journal=log,
                live=recorder.live,
                earlier=earlier_rounds(events),
                routed=next((event for event in events if isinstance(event, Routed)), None),
                refused={event.call for event in events if isinstance(event, ApprovalRefused)},
                inbox=inbox,
                secrets=log.secrets,
            )
            log.spending = lambda: spending(job.budget)
        except BaseException:
            log.close()
            raise
        recorder.write_to(log, earlier=earlier, quiet=row.final)
        recorder(RunResumed(done=len(log.recorded[0].known) if log.recorded else 0))
        return await run_job(job, recorder)

    async def job(self, question: str, **options: Unpack[RunOptions]) -> Job:
        """The job that `run` would do. The engine is opened, unless code answers in its place.

        It is for callers that drive planner or executors themselves. `options` are those of `run`.
        """
        inputs = RunInputs(**options)
        return await self._job(question, self._spec_of(inputs), inputs)

    def _spec_of(self, inputs: RunInputs) -> RunSpec:
        """The options of one run."""
        given = self._resources.given
        plan, think = map(address_of, given.wanted(self.spec.engine, self.spec.think_engine))
        chosen = (self.spec.engine if given.plan is None else given.plan) == AUTO
        return self.spec.for_run(
            settings=inputs.settings,
            instructions=inputs.instructions,
            output_retries=inputs.output_retries,
            engine=plan,
            engine_reason=choose_engine().reason if chosen else "",
            think_engine=None if think == plan else think,
            history=tuple(read_history(inputs.history)),
            turns=inputs.history.turns if isinstance(inputs.history, History) else (),
            sequential=inputs.sequential,
            budget=None if inputs.budget is None else BudgetLimits.of(inputs.budget),
            plan=inputs.plan or self.spec.plan,
            review=self.review is not None,
        )

    def _tools_of(self, inputs: RunInputs) -> ToolRegistry:
        """The tools of one run."""
        return ToolRegistry([*self.tools, *inputs.tools]) if inputs.tools else self.tools

    async def _job(
        self, question: str, spec: RunSpec, inputs: RunInputs, *, engines: OpenEngines | None = None
    ) -> Job:
        if not isinstance(question, str) or not question.strip():
            raise InvalidQuestionError(question)
        inputs.outer.check_depth()
        given = inputs.budget or self.budget
        if engines is None:
            async with _run_scope(given).deadline():
                engines = await self._engines_for(spec, inputs)
        tools = self._tools_of(inputs)
        job = Job(
            question=mend_text(question.strip()),
            spec=spec,
            engine=engines.plan,
            think_engine=engines.think,
            tools=tools,
            budget=_run_scope(given),
            history=spec.history,
            secrets=Secrets(schemas={spec.name: spec.parameters for spec in tools.specs()}),
            output_type=self.output_type if inputs.output_type is None else inputs.output_type,
            approve=self.approve or inputs.outer.lent(inputs.outer.approve),
            ask=self.ask or inputs.outer.lent(inputs.outer.ask),
            verifier=self.verifier,
            deps=inputs.deps,
            replan=self.replan,
            inbox=inputs.inbox,
            review=self.review,
            depth=inputs.outer.depth + 1,
        )
        if any(isinstance(engine, DeferredEngine) for engine in (engines.plan, engines.think)):
            await asyncio.to_thread(load_tables)
            if not await answered_by_code(job):
                async with job.budget.deadline():
                    engines = await self._resources.open(spec)
        budget = _run_scope(given)  # its clock starts now, those of the scopes above run on
        for engine in (engines.plan, engines.think):
            if not isinstance(engine, AbsentEngine):  # a limit that cannot hold is an error now
                budget.price_of(engine.info.uri, engine.info.model)
        history = spec.history
        if self.history_processors:
            async with budget.deadline():
                with use_budget(budget):
                    history = await processed(history, self.history_processors)
        memo = CallMemo(self._result_cache(job.secrets), for_all=self.cache is not None)
        return replace(
            job, engine=engines.plan, think_engine=engines.think, budget=budget, history=history, memo=memo
        )

    async def _engines_for(self, spec: RunSpec, inputs: RunInputs, *, load: bool = False) -> OpenEngines:
        """The engines of a run. A plan that was written by hand and never thinks gets none.

        With `load` they are loaded in any case, also where code may answer in their place.

        Raises:
            InvalidPlanError: The plan has mistakes.
        """
        if spec.plan:
            async with self._resources.opening(spec):
                nodes = check_plan(spec.plan, self._tools_of(inputs).specs())
            if not thinks(nodes):
                return OpenEngines(plan=AbsentEngine(), think=AbsentEngine())
        return await self._resources.open(spec, load=load or bool(spec.plan))


def _run_scope(given: Budget | None) -> Budget:
    """The scope of one run: below the budget that was given. Its spending counts in the ambient one too."""
    ambient = ambient_budget()
    return ambient.child("run") if given is None else Budget(name="run", parent=given, within=ambient)
