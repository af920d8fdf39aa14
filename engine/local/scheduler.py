"""Continuous batching: which sequences run in a step, with how many tokens, and whose memory goes when there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from engine.errors import EngineError
from engine.local.attention import Chunk, Row, Step
from engine.local.branch import Branch
from engine.local.kv import WHOLE, OutOfKV, Pool, Tip, View
from engine.local.model import Model
from engine.local.sampler import Draws, draw, top_logprobs
from engine.local.sequence import Generate, Read, Request, Score, Sequence
from engine.local.tails import LONGEST, Tails
from engine.types import Token

_SMALLEST_CHUNK = 16
_STRETCH = 0.7
"""How much longer than itself a step of decoding may get by reading prompts beside it."""


@dataclass
class Stats:
    """Counts since the start; `seconds` are of whole steps, `forward_seconds` of the model's part in them."""

    steps: int = 0
    prefilled: int = 0
    decoded: int = 0
    reused: int = 0
    preempted: int = 0
    seconds: float = 0.0
    forward_seconds: float = 0.0


@dataclass
class Plan:
    """One step: sequences that read a chunk (and how much), and sequences that read one token."""

    chunks: list[tuple[Sequence, int]] = field(default_factory=list[tuple[Sequence, int]])
    rows: list[Sequence] = field(default_factory=list[Sequence])


class Scheduler:
    """Runs requests step by step; belongs to the model's thread.

    `spill` gives up KV of idle contexts and says whether it could; a step reads at most `chunk` tokens of prompts.
    """

    def __init__(self, model: Model, pool: Pool, spill: Callable[[], bool], *, chunk: int) -> None:
        self._chunk = chunk
        self.stats = Stats()
        self._model = model
        self._pool = pool
        self._spill = spill
        self._tails = Tails(pool)
        self._slots: list[Sequence] = []
        self._requests: list[Request] = []
        self._waiting: list[Sequence] = []
        self._running: list[Sequence] = []
        self._decode_seconds = 0.0
        self._token_seconds = 0.0

    @property
    def busy(self) -> bool:
        return bool(self._requests)

    def add(self, request: Request) -> None:
        self._requests.append(request)
        self._waiting.append(request.start())

    def step(self) -> None:
        """Drop, admit, run, collect."""
        began = time.perf_counter()
        self._drop()
        with self._pool.lock:
            self._admit()
            plan = self._plan()
            step, wanted = self._lay_out(plan)
        if plan.rows or plan.chunks:
            start = time.perf_counter()
            try:
                logits = self._model.forward(step, [place for _, places in wanted for place in places])
            except Exception as error:
                self._fail_all(error)
                return
            forward = time.perf_counter() - start
            self._count(plan, forward)
            self._collect(plan, wanted, logits)
            self._time(plan, time.perf_counter() - began)

    def abandon(self, error: Exception) -> None:
        """End every request."""
        for request in list(self._requests):
            self._end(request, None, error)

    # before the step

    def _drop(self) -> None:
        for request in list(self._requests):
            if request.cancelled:
                self._end(request, None, EngineError("the request was cancelled"))
                continue
            try:
                request.scope.check_time()
            except Exception as error:
                self._end(request, None, error)

    def _admit(self) -> None:
        """Start what is most urgent while there is room for all that it may come to need."""
        if not self._waiting:
            return
        now = time.monotonic()
        self._waiting.sort(key=lambda s: (-s.request.urgency(now), s.request.serial))
        reserved = sum(s.request.future_tokens(s) for s in self._running)
        for sequence in list(self._waiting):
            found = self._find(sequence)
            if found is None:
                continue  # its beginning is being read right now
            tip, covered = found
            need = sequence.request.future_tokens(sequence) - (covered - sequence.covered)
            size = self._pool.bytes_of(reserved + need) + self._pool.pinned + self._pool.charged
            if self._running and size > self._pool.limit:
                return
            self._waiting.remove(sequence)
            try:
                self._start(sequence, tip, covered)
            except OutOfKV as error:
                self._stop(sequence)
                if self._running or self._give_up_idle():
                    self._waiting.append(sequence)
                    return
                self._end(sequence.request, None, error)
            else:
                reserved += need

    def _find(self, sequence: Sequence) -> tuple[Tip, int] | None:
        """How far the KV of a waiting sequence is there; None while somebody is computing more of it."""
        request = sequence.request
        goal = len(sequence.ids) - request.must_run()
        tip, covered = request.base, request.covered
        if covered > goal:
            return self._pool.back(tip, covered - goal), goal
        tip, more = self._pool.match(tip, sequence.ids[covered:goal])
        if tip.length > tip.segment.ready:
            return None
        return tip, covered + more

    def _start(self, sequence: Sequence, tip: Tip, covered: int) -> None:
        """Begin to run: hold what is there, and make room for what is to be read. Raises `OutOfKV`."""
        sequence.covered = sequence.reused = covered
        self.stats.reused += covered - min(covered, sequence.request.covered)
        self._hold(sequence, tip)
        if sequence.pending == 0:
            self._finish_read(sequence)
            return
        single = isinstance(sequence.request, Generate) and (
            sequence.branch is not None or sequence.request.params.n == 1
        )
        plain = all(view.plain for view in sequence.views)
        if sequence.pending == 1 and single and plain and not self._pool.can_grow(tip):
            sequence.slot = self._tails.open()
            self._slots.append(sequence)
        else:
            self._grow(sequence, sequence.ids[covered:])
        self._running.append(sequence)

    def _grow(self, sequence: Sequence, ids: list[int]) -> None:
        """Let a sequence append `ids` to the segment where it ends, or to a new one. Raises `OutOfKV`."""
        assert sequence.tip is not None
        if len(ids) == 1 and self._pool.can_grow(sequence.tip):
            self._pool.reserve(sequence.segment, sequence.tip.length + 1)
        tip = self._pool.extend(sequence.tip, ids, sequence, room=1)
        sequence.grows = True
        self._hold(sequence, tip)

    def _hold(self, sequence: Sequence, tip: Tip) -> None:
        old = sequence.pins
        sequence.see(tip)
        pins = tip.pins()
        sequence.pins = (*pins[:-1], (tip.segment, WHOLE)) if sequence.grows else pins
        self._pool.pin(sequence.pins)
        self._pool.unpin(old)

    def _plan(self) -> Plan:
        """Every sequence that decodes gets its token; prompts get what may be read beside them."""
        while True:
            plan = Plan()
            try:
                for sequence in self._running:
                    if sequence.pending == 1:
                        self._make_room(sequence)
                        plan.rows.append(sequence)
                break
            except OutOfKV as error:
                self._preempt(error)
        budget = self._prompt_budget(len(plan.rows))
        now = time.monotonic()
        for sequence in sorted(self._running, key=lambda s: -s.request.urgency(now)):
            if sequence.pending > 1 and budget > 0:
                count = min(budget, sequence.pending)
                plan.chunks.append((sequence, count))
                budget -= count
        # Neighbours share views, and the arena's order is kept where it can be.
        plan.rows.sort(key=lambda s: (s.order, s.slot))
        if any(not view.plain for s in plan.rows for view in s.segment.prefix):
            odd = [s for s in plan.rows if not all(view.plain for view in s.segment.prefix)]
            plan.rows = [s for s in plan.rows if s not in odd]
            plan.chunks += [(s, 1) for s in odd]
        return plan

    def _make_room(self, sequence: Sequence) -> None:
        """A place for the next token of a sequence that decodes. Raises `OutOfKV`."""
        if sequence.slot >= 0 and self._tails.lengths[sequence.slot] >= LONGEST:
            self._hold(sequence, self._freeze(sequence, LONGEST))
            self._close_slot(sequence)
        if sequence.slot >= 0:
            self._tails.reserve(sequence.slot)
        elif not sequence.grows:
            self._grow(sequence, sequence.ids[-1:])
        elif sequence.segment.ready == len(sequence.segment.ids):
            self._pool.reserve(sequence.segment, sequence.segment.ready + 1)
            sequence.segment.ids.append(sequence.ids[-1])

    def _prompt_budget(self, rows: int) -> int:
        """How many tokens of prompts to read in a step, so that decoding gets at most `_STRETCH` slower."""
        if not rows or not self._decode_seconds or not self._token_seconds:
            return self._chunk if not rows else min(self._chunk, 64)
        count = int(self._decode_seconds * _STRETCH / self._token_seconds)
        return max(min(_SMALLEST_CHUNK, self._chunk), min(self._chunk, count // 16 * 16))

    def _lay_out(self, plan: Plan) -> tuple[Step, list[tuple[Sequence, range]]]:
        """The packed step, and which of its tokens' logits are wanted for whom."""
        chunks: list[Chunk] = []
        wanted: list[tuple[Sequence, range]] = []
        place = 0
        for sequence, count in plan.chunks:
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
                at = self._tails.lengths[sequence.slot]
                position = sequence.tip.position + at
                rows.append(Row(sequence.ids[-1], position, sequence.views, None, at, sequence.slot))
            if not isinstance(sequence.request, Read):
                wanted.append((sequence, range(place, place + 1)))
            place += 1
        return Step(chunks, rows, self._tails, self._model.rotate), wanted

    # after the step

    def _collect(self, plan: Plan, wanted: list[tuple[Sequence, range]], logits: torch.Tensor | None) -> None:
        with self._pool.lock:
            for sequence, count in [*plan.chunks, *((s, 1) for s in plan.rows)]:
                sequence.covered += count
                if sequence.slot < 0:
                    sequence.segment.ready += count
                    sequence.tip = Tip(sequence.segment, sequence.segment.ready)
                else:
                    self._tails.lengths[sequence.slot] += 1
        for sequence, _ in plan.chunks:
            if isinstance(sequence.request, Read) and sequence.pending == 0:
                self._finish_read(sequence)
        for sequence in plan.rows:
            if isinstance(sequence.request, Read):
                self._finish_read(sequence)
        drawing: list[tuple[Sequence, int]] = []
        at = 0
        for sequence, places in wanted:
            assert logits is not None
            if isinstance(sequence.request, Score):
                sequence.request.take(logits[at : at + len(places)])
                if sequence.pending == 0:
                    self._end(sequence.request, sequence.request.scores)
            else:
                drawing.append((sequence, at))
            at += len(places)
        if drawing:
            assert logits is not None
            self._sample(drawing, logits)

    def _sample(self, drawing: list[tuple[Sequence, int]], logits: torch.Tensor) -> None:
        """Draw the next token of each sequence, or the first ones of all its branches where it forks."""
        rows: list[int] = []
        drawn: list[tuple[Sequence, Branch]] = []
        draws: list[Draws] = []
        for sequence, row in drawing:
            request = sequence.request
            assert isinstance(request, Generate)
            for branch in [sequence.branch] if sequence.branch else request.branches:
                drawn.append((sequence, branch))
                draws.append(request.draws[branch.index])
                rows.append(row)
        if rows != list(range(len(logits))):
            logits = logits[torch.tensor(rows, device=logits.device)]
        try:
            tokens = self._draw(drawn, draws, logits)
        except EngineError as error:  # a grammar that became too complex; which one, the next step shows
            self._fail_all(error)
            return
        self._note_logprobs(drawn, tokens, logits)
        shown: dict[Generate, list[Token]] = {}
        for (sequence, branch), token in zip(drawn, tokens, strict=True):
            request = sequence.request
            assert isinstance(request, Generate)
            request.generated += 1
            piece = branch.push(token, self._model.end_ids)
            if piece is not None:
                shown.setdefault(request, []).append(piece)
        with self._pool.lock:
            self._go_on(drawn)
        for request, pieces in shown.items():
            assert request.show is not None
            request.show(pieces)
        for request in {sequence.request: None for sequence, _ in drawn}:
            assert isinstance(request, Generate)
            if all(branch.reason is not None for branch in request.branches):
                self._end(request, request.branches)

    def _go_on(self, drawn: list[tuple[Sequence, Branch]]) -> None:
        """Sequences that got a token go on, end, or fork."""
        forks: dict[Sequence, list[Branch]] = {}
        for sequence, branch in drawn:
            if sequence.branch is None:
                forks.setdefault(sequence, []).append(branch)
            elif branch.reason is None:
                sequence.ids.append(branch.ids[-1])
            else:
                self._finish_branch(sequence, branch)
        for sequence, branches in forks.items():
            self._fork(sequence, branches)

    def _draw(
        self, drawn: list[tuple[Sequence, Branch]], draws: list[Draws], logits: torch.Tensor
    ) -> list[int]:
        """A token for each row, among those that its grammar allows."""
        bound: dict[Generate, list[int]] = {}
        for row, (sequence, _) in enumerate(drawn):
            request = sequence.request
            if isinstance(request, Generate) and request.masks is not None:
                bound.setdefault(request, []).append(row)
        if bound:
            logits = logits.clone()
        for request, rows in bound.items():
            assert request.masks is not None
            logits[rows] = request.masks.apply(logits[rows], [drawn[row][1].index for row in rows])
        tokens = draw(logits, draws)
        for request, rows in bound.items():
            assert request.masks is not None
            request.masks.advance([tokens[row] for row in rows], [drawn[row][1].index for row in rows])
        return tokens

    def _fork(self, sequence: Sequence, branches: list[Branch]) -> None:
        """The prompt is read: go on with each branch. A single one goes on where it is, several in the arena."""
        for branch in branches:
            if branch.reason is not None:
                self._finish_branch(sequence, branch, keep=True)
        live = [branch for branch in branches if branch.reason is None]
        request = sequence.request
        assert isinstance(request, Generate)
        if len(branches) == 1 and live:
            sequence.branch = live[0]
            sequence.ids.append(live[0].ids[-1])
            return
        assert sequence.tip is not None
        tip, covered = sequence.tip, sequence.covered
        made: list[Sequence] = []
        for branch in live:
            child = Sequence(request, [*request.ids, *branch.ids], branch)
            child.covered = covered
            self._hold(child, tip)
            made.append(child)
        self._stop(sequence)
        self._running.remove(sequence)
        request.sequences = made
        self._tails.expect(len(made))
        for child in made:
            try:
                if not all(view.plain for view in child.views):
                    self._grow(child, child.ids[covered:])
                else:
                    child.slot = self._tails.open()
                    self._slots.append(child)
                self._running.append(child)
            except OutOfKV:
                self._stop(child)
                self._waiting.append(child)

    def _finish_branch(self, sequence: Sequence, branch: Branch, *, keep: bool = False) -> None:
        """Take a branch out of the batch, and leave what its context needs in the tree."""
        request = sequence.request
        assert sequence.tip is not None
        kept, _ = branch.kept()
        covered = min(len(request.ids) + kept, sequence.covered)
        tail = 0 if sequence.slot < 0 else self._tails.lengths[sequence.slot]
        behind = sequence.covered - covered
        if behind < tail:
            try:
                branch.tip = self._freeze(sequence, tail - behind)
            except OutOfKV:  # its context reads this part again when it is needed
                branch.tip = sequence.tip
                covered = sequence.covered - tail
        else:
            branch.tip = self._pool.back(sequence.tip, behind - tail)
        branch.covered = covered
        branch.pins = branch.tip.pins()
        self._pool.pin(branch.pins)
        if not keep:
            self._stop(sequence)
            self._running.remove(sequence)

    def _freeze(self, sequence: Sequence, tokens: int) -> Tip:
        """The first `tokens` of a sequence's tail as a segment. Raises `OutOfKV`."""
        assert sequence.tip is not None
        start = sequence.covered - self._tails.lengths[sequence.slot]
        keys, values = self._tails.content(sequence.slot, tokens)
        return self._pool.adopt(sequence.tip, sequence.ids[start : start + tokens], keys, values)

    def _finish_read(self, sequence: Sequence) -> None:
        request = sequence.request
        assert isinstance(request, Read) and sequence.tip is not None
        pins = sequence.tip.pins()
        self._pool.pin(pins)
        request.outcome = (sequence.tip, pins, sequence.reused)
        self._end(request, request.outcome)

    def _stop(self, sequence: Sequence) -> None:
        """Let go of all that a sequence holds; what it read stays in the tree for as long as there is room."""
        if sequence.grows:
            self._pool.settle(sequence.segment, sequence)
            sequence.grows = False
        self._close_slot(sequence)
        self._pool.unpin(sequence.pins)
        sequence.pins = ()
        sequence.covered = 0

    def _close_slot(self, sequence: Sequence) -> None:
        if sequence.slot >= 0:
            if self._tails.close(sequence.slot) is not None:
                self._slots[sequence.slot] = self._slots[-1]
                self._slots[sequence.slot].slot = sequence.slot
            self._slots.pop()
            sequence.slot = -1

    def _preempt(self, error: OutOfKV) -> None:
        """Memory ran out in the middle: give up idle contexts' KV, else the least urgent sequence, which is read again later."""
        if self._give_up_idle():
            return
        now = time.monotonic()
        victim = min(self._running, key=lambda s: (s.request.urgency(now), -s.request.serial, -s.order[-1]))
        self._stop(victim)
        self._running.remove(victim)
        if not self._running:
            self._end(victim.request, None, error)
            return
        self._waiting.append(victim)
        self.stats.preempted += 1

    def _give_up_idle(self) -> bool:
        """Unpin KV that could be computed again: what requests hold beyond their running sequences, then idle contexts'."""
        root = Tip(self._pool.root, 0)
        held = [r for r in self._requests if r.covered and self._pool.rebuildable(r.base)]
        for request in held:
            self._pool.unpin(request.pins)
            request.base, request.covered, request.pins = root, 0, ()
        return bool(held) or self._spill()

    def _end(self, request: Request, outcome: object, error: BaseException | None = None) -> None:
        """Take a request out and hand over its outcome."""
        with self._pool.lock:
            for sequence in self._sequences(request):
                self._stop(sequence)
            self._running = [s for s in self._running if s.request is not request]
            self._waiting = [s for s in self._waiting if s.request is not request]
            self._requests.remove(request)
            self._pool.unpin(request.pins)
            if error is not None:
                request.discard(self._pool)
        request.deliver(outcome, error)

    def _sequences(self, request: Request) -> Iterator[Sequence]:
        return (s for s in [*self._running, *self._waiting, *request.sequences] if s.request is request)

    def _fail_all(self, error: Exception) -> None:
        for request in {s.request: None for s in self._running}:
            self._end(request, None, error)

    def _note_logprobs(
        self, drawn: list[tuple[Sequence, Branch]], tokens: list[int], logits: torch.Tensor
    ) -> None:
        """Log-probabilities of the model itself, before temperature and truncation: those that `score` gives, too."""
        rows = [row for row, (_, branch) in enumerate(drawn) if branch.params.logprobs is not None]
        if not rows:
            return
        logprobs = torch.log_softmax(logits[rows], dim=-1)
        for row, values in zip(rows, logprobs, strict=True):
            branch = drawn[row][1]
            branch.logprobs.append(float(values[tokens[row]]))
            if branch.params.logprobs:
                best = top_logprobs(values, branch.params.logprobs)
                branch.tops.append(tuple((self._model.codec.decode([token]), value) for token, value in best))

    def _count(self, plan: Plan, forward: float) -> None:
        self.stats.steps += 1
        self.stats.prefilled += sum(count for _, count in plan.chunks)
        self.stats.decoded += len(plan.rows)
        self.stats.forward_seconds += forward

    def _time(self, plan: Plan, seconds: float) -> None:
        """Take note of how long a step took, for the budget of prompts."""
        self.stats.seconds += seconds
        read = sum(count for _, count in plan.chunks)
        if not read:
            self._decode_seconds += (
                0.2 * (seconds - self._decode_seconds) if self._decode_seconds else seconds
            )
        elif read >= _SMALLEST_CHUNK and (self._decode_seconds or not plan.rows):
            beside = self._decode_seconds if plan.rows else 0.0
            each = max(seconds - beside, 0.1 * seconds) / read
            self._token_seconds += 0.2 * (each - self._token_seconds) if self._token_seconds else each
