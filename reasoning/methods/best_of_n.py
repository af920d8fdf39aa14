"""`best_of_n`: sample n answers and take the one that a verifier scores highest.

Cobbe et al., arXiv 2110.14168.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from braid.engine import Context, InvalidParamsError, SamplingParams, Usage
from braid.reasoning.answers import extract_answer
from braid.reasoning.method import Candidate, MethodRun, Solution, method
from braid.reasoning.pool import no_answer, refuse_options, sample_pool


@method("best_of_n", verifies=True, closed=True)
async def best_of_n(
    run: MethodRun,
    problem: Context,
    *,
    n: int = 8,
    max_tokens: int = 512,
    temperature: float = 1.0,
    top_p: float = 1.0,
    stop: tuple[str, ...] = (),
    extract: Callable[[str], str | None] = extract_answer,
    **unknown: Any,
) -> Solution:
    """Sample `n` answers and take the one that `run.verifier` scores highest, of equals the first.

    A candidate's weight is its score. A sample without an answer is not shown to the verifier and weighs
    nothing.

    Raises:
        InvalidParamsError: The run has no verifier, or an option is unknown.
    """
    refuse_options("best_of_n", unknown)
    if run.verifier is None:
        raise InvalidParamsError(
            "method 'best_of_n' needs a verifier: MethodRun.verifier, or verifier= where a plan thinks"
        )
    params = SamplingParams(n=n, max_tokens=max_tokens, temperature=temperature, top_p=top_p, stop=stop)
    pool = await sample_pool(run, problem, params)
    answers = [extract(completion.text) for completion in pool]
    given = [answer for answer in answers if answer is not None]
    scores = iter(await run.verifier.score(problem.text, given) if given else [])
    candidates = tuple(
        Candidate(
            text=completion.text,
            answer=answer,
            weight=0.0 if answer is None else next(scores),
            critical_path_tokens=completion.usage.critical_path_tokens,
        )
        for completion, answer in zip(pool, answers, strict=True)
    )
    usage = Usage.parallel(completion.usage for completion in pool)
    if not given:
        return no_answer(candidates, usage)
    best = max((c for c in candidates if c.answer is not None), key=lambda c: c.weight)
    return Solution(
        answer=best.answer or "",
        candidates=candidates,
        reason=f"scored {best.weight:g}, the best of {len(given)} answers",
        usage=usage,
    )
