"""KV segments: what the model computed for a stretch of tokens, shared by every context that begins with it."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakSet

import torch

LayerKV = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of one layer, each [1, kv heads, tokens, head dim]."""


@dataclass(eq=False, weakref_slot=True, slots=True)
class Segment:
    """The KV of `ids[start:]`, continuing `parent`, which holds the KV of `ids[:start]`.

    Immutable. It lives as long as a context, a child or the cache refers to it, and is freed with the last of them.
    """

    parent: Segment | None
    ids: tuple[int, ...]
    layers: tuple[LayerKV, ...]

    @property
    def start(self) -> int:
        return len(self.parent.ids) if self.parent else 0

    @property
    def nbytes(self) -> int:
        """Bytes of this segment alone."""
        return sum(k.nbytes + v.nbytes for k, v in self.layers)

    def chain(self) -> list[Segment]:
        """This segment and those it continues, the first first."""
        found: list[Segment] = []
        segment: Segment | None = self
        while segment is not None:
            found.append(segment)
            segment = segment.parent
        return found[::-1]

    def dense(self) -> list[LayerKV]:
        """The KV of all of `ids`, one tensor pair per layer."""
        chain = self.chain()
        if len(chain) == 1:
            return list(self.layers)
        return [
            (torch.cat([part[0] for part in parts], dim=2), torch.cat([part[1] for part in parts], dim=2))
            for parts in zip(*(segment.layers for segment in chain), strict=True)
        ]


def shared_length(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens `a` and `b` begin with in common."""
    low, high = 0, min(len(a), len(b))
    while low < high:  # compares slices, which is C speed, instead of tokens
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def cut_segment(segment: Segment | None, length: int) -> Segment | None:
    """The segment of the first `length` tokens. Whole segments are shared, the last one is copied as far as needed."""
    while segment is not None and segment.start >= length:
        segment = segment.parent
    if segment is None or len(segment.ids) <= length:
        return segment
    own = length - segment.start
    # A copy, because a view would keep the whole segment's memory.
    layers = tuple((k[:, :, :own].clone(), v[:, :, :own].clone()) for k, v in segment.layers)
    return Segment(segment.parent, segment.ids[:length], layers)


class PrefixCache:
    """Finds the longest known beginning of a prompt, and keeps recent segments for a while. Worker thread only.

    Segments that live contexts hold are always found. Those that nobody holds any more stay until `capacity` bytes
    are full; the least recently used go first.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._living: WeakSet[Segment] = WeakSet()
        self._recent: OrderedDict[Segment, None] = OrderedDict()
        self._holders: Counter[Segment] = Counter()  # how many recent segments each segment is part of
        self._kept = 0  # bytes of those

    def longest(self, ids: Sequence[int], known: Segment | None = None) -> Segment | None:
        """The segment with the longest beginning of `ids`, at least `known`."""
        best, length = known, len(known.ids) if known else 0
        for segment in list(self._living):
            shared = shared_length(segment.ids, ids)
            # Of equals the shorter, because a whole segment is shared where a longer one must be copied.
            if shared > length or (shared == length > 0 and best and len(segment.ids) < len(best.ids)):
                best, length = segment, shared
        if best is None or best is known:
            return known
        if best in self._recent:
            self._recent.move_to_end(best)
        cut = cut_segment(best, length)
        if cut is not None:
            self._living.add(cut)
        return cut

    def add(self, segment: Segment) -> None:
        """Take note of a new segment, and keep it as the most recent one."""
        self._living.add(segment)
        if self.capacity <= 0:
            return
        self._recent[segment] = None
        for part in segment.chain():
            self._holders[part] += 1
            if self._holders[part] == 1:
                self._kept += part.nbytes
        while self._kept > self.capacity:
            self._drop(self._recent.popitem(last=False)[0])

    def clear(self) -> None:
        self._recent.clear()
        self._holders.clear()
        self._kept = 0

    def nbytes(self) -> int:
        """Bytes of all segments that are alive, each counted once."""
        return sum(
            part.nbytes for part in {part for segment in list(self._living) for part in segment.chain()}
        )

    def _drop(self, segment: Segment) -> None:
        for part in segment.chain():
            self._holders[part] -= 1
            if not self._holders[part]:
                del self._holders[part]
                self._kept -= part.nbytes
