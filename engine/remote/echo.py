"""Log-probabilities of given text, by echo on the completions endpoint."""

from __future__ import annotations

from typing import Any

from braid.engine.errors import CapabilityError
from braid.engine.openai_api import WireUsage, read_text_logprobs


def echo_body(model: str, text: str) -> dict[str, Any]:
    """The request.

    Several servers refuse `max_tokens` 0. The one token that 1 costs is left out when reading.
    """
    return {"model": model, "prompt": text, "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 0}


def read_echo(payload: object, before: str, text: str, server: str) -> tuple[list[float], WireUsage | None]:
    """Log-probabilities of the tokens of `text` in an echo of `before + text`.

    A token that begins in `before` and ends in `text` counts. The model's very first token has no value and
    is left out. Tokens in front of the echo, such as a beginning-of-text mark, are skipped.

    Raises:
        CapabilityError: the response does not spell the text with one value per token.
    """
    tokens, logprobs, usage = read_text_logprobs(payload)
    whole = before + text
    at = "".join(tokens).find(whole)
    if not tokens or len(tokens) != len(logprobs) or at < 0:
        hint = "the server does not echo the prompt with log-probabilities"
        raise CapabilityError("prompt_logprobs", server, hint)
    first, last = at + len(before), at + len(whole)
    scores: list[float] = []
    position = 0
    for token, logprob in zip(tokens, logprobs, strict=True):
        begin, position = position, position + len(token)
        if position > first and begin < last and logprob is not None:
            scores.append(logprob)
    return scores, usage
