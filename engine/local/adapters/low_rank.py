"""Low-rank products beside linear layers (LoRA, arXiv 2106.09685), each for some rows of a packed step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

import torch

T = TypeVar("T")
Rows = torch.Tensor | slice
"""Rows of a step: indices, or a slice."""
RowsOf = Sequence[tuple[str, Rows]]
"""Adapters by name, each with the rows that use it."""


@dataclass(frozen=True)
class LowRank:
    """What an adapter adds to a linear layer: `x @ down @ up`, which holds its scaling."""

    down: torch.Tensor
    """[in, rank]"""
    up: torch.Tensor
    """[rank, out]"""

    @classmethod
    def of(
        cls,
        parts: Sequence[LowRank | None],
        widths: Sequence[int],
        like: torch.Tensor,
        norm: torch.Tensor | None = None,
    ) -> LowRank | None:
        """The adapters of layers of the same input as one: their outputs side by side.

        Args:
            parts: One for each layer. None is a layer without one.
            widths: Width of each layer's output.
            like: A tensor of the precision and device of the layers.
            norm: Weight [in] of a root-mean-square norm before them. Inputs then have a length of 1.

        Returns:
            None where no layer has one.
        """
        there = [part for part in parts if part is not None]
        if not there:
            return None
        down = torch.cat([part.down.float() for part in there], 1)
        if norm is not None:
            down = down * (norm.float().to(down.device) * norm.shape[0] ** 0.5)[:, None]
        up = down.new_zeros(down.shape[1], sum(widths))
        row = column = 0
        for part, width in zip(parts, widths, strict=True):
            if part is not None:
                rank = part.up.shape[0]
                up[row : row + rank, column : column + width] = part.up
                row += rank
            column += width
        return cls(down.to(like).contiguous(), up.to(like).contiguous())


def add_low_rank(added: LowRank | None, x: torch.Tensor, out: torch.Tensor, rows: Rows) -> None:
    """Add to the output `out` [rows, out] of a layer for some rows of its input `x` [rows, in], in place."""
    if added is None:
        return
    if isinstance(rows, slice):
        out[rows].addmm_(x[rows] @ added.down, added.up)
    else:
        rows = rows.to(x.device)
        out.index_add_(0, rows, (x[rows] @ added.down) @ added.up)


class Adapted(Generic[T]):
    """What a decoder keeps for each adapter, by the adapter's name."""

    def __init__(self) -> None:
        self._kept: dict[str, T] = {}

    def __setitem__(self, name: str, kept: T) -> None:
        self._kept[name] = kept

    def of(self, rows: RowsOf) -> list[tuple[T, Rows]]:
        """What is kept for the adapters of a step, each with its rows. Empty where the step uses none."""
        return [(self._kept[name], places) for name, places in rows]


def group_rows(adapters: Iterable[tuple[str | None, int]]) -> RowsOf:
    """The rows of each adapter, from the adapter of each run of consecutive rows and the run's length."""
    runs: dict[str, list[range]] = {}
    at = 0
    for name, count in adapters:
        if name is not None:
            before = runs.setdefault(name, [])
            if before and before[-1].stop == at:
                before[-1] = range(before[-1].start, at + count)
            else:
                before.append(range(at, at + count))
        at += count
    return [(name, _rows(found)) for name, found in runs.items()]


def rows_among(rows: Rows, kept: torch.Tensor) -> torch.Tensor:
    """Where `rows` are when only the rows `kept` [number] of the step are left, in their order."""
    if isinstance(rows, slice):
        found = (kept >= rows.start) & (kept < rows.stop)
    else:
        found = torch.isin(kept, rows.to(kept.device))
    return found.nonzero()[:, 0]


def _rows(runs: Sequence[range]) -> Rows:
    if len(runs) == 1:
        return slice(runs[0].start, runs[0].stop)
    return torch.tensor(list(chain(*runs)))
