"""The arena: private tails of running sequences that share a prefix, in one dense tensor."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import torch

from braid.engine.local.kv.pool import OutOfKV, Pool
from braid.engine.local.kv.segment import PrefixEnd, Segment

MAX_TAIL_TOKENS = 256
"""Tokens that a tail holds before it becomes a segment of its own."""
_MIN_WIDTH = 16


class FreedSlot(NamedTuple):
    """A slot that a sequence leaves."""

    slot: int
    prefix: PrefixEnd
    """The end that its tail continues."""
    kept_ids: Sequence[int]
    """Ids at the beginning of the tail whose KV is kept."""


class TailArena:
    """Slots for the tails of running sequences: keys [slots, heads, tokens, dim] per layer, values alike.

    Occupied slots are always the first `count`, so one operator attends all of them. The width follows the
    longest tail. The pool is charged for the memory. Data moves layer by layer, so that at most one layer
    exists twice.
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
        """A new empty slot.

        Raises:
            OutOfKV: there is no room.
        """
        self._more_slots(self.count + 1)
        self.lengths.append(0)
        return self.count - 1

    def reserve(self, slot: int, count: int = 1) -> None:
        """Make room for `count` more tokens in `slot`.

        Raises:
            OutOfKV: there is no room.
        """
        missing = self.lengths[slot] + count - self.width
        if missing > 0:
            try:
                self._resize(self.count, self.width + max(missing, self.width))
            except OutOfKV:
                self._resize(self.count, self.width + max(missing, _MIN_WIDTH))

    def free_slots(
        self, freed: Sequence[FreedSlot], *, drop: bool = True
    ) -> tuple[list[PrefixEnd | None], list[int]]:
        """Free slots. What is kept of their tails becomes segments.

        Args:
            freed: the slots.
            drop: whether a slot is freed even if there is no room for what is kept of it.

        Returns:
            A locked end for each freed slot, None where nothing is kept or there is no room for it. And for
            each slot that is occupied now, the number that it had before.
        """
        slots_kept = self._slots_to_keep(self.count - len(freed) if drop else self.count)
        copy_bytes = 0
        if 0 < slots_kept < self.slots or any(ids for _, _, ids in freed):
            copy_bytes = self.slots * self.width * self._pool.geometry.largest_layer_bytes
            try:
                self._pool.charge(copy_bytes)
            except OutOfKV:
                copy_bytes, slots_kept = 0, self.slots if slots_kept else 0
        self._pool.charge(-self._bytes(self.slots - slots_kept, self.width))
        prefixes: list[PrefixEnd | None] = []
        filled: list[tuple[Segment, int, int]] = []
        for slot, prefix, ids in freed:
            end = None
            if ids and copy_bytes:
                with suppress(OutOfKV):
                    end, known = self._pool.insert(prefix, ids)
                    if known < len(ids):
                        filled.append((end.segment, slot, known))
            prefixes.append(end)
        emptied = {
            slot for (slot, _, _), prefix in zip(freed, prefixes, strict=True) if drop or prefix is not None
        }
        order = self._compact(emptied, filled, slots_kept)
        self._pool.charge(-copy_bytes)
        return prefixes, order

    def _compact(
        self, emptied: set[int], filled: Sequence[tuple[Segment, int, int]], slots_kept: int
    ) -> list[int]:
        """Empty slots, of which some fill segments from an offset on, and keep room for `slots_kept`."""
        order = [slot for slot in range(self.count) if slot not in emptied]
        if slots_kept == self.slots:  # in place: the last ones move into the gaps
            count = len(order)
            last = [slot for slot in order if slot >= count]
            order = [last.pop() if slot in emptied else slot for slot in range(count)]
        moved = [(new, old) for new, old in enumerate(order) if new != old]
        device = self._pool.geometry.device
        kept = torch.tensor(order, dtype=torch.long, device=device)
        targets = torch.tensor([new for new, _ in moved], dtype=torch.long, device=device)
        sources = torch.tensor([old for _, old in moved], dtype=torch.long, device=device)
        for layer in range(len(self.keys)):
            keys, values = self.keys[layer], self.values[layer]
            for segment, slot, start in filled:
                tokens = segment.num_computed_tokens
                new_keys, new_values = self._pool.geometry.allocate(layer, segment.capacity)
                new_keys[:, :tokens] = keys[slot, :, start : start + tokens]
                new_values[:, :tokens] = values[slot, :, start : start + tokens]
                segment.keys.append(new_keys)
                segment.values.append(new_values)
            if slots_kept == self.slots:
                for tensor in (keys, values) if moved else ():
                    tensor[targets] = tensor[sources]
            elif slots_kept:
                self.keys[layer], self.values[layer] = keys[kept], values[kept]
        self.lengths = [self.lengths[slot] for slot in order]
        self.slots = slots_kept
        if not slots_kept:
            self.keys, self.values, self.width = [], [], 0
        return order

    def _slots_to_keep(self, count: int) -> int:
        """Number of slots to keep when `count` stay occupied."""
        return count if not count or (self.slots >= 16 and count * 4 <= self.slots * 3) else self.slots

    def _more_slots(self, count: int) -> None:
        if count > self.slots:
            self._resize(max(count, self.slots + self.slots // 4, 4), max(self.width, _MIN_WIDTH))

    def _resize(self, slots: int, width: int) -> None:
        """Move into larger tensors.

        Raises:
            OutOfKV: there is no room. Nothing has moved then.
        """
        geometry, before = self._pool.geometry, self._bytes(self.slots, self.width)
        change = self._bytes(slots, width) - before
        copy_bytes = self.slots * self.width * geometry.largest_layer_bytes
        self._pool.charge(max(change, 0) + copy_bytes)
        used, old = self.count, self.width
        for layer in range(len(geometry.layers)):
            keys, values = geometry.allocate(layer, width, slots)
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
