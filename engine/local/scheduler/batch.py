"""What one step runs, and how that is packed for the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from braid.engine.local.attention import Chunk, Rotate, Row, Step
from braid.engine.local.kv import TailArena, View
from braid.engine.local.scheduler.request import GenerateRequest, PrefillRequest, ScoreRequest, Sequence

LogitsIndices = list[tuple[Sequence, range]]
"""Whose logits are wanted, at which places among the packed tokens."""


@dataclass(frozen=True)
class StepPlan:
    """One step: sequences that read a chunk of a prompt (and how much), and sequences that read one token.

    The `decode_chunks` ones read one token, too, and see views that are turned or weighted, which only chunks can.
    """

    chunks: list[tuple[Sequence, int]]
    """Sequences that read a chunk of a prompt, and how many tokens of it."""
    decode_chunks: list[Sequence]
    """Sequences that read one token and see shifted or weighted views, which only chunks can."""
    decode_rows: list[Sequence]
    """All other sequences that read one token."""
    num_tokens_before: int = 0
    """Number of tokens that the first chunk continues."""

    @property
    def num_prefill_tokens(self) -> int:
        return sum(count for _, count in self.chunks)

    @property
    def num_decode_tokens(self) -> int:
        return len(self.decode_chunks) + len(self.decode_rows)

    def scheduled(self) -> Iterator[tuple[Sequence, int]]:
        """Every sequence, with the number of tokens that it reads."""
        yield from self.chunks
        yield from ((sequence, 1) for sequence in (*self.decode_chunks, *self.decode_rows))


def pack(plan: StepPlan, tails: TailArena, rotate: Rotate | None) -> tuple[Step, LogitsIndices]:
    """The packed step, and which of its tokens' logits are wanted for whom."""
    chunks: list[Chunk] = []
    logits_indices: LogitsIndices = []
    place = 0
    for sequence, count in (*plan.chunks, *((decoding, 1) for decoding in plan.decode_chunks)):
        segment = sequence.segment
        ids = segment.token_ids[segment.num_computed_tokens : segment.num_computed_tokens + count]
        chunks.append(Chunk(ids, segment, segment.num_computed_tokens))
        if isinstance(sequence.request, ScoreRequest):
            # Logits of the tokens whose successors are asked for.
            first = len(sequence.token_ids) - sequence.request.num_logits()
            skipped = min(count, max(0, first - sequence.num_computed_tokens))
            logits_indices.append((sequence, range(place + skipped, place + count)))
        elif isinstance(sequence.request, GenerateRequest) and count == sequence.num_new_tokens:
            logits_indices.append((sequence, range(place + count - 1, place + count)))
        place += count
    rows: list[Row] = []
    for sequence in plan.decode_rows:
        assert sequence.prefix is not None
        if sequence.slot < 0:
            segment, at = sequence.segment, sequence.segment.num_computed_tokens
            views = (*segment.prefix_views, View(segment, 0, at + 1))
            rows.append(Row(segment.token_ids[at], segment.position + at, views, segment, at))
        else:
            at = tails.lengths[sequence.slot]
            position = sequence.prefix.position + at
            rows.append(Row(sequence.token_ids[-1], position, sequence.views, None, at, sequence.slot))
        if not isinstance(sequence.request, PrefillRequest):
            logits_indices.append((sequence, range(place, place + 1)))
        place += 1
    return Step(chunks, rows, tails, rotate), logits_indices
