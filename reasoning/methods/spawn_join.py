"""`spawn_join`: the model decides itself what to think side by side.

Adaptive Parallel Reasoning, arXiv 2504.15466. The parent writes until it spawns. Each thread that it names is
a sequence of its own, and the threads run side by side. A join takes the place of the list of threads, and
the parent goes on from there. What failed threads wrote is never read.

It works on any engine. The parent stops in front of its spawn mark, and that Context is kept. The list of
threads is written on one fork of it. The joined text goes onto another. Nothing is cut or read twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from braid.engine import Completion, Context, InvalidParamsError, SamplingParams, Usage
from braid.reasoning.answers import extract_answer
from braid.reasoning.method import Candidate, MethodRun, Solution, method
from braid.reasoning.pool import refuse_options


@dataclass(frozen=True, kw_only=True)
class ThreadCall:
    """A thread that the parent asks for."""

    name: str
    """Its name in the join."""
    prompt: str
    """What it reads."""


@dataclass(frozen=True, kw_only=True)
class ThreadResult:
    """What became of a thread."""

    call: ThreadCall
    text: str
    """What it wrote."""
    finished: bool
    """Whether it came to an end before its limit."""


class ThreadFormat(Protocol):
    """How a model writes threads."""

    @property
    def spawn(self) -> str:
        """The string that opens a list of threads."""
        ...

    @property
    def close(self) -> str:
        """The string that closes a list of threads."""
        ...

    @property
    def start(self) -> Literal["fresh", "forked"]:
        """What a thread reads before its prompt: nothing, or the parent's text up to the end of the list."""
        ...

    def calls(self, problem: str, block: str) -> Sequence[ThreadCall]:
        """The threads that a list names.

        Args:
            problem: The text of the problem.
            block: The text between `spawn` and `close`.

        Raises:
            ValueError: The text is no list of threads.
        """
        ...

    def join(self, results: Sequence[ThreadResult]) -> str:
        """The text that the parent reads in place of the list. It holds what successful threads found."""
        ...


@dataclass(frozen=True)
class TokenSpan:
    """The work on one sequence.

    Marks that end a completion (stop strings, end of text) are not counted.
    """

    start: int
    """Its first token. The tokens before it were computed elsewhere and are shared."""
    end: int
    """The token behind its last one."""


@dataclass(frozen=True, kw_only=True)
class ThreadedSolution(Solution):
    """A solution with the shape of the work behind it."""

    threads: int
    """Number of threads that ran."""
    spans: tuple[TokenSpan, ...]
    """The work on each sequence, reading included and the problem's own text left out.

    The sizes add up to all tokens computed.
    """

    @property
    def longest_sequence(self) -> int:
        """Tokens of the longest sequence, its prompt included: the context window that was needed."""
        return max((span.end for span in self.spans), default=0)


@method("spawn_join", closed=True)
async def spawn_join(
    run: MethodRun,
    problem: Context,
    *,
    threads: ThreadFormat | None = None,
    window: int = 256,
    temperature: float = 0.0,
    top_p: float = 1.0,
    max_rounds: int = 4,
    extract: Callable[[str], str | None] = extract_answer,
    **unknown: Any,
) -> ThreadedSolution:
    """Let the model spawn threads, run them side by side, join, and go on.

    A list of threads that cannot be read, or does not end within the window, ends the work without an answer.
    The solution's reason says so.

    Args:
        run: Engine, budget and seed.
        problem: Where the parent goes on.
        threads: How the model writes threads. Required.
        window: Tokens that each sequence, parent or thread, may hold, prompt included.
        temperature: Of all sampling.
        top_p: Of all sampling.
        max_rounds: Number of joins that are allowed.
        extract: Reads the answer out of the parent's last text.
        **unknown: Refused.

    Raises:
        InvalidParamsError: `threads` is missing, or an option is unknown.
    """
    refuse_options("spawn_join", unknown)
    if threads is None:
        raise InvalidParamsError(
            "method 'spawn_join' needs threads=, the way in which the model writes threads"
        )
    work = _ThreadedWork(
        run=run,
        problem=problem,
        thread_format=threads,
        window=window,
        temperature=temperature,
        top_p=top_p,
    )
    with ExitStack() as held:
        text, reason = await work.write_parent(held, max_rounds)
    answer = None if text is None else extract(text)
    candidate = Candidate(
        text=text or "", answer=answer, critical_path_tokens=work.usage.critical_path_tokens
    )
    return ThreadedSolution(
        answer=answer or "",
        candidates=(candidate,),
        reason=reason if answer else f"{reason}; no answer",
        usage=work.usage,
        confidence=None if answer else 0.0,
        threads=work.threads,
        spans=tuple(work.spans),
    )


@dataclass(kw_only=True)
class _ThreadedWork:
    """One run of the method: its options, and what it cost so far."""

    run: MethodRun
    problem: Context
    thread_format: ThreadFormat
    window: int
    temperature: float
    top_p: float
    usage: Usage = field(default_factory=Usage)
    threads: int = 0
    spans: list[TokenSpan] = field(default_factory=lambda: list[TokenSpan]())

    async def write_parent(self, held: ExitStack, max_rounds: int) -> tuple[str | None, str]:
        """Let the parent write to its end.

        Args:
            held: Closing it releases the Contexts that were made.
            max_rounds: Number of joins that are allowed.

        Returns:
            The parent's last text, or None if it has none, and what happened.
        """
        engine, budget = self.run.engine, self.run.budget
        full = f"the window of {self.window} tokens is full"
        context, known = self.problem, self.problem.token_count
        for joins in range(max_rounds + 1):
            segment = await self._write(context, known, (self.thread_format.spawn,), 0, joins)
            if segment is None:
                return None, full
            held.callback(segment.context.release)
            if segment.stop_hit is None:
                return segment.text, f"{joins} joins of {self.threads} threads"
            if joins == max_rounds:
                break
            known = segment.context.token_count
            opened = await engine.extend(segment.context, self.thread_format.spawn, budget=budget)
            held.callback(opened.release)
            block = await self._write(opened, known, (self.thread_format.close,), 1, joins)
            if block is None:
                return None, full
            held.callback(block.context.release)
            if block.stop_hit is None:
                return None, "the list of threads has no end"
            try:
                calls = self.thread_format.calls(self.problem.text, block.text)
            except ValueError as error:
                return None, f"the list of threads cannot be read: {error}"
            results = await self._run_threads(block.context, calls, joins)
            context = await engine.extend(segment.context, self.thread_format.join(results), budget=budget)
            held.callback(context.release)
        return None, f"no end after {max_rounds} joins"

    async def _run_threads(
        self, parent: Context, calls: Sequence[ThreadCall], joins: int
    ) -> list[ThreadResult]:
        """Run threads side by side. Returns what they wrote, in the order of `calls`."""
        engine, budget = self.run.engine, self.run.budget
        found: dict[int, ThreadResult] = {}
        usages: dict[int, Usage] = {}

        async def run_thread(index: int, call: ThreadCall, base: Context | None) -> None:
            start = (
                await engine.prefill(call.prompt, budget=budget)
                if base is None
                else await engine.extend(base, call.prompt, budget=budget)
            )
            async with start:
                known = 0 if base is None else base.token_count
                written = await self._complete(start, known, (), 2 + index, joins)
                usages[index] = start.usage if written is None else start.usage.then(written.usage)
                if written is None:
                    found[index] = ThreadResult(call=call, text="", finished=False)
                    return
                written.context.release()
                finished = written.finish_reason == "stop"
                found[index] = ThreadResult(call=call, text=written.text, finished=finished)

        async with AsyncExitStack() as stack:
            base = None
            if self.thread_format.start == "forked":
                base = await stack.enter_async_context(
                    await engine.extend(parent, self.thread_format.close, budget=budget)
                )
            async with asyncio.TaskGroup() as group:
                for index, call in enumerate(calls):
                    group.create_task(run_thread(index, call, base))
        self.threads += len(calls)
        self.usage = self.usage.then(Usage.parallel(usages.values()))
        return [found[index] for index in range(len(calls))]

    async def _write(
        self, context: Context, known: int, stop: tuple[str, ...], *place: int
    ) -> Completion | None:
        """Let the parent go on from `context`.

        What `context` adds to the problem is charged to the parent.
        """
        if context is not self.problem:
            self.usage = self.usage.then(context.usage)
        completion = await self._complete(context, known, stop, *place)
        if completion is not None:
            self.usage = self.usage.then(completion.usage)
        return completion

    async def _complete(
        self, context: Context, known: int, stop: tuple[str, ...], *place: int
    ) -> Completion | None:
        """Go on from `context` to a stop string, the end, or the edge of the window.

        Args:
            context: What is gone on from.
            known: Tokens of `context` that were counted before.
            stop: Strings that end the text.
            *place: The place of this completion in the run, for its seed.

        Returns:
            The completion. None if the window is full already.
        """
        room = self.window - context.token_count
        if room < 1:
            self.spans.append(TokenSpan(known, context.token_count))
            return None
        params = SamplingParams(
            max_tokens=room,
            temperature=self.temperature,
            top_p=self.top_p,
            stop=stop,
            seed=self.run.sampling_seed(*place),
        )
        (completion,) = await self.run.engine.generate(context, params, budget=self.run.budget)
        self.spans.append(TokenSpan(known, completion.context.token_count))
        return completion
