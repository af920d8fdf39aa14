"""An engine that reads each prompt once for all plans that begin with it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

from braid.engine import Budget, Context, Engine, EngineWrapper, Prompt, SamplingParams, Token, Usage


class SharedPrefixEngine(EngineWrapper):
    """Reads each prompt once. Who asks for the same prompt again forks the Context that is there.

    Reading costs what it costs the first to ask, and the others nothing. `release` gives all Contexts back.

    It belongs to one event loop.
    """

    def __init__(self, inner: Engine) -> None:
        super().__init__(inner)
        self._read: dict[str, Context] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def prefill(self, prompt: Prompt, *, budget: Budget | None = None) -> Context:
        key = repr(prompt)
        async with self._locks[key]:
            known = self._read.get(key)
            if known is None:
                known = self._read[key] = await self.inner.prefill(prompt, budget=budget)
                return _Fork(known, known.usage)
            return _Fork(known, Usage())

    def stream(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> AsyncIterator[Token]:
        of = context.shared if isinstance(context, _Fork) else context
        return self.inner.stream(of, params, budget=budget)

    def release(self) -> None:
        """Give back everything that was read."""
        for context in self._read.values():
            context.release()
        self._read.clear()


class _Fork(Context):
    """A handle on a Context that others share. Releasing it leaves the Context to them."""

    def __init__(self, shared: Context, usage: Usage) -> None:
        self.shared = shared
        self._usage = usage

    @property
    def text(self) -> str:
        return self.shared.text

    @property
    def token_count(self) -> int:
        return self.shared.token_count

    @property
    def critical_path_tokens(self) -> int:
        return self.shared.critical_path_tokens

    @property
    def usage(self) -> Usage:
        return self._usage

    @property
    def released(self) -> bool:
        return self.shared.released

    def release(self) -> None:
        """Do nothing."""
