"""Segments of consecutive tokens, views of them, and ends in the tree that they form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch

WHOLE = 1 << 60
"""Length in a lock that holds all of a segment, however long it grows."""


class LayerShape(NamedTuple):
    """Shape of the KV of one token in one layer."""

    heads: int
    key_dim: int
    value_dim: int

    @property
    def size(self) -> int:
        """Number of values."""
        return self.heads * (self.key_dim + self.value_dim)


@dataclass(frozen=True)
class Geometry:
    """Shape of the KV of one token in each layer that keeps KV."""

    layers: tuple[LayerShape, ...]
    dtype: torch.dtype
    device: torch.device

    @cached_property
    def token_bytes(self) -> int:
        return sum(layer.size for layer in self.layers) * self.dtype.itemsize

    @cached_property
    def largest_layer_bytes(self) -> int:
        """Bytes of one token in the largest layer."""
        return max(layer.size for layer in self.layers) * self.dtype.itemsize

    def allocate(self, layer: int, tokens: int, *slots: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values [*slots, heads, tokens, dim] of one layer.

        Each layer has its own tensors, so that KV moves layer by layer and never exists twice as a whole.
        """
        heads, key_dim, value_dim = self.layers[layer]
        keys = torch.empty(*slots, heads, tokens, key_dim, dtype=self.dtype, device=self.device)
        values = torch.empty(*slots, heads, tokens, value_dim, dtype=self.dtype, device=self.device)
        return keys, values


@dataclass(frozen=True, slots=True)
class View:
    """Tokens `start` to `stop` of a segment, as a sequence sees them.

    `temperature` and `scale` apply to all views of a sequence with the same two values together (APE).
    """

    segment: Segment
    start: int
    stop: int
    shift: int = 0
    """Shifts the positions of the tokens. The query is rotated instead of the keys (Hogwild)."""
    temperature: float = 1.0
    """Divides the attention logits."""
    scale: float = 1.0
    """Multiplies the attention that the views get."""

    @property
    def length(self) -> int:
        return self.stop - self.start

    @property
    def position(self) -> int:
        """Position of the first token."""
        return self.segment.position + self.start + self.shift

    @property
    def plain(self) -> bool:
        """Whether the view is neither shifted nor weighted."""
        return self.shift == 0 and self.temperature == 1.0 and self.scale == 1.0


@dataclass(eq=False, slots=True)
class Segment:
    """KV of consecutive tokens at consecutive positions.

    Views of computed tokens stay valid while it grows. A segment without tokens is an anchor: the root of the
    tree, or a join.
    """

    serial: int
    """Number of the segment, in the order of making."""
    parent: Segment | None
    """Segment that it continues. None for the root and for joins."""
    offset: int
    """Length of `parent` behind which it begins."""
    prefix_views: tuple[View, ...]
    """What its first token sees."""
    position: int
    """Position of its first token."""
    token_ids: list[int] = field(default_factory=list[int])
    """Tokens that it holds or will hold."""
    num_computed_tokens: int = 0
    """Number of tokens, from the beginning, whose KV is there."""
    capacity: int = 0
    """Number of tokens that its tensors have room for."""
    keys: list[torch.Tensor] = field(default_factory=list[torch.Tensor])
    """Keys [heads, capacity, dim] of each layer."""
    values: list[torch.Tensor] = field(default_factory=list[torch.Tensor])
    """Values [heads, capacity, dim] of each layer."""
    children: dict[tuple[int, int], Segment] = field(default_factory=dict[tuple[int, int], "Segment"])
    """Segments that continue this one, by length and first token."""
    locks: Counter[int] = field(default_factory=Counter[int])
    """Lengths that contexts and running sequences hold."""
    uses: Counter[int] = field(default_factory=Counter[int])
    """Lengths that other segments continue."""
    writer: object | None = None
    """The only one that may append. None: nobody does."""
    last_used: int = 0
    """When it was held last, on the pool's clock."""
    adapter: str | None = None
    """Adapter that computes its KV, and that of everything behind it. None: the model alone."""

    def num_held_tokens(self) -> int:
        """Number of its tokens, from the beginning, that somebody holds."""
        return max((*self.locks, *self.uses), default=0)


@dataclass(frozen=True, slots=True)
class PrefixEnd:
    """An end in the tree: the first `length` tokens of `segment`, and everything that they see."""

    segment: Segment
    length: int

    @property
    def computed(self) -> bool:
        """Whether the KV is there, and not still being computed."""
        return self.length <= self.segment.num_computed_tokens

    @property
    def position(self) -> int:
        """Position of the token that comes next."""
        return self.segment.position + self.length

    def views(self) -> tuple[View, ...]:
        prefix_views = self.segment.prefix_views
        return (*prefix_views, View(self.segment, 0, self.length)) if self.length else prefix_views

    def locks(self) -> tuple[tuple[Segment, int], ...]:
        """What must stay for this end: its views, and the segment itself."""
        held = tuple((view.segment, view.stop) for view in self.segment.prefix_views)
        return (*held, (self.segment, self.length))


Locks = tuple[tuple[Segment, int], ...]


def common_prefix_length(a: Sequence[int], b: Sequence[int]) -> int:
    """Number of tokens that `a` and `b` begin with in common."""
    low, high = 0, min(len(a), len(b))
    if a[:high] == b[:high]:
        return high
    while low < high:  # compares slices, which is C speed, instead of tokens
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
