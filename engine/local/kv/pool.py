"""The prefix tree of KV segments, and the memory that they live in.

A sequence is a list of views of segments plus a growing end. Forking shares views, joining concatenates them, cutting shortens
the last one; none of them copies. Segments hang in a tree by the tokens they hold, so what was computed once is found again,
even while it is still being computed. Memory is counted in bytes and never exceeds the limit.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import Counter
from collections.abc import Sequence

from braid.engine.errors import EngineError
from braid.engine.local.kv.segment import WHOLE, Geometry, Pins, PrefixEnd, Segment, View, shared_length

_ROUND = 16


class OutOfKV(EngineError):
    """No room: all that could be evicted is gone."""


class Pool:
    """All segments of an engine. `limit` bounds the bytes in use, `keep` those of them that nobody holds.

    Contexts pin and unpin from the caller's thread, the model's thread does the rest; `lock` guards both.
    """

    def __init__(self, geometry: Geometry, *, limit: int, keep: int) -> None:
        self.geometry = geometry
        self.limit = limit
        self.keep = keep
        self.lock = threading.RLock()
        self._serial = itertools.count()
        self._clock = itertools.count(1)
        self.root = Segment(next(self._serial), None, 0, (), 0)
        self.segments: set[Segment] = set()
        self._joins: dict[tuple[tuple[View, ...], int], Segment] = {}
        self._idle: list[tuple[int, int, Segment]] = []
        self.used = 0
        self.pinned = 0
        self.charged = 0
        self.peak = 0
        """Highest number of bytes in use so far, kept-for-reuse ones included."""

    @property
    def total(self) -> int:
        """Bytes in use: segments, and what others were charged with."""
        return self.used + self.charged

    def bytes_of(self, tokens: int) -> int:
        return tokens * self.geometry.token_bytes

    # finding and holding

    def match(self, tip: PrefixEnd, ids: Sequence[int]) -> tuple[PrefixEnd, int]:
        """Follow `ids` from `tip` as far as they are known, in flight or ready; where that ends, and how far it went."""
        segment, length, at = tip.segment, tip.length, 0
        while at < len(ids):
            run = shared_length(segment.ids[length : length + len(ids) - at], ids[at:] if at else ids)
            length += run
            at += run
            if at == len(ids):
                break
            child = segment.children.get((length, ids[at]))
            if child is None:
                break
            segment, length = child, 0
        return PrefixEnd(segment, length), at

    def rebuildable(self, tip: PrefixEnd) -> bool:
        """Whether the KV behind `tip` could be computed again from token ids alone: not behind a join."""
        segment = tip.segment
        while segment.parent is not None:
            segment = segment.parent
        return segment is self.root

    def pin(self, pins: Pins) -> None:
        with self.lock:
            for segment, length in pins:
                if not segment.pins:
                    self.pinned += self.bytes_of(segment.capacity)
                segment.pins[length] += 1

    def unpin(self, pins: Pins, *, evict: bool = True) -> None:
        with self.lock:
            stamp = next(self._clock)
            for segment, length in pins:
                _take(segment.pins, length)
                segment.stamp = stamp
                if not segment.pins:
                    self.pinned -= self.bytes_of(segment.capacity)
                    self._note_idle(segment)
            while evict and self.used - self.pinned > self.keep and self._evict_one():
                pass

    # making

    def join(self, views: tuple[View, ...], position: int) -> PrefixEnd:
        """An end that sees `views` and goes on at `position`."""
        anchor = self._joins.get((views, position))
        if anchor is None:
            anchor = Segment(next(self._serial), None, 0, views, position)
            self._joins[views, position] = anchor
            self.segments.add(anchor)
            for view in views:
                view.segment.uses[view.stop] += 1
            self._note_idle(anchor)
        return PrefixEnd(anchor, 0)

    def back(self, tip: PrefixEnd, count: int) -> PrefixEnd:
        """The end `count` tokens before `tip`."""
        segment, length = tip.segment, tip.length
        while count > length:
            count -= length
            if segment.parent is None:
                return self._back_in_join(segment, count)
            segment, length = segment.parent, segment.offset
        return PrefixEnd(segment, length - count)

    def _back_in_join(self, anchor: Segment, count: int) -> PrefixEnd:
        views = list(anchor.prefix)
        while views and views[-1].length <= count:
            count -= views.pop().length
        if count:
            last = views.pop()
            views.append(
                View(last.segment, last.start, last.stop - count, last.shift, last.temperature, last.scale)
            )
        kept = tuple(views)
        if (
            kept
            and all(view.plain for view in kept)
            and kept == PrefixEnd(kept[-1].segment, kept[-1].stop).views()
        ):
            return PrefixEnd(kept[-1].segment, kept[-1].stop)  # back on an ordinary path
        return self.join(kept, max((view.position + view.length for view in kept), default=0))

    def extend(self, tip: PrefixEnd, ids: Sequence[int], grower: object, *, room: int = 0) -> PrefixEnd:
        """Make room for `ids` behind `tip`, to be computed by `grower`: in the same segment if it ends there and has room, or
        in a new one with room for `room` more. Returns where the first of them goes. Raises `OutOfKV`."""
        segment, length = tip.segment, tip.length
        whole = length == len(segment.ids) == segment.ready and segment.grower is None
        if whole and segment.capacity >= length + len(ids) and (length, ids[0]) not in segment.children:
            segment.ids.extend(ids)
            segment.grower = grower
            return tip
        child = self._child(tip, len(ids) + room)
        for _ in range(self.geometry.layers):
            keys, values = self.geometry.allocate(self.geometry.heads, child.capacity)
            child.keys.append(keys)
            child.values.append(values)
        child.ids = list(ids)
        child.grower = grower
        segment.children.setdefault((length, ids[0]), child)
        return PrefixEnd(child, 0)

    def can_grow(self, tip: PrefixEnd) -> bool:
        """Whether the next token may go into the segment where `tip` ends."""
        segment, length = tip.segment, tip.length
        return segment.capacity > 0 and length == len(segment.ids) == segment.ready and segment.grower is None

    def reserve(self, segment: Segment, tokens: int) -> None:
        """Room for `tokens` in all; grows by half at least, so that appending costs a constant amount of copying."""
        if tokens <= segment.capacity:
            return
        capacity = _rounded(max(tokens, segment.capacity + max(64, segment.capacity // 2)))
        try:
            self._resize(segment, capacity)
        except OutOfKV:
            self._resize(segment, _rounded(tokens))

    def adopt(self, tip: PrefixEnd, ids: Sequence[int]) -> tuple[PrefixEnd, int]:
        """A place behind `tip` for computed KV of `ids`, pinned for the caller; and how many of them are there already.

        When those are not all, the segment is new and has no tensors: the caller fills them in before anything else happens.
        Raises `OutOfKV`.
        """
        found, known = self.match(tip, ids)
        if found.length > found.segment.ready:
            known -= found.length - found.segment.ready
            found = PrefixEnd(found.segment, found.segment.ready)
        self.pin(found.pins())  # making room must not evict it
        if known == len(ids):
            return found, known
        try:
            child = self._child(found, len(ids) - known)
        finally:
            self.unpin(found.pins(), evict=False)
        child.ids = list(ids[known:])
        child.ready = len(child.ids)
        found.segment.children.setdefault((found.length, child.ids[0]), child)
        end = PrefixEnd(child, child.ready)
        self.pin(end.pins())
        return end, known

    def settle(self, segment: Segment, grower: object) -> None:
        """`grower` appends no more. What it did not compute is forgotten."""
        if segment.grower is grower:
            segment.grower = None
            del segment.ids[segment.ready :]
            if not segment.ids and segment.parent is not None:
                self._unhang(segment)
            self._note_idle(segment)

    def charge(self, change: int) -> None:
        """Count `change` bytes that live outside of segments. Raises `OutOfKV`."""
        if change > 0:
            self._make_room(change)
        self.charged += change
        self.peak = max(self.peak, self.total)

    def clear(self) -> None:
        """Evict all that nobody holds."""
        with self.lock:
            while self._evict_one():
                pass

    # inside

    def _child(self, tip: PrefixEnd, tokens: int) -> Segment:
        capacity = _rounded(tokens)
        self._make_room(self.bytes_of(capacity))
        child = Segment(next(self._serial), tip.segment, tip.length, tip.views(), tip.position)
        child.capacity = capacity
        self.used += self.bytes_of(capacity)
        self.peak = max(self.peak, self.total)
        self.segments.add(child)
        tip.segment.uses[tip.length] += 1
        self._note_idle(child)
        return child

    def _resize(self, segment: Segment, capacity: int) -> None:
        """Move a segment into tensors of another size, layer by layer."""
        change = self.bytes_of(capacity - segment.capacity)
        twice = self.bytes_of(max(capacity, segment.capacity)) // self.geometry.layers
        if change > 0:
            self._make_room(change + twice)
        self.peak = max(self.peak, self.total + max(change, 0) + twice)
        kept = min(capacity, segment.ready)
        for layer in range(self.geometry.layers):
            keys, values = self.geometry.allocate(self.geometry.heads, capacity)
            keys[:, :kept] = segment.keys[layer][:, :kept]
            values[:, :kept] = segment.values[layer][:, :kept]
            segment.keys[layer], segment.values[layer] = keys, values
        segment.capacity = capacity
        self.used += change
        self.pinned += change if segment.pins else 0

    def _make_room(self, size: int) -> None:
        while self.total + size > self.limit:
            if not self._evict_one() and not self._trim_one():
                raise OutOfKV(
                    f"no room for {size} more bytes of KV: {self.total} of {self.limit} are held "
                    f"by open contexts and running requests; release contexts or give more memory_bytes"
                )

    def _note_idle(self, segment: Segment) -> None:
        if segment is self.root or not self._evictable(segment):
            return
        heapq.heappush(self._idle, (segment.stamp, segment.serial, segment))
        if len(self._idle) > 2 * len(self.segments) + 64:  # mostly entries of what was held again since
            self._idle = [(each.stamp, each.serial, each) for each in self.segments if self._evictable(each)]
            heapq.heapify(self._idle)

    def _evictable(self, segment: Segment) -> bool:
        return not segment.pins and not segment.uses and segment.grower is None

    def _evict_one(self) -> bool:
        """Evict the leaf that was held last the longest ago."""
        while self._idle:
            stamp, _, segment = heapq.heappop(self._idle)
            if segment in self.segments and stamp == segment.stamp and self._evictable(segment):
                self._remove(segment)
                return True
        return False

    def _remove(self, segment: Segment) -> None:
        self.segments.discard(segment)
        self.used -= self.bytes_of(segment.capacity)
        segment.keys, segment.values = [], []
        if segment.parent is None:
            del self._joins[segment.prefix, segment.position]
            held = [(view.segment, view.stop) for view in segment.prefix]
        else:
            self._unhang(segment)
            held = [(segment.parent, segment.offset)]
        for other, length in held:
            _take(other.uses, length)
            self._note_idle(other)

    @staticmethod
    def _unhang(segment: Segment) -> None:
        assert segment.parent is not None
        for key, child in segment.parent.children.items():
            if child is segment:
                del segment.parent.children[key]
                return

    def _trim_one(self) -> bool:
        """Give back the end of a segment of which only the beginning is held."""
        for segment in self.segments:
            needed = segment.needed()
            if segment.grower is None and needed < WHOLE and _rounded(needed) < segment.capacity:
                del segment.ids[needed:]
                segment.ready = min(segment.ready, needed)
                self._resize(segment, _rounded(needed))
                return True
        return False

    def check(self) -> None:
        """Recount everything; raises AssertionError where the books are wrong."""
        with self.lock:
            size = {segment: self.bytes_of(segment.capacity) for segment in self.segments}
            pinned = sum(size[segment] for segment in self.segments if segment.pins)
            cached = sum(size[segment] for segment in self.segments if not segment.pins)
            free = self.limit - pinned - cached - self.charged
            assert free >= 0, "more memory in use than the limit allows"
            assert self.used == pinned + cached and self.pinned == pinned, "the counts of bytes are wrong"
            uses: dict[Segment, Counter[int]] = {}
            for segment in self.segments:
                below = (
                    [(segment.parent, segment.offset)]
                    if segment.parent is not None
                    else [(view.segment, view.stop) for view in segment.prefix]
                )
                for other, length in below:
                    assert other is self.root or other in self.segments, (
                        "a segment continues one that is gone"
                    )
                    assert length <= other.ready, "a segment continues what was not computed"
                    uses.setdefault(other, Counter())[length] += 1
                assert len(segment.ids) <= segment.capacity and segment.ready <= len(segment.ids)
                assert segment.grower is not None or segment.ready == len(segment.ids)
                assert (
                    len(segment.keys)
                    == len(segment.values)
                    == (self.geometry.layers if segment.capacity else 0)
                )
                assert all(tensor.shape[1] == segment.capacity for tensor in segment.keys)
                for (offset, token), child in segment.children.items():
                    assert child.parent is segment and child.offset == offset and child.ids[0] == token
            for segment in (self.root, *self.segments):
                assert segment.uses == uses.get(segment, Counter()), "the counts of uses are wrong"
                assert (
                    not self._evictable(segment)
                    or segment is self.root
                    or any(entry[2] is segment and entry[0] == segment.stamp for entry in self._idle)
                ), "an idle segment can never be evicted"


def _take(counter: Counter[int], length: int) -> None:
    counter[length] -= 1
    if counter[length] <= 0:
        del counter[length]


def _rounded(tokens: int) -> int:
    return -(-tokens // _ROUND) * _ROUND
