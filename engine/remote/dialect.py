"""What one server understands: assumed from the API at first, corrected by every answer and refusal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, assert_never

from braid.engine.errors import BraidError, CapabilityError, ContextLengthError, EngineResponseError
from braid.engine.openai_api import PATHS, Endpoint, Model, prompt_fields, sampling_fields
from braid.engine.remote.client import RejectedError
from braid.engine.remote.context import ChatForm, Form, IdsForm, TextForm
from braid.engine.remote.response import ResponseReader
from braid.engine.remote.schemas import (
    BOTH_ENDPOINTS,
    assumed_schema_endpoints,
    closed_schema,
    schema_fields,
)
from braid.engine.types import Capability, SamplingParams, ToolDeclaration, branch_seed

Api = Literal["auto", "chat", "completions"]
Continuation = Literal["auto", "flags", "trailing", "none"]

# Tokens per UTF-8 byte until the server reports counts. English text has about a quarter, code a third.
_FIRST_GUESS = 1 / 3
_TOKENS_PER_MESSAGE = 8
_CANNOT_CONTINUE = (
    "the server cannot go on with an assistant message that is already begun; "
    "use a text prompt (/completions)"
)
_TOO_LONG = (
    "context length",
    "context_length",  # the code of OpenAI and Groq
    "context window",
    "maximum context",
    "context size",
    "context_size",  # the type of llama.cpp
    "max_model_len",
    "prompt is too long",
    "input is too long",
    "input token count",
)
_UNKNOWN = ("support", "unknown", "unrecognized", "not permitted", "extra", "cannot")
_PENALTIES = ("presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias")


def assumed_capabilities(api: Api, model: Model) -> set[Capability]:
    """What the API promises, and what the server itself says about `model`.

    A server that breaks a promise is found out later. Penalties are not assumed: the API does not have all of
    them, and many servers ignore what they do not know.
    """
    promised: set[Capability] = {"logprobs", "native_n", "seed", "text_join"}
    if "penalties" in model.capabilities:
        promised.add("penalties")
    if api != "completions":
        promised.add("chat")
        # Braid's own server and OpenRouter list what they take.
        listed = [*model.capabilities, *model.supported_parameters]
        if (model.owned_by != "braid" and not listed) or not {"tools", "tool_calls"}.isdisjoint(listed):
            promised.add("tool_calls")
    if assumed_schema_endpoints(model) & ({api} if api != "auto" else BOTH_ENDPOINTS):
        promised.add("json_schema")
    return promised


class Dialect:
    """How to ask `model` at one server, and how to read its refusals. One per engine."""

    def __init__(
        self,
        *,
        server: str,
        model: str,
        continuation: Continuation,
        capabilities: Iterable[Capability],
        kind: str = "",
        schema_endpoints: frozenset[Endpoint] = BOTH_ENDPOINTS,
        details: Mapping[str, str],
    ) -> None:
        self.uri = f"openai:{server}#{model}"
        self.capabilities: set[Capability] = set(capabilities)
        self.n_is_native: bool | None = None if "native_n" in self.capabilities else False
        self._kind = kind
        """What the server calls itself."""
        self._schema_endpoints = schema_endpoints
        self._closes_schemas = False
        self._server = server
        self._model = model
        self._continuation: Continuation = continuation
        self._requests_usage = True
        self._limit_field = "max_tokens"
        self._tokens_per_byte = _FIRST_GUESS
        self._details = dict(details)

    @property
    def tokens_per_byte(self) -> float:
        return self._tokens_per_byte

    @property
    def details(self) -> dict[str, str]:
        native = {None: "unknown", True: "yes", False: "no"}[self.n_is_native]
        return self._details | {"continuation": self._continuation, "n served natively": native}

    def request_groups(self, params: SamplingParams) -> list[list[int]]:
        """Which branches share a request.

        Greedy branches never do: servers refuse `n > 1` at temperature 0.
        """
        alone = self.n_is_native is False or params.temperature == 0
        return [[i] for i in range(params.n)] if alone else [list(range(params.n))]

    def endpoint_and_prompt(self, form: Form) -> tuple[Endpoint, Any]:
        """Endpoint and prompt for `form`.

        Raises:
            CapabilityError: the form cannot be sent.
        """
        match form:
            case TextForm(content):
                return "completions", content
            case IdsForm(ids, tail):
                if tail:
                    hint = "the server did not tell the ids of what it generated"
                    raise CapabilityError("token_ids", self.uri, hint)
                return "completions", ids
            case ChatForm(tail=tail):
                if tail:
                    self.check_continuation()
                return "chat", form.messages_to_send()
            case _:
                assert_never(form)

    def body(self, form: Form, params: SamplingParams, indexes: Sequence[int]) -> dict[str, Any]:
        """The request for the branches `indexes`.

        It holds only what is needed, since strict servers refuse the rest.
        """
        endpoint, prompt = self.endpoint_and_prompt(form)
        seed = None if params.seed is None else branch_seed(params.seed, indexes[0])
        body: dict[str, Any] = {"model": self._model} | prompt_fields(prompt, endpoint=endpoint)
        body |= sampling_fields(params, endpoint=endpoint, n=len(indexes), seed=seed)
        if (schema := params.json_schema) is not None:
            schema = closed_schema(schema) if self._closes_schemas else schema
            body |= schema_fields(self._kind, endpoint, schema)
        if isinstance(form, ChatForm) and form.tools:
            body["tools"] = [_declared(tool) for tool in form.tools]
            if form.tool_choice != "auto":
                body["tool_choice"] = form.tool_choice
        if self._limit_field != "max_tokens" and endpoint == "chat":
            body[self._limit_field] = body.pop("max_tokens")
        body["stream"] = True
        if self._requests_usage:
            body["stream_options"] = {"include_usage": True}
        if "token_ids" in self.capabilities:
            body["return_token_ids"] = True
        if isinstance(form, ChatForm) and form.tail and self._continuation in ("auto", "flags"):
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        return body

    def adapt(self, error: RejectedError, body: Mapping[str, Any]) -> bool:
        """Learn from a refusal. True when the request is worth repeating without what the server refused."""
        if error.status not in (400, 422):
            return False
        if "stream_options" in error.reason and self._requests_usage:
            self._requests_usage = False
            return True
        if "max_completion_tokens" in error.reason and "messages" in body and "max_tokens" in body:
            self._limit_field = "max_completion_tokens"  # OpenAI's newer models
            return True
        strict = "additionalproperties" in error.reason or "'required'" in error.reason
        if "response_format" in body and strict and not self._closes_schemas:
            self._closes_schemas = True  # OpenAI
            return True
        words = "".join(c if c.isalnum() or c == "_" else " " for c in error.reason).split()
        if "n" in body and not {"n", "choice", "choices"}.isdisjoint(words):
            self.set_native_n(False)
            return True
        return False

    def explain(self, error: RejectedError, form: Form, body: Mapping[str, Any]) -> BraidError:
        """The typed error that says what to do about a refusal.

        The refusal itself when there is nothing better.
        """
        reason, status = error.reason, error.status
        if status in (401, 403):
            hint = "is the right key in the environment variable? (api_key_env=)"
            return EngineResponseError(f"{error}; {hint}", status=status)
        if "tools" in body and "tool" in reason and any(words in reason for words in (*_UNKNOWN, "require")):
            self.drop("tool_calls")
            return CapabilityError("tool_calls", self.uri, f"the server refused it: {error}")
        if status in (404, 405, 501):
            unknown_model = (
                self._model.lower() in reason or "model_not_found" in reason or "not exist" in reason
            )
            if "model" in reason and unknown_model:
                hint = "name a model of the server after '#' in the address"
                return EngineResponseError(f"{error}; {hint}", status=status)
            return self._no_endpoint("chat" if isinstance(form, ChatForm) else "completions")
        # An error inside a stream may name no status.
        if status in (400, 413, 422, None) and any(words in reason for words in _TOO_LONG):
            return ContextLengthError(str(error))
        if status not in (400, 413, 422):
            return error
        if "continue_final_message" in body and any(
            words in reason for words in ("continue_final_message", "add_generation_prompt", "assistant")
        ):
            self._continuation = "none"
            return CapabilityError("chat_continuation", self.uri, f"{_CANNOT_CONTINUE}: {error}")
        # Any other refusal of a penalty is about its value.
        unknown = any(words in reason for words in _UNKNOWN)
        refused: list[tuple[Capability, bool, tuple[str, ...]]] = [
            ("token_ids", "return_token_ids" in body, ("return_token_ids",)),
            ("token_ids", isinstance(form, IdsForm), ("prompt",)),
            ("logprobs", "logprobs" in body, ("logprobs",)),
            (
                "json_schema",
                not {"response_format", "json_schema"}.isdisjoint(body),
                ("response_format", "schema", "grammar"),
            ),
            ("seed", "seed" in body, ("seed",)),
            *(("penalties", name in body and unknown, (name,)) for name in _PENALTIES),
        ]
        for capability, used, words in refused:
            if used and any(word in reason for word in words):
                self.drop(capability)
                return CapabilityError(capability, self.uri, f"the server refused it: {error}")
        return error

    def _no_endpoint(self, endpoint: Endpoint) -> CapabilityError:
        missing = f"there is no {self._server}/{PATHS[endpoint]}; check the address (many servers want /v1)"
        if endpoint == "chat":
            return CapabilityError("chat", self.uri, f"{missing}, or give text")
        hint = (
            f"{missing}, give messages, or open the engine with api='chat' to send text as one user message"
        )
        return CapabilityError("completions", self.uri, hint)

    def drop(self, capability: str) -> None:
        """Remember that the server lacks `capability`. Whoever takes no schema takes no grammar."""
        lost = {"json_schema", "grammar"} if capability == "json_schema" else {capability}
        self.capabilities -= lost

    def check_schema(self, form: Form) -> None:
        """Check that a JSON schema can be sent with `form`.

        Raises:
            CapabilityError: it cannot.
        """
        endpoint, _ = self.endpoint_and_prompt(form)
        if self.capabilities.isdisjoint(("grammar", "json_schema")) or endpoint not in self._schema_endpoints:
            hint = "declare it (capabilities=) or open the engine with probe=True"
            if endpoint not in self._schema_endpoints and self._schema_endpoints:
                hint = f"this server keeps to a schema at {PATHS['chat']} only; give messages"
            raise CapabilityError("json_schema", self.uri, hint)

    def check_continuation(self) -> None:
        """Check that the server can continue an assistant message that has begun.

        Raises:
            CapabilityError: it cannot.
        """
        if self._continuation == "none":
            raise CapabilityError("chat_continuation", self.uri, _CANNOT_CONTINUE)

    def set_native_n(self, native: bool) -> None:
        """Record whether the server serves `n` by itself."""
        self.n_is_native = native
        if not native:
            self.capabilities.discard("native_n")

    def learn(self, form: Form, reader: ResponseReader, n: int) -> None:
        """Take from a complete response what later requests should know."""
        if n > 1 and len(reader.branches) == n:
            self.set_native_n(True)
        if reader.usage is None:
            self._details["usage"] = "estimated: the server reports none"
        else:
            self._details.setdefault("usage", "reported by the server")
            # The worst ratio so far, since estimates serve as upper bounds for budgets.
            if size := _size_bytes(form):
                self._tokens_per_byte = max(self._tokens_per_byte, reader.usage.prompt_tokens / size)

    def count_tokens(self, form: Form) -> int:
        """Length in tokens: exact for ids, an estimate for the rest."""
        if isinstance(form, IdsForm):
            return len(form.ids) + self.estimate_tokens(form.tail)
        messages = len(form.messages) if isinstance(form, ChatForm) else 0
        return max(1, round(_size_bytes(form) * self._tokens_per_byte)) + _TOKENS_PER_MESSAGE * messages

    def estimate_tokens(self, text: str) -> int:
        """Tokens of `text`, roughly: bytes times the ratio that the server's own counts have shown."""
        return max(1, round(len(text.encode()) * self._tokens_per_byte)) if text else 0


def _declared(tool: ToolDeclaration) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _size_bytes(form: Form) -> int:
    match form:
        case TextForm(content):
            return len(content.encode())
        case ChatForm(messages, tail, tools):
            texts = [*(message["content"] for message in messages), tail]
            texts += [json.dumps(_declared(tool)) for tool in tools]
            return sum(len(text.encode()) for text in texts)
        case IdsForm():
            return 0
        case _:
            assert_never(form)
