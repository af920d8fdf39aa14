"""The arena: private ends of running sequences that share what lies before, side by side in one dense tensor."""

from __future__ import annotations

from contextlib import suppress

import torch

from engine.local.kv import OutOfKV, Pool

LONGEST = 256
"""Tokens that a tail holds before it becomes a segment of its own."""
_SHORTEST = 16


class Tails:
    """Slots for the tails of running sequences: keys [slots, heads, tokens, dim] per layer, values alike.

    Occupied slots are always the first `count`, so one operator attends all of them. The width follows the longest tail. The
    pool is charged for the memory.
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

    def expect(self, count: int) -> None:
        """Make room for `count` more slots at once, if there is any."""
        with suppress(OutOfKV):
            self._fit(self.count + count, max(self.width, _SHORTEST))

    def open(self) -> int:
        """A new empty slot. Raises `OutOfKV`."""
        self._fit(self.count + 1, max(self.width, _SHORTEST))
        self.lengths.append(0)
        return self.count - 1

    def reserve(self, slot: int) -> None:
        """Room for one more token in `slot`. Raises `OutOfKV`."""
        if self.lengths[slot] + 1 > self.width:
            self._fit(self.count, self.width * 2)

    def close(self, slot: int) -> int | None:
        """Free a slot. The last one moves into the gap; returns its old number if it did."""
        last = self.count - 1
        moved = None
        if slot != last:
            for tensor in (*self.keys, *self.values):
                tensor[slot] = tensor[last]
            self.lengths[slot] = self.lengths[last]
            moved = last
        self.lengths.pop()
        if not self.lengths:
            self._pool.charge(-self._bytes(self.slots, self.width))
            self.keys, self.values, self.slots, self.width = [], [], 0, 0
        elif self.slots >= 16 and self.count * 2 <= self.slots:
            with suppress(OutOfKV):
                self._move(self.count, self.width)
        return moved

    def content(self, slot: int, tokens: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Keys and values [heads, tokens, dim] per layer of the first `tokens` of a slot; views."""
        return [k[slot, :, :tokens] for k in self.keys], [v[slot, :, :tokens] for v in self.values]

    def _fit(self, count: int, width: int) -> None:
        if count <= self.slots and width <= self.width:
            return
        slots = self.slots if count <= self.slots else max(count, self.slots + self.slots // 4, 4)
        self._move(slots, width)

    def _move(self, slots: int, width: int) -> None:
        size = self._bytes(slots, width)
        self._pool.charge(size)  # both copies exist for a moment
        keys, values = self._pool.geometry.allocate(slots, self._pool.geometry.heads, width)
        used, old = self.count, self.width
        for layer in range(len(self.keys)):
            keys[layer][:used, :, :old] = self.keys[layer][:used]
            values[layer][:used, :, :old] = self.values[layer][:used]
        # Masked places are multiplied by weight zero, which must not meet a leftover NaN.
        for tensor in (*keys, *values):
            tensor[used:].zero_()
            tensor[:used, :, old:].zero_()
        self._pool.charge(-self._bytes(self.slots, self.width))
        self.keys, self.values, self.slots, self.width = keys, values, slots, width

    def _bytes(self, slots: int, width: int) -> int:
        return self._pool.bytes_of(slots * width)
