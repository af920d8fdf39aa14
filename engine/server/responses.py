"""Responses: tokens as chunks of a stream, or gathered into one response, for chat and completions.

There is one entry of log-probabilities for each sampled token, the ending one included. Its text is what it
adds to the completion, so the entries spell the completion. It can be empty, where a character takes several
tokens. Beyond the API, as in other open servers: `stop_reason` (the stop string that was hit) and, on
request, `token_ids`. What an engine tells beside its text, such as the nodes of an agent's run, is in
`braid`. Source: the reply types of the `openai` package.
"""

from __future__ import annotations

import math
import secrets
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from braid.engine.server.calls import CallReader
from braid.engine.server.generation import is_sampled
from braid.engine.server.requests import GenerationRequest
from braid.engine.tool_calls import CallForm
from braid.engine.types import Token, Usage

_TORN = "\ufffd"
# What the API says in place of minus infinity, which JSON does not have.
_NEVER = -9999.0


class ResponseWriter:
    """Writes the response to one request.

    `chunk` and `usage_chunk` are for a stream, `full_response` is for a single response.
    """

    def __init__(
        self, request: GenerationRequest, *, model: str, ignored: Sequence[str], call_form: CallForm
    ) -> None:
        self.id = ("chatcmpl-" if request.kind == "chat" else "cmpl-") + secrets.token_hex(12)
        self._request = request
        self._model = model
        self._created = int(time.time())
        self._lengths: dict[int, int] = {}
        self._ignored = ignored
        self._call_form = call_form
        self._readers: defaultdict[int, CallReader | None] = defaultdict(self._reader)

    def _reader(self) -> CallReader | None:
        """What reads the calls of a choice. None: the request has no tools."""
        tools = self._request.tools
        return None if tools is None else CallReader(self._call_form, tools.leads_with_text)

    @property
    def headers(self) -> dict[str, str]:
        ignored = {"x-ignored-parameters": ", ".join(self._ignored)} if self._ignored else {}
        return {"x-request-id": self.id, **ignored}

    def first_chunks(
        self, echoes: Sequence[str], scored: Sequence[Sequence[Token]]
    ) -> Iterator[dict[str, Any]]:
        """What comes before the first token of each choice: the role, or the echoed prompt."""
        for index, (echo, prompt) in enumerate(zip(echoes, scored, strict=True)):
            choice: dict[str, Any] = {"index": index, "logprobs": None, "finish_reason": None}
            if self._request.kind == "chat":
                content = "" if self._request.tools is None else None
                delta = {"role": "assistant", "content": content, "refusal": None}
                yield self._chunk([choice | {"delta": delta}])
            elif echo:
                self._lengths[index] = len(echo)
                logprobs = _prompt_logprobs(prompt, echo) if prompt else None
                yield self._chunk([choice | {"text": echo, "logprobs": logprobs}])

    def chunk(self, token: Token) -> dict[str, Any] | None:
        """The streamed chunk for `token`. None when the token adds no visible text."""
        with_logprobs = token.logprob is not None or self._request.return_token_ids
        if not token.text and not token.finish_reason and not with_logprobs and token.extra is None:
            return None
        at = self._lengths.get(token.index, 0)
        self._lengths[token.index] = at + len(token.text)
        choice: dict[str, Any] = {"index": token.index}
        details = self._details([token], at)
        if (reader := self._readers[token.index]) is not None:
            choice["delta"] = reader.feed(token.text, last=token.finish_reason is not None)
            details["finish_reason"] = _finish(token, reader)
            if not (choice["delta"] or token.finish_reason or with_logprobs or token.extra):
                return None
        elif self._request.kind == "chat":
            choice["delta"] = {"content": token.text} if token.text else {}
        else:
            choice["text"] = token.text
        extra = {} if token.extra is None else {"braid": token.extra}
        return self._chunk([choice | details]) | extra

    def usage_chunk(self, usage: Usage) -> dict[str, Any]:
        return self._chunk([]) | {"usage": _usage(usage)}

    def full_response(
        self,
        choices: Sequence[Sequence[Token]],
        echoes: Sequence[str],
        scored: Sequence[Sequence[Token]],
        usage: Usage,
    ) -> dict[str, Any]:
        """The response to a request that is not streamed.

        Args:
            choices: tokens of each choice, in order of their index.
            echoes: echoed prompt of each choice.
            scored: tokens of the echoed prompt of each choice, where their log-probabilities are asked for.
            usage: usage of the request.
        """
        made: list[dict[str, Any]] = []
        for index, (tokens, echo, prompt) in enumerate(zip(choices, echoes, scored, strict=True)):
            text = echo + "".join(token.text for token in tokens)
            choice: dict[str, Any] = {"index": index}
            choice |= self._details(tokens, len(echo))
            if (reader := self._readers[index]) is not None:
                reader.feed(text, last=True)
                message = {"role": "assistant", "content": reader.text, "refusal": None}
                if reader.calls:
                    message |= {"content": reader.text or None, "tool_calls": reader.calls}
                choice |= {"message": message, "finish_reason": _finish(tokens[-1], reader)}
            elif self._request.kind == "chat":
                choice["message"] = {"role": "assistant", "content": text, "refusal": None}
            else:
                choice["text"] = text
            if prompt:
                choice["logprobs"] = _prompt_logprobs(prompt, echo, choice["logprobs"])
            made.append(choice)
        kind = "chat.completion" if self._request.kind == "chat" else "text_completion"
        extras = [token.extra for tokens in choices for token in tokens if token.extra is not None]
        extra = {"braid": extras[-1]} if extras else {}
        return self._envelope(kind) | {"choices": made, "usage": _usage(usage)} | extra

    def _details(self, tokens: Sequence[Token], at: int) -> dict[str, Any]:
        """Log-probabilities, finish reason and the extras for `tokens`, which begin at character `at`."""
        last = tokens[-1]
        details: dict[str, Any] = {"logprobs": None, "finish_reason": last.finish_reason}
        if last.stop_hit is not None:
            details["stop_reason"] = last.stop_hit
        with_logprobs = [token for token in tokens if token.logprob is not None and is_sampled(token)]
        if self._request.sampling.logprobs is not None and with_logprobs:
            chat = self._request.kind == "chat"
            details["logprobs"] = _chat_logprobs(with_logprobs) if chat else _text_logprobs(with_logprobs, at)
        if self._request.return_token_ids:
            details["token_ids"] = [token.id for token in tokens if token.id is not None]
        return details

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self._request.kind == "chat" else "text_completion"
        chunk = self._envelope(kind) | {"choices": choices}
        return chunk | {"usage": None} if self._request.include_usage else chunk

    def _envelope(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self._created, "model": self._model}


def _finish(token: Token, reader: CallReader) -> str | None:
    """Why a choice with tools ended."""
    whole = token.finish_reason == "stop" and reader.complete
    return "tool_calls" if whole else token.finish_reason


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.generated_tokens,
        "total_tokens": usage.prompt_tokens + usage.generated_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def _chat_logprobs(tokens: Sequence[Token]) -> dict[str, Any]:
    content = [
        _entry(token.text, token.logprob) | {"top_logprobs": [_entry(*best) for best in token.top_logprobs]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _entry(text: str, logprob: float | None) -> dict[str, Any]:
    # Of a token that is part of a character, the bytes are not known here.
    known = None if _TORN in text else list(text.encode("utf-8", "replace"))
    return {"token": text, "logprob": _finite(logprob), "bytes": known}


def _prompt_logprobs(
    tokens: Sequence[Token], echo: str, rest: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Log-probabilities of an echoed prompt, followed by `rest`.

    What the tokens have in front of the echo, such as a mark of the beginning, is at offset 0.
    """
    told = _text_logprobs(tokens, -max(0, "".join(token.text for token in tokens).find(echo)))
    told["text_offset"] = [max(0, offset) for offset in told["text_offset"]]
    return {name: _chained(mine, rest[name]) for name, mine in told.items()} if rest else told


def _text_logprobs(tokens: Sequence[Token], at: int) -> dict[str, Any]:
    """Log-probabilities of `tokens`, which begin at character `at`. A prompt's first token has none."""
    asked = any(token.top_logprobs for token in tokens)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [None if token.logprob is None else _finite(token.logprob) for token in tokens],
        "top_logprobs": [_best(token) or None for token in tokens] if asked else None,
        "text_offset": list(_offsets(tokens, at)),
    }


def _chained(first: list[Any] | None, second: list[Any] | None) -> list[Any] | None:
    return None if first is None and second is None else [*(first or ()), *(second or ())]


def _best(token: Token) -> dict[str, float]:
    # Different tokens can look the same. The likeliest stands for them.
    return {text: _finite(logprob) for text, logprob in reversed(token.top_logprobs)}


def _offsets(tokens: Sequence[Token], at: int) -> Iterator[int]:
    for token in tokens:
        yield at
        at += len(token.text)


def _finite(logprob: float | None) -> float:
    return logprob if logprob is not None and math.isfinite(logprob) and logprob > _NEVER else _NEVER
