"""Continuous batching: which sequences run in a step, with how many tokens, and whose memory goes when there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from braid.engine.errors import EngineError
from braid.engine.local.kv import OutOfKV, Pool, PrefixEnd
from braid.engine.local.model import Model
from braid.engine.local.scheduler.batch import StepPlan, Wanted, pack
from braid.engine.local.scheduler.branch import Branch
from braid.engine.local.scheduler.chunk_size import ChunkSizer
from braid.engine.local.scheduler.request import Finished, Generate, Read, Request, Score, Sequence
from braid.engine.local.scheduler.running import RunningSet
from braid.engine.local.scheduler.sampling import sample_step
from braid.engine.types import Token


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


def step_failed(error: Exception) -> EngineError:
    """What callers are told when a step fails, out of memory on the device for example."""
    failure = EngineError(f"the model's step failed: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure


class Scheduler:
    """Runs requests step by step; belongs to the model's thread.

    `spill` gives up KV of idle contexts and says whether it could; a step reads at most `chunk` tokens of prompts.
    """

    def __init__(self, model: Model, pool: Pool, spill: Callable[[], bool], *, chunk: int) -> None:
        self.stats = Stats()
        self._model = model
        self._pool = pool
        self._spill = spill
        self._requests: list[Request] = []
        self._finished: list[Finished] = []
        self._waiting: list[Sequence] = []
        self._running = RunningSet(pool)
        self._pace = ChunkSizer(chunk)

    @property
    def busy(self) -> bool:
        return bool(self._requests)

    def add(self, request: Request) -> None:
        self._requests.append(request)
        self._waiting.append(request.start())

    def step(self) -> Iterator[Finished]:
        """Drop, admit, run, collect. Yields the requests that finish, before the forward and after it."""
        began = time.perf_counter()
        self._drop()
        with self._pool.lock:
            self._admit()
            plan = self._plan()
            step, wanted = pack(plan, self._running.tails, self._model.rotate)
        yield from self._take_finished()
        if step.ids:
            start = time.perf_counter()
            try:
                logits = self._model.forward(step, [place for _, places in wanted for place in places])
            except Exception as error:
                self._fail_running(step_failed(error))
                yield from self._take_finished()
                return
            self._count(plan, time.perf_counter() - start)
            self._collect(plan, wanted, logits)
            seconds = time.perf_counter() - began
            self.stats.seconds += seconds
            self._pace.note(plan.decoded, plan.read, plan.before, seconds)
            yield from self._take_finished()

    def abandon(self, error: Exception) -> list[Finished]:
        """End every request."""
        for request in list(self._requests):
            self._end(request, None, error)
        return self._take_finished()

    def _take_finished(self) -> list[Finished]:
        finished, self._finished = self._finished, []
        return finished

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
        reserved = sum(s.request.future_tokens(s) for s in self._running.sequences)
        for sequence in list(self._waiting):
            if sequence not in sequence.request.sequences:
                continue  # another one of its request found no room, which ended the request
            found = self._find(sequence, now)
            if found is None:
                continue
            tip, covered = found
            need = sequence.request.future_tokens(sequence) - (covered - sequence.covered)
            size = self._pool.bytes_of(reserved + need) + self._pool.pinned + self._pool.charged
            if self._running.sequences and size > self._pool.limit:
                return
            self._waiting.remove(sequence)
            try:
                self._running.start(sequence, tip, covered)
            except OutOfKV as error:
                self._running.stop(sequence)
                if self._running.sequences or self._give_up_idle():
                    self._waiting.append(sequence)
                    return
                self._end(sequence.request, None, error)
                continue
            reserved += need
            self.stats.reused += covered - min(covered, sequence.request.covered)
            if sequence.pending == 0:
                self._finish_read(sequence)

    def _find(self, sequence: Sequence, now: float) -> tuple[PrefixEnd, int] | None:
        """How far the KV of a waiting sequence is there; None while somebody is computing more of it, who then is as urgent."""
        request = sequence.request
        goal = len(sequence.ids) - request.must_run()
        tip, covered = request.base, request.covered
        if covered > goal:
            return self._pool.back(tip, covered - goal), goal
        tip, more = self._pool.match(tip, sequence.ids[covered:goal])
        if tip.length > tip.segment.ready:
            reader = tip.segment.grower
            assert isinstance(reader, Sequence)
            reader.request.inherit(request.urgency(now), now)
            return None
        return tip, covered + more

    def _plan(self) -> StepPlan:
        """Every sequence that decodes gets its token; prompts get what may be read beside them."""
        running = self._running
        while True:
            try:
                running.leave_arena()
                rows = [sequence for sequence in running.sequences if sequence.pending == 1]
                for sequence in rows:
                    running.make_room(sequence)
                break
            except OutOfKV as error:
                self._preempt(error)
        now = time.monotonic()
        prompts = [sequence for sequence in running.sequences if sequence.pending > 1]
        prompts.sort(key=lambda s: -s.request.urgency(now))
        budget = self._pace.budget(len(rows), prompts[0].covered) if prompts else 0
        chunks: list[tuple[Sequence, int]] = []
        for sequence in prompts:
            if budget > 0:
                chunks.append((sequence, min(budget, sequence.pending)))
                budget -= sequence.pending
        plain = [s for s in rows if all(view.plain for view in s.segment.prefix)]
        odd = [s for s in rows if s not in plain] if len(plain) < len(rows) else []
        # Neighbours share views, and the arena's order is kept where it can be.
        plain.sort(key=lambda s: (s.order, s.slot))
        return StepPlan(chunks, odd, plain, prompts[0].covered if prompts else 0)

    def _preempt(self, error: OutOfKV) -> None:
        """Memory ran out in the middle: give up idle contexts' KV, else the least urgent sequence, which is read again later."""
        if self._give_up_idle():
            return
        now = time.monotonic()
        victim = min(
            self._running.sequences, key=lambda s: (s.request.urgency(now), -s.request.serial, -s.order[-1])
        )
        self._running.stop(victim)
        if not self._running.sequences:
            self._end(victim.request, None, error)
            return
        self._waiting.append(victim)
        self.stats.preempted += 1

    def _give_up_idle(self) -> bool:
        """Unpin KV that could be computed again: what requests hold beyond their running sequences, then idle contexts'."""
        root = PrefixEnd(self._pool.root, 0)
        held = [r for r in self._requests if r.covered and self._pool.rebuildable(r.base)]
        for request in held:
            self._pool.unpin(request.pins)
            request.base, request.covered, request.pins = root, 0, ()
        return bool(held) or self._spill()

    # after the step

    def _collect(self, plan: StepPlan, wanted: Wanted, logits: torch.Tensor | None) -> None:
        """Take in what was computed: KV that is there now, scores, and the next token of each branch."""
        with self._pool.lock:
            for sequence, count in plan.all():
                self._running.advance(sequence, count)
        for sequence, _ in plan.all():
            if isinstance(sequence.request, Read) and sequence.pending == 0:
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
        drawn: list[tuple[Sequence, Generate, Branch]] = []
        for sequence, row in drawing:
            request = sequence.request
            assert isinstance(request, Generate)
            for branch in [sequence.branch] if sequence.branch else request.branches:
                drawn.append((sequence, request, branch))
                rows.append(row)
        if rows != list(range(len(logits))):
            logits = logits[torch.tensor(rows, device=logits.device)]
        tokens, faults = sample_step(self._model, [(request, branch) for _, request, branch in drawn], logits)
        for request, fault in faults.items():
            self._end(request, None, fault)
        written = [(each, token) for each, token in zip(drawn, tokens, strict=True) if each[1] not in faults]
        drawn = [each for each, _ in written]
        shown: dict[Generate, list[Token]] = {}
        for (_, request, branch), token in written:
            request.generated += 1
            piece = branch.push(token, self._model.end_ids)
            if piece is not None:
                shown.setdefault(request, []).append(piece)
        with self._pool.lock:
            self._go_on([(sequence, branch) for sequence, _, branch in drawn])
        for request, pieces in shown.items():
            assert request.show is not None
            request.show(pieces)
        for request in {request: None for _, request, _ in drawn}:
            if all(branch.reason is not None for branch in request.branches):
                self._end(request, request.branches)

    def _go_on(self, drawn: list[tuple[Sequence, Branch]]) -> None:
        """Sequences that got a token go on, end, or fork."""
        forks: dict[Sequence, list[Branch]] = {}
        ended: list[Sequence] = []
        for sequence, branch in drawn:
            if sequence.branch is None:
                forks.setdefault(sequence, []).append(branch)
            elif branch.reason is None:
                sequence.ids.append(branch.ids[-1])
            else:
                ended.append(sequence)
        self._running.finish(ended)
        for sequence, branches in forks.items():
            self._waiting += self._running.fork(sequence, branches)

    def _finish_read(self, sequence: Sequence) -> None:
        request = sequence.request
        assert isinstance(request, Read) and sequence.tip is not None
        pins = sequence.tip.pins()
        self._pool.pin(pins)
        request.outcome = (sequence.tip, pins, sequence.reused)
        self._end(request, request.outcome)

    def _end(self, request: Request, outcome: object, error: BaseException | None = None) -> None:
        """Take a request out."""
        with self._pool.lock:
            for sequence in request.sequences:
                self._running.stop(sequence)
            request.sequences = []
            self._waiting = [s for s in self._waiting if s.request is not request]
            self._requests.remove(request)
            self._pool.unpin(request.pins)
            if error is not None:
                request.discard(self._pool)
        self._finished.append(Finished(request, outcome, error))

    def _fail_running(self, error: Exception) -> None:
        for request in {s.request: None for s in self._running.sequences}:
            self._end(request, None, error)

    def _count(self, plan: StepPlan, forward: float) -> None:
        self.stats.steps += 1
        self.stats.prefilled += plan.read
        self.stats.decoded += plan.decoded
        self.stats.forward_seconds += forward
