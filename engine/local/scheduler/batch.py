"""What one step runs, and how that is packed for the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from braid.engine.local.attention import Chunk, Rotate, Row, Step
from braid.engine.local.kv import TailArena, View
from braid.engine.local.scheduler.request import Generate, Read, Score, Sequence

Wanted = list[tuple[Sequence, range]]
"""Whose logits are wanted, at which places among the packed tokens."""


@dataclass(frozen=True)
class StepPlan:
    """One step: sequences that read a chunk of a prompt (and how much), and sequences that read one token.

    The `odd` ones read one token, too, and see views that are turned or weighted, which only chunks can.
    """

    chunks: list[tuple[Sequence, int]]
    odd: list[Sequence]
    rows: list[Sequence]
    before: int = 0
    """How many tokens the first chunk continues."""

    @property
    def read(self) -> int:
        """Tokens of prompts in all."""
        return sum(count for _, count in self.chunks)

    @property
    def decoded(self) -> int:
        return len(self.odd) + len(self.rows)

    def all(self) -> Iterator[tuple[Sequence, int]]:
        """Every sequence, with the number of tokens that it reads."""
        yield from self.chunks
        yield from ((sequence, 1) for sequence in (*self.odd, *self.rows))


def pack(plan: StepPlan, tails: TailArena, rotate: Rotate | None) -> tuple[Step, Wanted]:
    """The packed step, and which of its tokens' logits are wanted for whom."""
    chunks: list[Chunk] = []
    wanted: Wanted = []
    place = 0
    for sequence, count in (*plan.chunks, *((odd, 1) for odd in plan.odd)):
        segment = sequence.segment
        ids = segment.ids[segment.ready : segment.ready + count]
        chunks.append(Chunk(ids, segment, segment.ready))
        if isinstance(sequence.request, Score):
            # Logits of the tokens whose successors are asked for.
            first = len(sequence.ids) - sequence.request.must_run()
            skipped = min(count, max(0, first - sequence.covered))
            wanted.append((sequence, range(place + skipped, place + count)))
        elif isinstance(sequence.request, Generate) and count == sequence.pending:
            wanted.append((sequence, range(place + count - 1, place + count)))
        place += count
    rows: list[Row] = []
    for sequence in plan.rows:
        assert sequence.tip is not None
        if sequence.slot < 0:
            segment, at = sequence.segment, sequence.segment.ready
            views = (*segment.prefix, View(segment, 0, at + 1))
            rows.append(Row(segment.ids[at], segment.position + at, views, segment, at))
        else:
            at = tails.lengths[sequence.slot]
            position = sequence.tip.position + at
            rows.append(Row(sequence.ids[-1], position, sequence.views, None, at, sequence.slot))
        if not isinstance(sequence.request, Read):
            wanted.append((sequence, range(place, place + 1)))
        place += 1
    return Step(chunks, rows, tails, rotate), wanted
