"""Attention of one packed step over segments and tails.

Each distinct view is attended once for all rows that see it (one operator per group, as in cascade
attention). Tails are attended in one operator over the arena. The partial results are merged by their
log-sum-exp.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from braid.engine.local.adapters import RowsOf
from braid.engine.local.attention.kernels import (
    Partial,
    Traits,
    attend,
    attend_self,
    attend_view,
    merge,
    with_sinks,
)
from braid.engine.local.kv import Segment, TailArena, View

Rotate = Callable[[torch.Tensor, int], torch.Tensor]
"""Turns queries [..., dim] back by a number of positions."""
Places = torch.Tensor | slice
"""Rows of a step: indices on the model's device, or a slice."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive tokens of one sequence, written to `segment` from `at` on.

    They see the views before the segment, and the segment's tokens before `at`.
    """

    token_ids: Sequence[int]
    segment: Segment
    at: int

    @property
    def position(self) -> int:
        return self.segment.position + self.at


@dataclass(frozen=True)
class Row:
    """One token of a sequence, written to `segment` at `at` (in place) or to the arena's `slot`.

    It sees `views` and itself. In place, the last of `views` includes the token itself. A sequence in a slot
    may have several rows, one behind the other. Each sees those before it.
    """

    token: int
    position: int
    views: tuple[View, ...]
    segment: Segment | None
    at: int
    slot: int = -1


@dataclass(frozen=True)
class _Group:
    """Rows that see one view."""

    view: View
    rows: Places
    positions: list[int]
    level: int
    """Which of the rows' partial results this is."""

    @property
    def size(self) -> int:
        return len(self.positions)


class Step:
    """The packed tokens of one forward: chunks first, then rows. Built once, used by every layer."""

    def __init__(
        self,
        chunks: Sequence[Chunk],
        rows: Sequence[Row],
        tails: TailArena,
        rotate: Rotate | None,
        adapters: RowsOf = (),
    ) -> None:
        self.adapters = adapters
        """The adapters in use, and the tokens that each is for."""
        self.chunks = chunks
        self.rows = rows
        self.tails = tails
        self._rotate = rotate
        self.token_ids = [token for chunk in chunks for token in chunk.token_ids] + [
            row.token for row in rows
        ]
        self.positions = [
            position
            for chunk in chunks
            for position in range(chunk.position, chunk.position + len(chunk.token_ids))
        ] + [row.position for row in rows]
        self._first_row = len(self.token_ids) - len(rows)
        in_tails = [place for place, row in enumerate(rows) if row.slot >= 0]
        self._written = [
            (place, row.segment, row.at) for place, row in enumerate(rows) if row.segment is not None
        ]
        self._groups, levels = _group(rows)
        self._levels = levels + bool(in_tails)
        self._with_tails = bool(in_tails)
        if in_tails:
            self._lay_tails(in_tails)

    def _lay_tails(self, in_tails: list[int]) -> None:
        tails, rows = self.tails, self.rows
        device = tails.keys[0].device
        slots = [rows[place].slot for place in in_tails]
        self._tail_rows = torch.tensor(in_tails, device=device)
        self._tail_slots = torch.tensor(slots, device=device)
        self._tail_at = torch.tensor([rows[place].at for place in in_tails], device=device)
        self._all_in_tails = len(in_tails) == len(rows)
        numbers = [0] * tails.count
        order: list[int] = []
        for slot in slots:
            order.append(numbers[slot])
            numbers[slot] += 1
        # The queries of a slot are attended together, as many for each slot as the longest of its rows has.
        # What is missing in other slots is attended with row 0, and the result is dropped.
        self._queries = queries = max(numbers)
        row_of_slot = [0] * (tails.count * queries)
        self._tail_places = self._tail_slots * queries + torch.tensor(order, device=device)
        for place, slot, number in zip(in_tails, slots, order, strict=True):
            row_of_slot[slot * queries + number] = place
        self._in_order = row_of_slot == list(range(len(rows)))
        self._row_of_slot = torch.tensor(row_of_slot, device=device)
        # Branches that forked together stay level: then neither a mask nor indices are needed.
        places = {rows[place].at for place in in_tails}
        level = self._in_order and self._all_in_tails and len(places) == 1
        self._level_at = places.pop() if level else None
        self._masks: dict[tuple[int | None, int | None], torch.Tensor] = {}

    def attend(
        self,
        layer: int,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        scale: float,
        window: int | None = None,
        softcap: float | None = None,
        sinks: torch.Tensor | None = None,
        span: int | None = None,
    ) -> torch.Tensor:
        """Write keys and values, and attend.

        Args:
            layer: number of the layer in the KV.
            q: queries [heads, tokens, dim].
            k: keys [kv heads, tokens, dim].
            v: values [kv heads, tokens, dim].
            scale: factor of the attention logits.
            window: length of the sliding window in tokens.
            softcap: soft cap of the attention logits.
            sinks: attention sinks [heads].
            span: length of the spans of positions that see nothing of one another.

        Returns:
            [tokens, heads, value dim].
        """
        traits = Traits(scale, window, softcap, span)
        start = 0
        parts: list[torch.Tensor] = []
        for chunk in self.chunks:
            end = start + len(chunk.token_ids)
            parts.append(
                self._attend_chunk(
                    layer, chunk, q[:, start:end], k[:, start:end], v[:, start:end], traits, sinks
                )
            )
            start = end
        if self.rows:
            first = self._first_row
            if first:
                q, k, v = q[:, first:], k[:, first:], v[:, first:]
            parts.append(self._attend_rows(layer, q, k, v, traits, sinks))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _attend_chunk(
        self,
        layer: int,
        chunk: Chunk,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        traits: Traits,
        sinks: torch.Tensor | None,
    ) -> torch.Tensor:
        segment, at, count = chunk.segment, chunk.at, q.shape[1]
        segment.keys[layer][:, at : at + count] = k
        segment.values[layer][:, at : at + count] = v
        heads = k.shape[0]
        grouped = q.unflatten(0, (heads, -1))  # [kv heads, group, tokens, dim]
        merged: list[Partial] = []
        tempered: dict[tuple[float, float], list[Partial]] = {}
        views = (*segment.prefix_views, View(segment, 0, at)) if at else segment.prefix_views
        positions = range(chunk.position, chunk.position + count)
        for view in views:
            turned = grouped
            if view.shift:
                assert self._rotate is not None, "checked when the join was made"
                turned = self._rotate(grouped, view.shift)
            if view.temperature != 1.0:
                turned = turned / view.temperature
            partial = attend_view(layer, view, turned, positions, traits)
            if partial is None:
                continue
            if view.temperature == view.scale == 1.0:
                merged.append(partial)
            else:
                tempered.setdefault((view.temperature, view.scale), []).append(partial)
        for (temperature, scale), partials in tempered.items():
            out, lse = merge(partials)
            merged.append((out, lse * (scale * temperature)))
        merged.append(attend_self(grouped, k, v, chunk.position, traits))
        out, lse = merge(merged, last=sinks is None)
        out, lse = out.flatten(0, 1), lse.flatten(0, 1)
        return with_sinks(out, lse, sinks).transpose(0, 1)

    def _attend_rows(
        self,
        layer: int,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        traits: Traits,
        sinks: torch.Tensor | None,
    ) -> torch.Tensor:
        for place, segment, at in self._written:
            segment.keys[layer].select(1, at).copy_(k.select(1, place))
            segment.values[layer].select(1, at).copy_(v.select(1, place))
        heads, count = k.shape[0], q.shape[1]
        grouped = q.unflatten(0, (heads, -1))  # [kv heads, group, rows, dim]
        found: list[tuple[Partial, Places, int]] = []
        for group in self._groups:
            whole = group.size == count and isinstance(group.rows, slice)
            part = grouped if whole else grouped[:, :, group.rows]
            partial = attend_view(layer, group.view, part, group.positions, traits)
            if partial is not None:
                found.append((partial, group.rows, group.level))
        if self._with_tails:
            rows = slice(0, count) if self._all_in_tails else self._tail_rows
            found.append((self._attend_tails(layer, grouped, k, v, traits), rows, self._levels - 1))
        return self._combine(found, grouped, v.shape[-1], sinks)

    def _combine(
        self,
        found: list[tuple[Partial, Places, int]],
        grouped: torch.Tensor,
        dim: int,
        sinks: torch.Tensor | None,
    ) -> torch.Tensor:
        """Merge partial results, each of which covers some of the rows.

        Returns:
            [rows, heads, value dim].
        """
        heads, group, count, _ = grouped.shape
        if all(isinstance(rows, slice) and partial[1].shape[2] == count for partial, rows, _ in found):
            out, lse = merge([partial for partial, _, _ in found], last=sinks is None)
        else:
            outs = grouped.new_zeros(self._levels, heads, group, count, dim)
            lses = torch.full((self._levels, heads, group, count), -torch.inf, device=grouped.device)
            for (part, part_lse), rows, level in found:
                outs[level][:, :, rows] = part
                lses[level][:, :, rows] = part_lse
            if self._levels == 1:
                out, lse = outs[0], lses[0]
            else:
                out = (outs * torch.softmax(lses, 0)[..., None]).sum(0).to(grouped.dtype)
                lse = torch.logsumexp(lses, 0) if sinks is not None else lses[0]
        return with_sinks(out.flatten(0, 1), lse.flatten(0, 1), sinks).transpose(0, 1)

    def _attend_tails(
        self, layer: int, grouped: torch.Tensor, k: torch.Tensor, v: torch.Tensor, traits: Traits
    ) -> Partial:
        """Partial results of the rows in the arena, in row order: [kv heads, group, rows, dim]."""
        tails = self.tails
        used = tails.count
        k, v = k.transpose(0, 1), v.transpose(0, 1)
        if self._level_at is not None and traits.span is None:
            return self._attend_level_tails(self._level_at, layer, grouped, k, v, traits)
        if not self._all_in_tails:
            k, v = k[self._tail_rows], v[self._tail_rows]
        tails.keys[layer][self._tail_slots, :, self._tail_at] = k
        tails.values[layer][self._tail_slots, :, self._tail_at] = v
        queries = self._queries
        by_slot = grouped.permute(2, 0, 1, 3)
        if not self._in_order:
            by_slot = by_slot.index_select(0, self._row_of_slot)
        if queries > 1:  # [slots, kv heads, queries * group, dim]
            by_slot = by_slot.unflatten(0, (used, queries)).transpose(1, 2).flatten(2, 3)
        out, lse = attend(
            by_slot,
            tails.keys[layer][:used],
            tails.values[layer][:used],
            self._tail_mask(traits, grouped.dtype, grouped.shape[1]),
            traits,
        )
        if queries > 1:
            out = out.unflatten(2, (queries, -1)).transpose(1, 2).flatten(0, 1)
            lse = lse.unflatten(2, (queries, -1)).transpose(1, 2).flatten(0, 1)
        out, lse = out.permute(1, 2, 0, 3), lse.permute(1, 2, 0)
        if self._in_order:
            return out, lse
        return out.index_select(2, self._tail_places), lse.index_select(2, self._tail_places)

    def _attend_level_tails(
        self, at: int, layer: int, grouped: torch.Tensor, k: torch.Tensor, v: torch.Tensor, traits: Traits
    ) -> Partial:
        """The same where each row is in the slot of its number, and all are at the same place."""
        used = self.tails.count
        keys, values = self.tails.keys[layer][:used], self.tails.values[layer][:used]
        keys.select(2, at).copy_(k)
        values.select(2, at).copy_(v)
        start = 0 if traits.window is None else max(0, at + 1 - traits.window)
        seen = slice(start, at + 1)
        out, lse = attend(grouped.permute(2, 0, 1, 3), keys[:, :, seen], values[:, :, seen], None, traits)
        return out.permute(1, 2, 0, 3), lse.permute(1, 2, 0)

    @cached_property
    def _tail_ends(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions of the first token of its slot, and of the token itself: [slots * queries, 1] each."""
        lengths = torch.tensor(self.tails.lengths, device=self._tail_slots.device)
        lengths = lengths.repeat_interleave(self._queries)
        lengths[self._tail_places] = self._tail_at + 1
        positions = [self.rows[place].position - self.rows[place].at for place in self._tail_rows.tolist()]
        first = torch.zeros_like(lengths)
        first[self._tail_places] = torch.tensor(positions, device=first.device)
        return first[:, None], (first + lengths - 1)[:, None]

    def _tail_mask(self, traits: Traits, dtype: torch.dtype, group: int) -> torch.Tensor:
        """What the queries of each slot do not see: [slots, 1, 1 or queries * group, width]."""
        mask = self._masks.get((traits.window, traits.span))
        if mask is None:
            first, last = self._tail_ends
            place = first + torch.arange(self.tails.width, device=first.device)
            hidden = (place > last) | (place < traits.seen_from(last))
            mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(
                hidden, -torch.inf
            )
            if self._queries > 1:
                mask = mask.repeat_interleave(group, 0).unflatten(0, (self.tails.count, -1))[:, None]
            else:
                mask = mask[:, None, None, :]
            self._masks[traits.window, traits.span] = mask
        return mask


def _group(rows: Sequence[Row]) -> tuple[list[_Group], int]:
    """Which rows see which view, and how many partial results a row has at most.

    Rows that share views should be neighbours.
    """
    # A join may hold one view several times (two branches that begin alike). Each time is a group of its own.
    seen: dict[tuple[View, int], list[int]] = {}
    for place, row in enumerate(rows):
        times: Counter[View] = Counter()
        for view in row.views:
            seen.setdefault((view, times[view]), []).append(place)
            times[view] += 1
    depth = [0] * len(rows)
    groups: list[_Group] = []
    for (view, _), places in seen.items():
        level = max(depth[place] for place in places)
        for place in places:
            depth[place] = level + 1
        first, last = places[0], places[-1]
        if last - first + 1 == len(places):
            run = slice(first, last + 1)
        else:
            run = torch.tensor(places, device=view.segment.keys[0].device)
        groups.append(_Group(view, run, [rows[place].position for place in places], level))
    return groups, max((group.level + 1 for group in groups), default=0)
