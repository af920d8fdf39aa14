"""The interface of engines: context in, tokens out.

Every backend implements `Engine`. The conformance suite tests that it does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Literal, Self

from braid.engine.errors import CapabilityError
from braid.engine.scope import Budget
from braid.engine.types import (
    Capability,
    Completion,
    EngineInfo,
    Message,
    Prompt,
    SamplingParams,
    Token,
    ToolChoice,
    ToolDeclaration,
    Usage,
)


class Context(ABC):
    """An immutable handle on a node of the engine's prefix tree: what the model has read so far.

    Generating twice from one Context forks it. Nothing is copied. The caller owns every Context it is given
    and releases it (`release()`, or `async with context:`). Descendants hold what they need themselves. Using
    a released Context raises `ContextReleasedError`.

    Threads and loops may share it where they may share its engine.
    """

    @property
    @abstractmethod
    def text(self) -> str:
        """The whole text of this context, chat markup included where the backend knows it."""

    @property
    @abstractmethod
    def token_count(self) -> int:
        """Length in tokens. Remote backends that do not report it give their best estimate."""

    @property
    @abstractmethod
    def critical_path_tokens(self) -> int:
        """Generated tokens on the longest path that led here. A join takes the maximum of its parts."""

    @property
    @abstractmethod
    def usage(self) -> Usage:
        """What making this one handle cost: its own prefill, without that of its ancestors."""

    @property
    @abstractmethod
    def released(self) -> bool: ...

    @abstractmethod
    def release(self) -> None:
        """Give the handle back. Releasing twice does nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Engine(ABC):
    """A language model behind one interface, local or remote.

    Every call charges `budget`. None stands for the ambient one, see `braid.engine.budget`. Cancelling the
    task cancels the call, which then frees what it held. What a backend cannot do raises `CapabilityError`.
    Look at `capabilities` first.

    Threads and loops may share it where its class says so.
    """

    @property
    @abstractmethod
    def info(self) -> EngineInfo: ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.info.capabilities

    def require(self, capability: Capability, hint: str = "") -> None:
        """Raise `CapabilityError` unless this engine declares `capability`."""
        if capability not in self.capabilities:
            raise CapabilityError(capability, self.info.uri, hint)

    def with_adapter(self, name: str | None) -> Engine:
        """This engine with an adapter on, or with none: what it prefills is read and continued by it.

        Weights, KV and batch are those of this engine, but no KV is shared between adapters. A context keeps
        the adapter that read it. Closing the result closes it alone. Capability `adapters`.

        Raises:
            InvalidParamsError: there is no such adapter. `info.adapters` has those that there are.
        """
        raise CapabilityError("adapters", self.info.uri)

    @abstractmethod
    async def prefill(self, prompt: Prompt, *, budget: Budget | None = None) -> Context: ...

    async def count_tokens(self, prompt: Prompt) -> int | None:
        """Length of a prompt in tokens, counted without reading it. None where only the server can tell."""
        return None

    async def prefill_with_tools(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolDeclaration],
        *,
        choice: ToolChoice = "auto",
        budget: Budget | None = None,
    ) -> Context:
        """A chat whose model may call `tools`. Capability `tool_calls`.

        The calls are in `Completion.tool_calls`, and in the last `Token` of a stream. The engine runs none.
        """
        raise CapabilityError("tool_calls", self.info.uri)

    @abstractmethod
    async def generate(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> list[Completion]:
        """`params.n` completions, in order of their index."""

    @abstractmethod
    def stream(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> AsyncIterator[Token]:
        """The tokens of `generate`, as they come. Closing the iterator cancels the work."""

    @abstractmethod
    async def extend(self, context: Context, text: str, *, budget: Budget | None = None) -> Context:
        """A new Context with `text` appended as given (no chat markup)."""

    async def cut(self, context: Context, length: int, *, budget: Budget | None = None) -> Context:
        """A new Context of the first `length` tokens. Capability `cut`."""
        raise CapabilityError("cut", self.info.uri)

    async def join(
        self,
        context: Context,
        parts: Sequence[Context],
        *,
        how: Literal["text", "kv"] = "text",
        separator: str = "",
        budget: Budget | None = None,
    ) -> Context:
        """`context` continued by what each of `parts` (its descendants) added, with `separator` between them.

        `text` reads it again as one text (capability `text_join`). `kv` reuses the KV as it is (`kv_join`).
        """
        raise CapabilityError("kv_join" if how == "kv" else "text_join", self.info.uri)

    async def score(self, context: Context, text: str, *, budget: Budget | None = None) -> list[float]:
        """Log-probability (natural) of each token of `text` after `context`. Capability `prompt_logprobs`."""
        raise CapabilityError("prompt_logprobs", self.info.uri)

    @abstractmethod
    def open_contexts(self) -> int:
        """Number of handles that are not released. Tests fail when it is not 0 at the end."""

    @abstractmethod
    async def close(self) -> None:
        """Stop work in progress and give everything back. Closing twice does nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
