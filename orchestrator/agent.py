"""The Agent: a question in, an answer with its whole story out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from engine import (
    Budget,
    BudgetExceededError,
    Engine,
    Message,
    Usage,
    ambient_budget,
    connect,
    use_budget,
)
from executors import (
    Approve,
    AskPerson,
    Limits,
    Tool,
)
from orchestrator.errors import ConfigurationError, InvalidQuestionError, RunningLoopError
from orchestrator.events import Recorder, RunAnswered, RunFailed, RunFinished, RunStarted
from orchestrator.feedback import partial_answer
from orchestrator.history import extended, read_history
from orchestrator.loop import Job, run_rounds
from orchestrator.outputs import answer_text, plain_output, typed_output
from orchestrator.result import RunResult, total_usage
from orchestrator.settings import load_settings
from orchestrator.stream import RunStream
from orchestrator.toolbox import registry_of
from planner.events import PlannerFinished

OutputT = TypeVar("OutputT")


class Agent:
    """Plans a question as a graph of tool calls and thoughts, runs the graph, and answers.

        agent = Agent(tools=[population])
        result = await agent.run("Which has more people, France or Italy, and by how much?")

    Args:
        engine: an engine, or the address of one, which is then opened when it is first needed, shared by all runs, and
            closed by `close()` or `async with agent:`. None takes the address of the settings (`BRAID_ENGINE`).
        tools: tools or typed functions. None stands for all built-in tools and those of installed plugins; a list is
            used together with `calculate` and `rank`, unless `builtins=False`.
        output_type: what `result.output` shall be: anything pydantic validates.
        instructions: told to the planner in every run.
        budget: limits for all runs of this agent together; `run(budget=...)` takes the place of it for one run.
        max_rounds: how many plans a run may write before it gives up.
        max_repairs: how often one plan may be sent back for statements that are not valid.
        approve: asked before a mutating tool runs; without it mutating tools are refused.
        ask: puts a plan's question to a person.
        seed: fixes what is drawn at random.
        threads: CPU threads of a local engine that is given by its address.

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
        output_type: Any = None,
        instructions: str | None = None,
        budget: Budget | None = None,
        max_rounds: int | None = None,
        max_repairs: int | None = None,
        limits: Limits | None = None,
        approve: Approve | None = None,
        ask: AskPerson | None = None,
        seed: int | None = None,
        threads: int | None = None,
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
        self.seed = settings.seed if seed is None else seed
        for name, value, least in (("max_rounds", self.max_rounds, 1), ("max_repairs", self.max_repairs, 0)):
            if value < least:
                raise ConfigurationError(f"{name} must be at least {least}, got {value!r}")
        self._address = settings.engine if engine is None else engine
        self._threads = settings.threads if threads is None else threads
        self._opened: Engine | None = None
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
            budget: limits for this run.
            sequential: run one node at a time, in plan order: the baseline of every speed-up.

        Raises:
            InvalidQuestionError, InvalidHistoryError: these cannot be used.
            OutputTypeError: the answer does not fit `output_type`.
            EngineError: the engine cannot be reached, or failed.
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
        return RunStream(lambda recorder: self._run(recorder, question, **options))

    async def open(self) -> Engine:
        """The engine, opened now if it was not before."""
        if isinstance(self._address, Engine):
            return self._address
        async with self._opening:
            if self._opened is None:
                local = self._address.startswith("local:") and self._threads is not None
                self._opened = await connect(self._address, **({"threads": self._threads} if local else {}))
            return self._opened

    async def close(self) -> None:
        """Close the engine if this agent opened it. A later run opens it again."""
        opened, self._opened = self._opened, None
        self._opening = asyncio.Lock()  # a lock stays with its event loop, the agent need not
        if opened is not None:
            await opened.close()

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
    ) -> RunResult[Any]:
        job = await self.job(question, deps=deps, history=history, budget=budget, sequential=sequential)
        wanted = self.output_type if output_type is None else output_type
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
        try:
            with use_budget(job.budget):
                return await self._finish(job, wanted, recorder)
        except BaseException as error:
            recorder(RunFailed(error=f"{type(error).__name__}: {error}"))
            raise

    async def _finish(self, job: Job, wanted: Any, recorder: Recorder) -> RunResult[Any]:
        began = time.monotonic()
        ending = await run_rounds(job, recorder)
        planned = [e.event for e in recorder.envelopes if isinstance(e.event, PlannerFinished)]
        usage = total_usage(planned, ending.outcomes)
        stopped, reason, output = ending.stopped, ending.reason, None
        if ending.values is None:
            answer = partial_answer(ending.graph, ending.outcomes[-1])
        else:
            answer = answer_text(ending.values)
            recorder(RunAnswered(answer=answer))
            try:
                output, more = await self._output(ending.values, wanted, job)
                usage = usage.then(more)
            except BudgetExceededError as error:
                stopped, reason = "budget", str(error)
        seconds = time.monotonic() - began
        rounds = len(ending.outcomes)
        recorder(RunFinished(answer=answer, rounds=rounds, seconds=seconds, stopped=stopped, reason=reason))
        return RunResult(
            question=job.question,
            answer=answer,
            output=output,
            graph=ending.graph,
            plan="\n".join(event.plan.rstrip("\n") for event in planned),
            rounds=rounds,
            usage=usage,
            engine=job.engine.info.uri,
            seconds=seconds,
            planning_seconds=sum(event.seconds for event in planned),
            stopped=stopped,
            reason=reason,
            events=tuple(recorder.envelopes),
            history=tuple(extended(job.history, job.question, answer)),
            root=ending.root,
        )

    async def _output(self, values: tuple[Any, ...], wanted: Any, job: Job) -> tuple[Any, Usage]:
        if wanted is None:
            return plain_output(values), Usage()
        return await typed_output(
            values, wanted, question=job.question, engine=job.engine, budget=job.budget, seed=job.seed
        )

    async def job(
        self,
        question: str,
        *,
        deps: Any = None,
        history: Sequence[Message] | None = None,
        budget: Budget | None = None,
        sequential: bool = False,
    ) -> Job:
        """What `run` would do, with the engine opened: for callers that drive planner or executors themselves."""
        if not isinstance(question, str) or not question.strip():
            raise InvalidQuestionError(question)
        earlier = read_history(history)
        return Job(
            question=question.strip(),
            engine=await self.open(),
            tools=self.tools,
            budget=(budget or self.budget or ambient_budget()).child("run"),
            history=tuple(earlier),
            instructions=self.instructions or "",
            max_rounds=self.max_rounds,
            max_repairs=self.max_repairs,
            limits=self.limits,
            sequential=sequential,
            approve=self.approve,
            ask=self.ask,
            deps=deps,
            seed=self.seed,
        )
