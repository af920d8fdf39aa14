"""Settings that a subclass of a suite may change, and helpers of the suites."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from braid.engine.base import Context, Engine
from braid.engine.types import Capability, Completion, Prompt, SamplingParams, Token


class ConformanceBase:
    """Settings of a conformance run. Change them in the subclass."""

    prompt: Prompt = "The quick brown fox jumps over the lazy dog. The quick"
    """Any prompt from which the model writes at least a few tokens."""
    other_prompt: Prompt = "One two three four five"
    max_tokens: int = 12
    """Length of ordinary completions, at least 4."""
    long_tokens: int = 150
    """Length of the completions that are cancelled while they run."""
    deterministic: bool = True
    """Whether greedy decoding gives the same text every time. False skips what compares two runs."""
    tolerance: float = 1e-3
    """How far two log-probabilities of the same thing may lie apart."""

    def greedy(self, **changes: object) -> SamplingParams:
        settings: dict[str, object] = {"temperature": 0.0, "max_tokens": self.max_tokens, **changes}
        return SamplingParams(**settings)  # pyright: ignore[reportArgumentType]

    def need(self, engine: Engine, *capabilities: Capability) -> None:
        """Skip the test unless the engine declares them all."""
        missing = set(capabilities) - engine.capabilities
        if missing:
            skip(f"{engine.info.uri} does not declare {sorted(missing)}")

    def need_determinism(self) -> None:
        if not self.deterministic:
            skip("greedy decoding is not repeatable here")


def skip(why: str) -> None:
    """Skip the running test."""
    import pytest  # the package can be imported without it, only running the suite needs it

    pytest.skip(why)


@asynccontextmanager
async def no_leak(engine: Engine) -> AsyncIterator[None]:
    """Fails when more contexts are open after the block than before."""
    before = engine.open_contexts()
    yield
    left = engine.open_contexts() - before
    assert left == 0, f"{left} contexts were not given back"


async def generate_text(engine: Engine, context: Context, params: SamplingParams) -> list[str]:
    """The texts of `generate`, with the contexts given back."""
    return [completion.text for completion in released(await engine.generate(context, params))]


def released(completions: Sequence[Completion]) -> list[Completion]:
    """The completions, with their contexts released."""
    for completion in completions:
        completion.context.release()
    return list(completions)


async def stream_all(engine: Engine, context: Context, params: SamplingParams) -> list[Token]:
    """All tokens of a stream."""
    return [token async for token in engine.stream(context, params)]
