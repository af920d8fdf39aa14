"""Reasoning methods: their interface and their registry.

A method is one coroutine from a question to a `Solution`. It is written against the engine's face alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, Final, Protocol, TypeVar, get_type_hints

from braid.engine import BraidError, Budget, Context, Engine, Usage

T = TypeVar("T")

_PLAIN: Final = frozenset({bool, int, float, str})


class UnknownMethodError(BraidError, ValueError):
    """No reasoning method of that name is registered."""


def derived_seed(seed: int, *index: int) -> int:
    """A seed of 31 bits for one place in a run.

    It depends on `seed` and `index` alone, so the order of completion never changes a result.
    """
    digest = hashlib.blake2b(repr((seed, *index)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


class Verifier(Protocol):
    """Scores candidate answers."""

    async def score(self, question: str, candidates: Sequence[str]) -> list[float]:
        """One score for each candidate. Higher is better."""
        ...


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One attempt at an answer."""

    text: str
    """Everything that the model wrote."""
    answer: str | None
    """The answer read out of the text. None if it holds none."""
    weight: float = 1.0
    """Its weight in a vote, or a verifier's score."""
    critical_path_tokens: int = 0
    """Tokens that were generated one after the other for it."""


@dataclass(frozen=True, kw_only=True)
class Solution:
    """What a method returns."""

    answer: str
    """The answer. Empty if there is none."""
    candidates: tuple[Candidate, ...]
    """All attempts, the chosen one included."""
    reason: str
    """Why this answer was chosen."""
    usage: Usage
    """What it cost."""
    confidence: float | None = None
    """How sure the method is, from 0 to 1. None if it cannot tell."""
    degraded: tuple[str, ...] = ()
    """What was left out because the budget was tight."""

    def short_form(self) -> str:
        """The text of this result in an f-string of a plan."""
        return self.answer


@dataclass(kw_only=True)
class MethodRun:
    """What a method runs with.

    It belongs to one run, and so to one event loop.
    """

    engine: Engine
    budget: Budget | None = None
    """None means the ambient budget."""
    verifier: Verifier | None = None
    """Scores answers, for methods that need it."""
    seed: int = 0
    """The run's seed. The seeds of all branches derive from it."""
    on_text: Callable[[str], None] | None = None
    """Called with each piece of text of a method that draws one sample. None: nobody reads along."""

    def seed_for(self, *index: int) -> int:
        """A seed of 31 bits for one branch. It depends on the run's seed and the branch's place alone."""
        return derived_seed(self.seed, *index)

    def sampling_seed(self, *index: int) -> int | None:
        """The seed of one branch for the engine. None where it takes no seeds (capability `seed`)."""
        return self.seed_for(*index) if "seed" in self.engine.capabilities else None

    def rng(self, *index: int) -> random.Random:
        """A random generator for one branch."""
        return random.Random(self.seed_for(*index))

    async def fan_out(
        self,
        work: Sequence[Coroutine[Any, Any, T]],
        *,
        enough: Callable[[dict[int, T]], bool] | None = None,
    ) -> dict[int, T]:
        """Run coroutines side by side.

        Args:
            work: The coroutines.
            enough: Called with the results so far whenever there is a new one. Once it is true, the rest is
                cancelled.

        Returns:
            The results by the coroutines' indexes.
        """
        results: dict[int, T] = {}
        if not work:
            return results
        settled = asyncio.Event()
        running = len(work)

        async def finish(index: int, coroutine: Coroutine[Any, Any, T]) -> None:
            nonlocal running
            results[index] = await coroutine
            running -= 1
            if running == 0 or (enough is not None and enough(results)):
                settled.set()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(finish(index, coroutine)) for index, coroutine in enumerate(work)]
            await settled.wait()
            for task in tasks:
                task.cancel()
        return dict(sorted(results.items()))


class Method(Protocol):
    """`async def name(run, problem, **options) -> Solution`.

    `problem` is a Context that ends where the model should go on. The caller keeps it and releases it.
    """

    def __call__(self, run: MethodRun, problem: Context, **options: Any) -> Awaitable[Solution]: ...


M = TypeVar("M", bound=Method)


@dataclass(frozen=True)
class MethodSpec:
    """What the plan check knows of a method."""

    options: Mapping[str, type | None]
    """Its options with their types. None for those that are no number, text or boolean."""
    verifies: bool
    """Whether it needs `MethodRun.verifier`."""
    closed: bool
    """Whether it takes no other options."""


_METHODS: dict[str, Method] = {}
_SPECS: dict[str, MethodSpec] = {}


def method(name: str, *, verifies: bool = False, closed: bool = False) -> Callable[[M], M]:
    """A decorator that registers a reasoning method under `name`.

    Args:
        name: What plans call it.
        verifies: Whether it needs `MethodRun.verifier`.
        closed: Whether it takes only the options that it names. The check of plans then refuses others.
    """

    def register(fn: M) -> M:
        if name in _METHODS and _METHODS[name] is not fn:
            raise ValueError(f"reasoning method {name!r} is registered twice")
        _METHODS[name] = fn
        _SPECS[name] = MethodSpec(_options_of(fn), verifies, closed)
        return fn

    return register


def get_method(name: str) -> Method:
    """The method registered under `name`.

    Raises:
        UnknownMethodError: There is none. The message lists the known methods.
    """
    if name not in _METHODS:
        raise UnknownMethodError(f"unknown reasoning method {name!r}; known: {', '.join(sorted(_METHODS))}")
    return _METHODS[name]


def default_method(options: Iterable[str]) -> str:
    """The method of a thought that names none: with the option `n` a vote, else one sample."""
    return "self_consistency" if "n" in options else "direct"


def method_spec(name: str) -> MethodSpec:
    """What is known of the method that is registered under `name`.

    Raises:
        UnknownMethodError: There is none. The message lists the known methods.
    """
    get_method(name)
    return _SPECS[name]


def _options_of(fn: Method) -> dict[str, type | None]:
    try:
        hints = get_type_hints(fn)
    except (NameError, TypeError):  # hints of a local type, or none that Python can read
        hints = {}
    return {
        option: hints.get(option) if hints.get(option) in _PLAIN else None
        for option, parameter in signature(fn).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def method_names() -> list[str]:
    """The names of all registered methods, sorted."""
    return sorted(_METHODS)
