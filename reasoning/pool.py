"""What methods that sample a pool of answers have in common."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from braid.engine import (
    CapabilityError,
    Completion,
    Context,
    EngineResponseError,
    InvalidParamsError,
    SamplingParams,
    Token,
    Usage,
)
from braid.reasoning.method import Candidate, MethodRun, Solution
from braid.reasoning.voting import group_answers


def refuse_options(name: str, unknown: Mapping[str, Any]) -> None:
    """Refuse options that a method does not take.

    Raises:
        InvalidParamsError: There are such options.
    """
    if unknown:
        raise InvalidParamsError(f"method {name!r} takes no option {', '.join(map(repr, sorted(unknown)))}")


async def sample_pool(run: MethodRun, problem: Context, params: SamplingParams) -> list[Completion]:
    """Sample `params.n` completions of `problem`. Their Contexts are released.

    All samples share the problem's Context, so the prompt is read once.
    """
    seed = params.seed
    while True:
        can = run.engine.capabilities
        params = replace(params, seed=run.sampling_seed(0) if seed is None else seed)
        try:
            if run.on_text is not None and params.n == 1:
                completions = [await _read_along(run, problem, params, run.on_text)]
                break
            completions = await run.engine.generate(problem, params, budget=run.budget)
            for completion in completions:
                completion.context.release()
            break
        except CapabilityError:
            if run.engine.capabilities == can:
                raise  # else a server refused the seed, and the engine knows it now
    _refuse_calls(completions)
    return completions


def _refuse_calls(completions: Sequence[Completion]) -> None:
    """Refuse completions that are calls of tools, since no tools were offered and nobody runs them.

    Raises:
        EngineResponseError: No completion has a text, and one has a call.
    """
    if any(completion.text.strip() for completion in completions):
        return
    if called := [call.name for completion in completions for call in completion.tool_calls]:
        raise EngineResponseError(
            f"the model called the tool {called[0]!r} instead of writing an answer; it was offered no tools"
        )


async def _read_along(
    run: MethodRun, problem: Context, params: SamplingParams, on_text: Callable[[str], None]
) -> Completion:
    """One sample, whose pieces `on_text` gets as they come. Its Context is `problem`."""
    pieces: list[str] = []
    thoughts: list[str] = []
    count = 0
    last: Token | None = None
    tokens = run.engine.stream(problem, params, budget=run.budget)
    try:
        async for token in tokens:
            count += bool(token.text or token.reasoning or token.id is not None)
            last = token
            thoughts.append(token.reasoning)
            if token.text:
                pieces.append(token.text)
                on_text(token.text)
    finally:
        if isinstance(tokens, AsyncGenerator):
            await tokens.aclose()
    counted = Usage(generated_tokens=count, critical_path_tokens=count, calls=1)
    return Completion(
        text="".join(pieces),
        context=problem,
        finish_reason=(last and last.finish_reason) or "stop",
        usage=(last and last.usage) or counted,
        reasoning="".join(thoughts),
        tool_calls=last.tool_calls if last else (),
    )


def vote(pool: Sequence[Completion], extract: Callable[[str], str | None], *, reason: str = "") -> Solution:
    """The most frequent answer of a pool, of equals the first. `confidence` is its share of the samples.

    Args:
        pool: The samples.
        extract: Reads the answer out of a text. None is no answer.
        reason: The solution's reason. Empty takes how many samples agree.
    """
    candidates = tuple(
        Candidate(
            text=completion.text,
            answer=extract(completion.text),
            critical_path_tokens=completion.usage.critical_path_tokens,
        )
        for completion in pool
    )
    groups = group_answers(candidates)
    usage = Usage.parallel(completion.usage for completion in pool)
    if not groups:
        return no_answer(candidates, usage)
    best = groups[0]
    return Solution(
        answer=best.answer,
        candidates=candidates,
        reason=reason or f"{len(best.members)} of {len(pool)} samples agree",
        usage=usage,
        confidence=len(best.members) / len(pool),
    )


def no_answer(candidates: tuple[Candidate, ...], usage: Usage) -> Solution:
    """The solution of a pool in which no sample holds an answer."""
    return Solution(
        answer="", candidates=candidates, reason="no sample held an answer", usage=usage, confidence=0.0
    )
