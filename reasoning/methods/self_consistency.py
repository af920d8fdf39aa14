"""`direct` and `self_consistency`: draw answers from one shared prefix and take the one that most agree on.

Self-consistency: Wang et al., arXiv 2203.11171. All samples fork one Context, so the prompt is read once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from braid.engine import Completion, Context, InvalidParamsError, SamplingParams, Usage
from braid.reasoning.answers import extract_answer
from braid.reasoning.method import Candidate, MethodRun, Solution, method
from braid.reasoning.voting import group_answers


async def sample_pool(run: MethodRun, problem: Context, params: SamplingParams) -> list[Completion]:
    """`params.n` completions of `problem`, their Contexts released: what a vote needs is their text and usage."""
    if params.seed is None:
        params = replace(params, seed=run.seed_for(0))
    completions = await run.engine.generate(problem, params, budget=run.budget)
    for completion in completions:
        completion.context.release()
    return completions


@method("direct")
async def direct(
    run: MethodRun,
    problem: Context,
    *,
    max_tokens: int = 512,
    temperature: float = 0.0,
    stop: tuple[str, ...] = (),
    extract: Callable[[str], str | None] = extract_answer,
    **unknown: Any,
) -> Solution:
    """One completion; its answer is the answer."""
    refuse_options("direct", unknown)
    params = SamplingParams(max_tokens=max_tokens, temperature=temperature, stop=stop)
    return _vote(await sample_pool(run, problem, params), extract, "the only sample")


@method("self_consistency")
async def self_consistency(
    run: MethodRun,
    problem: Context,
    *,
    n: int = 8,
    max_tokens: int = 512,
    temperature: float = 0.7,
    stop: tuple[str, ...] = (),
    extract: Callable[[str], str | None] = extract_answer,
    **unknown: Any,
) -> Solution:
    """Sample `n` answers at `temperature` and take the most frequent; `confidence` is its share of the samples."""
    refuse_options("self_consistency", unknown)
    params = SamplingParams(n=n, max_tokens=max_tokens, temperature=temperature, stop=stop)
    return _vote(await sample_pool(run, problem, params), extract, "")


def refuse_options(name: str, unknown: dict[str, Any]) -> None:
    """Raise `InvalidParamsError` if a method was given options that it does not take."""
    if unknown:
        raise InvalidParamsError(f"method {name!r} takes no option {', '.join(map(repr, sorted(unknown)))}")


def _vote(pool: list[Completion], extract: Callable[[str], str | None], reason: str) -> Solution:
    candidates = tuple(
        Candidate(text=c.text, answer=extract(c.text), critical_path_tokens=c.usage.critical_path_tokens)
        for c in pool
    )
    groups = group_answers(candidates)
    usage = Usage.parallel(c.usage for c in pool)
    if not groups:
        return Solution(
            answer="", candidates=candidates, reason="no sample held an answer", usage=usage, confidence=0.0
        )
    best = groups[0]
    return Solution(
        answer=best.answer,
        candidates=candidates,
        reason=reason or f"{len(best.members)} of {len(pool)} samples agree",
        usage=usage,
        confidence=len(best.members) / len(pool),
    )
