"""The plan of one step, and how it is packed for the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from braid.engine.local.adapters import group_rows
from braid.engine.local.attention import Chunk, Rotate, Row, Step
from braid.engine.local.kv import TailArena, View
from braid.engine.local.scheduler.request import GenerateRequest, PrefillRequest, ScoreRequest, Sequence

LogitsIndices = list[tuple[Sequence, range]]
"""(sequence, indices into the packed batch) for every token whose logits are needed."""


@dataclass(frozen=True)
class StepPlan:
    """The sequences that run in one step."""

    chunks: list[tuple[Sequence, int]]
    """Sequences that read a chunk of a prompt, and the number of its tokens."""
    decode_chunks: list[tuple[Sequence, int]]
    """Sequences that decode as chunks, and the number of their tokens: those that see shifted or weighted
    views, and those that read several tokens in place.
    """
    decode_rows: list[tuple[Sequence, int]]
    """All other sequences that decode, and the number of their tokens. Only those in slots read several."""
    num_tokens_before: int = 0
    """Number of tokens that the first chunk continues."""

    @property
    def num_prefill_tokens(self) -> int:
        """Number of prompt tokens in all chunks."""
        return sum(count for _, count in self.chunks)

    @property
    def num_decode_tokens(self) -> int:
        return sum(count for _, count in (*self.decode_chunks, *self.decode_rows))

    def scheduled(self) -> Iterator[tuple[Sequence, int]]:
        """Every sequence, with the number of tokens that it reads."""
        yield from (*self.chunks, *self.decode_chunks, *self.decode_rows)


def pack(plan: StepPlan, tails: TailArena, rotate: Rotate | None) -> tuple[Step, LogitsIndices]:
    """The packed step, and the tokens whose logits are needed."""
    chunks: list[Chunk] = []
    logits_indices: LogitsIndices = []
    offset = 0
    for sequence, count in (*plan.chunks, *plan.decode_chunks):
        segment = sequence.segment
        token_ids = segment.token_ids[segment.num_computed_tokens : segment.num_computed_tokens + count]
        chunks.append(Chunk(token_ids, segment, segment.num_computed_tokens))
        if isinstance(sequence.request, ScoreRequest):
            # Logits of the tokens whose successors are scored.
            first = len(sequence.token_ids) - sequence.request.num_logits()
            skipped = min(count, max(0, first - sequence.num_computed_tokens))
            if skipped < count:
                logits_indices.append((sequence, range(offset + skipped, offset + count)))
        elif isinstance(sequence.request, GenerateRequest) and count == sequence.num_new_tokens:
            logits_indices.append((sequence, range(offset + count - 1, offset + count)))
        offset += count
    rows: list[Row] = []
    for sequence, count in plan.decode_rows:
        assert sequence.prefix is not None
        if sequence.slot < 0:
            segment, at = sequence.segment, sequence.segment.num_computed_tokens
            views = (*segment.prefix_views, View(segment, 0, at + 1))
            rows.append(Row(segment.token_ids[at], segment.position + at, views, segment, at))
        else:
            at = tails.lengths[sequence.slot]
            position = sequence.prefix.position + at
            rows += [
                Row(token, position + place, sequence.views, None, at + place, sequence.slot)
                for place, token in enumerate(sequence.token_ids[-count:])
            ]
        offset += count
        if not isinstance(sequence.request, PrefillRequest):
            logits_indices.append((sequence, range(offset - 1, offset)))
    adapters = group_rows((sequence.segment.adapter, count) for sequence, count in plan.scheduled())
    return Step(chunks, rows, tails, rotate, adapters), logits_indices
