"""Continuous batching: which sequences run in a step, with how many tokens, and what is evicted."""

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
    PrefillResult,
    Request,
    ScoreRequest,
    Sequence,
)
from braid.engine.local.scheduler.running import RunningSet
from braid.engine.local.scheduler.sampling import force_token, sample_step
from braid.engine.types import Token

_FIRST_LENGTH = 64.0
"""Tokens that a completion is expected to have before one has ended."""
_NEWEST = 0.1
"""Weight of the newest completion in their usual length."""


@dataclass
class Stats:
    """Counts since the start."""

    steps: int = 0
    prefilled: int = 0
    """Prompt tokens that were read."""
    decoded: int = 0
    """Tokens that were read behind prompts."""
    forced: int = 0
    """Tokens that were the only ones that a grammar allowed, and took no step of their own."""
    reused: int = 0
    """Prompt tokens whose KV was found in the tree, beyond that of the continued context."""
    preempted: int = 0
    """Sequences that were stopped to make room."""
    seconds: float = 0.0
    """Duration of all steps."""
    forward_seconds: float = 0.0
    """Duration of the model's part in them."""


_MOST_LOGITS = 2**26
"""Most logits that scoring computes in one step: 256 MiB."""


def step_failed(error: Exception) -> EngineError:
    """The error for callers when a step fails, out of memory on the device for example."""
    failure = EngineError(f"the model's step failed: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure


class Scheduler:
    """Runs requests step by step. It belongs to the model's thread.

    `evict_idle_context` evicts the KV of an idle context and returns whether it could. A step reads at most
    `chunk` prompt tokens, and `row` tokens of a sequence that decodes: the one that was sampled, and those
    behind it that a grammar forces.
    """

    def __init__(
        self, model: Model, pool: Pool, evict_idle_context: Callable[[], bool], *, chunk: int, row: int
    ) -> None:
        self.stats = Stats()
        self._model = model
        self._pool = pool
        self._evict_idle_context = evict_idle_context
        self._requests: list[Request] = []
        self._finished: list[Finished] = []
        self._untaken: list[GenerateRequest] = []
        self._waiting: list[Sequence] = []
        self._running = RunningSet(pool)
        self._chunk_sizer = ChunkSizer(chunk)
        self._usual_length = _FIRST_LENGTH
        self._row_tokens = row

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
        """End every request with `error`."""
        for request in list(self._requests):
            self._finish(request, None, error)
        return self._take_finished()

    def _take_finished(self) -> list[Finished]:
        finished, self._finished = self._finished, []
        return finished

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
        """Start the most urgent sequences while there is room for what they are expected to need.

        What was expected wrongly is preempted.
        """
        if not self._waiting:
            return
        now = time.monotonic()
        self._waiting.sort(key=lambda s: (-s.request.urgency(now), s.request.serial))
        usual = self._usual_length
        reserved = sum(s.request.num_future_tokens(s, usual) for s in self._running.sequences)
        for sequence in list(self._waiting):
            if sequence not in sequence.request.sequences:
                continue  # its request ended: another sequence of that request found no room
            match = self._match_prefix(sequence, now)
            if match is None:
                continue
            prefix, num_computed_tokens = match
            need = sequence.request.num_future_tokens(sequence, usual) - (
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
        """The end of the KV that a waiting sequence can reuse, and the number of tokens up to it.

        Returns:
            None while another request is computing more of it. That one becomes as urgent.
        """
        request = sequence.request
        num_reusable_tokens = len(sequence.token_ids) - request.num_logits()
        prefix, num_computed_tokens = request.prefix, request.num_computed_tokens
        if num_computed_tokens > num_reusable_tokens:
            return self._pool.rewind(prefix, num_computed_tokens - num_reusable_tokens), num_reusable_tokens
        prefix, num_matched = self._pool.match(
            prefix, sequence.token_ids[num_computed_tokens:num_reusable_tokens]
        )
        if not prefix.computed:
            writer = prefix.segment.writer
            assert isinstance(writer, Sequence)
            writer.request.inherit_priority(request.urgency(now), now)
            return None
        return prefix, num_computed_tokens + num_matched

    def _plan(self) -> StepPlan:
        """Every sequence that decodes gets its token. Prompts get what may be read beside them."""
        running = self._running
        while True:
            try:
                running.flush_long_tails()
                rows = [sequence for sequence in running.sequences if self._decodes(sequence)]
                for sequence in rows:
                    running.reserve_tokens(sequence)
                break
            except OutOfKV as error:
                self._preempt(error)
        now = time.monotonic()
        prompts = [sequence for sequence in running.sequences if not self._decodes(sequence)]
        prompts.sort(key=lambda s: -s.request.urgency(now))
        decoded = sum(sequence.num_new_tokens for sequence in rows)
        budget = self._chunk_sizer.token_budget(decoded, prompts[0].num_computed_tokens) if prompts else 0
        chunks: list[tuple[Sequence, int]] = []
        num_logits = max(2, _MOST_LOGITS // self._model.vocabulary)
        for sequence in prompts:
            count = min(budget, sequence.num_new_tokens)
            if isinstance(sequence.request, ScoreRequest):
                unscored = sequence.num_new_tokens - sequence.request.num_logits()
                count = min(count, max(0, unscored) + num_logits)
                num_logits -= max(0, count - max(0, unscored))
            if count > 0:
                chunks.append((sequence, count))
                budget -= count
        plain = [
            s
            for s in rows
            if (s.slot >= 0 or s.num_new_tokens == 1) and all(view.plain for view in s.segment.prefix_views)
        ]
        others = [s for s in rows if s not in plain] if len(plain) < len(rows) else []
        # Neighbours share views, and the arena's order is kept where it can be.
        plain.sort(key=lambda s: (s.view_order, s.slot))
        return StepPlan(
            chunks,
            [(sequence, sequence.num_new_tokens) for sequence in others],
            [(sequence, sequence.num_new_tokens) for sequence in plain],
            prompts[0].num_computed_tokens if prompts else 0,
        )

    def _decodes(self, sequence: Sequence) -> bool:
        """Whether a sequence reads all of its new tokens in this step, behind those of a prompt."""
        return sequence.num_new_tokens <= (self._row_tokens if sequence.branch else 1)

    def _preempt(self, error: OutOfKV) -> None:
        """Make room when memory runs out in the middle.

        Idle contexts lose their KV first. Then the least urgent sequence is stopped, and read again later.
        """
        if self._evict_idle():
            return
        now = time.monotonic()
        victim = min(
            self._running.sequences,
            key=lambda s: (s.request.urgency(now), -s.request.serial, -s.view_order[-1]),
        )
        in_slot = victim.slot >= 0
        self._running.stop(victim)
        if not self._running.sequences and not in_slot:
            self._finish(victim.request, None, error)
            return
        # Slots grow in large steps. The only sequence shares them with nobody, and does without from now on.
        victim.uses_slots = bool(self._running.sequences)
        self._waiting.append(victim)
        self.stats.preempted += 1

    def _evict_idle(self) -> bool:
        """Release KV that could be computed again.

        It is what requests hold beyond their running sequences and what results hold that nobody has taken
        yet, then what idle contexts hold.
        """
        self._untaken = [request for request in self._untaken if not request.taken]
        given_up = [request.give_up(self._pool) for request in (*self._requests, *self._untaken)]
        return any(given_up) or self._evict_idle_context()

    def _collect(self, plan: StepPlan, logits_indices: LogitsIndices, logits: torch.Tensor | None) -> None:
        """Take in what was computed: KV, scores, and the next token of each branch."""
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
                sequence.request.add_logits(logits[at : at + len(places)])
                if sequence.num_new_tokens == 0:
                    self._finish(sequence.request, sequence.request.scores)
            else:
                sampled.append((sequence, at))
            at += len(places)
        if sampled:
            assert logits is not None
            self._sample(sampled, logits)

    def _sample(self, sampled: list[tuple[Sequence, int]], logits: torch.Tensor) -> None:
        """Sample the next token of each sequence, or the first ones of all its branches where it forks."""
        rows: list[int] = []
        targets: list[tuple[Sequence, GenerateRequest, Branch]] = []
        for sequence, row in sampled:
            request = sequence.request
            assert isinstance(request, GenerateRequest)
            for branch in [sequence.branch] if sequence.branch else request.branches:
                targets.append((sequence, request, branch))
                rows.append(row)
        if rows != list(range(len(logits))):
            logits = logits[torch.tensor(rows, device=logits.device)]
        tokens, faults = sample_step(
            self._model, [(request, branch) for _, request, branch in targets], logits
        )
        streamed: dict[GenerateRequest, list[Token]] = {}
        continued: list[tuple[Sequence, Branch]] = []
        requests: dict[GenerateRequest, None] = {}
        for row, ((sequence, request, branch), token) in enumerate(zip(targets, tokens, strict=True)):
            failed = faults.get(row)
            pieces = [branch.give_up(failed)] if failed else self._push(request, branch, token)
            if branch.streamed:
                streamed.setdefault(request, []).extend(piece for piece in pieces if piece is not None)
            continued.append((sequence, branch))
            requests[request] = None
        with self._pool.mutex:
            self._continue(continued)
        for request, pieces in streamed.items():
            assert request.on_tokens is not None
            if request.fault() is None:
                request.on_tokens(pieces)
        for request in requests:
            if all(branch.finish_reason is not None for branch in request.branches):
                for branch in request.branches:
                    self._usual_length += _NEWEST * (len(branch.token_ids) - self._usual_length)
                self._finish(request, request.branches, request.fault())

    def _push(self, request: GenerateRequest, branch: Branch, token: int) -> list[Token | None]:
        """Take in a sampled token, and those that its grammar forces behind it. Returns what may be shown."""
        pieces = [branch.push(token, self._model.end_ids)]
        try:
            while len(pieces) < self._row_tokens and (forced := force_token(request, branch)) is not None:
                pieces.append(branch.push(forced, self._model.end_ids))
        except EngineError as error:
            return [*pieces, branch.give_up(error)]
        finally:
            request.generated += len(pieces)
            self.stats.forced += len(pieces) - 1
        return pieces

    def _continue(self, sampled: list[tuple[Sequence, Branch]]) -> None:
        """Continue, end or fork the sequences that got a token."""
        forks: dict[Sequence, list[Branch]] = {}
        ended: list[Sequence] = []
        for sequence, branch in sampled:
            if sequence.branch is None:
                forks.setdefault(sequence, []).append(branch)
            elif branch.finish_reason is None:
                written = len(sequence.token_ids) - len(sequence.request.token_ids)
                sequence.token_ids += branch.token_ids[written:]
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
        request.result = PrefillResult(sequence.prefix, locks, sequence.num_reused_tokens)
        self._finish(request, request.result)

    def _finish(self, request: Request, result: object, error: BaseException | None = None) -> None:
        """Take a request out."""
        with self._pool.mutex:
            for sequence in request.sequences:
                self._running.stop(sequence)
            request.sequences = []
            self._waiting = [s for s in self._waiting if s.request is not request]
            self._requests.remove(request)
            self._pool.release(request.locks)
            request.num_computed_tokens, request.locks = 0, ()
            if error is not None:
                request.discard(self._pool)
            elif isinstance(request, GenerateRequest):
                self._untaken = [each for each in self._untaken if not each.taken]
                self._untaken.append(request)
        self._finished.append(Finished(request, result, error))

    def _fail_running(self, error: Exception) -> None:
        for request in {s.request: None for s in self._running.sequences}:
            self._finish(request, None, error)

    def _update_stats(self, plan: StepPlan, forward: float) -> None:
        self.stats.steps += 1
        self.stats.prefilled += plan.num_prefill_tokens
        self.stats.decoded += plan.num_decode_tokens
        self.stats.forward_seconds += forward
