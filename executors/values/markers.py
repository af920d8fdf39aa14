"""Data in prompts. What a tool or a server wrote must not read as markup of the model that reads it."""

from __future__ import annotations

import re
from typing import Final

_MARKER: Final = re.compile(
    r"<(?=[|｜])"  # <|im_start|>, <|eot_id|>, <｜User｜>
    r"|(?<=[|｜])(?=>)"
    r"|<(?=/?(?:s|bos|eos|pad|unk|mask|(?:start|end)_of_(?:turn|image))>)"  # Llama 2, Gemma
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])"  # Mistral
    r"|<(?=</?SYS>>)"
)
"""The place in a control token of the usual chat templates behind which a space breaks it up."""


def break_markers(text: str) -> str:
    """`text` with a space in everything that looks like a control token of a chat template."""
    return _MARKER.sub(r"\g<0> ", text)


def quoted(text: str) -> str:
    """`text` without control tokens, and without what would end a fenced block."""
    return break_markers(text).replace("```", "'''").replace("~~~", "'''")


def quoted_line(text: str) -> str:
    """`quoted` on one line."""
    return quoted(" ".join(text.split()))
