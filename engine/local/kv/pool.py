"""The prefix tree of KV segments, and the memory that they live in.

A sequence is a list of views of segments plus an end that grows. Forking shares views, joining concatenates
them, cutting shortens the last one. None of them copies. Segments hang in a tree by the tokens they hold, so
what was computed once is found again, even while it is still being computed. Memory is counted in bytes and
never exceeds the limit.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import Counter
from collections.abc import Sequence

from braid.engine.errors import EngineError
from braid.engine.local.kv.segment import (
    WHOLE,
    Geometry,
    Locks,
    PrefixEnd,
    Segment,
    View,
    common_prefix_length,
)

_ROUND = 16


class OutOfKV(EngineError):
    """No room: everything that can be evicted is gone."""


class Pool:
    """All segments of an engine.

    Contexts lock and unlock segments from the caller's thread. The model's thread does the rest. `mutex`
    guards both.
    """

    def __init__(self, geometry: Geometry, *, limit_bytes: int, keep_bytes: int) -> None:
        """Make an empty pool.

        Args:
            geometry: shape of the KV.
            limit_bytes: limit of the bytes in use.
            keep_bytes: limit of those bytes in use that nobody holds.
        """
        self.geometry = geometry
        self.limit_bytes = limit_bytes
        self.keep_bytes = keep_bytes
        self.mutex = threading.RLock()
        self._serial = itertools.count()
        self._clock = itertools.count(1)
        self.root = Segment(next(self._serial), None, 0, (), 0)
        self._roots: dict[str | None, Segment] = {None: self.root}
        self.segments: set[Segment] = set()
        self._joins: dict[tuple[tuple[View, ...], int, str | None], Segment] = {}
        self._idle: list[tuple[int, int, Segment]] = []
        self.used_bytes = 0
        self.locked_bytes = 0
        self.charged_bytes = 0
        self.peak_bytes = 0
        """Highest number of bytes in use so far, kept-for-reuse ones included."""

    @property
    def total_bytes(self) -> int:
        """Bytes in use: segments, and what others were charged with."""
        return self.used_bytes + self.charged_bytes

    def bytes_of(self, tokens: int) -> int:
        return tokens * self.geometry.token_bytes

    def start(self, adapter: str | None) -> PrefixEnd:
        """The beginning of all texts that `adapter` reads. No KV is found from that of another one."""
        root = self._roots.get(adapter)
        if root is None:
            with self.mutex:
                new = Segment(next(self._serial), None, 0, (), 0, adapter=adapter)
                root = self._roots.setdefault(adapter, new)
        return PrefixEnd(root, 0)

    def match(self, prefix: PrefixEnd, ids: Sequence[int]) -> tuple[PrefixEnd, int]:
        """Follow `ids` from `prefix` as far as they are known, computed or still being computed.

        Returns:
            The end that was reached, and the number of ids up to it.
        """
        segment, length, at = prefix.segment, prefix.length, 0
        while at < len(ids):
            run = common_prefix_length(
                segment.token_ids[length : length + len(ids) - at], ids[at:] if at else ids
            )
            length += run
            at += run
            if at == len(ids):
                break
            child = segment.children.get((length, ids[at]))
            if child is None:
                break
            segment, length = child, 0
        return PrefixEnd(segment, length), at

    def recomputable(self, prefix: PrefixEnd) -> bool:
        """Whether the KV up to `prefix` could be computed again from token ids alone.

        KV behind a join cannot.
        """
        segment = prefix.segment
        while segment.parent is not None:
            segment = segment.parent
        return self._is_root(segment)

    def acquire(self, locks: Locks) -> None:
        """Lock segments, so that they are not evicted."""
        with self.mutex:
            for segment, length in locks:
                if not segment.locks:
                    self.locked_bytes += self.bytes_of(segment.capacity)
                segment.locks[length] += 1

    def release(self, locks: Locks, *, evict: bool = True) -> None:
        """Undo `acquire`. What nobody holds any more may be evicted."""
        with self.mutex:
            last_used = next(self._clock)
            for segment, length in locks:
                _decrement(segment.locks, length)
                segment.last_used = last_used
                if not segment.locks:
                    self.locked_bytes -= self.bytes_of(segment.capacity)
                    self._push_idle(segment)
            while evict and self.used_bytes - self.locked_bytes > self.keep_bytes and self._evict_one():
                pass

    def join(self, views: tuple[View, ...], position: int, adapter: str | None = None) -> PrefixEnd:
        """An end that sees `views`, which are KV of `adapter`, and continues at `position`."""
        assert all(view.segment.adapter == adapter for view in views), "KV of another adapter"
        anchor = self._joins.get((views, position, adapter))
        if anchor is None:
            anchor = Segment(next(self._serial), None, 0, views, position, adapter=adapter)
            self._joins[views, position, adapter] = anchor
            self.segments.add(anchor)
            for view in views:
                view.segment.uses[view.stop] += 1
            self._push_idle(anchor)
        return PrefixEnd(anchor, 0)

    def rewind(self, prefix: PrefixEnd, count: int) -> PrefixEnd:
        """The end `count` tokens before `prefix`.

        It is the end of a parent rather than the beginning of its child. Nothing hangs at a length of 0 then,
        where a segment could not be trimmed.
        """
        segment, length = prefix.segment, prefix.length
        while count >= length and segment.parent is not None:
            count -= length
            segment, length = segment.parent, segment.offset
        return PrefixEnd(segment, length - count) if count <= length else self._rewind_in_join(segment, count)

    def _rewind_in_join(self, anchor: Segment, count: int) -> PrefixEnd:
        views = list(anchor.prefix_views)
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
        position = max((view.position + view.length for view in kept), default=0)
        return self.join(kept, position, anchor.adapter)

    def extend(self, prefix: PrefixEnd, ids: Sequence[int], writer: object, *, room: int = 0) -> PrefixEnd:
        """Make room for `ids` behind `prefix`, to be computed by `writer`.

        They go into the same segment if `prefix` ends it and it has room. Else they go into a new one with
        room for `room` more tokens.

        Returns:
            Where the first of them goes.

        Raises:
            OutOfKV: there is no room.
        """
        segment, length = prefix.segment, prefix.length
        whole = length == len(segment.token_ids) == segment.num_computed_tokens and segment.writer is None
        if whole and segment.capacity >= length + len(ids) and (length, ids[0]) not in segment.children:
            segment.token_ids.extend(ids)
            segment.writer = writer
            return prefix
        child = self._child(prefix, len(ids) + room)
        for layer in range(len(self.geometry.layers)):
            keys, values = self.geometry.allocate(layer, child.capacity)
            child.keys.append(keys)
            child.values.append(values)
        child.token_ids = list(ids)
        child.writer = writer
        segment.children.setdefault((length, ids[0]), child)
        return PrefixEnd(child, 0)

    def can_append(self, prefix: PrefixEnd) -> bool:
        """Whether the next token may go into the segment where `prefix` ends."""
        segment, length = prefix.segment, prefix.length
        return (
            segment.capacity > 0
            and length == len(segment.token_ids) == segment.num_computed_tokens
            and segment.writer is None
        )

    def reserve(self, segment: Segment, tokens: int) -> None:
        """Make room for `tokens` tokens in all in a segment.

        It grows by half at least, so that appending costs a constant amount of copying.
        """
        if tokens <= segment.capacity:
            return
        capacity = _round_up(max(tokens, segment.capacity + max(64, segment.capacity // 2)))
        try:
            self._resize(segment, capacity)
        except OutOfKV:
            self._resize(segment, _round_up(tokens))

    def insert(self, prefix: PrefixEnd, ids: Sequence[int]) -> tuple[PrefixEnd, int]:
        """A place behind `prefix` for computed KV of `ids`, locked for the caller.

        Returns:
            The end of `ids`, and how many of them are there already. When those are not all, the segment is
            new and has no tensors: the caller fills them in before anything else happens.

        Raises:
            OutOfKV: there is no room.
        """
        found, known = self.match(prefix, ids)
        if not found.computed:
            missing = found.length - found.segment.num_computed_tokens
            known -= missing
            found = self.rewind(found, missing)
        self.acquire(found.locks())  # making room must not evict it
        if known == len(ids):
            return found, known
        try:
            child = self._child(found, len(ids) - known)
        finally:
            self.release(found.locks(), evict=False)
        child.token_ids = list(ids[known:])
        child.num_computed_tokens = len(child.token_ids)
        found.segment.children.setdefault((found.length, child.token_ids[0]), child)
        end = PrefixEnd(child, child.num_computed_tokens)
        self.acquire(end.locks())
        return end, known

    def stop_writing(self, segment: Segment, writer: object) -> None:
        """End the writing of `writer`. What it did not compute is forgotten."""
        if segment.writer is writer:
            segment.writer = None
            del segment.token_ids[segment.num_computed_tokens :]
            if not segment.token_ids and segment.parent is not None:
                self._detach(segment)
            self._push_idle(segment)

    def charge(self, change: int) -> None:
        """Count `change` bytes that live outside of segments.

        Raises:
            OutOfKV: there is no room.
        """
        if change > 0:
            self._make_room(change)
        self.charged_bytes += change
        self.peak_bytes = max(self.peak_bytes, self.total_bytes)

    def clear(self) -> None:
        """Evict everything that nobody holds."""
        with self.mutex:
            while self._evict_one():
                pass

    def _child(self, prefix: PrefixEnd, tokens: int) -> Segment:
        capacity = _round_up(tokens)
        self._make_room(self.bytes_of(capacity))
        child = Segment(
            next(self._serial),
            prefix.segment,
            prefix.length,
            prefix.views(),
            prefix.position,
            adapter=prefix.segment.adapter,
        )
        child.capacity = capacity
        self.used_bytes += self.bytes_of(capacity)
        self.peak_bytes = max(self.peak_bytes, self.total_bytes)
        self.segments.add(child)
        prefix.segment.uses[prefix.length] += 1
        self._push_idle(child)
        return child

    def _resize(self, segment: Segment, capacity: int) -> None:
        """Move a segment into tensors of another size, layer by layer."""
        change = self.bytes_of(capacity - segment.capacity)
        twice = max(capacity, segment.capacity) * self.geometry.largest_layer_bytes
        if change > 0:
            self._make_room(change + twice)
        self.peak_bytes = max(self.peak_bytes, self.total_bytes + max(change, 0) + twice)
        kept = min(capacity, segment.num_computed_tokens)
        for layer in range(len(self.geometry.layers)):
            keys, values = self.geometry.allocate(layer, capacity)
            keys[:, :kept] = segment.keys[layer][:, :kept]
            values[:, :kept] = segment.values[layer][:, :kept]
            segment.keys[layer], segment.values[layer] = keys, values
        segment.capacity = capacity
        self.used_bytes += change
        self.locked_bytes += change if segment.locks else 0

    def _make_room(self, size: int) -> None:
        while self.total_bytes + size > self.limit_bytes:
            if not self._evict_one() and not self._trim_one():
                raise OutOfKV(
                    f"no room for {size} more bytes of KV: {self.total_bytes} of {self.limit_bytes} are held "
                    f"by open contexts and running requests; release contexts or give more memory_bytes"
                )

    def _push_idle(self, segment: Segment) -> None:
        if self._is_root(segment) or not self._evictable(segment):
            return
        heapq.heappush(self._idle, (segment.last_used, segment.serial, segment))
        if (
            len(self._idle) > 2 * len(self.segments) + 64
        ):  # mostly entries of segments that were held again since
            self._idle = [
                (segment.last_used, segment.serial, segment)
                for segment in self.segments
                if self._evictable(segment)
            ]
            heapq.heapify(self._idle)

    def _is_root(self, segment: Segment) -> bool:
        return self._roots.get(segment.adapter) is segment

    def _evictable(self, segment: Segment) -> bool:
        return not segment.locks and not segment.uses and segment.writer is None

    def _evict_one(self) -> bool:
        """Evict the leaf that was held last the longest ago."""
        while self._idle:
            last_used, _, segment = heapq.heappop(self._idle)
            if segment in self.segments and last_used == segment.last_used and self._evictable(segment):
                self._remove(segment)
                return True
        return False

    def _remove(self, segment: Segment) -> None:
        self.segments.discard(segment)
        self.used_bytes -= self.bytes_of(segment.capacity)
        segment.keys, segment.values = [], []
        if segment.parent is None:
            del self._joins[segment.prefix_views, segment.position, segment.adapter]
            held = [(view.segment, view.stop) for view in segment.prefix_views]
        else:
            self._detach(segment)
            held = [(segment.parent, segment.offset)]
        for other, length in held:
            _decrement(other.uses, length)
            self._push_idle(other)

    @staticmethod
    def _detach(segment: Segment) -> None:
        assert segment.parent is not None
        for key, child in segment.parent.children.items():
            if child is segment:
                del segment.parent.children[key]
                return

    def _trim_one(self) -> bool:
        """Free the end of a segment of which only the beginning is held."""
        for segment in self.segments:
            needed = segment.num_held_tokens()
            if segment.writer is None and needed < WHOLE and _round_up(needed) < segment.capacity:
                del segment.token_ids[needed:]
                segment.num_computed_tokens = min(segment.num_computed_tokens, needed)
                self._resize(segment, _round_up(needed))
                return True
        return False

    def check(self) -> None:
        """Recount everything.

        Raises:
            AssertionError: a count is wrong.
        """
        with self.mutex:
            size = {segment: self.bytes_of(segment.capacity) for segment in self.segments}
            locked_bytes = sum(size[segment] for segment in self.segments if segment.locks)
            cached = sum(size[segment] for segment in self.segments if not segment.locks)
            free = self.limit_bytes - locked_bytes - cached - self.charged_bytes
            assert free >= 0, "more memory in use than the limit allows"
            assert self.used_bytes == locked_bytes + cached and self.locked_bytes == locked_bytes, (
                "the counts of bytes are wrong"
            )
            uses: dict[Segment, Counter[int]] = {}
            for segment in self.segments:
                below = (
                    [(segment.parent, segment.offset)]
                    if segment.parent is not None
                    else [(view.segment, view.stop) for view in segment.prefix_views]
                )
                for other, length in below:
                    assert self._is_root(other) or other in self.segments, (
                        "a segment continues one that is gone"
                    )
                    assert other.adapter == segment.adapter, "a segment continues KV of another adapter"
                    assert length <= other.num_computed_tokens, "a segment continues what was not computed"
                    uses.setdefault(other, Counter())[length] += 1
                assert len(segment.token_ids) <= segment.capacity and segment.num_computed_tokens <= len(
                    segment.token_ids
                )
                assert segment.parent is None or 0 not in segment.uses, "a segment has a child at length 0"
                assert segment.writer is not None or segment.num_computed_tokens == len(segment.token_ids)
                assert (
                    len(segment.keys)
                    == len(segment.values)
                    == (len(self.geometry.layers) if segment.capacity else 0)
                )
                assert all(tensor.shape[1] == segment.capacity for tensor in segment.keys)
                for (offset, token), child in segment.children.items():
                    assert child.parent is segment and child.offset == offset and child.token_ids[0] == token
            for segment in (*self._roots.values(), *self.segments):
                assert segment.uses == uses.get(segment, Counter()), "the counts of uses are wrong"
                assert (
                    not self._evictable(segment)
                    or self._is_root(segment)
                    or any(entry[2] is segment and entry[0] == segment.last_used for entry in self._idle)
                ), "an idle segment can never be evicted"


def _decrement(counter: Counter[int], length: int) -> None:
    counter[length] -= 1
    if counter[length] <= 0:
        del counter[length]


def _round_up(tokens: int) -> int:
    return -(-tokens // _ROUND) * _ROUND
