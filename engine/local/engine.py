"""The local engine's asyncio face. The model runs on a worker thread; nothing here blocks the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Literal

from engine.base import Context, Engine
from engine.budget import Budget, ambient_budget
from engine.errors import ContextLengthError, ContextReleasedError, EngineError, InvalidParamsError
from engine.local.context import LocalContext
from engine.local.grammar import TokenMasks
from engine.local.jobs import Branch, Progress, generate_job, read_prompt_job, score_job
from engine.local.kv import PrefixCache, Segment, cut_segment
from engine.local.locate import locate_model
from engine.local.model import Dtype, Model
from engine.local.worker import Worker
from engine.machine import processors
from engine.prompts import read_prompt
from engine.types import Capability, Completion, EngineInfo, Grammar, Prompt, SamplingParams, Token, Usage

_CAPABILITIES: frozenset[Capability] = frozenset(
    {"token_ids", "logprobs", "prompt_logprobs", "cut", "text_join", "native_n", "seed"}
)


class LocalEngine(Engine):
    """Any Hugging Face causal LM with a plain key-value cache, on the CPU of this machine. Make one with `load`.

    Concurrent calls take turns, one decoding step each; the `n` branches of a call run as one batch. KV is shared
    between contexts that begin alike, and kept for a while after the last of them is released.
    A prompt given as messages goes through the tokenizer's chat template (capability `chat`), or, where there is none,
    through `engine.prompts.plain_chat`. Special tokens that occur in text are read as special tokens.
    """

    def __init__(self, model: Model, *, name: str, threads: int, cache_bytes: int) -> None:
        self._model = model
        self._prefixes = PrefixCache(cache_bytes)
        self._worker = Worker(threads)
        self._lock = threading.Lock()
        self._open = 0
        self._closed = False
        further: set[Capability] = set()
        if model.codec.has_template:
            further.add("chat")
        if model.grammars is not None:
            further.add("grammar")
        details = {
            "threads": str(threads),
            "dtype": model.dtype,
            "device": "cpu",
            "parameters": str(model.parameters),
            "grammar": model.grammars.version if model.grammars else f"none: {model.no_grammars}",
        }
        if model.prompt_style is not None:
            details["prompt_style"] = model.prompt_style
        self._info = EngineInfo(
            uri=f"local:{name}",
            model=Path(name).name,
            max_context=model.max_context,
            capabilities=_CAPABILITIES | further,
            details=details,
        )

    @classmethod
    async def load(
        cls,
        name_or_path: str | Path,
        *,
        threads: int | None = None,
        dtype: Dtype = "auto",
        cache_bytes: int = 256 * 2**20,
    ) -> LocalEngine:
        """Load a model from a folder, by the name of one of Braid's own models, or from the hub's cache.

        Args:
            threads: CPU threads for the model; None takes what affinity and container quota allow.
            dtype: precision of weights and KV; sampling is always float32. `auto` is float32 for small models,
                bfloat16 for those with more than 500 MiB of weights.
            cache_bytes: KV kept for reuse beyond what live contexts hold.

        Raises `EngineURIError` when there is no such model, `EngineError` when it cannot be run.
        """
        if threads is not None and threads < 1:
            raise InvalidParamsError(f"threads must be at least 1, got {threads!r}")
        if dtype not in ("auto", "float32", "bfloat16"):
            raise InvalidParamsError(f"dtype must be 'auto', 'float32' or 'bfloat16', got {dtype!r}")
        folder = await asyncio.to_thread(locate_model, name_or_path)
        model = await asyncio.to_thread(Model.load, folder, dtype=dtype)
        return cls(
            model, name=str(name_or_path), threads=threads or processors().usable, cache_bytes=cache_bytes
        )

    @property
    def info(self) -> EngineInfo:
        return self._info

    async def prefill(self, prompt: Prompt, *, budget: Budget | None = None) -> LocalContext:
        """Read a prompt: text, messages, or token ids."""
        self._check_open()
        return await self._read(self._model.codec.read(read_prompt(prompt)), None, budget)

    async def extend(self, context: Context, text: str, *, budget: Budget | None = None) -> LocalContext:
        """`context` with `text` behind it, tokenized on its own."""
        own = self._own(context)
        return await self._read(own.ids + self._model.codec.encode(text), own, budget)

    async def cut(self, context: Context, length: int, *, budget: Budget | None = None) -> LocalContext:
        """The first `length` tokens of `context`; costs nothing."""
        own = self._own(context)
        if not 1 <= length <= len(own.ids):
            raise InvalidParamsError(f"cut length must lie in 1..{len(own.ids)} tokens, got {length!r}")
        segment = cut_segment(own.segment, length)
        return LocalContext(self, own.ids[:length], segment, own.critical_path_tokens, Usage())

    async def join(
        self,
        context: Context,
        parts: Sequence[Context],
        *,
        how: Literal["text", "kv"] = "text",
        separator: str = "",
        budget: Budget | None = None,
    ) -> LocalContext:
        """`context`, then what each of `parts` added to it, with `separator` between them; read again as one text."""
        self.require("kv_join" if how == "kv" else "text_join")
        own = self._own(context)
        between = self._model.codec.encode(separator) if separator else ()
        ids = own.ids
        for place, part in enumerate(parts):
            part_ids = self._own(part).ids
            if part_ids[: len(own.ids)] != own.ids:
                raise InvalidParamsError(f"part {place} does not descend from the context that is joined")
            ids += (between if place else ()) + part_ids[len(own.ids) :]
        critical = max((part.critical_path_tokens for part in parts), default=own.critical_path_tokens)
        return await self._read(ids, own, budget, critical)

    async def score(self, context: Context, text: str, *, budget: Budget | None = None) -> list[float]:
        """The model's log-probability of each token of `text` after `context`, at temperature 1."""
        own = self._own(context)
        added = self._model.codec.encode(text)
        if not added:
            return []
        self._check_length(len(own.ids) + len(added), "the scored text")
        scope = ambient_budget() if budget is None else budget
        with scope.reserve(tokens=len(added), calls=1) as held:
            job = score_job(self._model, self._prefixes, own.ids, own.segment, added, scope)
            scores = await self._worker.submit(job).result()
            held.settle(tokens=len(added), calls=1)
        return scores

    async def generate(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> list[Completion]:
        """`params.n` completions, sampled as one batch that shares the KV of `context`.

        `token_ids` and `logprobs` cover every sampled token, the ending one included; `text` and `context` stop before
        an end-of-sequence token or stop string. Log-probabilities are the model's own, before temperature and truncation.
        """
        own = self._own(context)
        self._check_params(own, params)
        masks = await self._masks(params)
        scope = ambient_budget() if budget is None else budget
        with scope.reserve(tokens=params.n * params.max_tokens, calls=1) as held:
            progress = Progress()
            job = generate_job(
                self._model,
                self._prefixes,
                own.ids,
                own.segment,
                params,
                scope,
                progress,
                lambda _: None,
                masks,
            )
            try:
                branches = await self._worker.submit(job).result()
            finally:
                held.settle(tokens=progress.generated, calls=1)
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
        with scope.reserve(tokens=params.n * params.max_tokens, calls=1) as held:
            progress = Progress()

            def show(tokens: list[Token]) -> None:
                loop.call_soon_threadsafe(steps.put_nowait, tokens)

            job = generate_job(
                self._model, self._prefixes, own.ids, own.segment, params, scope, progress, show, masks
            )
            work = self._worker.submit(job)
            work.done.add_done_callback(lambda _: steps.put_nowait(None))
            try:
                while (tokens := await steps.get()) is not None:
                    for token in tokens:
                        yield token
                work.done.result()
            finally:
                await work.drop()
                held.settle(tokens=progress.generated, calls=1)

    def open_contexts(self) -> int:
        return self._open

    def kv_bytes(self) -> int:
        """Bytes of KV held now, by contexts and for reuse."""
        return self._prefixes.nbytes()

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens included."""
        return self._model.codec.decode(ids)

    def encode(self, text: str) -> tuple[int, ...]:
        """The token ids of `text`, with nothing put before or after it."""
        return self._model.codec.encode(text)

    async def close(self) -> None:
        self._closed = True
        await asyncio.to_thread(self._worker.close)
        self._prefixes.clear()

    async def _read(
        self,
        ids: tuple[int, ...],
        base: LocalContext | None,
        budget: Budget | None,
        critical: int | None = None,
    ) -> LocalContext:
        """The context of `ids`, which continue `base`; what lies behind `base` is read and charged."""
        self._check_length(len(ids), "the prompt")
        known = len(base.ids) if base else 0
        scope = ambient_budget() if budget is None else budget
        with scope.reserve(tokens=len(ids) - known) as held:
            segment = base.segment if base else None
            job = read_prompt_job(self._model, self._prefixes, ids, segment, scope)
            segment, reused = await self._worker.submit(job).result()
            held.settle(tokens=len(ids) - known)
        usage = Usage(prompt_tokens=len(ids) - known, cached_tokens=max(0, reused - known))
        if critical is None:
            critical = base.critical_path_tokens if base else 0
        return LocalContext(self, ids, segment, critical, usage)

    def _completion(self, own: LocalContext, branch: Branch) -> Completion:
        kept, rest = branch.kept()
        ids = own.ids + tuple(branch.ids[:kept]) + (self._model.codec.encode(rest) if rest else ())
        segment: Segment | None = branch.segment
        critical = own.critical_path_tokens + len(branch.ids)
        assert branch.reason is not None
        return Completion(
            text=branch.text,
            context=LocalContext(self, ids, segment, critical, Usage()),
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
            self.require("grammar")
        bad = [token for token in params.stop_token_ids if not 0 <= token < self._model.vocabulary]
        if bad:
            raise InvalidParamsError(f"stop_token_ids must lie in 0..{self._model.vocabulary - 1}, got {bad}")
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

    def _opened(self, context: LocalContext) -> None:
        with self._lock:
            self._open += 1

    def _closed_context(self, context: LocalContext) -> None:
        with self._lock:
            self._open -= 1
