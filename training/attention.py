"""Attention for training on a CPU, by matrix products that stay in the cache.

torch's own attention spends most of its time on the backward pass of short sequences there. Here scores are
written out for a block of queries at a time, of as many sequences as the cache holds. Keys behind the block
are left out. The output of softmax is kept for the backward pass. `benchmarks/training_attention.py` measures
both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch.library import custom_op
from transformers import AttentionInterface

BLOCKED = "braid_blocked"
"""The name under which transformers knows `blocked_attention`."""

_ROWS = 256
"""Queries of a block."""
_SCORES = 1 << 20
"""Most scores in a block: about what the cache holds. One sequence may have more."""


def blocked_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Causal attention, as transformers calls it.

    Args:
        module: Not used.
        query: (batch, heads, length, size).
        key: (batch, key-value heads, length, size). There is no cache.
        value: Of the shape of `key`.
        attention_mask: Bool (batch, 1, length, length), within the causal one. None for causal alone.
        scaling: Factor of the scores. Default: one over the square root of size.

    Returns:
        The output (batch, length, heads, size), and no weights.
    """
    heads, length, size = query.shape[1:]
    shared = heads // key.shape[1]
    if shared > 1:
        key, value = key.repeat_interleave(shared, dim=1), value.repeat_interleave(shared, dim=1)
    if attention_mask is None:
        attention_mask = query.new_ones(1, 1, length, length, dtype=torch.bool).tril()
    # Norms with float32 weights have left autocast's type. The value has not.
    query, key = (query * (size**-0.5 if scaling is None else scaling)).to(value.dtype), key.to(value.dtype)
    output, _weights = _attend(query, key, value, ~attention_mask)
    return output.transpose(1, 2).contiguous(), None


def _blocks(batch: int, heads: int, length: int) -> Iterator[tuple[slice, slice, slice]]:
    """Which sequences, which of their queries, and which keys these see."""
    rows = min(_ROWS, length)
    together = max(1, _SCORES // (heads * rows * length))
    for first in range(0, batch, together):
        for start in range(0, length, rows):
            end = min(length, start + rows)
            yield slice(first, min(batch, first + together)), slice(start, end), slice(0, end)


@custom_op("braid::attend", mutates_args=())
def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, banned: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Output and weights. Where a key stands behind a block of queries, the weights are left undefined."""
    batch, heads, length, _ = query.shape
    output = torch.empty_like(query)
    weights = query.new_empty(batch, heads, length, length)
    banned = banned.expand(batch, -1, -1, -1)
    for some, rows, seen in _blocks(batch, heads, length):
        scores = query[some, :, rows] @ key[some, :, seen].transpose(-1, -2)
        scores.masked_fill_(banned[some, :, rows, seen], -math.inf)
        weight = scores.softmax(dim=-1)
        weights[some, :, rows, seen] = weight
        output[some, :, rows] = weight @ value[some, :, seen]
    return output, weights


@_attend.register_fake
def _(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, banned: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    batch, heads, length, _ = query.shape
    return torch.empty_like(query), query.new_empty(batch, heads, length, length)


@custom_op("braid::attend_backward", mutates_args=())
def _attend_backward(
    gradient: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    output: torch.Tensor,
    weights: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    batch, heads, length, _ = query.shape
    of_query, of_key, of_value = torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(value)
    along = (gradient * output).sum(dim=-1, keepdim=True)
    for some, rows, seen in _blocks(batch, heads, length):
        weight, above = weights[some, :, rows, seen], gradient[some, :, rows]
        scores = above @ value[some, :, seen].transpose(-1, -2)
        scores.sub_(along[some, :, rows]).mul_(weight)
        of_query[some, :, rows] = scores @ key[some, :, seen]
        of_key[some, :, seen] += scores.transpose(-1, -2) @ query[some, :, rows]
        of_value[some, :, seen] += weight.transpose(-1, -2) @ above
    return of_query, of_key, of_value


@_attend_backward.register_fake
def _(
    gradient: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    output: torch.Tensor,
    weights: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


def _setup(ctx: Any, inputs: tuple[torch.Tensor, ...], output: tuple[torch.Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:3], *output)


def _backward(ctx: Any, gradient: torch.Tensor, _weights: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    return (*_attend_backward(gradient.contiguous(), *ctx.saved_tensors), None)


_attend.register_autograd(_backward, setup_context=_setup)
AttentionInterface.register(BLOCKED, blocked_attention)
