"""The running sequences, and the KV that they hold: where each continues, forks, ends."""

from __future__ import annotations

from collections.abc import Sequence as Listing
from contextlib import suppress

from braid.engine.local.kv import (
    MAX_TAIL_TOKENS,
    WHOLE,
    FreedSlot,
    OutOfKV,
    Pool,
    PrefixEnd,
    Segment,
    TailArena,
)
from braid.engine.local.scheduler.branch import Branch
from braid.engine.local.scheduler.request import GenerateRequest, Sequence


class RunningSet:
    """The sequences that run. Its methods are called with the pool's mutex held.

    A sequence ends in a segment to which it appends, or in a slot of the arena. Sequences that continue the
    same prefix use slots, so that one operator attends all of their tails.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._in_slots: list[Sequence] = []
        self.tails = TailArena(pool)
        self.sequences: list[Sequence] = []

    def start(self, sequence: Sequence, prefix: PrefixEnd, num_computed_tokens: int) -> None:
        """Start a sequence where the KV of its first ids ends, with room for those to be read.

        Raises:
            OutOfKV: there is no room.
        """
        sequence.num_computed_tokens = sequence.num_tree_tokens = sequence.num_reused_tokens = (
            num_computed_tokens
        )
        self._lock_prefix(sequence, prefix)
        if sequence.num_new_tokens == 0:
            return
        request = sequence.request
        single = isinstance(request, GenerateRequest) and (
            sequence.branch is not None or request.params.n == 1
        )
        fits_slot = sequence.uses_slots and single and all(view.plain for view in sequence.views)
        if sequence.num_new_tokens == 1 and fits_slot and not self._pool.can_append(prefix):
            self._open_slot(sequence)
        else:
            self._append(sequence, sequence.token_ids[num_computed_tokens:])
        self.sequences.append(sequence)

    def reserve_tokens(self, sequence: Sequence) -> None:
        """Make room for the next tokens of a sequence that decodes.

        Raises:
            OutOfKV: there is no room.
        """
        ids = sequence.token_ids[-sequence.num_new_tokens :]
        if sequence.slot >= 0:
            self.tails.reserve(sequence.slot, len(ids))
        elif not sequence.is_writer:
            self._append(sequence, ids)
        elif sequence.segment.num_computed_tokens == len(sequence.segment.token_ids):
            try:
                self._pool.reserve(sequence.segment, sequence.segment.num_computed_tokens + len(ids))
            except OutOfKV:  # moving a segment takes more room than a small one behind it
                self._pool.stop_writing(sequence.segment, sequence)
                sequence.is_writer = False
                self._append(sequence, ids)
            else:
                sequence.segment.token_ids += ids

    def flush_long_tails(self) -> None:
        """Turn tails that became long into segments.

        Raises:
            OutOfKV: there is no room.
        """
        long_tails = [s for s in self._in_slots if self.tails.lengths[s.slot] >= MAX_TAIL_TOKENS]
        lengths = [self.tails.lengths[sequence.slot] for sequence in long_tails]
        prefixes = self._free_slots(list(zip(long_tails, lengths, strict=True)), drop=False)
        for sequence, prefix, length in zip(long_tails, prefixes, lengths, strict=True):
            if prefix is not None:
                old, sequence.locks = sequence.locks, prefix.locks()
                sequence.move_to(prefix)
                sequence.num_tree_tokens += length
                self._pool.release(old)
        if None in prefixes:
            raise OutOfKV("no room for the ends of running sequences; give more memory_bytes")

    def advance(self, sequence: Sequence, count: int) -> None:
        """Record that the KV of `count` more tokens was computed."""
        sequence.num_computed_tokens += count
        if sequence.slot >= 0:
            self.tails.lengths[sequence.slot] += count
        else:
            segment: Segment = sequence.segment
            segment.num_computed_tokens += count
            sequence.prefix = PrefixEnd(segment, segment.num_computed_tokens)
            sequence.num_tree_tokens = sequence.num_computed_tokens

    def fork(self, sequence: Sequence, branches: Listing[Branch]) -> list[Sequence]:
        """Continue with each branch that did not end with its first token, once the prompt is read.

        A single one continues in its segment, several in the arena.

        Returns:
            The sequences for which there is no room.
        """
        request = sequence.request
        assert isinstance(request, GenerateRequest) and sequence.prefix is not None
        if len(branches) == 1:
            sequence.branch = branches[0]
            if branches[0].finish_reason is None:
                sequence.token_ids += branches[0].token_ids
            else:
                self.finish([sequence])
            return []
        children: list[Sequence] = []
        for branch in branches:
            if branch.finish_reason is not None:
                self._hand_over(sequence, branch)
                continue
            child = Sequence(request, [*request.token_ids, *branch.token_ids], branch)
            child.num_computed_tokens = child.num_tree_tokens = sequence.num_computed_tokens
            self._lock_prefix(child, sequence.prefix)
            children.append(child)
        self.stop(sequence)
        request.sequences = children
        self.tails.reserve_slots(len(children))
        unplaced: list[Sequence] = []
        for child in children:
            try:
                if all(view.plain for view in child.views):
                    self._open_slot(child)
                else:
                    self._append(child, child.token_ids[child.num_computed_tokens :])
                self.sequences.append(child)
            except OutOfKV:
                self.stop(child)
                unplaced.append(child)
        return unplaced

    def finish(self, ended: Listing[Sequence]) -> None:
        """Take out sequences whose branches ended, and leave what their contexts need in the tree."""
        ends: list[tuple[Sequence, int]] = []
        for sequence in ended:
            if sequence.slot >= 0:
                behind = sequence.num_computed_tokens - sequence.num_kept_tokens()
                ends.append((sequence, max(0, self.tails.lengths[sequence.slot] - behind)))
        prefixes = dict(zip((sequence for sequence, _ in ends), self._free_slots(ends), strict=True))
        for sequence in ended:
            assert sequence.branch is not None
            self._hand_over(sequence, sequence.branch, prefixes.get(sequence))
            self._release(sequence)
        finished = set(ended)
        self.sequences = [sequence for sequence in self.sequences if sequence not in finished]

    def stop(self, sequence: Sequence) -> None:
        """Take out a sequence, which may not have started.

        What it read stays in the tree for as long as there is room.
        """
        if sequence in self.sequences:
            self.sequences.remove(sequence)
        self._release(sequence)

    def _lock_prefix(self, sequence: Sequence, prefix: PrefixEnd) -> None:
        old = sequence.locks
        sequence.move_to(prefix)
        locks = prefix.locks()
        sequence.locks = (*locks[:-1], (prefix.segment, WHOLE)) if sequence.is_writer else locks
        self._pool.acquire(sequence.locks)
        self._pool.release(old)

    def _release(self, sequence: Sequence) -> None:
        if sequence.is_writer:
            self._pool.stop_writing(sequence.segment, sequence)
            sequence.is_writer = False
        if sequence.slot >= 0:
            self._free_slots([(sequence, 0)])
        self._pool.release(sequence.locks)
        sequence.locks = ()
        sequence.num_computed_tokens = 0

    def _append(self, sequence: Sequence, ids: list[int]) -> None:
        """Let a sequence append `ids` to the segment where it ends, or to a new one.

        Raises:
            OutOfKV: there is no room.
        """
        assert sequence.prefix is not None
        if (len(ids) == 1 or sequence.branch) and self._pool.can_append(sequence.prefix):
            with suppress(OutOfKV):
                self._pool.reserve(sequence.segment, sequence.prefix.length + len(ids))
        prefix = self._pool.extend(sequence.prefix, ids, sequence, room=1)
        sequence.is_writer = True
        self._lock_prefix(sequence, prefix)

    def _open_slot(self, sequence: Sequence) -> None:
        sequence.slot = self.tails.open_slot()
        self._in_slots.append(sequence)

    def _free_slots(
        self, ends: Listing[tuple[Sequence, int]], *, drop: bool = True
    ) -> list[PrefixEnd | None]:
        """Take sequences out of the arena.

        The first tokens of their tails become segments, see `TailArena.free_slots`.
        """
        if not ends:
            return []
        freed: list[FreedSlot] = []
        for sequence, tokens in ends:
            assert sequence.prefix is not None
            ids = sequence.token_ids[sequence.num_tree_tokens : sequence.num_tree_tokens + tokens]
            freed.append(FreedSlot(sequence.slot, sequence.prefix, ids))
        prefixes, order = self.tails.free_slots(freed, drop=drop)
        for sequence, _ in ends:
            sequence.slot = -1
        self._in_slots = [self._in_slots[slot] for slot in order]
        for slot, sequence in enumerate(self._in_slots):
            sequence.slot = slot
        return prefixes

    def _hand_over(self, sequence: Sequence, branch: Branch, prefix: PrefixEnd | None = None) -> None:
        """Give a branch its KV: up to `prefix`, which is locked, or within what lies before the tail."""
        assert sequence.prefix is not None
        branch.num_computed_tokens = sequence.num_kept_tokens(branch)
        if prefix is None:
            # Where the tail did not fit into memory, its context reads it again when it is needed.
            branch.num_computed_tokens = min(branch.num_computed_tokens, sequence.num_tree_tokens)
            prefix = self._pool.rewind(sequence.prefix, sequence.num_tree_tokens - branch.num_computed_tokens)
            self._pool.acquire(prefix.locks())
        branch.prefix, branch.locks = prefix, prefix.locks()
