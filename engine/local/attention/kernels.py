"""Attention over one set of keys, with its log-sum-exp, and the merge of such partial results.

torch's flash operator for the CPU is used where it fits. Soft caps, edges of windows and other devices use an
implementation in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from braid.engine.local.kv import View

Position = TypeVar("Position", int, torch.Tensor)
_flash_cpu = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


@dataclass(frozen=True)
class Traits:
    """Options of one layer's attention."""

    scale: float
    window: int | None
    softcap: float | None
    span: int | None = None
    """Tokens see those of their own span of so many positions only."""

    def seen_from(self, position: Position) -> Position | int:
        """The first position that a query at `position` sees. It grows with `position`."""
        if self.window is not None:
            return position - self.window + 1
        return 0 if self.span is None else position - position % self.span


Partial = tuple[torch.Tensor, torch.Tensor]
"""Attention over some of the keys and its log-sum-exp: [kv heads, group, tokens, dim] and [kv heads, group,
tokens], float32.
"""


def attend_view(
    layer: int, view: View, q: torch.Tensor, positions: Sequence[int], traits: Traits
) -> Partial | None:
    """`q` [kv heads, group, tokens, dim] at `positions` over a view that lies before them.

    Returns:
        None when a window hides all of the view.
    """
    start, stop, mask = view.start, view.stop, None
    if traits.window is not None or traits.span is not None:
        first = view.position
        hidden = max(0, traits.seen_from(min(positions)) - first)  # keys that no query sees any more
        if hidden >= stop - start:
            return None
        start += hidden
        if traits.seen_from(max(positions)) > first + hidden:
            keys = torch.arange(first + hidden, first + view.length, device=q.device)
            queries = torch.tensor(list(positions), device=q.device)
            far = keys < traits.seen_from(queries[:, None])
            mask = torch.zeros(far.shape, dtype=torch.float32, device=q.device).masked_fill_(far, -torch.inf)
    keys = view.segment.keys[layer][:, start:stop]
    values = view.segment.values[layer][:, start:stop]
    heads, group, tokens, dim = q.shape
    if mask is not None:
        return _attend_plainly(q, keys[:, None], values[:, None], mask, traits)
    # All queries of a group of heads in one: [1, kv heads, group * tokens, dim].
    out, lse = attend(q.reshape(1, heads, group * tokens, dim), keys[None], values[None], None, traits)
    return out.reshape(heads, group, tokens, -1), lse.reshape(heads, group, tokens)


def attend_self(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, position: int, traits: Traits) -> Partial:
    """Tokens of a chunk, the first of which stands at `position`, over one another, causally."""
    heads, group, count, _ = q.shape
    if traits.seen_from(position + count - 1) > position or not _flash_fits(q, v, traits):
        place = torch.arange(position, position + count, device=q.device)
        hidden = place[:, None] < place
        hidden |= place < traits.seen_from(place[:, None])
        mask = torch.zeros(hidden.shape, dtype=torch.float32, device=q.device).masked_fill_(
            hidden, -torch.inf
        )
        return _attend_plainly(q, k[:, None], v[:, None], mask, traits)
    k = k[:, None].expand(heads, group, *k.shape[1:])
    v = v[:, None].expand(heads, group, *v.shape[1:])
    return _flash_cpu(q, k, v, 0.0, True, scale=traits.scale)


def _flash_fits(q: torch.Tensor, v: torch.Tensor, traits: Traits) -> bool:
    return q.device.type == "cpu" and traits.softcap is None and q.shape[-1] == v.shape[-1]


def attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None, traits: Traits
) -> Partial:
    """Attention [batch, heads, tokens, dim], not causal, with its log-sum-exp [batch, heads, tokens]."""
    if _flash_fits(q, v, traits):
        return _flash_cpu(q, k, v, 0.0, False, attn_mask=mask, scale=traits.scale)
    return _attend_plainly(q, k, v, mask, traits)


def _attend_plainly(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None, traits: Traits
) -> Partial:
    """The same by its definition, in float32: for soft caps, edges of windows, other devices.

    Queries that see nothing get 0.
    """
    scores = torch.matmul(q.float(), k.float().transpose(-1, -2)) * traits.scale
    if traits.softcap is not None:
        scores = torch.tanh(scores / traits.softcap) * traits.softcap
    if mask is not None:
        scores = scores + mask
    lse = torch.logsumexp(scores, -1)
    weights = torch.exp(scores - lse.nan_to_num(neginf=0.0)[..., None])
    return torch.matmul(weights, v.float()).to(v.dtype), lse


def merge(partials: Sequence[Partial], *, last: bool = False) -> Partial:
    """One attention from attentions over disjoint keys (the merge of cascade and ring attention).

    The `last` merge does not compute the log-sum-exp.
    """
    out, lse = partials[0]
    if len(partials) == 1:
        return out, lse
    if len(partials) == 2:
        other, other_lse = partials[1]
        weight = torch.sigmoid(other_lse - lse)[..., None].nan_to_num_(0.5).to(out.dtype)
        return torch.lerp(out, other, weight), lse if last else torch.logaddexp(lse, other_lse)
    lses = torch.stack([lse for _, lse in partials])
    weights = torch.softmax(lses, 0)[..., None].nan_to_num(0.0)
    merged = (torch.stack([out for out, _ in partials]) * weights).sum(0)
    return merged.to(out.dtype), lse if last else torch.logsumexp(lses, 0)


def with_sinks(out: torch.Tensor, lse: torch.Tensor, sinks: torch.Tensor | None) -> torch.Tensor:
    """Attention sinks take their share of the weight and give nothing."""
    if sinks is None:
        return out
    share = torch.sigmoid(lse - sinks.float()[:, None])[..., None]
    return (out * share).to(out.dtype)
