"""The engine of a run that needs none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NoReturn

from braid.engine.base import Context, Engine
from braid.engine.errors import EngineError
from braid.engine.scope import Budget
from braid.engine.types import Completion, EngineInfo, Prompt, SamplingParams, Token


class NoEngineError(EngineError):
    """A run without an engine came to something that asks a model."""

    def __init__(self) -> None:
        super().__init__("this run opened no engine, since nothing in its plan asks a model")


class AbsentEngine(Engine):
    """Stands where an engine would. It can do nothing, and every call raises `NoEngineError`.

    Threads and loops may share it.
    """

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(uri="none", model="none", max_context=None)

    async def prefill(self, prompt: Prompt, *, budget: Budget | None = None) -> NoReturn:
        raise NoEngineError

    async def generate(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> list[Completion]:
        raise NoEngineError

    def stream(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> AsyncIterator[Token]:
        raise NoEngineError

    async def extend(self, context: Context, text: str, *, budget: Budget | None = None) -> NoReturn:
        raise NoEngineError

    def open_contexts(self) -> int:
        return 0

    async def close(self) -> None:
        """There is nothing to close."""
