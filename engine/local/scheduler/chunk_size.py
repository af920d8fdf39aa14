"""Size of prompt chunks beside decoding sequences, controlled by the measured duration of steps."""

from __future__ import annotations

_STRETCH = 0.7
"""How much longer a step of decoding may get by reading prompts beside it, as a share of itself."""
_SMALLEST = 32
"""Prompt tokens that a step reads in any case. Fewer hardly take less time, and no prompt starves."""
_FIRST = 64
_MEASURE_EVERY = 100


class ChunkSizer:
    """Controls the size of chunks by the duration of similar steps.

    Similar steps have about as many rows, and about as much of the prompt before the chunk. A chunk's cost
    has a part for its tokens and one for the tokens before them. Both differ by machine and model, so it is
    only assumed that a larger chunk takes longer.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._smallest = min(_SMALLEST, largest)
        self._decode: dict[int, float] = {}
        self._sizes: dict[tuple[int, int], float] = {}
        self._mixed = 0

    def token_budget(self, rows: int, before: int) -> int:
        """Number of tokens to read beside `rows` decodes, of a prompt of which `before` tokens are read.

        Returns:
            0 when a step of decoding alone has to be measured first.
        """
        if not rows:
            return self._largest
        if rows.bit_length() not in self._decode or self._mixed >= _MEASURE_EVERY:
            return 0
        size = self._size(rows.bit_length(), before.bit_length())
        return max(self._smallest, min(self._largest, int(size) // 16 * 16))

    def record(self, rows: int, read: int, before: int, seconds: float) -> None:
        """Record the duration of a step.

        Args:
            rows: number of decodes.
            read: number of prompt tokens that it read.
            before: number of tokens that its first chunk continues.
            seconds: duration of the step.
        """
        rows_bucket, prefix_bucket = rows.bit_length(), before.bit_length()
        if not read:
            known = self._decode.get(rows_bucket, seconds)
            self._decode[rows_bucket] = known + 0.2 * (seconds - known)
            self._mixed = 0
        elif rows and rows_bucket in self._decode:
            self._mixed += 1
            decode, size = self._decode[rows_bucket], self._size(rows_bucket, prefix_bucket)
            change = decode * _STRETCH / max(seconds - decode, 0.1 * decode)
            # The last chunk of a prompt is short, so its duration is no evidence of spare capacity.
            if change < 1 or read >= 0.75 * min(size, self._largest):
                target = max(self._smallest, min(self._largest, read * max(0.5, min(2.0, change))))
                self._sizes[rows_bucket, prefix_bucket] = size + 0.5 * (target - size)

    def _size(self, rows_bucket: int, prefix_bucket: int) -> float:
        """Best size for such steps, or for the most similar ones that are known."""
        known = self._sizes.get((rows_bucket, prefix_bucket))
        if known is None:
            nearest = min(
                self._sizes,
                key=lambda key: (abs(key[0] - rows_bucket), abs(key[1] - prefix_bucket)),
                default=None,
            )
            return _FIRST if nearest is None else self._sizes[nearest]
        return known
