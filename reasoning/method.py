"""The method's interface: one coroutine from a question to a Solution, written against the engine's face alone."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from braid.engine import BraidError, Budget, Context, Engine, Usage

T = TypeVar("T")


class UnknownMethodError(BraidError, ValueError):
    """No reasoning method of that name is registered."""


def derived_seed(seed: int, *index: int) -> int:
    """A seed (31 bits) that depends on `seed` and a place alone, so that the order of completion never changes a result."""
    digest = hashlib.blake2b(repr((seed, *index)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


class Verifier(Protocol):
    """Scores candidate answers, higher is better. Handed in from above: reasoning imports no executor."""

    async def score(self, question: str, candidates: Sequence[str]) -> list[float]: ...


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One attempt: its text, the answer read out of it (None if there is none), and its weight in the vote."""

    text: str
    answer: str | None
    weight: float = 1.0
    critical_path_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Solution:
    """What a method returns: the answer, every candidate, why the answer was chosen, and what it cost."""

    answer: str
    candidates: tuple[Candidate, ...]
    reason: str
    usage: Usage
    confidence: float | None = None
    degraded: tuple[str, ...] = ()

    def short_form(self) -> str:
        """What goes into text when a plan reads this result."""
        return self.answer


@dataclass(kw_only=True)
class MethodRun:
    """What a method is handed: engine, verifier, budget, seeded randomness, and the fan-out helper."""

    engine: Engine
    budget: Budget | None = None
    verifier: Verifier | None = None
    seed: int = 0
    notes: list[str] = field(default_factory=lambda: list[str]())

    def seed_for(self, *index: int) -> int:
        """A seed for one branch that depends on the run's seed and the branch's place only (31 bits)."""
        return derived_seed(self.seed, *index)

    def rng(self, *index: int) -> random.Random:
        return random.Random(self.seed_for(*index))

    async def fan_out(
        self,
        work: Sequence[Coroutine[Any, Any, T]],
        *,
        enough: Callable[[dict[int, T]], bool] | None = None,
    ) -> dict[int, T]:
        """Run `work` side by side; results by index. When `enough(results so far)` says so, the rest is cancelled."""
        results: dict[int, T] = {}
        if not work:
            return results
        settled = asyncio.Event()
        running = len(work)

        async def one(index: int, coroutine: Coroutine[Any, Any, T]) -> None:
            nonlocal running
            results[index] = await coroutine
            running -= 1
            if running == 0 or (enough is not None and enough(results)):
                settled.set()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(i, c)) for i, c in enumerate(work)]
            await settled.wait()
            for task in tasks:
                task.cancel()
        return dict(sorted(results.items()))


class Method(Protocol):
    """`async def name(run, problem, **options) -> Solution`.

    `problem` is a Context that ends where the model should go on; the caller keeps it, and releases it.
    """

    def __call__(self, run: MethodRun, problem: Context, **options: Any) -> Awaitable[Solution]: ...


M = TypeVar("M", bound=Method)

_METHODS: dict[str, Method] = {}


def method(name: str) -> Callable[[M], M]:
    """Register a reasoning method under `name`."""

    def register(fn: M) -> M:
        if name in _METHODS and _METHODS[name] is not fn:
            raise ValueError(f"reasoning method {name!r} is registered twice")
        _METHODS[name] = fn
        return fn

    return register


def get_method(name: str) -> Method:
    """The method registered under `name`; raises `UnknownMethodError` listing the known ones."""
    if name not in _METHODS:
        raise UnknownMethodError(f"unknown reasoning method {name!r}; known: {', '.join(sorted(_METHODS))}")
    return _METHODS[name]


def method_names() -> list[str]:
    return sorted(_METHODS)
