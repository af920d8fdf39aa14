"""The asyncio side of the local engine.

The model runs on a worker thread. Nothing here blocks the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from braid.engine.adapter_folder import AdapterFolder, read_adapter
from braid.engine.base import Context, Engine
from braid.engine.checks import is_number, is_whole
from braid.engine.errors import ContextLengthError, ContextReleasedError, EngineError, InvalidParamsError
from braid.engine.local.adapters import read_low_ranks
from braid.engine.local.context import LocalContext, OpenContexts
from braid.engine.local.join import JoinLayout, Positions, join_kv, joined_ids
from braid.engine.local.kv import Pool
from braid.engine.local.model import (
    Detokenizer,
    Dtype,
    Model,
    TokenMasks,
    best_threads,
    check_base,
    default_memory,
    describe,
    load_model,
    locate_base,
    off_loop,
    prompt_size,
)
from braid.engine.local.scheduler import (
    Branch,
    GenerateRequest,
    PrefillRequest,
    Scheduler,
    ScoreRequest,
    Stats,
    Worker,
    in_own_thread,
)
from braid.engine.prompts import read_prompt
from braid.engine.scope import Budget, Price, ambient_budget, ambient_priority
from braid.engine.system import processors
from braid.engine.tool_calls import ChatReading
from braid.engine.types import Completion, EngineInfo, Grammar, Prompt, SamplingParams, Token, Usage


class LocalEngine(Engine):
    """Any Hugging Face causal LM that takes its attention from transformers' interface, in this process.

    Make one with `load`. All calls run as one continuous batch. KV is shared between all texts that begin
    alike, also while it is still being computed, and kept for a while after the last context is released.
    Requests have the priority of the task that makes them, see `braid.engine.scope`. A prompt of messages
    goes through the tokenizer's chat template (capability `chat`), or, where there is none, through
    `braid.engine.plain_chat`. Special tokens that occur in text are read as special tokens.

    Threads and loops may share it.
    """

    def __init__(
        self,
        model: Model,
        *,
        name: str,
        threads: int,
        cache_bytes: int,
        memory_bytes: int,
        chunk_tokens: int,
        row_tokens: int,
    ) -> None:
        self._model = model
        self._adapter: str | None = None
        self._owner = True
        self._uri: str | None = None
        self._adapters: dict[str, AdapterFolder] = {}
        self._folder: Path | None = None
        self._pool = Pool(model.geometry, limit_bytes=memory_bytes, keep_bytes=cache_bytes)
        self._contexts = OpenContexts(self._pool)
        self._scheduler = Scheduler(
            model, self._pool, self._contexts.evict_idle, chunk=chunk_tokens, row=row_tokens
        )
        self._worker = Worker(self._scheduler, self._pool, threads)
        self._closed = False
        self._base_info = describe(model, name=name, threads=threads, memory_bytes=memory_bytes)

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
        row_tokens: int = 16,
        fast: bool = True,
        adapters: Mapping[str, str | Path] | None = None,
        any_base: bool = False,
    ) -> LocalEngine:
        """Load a model from a folder, by the name of one of Braid's own models, or from the hub's cache.

        The folder of an adapter opens its base, with the adapter on. So does `BASE+FOLDER`, on another base.

        Args:
            name_or_path: a folder, the name of one of Braid's own models, or a hub id.
            threads: CPU threads for the model. None takes what affinity and container quota allow, one thread
                for Braid's own models, or one for a small model that runs faster so at the moment.
            dtype: precision of weights and KV. Sampling is always float32. `auto` is float32 for small
                models, bfloat16 for those with more than 500 MiB of weights.
            device: where the model runs, as torch names it.
            cache_bytes: KV kept for reuse beyond what live contexts hold.
            memory_bytes: limit of all KV. None takes half of the free memory.
            chunk_tokens: most prompt tokens that one step reads. Fewer while others wait for their next
                token.
            row_tokens: most tokens that one completion reads in a step. The second and all further ones are
                those that its grammar forces. 1 forces none.
            fast: False runs transformers' own modules throughout, without packed weights and the lean path.
            adapters: folders of LoRA adapters for `with_adapter`, by the names that they get.
            any_base: True uses adapters on bases with other weights than those that they record.

        Raises:
            EngineURIError: there is no such model.
            AdapterError: an adapter cannot be used, or not on this base.
            EngineError: the model cannot be run.
            InvalidParamsError: an option is out of range.
        """
        for option, given, least in (
            ("threads", 1 if threads is None else threads, 1),
            ("chunk_tokens", chunk_tokens, 1),
            ("row_tokens", row_tokens, 1),
            ("cache_bytes", cache_bytes, 0),
            ("memory_bytes", 1 if memory_bytes is None else memory_bytes, 1),
        ):
            if not is_whole(given) or given < least:
                raise InvalidParamsError(f"{option} must be a whole number >= {least}, got {given!r}")
        if dtype not in ("auto", "float32", "bfloat16", "float16"):
            raise InvalidParamsError(
                f"dtype must be 'auto', 'float32', 'bfloat16' or 'float16', got {dtype!r}"
            )
        folder, own_adapter = await asyncio.to_thread(locate_base, name_or_path, any_base=any_base)
        model = await in_own_thread(partial(load_model, folder, dtype=dtype, device=device, fast=fast))
        if threads is None:
            threads = model.threads or await in_own_thread(partial(best_threads, model, processors().usable))
        engine = cls(
            model,
            name=str(name_or_path if own_adapter is None else folder),
            threads=threads,
            cache_bytes=cache_bytes,
            memory_bytes=default_memory(model.device) if memory_bytes is None else memory_bytes,
            chunk_tokens=chunk_tokens,
            row_tokens=row_tokens,
        )
        engine._folder = folder
        try:
            for name, path in (adapters or {}).items():
                await engine.load_adapter(name, path, any_base=any_base)
            if own_adapter is None:
                return engine
            opened = await engine.load_adapter(own_adapter.resolve().name, own_adapter, any_base=any_base)
        except BaseException:
            await engine.close()
            raise
        opened._owner = True
        opened._uri = f"local:{name_or_path}"
        return opened

    async def load_adapter(self, name: str, folder: str | Path, *, any_base: bool = False) -> LocalEngine:
        """Load an adapter beside those that there are.

        Args:
            name: its name for `with_adapter`.
            folder: its folder, in the format of PEFT.
            any_base: whether it is used although it records another base.

        Returns:
            This engine with the adapter on.

        Raises:
            AdapterError: it cannot be used, or not on this base.
            InvalidParamsError: another adapter has this name.
        """
        self._check_open()
        if not name or name in self._adapters:
            raise InvalidParamsError(f"an adapter needs a name that no other one has, got {name!r}")
        adapter = await asyncio.to_thread(read_adapter, folder)
        if self._folder is not None and not any_base:
            await asyncio.to_thread(check_base, adapter, self._folder)
        layers = self._model.decoder.linear_layers
        added = await in_own_thread(partial(read_low_ranks, adapter, layers))
        await self._worker.call(partial(self._model.adapt, name, added))
        self._adapters[name] = adapter
        return self.with_adapter(name)

    async def view_of(self, name_or_path: str | Path, *, any_base: bool = False) -> LocalEngine | None:
        """This engine as `load` opens a name or path, its adapter on or none. None where the base is another.

        Raises:
            EngineURIError: there is no such model.
            AdapterError: the adapter cannot be used.
        """
        folder, path = await asyncio.to_thread(locate_base, name_or_path, any_base=any_base)
        if self._folder is None or not await asyncio.to_thread(folder.samefile, self._folder):
            return None
        name = path and path.resolve().name
        if name is not None and path is not None:
            known = self._adapters.get(name)
            if known is None:
                return await self.load_adapter(name, path, any_base=any_base)
            if known.path.resolve() != path.resolve():
                raise InvalidParamsError(f"two adapters have the name {name!r}: {known.path} and {path}")
        return self.with_adapter(name)

    def with_adapter(self, name: str | None) -> LocalEngine:
        self._check_open()
        if name is not None and name not in self._adapters:
            known = ", ".join(self._adapters) or "none is loaded"
            raise InvalidParamsError(f"no adapter {name!r}; there are: {known}")
        view = copy(self)
        view._adapter, view._owner, view._uri = name, False, None
        return view

    @property
    def adapter(self) -> str | None:
        """The adapter that reads and continues what this engine prefills."""
        return self._adapter

    @property
    def info(self) -> EngineInfo:
        info = replace(self._base_info, adapters=tuple(self._adapters))
        if self._adapter is None:
            return info
        adapter = self._adapters[self._adapter]
        return replace(
            info,
            uri=self._uri or f"{info.uri}+{adapter.path}",
            model=self._adapter,
            details={**info.details, **adapter.details},
        )

    async def prefill(self, prompt: Prompt, *, budget: Budget | None = None) -> LocalContext:
        """Read a prompt: text, messages, or token ids."""
        return await self._prefill(await self._ids(prompt), None, budget)

    async def count_tokens(self, prompt: Prompt) -> int:
        return len(await self._ids(prompt))

    async def _ids(self, prompt: Prompt) -> tuple[int, ...]:
        self._check_open()
        return await off_loop(lambda: self._model.codec.read(read_prompt(prompt)), prompt_size(prompt))

    async def read_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        options: Mapping[str, Any] | None = None,
    ) -> ChatReading | None:
        """A chat in the words of the OpenAI API, in the markup of the chat template.

        `options` are variables of the template. `prefill` takes the ids.

        Returns:
            None where there are tools or calls that no template can show.

        Raises:
            InvalidParamsError: the template refuses messages without tools and calls, or an option has the
                name of something else.
        """
        self._check_open()

        grammars = self._model.grammars

        def read() -> ChatReading | None:
            reading = self._model.codec.read_chat(messages, tools, options or {})
            if reading is None or grammars is None:
                return reading
            form = reading.call_form.with_tokens(grammars.tokens, grammars.text_tokens)
            return replace(reading, call_form=form)

        return await asyncio.to_thread(read)

    async def extend(self, context: Context, text: str, *, budget: Budget | None = None) -> LocalContext:
        """`context` with `text` behind it, tokenized on its own."""
        added = await off_loop(lambda: self._model.codec.encode(text), len(text))
        ours = self._ours(context)
        return await self._prefill(ours.token_ids + added, ours, budget)

    async def cut(self, context: Context, length: int, *, budget: Budget | None = None) -> LocalContext:
        """The first `length` tokens of `context`. It costs nothing.

        A cut in the middle of a KV join is a join of what is left of the parts.
        """
        ours = self._ours(context)
        if not is_whole(length) or not 1 <= length <= len(ours.token_ids):
            raise InvalidParamsError(
                f"cut length must lie in 1..{len(ours.token_ids)} tokens, got {length!r}"
            )
        with self._pool.mutex:
            # The last token is not covered: whoever continues reads it. In the middle of a join that matters.
            num_computed_tokens = min(ours.num_computed_tokens, length - 1)
            prefix = self._pool.rewind(ours.prefix, ours.num_computed_tokens - num_computed_tokens)
            locks = prefix.locks()
            self._pool.acquire(locks)
        return LocalContext(
            self,
            ours.token_ids[:length],
            prefix,
            num_computed_tokens,
            locks,
            ours.critical_path_tokens,
            Usage(),
        )

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

        As text it is read again. As KV nothing is read again: later tokens see every part, and the parts do
        not see one another. The last token of the last part is read after the join.

        Args:
            context: what the parts have in common.
            parts: descendants of `context`.
            how: `text` or `kv`.
            separator: text between the parts.
            budget: budget to charge. None: the ambient one.
            positions: where the join continues, for KV joins. `longest` is after the longest part
                (Multiverse, ParaThinker). `sequence` is as if the parts had been written one after the other
                (Hogwild), for models with rotary positions.
            temperature: temperature of the attention to the parts, for KV joins.
            scale: factor of the attention that the parts get together, for KV joins (adaptive parallel
                encoding).
        """
        ours = self._ours(context)
        separator_ids = self._model.codec.encode(separator) if separator else ()
        ids, parts_added = joined_ids(ours, [self._ours(part) for part in parts], separator_ids)
        critical_path_tokens = max(
            (part.critical_path_tokens for part in parts), default=ours.critical_path_tokens
        )
        if how == "text":
            return await self._prefill(ids, ours, budget, critical_path_tokens)
        if not all(is_number(given) and given > 0 for given in (temperature, scale)):
            raise InvalidParamsError(
                f"temperature and scale must be numbers > 0, got {temperature!r} and {scale!r}"
            )
        if positions == "sequence" and self._model.rotate is None:
            raise InvalidParamsError(f"{self._model.name} has no rotary positions that could be shifted")
        if len(ids) - len(ours.token_ids) < 2:
            return await self._prefill(ids, ours, budget, critical_path_tokens)
        self._check_length(len(ids), "the join")
        added = len(ids) - len(ours.token_ids)
        scope = ambient_budget() if budget is None else budget
        cost = self._price(scope).of(prompt=added)
        last, all_ids = parts_added.pop()
        with scope.reserve(tokens=added, cost=cost) as reservation:
            requests = (
                self._prefill_request(part_ids, part, scope)
                for part, part_ids in [*parts_added, (last, all_ids[:-1])]
            )
            layout = JoinLayout(len(ours.token_ids), positions, temperature, scale)
            prefix, locks, computed = await join_kv(self._worker, self._pool, requests, layout)
            reservation.settle(tokens=added, cost=cost)
        usage = Usage(prompt_tokens=added, cached_tokens=max(0, added - computed))
        return LocalContext(self, ids, prefix, len(ids) - 1, locks, critical_path_tokens, usage)

    async def score(self, context: Context, text: str, *, budget: Budget | None = None) -> list[float]:
        """The model's log-probability of each token of `text` after `context`, at temperature 1."""
        added = await off_loop(lambda: self._model.codec.encode(text), len(text))
        ours = self._ours(context)
        if not added:
            return []
        self._check_length(len(ours.token_ids) + len(added), "the scored text")
        return (await self._score(ours.token_ids + added, len(added), ours, None, 0, budget)).scores

    async def score_prompt(
        self, context: Context, *, top_logprobs: int = 0, budget: Budget | None = None
    ) -> list[Token]:
        """The tokens of `context`, each with its log-probability after those before it, at temperature 1.

        `top_logprobs` is the number of alternatives for each. The first token has no log-probability.
        """
        codec, ours = self._model.codec, self._ours(context)
        ids, request = ours.token_ids, None
        if len(ids) > 1:
            request = await self._score(ids, len(ids) - 1, None, ours.adapter, top_logprobs, budget)
        shown = Detokenizer(codec, ())
        tokens = [Token(text=shown.push(id), id=id) for id in ids]
        tokens[-1] = replace(tokens[-1], text=tokens[-1].text + shown.flush())
        for place, score in enumerate(request.scores if request else (), 1):
            best = request.best[place - 1] if request and top_logprobs else ()
            names = tuple((codec.decode([id]), logprob) for id, logprob in best)
            tokens[place] = replace(tokens[place], logprob=score, top_logprobs=names)
        return tokens

    async def _score(
        self,
        ids: tuple[int, ...],
        count: int,
        parent: LocalContext | None,
        adapter: str | None,
        top: int,
        budget: Budget | None,
    ) -> ScoreRequest:
        """The finished request that scores the last `count` of `ids`.

        They continue `parent`, or are read from the beginning by `adapter`.
        """
        scope = ambient_budget() if budget is None else budget
        cost = self._price(scope).of(prompt=count, calls=1)
        with scope.reserve(tokens=count, calls=1, cost=cost) as reservation:
            start = (self._pool.start(adapter), 0, ()) if parent is None else self._contexts.use(parent)
            request = ScoreRequest(
                ids, *start, scope=scope, priority=ambient_priority(), count=count, top=top
            )
            await self._worker.submit(request).result()
            reservation.settle(tokens=count, calls=1, cost=cost)
        return request

    async def generate(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> list[Completion]:
        """`params.n` completions, sampled in parallel on the shared KV of `context`.

        `token_ids` and `logprobs` cover every sampled token, the ending one included. `text` and `context`
        stop before an end-of-sequence token or stop string. Log-probabilities are the model's own, before
        temperature and truncation.
        """
        ours = self._ours(context)
        self._check_params(ours, params)
        masks = await self._masks(ours, params)
        scope = ambient_budget() if budget is None else budget
        max_generated, price = params.n * params.max_tokens, self._price(scope)
        with await scope.hold(
            tokens=max_generated, calls=1, cost=price.of(generated=max_generated, calls=1)
        ) as reservation:
            request = self._generate_request(ours, params, scope, masks)
            try:
                branches: list[Branch] = await self._worker.submit(request).result()
            finally:
                reservation.settle(
                    tokens=request.generated, calls=1, cost=price.of(generated=request.generated, calls=1)
                )
        with self._pool.mutex:
            request.taken = True
            return [self._completion(ours, branch) for branch in branches]

    async def stream(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> AsyncGenerator[Token]:
        """One `Token` for each sampled token.

        Its text may be empty while a character or a stop string is open.
        """
        ours = self._ours(context)
        self._check_params(ours, params)
        masks = await self._masks(ours, params)
        scope = ambient_budget() if budget is None else budget
        loop = asyncio.get_running_loop()
        steps: asyncio.Queue[list[Token] | None] = asyncio.Queue()
        max_generated, price = params.n * params.max_tokens, self._price(scope)
        with await scope.hold(
            tokens=max_generated, calls=1, cost=price.of(generated=max_generated, calls=1)
        ) as reservation:

            def on_tokens(tokens: list[Token]) -> None:
                try:
                    loop.call_soon_threadsafe(steps.put_nowait, tokens)
                except RuntimeError:  # the loop is closed: nobody reads any further
                    request.cancelled = True

            request = self._generate_request(ours, params, scope, masks, on_tokens)
            handle = self._worker.submit(request)
            handle.done.add_done_callback(lambda _: steps.put_nowait(None))
            try:
                while (tokens := await steps.get()) is not None:
                    for token in tokens:
                        yield token
                handle.done.result()
            finally:
                try:
                    await handle.drop()
                finally:
                    reservation.settle(
                        tokens=request.generated, calls=1, cost=price.of(generated=request.generated, calls=1)
                    )

    def open_contexts(self) -> int:
        return len(self._contexts)

    def kv_bytes(self) -> int:
        """Bytes of KV held now, by contexts, by running requests and for reuse."""
        return self._pool.total_bytes

    def kv_peak_bytes(self, *, reset: bool = False) -> int:
        """Highest `kv_bytes` so far. `reset` starts again from now."""
        with self._pool.mutex:
            peak = self._pool.peak_bytes
            if reset:
                self._pool.peak_bytes = self._pool.total_bytes
        return peak

    def forget(self) -> None:
        """Drop all KV that no context holds."""
        self._pool.clear()

    def check_integrity(self) -> None:
        """Recount the pool. For tests.

        Raises:
            AssertionError: a count is wrong.
        """
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
        if not self._owner:
            return
        await asyncio.to_thread(self._worker.close)
        self._pool.clear()

    async def _prefill(
        self,
        ids: tuple[int, ...],
        parent: LocalContext | None,
        budget: Budget | None,
        critical_path_tokens: int | None = None,
    ) -> LocalContext:
        """The context of `ids`, which continue `parent`. What lies behind `parent` is read and charged.

        The last token is not read. Whoever continues reads it for its logits.
        """
        self._check_length(len(ids), "the prompt")
        num_known = len(parent.token_ids) if parent else 0
        scope = ambient_budget() if budget is None else budget
        cost = self._price(scope).of(prompt=len(ids) - num_known)
        with await scope.hold(tokens=len(ids) - num_known, cost=cost) as reservation:
            handle = self._worker.submit(self._prefill_request(ids[:-1], parent, scope))
            prefix, locks, reused = await handle.result()
            reservation.settle(tokens=len(ids) - num_known, cost=cost)
        usage = Usage(prompt_tokens=len(ids) - num_known, cached_tokens=max(0, reused - num_known))
        if critical_path_tokens is None:
            critical_path_tokens = parent.critical_path_tokens if parent else 0
        return LocalContext(self, ids, prefix, len(ids) - 1, locks, critical_path_tokens, usage)

    def _price(self, scope: Budget) -> Price:
        return scope.price_of(self.info.uri, self.info.model)

    def _prefill_request(
        self, ids: tuple[int, ...], parent: LocalContext | None, scope: Budget
    ) -> PrefillRequest:
        if parent is None:
            prefix = self._pool.start(self._adapter)
            return PrefillRequest(ids, prefix, 0, (), scope=scope, priority=ambient_priority())
        prefix, num_computed_tokens, locks = self._contexts.use(parent)
        return PrefillRequest(
            ids, prefix, num_computed_tokens, locks, scope=scope, priority=ambient_priority()
        )

    def _generate_request(
        self,
        ours: LocalContext,
        params: SamplingParams,
        scope: Budget,
        masks: TokenMasks | None,
        on_tokens: Callable[[list[Token]], None] | None = None,
    ) -> GenerateRequest:
        self._ours(ours)  # compiling a grammar takes time, in which the context may have been released
        prefix, num_computed_tokens, locks = self._contexts.use(ours)
        codec = self._model.codec
        return GenerateRequest(
            ours.token_ids,
            prefix,
            num_computed_tokens,
            locks,
            scope=scope,
            priority=ambient_priority(),
            params=params,
            codec=codec,
            masks=masks,
            on_tokens=on_tokens,
        )

    def _completion(self, ours: LocalContext, branch: Branch) -> Completion:
        kept, rest = branch.kept_tokens()
        ids = (
            ours.token_ids + tuple(branch.token_ids[:kept]) + (self._model.codec.encode(rest) if rest else ())
        )
        critical_path_tokens = ours.critical_path_tokens + len(branch.token_ids)
        assert branch.finish_reason is not None and branch.prefix is not None
        return Completion(
            text=branch.text,
            context=LocalContext(
                self,
                ids,
                branch.prefix,
                branch.num_computed_tokens,
                branch.locks,
                critical_path_tokens,
                Usage(),
            ),
            finish_reason=branch.finish_reason,
            usage=branch.usage(),
            index=branch.index,
            stop_hit=branch.stop_hit,
            token_ids=tuple(branch.token_ids),
            logprobs=tuple(branch.logprobs) if branch.logprobs else None,
            top_logprobs=tuple(branch.top_logprobs) if branch.top_logprobs else None,
        )

    def _check_params(self, ours: LocalContext, params: SamplingParams) -> None:
        if params.grammar is not None:
            self.require("grammar", self._model.no_grammars)
        for name, tokens in (("stop_token_ids", params.stop_token_ids), ("logit_bias", params.logit_bias)):
            invalid = [token for token in tokens if not 0 <= token < self._model.vocabulary]
            if invalid:
                raise InvalidParamsError(
                    f"{name} must lie in 0..{self._model.vocabulary - 1}, got {invalid}", param=name
                )
        self._check_length(
            len(ours.token_ids) + params.max_tokens,
            f"{len(ours.token_ids)} tokens plus max_tokens={params.max_tokens}",
        )
        # The last token of a completion has no KV. Where completions may end early, they are tried.
        needed = len(ours.token_ids) + (params.n * (params.max_tokens - 1) if params.endless else 0)
        room = self._pool.limit_bytes // self._pool.geometry.token_bytes
        if needed > room:
            raise InvalidParamsError(
                f"no room: {len(ours.token_ids)} tokens and n={params.n} completions of "
                f"{params.max_tokens} tokens need KV of {needed} tokens, and memory_bytes holds {room}; "
                "ask for fewer or give more memory_bytes",
                param="n",
            )

    async def _masks(self, ours: LocalContext, params: SamplingParams) -> TokenMasks | None:
        """The token masks of the grammar in `params`, one automaton for each branch.

        Compiling may take a while, so it gets a thread.
        """
        if params.grammar is None:
            return None
        assert self._model.grammars is not None
        start = partial(self._model.grammars.start, prompt=ours.token_ids)
        return await asyncio.to_thread(start, Grammar.of(params.grammar), params.n)

    def _check_length(self, length: int, what: str) -> None:
        limit = self._model.max_context
        if limit is not None and length > limit:
            raise ContextLengthError(f"{what}: {length} tokens are more than the model's context of {limit}")

    def _ours(self, context: Context) -> LocalContext:
        self._check_open()
        if not isinstance(context, LocalContext) or context.engine._pool is not self._pool:
            raise ContextReleasedError(f"{context!r} does not belong to this engine ({self.info.uri})")
        if context.released:
            raise ContextReleasedError("the context was released; keep it open for as long as it is used")
        return context

    def _check_open(self) -> None:
        if self._closed or self._worker.closed:
            raise EngineError(f"the engine {self.info.uri} is closed")
