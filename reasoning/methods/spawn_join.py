"""`spawn_join`: the model decides itself what to think side by side (Adaptive Parallel Reasoning, arXiv 2504.15466).

The parent writes until it spawns; each thread it names is a sequence of its own, and they run side by side; a join takes the
place of the list of threads, and the parent goes on from there. What failed threads wrote is never read by anyone.

Written so that it works on any engine: the parent stops in front of its spawn mark, and that Context is kept. The list of
threads is written on one fork of it, the joined text goes onto another; nothing is cut or read twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from braid.engine import Completion, Context, InvalidParamsError, SamplingParams, Usage
from braid.reasoning.answers import extract_answer
from braid.reasoning.method import Candidate, MethodRun, Solution, method
from braid.reasoning.methods.self_consistency import refuse_options


@dataclass(frozen=True, kw_only=True)
class ThreadCall:
    """A thread that the parent asks for: its name in the join, and what it reads."""

    name: str
    prompt: str


@dataclass(frozen=True, kw_only=True)
class ThreadResult:
    """What a thread wrote, and whether it came to an end before its limit."""

    call: ThreadCall
    text: str
    finished: bool


class ThreadFormat(Protocol):
    """How a model writes threads.

    `spawn` and `close` are the strings that open and close its list of threads. A thread starts `fresh`, with its prompt alone,
    or `forked`, with its prompt behind the parent's text up to the end of the list.
    """

    @property
    def spawn(self) -> str: ...
    @property
    def close(self) -> str: ...
    @property
    def start(self) -> Literal["fresh", "forked"]: ...

    def calls(self, problem: str, block: str) -> Sequence[ThreadCall]:
        """The threads in `block`, the text between `spawn` and `close`. Raises `ValueError` for what is no such list."""
        ...

    def join(self, results: Sequence[ThreadResult]) -> str:
        """The text that the parent reads in place of the list; it holds what successful threads found."""
        ...


@dataclass(frozen=True)
class TokenSpan:
    """Work on one sequence: its tokens from `start` (what was computed before is shared) to `end`.

    Marks that end a completion (stop strings, end of text) are not counted.
    """

    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class ThreadedSolution(Solution):
    """A solution with the shape of the work behind it.

    Args:
        threads: threads that ran.
        spans: the work on each sequence, reading included, the problem's own text left out; their sizes add up to
            all tokens computed.
    """

    threads: int
    spans: tuple[TokenSpan, ...]

    @property
    def longest_sequence(self) -> int:
        """Tokens of the longest sequence, its prompt included: the context window that was needed."""
        return max((span.end for span in self.spans), default=0)


@method("spawn_join")
async def spawn_join(
    run: MethodRun,
    problem: Context,
    *,
    threads: ThreadFormat | None = None,
    window: int = 256,
    temperature: float = 0.0,
    max_rounds: int = 4,
    extract: Callable[[str], str | None] = extract_answer,
    **unknown: Any,
) -> ThreadedSolution:
    """Let the model spawn threads, run them side by side, join, and go on, for at most `max_rounds` joins.

    A list of threads that cannot be read, or does not end within the window, ends the work without an answer; the reason says so.

    Args:
        threads: how the model writes threads; required.
        window: tokens that each sequence, parent or thread, may hold, prompt included.
    """
    refuse_options("spawn_join", unknown)
    if threads is None:
        raise InvalidParamsError(
            "method 'spawn_join' needs threads=, the way in which the model writes threads"
        )
    work = _Work(run, problem, threads, window, temperature)
    with ExitStack() as held:
        text, reason = await work.parent(held, max_rounds)
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


class _Work:
    def __init__(
        self, run: MethodRun, problem: Context, form: ThreadFormat, window: int, temperature: float
    ) -> None:
        self.run = run
        self.problem = problem
        self.form = form
        self.window = window
        self.temperature = temperature
        self.usage = Usage()
        self.threads = 0
        self.spans: list[TokenSpan] = []

    async def parent(self, held: ExitStack, max_rounds: int) -> tuple[str | None, str]:
        """The parent's last text, or None where there is none, and what happened."""
        engine, budget = self.run.engine, self.run.budget
        full = f"the window of {self.window} tokens is full"
        context, known = self.problem, self.problem.token_count
        for joins in range(max_rounds + 1):
            segment = await self._write(context, known, (self.form.spawn,), 0, joins)
            if segment is None:
                return None, full
            held.callback(segment.context.release)
            if segment.stop_hit is None:
                return segment.text, f"{joins} joins of {self.threads} threads"
            if joins == max_rounds:
                break
            known = segment.context.token_count
            opened = await engine.extend(segment.context, self.form.spawn, budget=budget)
            held.callback(opened.release)
            block = await self._write(opened, known, (self.form.close,), 1, joins)
            if block is None:
                return None, full
            held.callback(block.context.release)
            if block.stop_hit is None:
                return None, "the list of threads has no end"
            try:
                calls = self.form.calls(self.problem.text, block.text)
            except ValueError as error:
                return None, f"the list of threads cannot be read: {error}"
            results = await self._threads(block.context, calls, joins)
            context = await engine.extend(segment.context, self.form.join(results), budget=budget)
            held.callback(context.release)
        return None, f"no end after {max_rounds} joins"

    async def _threads(self, parent: Context, calls: Sequence[ThreadCall], joins: int) -> list[ThreadResult]:
        """What the threads wrote, in the order of `calls`; they run side by side."""
        engine, budget = self.run.engine, self.run.budget
        found: dict[int, ThreadResult] = {}
        usages: dict[int, Usage] = {}

        async def one(index: int, call: ThreadCall, base: Context | None) -> None:
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
            if self.form.start == "forked":
                base = await stack.enter_async_context(
                    await engine.extend(parent, self.form.close, budget=budget)
                )
            async with asyncio.TaskGroup() as group:
                for index, call in enumerate(calls):
                    group.create_task(one(index, call, base))
        self.threads += len(calls)
        self.usage = self.usage.then(Usage.parallel(usages.values()))
        return [found[index] for index in range(len(calls))]

    async def _write(
        self, context: Context, known: int, stop: tuple[str, ...], *place: int
    ) -> Completion | None:
        """The parent goes on from `context`, which is charged to it beyond the problem's own text."""
        if context is not self.problem:
            self.usage = self.usage.then(context.usage)
        completion = await self._complete(context, known, stop, *place)
        if completion is not None:
            self.usage = self.usage.then(completion.usage)
        return completion

    async def _complete(
        self, context: Context, known: int, stop: tuple[str, ...], *place: int
    ) -> Completion | None:
        """Go on from `context` to a stop string, the end, or the edge of the window; None if the window is full already.

        The first `known` tokens of `context` were counted before.
        """
        room = self.window - context.token_count
        if room < 1:
            self.spans.append(TokenSpan(known, context.token_count))
            return None
        params = SamplingParams(
            max_tokens=room, temperature=self.temperature, stop=stop, seed=self.run.seed_for(*place)
        )
        (completion,) = await self.run.engine.generate(context, params, budget=self.run.budget)
        self.spans.append(TokenSpan(known, completion.context.token_count))
        return completion
