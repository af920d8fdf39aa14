"""The sequences that run, and the KV that they hold: where each goes on, forks, ends."""

from __future__ import annotations

from collections.abc import Sequence as Listing

from braid.engine.local.kv import LONGEST, WHOLE, End, OutOfKV, Pool, PrefixEnd, Segment, TailArena
from braid.engine.local.scheduler.branch import Branch
from braid.engine.local.scheduler.request import Generate, Sequence


class RunningSet:
    """All of it happens with the pool's lock held.

    A sequence ends in a segment to which it appends, or in a slot of the arena: several that continue the same do, so that one
    operator attends all of their ends.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._in_slots: list[Sequence] = []
        self.tails = TailArena(pool)
        self.sequences: list[Sequence] = []

    def start(self, sequence: Sequence, tip: PrefixEnd, covered: int) -> None:
        """Begin to run where KV of the first `covered` ids ends, and make room for what is to be read. Raises `OutOfKV`."""
        sequence.covered = sequence.settled = sequence.reused = covered
        self._hold(sequence, tip)
        if sequence.pending == 0:
            return
        request = sequence.request
        single = isinstance(request, Generate) and (sequence.branch is not None or request.params.n == 1)
        plain = all(view.plain for view in sequence.views)
        if sequence.pending == 1 and single and plain and not self._pool.can_grow(tip):
            self._open_slot(sequence)
        else:
            self._grow(sequence, sequence.ids[covered:])
        self.sequences.append(sequence)

    def make_room(self, sequence: Sequence) -> None:
        """A place for the next token of a sequence that decodes. Raises `OutOfKV`."""
        if sequence.slot >= 0:
            self.tails.reserve(sequence.slot)
        elif not sequence.grows:
            self._grow(sequence, sequence.ids[-1:])
        elif sequence.segment.ready == len(sequence.segment.ids):
            self._pool.reserve(sequence.segment, sequence.segment.ready + 1)
            sequence.segment.ids.append(sequence.ids[-1])

    def leave_arena(self) -> None:
        """Tails that became long go on as segments. Raises `OutOfKV`."""
        long = [s for s in self._in_slots if self.tails.lengths[s.slot] >= LONGEST]
        tips = self._take_out([(sequence, LONGEST) for sequence in long], drop=False)
        for sequence, tip in zip(long, tips, strict=True):
            if tip is not None:
                old, sequence.pins = sequence.pins, tip.pins()
                sequence.see(tip)
                sequence.settled += LONGEST
                self._pool.unpin(old)
        if None in tips:
            raise OutOfKV("no room for the ends of running sequences; give more memory_bytes")

    def advance(self, sequence: Sequence, count: int) -> None:
        """The KV of `count` more tokens was computed."""
        sequence.covered += count
        if sequence.slot >= 0:
            self.tails.lengths[sequence.slot] += 1
        else:
            segment: Segment = sequence.segment
            segment.ready += count
            sequence.tip = PrefixEnd(segment, segment.ready)
            sequence.settled = sequence.covered

    def fork(self, sequence: Sequence, branches: Listing[Branch]) -> list[Sequence]:
        """The prompt is read: go on with each branch that did not end with its first token. A single one goes on where it is,
        several in the arena. Returns those for which there is no room."""
        request = sequence.request
        assert isinstance(request, Generate) and sequence.tip is not None
        if len(branches) == 1:
            sequence.branch = branches[0]
            if branches[0].reason is None:
                sequence.ids.append(branches[0].ids[-1])
            else:
                self.finish([sequence])
            return []
        made: list[Sequence] = []
        for branch in branches:
            if branch.reason is not None:
                self._leave(sequence, branch)
                continue
            child = Sequence(request, [*request.ids, *branch.ids], branch)
            child.covered = child.settled = sequence.covered
            self._hold(child, sequence.tip)
            made.append(child)
        self.stop(sequence)
        request.sequences = made
        self.tails.expect(len(made))
        homeless: list[Sequence] = []
        for child in made:
            try:
                if all(view.plain for view in child.views):
                    self._open_slot(child)
                else:
                    self._grow(child, child.ids[child.covered :])
                self.sequences.append(child)
            except OutOfKV:
                self.stop(child)
                homeless.append(child)
        return homeless

    def finish(self, ended: Listing[Sequence]) -> None:
        """Take sequences out whose branches ended, and leave what their contexts need in the tree."""
        ends: list[tuple[Sequence, int]] = []
        for sequence in ended:
            if sequence.slot >= 0:
                behind = sequence.covered - sequence.needed()
                ends.append((sequence, max(0, self.tails.lengths[sequence.slot] - behind)))
        tips = dict(zip((sequence for sequence, _ in ends), self._take_out(ends), strict=True))
        for sequence in ended:
            assert sequence.branch is not None
            self._leave(sequence, sequence.branch, tips.get(sequence))
            self._let_go(sequence)
        gone = set(ended)
        self.sequences = [sequence for sequence in self.sequences if sequence not in gone]

    def stop(self, sequence: Sequence) -> None:
        """Take a sequence out, which may not have got in; what it read stays in the tree for as long as there is room."""
        if sequence in self.sequences:
            self.sequences.remove(sequence)
        self._let_go(sequence)

    # inside

    def _hold(self, sequence: Sequence, tip: PrefixEnd) -> None:
        old = sequence.pins
        sequence.see(tip)
        pins = tip.pins()
        sequence.pins = (*pins[:-1], (tip.segment, WHOLE)) if sequence.grows else pins
        self._pool.pin(sequence.pins)
        self._pool.unpin(old)

    def _let_go(self, sequence: Sequence) -> None:
        if sequence.grows:
            self._pool.settle(sequence.segment, sequence)
            sequence.grows = False
        if sequence.slot >= 0:
            self._take_out([(sequence, 0)])
        self._pool.unpin(sequence.pins)
        sequence.pins = ()
        sequence.covered = 0

    def _grow(self, sequence: Sequence, ids: list[int]) -> None:
        """Let a sequence append `ids` to the segment where it ends, or to a new one. Raises `OutOfKV`."""
        assert sequence.tip is not None
        if len(ids) == 1 and self._pool.can_grow(sequence.tip):
            self._pool.reserve(sequence.segment, sequence.tip.length + 1)
        tip = self._pool.extend(sequence.tip, ids, sequence, room=1)
        sequence.grows = True
        self._hold(sequence, tip)

    def _open_slot(self, sequence: Sequence) -> None:
        sequence.slot = self.tails.open()
        self._in_slots.append(sequence)

    def _take_out(self, ends: Listing[tuple[Sequence, int]], *, drop: bool = True) -> list[PrefixEnd | None]:
        """Take sequences out of the arena; the first tokens of their tails become segments, as `TailArena.take_out` has it."""
        if not ends:
            return []
        taken: list[End] = []
        for sequence, tokens in ends:
            assert sequence.tip is not None
            ids = sequence.ids[sequence.settled : sequence.settled + tokens]
            taken.append((sequence.slot, sequence.tip, ids))
        tips, order = self.tails.take_out(taken, drop=drop)
        for sequence, _ in ends:
            sequence.slot = -1
        self._in_slots = [self._in_slots[slot] for slot in order]
        for slot, sequence in enumerate(self._in_slots):
            sequence.slot = slot
        return tips

    def _leave(self, sequence: Sequence, branch: Branch, tip: PrefixEnd | None = None) -> None:
        """Hand a branch its KV: up to `tip`, which is pinned, or within what lies before the sequence's tail."""
        assert sequence.tip is not None
        branch.covered = sequence.needed(branch)
        if tip is None:
            # Where the tail did not fit into memory, its context reads it again when it is needed.
            branch.covered = min(branch.covered, sequence.settled)
            tip = self._pool.back(sequence.tip, sequence.settled - branch.covered)
            self._pool.pin(tip.pins())
        branch.tip, branch.pins = tip, tip.pins()
