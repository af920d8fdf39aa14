"""Requests and replies of the OpenAI API, chat and completions, whole and streamed.

Replies are read leniently, since servers leave fields out, send null for them, and add their own:
`stop_reason` of vLLM, `matched_stop` of SGLang, `token_ids` of vLLM. Everything above this module works on
`Reply`, which is the same for both endpoints. Source: the reference types of the `openai` package, against
which the tests check these.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from braid.engine.errors import EngineResponseError
from braid.engine.surrogates import mend_text
from braid.engine.types import Message, SamplingParams

Endpoint = Literal["chat", "completions"]
PATHS: dict[Endpoint, str] = {"chat": "chat/completions", "completions": "completions"}


class _Loose(BaseModel):
    """Servers add fields of their own, and send null for what they leave out."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        fields = cast("dict[str, object]", given)
        return {name: value for name, value in fields.items() if value is not None}


class PromptDetails(_Loose):
    """Details of the prompt's usage."""

    cached_tokens: int | None = None


class CompletionDetails(_Loose):
    """Details of the completion's usage."""

    reasoning_tokens: int = 0


class WireUsage(_Loose):
    """Usage as a server reports it."""

    prompt_tokens: int = 0
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    cached: int = Field(default=0, validation_alias=AliasChoices("cached_tokens", "prompt_cache_hit_tokens"))
    """Where Moonshot and DeepSeek count the cached tokens."""
    completion_tokens_details: CompletionDetails | None = None
    thoughts: int = Field(default=0, validation_alias="reasoning_tokens")
    """Where SGLang counts the tokens of thoughts."""
    total_tokens: int = 0

    @model_validator(mode="after")
    def _with_thoughts(self) -> WireUsage:
        """Count thoughts among the generated tokens, where a server counts them beside these (xAI)."""
        said, thoughts = self.completion_tokens, self.reasoning_tokens
        if said is not None and thoughts and self.total_tokens == self.prompt_tokens + said + thoughts:
            self.completion_tokens = said + thoughts
        return self

    @property
    def reasoning_tokens(self) -> int:
        details = self.completion_tokens_details
        return (details and details.reasoning_tokens) or self.thoughts

    @property
    def cached_tokens(self) -> int:
        details = self.prompt_tokens_details
        return (details and details.cached_tokens) or self.cached


def _readable_usage(given: object) -> WireUsage | None:
    """None where it cannot be read. Nobody loses a text over its price."""
    try:
        return WireUsage.model_validate(given)
    except ValidationError:
        return None


_Usage = Annotated[WireUsage | None, BeforeValidator(_readable_usage)]


class TopLogprob(_Loose):
    """A token and its log-probability, in a chat."""

    token: str = ""
    logprob: float | None = None


class TokenLogprob(TopLogprob):
    """A sampled token of a chat, with its alternatives."""

    top_logprobs: list[TopLogprob] = Field(default_factory=list[TopLogprob])


class Logprobs(_Loose):
    """Log-probabilities of a choice.

    `content` is the form of a chat, the rest the form of completions. llama.cpp sends the form of a chat at
    both endpoints.
    """

    content: list[TokenLogprob] = Field(default_factory=list[TokenLogprob])
    tokens: list[str] = Field(default_factory=list[str])
    token_logprobs: list[float | None] = Field(default_factory=list[float | None])
    top_logprobs: list[dict[str, float | None] | None] = Field(
        default_factory=list[dict[str, float | None] | None]
    )


class Function(_Loose):
    """The call of a function, or the part of one that a chunk adds."""

    name: str = ""
    arguments: Any = ""


class WireToolCall(_Loose):
    """A tool call of a message, or the part of one that a chunk adds."""

    index: int | None = None
    id: Annotated[str, BeforeValidator(str)] = ""
    function: Function = Field(default_factory=Function)


def _listed_calls(given: object) -> list[object]:
    """The calls that can be read. Some servers send a single one without its list."""
    calls = cast("list[object]", given) if isinstance(given, list) else [given]
    return [call for call in calls if isinstance(call, dict)]


class Delta(_Loose):
    """A chat message, or the part of one that a chunk adds."""

    content: Any = ""
    """Text, or a list of parts with a `text` or a `thinking` (Mistral)."""
    reasoning_content: Any = ""
    reasoning: Any = ""
    reasoning_text: Any = ""
    thinking: Any = ""
    reasoning_details: Any = ""
    """A list of parts with a `text` (OpenRouter), which mostly says what `reasoning` says."""
    refusal: str = ""
    tool_calls: Annotated[list[WireToolCall], BeforeValidator(_listed_calls)] = Field(
        default_factory=list[WireToolCall]
    )
    function_call: Function | None = None

    @property
    def text(self) -> str:
        """What it says. Whoever refuses says that, too."""
        return _spoken(self.content, "text") or self.refusal

    @property
    def thoughts(self) -> str:
        """Reasoning that the server keeps apart. Some send it under two names at once."""
        fields = (
            self.reasoning_content,
            self.reasoning,
            self.reasoning_text,
            self.thinking,
            self.reasoning_details,
        )
        named = (_spoken(value, "text") for value in fields)
        return next(filter(None, named), "") or _spoken(self.content, "thinking")

    @property
    def calls(self) -> list[WireToolCall]:
        alone = [WireToolCall(index=0, function=self.function_call)] if self.function_call else []
        return self.tool_calls or alone


def _spoken(value: object, kind: Literal["text", "thinking"]) -> str:
    """The text, or the thoughts, in `value`, which is text itself or a list of parts."""
    match value:
        case str():
            return value if kind == "text" else ""
        case list():
            return "".join(_spoken(part, kind) for part in cast("list[object]", value))
        case dict():
            inner = cast("dict[str, object]", value).get(kind)
            return _spoken(inner, "text")
        case _:
            return ""


class Choice(_Loose):
    """A choice of either endpoint, whole or streamed."""

    index: int | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    matched_stop: str | int | list[int] | None = None
    token_ids: list[int] = Field(default_factory=list[int])
    text: str = ""
    delta: Delta | None = None
    message: Delta | None = None
    logprobs: Logprobs = Field(default_factory=Logprobs)
    usage: _Usage = None
    """Where Moonshot reports it."""
    error: Any = None
    """What OpenRouter says of a provider that failed."""

    @field_validator("finish_reason")
    @classmethod
    def _of_an_end(cls, said: str | None) -> str | None:
        """None unless the completion ended.

        Some servers send an empty text, or a null in quotes, until it does.
        """
        return None if said is None or said.strip().lower() in ("", "null", "none") else said


class _Groq(_Loose):
    usage: _Usage = None


class WireReply(_Loose):
    """A reply or chunk of either endpoint."""

    choices: list[Choice] = Field(default_factory=list[Choice])
    usage: _Usage = None
    x_groq: _Groq = Field(default_factory=_Groq)
    """Where Groq reports the usage of a stream."""

    @property
    def any_usage(self) -> WireUsage | None:
        of_choices = (choice.usage for choice in self.choices)
        return next((usage for usage in (self.usage, self.x_groq.usage, *of_choices) if usage), None)


class _Meta(_Loose):
    n_ctx: int | None = None


class Model(_Loose):
    """A model that the server lists."""

    id: Annotated[str, AfterValidator(mend_text)]
    max_model_len: int | None = Field(
        default=None, validation_alias=AliasChoices("max_model_len", "context_length", "context_window")
    )
    """Longest context, as vLLM and SGLang, OpenRouter, or Groq name it."""
    meta: _Meta = Field(default_factory=_Meta)
    """Where llama.cpp says how long a context it has room for."""
    owned_by: str = ""
    capabilities: list[str] = Field(default_factory=list[str])
    """What the engine can do. Braid's own server says so."""
    supported_parameters: list[str] = Field(default_factory=list[str])
    """The fields of requests that it takes. OpenRouter says so. Empty where a server does not."""

    @field_validator("capabilities", "supported_parameters", mode="before")
    @classmethod
    def _names(cls, given: object) -> object:
        """Other servers write other things under this name."""
        return cast("object", given) if isinstance(given, list) else []

    @property
    def max_context(self) -> int | None:
        return self.meta.n_ctx or self.max_model_len


@dataclass(frozen=True)
class Part:
    """One token, where the server reports single tokens."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Piece:
    """What one reply adds to one branch."""

    index: int
    text: str = ""
    reasoning: str = ""
    """Thoughts that the server keeps apart from the text."""
    tool_calls: tuple[WireToolCall, ...] = ()
    whole: bool = False
    """Whether it is a message, which says everything, and no part of one."""
    parts: tuple[Part, ...] = ()
    token_ids: tuple[int, ...] = ()
    finish: str | None = None
    stop_hit: str | None = None
    error: str | None = None
    """What went wrong in this branch, in the server's words."""


@dataclass(frozen=True)
class Reply:
    """A whole response or one chunk of a streamed one."""

    pieces: tuple[Piece, ...] = ()
    usage: WireUsage | None = None


@dataclass(frozen=True)
class ServerError:
    """An error in the server's words. `code` is the HTTP status that it names, if any."""

    message: str
    code: int | None = None


_WORDS = ("message", "error_message", "error_msg", "errorMessage", "status_msg", "msg", "detail", "errors")
_KINDS = ("type", "error_type", "param", "code", "error_code", "status_code", "metadata")
_CODES = ("code", "status", "statusCode", "status_code", "error_code")


def read_error(payload: object) -> ServerError | None:
    """The error in a JSON body, in any of the shapes that servers use. None when it is not an error."""
    if isinstance(payload, list):
        items = cast("list[object]", payload)
        return read_error(items[0]) if len(items) == 1 else None
    if not isinstance(payload, dict):
        return None
    body = cast("dict[str, Any]", payload)
    error: object = body.get("error")
    result = body.get("base_resp")  # MiniMax has it in every reply
    if not error and isinstance(result, dict) and cast("dict[str, Any]", result).get("status_code"):
        error = cast("object", result)
    silent = not error and not body.get("choices") and not body.get("data")
    if error is True or body.get("object") == "error" or (silent and any(map(body.get, _WORDS))):
        error = cast("object", error) if isinstance(error, dict) else body
    if not error:
        return None
    if isinstance(error, dict):
        fields = cast("dict[str, Any]", error)
        said = " ".join(str(fields[key]) for key in (*_WORDS, *_KINDS) if fields.get(key) not in (None, ""))
        codes = (_status(fields.get(key)) for key in _CODES)
        return ServerError(said or json.dumps(fields), next(filter(None, codes), None))
    return ServerError(str(error), _status(body.get("code")))


def _status(value: object) -> int | None:
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600 else None


def read_json(text: str) -> object:
    """Parsed JSON.

    Raises:
        EngineResponseError: the text is not JSON. The error does not hold the text, which may hold secrets.
    """
    try:
        return cast("object", json.loads(text))
    except (ValueError, RecursionError):
        raise EngineResponseError("the server sent something that is not JSON") from None


def read_reply(endpoint: Endpoint, payload: object) -> Reply:
    """A reply or chunk of `endpoint`.

    Raises:
        EngineResponseError: the payload does not have that shape.
    """
    try:
        reply = WireReply.model_validate(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise EngineResponseError(
            f"the server sent a {endpoint} reply of an unknown shape: {where}: {first['msg']}"
        ) from None
    pieces = (_piece(choice, place) for place, choice in enumerate(reply.choices))
    return Reply(tuple(pieces), reply.any_usage)


def read_text_logprobs(payload: object) -> tuple[list[str], list[float | None], WireUsage | None]:
    """Tokens, their log-probabilities and the usage of an echoed completion.

    The lists are empty when it has none.

    Raises:
        EngineResponseError: the payload is no completions reply.
    """
    try:
        reply = WireReply.model_validate(payload)
    except ValidationError:
        raise EngineResponseError("the server sent a completions reply of an unknown shape") from None
    found = reply.choices[0].logprobs if reply.choices else None
    return (found.tokens, found.token_logprobs, reply.usage) if found else ([], [], reply.usage)


def read_models(payload: object) -> list[Model]:
    """The models in a reply of the models endpoint. What cannot be read is left out.

    Raises:
        EngineResponseError: the payload is no list of models.
    """
    # Together sends the bare list, Ollama null for an empty one.
    listed: object = payload
    if isinstance(payload, dict):
        listed = cast("dict[str, object]", payload).get("data") or []
    if not isinstance(listed, list):
        raise EngineResponseError("the server sent a list of models of an unknown shape")
    models: list[Model] = []
    for entry in cast("list[object]", listed):
        with suppress(ValidationError):
            models.append(Model.model_validate(entry))
    return models


def _stop_hit(choice: Choice) -> str | None:
    for value in (choice.stop_reason, choice.matched_stop):
        if isinstance(value, str):
            return value
    return None


def _piece(choice: Choice, place: int) -> Piece:
    said = choice.message or choice.delta or Delta()
    error = read_error({"error": choice.error})
    return Piece(
        index=place if choice.index is None else choice.index,
        text=said.text or choice.text,
        reasoning=said.thoughts,
        tool_calls=tuple(said.calls),
        whole=choice.message is not None,
        parts=tuple(_parts(choice.logprobs)),
        token_ids=tuple(choice.token_ids),
        finish=choice.finish_reason,
        stop_hit=_stop_hit(choice),
        error=error.message if error else None,
    )


def _parts(found: Logprobs) -> Iterator[Part]:
    """The tokens that have a log-probability, from either form."""
    for entry in found.content:
        if entry.logprob is not None:
            yield Part(entry.token, entry.logprob, _best((t.token, t.logprob) for t in entry.top_logprobs))
    tops = found.top_logprobs or [None] * len(found.tokens)
    for token, logprob, top in zip(found.tokens, found.token_logprobs, tops, strict=False):
        if logprob is not None:
            yield Part(token, logprob, _best((top or {}).items()))


def _best(pairs: Iterable[tuple[str, float | None]]) -> tuple[tuple[str, float], ...]:
    known = ((token, logprob) for token, logprob in pairs if logprob is not None)
    return tuple(sorted(known, key=lambda pair: -pair[1]))


def sampling_fields(
    params: SamplingParams, *, endpoint: Endpoint, n: int, seed: int | None
) -> dict[str, Any]:
    """The request fields for `params`, without its grammar, which each server takes in its own way.

    What the OpenAI API does not know is left out at its neutral value, since strict servers refuse it.
    Servers that take defaults from the model's `generation_config` (vLLM: top_k, min_p) then apply those.
    """
    fields: dict[str, Any] = {
        "max_tokens": params.max_tokens,
        "temperature": params.temperature,
        "top_p": params.top_p,
    }
    if n > 1:
        fields["n"] = n
    if params.top_k:
        fields["top_k"] = params.top_k
    if params.min_p:
        fields["min_p"] = params.min_p
    if params.stop:
        fields["stop"] = list(params.stop)
    if params.stop_token_ids:
        fields["stop_token_ids"] = list(params.stop_token_ids)
    if params.ignore_eos:
        fields["ignore_eos"] = True
    if params.presence_penalty:
        fields["presence_penalty"] = params.presence_penalty
    if params.frequency_penalty:
        fields["frequency_penalty"] = params.frequency_penalty
    if params.repetition_penalty != 1:
        fields["repetition_penalty"] = params.repetition_penalty
    if params.logit_bias:
        fields["logit_bias"] = {str(token): bias for token, bias in params.logit_bias.items()}
    if seed is not None:
        fields["seed"] = seed
    if params.logprobs is not None:
        if endpoint == "chat":
            fields |= {"logprobs": True, "top_logprobs": params.logprobs}
        else:
            fields["logprobs"] = params.logprobs
    return fields


def prompt_fields(prompt: str | Sequence[int] | Sequence[Message], *, endpoint: Endpoint) -> dict[str, Any]:
    """The request field of a prompt."""
    return (
        {"messages": list(prompt)}
        if endpoint == "chat"
        else {"prompt": prompt if isinstance(prompt, str) else list(prompt)}
    )
