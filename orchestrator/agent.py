"""The Agent: a question in, an answer with its whole story out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from braid.engine import Budget, Engine, Message, connect
from braid.engine.scope import ambient_budget
from braid.executors import Limits, Tool, ToolRegistry
from braid.executors.scheduler import Approve, AskPerson, Replan, SteeringQueue
from braid.executors.tools import CallMemo, MemoryResults, ResultCache
from braid.orchestrator.default_tools import registry_of
from braid.orchestrator.errors import (
    ConfigurationError,
    InvalidQuestionError,
    ResumeRefusedError,
    RunningLoopError,
)
from braid.orchestrator.events import JournalFailed, RunResumed, RunStarted
from braid.orchestrator.history import read_history
from braid.orchestrator.loop import Job, carry_out
from braid.orchestrator.recorder import Recorder
from braid.orchestrator.result import RunResult
from braid.orchestrator.resume import (
    JournalOption,
    as_started,
    book_earlier,
    check_tools,
    open_journal,
    restored_budget,
    start_log,
    take_up,
)
from braid.orchestrator.settings import load_settings
from braid.orchestrator.stream import RunStream
from braid.orchestrator.subagents import NO_RUN, OuterRun, agent_tool, outer_run

if TYPE_CHECKING:
    from braid.executors.journal import Journal, RunLog
    from braid.executors.mcp import McpServer, McpTools

OutputT = TypeVar("OutputT")
DEFAULT_REPLAN = Replan()


class Agent:
    """Plans a question as a graph of tool calls and thoughts, runs the graph, and answers.

        agent = Agent(tools=[population])
        result = await agent.run("Which has more people, France or Italy, and by how much?")

    Args:
        engine: an engine, or the address of one, which is then opened when it is first needed, shared by all runs, and
            closed by `close()` or `async with agent:`. None takes the address of the settings (`BRAID_ENGINE`), and for a run
            that is resumed the engine that it had.
        tools: tools or typed functions. None stands for all built-in tools and those of installed plugins; a list is
            used together with `calculate` and `rank`, unless `builtins=False`.
        output_type: what `result.output` shall be: anything pydantic validates.
        mcp: a configuration file of MCP servers, or the servers; they are started with the engine, stopped by `close()`, and
            add their tools. None takes the file of the settings (`BRAID_MCP`), if there is one.
        instructions: told to the planner in every run.
        budget: limits for all runs of this agent together; `run(budget=...)` takes the place of it for one run.
        max_rounds: how many plans a run may write before it gives up.
        max_repairs: how often one plan may be sent back for statements that are not valid.
        approve: asked before a mutating tool runs; without it mutating tools are refused.
        ask: puts a plan's question to a person.
        replan: when the graph is revised while it runs, everything else going on: by default as soon as a failure blocks
            something. A revision counts as a round. None: only when nothing more can run.
        seed: fixes what is drawn at random.
        threads: CPU threads of a local engine that is given by its address.
        cache: keeps results of pure tools for later runs. Without one, equal calls are made once within a run, and of tools
            with `cache="always"` once for this agent.
        journal: where runs are written down as they happen, so that `resume` can go on with one whose process ended: True for
            the user's own journal (`braid runs`), a file, or an open `braid.executors.Journal`.

    Raises:
        ToolDefinitionError: a function cannot be a tool, or two have one name.
        ConfigurationError: a limit or a setting makes no sense.
    """

    def __init__(
        self,
        engine: str | Engine | None = None,
        *,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        builtins: bool = True,
        mcp: str | Path | Sequence[McpServer] | None = None,
        output_type: Any = None,
        instructions: str | None = None,
        budget: Budget | None = None,
        max_rounds: int | None = None,
        max_repairs: int | None = None,
        limits: Limits | None = None,
        approve: Approve | None = None,
        ask: AskPerson | None = None,
        replan: Replan | None = DEFAULT_REPLAN,
        seed: int | None = None,
        threads: int | None = None,
        journal: JournalOption = False,
        cache: ResultCache | None = None,
    ) -> None:
        settings = load_settings()
        self.tools = registry_of(tools, builtins=builtins)
        self.output_type = output_type
        self.instructions = instructions
        self.budget = budget
        self.max_rounds = settings.max_rounds if max_rounds is None else max_rounds
        self.max_repairs = settings.max_repairs if max_repairs is None else max_repairs
        self.limits = limits or Limits()
        self.approve = approve
        self.ask = ask
        self.replan = replan
        self.cache = cache
        self._kept: ResultCache = MemoryResults() if cache is None else cache
        self.seed = settings.seed if seed is None else seed
        for name, value, least in (("max_rounds", self.max_rounds, 1), ("max_repairs", self.max_repairs, 0)):
            if value < least:
                raise ConfigurationError(f"{name} must be at least {least}, got {value!r}")
        self._address = settings.engine if engine is None else engine
        self._any_engine = engine is None
        self._journal_option = journal
        self._journal: Journal | None = None
        self._threads = settings.threads if threads is None else threads
        self._mcp = settings.mcp if mcp is None else mcp
        self._without_mcp = self.tools
        self._mcp_tools: McpTools | None = None
        self._opened: dict[str, Engine] = {}
        self._opening = asyncio.Lock()

    @overload
    async def run(
        self,
        question: str,
        *,
        output_type: type[OutputT],
        deps: Any = None,
        history: Sequence[Message] | None = None,
        budget: Budget | None = None,
        sequential: bool = False,
    ) -> RunResult[OutputT]: ...

    @overload
    async def run(
        self,
        question: str,
        *,
        output_type: Any = None,
        deps: Any = None,
        history: Sequence[Message] | None = None,
        budget: Budget | None = None,
        sequential: bool = False,
    ) -> RunResult[Any]: ...

    async def run(
        self,
        question: str,
        *,
        output_type: Any = None,
        deps: Any = None,
        history: Sequence[Message] | None = None,
        budget: Budget | None = None,
        sequential: bool = False,
    ) -> RunResult[Any]:
        """Answer `question`.

        A budget or the last round may end the run early: `result.stopped` then says why, and `result.answer` holds what was
        found out by then. Cancelling this coroutine stops everything the run started.

        Args:
            output_type: takes the place of the agent's.
            deps: handed to tools through `ToolContext.deps`.
            history: messages of earlier runs, such as `earlier.history`.
            budget: limits for this run; those of the budget in whose scope it is called hold as well.
            sequential: run one node at a time, in plan order: the baseline of every speed-up.

        Raises:
            InvalidQuestionError, InvalidHistoryError: these cannot be used.
            OutputTypeError: the answer does not fit `output_type`.
            EngineError: the engine cannot be reached, or failed.
            JournalError: the journal cannot be written; nothing has begun then.
        """
        return await self._run(
            Recorder(),
            question,
            output_type=output_type,
            deps=deps,
            history=history,
            budget=budget,
            sequential=sequential,
        )

    def run_sync(self, question: str, **options: Any) -> RunResult[Any]:
        """`run` for code without an event loop; takes the same options, and closes what it opened.

        Raises:
            RunningLoopError: there is an event loop already; await `run` there.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RunningLoopError

        async def once() -> RunResult[Any]:
            async with self:
                return await self.run(question, **options)

        return asyncio.run(once())

    def stream(self, question: str, **options: Any) -> RunStream:
        """Run `question` (options as for `run`) and yield its events as they happen.

            async with agent.stream("...") as events:
                async for envelope in events:
                    print(envelope.event)
            print(events.result.answer)

        Leaving the block, or the loop, cancels a run that is not over.
        """
        inbox = SteeringQueue()
        return RunStream(lambda recorder: self._run(recorder, question, inbox=inbox, **options), inbox)

    def as_tool(self, name: str, description: str, **limits: Any) -> Tool:
        """This agent as a tool of another one: its question is planned and run as a graph of its own, inside the outer run.

        Args:
            name: what plans call it.
            description: what it can find out or do, for the planner.
            limits: `tokens`, `seconds` and `calls` of one question, within the outer run's budget; `max_concurrency`
                (4); `effect` ("idempotent").
        """
        return agent_tool(self, name=name, description=description, **limits)

    async def resume(
        self,
        run_id: str,
        *,
        output_type: Any = None,
        deps: Any = None,
        budget: Budget | None = None,
        force: bool = False,
    ) -> RunResult[Any]:
        """Go on with a run whose process ended before it, that was stopped, or that failed.

        Question, plan, options and what was spent come from the journal. Nodes that ended are not run again; what had not ended
        is, by the effect of its tool: mutating calls whose fate is unknown are never repeated (`braid.executors.tools.effects`). The
        result of a run that has its answer is given again, and nothing is run.

        Args:
            run_id: the run's id or the beginning of it, or "last".
            output_type, deps: as for `run`; they are not in the journal.
            budget: takes the place of the run's own; what was spent counts.
            force: go on although tools that the run needs have changed.

        Raises:
            UnknownRunError, RunBusyError, JournalError: it cannot be read, or is being worked on.
            ResumeRefusedError: the agent has no journal, or tools are missing or have changed.
        """
        return await self._resume(
            Recorder(), run_id, output_type=output_type, deps=deps, budget=budget, force=force
        )

    async def run_nested(
        self, question: str, *, run_id: str, deps: Any = None, budget: Budget | None = None
    ) -> RunResult[Any]:
        """`run` within the run of another agent, with that one's person to ask where this agent has none of its own.

        Where that one has a journal, it has this run too, by `run_id`: when the outer run is resumed, so is this one, and what
        its tools have done is not done again.
        """
        within = outer_run()
        journal = self.journal or within.journal
        recorder = Recorder()
        recorder.run = run_id
        if journal is not None and journal.get(run_id) is not None:
            return await self._resume(
                recorder, run_id, deps=deps, budget=budget, journal=journal, within=within
            )
        return await self._run(recorder, question, deps=deps, budget=budget, journal=journal, within=within)

    def stream_resume(self, run_id: str, **options: Any) -> RunStream:
        """`resume` as a stream of its events, those of earlier processes first."""
        inbox = SteeringQueue()
        return RunStream(lambda recorder: self._resume(recorder, run_id, inbox=inbox, **options), inbox)

    @property
    def journal(self) -> Journal | None:
        """The journal of this agent, opened now if it was not before; None if it keeps none. Raises `JournalError`."""
        if self._journal is None and self._journal_option is not False:
            self._journal = open_journal(self._journal_option)
        return self._journal

    async def open(self) -> Engine:
        """The engine, opened now if it was not before, and MCP servers started.

        Raises:
            EngineError, McpError: one of these cannot be reached.
        """
        return await self._open(self._address)

    async def _open(self, engine: str | Engine) -> Engine:
        async with self._opening:
            if self._mcp is not None and self._mcp_tools is None:
                await self._start_servers(self._mcp)
            if isinstance(engine, Engine):
                return engine
            if engine not in self._opened:
                local = engine.startswith("local:") and self._threads is not None
                self._opened[engine] = await connect(engine, **({"threads": self._threads} if local else {}))
            return self._opened[engine]

    async def close(self) -> None:
        """Close the engines that this agent opened. A later run opens its own again."""
        opened, self._opened = self._opened, {}
        self._opening = asyncio.Lock()  # a lock stays with its event loop, the agent need not
        servers, self._mcp_tools = self._mcp_tools, None
        journal, self._journal = self._journal, None
        if journal is not None and journal is not self._journal_option:
            journal.close()
        self.tools = self._without_mcp
        async with AsyncExitStack() as closing:
            for engine in opened.values():
                closing.push_async_callback(engine.close)
            if servers is not None:
                closing.push_async_exit(servers)

    def _results(self) -> ResultCache:
        """Where results for later runs are kept: with a journal, beside it."""
        journal = self.journal
        if self.cache is not None or journal is None:
            return self._kept
        from braid.executors.journal import StoredResults

        return StoredResults(journal)

    async def _start_servers(self, mcp: str | Path | Sequence[McpServer]) -> None:
        from braid.executors.mcp import McpTools, read_mcp_config

        servers = await McpTools(read_mcp_config(mcp) if isinstance(mcp, (str, Path)) else mcp).__aenter__()
        try:
            self.tools = ToolRegistry([*self._without_mcp, *servers])
        except BaseException:
            await servers.__aexit__(None, None, None)
            raise
        self._mcp_tools = servers

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(
        self,
        recorder: Recorder,
        question: str,
        *,
        output_type: Any = None,
        deps: Any = None,
        history: Sequence[Message] | None = None,
        budget: Budget | None = None,
        sequential: bool = False,
        inbox: SteeringQueue | None = None,
        journal: Journal | None = None,
        within: OuterRun = NO_RUN,
    ) -> RunResult[Any]:
        job = await self.job(
            question,
            deps=deps,
            history=history,
            budget=budget,
            sequential=sequential,
            inbox=inbox,
            within=within,
        )
        log = self._start_log(journal or self.journal, job, recorder, budget)
        job = replace(job, run_id=recorder.run, journal=log)
        recorder(
            RunStarted(
                question=job.question,
                engine=job.engine.info.uri,
                tools=tuple(spec.name for spec in self.tools.specs()),
                max_rounds=job.max_rounds,
                sequential=sequential,
                seed=job.seed,
            )
        )
        return await carry_out(job, self._wanted(output_type), recorder, log)

    async def _resume(
        self,
        recorder: Recorder,
        run_id: str,
        *,
        output_type: Any = None,
        deps: Any = None,
        budget: Budget | None = None,
        force: bool = False,
        inbox: SteeringQueue | None = None,
        journal: Journal | None = None,
        within: OuterRun = NO_RUN,
    ) -> RunResult[Any]:
        journal = journal or self.journal
        if journal is None:
            raise ResumeRefusedError("this agent keeps no journal to resume from; make it with journal=True")
        row = journal.find(run_id)
        engine = await self._open(row.spec["engine"] if self._any_engine else self._address)
        log, earlier = take_up(journal, row, self.tools)
        try:
            if not force and row.status != "answered":
                check_tools(log.pasts, row.spec, self.tools)
            own = budget or restored_budget(row.spec)
            job = await self.job(
                row.question, engine=engine, deps=deps, budget=own, inbox=inbox, within=within
            )
            for scope in (own, job.budget):
                if scope is not None:
                    book_earlier(scope, row.spent)
            job = as_started(row, job, log, earlier)
        except BaseException:
            log.close()
            raise
        log.on_failure = lambda error: recorder(JournalFailed(error=str(error)))
        recorder.write_to(log, earlier=earlier, quiet=row.status == "answered")
        recorder(RunResumed(done=len(log.pasts[0].known) if log.pasts else 0))
        return await carry_out(job, self._wanted(output_type), recorder, log)

    def _start_log(
        self, journal: Journal | None, job: Job, recorder: Recorder, budget: Budget | None
    ) -> RunLog | None:
        if journal is None:
            return None
        address = job.engine.info.uri if isinstance(self._address, Engine) else self._address
        log = start_log(
            journal,
            recorder.run,
            job,
            engine=address,
            budget=budget,
            threads=self._threads,
            mcp=str(self._mcp) if isinstance(self._mcp, (str, Path)) else None,
        )
        log.on_failure = lambda error: recorder(JournalFailed(error=str(error)))
        recorder.write_to(log)
        return log

    def _wanted(self, output_type: Any) -> Any:
        return self.output_type if output_type is None else output_type

    async def job(
        self,
        question: str,
        *,
        engine: Engine | None = None,
        deps: Any = None,
        history: Sequence[Message] | None = None,
        budget: Budget | None = None,
        sequential: bool = False,
        inbox: SteeringQueue | None = None,
        within: OuterRun = NO_RUN,
    ) -> Job:
        """What `run` would do, with the engine opened: for callers that drive planner or executors themselves.

        `engine` takes the place of the agent's.
        """
        if not isinstance(question, str) or not question.strip():
            raise InvalidQuestionError(question)
        earlier = read_history(history)
        return Job(
            question=question.strip(),
            engine=await self.open() if engine is None else engine,
            tools=self.tools,
            budget=_run_scope(budget or self.budget),
            memo=CallMemo(self._results(), for_all=self.cache is not None),
            history=tuple(earlier),
            instructions=self.instructions or "",
            max_rounds=self.max_rounds,
            max_repairs=self.max_repairs,
            limits=self.limits,
            sequential=sequential,
            approve=self.approve or within.approve,
            ask=self.ask or within.ask,
            deps=deps,
            seed=self.seed,
            replan=self.replan,
            inbox=inbox,
        )


def _run_scope(given: Budget | None) -> Budget:
    """The scope of one run: below the budget that it was given, and within the ambient one, which is charged too."""
    ambient = ambient_budget()
    return ambient.child("run") if given is None else Budget(name="run", parent=given, within=ambient)
