"""The local engine's asyncio face. The model runs on a worker thread; nothing here blocks the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from braid.engine.base import Context, Engine
from braid.engine.errors import ContextLengthError, ContextReleasedError, EngineError, InvalidParamsError
from braid.engine.local.context import LocalContext, OpenContexts
from braid.engine.local.join import Layout, Positions, join_kv, joined_ids
from braid.engine.local.kv import Pool, PrefixEnd
from braid.engine.local.model import (
    Dtype,
    Model,
    TokenMasks,
    best_threads,
    default_memory,
    describe,
    load_model,
    locate_model,
    off_loop,
    prompt_size,
)
from braid.engine.local.scheduler import (
    Branch,
    Generate,
    Read,
    Scheduler,
    Score,
    Stats,
    Worker,
    in_own_thread,
)
from braid.engine.prompts import read_prompt
from braid.engine.scope import Budget, Price, ambient_budget, ambient_priority
from braid.engine.system import processors
from braid.engine.types import Completion, EngineInfo, Grammar, Prompt, SamplingParams, Token, Usage


class LocalEngine(Engine):
    """Any Hugging Face causal LM that takes its attention from transformers' interface, in this process. Make one with `load`.

    All calls run as one continuous batch. KV is shared between whatever begins alike, also while it is still being computed, and
    kept for a while after the last context is released. Requests take their urgency from `braid.engine.scope.priority`.
    A prompt given as messages goes through the tokenizer's chat template (capability `chat`), or, where there is none,
    through `braid.engine.prompts.plain_chat`. Special tokens that occur in text are read as special tokens.
    """

    def __init__(
        self, model: Model, *, name: str, threads: int, cache_bytes: int, memory_bytes: int, chunk_tokens: int
    ) -> None:
        self._model = model
        self._pool = Pool(model.geometry, limit=memory_bytes, keep=cache_bytes)
        self._contexts = OpenContexts(self._pool)
        self._scheduler = Scheduler(model, self._pool, self._contexts.spill, chunk=chunk_tokens)
        self._worker = Worker(self._scheduler, self._pool, threads)
        self._closed = False
        self._info = describe(model, name=name, threads=threads, memory_bytes=memory_bytes)

    @classmethod
    async def load(
        cls,
        name_or_path: str | Path,
        *,
        threads: int | None = None,
        dtype: Dtype = "auto",
        device: str = "cpu",
        cache_bytes: int = 256 * 2**20,
        memory_bytes: int | None = None,
        chunk_tokens: int = 1024,
        fast: bool = True,
    ) -> LocalEngine:
        """Load a model from a folder, by the name of one of Braid's own models, or from the hub's cache.

        Args:
            threads: CPU threads for the model; None takes what affinity and container quota allow, or one thread for a small
                model that runs faster so at the moment.
            dtype: precision of weights and KV; sampling is always float32. `auto` is float32 for small models,
                bfloat16 for those with more than 500 MiB of weights.
            device: where the model runs, as torch names it.
            cache_bytes: KV kept for reuse beyond what live contexts hold.
            memory_bytes: limit of all KV; None takes half of the memory that is free.
            chunk_tokens: tokens of prompts read in one step at most; fewer while others wait for their next token.
            fast: False runs transformers' own modules throughout, without packed weights and the lean path.

        Raises `EngineURIError` when there is no such model, `EngineError` when it cannot be run.
        """
        if threads is not None and threads < 1:
            raise InvalidParamsError(f"threads must be at least 1, got {threads!r}")
        if dtype not in ("auto", "float32", "bfloat16", "float16"):
            raise InvalidParamsError(
                f"dtype must be 'auto', 'float32', 'bfloat16' or 'float16', got {dtype!r}"
            )
        if chunk_tokens < 1:
            raise InvalidParamsError(f"chunk_tokens must be at least 1, got {chunk_tokens!r}")
        folder = await asyncio.to_thread(locate_model, name_or_path)
        model = await in_own_thread(partial(load_model, folder, dtype=dtype, device=device, fast=fast))
        if threads is None:
            threads = await in_own_thread(partial(best_threads, model, processors().usable))
        return cls(
            model,
            name=str(name_or_path),
            threads=threads,
            cache_bytes=cache_bytes,
            memory_bytes=default_memory(model.device) if memory_bytes is None else memory_bytes,
            chunk_tokens=chunk_tokens,
        )

    @property
    def info(self) -> EngineInfo:
        return self._info

    async def prefill(self, prompt: Prompt, *, budget: Budget | None = None) -> LocalContext:
        """Read a prompt: text, messages, or token ids."""
        self._check_open()

        def read() -> tuple[int, ...]:
            return self._model.codec.read(read_prompt(prompt))

        return await self._read(await off_loop(read, prompt_size(prompt)), None, budget)

    async def extend(self, context: Context, text: str, *, budget: Budget | None = None) -> LocalContext:
        """`context` with `text` behind it, tokenized on its own."""
        added = await off_loop(lambda: self._model.codec.encode(text), len(text))
        own = self._own(context)
        return await self._read(own.ids + added, own, budget)

    async def cut(self, context: Context, length: int, *, budget: Budget | None = None) -> LocalContext:
        """The first `length` tokens of `context`; costs nothing.

        Cut in the middle of a KV join, what is left is a join of what is left of the parts.
        """
        own = self._own(context)
        if not 1 <= length <= len(own.ids):
            raise InvalidParamsError(f"cut length must lie in 1..{len(own.ids)} tokens, got {length!r}")
        with self._pool.lock:
            # The last token is left to whoever goes on, as everywhere; in the middle of a join that is where it counts.
            covered = min(own.covered, length - 1)
            tip = self._pool.back(own.tip, own.covered - covered)
            pins = tip.pins()
            self._pool.pin(pins)
        return LocalContext(self, own.ids[:length], tip, covered, pins, own.critical_path_tokens, Usage())

    async def join(
        self,
        context: Context,
        parts: Sequence[Context],
        *,
        how: Literal["text", "kv"] = "text",
        separator: str = "",
        budget: Budget | None = None,
        positions: Positions = "longest",
        temperature: float = 1.0,
        scale: float = 1.0,
    ) -> LocalContext:
        """`context`, then what each of `parts` added to it, with `separator` between them.

        As text it is read again. As KV nothing is: what follows sees every part, and the parts do not see one another. The last
        token of the last part is read after the join.

        Args:
            positions: where the join goes on. `longest` after the longest part (Multiverse, ParaThinker); `sequence` as if the
                parts had been written one after the other (Hogwild), for models with rotary positions. KV joins only.
            temperature: of attention to the parts, and
            scale: factor of how much they get together (adaptive parallel encoding). KV joins only.
        """
        own = self._own(context)
        between = self._model.codec.encode(separator) if separator else ()
        ids, pieces = joined_ids(own, [self._own(part) for part in parts], between)
        critical = max((part.critical_path_tokens for part in parts), default=own.critical_path_tokens)
        if how == "text":
            return await self._read(ids, own, budget, critical)
        if temperature <= 0 or scale <= 0:
            raise InvalidParamsError(f"temperature and scale must be > 0, got {temperature!r} and {scale!r}")
        if positions == "sequence" and self._model.rotate is None:
            raise InvalidParamsError(f"{self._model.name} has no rotary positions that could be shifted")
        if len(ids) - len(own.ids) < 2:
            return await self._read(ids, own, budget, critical)
        self._check_length(len(ids), "the join")
        added = len(ids) - len(own.ids)
        scope = ambient_budget() if budget is None else budget
        cost = self._price(scope).of(prompt=added)
        last, whole = pieces.pop()
        with scope.reserve(tokens=added, cost=cost) as held:
            reads = (self._read_request(piece, part, scope) for part, piece in [*pieces, (last, whole[:-1])])
            layout = Layout(len(own.ids), positions, temperature, scale)
            tip, pins, computed = await join_kv(self._worker, self._pool, reads, layout)
            held.settle(tokens=added, cost=cost)
        usage = Usage(prompt_tokens=added, cached_tokens=max(0, added - computed))
        return LocalContext(self, ids, tip, len(ids) - 1, pins, critical, usage)

    async def score(self, context: Context, text: str, *, budget: Budget | None = None) -> list[float]:
        """The model's log-probability of each token of `text` after `context`, at temperature 1."""
        added = await off_loop(lambda: self._model.codec.encode(text), len(text))
        own = self._own(context)
        if not added:
            return []
        self._check_length(len(own.ids) + len(added), "the scored text")
        scope = ambient_budget() if budget is None else budget
        cost = self._price(scope).of(prompt=len(added), calls=1)
        with scope.reserve(tokens=len(added), calls=1, cost=cost) as held:
            tip, covered, pins = self._contexts.use(own)
            request = Score(
                own.ids + added,
                tip,
                covered,
                pins,
                scope=scope,
                priority=ambient_priority(),
                count=len(added),
            )
            scores = await self._worker.submit(request).result()
            held.settle(tokens=len(added), calls=1, cost=cost)
        return scores

    async def generate(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> list[Completion]:
        """`params.n` completions, sampled side by side on the shared KV of `context`.

        `token_ids` and `logprobs` cover every sampled token, the ending one included; `text` and `context` stop before
        an end-of-sequence token or stop string. Log-probabilities are the model's own, before temperature and truncation.
        """
        own = self._own(context)
        self._check_params(own, params)
        masks = await self._masks(params)
        scope = ambient_budget() if budget is None else budget
        most, price = params.n * params.max_tokens, self._price(scope)
        with scope.reserve(tokens=most, calls=1, cost=price.of(generated=most, calls=1)) as held:
            request = self._generate_request(own, params, scope, masks)
            try:
                branches: list[Branch] = await self._worker.submit(request).result()
            finally:
                held.settle(
                    tokens=request.generated, calls=1, cost=price.of(generated=request.generated, calls=1)
                )
        return [self._completion(own, branch) for branch in branches]

    async def stream(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> AsyncGenerator[Token]:
        """One `Token` for each sampled token; its text may be empty while a character or a stop string is open."""
        own = self._own(context)
        self._check_params(own, params)
        masks = await self._masks(params)
        scope = ambient_budget() if budget is None else budget
        loop = asyncio.get_running_loop()
        steps: asyncio.Queue[list[Token] | None] = asyncio.Queue()
        most, price = params.n * params.max_tokens, self._price(scope)
        with scope.reserve(tokens=most, calls=1, cost=price.of(generated=most, calls=1)) as held:

            def show(tokens: list[Token]) -> None:
                try:
                    loop.call_soon_threadsafe(steps.put_nowait, tokens)
                except RuntimeError:  # the loop is closed: nobody reads any further
                    request.cancelled = True

            request = self._generate_request(own, params, scope, masks, show)
            work = self._worker.submit(request)
            work.done.add_done_callback(lambda _: steps.put_nowait(None))
            try:
                while (tokens := await steps.get()) is not None:
                    for token in tokens:
                        yield token
                work.done.result()
            finally:
                try:
                    await work.drop()
                finally:
                    held.settle(
                        tokens=request.generated, calls=1, cost=price.of(generated=request.generated, calls=1)
                    )

    def open_contexts(self) -> int:
        return len(self._contexts)

    def kv_bytes(self) -> int:
        """Bytes of KV held now, by contexts, by running requests and for reuse."""
        return self._pool.total

    def kv_peak_bytes(self, *, reset: bool = False) -> int:
        """Highest `kv_bytes` so far; `reset` begins anew from now."""
        with self._pool.lock:
            peak = self._pool.peak
            if reset:
                self._pool.peak = self._pool.total
        return peak

    def forget(self) -> None:
        """Drop all KV that no context holds."""
        self._pool.clear()

    def check_integrity(self) -> None:
        """Recount the KV's books; raises AssertionError where they are wrong. For tests."""
        self._pool.check()

    def stats(self) -> Stats:
        """Counts since the engine was opened, as they are now."""
        return replace(self._scheduler.stats)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens included."""
        return self._model.codec.decode(ids)

    def encode(self, text: str) -> tuple[int, ...]:
        """The token ids of `text`, with nothing put before or after it."""
        return self._model.codec.encode(text)

    async def close(self) -> None:
        self._closed = True
        await asyncio.to_thread(self._worker.close)
        self._pool.clear()

    async def _read(
        self,
        ids: tuple[int, ...],
        base: LocalContext | None,
        budget: Budget | None,
        critical: int | None = None,
    ) -> LocalContext:
        """The context of `ids`, which continue `base`; what lies behind `base` is read and charged.

        The last token is left to whoever goes on: it is read for its logits then.
        """
        self._check_length(len(ids), "the prompt")
        known = len(base.ids) if base else 0
        scope = ambient_budget() if budget is None else budget
        cost = self._price(scope).of(prompt=len(ids) - known)
        with scope.reserve(tokens=len(ids) - known, cost=cost) as held:
            work = self._worker.submit(self._read_request(ids[:-1], base, scope))
            tip, pins, reused = await work.result()
            held.settle(tokens=len(ids) - known, cost=cost)
        usage = Usage(prompt_tokens=len(ids) - known, cached_tokens=max(0, reused - known))
        if critical is None:
            critical = base.critical_path_tokens if base else 0
        return LocalContext(self, ids, tip, len(ids) - 1, pins, critical, usage)

    def _price(self, scope: Budget) -> Price:
        return scope.price_of(self.info.uri, self.info.model)

    def _read_request(self, ids: tuple[int, ...], base: LocalContext | None, scope: Budget) -> Read:
        if base is None:
            tip = PrefixEnd(self._pool.root, 0)
            return Read(ids, tip, 0, (), scope=scope, priority=ambient_priority())
        tip, covered, pins = self._contexts.use(base)
        return Read(ids, tip, covered, pins, scope=scope, priority=ambient_priority())

    def _generate_request(
        self,
        own: LocalContext,
        params: SamplingParams,
        scope: Budget,
        masks: TokenMasks | None,
        show: Callable[[list[Token]], None] | None = None,
    ) -> Generate:
        tip, covered, pins = self._contexts.use(self._own(own))  # a grammar took its time: still open?
        codec = self._model.codec
        return Generate(
            own.ids,
            tip,
            covered,
            pins,
            scope=scope,
            priority=ambient_priority(),
            params=params,
            codec=codec,
            masks=masks,
            show=show,
        )

    def _completion(self, own: LocalContext, branch: Branch) -> Completion:
        kept, rest = branch.kept()
        ids = own.ids + tuple(branch.ids[:kept]) + (self._model.codec.encode(rest) if rest else ())
        critical = own.critical_path_tokens + len(branch.ids)
        assert branch.reason is not None and branch.tip is not None
        return Completion(
            text=branch.text,
            context=LocalContext(self, ids, branch.tip, branch.covered, branch.pins, critical, Usage()),
            finish_reason=branch.reason,
            usage=branch.usage(),
            index=branch.index,
            stop_hit=branch.stop_hit,
            token_ids=tuple(branch.ids),
            logprobs=tuple(branch.logprobs) if branch.logprobs else None,
            top_logprobs=tuple(branch.tops) if branch.tops else None,
        )

    def _check_params(self, own: LocalContext, params: SamplingParams) -> None:
        if params.grammar is not None:
            self.require("grammar", self._model.no_grammars)
        for name, tokens in (("stop_token_ids", params.stop_token_ids), ("logit_bias", params.logit_bias)):
            bad = [token for token in tokens if not 0 <= token < self._model.vocabulary]
            if bad:
                raise InvalidParamsError(f"{name} must lie in 0..{self._model.vocabulary - 1}, got {bad}")
        self._check_length(
            len(own.ids) + params.max_tokens, f"{len(own.ids)} tokens plus max_tokens={params.max_tokens}"
        )

    async def _masks(self, params: SamplingParams) -> TokenMasks | None:
        """The grammar of `params`, ready for its branches. Compiling may take a while, so it gets a thread."""
        if params.grammar is None:
            return None
        assert self._model.grammars is not None
        return await asyncio.to_thread(self._model.grammars.start, Grammar.of(params.grammar), params.n)

    def _check_length(self, length: int, what: str) -> None:
        limit = self._info.max_context
        if limit is not None and length > limit:
            raise ContextLengthError(f"{what}: {length} tokens are more than the model's context of {limit}")

    def _own(self, context: Context) -> LocalContext:
        self._check_open()
        if not isinstance(context, LocalContext) or context.engine is not self:
            raise ContextReleasedError(f"{context!r} does not belong to this engine ({self._info.uri})")
        if context.released:
            raise ContextReleasedError("the context was released; keep it open for as long as it is used")
        return context

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError(f"the engine {self._info.uri} is closed")
