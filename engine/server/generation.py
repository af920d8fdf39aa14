"""A request on an engine: prompts are read, tokens streamed, usage summed, contexts released."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Protocol, Self, cast, runtime_checkable

from braid.engine.base import Context, Engine
from braid.engine.errors import ContextLengthError
from braid.engine.server.config import ServerLimits
from braid.engine.server.errors import server_error, unsupported
from braid.engine.server.requests import GenerationRequest
from braid.engine.system import merge_streams, run_all
from braid.engine.tool_calls import HERMES, ChatReading
from braid.engine.types import Completion, Prompt, SamplingParams, Token, Usage

# What a chat without max_tokens may write where the engine does not know how long its context is.
_DEFAULT_CHAT_TOKENS = 2048


@runtime_checkable
class _ScoresPrompts(Protocol):
    """An engine that knows the log-probability of each token of a prompt, as the local one does."""

    async def score_prompt(self, context: Context, *, top_logprobs: int = 0) -> list[Token]: ...


@runtime_checkable
class _ReadsChats(Protocol):
    """An engine that puts chats through the model's own template, as the local one does."""

    async def read_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        options: Mapping[str, Any] | None = None,
    ) -> ChatReading | None: ...


class Generation:
    """One request's work. Inside `async with` the prompts are read and held. Leaving it releases everything.

    Raises:
        ApiError: the engine cannot do what is asked, known before anything is read.
        EngineError: whatever the engine raises.
    """

    def __init__(self, engine: Engine, request: GenerationRequest, limits: ServerLimits) -> None:
        self._engine = engine
        self._request = request
        self._limits = limits
        self.call_form = HERMES
        """How calls of tools are written."""
        self.ignored = request.ignored
        """Fields of the request that had no effect."""
        self._contexts: dict[int, Context] = {}
        self._generated = 0
        self._scored: dict[int, list[Token]] = {}
        self._prompt_usages: list[Usage] = []
        self._branch_usages: list[Usage] = []

    async def __aenter__(self) -> Self:
        if self._request.scores_prompts and not isinstance(self._engine, _ScoresPrompts):
            raise unsupported("echo", "'echo' with 'logprobs': this model's engine cannot score prompts")
        for capability, param in self._request.needs:
            if capability not in self._engine.capabilities:
                raise unsupported(param, f"{param!r}: this model's engine cannot do that ({capability})")
        try:
            prompts = enumerate(self._request.prompts)
            await run_all([self._read_prompt(place, prompt) for place, prompt in prompts])
        except BaseException:
            self._release()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._release()

    def echo(self, choice: int) -> str:
        """The prompt of a choice as text."""
        place = choice // self._request.sampling.n
        prompt = self._request.prompts[place]
        return prompt if isinstance(prompt, str) else self._contexts[place].text

    def scored(self, choice: int) -> list[Token]:
        """The tokens of a choice's prompt with their log-probabilities, if the request asks for them."""
        return self._scored.get(choice // self._request.sampling.n, [])

    async def tokens(self) -> AsyncGenerator[Token]:
        """The tokens of all choices as they come. `index` is the choice. Closing it cancels the work."""
        counts: dict[int, int] = {}
        sources = [self._branches(place, context) for place, context in sorted(self._contexts.items())]
        async with aclosing(merge_streams(sources)) as tokens:
            async for token in tokens:
                if token.finish_reason == "cancelled":
                    raise server_error(503, "the engine gave the completion up", "cancelled")
                counts[token.index] = counts.get(token.index, 0) + is_sampled(token)
                self._generated += is_sampled(token)
                if token.finish_reason is not None:
                    count = counts[token.index]
                    self._branch_usages.append(token.usage or Usage(generated_tokens=count))
                    self._generated += self._branch_usages[-1].generated_tokens - count
                yield token

    def usage(self) -> Usage:
        """Usage so far: the prompts, each read once for its `n` branches, and what was generated."""
        total = Usage.parallel([*self._prompt_usages, *self._branch_usages])
        prompt = total.prompt_tokens or sum(context.token_count for context in self._contexts.values())
        return replace(total, prompt_tokens=prompt, generated_tokens=self._generated)

    async def _read_prompt(self, place: int, prompt: Prompt) -> None:
        context = await self._engine.prefill(await self._through_template(prompt))
        self._contexts[place] = context
        self._prompt_usages.append(context.usage)
        if self._request.scores_prompts and isinstance(self._engine, _ScoresPrompts):
            top = self._request.sampling.logprobs or 0
            self._scored[place] = await self._engine.score_prompt(context, top_logprobs=top)
        if self._request.answer_start:
            longer = await self._engine.extend(context, self._request.answer_start)
            context.release()
            self._contexts[place] = longer
            self._prompt_usages.append(longer.usage)

    async def _through_template(self, prompt: Prompt) -> Prompt:
        """The ids of a chat that has tools, calls or options, if the engine has a template for them."""
        template = self._request.template
        if template is None:
            return prompt
        reads = isinstance(self._engine, _ReadsChats)
        if template.options and not (reads and "chat" in self._engine.capabilities):
            self.ignored += ("chat_template_kwargs",)
        if isinstance(self._engine, _ReadsChats):
            # A template that takes no tools gets a chat that tells of them in its texts.
            plain = cast("Sequence[Mapping[str, Any]]", prompt)
            for messages, tools in ((template.messages, template.tools), (plain, ())):
                reading = await self._engine.read_chat(messages, tools=tools, options=template.options)
                if reading is not None:
                    self.call_form = reading.call_form
                    return reading.ids
        return prompt

    async def _branches(self, place: int, context: Context) -> AsyncGenerator[Token]:
        first = place * self._request.sampling.n
        if self._request.max_tokens == 0:
            for index in range(self._request.sampling.n):
                yield Token(text="", index=first + index, finish_reason="length", usage=Usage())
            return
        if not self._request.stream and self._request.sampling.logprobs is None:
            completions = await self._engine.generate(context, self._sampling(context))
            for completion in completions:  # all of them at once: the reader may go away in the middle
                completion.context.release()
            for completion in completions:
                for token in _pieces(completion):
                    yield replace(token, index=first + completion.index)
            return
        # Every engine cancels the work when the iterator is closed.
        source = cast("AsyncGenerator[Token]", self._engine.stream(context, self._sampling(context)))
        async with aclosing(source) as tokens:
            async for token in tokens:
                yield replace(token, index=first + token.index) if first else token

    def _sampling(self, context: Context) -> SamplingParams:
        sampling = self._request.sampling
        if self._request.tools is not None:
            sampling = replace(sampling, grammar=self._request.tools.grammar(self.call_form))
        if self._request.max_tokens is not None:
            return sampling
        longest = self._engine.info.max_context
        room = _DEFAULT_CHAT_TOKENS if longest is None else longest - context.token_count
        if room < 1:
            raise ContextLengthError(
                f"the prompt has {context.token_count} tokens and fills the model's context of {longest}; "
                "there is no room for an answer"
            )
        return replace(sampling, max_tokens=min(room, self._limits.max_tokens))

    def _release(self) -> None:
        for context in self._contexts.values():
            context.release()


def _pieces(completion: Completion) -> Iterator[Token]:
    """A completion as the pieces of a stream: its ids one by one, the text in the last.

    It serves requests that do not look at single tokens: asking the engine's thread for those would cost much
    of its time.
    """
    ids: Sequence[int | None] = completion.token_ids or (None,)
    yield from (Token(text="", id=id) for id in ids[:-1])
    yield Token(
        text=completion.text,
        id=ids[-1],
        finish_reason=completion.finish_reason,
        stop_hit=completion.stop_hit,
        usage=completion.usage,
        extra=completion.extra,
    )


def is_sampled(token: Token) -> bool:
    """Whether this piece stands for something sampled. The last piece of a branch may only bring its end."""
    return bool(token.text) or token.id is not None
