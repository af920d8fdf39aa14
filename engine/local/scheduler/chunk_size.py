"""How long steps take, measured as they run, and so how much of a prompt may be read beside those that decode."""

from __future__ import annotations

_STRETCH = 0.7
"""How much longer than itself a step of decoding may get by reading prompts beside it."""
_SMALLEST = 32
"""Tokens of prompts that a step reads in any case: fewer hardly take less time, and no prompt starves."""
_FIRST = 64
_MEASURE_EVERY = 100


class ChunkSizer:
    """Steers the size of chunks by how long steps took that had as many rows, and a prompt of which about as much lay behind.

    A chunk's cost has a part for its tokens and one for the tokens before them, which differ by machine and model, so nothing is
    assumed but that a larger chunk takes longer.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._smallest = min(_SMALLEST, largest)
        self._decode: dict[int, float] = {}
        self._sizes: dict[tuple[int, int], float] = {}
        self._mixed = 0

    def token_budget(self, rows: int, before: int) -> int:
        """How many tokens to read beside `rows` decodes, of a prompt of which `before` tokens are read; 0 when a step of decoding
        alone is to be measured first."""
        if not rows:
            return self._largest
        if rows.bit_length() not in self._decode or self._mixed >= _MEASURE_EVERY:
            return 0
        size = self._size(rows.bit_length(), before.bit_length())
        return max(self._smallest, min(self._largest, int(size) // 16 * 16))

    def record(self, rows: int, read: int, before: int, seconds: float) -> None:
        """A step of `rows` decodes, and of `read` tokens of prompts behind `before` others, took `seconds`."""
        rows_bucket, prefix_bucket = rows.bit_length(), before.bit_length()
        if not read:
            known = self._decode.get(rows_bucket, seconds)
            self._decode[rows_bucket] = known + 0.2 * (seconds - known)
            self._mixed = 0
        elif rows and rows_bucket in self._decode:
            self._mixed += 1
            decode, size = self._decode[rows_bucket], self._size(rows_bucket, prefix_bucket)
            change = decode * _STRETCH / max(seconds - decode, 0.1 * decode)
            # Where a prompt ends, a step reads less than it might: that it was quick says nothing.
            if change < 1 or read >= 0.75 * min(size, self._largest):
                target = max(self._smallest, min(self._largest, read * max(0.5, min(2.0, change))))
                self._sizes[rows_bucket, prefix_bucket] = size + 0.5 * (target - size)

    def _size(self, rows_bucket: int, prefix_bucket: int) -> float:
        """What is known of such steps, or of the most similar ones."""
        known = self._sizes.get((rows_bucket, prefix_bucket))
        if known is None:
            nearest = min(
                self._sizes,
                key=lambda key: (abs(key[0] - rows_bucket), abs(key[1] - prefix_bucket)),
                default=None,
            )
            return _FIRST if nearest is None else self._sizes[nearest]
        return known
