"""An engine around another one. It delegates every call, and a subclass overrides some of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from copy import copy
from typing import Literal

from braid.engine.base import Context, Engine
from braid.engine.scope import Budget
from braid.engine.types import (
    Completion,
    EngineInfo,
    Message,
    Prompt,
    SamplingParams,
    Token,
    ToolChoice,
    ToolDeclaration,
)


class EngineWrapper(Engine):
    """Delegates every call to `inner`. Contexts are those of `inner`.

    The caller keeps `inner` and closes it: closing the wrapper does nothing.

    Threads and loops may share it where they may share `inner`.
    """

    def __init__(self, inner: Engine) -> None:
        self.inner = inner

    @property
    def info(self) -> EngineInfo:
        return self.inner.info

    def with_adapter(self, name: str | None) -> Engine:
        """The same wrapper around `inner` with an adapter on."""
        view = copy(self)
        view.inner = self.inner.with_adapter(name)
        return view

    async def prefill(self, prompt: Prompt, *, budget: Budget | None = None) -> Context:
        return await self.inner.prefill(prompt, budget=budget)

    async def count_tokens(self, prompt: Prompt) -> int | None:
        return await self.inner.count_tokens(prompt)

    async def prefill_with_tools(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolDeclaration],
        *,
        choice: ToolChoice = "auto",
        budget: Budget | None = None,
    ) -> Context:
        return await self.inner.prefill_with_tools(messages, tools, choice=choice, budget=budget)

    async def generate(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> list[Completion]:
        return await self.inner.generate(context, params, budget=budget)

    def stream(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> AsyncIterator[Token]:
        return self.inner.stream(context, params, budget=budget)

    async def extend(self, context: Context, text: str, *, budget: Budget | None = None) -> Context:
        return await self.inner.extend(context, text, budget=budget)

    async def cut(self, context: Context, length: int, *, budget: Budget | None = None) -> Context:
        return await self.inner.cut(context, length, budget=budget)

    async def join(
        self,
        context: Context,
        parts: Sequence[Context],
        *,
        how: Literal["text", "kv"] = "text",
        separator: str = "",
        budget: Budget | None = None,
    ) -> Context:
        return await self.inner.join(context, parts, how=how, separator=separator, budget=budget)

    async def score(self, context: Context, text: str, *, budget: Budget | None = None) -> list[float]:
        return await self.inner.score(context, text, budget=budget)

    def open_contexts(self) -> int:
        return self.inner.open_contexts()

    async def close(self) -> None:
        """Do nothing."""
