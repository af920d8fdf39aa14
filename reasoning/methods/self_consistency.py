"""`self_consistency`: sample n answers and take the one that most agree on.

Wang et al., arXiv 2203.11171.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from braid.engine import Context, SamplingParams
from braid.reasoning.answers import extract_answer
from braid.reasoning.method import MethodRun, Solution, method
from braid.reasoning.pool import refuse_options, sample_pool, vote


@method("self_consistency", closed=True)
async def self_consistency(
    run: MethodRun,
    problem: Context,
    *,
    n: int = 8,
    max_tokens: int = 512,
    temperature: float = 0.7,
    top_p: float = 1.0,
    stop: tuple[str, ...] = (),
    extract: Callable[[str], str | None] = extract_answer,
    **unknown: Any,
) -> Solution:
    """Sample `n` answers and take the most frequent. `confidence` is its share of the samples."""
    refuse_options("self_consistency", unknown)
    params = SamplingParams(n=n, max_tokens=max_tokens, temperature=temperature, top_p=top_p, stop=stop)
    return vote(await sample_pool(run, problem, params), extract)
