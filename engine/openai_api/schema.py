"""Requests and replies of the OpenAI API, chat and completions, whole and streamed.

Replies are read leniently, since servers leave fields out and add their own: `stop_reason` of vLLM,
`matched_stop` of SGLang, `token_ids` of vLLM. Everything above this module works on `Reply`, which is the
same for both endpoints. Source: the reference types of the `openai` package, against which the tests check
these.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from braid.engine.errors import EngineResponseError
from braid.engine.types import Message, SamplingParams

Endpoint = Literal["chat", "completions"]
PATHS: dict[Endpoint, str] = {"chat": "chat/completions", "completions": "completions"}


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore")


class PromptDetails(_Loose):
    """Details of the prompt's usage."""

    cached_tokens: int | None = None


class WireUsage(_Loose):
    """Usage as a server reports it."""

    prompt_tokens: int = 0
    completion_tokens: int | None = 0
    prompt_tokens_details: PromptDetails | None = None

    @property
    def cached_tokens(self) -> int:
        details = self.prompt_tokens_details
        return (details.cached_tokens or 0) if details else 0


class TopLogprob(_Loose):
    """A token and its log-probability, in a chat."""

    token: str
    logprob: float


class TokenLogprob(TopLogprob):
    """A sampled token of a chat, with its alternatives."""

    top_logprobs: list[TopLogprob] | None = None


class ChatLogprobs(_Loose):
    """Log-probabilities of a chat choice."""

    content: list[TokenLogprob] | None = None


class TextLogprobs(_Loose):
    """Log-probabilities of a completions choice."""

    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None
    text_offset: list[int] | None = None


class Delta(_Loose):
    """A chat message, or the part of one that a chunk adds.

    Reasoning that a server separates is not content.
    """

    content: str | None = None


class Choice(_Loose):
    """The fields of a choice that both endpoints share."""

    index: int = 0
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    matched_stop: str | int | list[int] | None = None
    token_ids: list[int] | None = None

    @field_validator("finish_reason")
    @classmethod
    def _of_an_end(cls, said: str | None) -> str | None:
        """None unless the completion ended.

        Some servers send an empty text, or a null in quotes, until it does.
        """
        return None if said is None or said.strip().lower() in ("", "null", "none") else said


class ChatChoice(Choice):
    """A choice of the chat endpoint, whole or streamed."""

    delta: Delta | None = None
    message: Delta | None = None
    logprobs: ChatLogprobs | None = None


class TextChoice(Choice):
    """A choice of the completions endpoint, whole or streamed."""

    text: str | None = None
    logprobs: TextLogprobs | None = None


class ChatReply(_Loose):
    """A reply or chunk of the chat endpoint."""

    choices: list[ChatChoice] = Field(default_factory=list[ChatChoice])
    usage: WireUsage | None = None


class TextReply(_Loose):
    """A reply or chunk of the completions endpoint."""

    choices: list[TextChoice] = Field(default_factory=list[TextChoice])
    usage: WireUsage | None = None


class Model(_Loose):
    """A model that the server lists."""

    id: str
    max_model_len: int | None = None
    capabilities: list[str] = Field(default_factory=list[str])
    """What the engine can do. Braid's own server says so."""


class ModelList(_Loose):
    """The reply of the models endpoint."""

    data: list[Model] = Field(default_factory=list[Model])


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
    parts: tuple[Part, ...] = ()
    token_ids: tuple[int, ...] = ()
    finish: str | None = None
    stop_hit: str | None = None


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


def read_error(payload: object) -> ServerError | None:
    """The error in a JSON body, in any of the shapes that servers use. None when it is not an error."""
    if not isinstance(payload, dict):
        return None
    body = cast("dict[str, Any]", payload)
    error = body.get("error")
    if error is None and body.get("object") == "error":
        error = body
    if error is None and "choices" not in body:
        error = body.get("detail") or body.get("message")
    if not error:
        return None
    if isinstance(error, dict):
        fields = cast("dict[str, Any]", error)
        said = " ".join(
            str(fields[key]) for key in ("message", "type", "param", "code") if fields.get(key) is not None
        )
        return ServerError(
            said or json.dumps(fields), _status(fields.get("code")) or _status(fields.get("status"))
        )
    return ServerError(str(cast("object", error)), _status(body.get("code")))


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
        if endpoint == "chat":
            chat = ChatReply.model_validate(payload)
            return Reply(tuple(_chat_piece(choice) for choice in chat.choices), chat.usage)
        text = TextReply.model_validate(payload)
        return Reply(tuple(_text_piece(choice) for choice in text.choices), text.usage)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise EngineResponseError(
            f"the server sent a {endpoint} reply of an unknown shape: {where}: {first['msg']}"
        ) from None


def read_text_logprobs(payload: object) -> tuple[list[str], list[float | None], WireUsage | None]:
    """Tokens, their log-probabilities and the usage of an echoed completion.

    The lists are empty when it has none.

    Raises:
        EngineResponseError: the payload is no completions reply.
    """
    try:
        reply = TextReply.model_validate(payload)
    except ValidationError:
        raise EngineResponseError("the server sent a completions reply of an unknown shape") from None
    found = reply.choices[0].logprobs if reply.choices else None
    if found is None:
        return [], [], reply.usage
    return found.tokens or [], found.token_logprobs or [], reply.usage


def read_models(payload: object) -> list[Model]:
    """The models in a reply of the models endpoint.

    Raises:
        EngineResponseError: the payload does not have that shape.
    """
    try:
        return ModelList.model_validate(payload).data
    except ValidationError:
        raise EngineResponseError("the server sent a list of models of an unknown shape") from None


def _stop_hit(choice: Choice) -> str | None:
    for value in (choice.stop_reason, choice.matched_stop):
        if isinstance(value, str):
            return value
    return None


def _chat_piece(choice: ChatChoice) -> Piece:
    said = choice.message or choice.delta
    entries = (choice.logprobs.content if choice.logprobs else None) or []
    parts = tuple(
        Part(entry.token, entry.logprob, _best((t.token, t.logprob) for t in entry.top_logprobs or ()))
        for entry in entries
    )
    return Piece(
        index=choice.index,
        text=(said.content if said else None) or "",
        parts=parts,
        token_ids=tuple(choice.token_ids or ()),
        finish=choice.finish_reason,
        stop_hit=_stop_hit(choice),
    )


def _text_piece(choice: TextChoice) -> Piece:
    found = choice.logprobs
    parts: tuple[Part, ...] = ()
    if found is not None and found.tokens and found.token_logprobs:
        tops = found.top_logprobs or [None] * len(found.tokens)
        parts = tuple(
            Part(token, logprob, _best((top or {}).items()))
            for token, logprob, top in zip(found.tokens, found.token_logprobs, tops, strict=False)
            if logprob is not None
        )
    return Piece(
        index=choice.index,
        text=choice.text or "",
        parts=parts,
        token_ids=tuple(choice.token_ids or ()),
        finish=choice.finish_reason,
        stop_hit=_stop_hit(choice),
    )


def _best(pairs: Any) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(((str(t), float(p)) for t, p in pairs), key=lambda pair: -pair[1]))


def sampling_fields(
    params: SamplingParams, *, endpoint: Endpoint, n: int, seed: int | None
) -> dict[str, Any]:
    """The request fields for `params`.

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
    if isinstance(params.grammar, dict):
        schema = {"name": "answer", "schema": params.grammar, "strict": True}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    return fields


def prompt_fields(prompt: str | Sequence[int] | Sequence[Message], *, endpoint: Endpoint) -> dict[str, Any]:
    """The request field of a prompt."""
    return (
        {"messages": list(prompt)}
        if endpoint == "chat"
        else {"prompt": prompt if isinstance(prompt, str) else list(prompt)}
    )
