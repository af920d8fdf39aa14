"""Attention for packed training sequences on a CPU: each block of queries meets only keys that it sees.

A packed sequence holds several examples, and each sees the shared beginning and itself. Most of the scores
of a dense kernel are then thrown away. Here the keys that a block of queries needs are gathered first. Heads
that share keys are one matrix.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from transformers import AttentionInterface

PACKED = "braid_packed"
"""The name under which transformers knows `packed_attention`."""
_ROWS = 128
"""Queries of a block."""


class _Block(NamedTuple):
    """Some queries of one sequence, and the keys that they see."""

    row: int
    queries: slice
    keys: torch.Tensor
    """Places of the keys [keys]."""
    hidden: torch.Tensor
    """What each query does not see of them: bool [queries, keys]."""


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Attention under a mask, as transformers calls it.

    Args:
        module: Not used.
        query: (batch, heads, length, size).
        key: (batch, key-value heads, length, size). There is no cache.
        value: Of the shape of `key`.
        attention_mask: Bool (batch, 1, length, length). A query that sees nothing gets an output of zeros.
        scaling: Factor of the scores. Default: one over the square root of size.

    Returns:
        The output (batch, length, heads, size), and no weights.
    """
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    output = _Attend.apply(query, key, value, scale, _blocks_of(attention_mask))
    return output.transpose(1, 2), None


_known: tuple[torch.Tensor, list[_Block]] | None = None


def _blocks_of(mask: torch.Tensor) -> list[_Block]:
    """The blocks of a batch. All layers have the same mask, so they are made once."""
    global _known
    if _known is None or _known[0] is not mask:
        blocks: list[_Block] = []
        for row, seen in enumerate(mask[:, 0]):
            for start in range(0, len(seen), _ROWS):
                part = seen[start : start + _ROWS]
                keys = part.any(0).nonzero()[:, 0]
                if len(keys):
                    blocks.append(_Block(row, slice(start, start + len(part)), keys, ~part[:, keys]))
        _known = mask, blocks
    return _known[1]


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float,
        blocks: list[_Block],
    ) -> torch.Tensor:
        output = torch.zeros_like(query)
        weights: list[torch.Tensor] = []
        for block in blocks:
            group, keys, values = _gathered(query, key, value, block)
            scores = (group * scale) @ keys.transpose(-1, -2)
            scores = scores.unflatten(1, (-1, len(block.hidden))).masked_fill_(block.hidden, -math.inf)
            weight = scores.softmax(-1).nan_to_num_(0.0).flatten(1, 2)
            output[block.row, :, block.queries] = _heads(weight @ values, block)
            weights.append(weight)
        ctx.save_for_backward(query, key, value, output, *weights)
        ctx.scale, ctx.blocks = scale, blocks
        return output

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, output, *weights = ctx.saved_tensors
        (gradient,) = grad_outputs
        of_query, of_key, of_value = map(torch.zeros_like, (query, key, value))
        along = (gradient * output).sum(-1, keepdim=True)
        for block, weight in zip(ctx.blocks, weights, strict=True):
            group, keys, values = _gathered(query, key, value, block)
            above = _grouped(gradient, key, block)
            scores = above @ values.transpose(-1, -2)
            scores.sub_(_grouped(along, key, block)).mul_(weight).mul_(ctx.scale)
            of_query[block.row, :, block.queries] = _heads(scores @ keys, block)
            of_key[block.row].index_add_(1, block.keys, scores.transpose(-1, -2) @ group)
            of_value[block.row].index_add_(1, block.keys, weight.transpose(-1, -2) @ above)
        return of_query, of_key, of_value, None, None


def _grouped(x: torch.Tensor, key: torch.Tensor, block: _Block) -> torch.Tensor:
    """The rows of a block: (key-value heads, heads of each * queries, size)."""
    return x[block.row, :, block.queries].unflatten(0, (key.shape[1], -1)).flatten(1, 2)


def _heads(x: torch.Tensor, block: _Block) -> torch.Tensor:
    """The other way round: (heads, queries, size)."""
    return x.unflatten(1, (-1, len(block.hidden))).flatten(0, 1)


def _gathered(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, block: _Block
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    keys = key[block.row].index_select(1, block.keys)
    return _grouped(query, key, block), keys, value[block.row].index_select(1, block.keys)


AttentionInterface.register(PACKED, packed_attention)
