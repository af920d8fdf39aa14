"""Continuous batching: which sequences run in a step, with how many tokens, and whose memory goes when there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from braid.engine.errors import EngineError
from braid.engine.local.kv import OutOfKV, Pool, PrefixEnd
from braid.engine.local.model import Model
from braid.engine.local.scheduler.batch import LogitsIndices, StepPlan, pack
from braid.engine.local.scheduler.branch import Branch
from braid.engine.local.scheduler.chunk_size import ChunkSizer
from braid.engine.local.scheduler.request import (
    Finished,
    GenerateRequest,
    PrefillRequest,
    Request,
    ScoreRequest,
    Sequence,
)
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

    `evict_idle_context` gives up KV of idle contexts and says whether it could; a step reads at most `chunk` tokens of prompts.
    """

    def __init__(
        self, model: Model, pool: Pool, evict_idle_context: Callable[[], bool], *, chunk: int
    ) -> None:
        self.stats = Stats()
        self._model = model
        self._pool = pool
        self._evict_idle_context = evict_idle_context
        self._requests: list[Request] = []
        self._finished: list[Finished] = []
        self._waiting: list[Sequence] = []
        self._running = RunningSet(pool)
        self._chunk_sizer = ChunkSizer(chunk)

    @property
    def busy(self) -> bool:
        return bool(self._requests)

    def add(self, request: Request) -> None:
        self._requests.append(request)
        self._waiting.append(request.start())

    def step(self) -> Iterator[Finished]:
        """Drop, admit, run, collect. Yields the requests that finish, before the forward and after it."""
        began = time.perf_counter()
        self._drop_cancelled()
        with self._pool.mutex:
            self._admit()
            plan = self._plan()
            step, logits_indices = pack(plan, self._running.tails, self._model.rotate)
        yield from self._take_finished()
        if step.token_ids:
            start = time.perf_counter()
            try:
                logits = self._model.forward(
                    step, [place for _, places in logits_indices for place in places]
                )
            except Exception as error:
                self._fail_running(step_failed(error))
                yield from self._take_finished()
                return
            self._update_stats(plan, time.perf_counter() - start)
            self._collect(plan, logits_indices, logits)
            seconds = time.perf_counter() - began
            self.stats.seconds += seconds
            self._chunk_sizer.record(
                plan.num_decode_tokens, plan.num_prefill_tokens, plan.num_tokens_before, seconds
            )
            yield from self._take_finished()

    def fail_all(self, error: Exception) -> list[Finished]:
        """End every request."""
        for request in list(self._requests):
            self._finish(request, None, error)
        return self._take_finished()

    def _take_finished(self) -> list[Finished]:
        finished, self._finished = self._finished, []
        return finished

    # before the step

    def _drop_cancelled(self) -> None:
        for request in list(self._requests):
            if request.cancelled:
                self._finish(request, None, EngineError("the request was cancelled"))
                continue
            try:
                request.scope.check_time()
            except Exception as error:
                self._finish(request, None, error)

    def _admit(self) -> None:
        """Start what is most urgent while there is room for all that it may come to need."""
        if not self._waiting:
            return
        now = time.monotonic()
        self._waiting.sort(key=lambda s: (-s.request.urgency(now), s.request.serial))
        reserved = sum(s.request.num_future_tokens(s) for s in self._running.sequences)
        for sequence in list(self._waiting):
            if sequence not in sequence.request.sequences:
                continue  # another one of its request found no room, which ended the request
            match = self._match_prefix(sequence, now)
            if match is None:
                continue
            prefix, num_computed_tokens = match
            need = sequence.request.num_future_tokens(sequence) - (
                num_computed_tokens - sequence.num_computed_tokens
            )
            size = self._pool.bytes_of(reserved + need) + self._pool.locked_bytes + self._pool.charged_bytes
            if self._running.sequences and size > self._pool.limit_bytes:
                return
            self._waiting.remove(sequence)
            try:
                self._running.start(sequence, prefix, num_computed_tokens)
            except OutOfKV as error:
                self._running.stop(sequence)
                if self._running.sequences or self._evict_idle():
                    self._waiting.append(sequence)
                    return
                self._finish(sequence.request, None, error)
                continue
            reserved += need
            self.stats.reused += num_computed_tokens - min(
                num_computed_tokens, sequence.request.num_computed_tokens
            )
            if sequence.num_new_tokens == 0:
                self._finish_prefill(sequence)

    def _match_prefix(self, sequence: Sequence, now: float) -> tuple[PrefixEnd, int] | None:
        """How far the KV of a waiting sequence is there; None while somebody is computing more of it, who then is as urgent."""
        request = sequence.request
        num_reusable_tokens = len(sequence.token_ids) - request.num_logits()
        prefix, num_computed_tokens = request.prefix, request.num_computed_tokens
        if num_computed_tokens > num_reusable_tokens:
            return self._pool.rewind(prefix, num_computed_tokens - num_reusable_tokens), num_reusable_tokens
        prefix, more = self._pool.match(prefix, sequence.token_ids[num_computed_tokens:num_reusable_tokens])
        if prefix.length > prefix.segment.num_computed_tokens:
            reader = prefix.segment.writer
            assert isinstance(reader, Sequence)
            reader.request.inherit_priority(request.urgency(now), now)
            return None
        return prefix, num_computed_tokens + more

    def _plan(self) -> StepPlan:
        """Every sequence that decodes gets its token; prompts get what may be read beside them."""
        running = self._running
        while True:
            try:
                running.flush_long_tails()
                rows = [sequence for sequence in running.sequences if sequence.num_new_tokens == 1]
                for sequence in rows:
                    running.reserve_token(sequence)
                break
            except OutOfKV as error:
                self._preempt(error)
        now = time.monotonic()
        prompts = [sequence for sequence in running.sequences if sequence.num_new_tokens > 1]
        prompts.sort(key=lambda s: -s.request.urgency(now))
        budget = self._chunk_sizer.token_budget(len(rows), prompts[0].num_computed_tokens) if prompts else 0
        chunks: list[tuple[Sequence, int]] = []
        for sequence in prompts:
            if budget > 0:
                chunks.append((sequence, min(budget, sequence.num_new_tokens)))
                budget -= sequence.num_new_tokens
        plain = [s for s in rows if all(view.plain for view in s.segment.prefix_views)]
        odd = [s for s in rows if s not in plain] if len(plain) < len(rows) else []
        # Neighbours share views, and the arena's order is kept where it can be.
        plain.sort(key=lambda s: (s.view_order, s.slot))
        return StepPlan(chunks, odd, plain, prompts[0].num_computed_tokens if prompts else 0)

    def _preempt(self, error: OutOfKV) -> None:
        """Memory ran out in the middle: give up idle contexts' KV, else the least urgent sequence, which is read again later."""
        if self._evict_idle():
            return
        now = time.monotonic()
        victim = min(
            self._running.sequences,
            key=lambda s: (s.request.urgency(now), -s.request.serial, -s.view_order[-1]),
        )
        self._running.stop(victim)
        if not self._running.sequences:
            self._finish(victim.request, None, error)
            return
        self._waiting.append(victim)
        self.stats.preempted += 1

    def _evict_idle(self) -> bool:
        """Unpin KV that could be computed again: what requests hold beyond their running sequences, then idle contexts'."""
        root = PrefixEnd(self._pool.root, 0)
        held = [r for r in self._requests if r.num_computed_tokens and self._pool.recomputable(r.prefix)]
        for request in held:
            self._pool.release(request.locks)
            request.prefix, request.num_computed_tokens, request.locks = root, 0, ()
        return bool(held) or self._evict_idle_context()

    # after the step

    def _collect(self, plan: StepPlan, logits_indices: LogitsIndices, logits: torch.Tensor | None) -> None:
        """Take in what was computed: KV that is there now, scores, and the next token of each branch."""
        with self._pool.mutex:
            for sequence, count in plan.scheduled():
                self._running.advance(sequence, count)
        for sequence, _ in plan.scheduled():
            if isinstance(sequence.request, PrefillRequest) and sequence.num_new_tokens == 0:
                self._finish_prefill(sequence)
        sampled: list[tuple[Sequence, int]] = []
        at = 0
        for sequence, places in logits_indices:
            assert logits is not None
            if isinstance(sequence.request, ScoreRequest):
                sequence.request.take(logits[at : at + len(places)])
                if sequence.num_new_tokens == 0:
                    self._finish(sequence.request, sequence.request.scores)
            else:
                sampled.append((sequence, at))
            at += len(places)
        if sampled:
            assert logits is not None
            self._sample(sampled, logits)

    def _sample(self, sampled: list[tuple[Sequence, int]], logits: torch.Tensor) -> None:
        """Draw the next token of each sequence, or the first ones of all its branches where it forks."""
        rows: list[int] = []
        drawn: list[tuple[Sequence, GenerateRequest, Branch]] = []
        for sequence, row in sampled:
            request = sequence.request
            assert isinstance(request, GenerateRequest)
            for branch in [sequence.branch] if sequence.branch else request.branches:
                drawn.append((sequence, request, branch))
                rows.append(row)
        if rows != list(range(len(logits))):
            logits = logits[torch.tensor(rows, device=logits.device)]
        tokens, faults = sample_step(self._model, [(request, branch) for _, request, branch in drawn], logits)
        for request, fault in faults.items():
            self._finish(request, None, fault)
        written = [(each, token) for each, token in zip(drawn, tokens, strict=True) if each[1] not in faults]
        drawn = [each for each, _ in written]
        shown: dict[GenerateRequest, list[Token]] = {}
        for (_, request, branch), token in written:
            request.generated += 1
            piece = branch.push(token, self._model.end_ids)
            if piece is not None:
                shown.setdefault(request, []).append(piece)
        with self._pool.mutex:
            self._continue([(sequence, branch) for sequence, _, branch in drawn])
        for request, pieces in shown.items():
            assert request.on_tokens is not None
            request.on_tokens(pieces)
        for request in {request: None for _, request, _ in drawn}:
            if all(branch.finish_reason is not None for branch in request.branches):
                self._finish(request, request.branches)

    def _continue(self, drawn: list[tuple[Sequence, Branch]]) -> None:
        """Sequences that got a token go on, end, or fork."""
        forks: dict[Sequence, list[Branch]] = {}
        ended: list[Sequence] = []
        for sequence, branch in drawn:
            if sequence.branch is None:
                forks.setdefault(sequence, []).append(branch)
            elif branch.finish_reason is None:
                sequence.token_ids.append(branch.token_ids[-1])
            else:
                ended.append(sequence)
        self._running.finish(ended)
        for sequence, branches in forks.items():
            self._waiting += self._running.fork(sequence, branches)

    def _finish_prefill(self, sequence: Sequence) -> None:
        request = sequence.request
        assert isinstance(request, PrefillRequest) and sequence.prefix is not None
        locks = sequence.prefix.locks()
        self._pool.acquire(locks)
        request.outcome = (sequence.prefix, locks, sequence.num_reused_tokens)
        self._finish(request, request.outcome)

    def _finish(self, request: Request, outcome: object, error: BaseException | None = None) -> None:
        """Take a request out."""
        with self._pool.mutex:
            for sequence in request.sequences:
                self._running.stop(sequence)
            request.sequences = []
            self._waiting = [s for s in self._waiting if s.request is not request]
            self._requests.remove(request)
            self._pool.release(request.locks)
            if error is not None:
                request.discard(self._pool)
        self._finished.append(Finished(request, outcome, error))

    def _fail_running(self, error: Exception) -> None:
        for request in {s.request: None for s in self._running.sequences}:
            self._finish(request, None, error)

    def _update_stats(self, plan: StepPlan, forward: float) -> None:
        self.stats.steps += 1
        self.stats.prefilled += plan.num_prefill_tokens
        self.stats.decoded += plan.num_decode_tokens
        self.stats.forward_seconds += forward
