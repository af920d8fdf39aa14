"""The arena: private ends of running sequences that share what lies before, side by side in one dense tensor."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import torch

from braid.engine.local.kv.pool import OutOfKV, Pool
from braid.engine.local.kv.segment import PrefixEnd, Segment

MAX_TAIL_TOKENS = 256
"""Tokens that a tail holds before it becomes a segment of its own."""
_MIN_WIDTH = 16
FreedSlot = tuple[int, PrefixEnd, Sequence[int]]
"""A slot that is left, the tip that its tail continues, and the ids at its beginning whose KV is to stay."""


class TailArena:
    """Slots for the tails of running sequences: keys [slots, heads, tokens, dim] per layer, values alike.

    Occupied slots are always the first `count`, so one operator attends all of them. The width follows the longest tail. The
    pool is charged for the memory. Whatever moves does so layer by layer, so that at most one layer exists twice.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []
        self.slots = 0
        self.width = 0
        self.lengths: list[int] = []
        """Tokens in each occupied slot."""

    @property
    def count(self) -> int:
        return len(self.lengths)

    def reserve_slots(self, count: int) -> None:
        """Make room for `count` more slots at once, if there is any."""
        with suppress(OutOfKV):
            self._more_slots(self.count + count)

    def open_slot(self) -> int:
        """A new empty slot. Raises `OutOfKV`."""
        self._more_slots(self.count + 1)
        self.lengths.append(0)
        return self.count - 1

    def reserve(self, slot: int) -> None:
        """Room for one more token in `slot`. Raises `OutOfKV`."""
        if self.lengths[slot] + 1 > self.width:
            self._resize(self.count, self.width * 2)

    def free_slots(
        self, ends: Sequence[FreedSlot], *, drop: bool = True
    ) -> tuple[list[PrefixEnd | None], list[int]]:
        """Free slots; what is to stay of their tails becomes segments.

        Returns a pinned tip for each end, None where nothing is to stay or there is no room for it (with `drop=False` such a slot
        stays occupied); and for each slot that is occupied now, the number that it had before.
        """
        left = self._slots_to_keep(self.count - len(ends) if drop else self.count)
        copy_bytes = 0
        if 0 < left < self.slots or any(ids for _, _, ids in ends):
            copy_bytes = self._bytes(self.slots, self.width) // self._pool.geometry.layers
            try:
                self._pool.charge(copy_bytes)
            except OutOfKV:
                copy_bytes, left = 0, self.slots if left else 0
        self._pool.charge(-self._bytes(self.slots - left, self.width))
        prefixes: list[PrefixEnd | None] = []
        fill: list[tuple[Segment, int, int]] = []
        for slot, prefix, ids in ends:
            end = None
            if ids and copy_bytes:
                with suppress(OutOfKV):
                    end, known = self._pool.insert(prefix, ids)
                    if known < len(ids):
                        fill.append((end.segment, slot, known))
            prefixes.append(end)
        gone = {
            slot for (slot, _, _), prefix in zip(ends, prefixes, strict=True) if drop or prefix is not None
        }
        order = self._compact(gone, fill, left)
        self._pool.charge(-copy_bytes)
        return prefixes, order

    def _compact(self, gone: set[int], fill: Sequence[tuple[Segment, int, int]], left: int) -> list[int]:
        """Empty the slots in `gone`, of which some fill segments from a place on, and keep room for `left`."""
        order = [slot for slot in range(self.count) if slot not in gone]
        if left == self.slots:  # in place: the last ones move into the gaps
            count = len(order)
            late = [slot for slot in order if slot >= count]
            order = [late.pop() if slot in gone else slot for slot in range(count)]
        moved = [(new, old) for new, old in enumerate(order) if new != old]
        device = self._pool.geometry.device
        kept = torch.tensor(order, dtype=torch.long, device=device)
        targets = torch.tensor([new for new, _ in moved], dtype=torch.long, device=device)
        sources = torch.tensor([old for _, old in moved], dtype=torch.long, device=device)
        for layer in range(len(self.keys)):
            keys, values = self.keys[layer], self.values[layer]
            for segment, slot, start in fill:
                tokens = segment.num_computed_tokens
                new_keys, new_values = self._pool.geometry.allocate(keys.shape[1], segment.capacity)
                new_keys[:, :tokens] = keys[slot, :, start : start + tokens]
                new_values[:, :tokens] = values[slot, :, start : start + tokens]
                segment.keys.append(new_keys)
                segment.values.append(new_values)
            if left == self.slots:
                for tensor in (keys, values) if moved else ():
                    tensor[targets] = tensor[sources]
            elif left:
                self.keys[layer], self.values[layer] = keys[kept], values[kept]
        self.lengths = [self.lengths[slot] for slot in order]
        self.slots = left
        if not left:
            self.keys, self.values, self.width = [], [], 0
        return order

    def _slots_to_keep(self, count: int) -> int:
        """How many slots to keep when `count` stay occupied."""
        return count if not count or (self.slots >= 16 and count * 4 <= self.slots * 3) else self.slots

    def _more_slots(self, count: int) -> None:
        if count > self.slots:
            self._resize(max(count, self.slots + self.slots // 4, 4), max(self.width, _MIN_WIDTH))

    def _resize(self, slots: int, width: int) -> None:
        """Move into larger tensors. Raises `OutOfKV` before anything has moved."""
        geometry, before = self._pool.geometry, self._bytes(self.slots, self.width)
        change = self._bytes(slots, width) - before
        copy_bytes = before // geometry.layers
        self._pool.charge(max(change, 0) + copy_bytes)
        used, old = self.count, self.width
        for layer in range(geometry.layers):
            keys, values = geometry.allocate(slots, geometry.heads, width)
            if used:
                keys[:used, :, :old] = self.keys[layer][:used]
                values[:used, :, :old] = self.values[layer][:used]
            # Masked places are multiplied by weight zero, which must not meet a leftover NaN.
            for tensor in (keys, values):
                tensor[used:].zero_()
                tensor[:used, :, old:].zero_()
            if layer < len(self.keys):
                self.keys[layer], self.values[layer] = keys, values
            else:
                self.keys.append(keys)
                self.values.append(values)
        self._pool.charge(min(change, 0) - copy_bytes)
        self.slots, self.width = slots, width

    def _bytes(self, slots: int, width: int) -> int:
        return self._pool.bytes_of(slots * width)
