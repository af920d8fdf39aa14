"""The scripted engine: an `Engine` for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal, cast

from braid.engine.base import Context, Engine
from braid.engine.errors import ContextLengthError, ContextReleasedError, EngineError, InvalidParamsError
from braid.engine.prompts import ChatPrompt, TextPrompt, TokenPrompt, plain_chat, read_prompt
from braid.engine.scope import Budget, ambient_budget
from braid.engine.scripted.script import Response, branch_text, completion_end, split_pieces
from braid.engine.stop_strings import held_back
from braid.engine.types import (
    Capability,
    Completion,
    EngineInfo,
    FinishReason,
    Message,
    Prompt,
    SamplingParams,
    Token,
    Usage,
)

_DEFAULT: frozenset[Capability] = frozenset({"chat", "cut", "text_join", "native_n", "seed", "logprobs"})
_SCORING: frozenset[Capability] = frozenset({"prompt_logprobs"})
_POSSIBLE = _DEFAULT | _SCORING


class ScriptExhaustedError(EngineError):
    """The engine was called more often than its script has responses."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One `generate` or `stream` that the engine was asked for."""

    kind: Literal["generate", "stream"]
    prompt: str
    messages: tuple[Message, ...] | None
    """Messages of the prompt. None unless it was a chat."""
    params: SamplingParams


class ScriptedEngine(Engine):
    """An engine whose responses are given by the test.

    Scripted tokens are words and punctuation marks, and their log-probability is 0. A stop string or
    `max_tokens` ends a scripted text as it would end a sampled one. `calls` records what was asked,
    `prefills` the text of every prompt.

    Threads and loops may share it.
    """

    def __init__(
        self,
        responses: Response | Sequence[Response],
        *,
        capabilities: Iterable[Capability] = _DEFAULT,
        chunk: Literal["char", "word", "whole"] | int = "word",
        delay: float = 0.0,
        max_context: int | None = None,
        scorer: Callable[[str, str], list[float]] | None = None,
        model: str = "scripted",
        details: Mapping[str, str] | None = None,
    ) -> None:
        """Make an engine.

        Args:
            responses: one response for every call, or a list with one for each call in the order of calling.
                One call too many then raises `ScriptExhaustedError`. See `Response`.
            capabilities: what the engine declares.
            chunk: how text is streamed: by character, by word, as a whole, or in pieces of this many
                characters.
            delay: seconds before each piece.
            max_context: longest context in tokens.
            scorer: `scorer(context, text)` gives log-probabilities to `score`. It adds the capability
                `prompt_logprobs`.
            model: name of the model.
            details: `EngineInfo.details`, such as `{"prompt_style": "compact"}`.

        Raises:
            InvalidParamsError: the capabilities or `chunk` are out of range.
        """
        declared = frozenset(capabilities)
        if scorer is not None:
            declared |= _SCORING
        if not declared <= _POSSIBLE:
            raise InvalidParamsError(
                f"a scripted engine cannot have {sorted(declared - _POSSIBLE)}; "
                f"it can have {sorted(_POSSIBLE)}"
            )
        if "prompt_logprobs" in declared and scorer is None:
            raise InvalidParamsError("capability 'prompt_logprobs' needs a scorer=")
        if isinstance(chunk, int) and chunk < 1:
            raise InvalidParamsError(f"chunk must be at least one character, got {chunk!r}")
        self._always: Response | None = None
        self._script: list[Response] = []
        if isinstance(responses, Sequence) and not isinstance(responses, str):
            self._script = list(cast("Sequence[Response]", responses))
        else:
            self._always = responses
        self._chunk: Literal["char", "word", "whole"] | int = chunk
        self._delay = delay
        self._scorer = scorer
        self._open = 0
        self._closed = False
        self.calls: list[Call] = []
        self.prefills: list[str] = []
        self._info = EngineInfo(
            uri=f"scripted:{model}",
            model=model,
            max_context=max_context,
            capabilities=declared,
            details=dict(details or {}),
        )

    @property
    def info(self) -> EngineInfo:
        return self._info

    async def prefill(self, prompt: Prompt, *, budget: Budget | None = None) -> Context:
        self._check_open()
        match read_prompt(prompt):
            case TextPrompt(text):
                messages = None
            case ChatPrompt(messages):
                self.require("chat")
                text = plain_chat(messages)
            case TokenPrompt():
                self.require("token_ids", "a script has no vocabulary")
                raise AssertionError("a scripted engine never declares token_ids")
        self.prefills.append(text)
        return await self._charged((*split_pieces(text),), len(split_pieces(text)), 0, messages, budget)

    async def extend(self, context: Context, text: str, *, budget: Budget | None = None) -> Context:
        ours = self._ours(context)
        added = split_pieces(text)
        return await self._charged(
            ours.pieces + added, len(added), ours.critical_path_tokens, ours.messages, budget
        )

    async def cut(self, context: Context, length: int, *, budget: Budget | None = None) -> Context:
        self.require("cut")
        ours = self._ours(context)
        if not 1 <= length <= len(ours.pieces):
            raise InvalidParamsError(f"cut length must lie in 1..{len(ours.pieces)} tokens, got {length!r}")
        return await self._charged(ours.pieces[:length], 0, ours.critical_path_tokens, ours.messages, budget)

    async def join(
        self,
        context: Context,
        parts: Sequence[Context],
        *,
        how: Literal["text", "kv"] = "text",
        separator: str = "",
        budget: Budget | None = None,
    ) -> Context:
        self.require("kv_join" if how == "kv" else "text_join")
        ours = self._ours(context)
        texts: list[str] = []
        for place, part in enumerate(parts):
            pieces = self._ours(part).pieces
            if pieces[: len(ours.pieces)] != ours.pieces:
                raise InvalidParamsError(f"part {place} does not descend from the joined context")
            texts.append("".join(pieces[len(ours.pieces) :]))
        added = split_pieces(separator.join(texts))
        critical_path_tokens = max(
            (part.critical_path_tokens for part in parts), default=ours.critical_path_tokens
        )
        return await self._charged(
            ours.pieces + added, len(added), critical_path_tokens, ours.messages, budget
        )

    async def score(self, context: Context, text: str, *, budget: Budget | None = None) -> list[float]:
        self.require("prompt_logprobs")
        assert self._scorer is not None
        ours = self._ours(context)
        with _scope(budget).reserve(tokens=len(split_pieces(text)), calls=1) as reservation:
            scores = self._scorer(ours.text, text)
            reservation.settle(tokens=len(split_pieces(text)), calls=1)
        return scores

    async def generate(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> list[Completion]:
        ours = self._ours(context)
        pieces: list[list[Token]] = [[] for _ in range(params.n)]
        async with aclosing(self._tokens("generate", ours, params, budget)) as tokens:
            async for token in tokens:
                pieces[token.index].append(token)
        return [self._completion(ours, branch, params) for branch in pieces]

    async def stream(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> AsyncGenerator[Token]:
        ours = self._ours(context)
        async with aclosing(self._tokens("stream", ours, params, budget)) as tokens:
            async for token in tokens:
                yield token

    def open_contexts(self) -> int:
        return self._open

    async def close(self) -> None:
        self._closed = True

    async def _tokens(
        self,
        kind: Literal["generate", "stream"],
        ours: _ScriptedContext,
        params: SamplingParams,
        budget: Budget | None,
    ) -> AsyncGenerator[Token]:
        if params.grammar is not None:
            self.require("grammar")
        if params.penalized:
            self.require("penalties")
        if params.logprobs is not None:
            self.require("logprobs")
        if params.stop_token_ids:
            self.require("token_ids", "a script has no vocabulary")
        limit = self._info.max_context
        if limit is not None and ours.token_count + params.max_tokens > limit:
            raise ContextLengthError(
                f"{ours.token_count} prompt tokens plus max_tokens={params.max_tokens} "
                f"exceed the context of {limit}"
            )
        scope = _scope(budget)
        price, max_generated = scope.price_of(self.info.uri, self.info.model), params.n * params.max_tokens
        with await scope.hold(
            tokens=max_generated, calls=1, cost=price.of(generated=max_generated, calls=1)
        ) as reservation:
            self.calls.append(Call(kind=kind, prompt=ours.text, messages=ours.messages, params=params))
            response = self._next_response()
            generated = 0
            try:
                for index in range(params.n):
                    branch = ""
                    before = generated
                    async with aclosing(self._branch(ours.text, params, response, index)) as source:
                        async for text, reason, stop in source:
                            branch += text
                            generated = before + len(split_pieces(branch))
                            usage = None
                            if reason is not None:
                                count = generated - before
                                usage = Usage(
                                    generated_tokens=count,
                                    critical_path_tokens=count,
                                    calls=1 if index == 0 else 0,
                                )
                            yield Token(
                                text=text,
                                index=index,
                                logprob=None if params.logprobs is None else 0.0,
                                top_logprobs=((text, 0.0),) if params.logprobs else (),
                                finish_reason=reason,
                                stop_hit=stop,
                                usage=usage,
                            )
            finally:
                reservation.settle(tokens=generated, calls=1, cost=price.of(generated=generated, calls=1))

    async def _branch(
        self, prompt: str, params: SamplingParams, response: Response, index: int
    ) -> AsyncGenerator[tuple[str, FinishReason | None, str | None]]:
        """Pieces of one branch, with stop strings and `max_tokens` applied.

        The last piece carries the reason.
        """
        text, shown = "", 0
        async with aclosing(branch_text(response, prompt, index)) as source:
            async for piece in source:
                text += piece
                end, reason, stop = completion_end(text, params)
                if reason is None:
                    end -= held_back(text, params.stop)
                for part in self._split(text[shown:end]):
                    await self._wait()
                    yield part, None, None
                shown = max(shown, end)
                if reason is not None:
                    yield "", reason, stop
                    return
        for part in self._split(text[shown:]):
            await self._wait()
            yield part, None, None
        yield "", "stop", None

    async def _wait(self) -> None:
        await asyncio.sleep(self._delay)
        self._check_open()

    def _split(self, text: str) -> Sequence[str]:
        match self._chunk:
            case "whole":
                return [text] if text else []
            case "char":
                return text
            case "word":
                return split_pieces(text)
            case int(size):
                return [text[at : at + size] for at in range(0, len(text), size)]

    def _next_response(self) -> Response:
        if self._always is not None:
            return self._always
        place = len(self.calls) - 1
        if place >= len(self._script):
            raise ScriptExhaustedError(
                f"the script has {len(self._script)} responses and was called once more; "
                f"it was asked: {_last_message(self.calls[-1])!r}"
            )
        return self._script[place]

    def _completion(self, ours: _ScriptedContext, tokens: list[Token], params: SamplingParams) -> Completion:
        text = "".join(token.text for token in tokens)
        last = tokens[-1]
        assert last.finish_reason is not None and last.usage is not None
        pieces = split_pieces(text)
        logprobs = top = None
        if params.logprobs is not None:
            logprobs = (0.0,) * len(pieces)
            top = tuple(((piece, 0.0),) for piece in pieces) if params.logprobs else None
        return Completion(
            text=text,
            context=_ScriptedContext(
                self, ours.pieces + pieces, ours.critical_path_tokens + len(pieces), ours.messages, Usage()
            ),
            finish_reason=last.finish_reason,
            usage=last.usage,
            index=last.index,
            stop_hit=last.stop_hit,
            logprobs=logprobs,
            top_logprobs=top,
        )

    async def _charged(
        self,
        pieces: tuple[str, ...],
        read: int,
        critical_path_tokens: int,
        messages: tuple[Message, ...] | None,
        budget: Budget | None,
    ) -> _ScriptedContext:
        """A new context of `pieces`, of which the last `read` are charged."""
        limit = self._info.max_context
        if limit is not None and len(pieces) > limit:
            raise ContextLengthError(f"{len(pieces)} tokens exceed the context of {limit}")
        scope = _scope(budget)
        cost = scope.price_of(self.info.uri, self.info.model).of(prompt=read)
        with await scope.hold(tokens=read, cost=cost) as reservation:
            reservation.settle(tokens=read, cost=cost)
        return _ScriptedContext(self, pieces, critical_path_tokens, messages, Usage(prompt_tokens=read))

    def _ours(self, context: Context) -> _ScriptedContext:
        self._check_open()
        if not isinstance(context, _ScriptedContext) or context.engine is not self:
            raise ContextReleasedError("this context belongs to another engine")
        if context.released:
            raise ContextReleasedError("this context was released")
        return context

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("the scripted engine is closed")


@dataclass(eq=False)
class _ScriptedContext(Context):
    engine: ScriptedEngine
    pieces: tuple[str, ...]
    path_tokens: int
    messages: tuple[Message, ...] | None
    prefill_usage: Usage
    is_released: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.engine._open += 1  # pyright: ignore[reportPrivateUsage]

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def token_count(self) -> int:
        return len(self.pieces)

    @property
    def critical_path_tokens(self) -> int:
        return self.path_tokens

    @property
    def usage(self) -> Usage:
        return self.prefill_usage

    @property
    def released(self) -> bool:
        return self.is_released

    def release(self) -> None:
        if not self.is_released:
            self.is_released = True
            self.engine._open -= 1  # pyright: ignore[reportPrivateUsage]


def _scope(budget: Budget | None) -> Budget:
    return ambient_budget() if budget is None else budget


def _last_message(call: Call) -> str:
    """The beginning of the last message of a call, or the end of its text."""
    if call.messages:
        return call.messages[-1]["content"][:400]
    return call.prompt[-200:]
