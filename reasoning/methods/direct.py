"""`direct`: one sample, and its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from braid.engine import Context, SamplingParams
from braid.reasoning.answers import extract_answer
from braid.reasoning.method import MethodRun, Solution, method
from braid.reasoning.pool import refuse_options, sample_pool, vote


@method("direct", closed=True)
async def direct(
    run: MethodRun,
    problem: Context,
    *,
    max_tokens: int = 512,
    temperature: float = 0.0,
    top_p: float = 1.0,
    stop: tuple[str, ...] = (),
    extract: Callable[[str], str | None] = extract_answer,
    **unknown: Any,
) -> Solution:
    """One completion. Its answer is the answer."""
    refuse_options("direct", unknown)
    params = SamplingParams(max_tokens=max_tokens, temperature=temperature, top_p=top_p, stop=stop)
    return vote(await sample_pool(run, problem, params), extract, reason="the only sample")
