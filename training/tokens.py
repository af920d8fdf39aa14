"""Tokens that every tokenizer of ours has."""

from __future__ import annotations

from transformers import PreTrainedTokenizerFast

PAD = "<|pad|>"
"""The padding token."""


def token_id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    """The id of a token that the tokenizer is known to have."""
    found = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(found, int)
    return found
