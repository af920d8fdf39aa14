"""RemoteEngine: the engine's face over any server that speaks the OpenAI API.

Text and token ids go to `/completions`, messages to `/chat/completions`, and every generation is streamed, so that it can be
cancelled at any token and a silent server is noticed. What a server can do is assumed from the API, learnt from its answers,
or asked at the start (`probe=True`); what it turns out not to do raises `CapabilityError` and leaves `capabilities`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, Self, assert_never

from pydantic import SecretStr

from engine.base import Context, Engine
from engine.budget import Budget, ambient_budget
from engine.errors import (
    BraidError,
    CapabilityError,
    ContextLengthError,
    ContextReleasedError,
    EngineResponseError,
    EngineURIError,
    InvalidParamsError,
)
from engine.prompts import ChatPrompt, TextPrompt, TokenPrompt, read_prompt
from engine.remote.address import read_address
from engine.remote.branches import Branch, BranchReader
from engine.remote.client import Client, RejectedError, RetryPolicy
from engine.remote.context import ChatForm, Form, IdsForm, RemoteContext, TextForm
from engine.remote.probe import probe_server
from engine.remote.wire import (
    PATHS,
    Endpoint,
    Model,
    prompt_fields,
    read_models,
    read_text_logprobs,
    sampling_fields,
)
from engine.types import (
    Capability,
    Completion,
    EngineInfo,
    Prompt,
    SamplingParams,
    Token,
    Usage,
    branch_seed,
)

Api = Literal["auto", "chat", "completions"]
Continuation = Literal["auto", "flags", "trailing", "none"]

DEFAULT_KEY_ENV = "OPENAI_API_KEY"
# Tokens per UTF-8 byte before the server has told any better; English text has about a quarter, code a third.
_FIRST_GUESS = 1 / 3
_TOKENS_PER_MESSAGE = 8


@dataclass
class _Outcome:
    """What one HTTP request brought: its branches by index, and their usage."""

    branches: dict[int, Branch]
    shares: dict[int, Usage]
    prompt_tokens: int


class RemoteEngine(Engine):
    """A model behind an OpenAI-compatible server. Open it with `RemoteEngine.open`."""

    def __init__(
        self,
        client: Client,
        *,
        model: str,
        api: Api,
        continuation: Continuation,
        capabilities: Iterable[Capability],
        max_context: int | None,
        details: Mapping[str, str],
    ) -> None:
        self._client = client
        self._model = model
        self._api: Api = api
        self._continuation: Continuation = continuation
        self._capabilities: set[Capability] = set(capabilities)
        self._max_context = max_context
        self._details = dict(details)
        self._uri = f"openai:{client.shown}#{model}"
        self._open: set[RemoteContext] = set()
        self._n_is_native: bool | None = None if "native_n" in self._capabilities else False
        self._asks_usage = True
        self._tokens_per_byte = _FIRST_GUESS

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
        """Open `http://host:port/v1#model`. The path is used as given; without `#model` the server must list exactly one.

        - `api_key_env`: the environment variable that holds the key; None sends none.
        - `timeout`: seconds of silence, before the first byte and between two, after which a request is given up.
        - `api`: `auto` sends messages to chat and text or token ids to completions; `chat` sends text as one user
          message; `completions` takes text and token ids only.
        - `continuation`: how a chat answer already begun is sent on. `flags` adds `continue_final_message` and
          `add_generation_prompt=false` (vLLM, SGLang); `trailing` sends the unfinished assistant message without flags
          (llama.cpp, Ollama and others continue it); `none` refuses. `auto` is `flags` until the server refuses them.
          A server that ignores the flags in silence cannot be told from one that honours them.
        - `capabilities`: exactly what the server can do, where that is known; None assumes what the API promises.
        - `probe`: find out with a handful of tiny requests (at most 16 tokens each) instead of assuming.

        Raises `EngineURIError` (address, or no single model), `EngineConnectionError`, `EngineResponseError` (key refused)
        and `InvalidParamsError`.
        """
        where = read_address(address)
        if concurrency < 1 or max_retries < 0 or timeout <= 0:
            raise InvalidParamsError(
                f"concurrency must be >= 1, max_retries >= 0 and timeout > 0, got {concurrency!r}, {max_retries!r}, {timeout!r}"
            )
        key = _read_key(api_key_env)
        client = Client(
            where.url,
            shown=where.shown,
            key=key,
            headers=headers or {},
            timeout=timeout,
            concurrency=concurrency,
            retries=retries or RetryPolicy(max_retries=max_retries),
        )
        details = {"server": where.shown, "api": api, "key": f"from ${api_key_env}" if key else "none"}
        if key and where.in_the_clear:
            details["warning"] = "the key goes over plain http to another machine"
        try:
            model, max_context = await _find_model(client, where.model, api_key_env)
            if probe:
                found = await probe_server(
                    client, model, chat=api != "completions", completions=api != "chat"
                )
                capabilities = found.capabilities if capabilities is None else capabilities
                if continuation == "auto":
                    continuation = "flags" if found.continues_chat else "none"
        except BaseException:
            await client.close()
            raise
        return cls(
            client,
            model=model,
            api=api,
            continuation=continuation,
            capabilities=_assumed(api) if capabilities is None else capabilities,
            max_context=max_context,
            details=details,
        )

    @property
    def info(self) -> EngineInfo:
        native = {None: "unknown", True: "yes", False: "no"}[self._n_is_native]
        learnt = {"continuation": self._continuation, "n served natively": native}
        return EngineInfo(
            uri=self._uri,
            model=self._model,
            max_context=self._max_context,
            capabilities=frozenset(self._capabilities),
            details=self._details | learnt,
        )

    def __repr__(self) -> str:
        return f"<RemoteEngine {self._uri}>"

    async def prefill(self, prompt: Prompt, *, budget: Budget | None = None) -> RemoteContext:
        """A handle on `prompt`. Sends nothing: a server reads the prompt with each request, and is charged for it then."""
        (budget or ambient_budget()).check_time()
        return self._context(self._form(prompt), critical=0)

    def _form(self, prompt: Prompt) -> Form:
        match read_prompt(prompt):
            case ChatPrompt(messages):
                self.require("chat", "give text: this engine uses /completions only")
                return ChatForm(messages)
            case TextPrompt(text):
                return (
                    ChatForm(({"role": "user", "content": text},)) if self._api == "chat" else TextForm(text)
                )
            case TokenPrompt(ids):
                self.require("token_ids", "give text or messages")
                return IdsForm(ids)

    async def extend(self, context: Context, text: str, *, budget: Budget | None = None) -> RemoteContext:
        """`text` behind the prompt; in a chat it is the beginning of the assistant's message (see `continuation`).

        Raises `CapabilityError` for token ids (only the server has the tokenizer) and where a chat cannot be continued.
        """
        mine = self._mine(context)
        (budget or ambient_budget()).check_time()
        if isinstance(mine.form, IdsForm):
            raise CapabilityError(
                "extend", self._uri, "text cannot follow token ids; prefill text or all ids instead"
            )
        if isinstance(mine.form, ChatForm):
            self._check_continuation()
        added = self._estimate(text)
        return self._context(mine.form.extended(text), mine.critical_path_tokens, mine.token_count + added)

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
            self.require("kv_join", "a remote server joins text only; use how='text'")
        root = self._mine(context)
        (budget or ambient_budget()).check_time()
        added: list[str] = []
        for place, part in enumerate(self._mine(each) for each in parts):
            if isinstance(root.form, IdsForm) or isinstance(part.form, IdsForm):
                raise CapabilityError("text_join", self._uri, "the text of token ids is not known here")
            if type(part.form) is not type(root.form) or not part.text.startswith(root.text):
                raise InvalidParamsError(f"join: part {place} does not continue the context that is joined")
            added.append(part.text[len(root.text) :])
        text = separator.join(added)
        critical = max(
            [root.critical_path_tokens, *(self._mine(part).critical_path_tokens for part in parts)]
        )
        if isinstance(root.form, ChatForm):
            self._check_continuation()
        return self._context(root.form.extended(text), critical, root.token_count + self._estimate(text))

    async def generate(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> list[Completion]:
        """`params.n` completions. A server that ignores `n` is sent the missing ones as requests of their own."""
        mine, scope = self._mine(context), budget or ambient_budget()
        self._check(mine, params)
        done: dict[int, _Outcome] = {}

        async def run(indexes: Sequence[int]) -> None:
            async with aclosing(self._request(mine, params, indexes, scope, done.__setitem__)) as tokens:
                async for _ in tokens:
                    pass  # the outcome has them; nothing is handed on, so a lost connection may be tried again

        groups = self._groups(params)
        while groups:
            await _side_by_side([run(group) for group in groups])
            found = {index for outcome in done.values() for index in outcome.branches}
            groups = self._missing(params, found)
        by_index = {index: outcome for outcome in done.values() for index in outcome.branches}
        return [self._completion(mine, index, by_index[index]) for index in range(params.n)]

    def stream(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> AsyncGenerator[Token]:
        """Tokens of all branches as they come. Closing the iterator closes the connection. See `Engine.stream`."""
        mine, scope = self._mine(context), budget or ambient_budget()
        self._check(mine, params)
        return self._stream(mine, params, scope)

    async def _stream(
        self, mine: RemoteContext, params: SamplingParams, scope: Budget
    ) -> AsyncGenerator[Token]:
        done: dict[int, _Outcome] = {}
        groups = self._groups(params)
        while groups:
            requests = [
                self._request(mine, params, group, scope, done.__setitem__, hand_on=True) for group in groups
            ]
            async with aclosing(_merged(requests)) as merged:
                async for tokens in merged:
                    for token in tokens:
                        yield token
            groups = self._missing(params, {index for outcome in done.values() for index in outcome.branches})

    def _groups(self, params: SamplingParams) -> list[list[int]]:
        """Which branches share a request. Greedy branches never do: servers refuse `n > 1` at temperature 0."""
        alone = self._n_is_native is False or params.temperature == 0
        return [[i] for i in range(params.n)] if alone else [list(range(params.n))]

    def _missing(self, params: SamplingParams, found: Collection[int]) -> list[list[int]]:
        missing = [[index] for index in range(params.n) if index not in found]
        if missing:
            self._serves_n(False)
        return missing

    async def _request(
        self,
        mine: RemoteContext,
        params: SamplingParams,
        indexes: Sequence[int],
        scope: Budget,
        report: Callable[[int, _Outcome], None],
        *,
        hand_on: bool = False,
    ) -> AsyncGenerator[list[Token]]:
        """One HTTP request for the branches `indexes`; repeated when the server refuses something that can be left out."""
        endpoint, prompt = self._to_send(mine.form)
        while True:
            body = self._body(mine.form, endpoint, prompt, params, indexes)
            reader = BranchReader(
                endpoint=endpoint,
                params=params,
                indexes=indexes,
                prompt_tokens=mine.token_count,
                tokens_per_byte=self._tokens_per_byte,
                server=self._uri,
            )
            with scope.reserve(tokens=mine.token_count + len(indexes) * params.max_tokens, calls=1) as held:
                try:
                    events = self._client.stream(PATHS[endpoint], body, reader, budget=scope)
                    async with aclosing(events):
                        async for tokens in events:
                            reader.committed = reader.committed or (hand_on and bool(tokens))
                            yield tokens
                except RejectedError as error:
                    if not self._adapt(error, body):
                        raise self._explained(error, endpoint, mine.form, body) from None
                    if "n" in body and not self._n_is_native:
                        return  # the caller sends the branches one by one
                    continue
                except CapabilityError:
                    self._capabilities.discard("logprobs")
                    raise
                finally:
                    shares = reader.shares()
                    if shares or reader.discarded:
                        spent = [u.prompt_tokens + u.generated_tokens for u in shares.values()]
                        held.settle(tokens=sum(spent) or mine.token_count + reader.discarded, calls=1)
            self._learn(mine.form, reader, len(indexes))
            prompt_tokens = reader.usage.prompt_tokens if reader.usage else mine.token_count
            report(indexes[0], _Outcome(reader.branches, shares, prompt_tokens))
            return

    def _to_send(self, form: Form) -> tuple[Endpoint, Any]:
        match form:
            case TextForm(content):
                return "completions", content
            case IdsForm(ids, tail):
                if tail:
                    raise CapabilityError(
                        "token_ids", self._uri, "the server did not tell the ids of what it generated"
                    )
                return "completions", ids
            case ChatForm(tail=tail):
                if tail:
                    self._check_continuation()
                return "chat", form.to_send()
            case _:
                assert_never(form)

    def _body(
        self, form: Form, endpoint: Endpoint, prompt: Any, params: SamplingParams, indexes: Sequence[int]
    ) -> dict[str, Any]:
        seed = None if params.seed is None else branch_seed(params.seed, indexes[0])
        body: dict[str, Any] = {"model": self._model} | prompt_fields(prompt, endpoint=endpoint)
        body |= sampling_fields(params, endpoint=endpoint, n=len(indexes), seed=seed)
        body["stream"] = True
        if self._asks_usage:
            body["stream_options"] = {"include_usage": True}
        if isinstance(form, IdsForm):
            body["return_token_ids"] = True
        if isinstance(form, ChatForm) and form.tail and self._continuation in ("auto", "flags"):
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        return body

    def _adapt(self, error: RejectedError, body: dict[str, Any]) -> bool:
        """True when the request is worth repeating without what the server refused."""
        if error.status not in (400, 422):
            return False
        if "stream_options" in error.said and self._asks_usage:
            self._asks_usage = False
            return True
        words = error.said.replace("'", " ").replace('"', " ").replace("`", " ").replace("=", " ").split()
        if "n" in body and ("n" in words or "choices" in words or "n:" in words):
            self._serves_n(False)
            return True
        return False

    def _explained(
        self, error: RejectedError, endpoint: Endpoint, form: Form, body: dict[str, Any]
    ) -> BraidError:
        """The typed error that says what to do about a refusal; the refusal itself when there is nothing better."""
        said, status = error.said, error.status
        if status in (401, 403):
            return EngineResponseError(
                f"{error}; is the right key in the environment variable? (api_key_env=)", status=status
            )
        if status in (404, 405, 501):
            if "model" in said and (
                self._model.lower() in said or "model_not_found" in said or "not exist" in said
            ):
                return EngineResponseError(
                    f"{error}; name a model of the server after '#' in the address", status=status
                )
            return self._no_endpoint(endpoint)
        if status not in (400, 413, 422):
            return error
        if any(
            words in said
            for words in ("context length", "context_length", "context window", "maximum context")
        ):
            return ContextLengthError(str(error))
        if "continue_final_message" in body and any(
            words in said for words in ("continue_final_message", "add_generation_prompt", "assistant")
        ):
            self._continuation = "none"
            return self._cannot_continue(str(error))
        refused: list[tuple[Capability, bool, tuple[str, ...]]] = [
            ("token_ids", isinstance(form, IdsForm), ("prompt", "return_token_ids")),
            ("logprobs", "logprobs" in body, ("logprobs",)),
            ("grammar", "response_format" in body, ("response_format", "json_schema", "schema")),
            ("seed", "seed" in body, ("seed",)),
        ]
        for capability, used, words in refused:
            if used and any(word in said for word in words):
                self._capabilities.discard(capability)
                return CapabilityError(capability, self._uri, f"the server refused it: {error}")
        return error

    def _no_endpoint(self, endpoint: Endpoint) -> CapabilityError:
        path = f"{self._client.shown}/{PATHS[endpoint]}"
        if endpoint == "chat":
            self._capabilities.discard("chat")
            return CapabilityError(
                "chat",
                self._uri,
                f"there is no {path}; check the address (many servers want /v1), or give text",
            )
        self._capabilities.discard("token_ids")
        return CapabilityError(
            "completions",
            self._uri,
            f"there is no {path}; check the address (many servers want /v1), give messages, "
            "or open the engine with api='chat' to send text as one user message",
        )

    def _check_continuation(self) -> None:
        if self._continuation == "none":
            raise self._cannot_continue("")

    def _cannot_continue(self, why: str) -> CapabilityError:
        hint = "the server cannot go on with an assistant message that is already begun; use a text prompt (/completions)"
        return CapabilityError("chat_continuation", self._uri, f"{hint}: {why}" if why else hint)

    def _serves_n(self, native: bool) -> None:
        self._n_is_native = native
        if not native:
            self._capabilities.discard("native_n")

    def _learn(self, form: Form, reader: BranchReader, n: int) -> None:
        """Take from a response what later requests should know."""
        if n > 1 and len(reader.branches) == n:
            self._serves_n(True)
        if reader.usage is None:
            self._details["usage"] = "estimated: the server reports none"
        elif reader.usage.prompt_tokens and (size := _size(form)):
            # The worst ratio so far, since the estimate serves as an upper bound for budgets.
            self._tokens_per_byte = max(self._tokens_per_byte, reader.usage.prompt_tokens / size)
            self._details.setdefault("usage", "reported by the server")

    def _completion(self, mine: RemoteContext, index: int, outcome: _Outcome) -> Completion:
        branch, usage = outcome.branches[index], outcome.shares[index]
        if branch.finish is None:
            raise AssertionError("a response that was read to its end has a finish reason in every branch")
        text = branch.text
        form = mine.form.extended(text)
        if isinstance(mine.form, IdsForm) and branch.token_ids:
            form = IdsForm((*mine.form.ids, *branch.token_ids))
        wanted = any(token.logprob is not None for token in branch.tokens)
        told = [token for token in branch.tokens if token.logprob is not None]
        return Completion(
            text=text,
            context=self._context(
                form,
                mine.critical_path_tokens + usage.critical_path_tokens,
                outcome.prompt_tokens + usage.critical_path_tokens,
            ),
            finish_reason=branch.finish,
            usage=usage,
            index=index,
            stop_hit=branch.stop_hit,
            token_ids=tuple(branch.token_ids) or None,
            logprobs=tuple(token.logprob or 0.0 for token in told) if wanted else None,
            top_logprobs=tuple(token.top_logprobs for token in told) if wanted else None,
        )

    async def score(self, context: Context, text: str, *, budget: Budget | None = None) -> list[float]:
        """Log-probabilities of the tokens of `text`, by echo on `/completions`. Capability `prompt_logprobs`.

        A token that begins in the context and ends in `text` counts. Raises `CapabilityError` for chats and token ids.
        """
        mine, scope = self._mine(context), budget or ambient_budget()
        self.require("prompt_logprobs", "declare it (capabilities=) or open the engine with probe=True")
        if not isinstance(mine.form, TextForm):
            raise CapabilityError(
                "prompt_logprobs", self._uri, "only text prompts can be scored; /completions echoes text"
            )
        if not text:
            return []
        return await self._echo(mine.form.content, text, scope)

    async def _echo(self, before: str, text: str, scope: Budget) -> list[float]:
        whole = before + text
        body = {
            "model": self._model,
            "prompt": whole,
            "max_tokens": 1,  # several servers refuse 0; the token that it costs is left out below
            "temperature": 0,
            "echo": True,
            "logprobs": 0,
        }
        estimate = self._estimate(whole)
        with scope.reserve(tokens=estimate + 1, calls=1) as held:
            try:
                payload = await self._client.post(PATHS["completions"], body, budget=scope)
            except RejectedError as error:
                raise self._explained(error, "completions", TextForm(whole), body) from None
            tokens, logprobs, _, usage = read_text_logprobs(payload)
            held.settle(tokens=(usage.prompt_tokens if usage else estimate) + 1, calls=1)
        spelled = "".join(tokens)
        at = spelled.find(whole)
        if not tokens or len(tokens) != len(logprobs) or at < 0:
            self._capabilities.discard("prompt_logprobs")
            raise CapabilityError(
                "prompt_logprobs", self._uri, "the server does not echo the prompt with log-probabilities"
            )
        first, last = at + len(before), at + len(whole)
        scores: list[float] = []
        position = 0
        for token, logprob in zip(tokens, logprobs, strict=True):
            position, begin = position + len(token), position
            # The model's very first token has none.
            if position > first and begin < last and logprob is not None:
                scores.append(logprob)
        return scores

    def open_contexts(self) -> int:
        return len(self._open)

    async def close(self) -> None:
        """Hang up; calls under way end with an `EngineError`, and all Contexts are released."""
        for context in list(self._open):
            context.release()
        await self._client.close()

    def _context(self, form: Form, critical: int, token_count: int | None = None) -> RemoteContext:
        count = token_count if token_count is not None else self._measure(form)
        context = RemoteContext(
            form, owner=self, token_count=count, critical_path_tokens=critical, on_release=self._open.discard
        )
        self._open.add(context)
        return context

    def _measure(self, form: Form) -> int:
        if isinstance(form, IdsForm):
            return len(form.ids)
        messages = len(form.messages) if isinstance(form, ChatForm) else 0
        return max(1, round(_size(form) * self._tokens_per_byte)) + _TOKENS_PER_MESSAGE * messages

    def _estimate(self, text: str) -> int:
        return round(len(text.encode()) * self._tokens_per_byte) if text else 0

    def _mine(self, context: Context) -> RemoteContext:
        if not isinstance(context, RemoteContext) or context.owner is not self:
            raise ContextReleasedError(f"{context!r} does not belong to {self!r}")
        if context.released:
            raise ContextReleasedError(f"the context was released before this use of {self!r}")
        return context

    def _check(self, mine: RemoteContext, params: SamplingParams) -> None:
        """Refuse before anything is sent what is known not to work."""
        if params.logprobs is not None:
            self.require("logprobs", "the server does not give log-probabilities")
        if params.seed is not None:
            self.require("seed", "the server does not take a seed")
        if params.grammar is not None:
            self.require("grammar", "declare it (capabilities=) or open the engine with probe=True")
            if not isinstance(params.grammar, dict):
                raise CapabilityError(
                    "grammar", self._uri, "the OpenAI API takes a JSON schema, not a regular expression"
                )
        self._to_send(mine.form)
        if (
            self._max_context is not None
            and mine.token_count > self._max_context
            and isinstance(mine.form, IdsForm)
        ):
            raise ContextLengthError(
                f"{mine.token_count} prompt tokens do not fit into {self._max_context} of {self._uri}"
            )


def _assumed(api: Api) -> set[Capability]:
    """What the API promises; servers that do not keep it are found out."""
    promised: set[Capability] = {"logprobs", "native_n", "seed", "text_join"}
    if api != "completions":
        promised.add("chat")
    if api != "chat":
        promised.add("token_ids")
    return promised


def _size(form: Form) -> int:
    match form:
        case TextForm(content):
            return len(content.encode())
        case ChatForm(messages, tail):
            return sum(len(message["content"].encode()) for message in messages) + len(tail.encode())
        case IdsForm():
            return 0


def _read_key(name: str | None) -> SecretStr | None:
    value = os.environ.get(name, "").strip() if name else ""
    if name and name != DEFAULT_KEY_ENV and not value:
        raise InvalidParamsError(f"the environment variable {name!r} (api_key_env) is empty or not set")
    return SecretStr(value) if value else None


async def _find_model(client: Client, named: str | None, key_env: str | None) -> tuple[str, int | None]:
    """The model to use and its context length, if the server lists it. Also the first sign of life from the server."""
    models: list[Model] = []
    try:
        models = read_models(await client.get("models", budget=ambient_budget(), max_retries=1))
    except RejectedError as error:
        if error.status == 401:
            hint = (
                f"put the key into ${key_env}"
                if key_env
                else "name the key's environment variable with api_key_env="
            )
            raise EngineResponseError(f"{error}; {hint}", status=401) from None
        if named is None:
            raise EngineURIError(
                f"cannot list the server's models ({error}); name one after '#' in the address"
            ) from None
    except EngineResponseError:
        if named is None:
            raise
    if named is not None:
        return named, next((model.max_model_len for model in models if model.id == named), None)
    if len(models) == 1:
        return models[0].id, models[0].max_model_len
    listed = ", ".join(sorted(model.id for model in models)[:50]) or "none"
    raise EngineURIError(
        f"name a model after '#' in the address {client.shown!r}; the server lists: {listed}"
    )


async def _side_by_side(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all of `work`; the first failure stops the rest and is raised as it is, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except BaseExceptionGroup as error:
        raise _first(error) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first  # pyright: ignore[reportUnknownArgumentType]


async def _merged(sources: Sequence[AsyncGenerator[list[Token]]]) -> AsyncGenerator[list[Token]]:
    """Everything that `sources` yield, as it comes. Closing it closes them all."""
    if len(sources) == 1:
        async with aclosing(sources[0]) as only:
            async for tokens in only:
                yield tokens
        return
    queue: asyncio.Queue[list[Token] | None] = asyncio.Queue(maxsize=64)

    async def pump(source: AsyncGenerator[list[Token]]) -> None:
        async with aclosing(source):
            async for tokens in source:
                await queue.put(tokens)

    async def pump_all() -> None:
        try:
            await _side_by_side([pump(source) for source in sources])
        finally:
            if not queue.full():
                queue.put_nowait(None)

    work = asyncio.create_task(pump_all(), name="braid: merge streams")
    try:
        while not (work.done() and queue.empty()):
            tokens = await queue.get()
            if tokens is not None:
                yield tokens
        await work
    finally:
        work.cancel()
        await asyncio.wait([work])
