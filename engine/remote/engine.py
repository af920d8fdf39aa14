"""An engine over any server that speaks the OpenAI API.

Text and token ids go to `/completions`, messages to `/chat/completions`. Every generation is streamed, so
that it can be cancelled at any token and a silent server is noticed. What a server can do is assumed from the
API, learnt from its answers, or asked at the start (`probe=True`). What it turns out not to do raises
`CapabilityError` and leaves `capabilities`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Literal, Self

from braid.engine.base import Context, Engine
from braid.engine.errors import CapabilityError, ContextLengthError, ContextReleasedError, InvalidParamsError
from braid.engine.openai_api import PATHS
from braid.engine.prompts import ChatPrompt, TextPrompt, TokenPrompt, read_prompt
from braid.engine.remote.address import read_address
from braid.engine.remote.client import Client, RejectedError, RetryPolicy
from braid.engine.remote.context import ChatForm, Form, IdsForm, RemoteContext, TextForm
from braid.engine.remote.dialect import (
    Api,
    Continuation,
    Dialect,
    assumed_capabilities,
)
from braid.engine.remote.discovery import DEFAULT_KEY_ENV, check_headers, find_model, read_key
from braid.engine.remote.echo import echo_body, read_echo
from braid.engine.remote.probe import probe_server
from braid.engine.remote.response import RemoteBranch, ResponseReader
from braid.engine.remote.schemas import BOTH_ENDPOINTS, assumed_schema_endpoints
from braid.engine.scope import Budget, ambient_budget
from braid.engine.surrogates import mend_text
from braid.engine.system import merge_streams, run_all
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


@dataclass(frozen=True)
class _Outcome:
    """Result of one HTTP request."""

    branches: dict[int, RemoteBranch]
    """Branches by index."""
    shares: dict[int, Usage]
    """Usage of each branch."""
    prompt_tokens: int


class RemoteEngine(Engine):
    """A model behind an OpenAI-compatible server. Open it with `RemoteEngine.open`.

    It belongs to one event loop.
    """

    def __init__(
        self, client: Client, dialect: Dialect, *, model: str, api: Api, max_context: int | None
    ) -> None:
        self._client = client
        self._dialect = dialect
        self._model = model
        self._api: Api = api
        self._max_context = max_context
        self._open: set[RemoteContext] = set()

    @classmethod
    async def open(
        cls,
        address: str,
        *,
        api_key_env: str | None = DEFAULT_KEY_ENV,
        concurrency: int = 16,
        timeout: float = 120.0,
        max_retries: int = 4,
        api: Api = "auto",
        headers: Mapping[str, str] | None = None,
        continuation: Continuation = "auto",
        capabilities: Collection[Capability] | None = None,
        probe: bool = False,
        retries: RetryPolicy | None = None,
    ) -> Self:
        """Open `http://host:port/v1#model`.

        Args:
            address: the path is used as given. Without `#model` the server must list exactly one.
            api_key_env: the environment variable that holds the key. None sends none.
            concurrency: requests in parallel.
            timeout: seconds of silence, before the first byte and between two, after which a request is given
                up.
            max_retries: further attempts after a failure that a retry may mend.
            api: `auto` sends messages to chat, and text or token ids to completions. `chat` sends text as one
                user message. `completions` takes text and token ids only.
            headers: further headers of each request.
            continuation: how a chat answer that has begun is sent on. `flags` adds `continue_final_message`
                and `add_generation_prompt=false` (vLLM, SGLang). `trailing` sends the unfinished assistant
                message without flags (llama.cpp, Ollama and others continue it). `none` refuses. `auto` is
                `flags` until the server refuses them. A server that ignores the flags in silence cannot be
                told from one that honours them.
            capabilities: exactly what the server can do, where that is known. None assumes what the API
                promises.
            probe: find out with some small requests (at most 96 tokens each) instead of assuming.
            retries: waiting between attempts in detail, in place of `max_retries`.

        Raises:
            EngineURIError: the address cannot be read, or there is no single model.
            EngineConnectionError: the server cannot be reached, or a proxy in the environment cannot be used.
                Servers on this machine are reached without a proxy.
            MissingPackageError: the environment names a SOCKS proxy, and its package is not installed.
            EngineResponseError: the key was refused.
            InvalidParamsError: an option is out of range.
        """
        parsed = read_address(address)
        if concurrency < 1 or max_retries < 0 or timeout <= 0:
            raise InvalidParamsError(
                f"concurrency must be >= 1, max_retries >= 0 and timeout > 0, "
                f"got {concurrency!r}, {max_retries!r}, {timeout!r}"
            )
        key = read_key(api_key_env)
        check_headers(headers or {})
        client = Client(
            parsed.url,
            shown=parsed.shown,
            key=key,
            headers=headers or {},
            timeout=timeout,
            concurrency=concurrency,
            retries=retries or RetryPolicy(max_retries=max_retries),
        )
        details = {"server": parsed.shown, "api": api, "key": f"from ${api_key_env}" if key else "none"}
        if client.proxy is not None:
            details["proxy"] = f"that of ${client.proxy}"
        if key and parsed.in_the_clear:
            details["warning"] = "the key goes over plain http to another machine"
        try:
            found_model = await find_model(client, parsed.model, api_key_env)
            model = found_model.id
            schema_endpoints = (
                assumed_schema_endpoints(found_model) if capabilities is None else BOTH_ENDPOINTS
            )
            if probe:
                found = await probe_server(
                    client,
                    model,
                    kind=found_model.owned_by,
                    chat=api != "completions",
                    completions=api != "chat",
                )
                schema_endpoints = found.schema_endpoints
                capabilities = found.capabilities if capabilities is None else capabilities
                if continuation == "auto":
                    continuation = "flags" if found.continues_chat else "none"
        except BaseException:
            await client.close()
            raise
        dialect = Dialect(
            server=parsed.shown,
            model=model,
            continuation=continuation,
            capabilities=assumed_capabilities(api, found_model) if capabilities is None else capabilities,
            kind=found_model.owned_by,
            schema_endpoints=schema_endpoints,
            details=details,
        )
        return cls(client, dialect, model=model, api=api, max_context=found_model.max_context)

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(
            uri=self._dialect.uri,
            model=self._model,
            max_context=self._max_context,
            capabilities=frozenset(self._dialect.capabilities),
            details=self._dialect.details,
        )

    def __repr__(self) -> str:
        return f"<RemoteEngine {self._dialect.uri}>"

    async def prefill(self, prompt: Prompt, *, budget: Budget | None = None) -> RemoteContext:
        """A handle on `prompt`.

        Nothing is sent: a server reads the prompt with each request, which is charged for it.
        """
        self._client.check_open()
        (budget or ambient_budget()).check_time()
        return self._context(self._form(prompt), critical_path_tokens=0)

    async def prefill_with_tools(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolDeclaration],
        *,
        choice: ToolChoice = "auto",
        budget: Budget | None = None,
    ) -> RemoteContext:
        self._client.check_open()
        self.require("tool_calls", "describe the tools in a message instead")
        (budget or ambient_budget()).check_time()
        form = self._form(messages)
        if not isinstance(form, ChatForm):
            raise InvalidParamsError("prefill_with_tools takes messages")
        form = replace(form, tools=tuple(tools), tool_choice=choice)
        return self._context(form, critical_path_tokens=0)

    def _form(self, prompt: Prompt) -> Form:
        match read_prompt(prompt):
            case ChatPrompt(messages):
                if self._api == "completions":
                    raise CapabilityError(
                        "chat", self._dialect.uri, "it was opened with api='completions'; give text"
                    )
                self.require("chat", "give text")
                return ChatForm(messages)
            case TextPrompt(text):
                return (
                    ChatForm(({"role": "user", "content": text},)) if self._api == "chat" else TextForm(text)
                )
            case TokenPrompt(ids):
                self.require(
                    "token_ids", "give text or messages; or declare it (capabilities=), or use probe=True"
                )
                if self._api == "chat":
                    raise CapabilityError(
                        "token_ids", self._dialect.uri, "the chat endpoint takes messages only"
                    )
                if min(ids) < 0:
                    raise InvalidParamsError(f"token ids must be >= 0, got {min(ids)}")
                return IdsForm(ids)

    async def extend(self, context: Context, text: str, *, budget: Budget | None = None) -> RemoteContext:
        """`text` behind the prompt.

        In a chat it is the beginning of the assistant's message (see `continuation`).

        Raises:
            CapabilityError: the prompt is token ids (only the server has the tokenizer), or the chat cannot
                be continued.
        """
        ours = self._ours(context)
        (budget or ambient_budget()).check_time()
        if isinstance(ours.form, IdsForm):
            hint = "text cannot follow token ids; prefill text or all ids instead"
            raise CapabilityError("extend", self._dialect.uri, hint)
        return self._extended(ours, mend_text(text), ours.critical_path_tokens)

    async def join(
        self,
        context: Context,
        parts: Sequence[Context],
        *,
        how: Literal["text", "kv"] = "text",
        separator: str = "",
        budget: Budget | None = None,
    ) -> RemoteContext:
        """Text join: what each part added, in order, behind `context`. Capability `text_join`."""
        if how == "kv":
            raise CapabilityError(
                "kv_join", self._dialect.uri, "a remote server joins text only; use how='text'"
            )
        self.require("text_join")
        root, branches = self._ours(context), [self._ours(part) for part in parts]
        (budget or ambient_budget()).check_time()
        added: list[str] = []
        for place, part in enumerate(branches):
            if type(part.form) is not type(root.form) or not part.text.startswith(root.text):
                raise InvalidParamsError(f"join: part {place} does not continue the context that is joined")
            added.append(part.text[len(root.text) :])
        critical_path_tokens = max(part.critical_path_tokens for part in [root, *branches])
        return self._extended(root, separator.join(added), critical_path_tokens)

    def _extended(self, ours: RemoteContext, text: str, critical_path_tokens: int) -> RemoteContext:
        if isinstance(ours.form, ChatForm):
            self._dialect.check_continuation()
        return self._context(
            ours.form.extend(text),
            critical_path_tokens,
            ours.token_count + self._dialect.estimate_tokens(text),
        )

    async def generate(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> list[Completion]:
        """`params.n` completions.

        A server that ignores `n` gets a request of its own for each missing one.
        """
        ours, scope = self._ours(context), budget or ambient_budget()
        self._check(ours, params)
        outcomes: list[_Outcome] = []

        async def run(indexes: Sequence[int]) -> None:
            # Only the outcome is read. As no token is handed on, a lost connection may be tried again.
            async with aclosing(self._request(ours, params, indexes, scope)) as items:
                outcomes.extend([item async for item in items if isinstance(item, _Outcome)])

        groups = self._dialect.request_groups(params)
        while groups:
            await run_all([run(group) for group in groups])
            groups = self._missing(params, outcomes)
        by_index = {index: outcome for outcome in outcomes for index in outcome.branches}
        return [self._completion(ours, params, index, by_index[index]) for index in range(params.n)]

    def stream(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> AsyncGenerator[Token]:
        """Tokens of all branches as they come.

        The last token of a branch has no text. Closing the iterator closes the connections.
        """
        return self._stream(context, params, budget or ambient_budget())

    async def _stream(self, context: Context, params: SamplingParams, scope: Budget) -> AsyncGenerator[Token]:
        ours = self._ours(context)
        self._check(ours, params)
        outcomes: list[_Outcome] = []
        groups = self._dialect.request_groups(params)
        while groups:
            requests = [self._request(ours, params, group, scope, streamed=True) for group in groups]
            async with aclosing(merge_streams(requests)) as items:
                async for item in items:
                    if isinstance(item, _Outcome):
                        outcomes.append(item)
                        continue
                    for token in item:
                        yield token
            groups = self._missing(params, outcomes)

    def _missing(self, params: SamplingParams, outcomes: Sequence[_Outcome]) -> list[list[int]]:
        """The branches that the server left out, each in a group of its own."""
        found = {index for outcome in outcomes for index in outcome.branches}
        missing = [[index] for index in range(params.n) if index not in found]
        if missing:
            self._dialect.set_native_n(False)
        return missing

    async def _request(
        self,
        ours: RemoteContext,
        params: SamplingParams,
        indexes: Sequence[int],
        scope: Budget,
        *,
        streamed: bool = False,
    ) -> AsyncGenerator[list[Token] | _Outcome]:
        """One HTTP request for the branches `indexes`: its tokens as they come, then its outcome.

        It is repeated when the server refuses something that can be left out. There is no outcome when the
        branches have to be sent one by one.
        """
        endpoint, _ = self._dialect.endpoint_and_prompt(ours.form)
        while True:
            body = self._dialect.body(ours.form, params, indexes)
            reader = ResponseReader(
                endpoint=endpoint,
                params=params,
                indexes=indexes,
                prompt_tokens=ours.token_count,
                tokens_per_byte=self._dialect.tokens_per_byte,
                tagged_thoughts=isinstance(ours.form, ChatForm) and not ours.form.tail,
                server=self._dialect.uri,
                scrub=self._client.scrub,
            )
            price = scope.price_of(self.info.uri, self.info.model)
            max_generated = len(indexes) * params.max_tokens
            cost = price.of(prompt=ours.token_count, generated=max_generated, calls=1)
            with await scope.hold(tokens=ours.token_count + max_generated, calls=1, cost=cost) as reservation:
                try:
                    async with aclosing(
                        self._client.stream(PATHS[endpoint], body, reader, budget=scope)
                    ) as events:
                        async for tokens in events:
                            reader.committed = reader.committed or (streamed and bool(tokens))
                            yield tokens
                    self._dialect.learn(ours.form, reader, len(indexes))
                    outcome = _Outcome(reader.branches, reader.shares(), reader.prompt_tokens)
                except RejectedError as error:
                    if not self._dialect.adapt(error, body):
                        raise self._dialect.explain(error, ours.form, body) from None
                    if "n" in body and self._dialect.n_is_native is False:
                        return  # the caller sends the branches one by one
                    continue
                except CapabilityError as error:
                    self._dialect.drop(error.capability)
                    raise
                finally:
                    if reader.branches or reader.discarded:
                        reservation.settle(tokens=reader.spent(), calls=1, cost=reader.cost(price))
            yield outcome
            return

    def _completion(
        self, ours: RemoteContext, params: SamplingParams, index: int, outcome: _Outcome
    ) -> Completion:
        branch, usage = outcome.branches[index], outcome.shares[index]
        assert branch.finish is not None, (
            "a response that was read to its end has a finish reason in every branch"
        )
        form = ours.form.extend(branch.text)
        if isinstance(ours.form, IdsForm) and branch.token_ids and branch.stop_hit is None:
            form = IdsForm((*ours.form.ids, *branch.token_ids))
        with_logprobs = [token for token in branch.tokens if token.logprob is not None]
        generated = usage.critical_path_tokens
        return Completion(
            text=branch.text,
            context=self._context(
                form, ours.critical_path_tokens + generated, outcome.prompt_tokens + generated
            ),
            finish_reason=branch.finish,
            usage=usage,
            index=index,
            stop_hit=branch.stop_hit,
            token_ids=tuple(branch.token_ids) or None,
            logprobs=None
            if params.logprobs is None
            else tuple(token.logprob or 0.0 for token in with_logprobs),
            top_logprobs=tuple(token.top_logprobs for token in with_logprobs) if params.logprobs else None,
            reasoning=branch.reasoning,
            tool_calls=branch.tool_calls,
        )

    async def score(self, context: Context, text: str, *, budget: Budget | None = None) -> list[float]:
        """Log-probabilities of the tokens of `text`, by echo on `/completions`. Capability `prompt_logprobs`.

        A token that begins in the context and ends in `text` counts.

        Raises:
            CapabilityError: the context is a chat or token ids, or the server does not echo.
        """
        ours, scope = self._ours(context), budget or ambient_budget()
        self.require("prompt_logprobs", "declare it (capabilities=) or open the engine with probe=True")
        if not isinstance(ours.form, TextForm):
            hint = "only text can be scored, since /completions echoes text"
            raise CapabilityError("prompt_logprobs", self._dialect.uri, hint)
        if not text:
            return []
        before, text = ours.form.content, mend_text(text)
        body = echo_body(self._model, before + text)
        estimate = ours.token_count + self._dialect.estimate_tokens(text) + 1
        price = scope.price_of(self.info.uri, self.info.model)
        max_generated = price.of(prompt=estimate, calls=1)
        with scope.reserve(tokens=estimate, calls=1, cost=max_generated) as reservation:
            try:
                payload = await self._client.post(PATHS["completions"], body, budget=scope)
                scores, usage = read_echo(payload, before, text, self._dialect.uri)
            except RejectedError as error:
                raise self._dialect.explain(error, ours.form, body) from None
            except CapabilityError:
                self._dialect.capabilities.discard("prompt_logprobs")
                reservation.settle(tokens=estimate, calls=1, cost=max_generated)
                raise
            used = usage.prompt_tokens + 1 if usage else estimate
            reservation.settle(tokens=used, calls=1, cost=price.of(prompt=used, calls=1))
        return scores

    def open_contexts(self) -> int:
        return len(self._open)

    async def close(self) -> None:
        """Hang up. Running calls end with an `EngineError`, and all Contexts are released."""
        for context in list(self._open):
            context.release()
        await self._client.close()

    def _context(
        self, form: Form, critical_path_tokens: int, token_count: int | None = None
    ) -> RemoteContext:
        context = RemoteContext(
            form,
            owner=self,
            token_count=self._dialect.count_tokens(form) if token_count is None else token_count,
            critical_path_tokens=critical_path_tokens,
            on_release=self._open.discard,
        )
        self._open.add(context)
        return context

    def _ours(self, context: Context) -> RemoteContext:
        self._client.check_open()
        if not isinstance(context, RemoteContext) or context.owner is not self:
            raise ContextReleasedError(f"{context!r} does not belong to {self!r}")
        if context.released:
            raise ContextReleasedError(f"the context was released before this use of {self!r}")
        return context

    def _check(self, ours: RemoteContext, params: SamplingParams) -> None:
        """Refuse what is known not to work, before anything is sent."""
        if params.logprobs is not None:
            self.require("logprobs", "the server does not give log-probabilities")
        if params.seed is not None:
            self.require("seed", "the server does not keep to a seed")
        if params.penalized:
            self.require("penalties", "declare it (capabilities=) or open the engine with probe=True")
        if params.grammar is not None:
            if params.json_schema is None:
                hint = "the OpenAI API takes a JSON schema, not a regular expression"
                raise CapabilityError("grammar", self._dialect.uri, hint)
            self._dialect.check_schema(ours.form)
        self._dialect.endpoint_and_prompt(ours.form)
        # Only ids are counted exactly here. The length of text is for the server to judge.
        min_length = (len(ours.form.ids) if isinstance(ours.form, IdsForm) else 1) + params.max_tokens
        if self._max_context is not None and min_length > self._max_context:
            raise ContextLengthError(
                f"at least {min_length} tokens (prompt and max_tokens) do not fit "
                f"into the {self._max_context} of {self._dialect.uri}"
            )
