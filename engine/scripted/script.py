"""Scripts: what a scripted engine responds, and where its text ends."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeAlias

from braid.engine.stop_strings import find_stop
from braid.engine.types import FinishReason, SamplingParams

Script: TypeAlias = "Callable[[str], str | Awaitable[str] | AsyncIterator[str]]"
"""A function of the prompt's text. It returns the response, plain or awaited, or is an asynchronous generator
of its pieces.
"""

Response: TypeAlias = "str | BaseException | Script | Sequence[str]"
"""Response to one call: text, an error to raise, a function of the prompt, or one text for each of the `n`
branches.
"""

_PIECE = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")


async def branch_text(response: Response, prompt: str, index: int) -> AsyncGenerator[str]:
    """The raw text of one branch, as it comes."""
    if isinstance(response, BaseException):
        raise response
    if isinstance(response, str):
        yield response
        return
    if not callable(response):
        yield response[index % len(response)]
        return
    made = response(prompt)
    if isinstance(made, str):
        yield made
    elif inspect.isawaitable(made):
        yield await made
    else:
        async for piece in made:
            yield piece


def completion_end(text: str, params: SamplingParams) -> tuple[int, FinishReason | None, str | None]:
    """Number of characters of `text` that belong to the completion so far, and whether it ends there."""
    hit = find_stop(text, params.stop)
    end = hit[0] if hit else len(text)
    if len(text) > params.max_tokens:  # a piece has at least one character
        pieces = split_pieces(text)
        cut = sum(map(len, pieces[: params.max_tokens]))
        if len(pieces) > params.max_tokens and cut < end:
            return cut, "length", None
    return (end, "stop", hit[1]) if hit else (end, None, None)


def split_pieces(text: str) -> tuple[str, ...]:
    """Text in scripted tokens."""
    return tuple(_PIECE.findall(text))
