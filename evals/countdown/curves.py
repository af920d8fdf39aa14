"""Solved problems against compute: three modes of a Countdown reasoner, and the demonstrator beside them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from braid.engine import Engine
from braid.evals.countdown.greedy_cache import GreedyCache
from braid.evals.countdown.problems import Problem
from braid.evals.countdown.solve import DEFAULT_WINDOW, Attempt, attempt_direct, attempt_serial, attempt_spawn
from braid.evals.stats import mean_and_stderr
from braid.reasoning import TokenSpan

T = TypeVar("T")

SAMPLES = (1, 2, 4, 8, 16, 32, 64)
CAPS = (64, 96, 128, 160, 192, 224, 256)
THREADS = tuple(range(11))


class Size(BaseModel):
    """What the FLOPs of a model depend on."""

    model_config = ConfigDict(frozen=True)
    parameters: int
    """Parameters outside of the input embedding."""
    layers: int
    width: int
    """Width of the attention: heads times their size."""

    def flops(self, span: TokenSpan) -> float:
        """Forward FLOPs of a span: two for each parameter and token, and causal attention from the start."""
        linear = 2 * self.parameters * (span.end - span.start)
        return linear + 2 * self.layers * self.width * (span.end**2 - span.start**2)


class Point(BaseModel):
    """One setting, averaged over problems."""

    model_config = ConfigDict(frozen=True)
    setting: str
    accuracy: float
    """Share of solved problems."""
    margin: float
    """Half of the 95 % interval of the accuracy."""
    tokens: float
    """Computed tokens."""
    longest: float
    """Tokens of the longest sequence."""
    critical: float
    """Generated tokens on the critical path."""
    flops: float
    threads: float = 0.0
    """Threads that were run."""
    within: dict[int, float] = {}
    """By window: share solved with no sequence longer than the window."""


class Curves(BaseModel):
    """The points of one engine on one set of problems."""

    model_config = ConfigDict(frozen=True)
    engine: str
    split: str
    problems: int
    size: Size
    direct: list[Point] = []
    serial: list[Point] = []
    spawn: list[Point] = []


async def measure_direct(
    engine: Engine,
    problems: Sequence[Problem],
    size: Size,
    *,
    samples: Sequence[int] = SAMPLES,
    temperature: float = 1.0,
    max_concurrency: int = 16,
    seed: int = 0,
    on_progress: Callable[[], None] = lambda: None,
) -> list[Point]:
    """direct@n with the exact verifier.

    It is pass@n, estimated without bias from the largest n (arXiv 2107.03374).
    """
    most = max(samples)

    async def attempt(problem: Problem) -> tuple[Attempt, ...]:
        return await attempt_direct(engine, problem, samples=most, temperature=temperature, seed=seed)

    pools = await _run_all(problems, attempt, max_concurrency, on_progress)
    found: list[Point] = []
    for n in samples:
        shares = [pass_at_k(most, sum(a.solved for a in pool), n) for pool in pools]
        reads = [pool[0].usage.prompt_tokens for pool in pools]
        written = [sum(a.usage.generated_tokens for a in pool) / most for pool in pools]
        each = [
            sum(size.flops(TokenSpan(read, read + a.usage.generated_tokens)) for a in pool) / most
            for read, pool in zip(reads, pools, strict=True)
        ]
        found.append(
            _point(
                f"direct@{n}",
                shares,
                tokens=_mean([r + n * w for r, w in zip(reads, written, strict=True)]),
                longest=_mean([max(a.longest_sequence for a in pool) for pool in pools]),
                critical=_mean([max(a.usage.generated_tokens for a in pool) for pool in pools]),
                flops=_mean([size.flops(TokenSpan(0, read)) for read in reads]) + n * _mean(each),
            )
        )
    return found


async def measure_serial(
    engine: Engine,
    problems: Sequence[Problem],
    size: Size,
    *,
    caps: Sequence[int] = CAPS,
    max_concurrency: int = 64,
    on_progress: Callable[[], None] = lambda: None,
) -> list[Point]:
    """Greedy serial search, cut at several lengths. One run at the longest gives them all."""

    async def attempt(problem: Problem) -> Attempt:
        return await attempt_serial(engine, problem, window=max(caps))

    attempts = await _run_all(problems, attempt, max_concurrency, on_progress)
    found: list[Point] = []
    for cap in caps:
        spans = [TokenSpan(0, min(cap, a.longest_sequence)) for a in attempts]
        found.append(
            _point(
                f"serial, {cap} tokens",
                [float(a.solved and a.longest_sequence <= cap) for a in attempts],
                tokens=_mean([s.end for s in spans]),
                longest=_mean([s.end for s in spans]),
                critical=_mean([s.end - a.usage.prompt_tokens for s, a in zip(spans, attempts, strict=True)]),
                flops=_mean([size.flops(s) for s in spans]),
            )
        )
    return found


async def measure_spawn(
    engine: Engine,
    problems: Sequence[Problem],
    size: Size,
    *,
    threads: Sequence[int] = THREADS,
    window: int = DEFAULT_WINDOW,
    check: bool = False,
    max_concurrency: int = 32,
    on_progress: Callable[[], None] = lambda: None,
) -> list[Point]:
    """Greedy spawn/join with each number of threads."""
    engine = GreedyCache(engine)
    found: list[Point] = []
    for budget in threads:

        async def attempt(problem: Problem, budget: int = budget) -> Attempt:
            return await attempt_spawn(engine, problem, threads=budget, window=window, check=check)

        attempts = await _run_all(problems, attempt, max_concurrency, on_progress)
        found.append(
            _point(
                f"spawn/join, {budget} threads{', checked' if check else ''}",
                [float(a.solved) for a in attempts],
                tokens=_mean([a.tokens for a in attempts]),
                longest=_mean([a.longest_sequence for a in attempts]),
                critical=_mean([a.usage.critical_path_tokens for a in attempts]),
                flops=_mean([sum(size.flops(s) for s in a.spans) for a in attempts]),
                threads=_mean([a.threads for a in attempts]),
                within={
                    cap: _mean([float(a.solved and a.longest_sequence <= cap) for a in attempts])
                    for cap in CAPS
                },
            )
        )
    return found


def pass_at_k(drawn: int, right: int, n: int) -> float:
    """Unbiased estimate of the chance that one of `n` samples is right, from `right` of `drawn` samples."""
    if drawn - right < n:
        return 1.0
    return 1.0 - math.comb(drawn - right, n) / math.comb(drawn, n)


def direct_at(flops: float, direct: Sequence[Point]) -> float | None:
    """What direct sampling solves with as many FLOPs.

    Between two measured n it is interpolated over log FLOPs. Outside of them it is None.
    """
    for below, above in pairwise(direct):
        if below.flops <= flops <= above.flops:
            share = math.log(flops / below.flops) / math.log(above.flops / below.flops)
            return below.accuracy + share * (above.accuracy - below.accuracy)
    return None


def table(model: Curves, demonstrator: Curves | None) -> str:
    """All points as Markdown. The demonstrator's figure stands in brackets beside the model's."""
    lines = [
        "| setting | solved, % | tokens | longest sequence | critical path | MFLOPs "
        "| direct at these FLOPs, % |",
        "|---|---|---|---|---|---|---|",
    ]
    beside: Mapping[str, Point] = (
        {point.setting: point for point in (*demonstrator.serial, *demonstrator.spawn)}
        if demonstrator
        else {}
    )
    for point in (*model.direct, *model.serial, *model.spawn):
        other = beside.get(point.setting.removesuffix(", checked"))

        def both(ours: float, theirs: float | None) -> str:
            return f"{ours:,.0f}" if theirs is None else f"{ours:,.0f} ({theirs:,.0f})"

        solved = f"{100 * point.accuracy:.1f} ± {100 * point.margin:.1f}"
        if other is not None:
            solved += f" ({100 * other.accuracy:.1f})"
        same = None if point in model.direct else direct_at(point.flops, model.direct)
        lines.append(
            f"| {point.setting} | {solved} | {both(point.tokens, other and other.tokens)} "
            f"| {both(point.longest, other and other.longest)} "
            f"| {both(point.critical, other and other.critical)} "
            f"| {point.flops / 1e6:,.0f} | {'' if same is None else f'{100 * same:.1f}'} |"
        )
    return "\n".join(lines)


def gap_table(model: Curves, demonstrator: Curves) -> str:
    """By context window: serial search, the most threads, and the kept share of the demonstrator's gap."""
    lines = [
        "| window | serial, % | spawn/join, % | gap, points | gap of the demonstrator | kept |",
        "|---|---|---|---|---|---|",
    ]
    for place, ours in enumerate(model.serial):
        cap = CAPS[place]
        theirs = demonstrator.serial[place]
        spawn, ceiling = model.spawn[-1].within[cap], demonstrator.spawn[-1].within[cap]
        gap, most = spawn - ours.accuracy, ceiling - theirs.accuracy
        kept = f"{100 * gap / most:.0f} %" if most > 0.05 else ""
        lines.append(
            f"| {cap} | {100 * ours.accuracy:.1f} ({100 * theirs.accuracy:.1f}) "
            f"| {100 * spawn:.1f} ({100 * ceiling:.1f}) "
            f"| {100 * gap:.1f} | {100 * most:.1f} | {kept} |"
        )
    return "\n".join(lines)


async def _run_all(
    problems: Sequence[Problem],
    work: Callable[[Problem], Awaitable[T]],
    max_concurrency: int,
    on_progress: Callable[[], None],
) -> list[T]:
    """`work` on every problem, `max_concurrency` at a time. Results are in the order of the problems."""
    slots = asyncio.Semaphore(max_concurrency)
    found: dict[int, T] = {}

    async def run(index: int, problem: Problem) -> None:
        async with slots:
            found[index] = await work(problem)
        on_progress()

    async with asyncio.TaskGroup() as group:
        for index, problem in enumerate(problems):
            group.create_task(run(index, problem))
    return [found[index] for index in range(len(problems))]


def _point(setting: str, shares: Sequence[float], **figures: object) -> Point:
    mean, stderr = mean_and_stderr([[share] for share in shares])
    margin = 0.0 if math.isnan(stderr) else 1.96 * stderr
    return Point.model_validate({"setting": setting, "accuracy": mean, "margin": margin, **figures})


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
