"""Requests to the scheduler, and the sequences that it runs for them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from collections.abc import Sequence as Listing
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from braid.engine.errors import EngineError
from braid.engine.local.kv import Locks, Pool, PrefixEnd, Segment, View
from braid.engine.local.model import BranchSampler, Detokenizer, TextCodec, TokenMasks, top_logprobs
from braid.engine.local.scheduler.branch import Branch
from braid.engine.scope import Budget
from braid.engine.types import SamplingParams, Token

_serial = itertools.count()
_ROWS = 16
"""Rows of logits that are scored at a time."""


class Request:
    """Work on `token_ids`, of which the KV of the first `num_computed_tokens` ends at `prefix`.

    Made on the caller's side, run by the scheduler. `locks` hold `prefix`.
    """

    def __init__(
        self,
        ids: Listing[int],
        prefix: PrefixEnd,
        num_computed_tokens: int,
        locks: Locks,
        *,
        scope: Budget,
        priority: float = 0.0,
    ) -> None:
        self.token_ids = list(ids)
        self.prefix = prefix
        self.num_computed_tokens = num_computed_tokens
        self.locks = locks
        self.scope = scope
        self.priority = priority
        self.serial = next(_serial)
        self.arrived = time.monotonic()
        self.cancelled = False
        self.sequences: list[Sequence] = []

    def num_logits(self) -> int:
        """Number of ids at the end of a sequence that are read for their logits, even if they have KV."""
        return 0

    def urgency(self, now: float) -> float:
        """Priority in seconds. It grows with the wait, so that nothing starves."""
        return self.priority + now - self.arrived

    def inherit_priority(self, urgency: float, now: float) -> None:
        """Become at least as urgent as a request that waits for what this one reads."""
        self.priority = max(self.priority, urgency - (now - self.arrived))

    def num_future_tokens(self, sequence: Sequence, usual: float) -> int:
        """Number of tokens of KV that `sequence` is expected to need. Completions have `usual` tokens."""
        return sequence.num_new_tokens

    def give_up(self, pool: Pool) -> bool:
        """Release KV that it holds beyond its running sequences, where that can be computed again.

        Returns:
            False when there is none.
        """
        if not self.num_computed_tokens or not pool.recomputable(self.prefix):
            return False
        pool.release(self.locks)
        self.prefix, self.num_computed_tokens, self.locks = pool.start(self.prefix.segment.adapter), 0, ()
        return True

    def start(self) -> Sequence:
        """The first sequence of the request."""
        sequence = Sequence(self, self.token_ids)
        self.sequences = [sequence]
        return sequence

    def discard(self, pool: Pool) -> None:
        """Release what a result holds that nobody receives."""


@dataclass(frozen=True)
class Finished:
    """A request that the scheduler is done with."""

    request: Request
    result: Any
    """What the kind of request produces. None after an error."""
    error: BaseException | None = None


class PrefillResult(NamedTuple):
    """Where the KV of a prompt ends."""

    prefix: PrefixEnd
    locks: Locks
    """Locks on `prefix`, held for the receiver."""
    num_reused_tokens: int
    """Tokens whose KV was there already."""


class PrefillRequest(Request):
    """Makes the KV of all of `token_ids`. The result is a `PrefillResult`."""

    result: PrefillResult | None = None

    def discard(self, pool: Pool) -> None:
        if self.result is not None:
            pool.release(self.result.locks)
            self.result = None


class ScoreRequest(Request):
    """The log-probability of each of the last `count` ids. The result is a list of them.

    `best` has the `top` likeliest ids in place of each, with their log-probabilities.
    """

    def __init__(self, *args: Any, count: int, top: int = 0, **options: Any) -> None:
        super().__init__(*args, **options)
        self.top = top
        self.best: list[list[tuple[int, float]]] = []
        self.targets = self.token_ids[-count:]
        self.token_ids = self.token_ids[:-1]
        self.scores: list[float] = []

    def num_logits(self) -> int:
        return len(self.targets) - len(self.scores)

    def add_logits(self, logits: torch.Tensor) -> None:
        """Add logits [tokens, vocabulary] of the next tokens of `token_ids`."""
        num_done = len(self.scores)
        targets = torch.tensor(self.targets[num_done : num_done + len(logits)], device=logits.device)
        # A few rows at a time, since each takes a megabyte with a large vocabulary.
        for rows, ids in zip(logits.split(_ROWS), targets.split(_ROWS), strict=True):
            logprobs = torch.log_softmax(rows, -1)
            self.scores += logprobs.gather(1, ids[:, None])[:, 0].tolist()
            if self.top:
                self.best += [top_logprobs(row, self.top) for row in logprobs]


class GenerateRequest(Request):
    """Samples `params.n` branches behind `token_ids`. The result is the list of branches."""

    def __init__(
        self,
        *args: Any,
        params: SamplingParams,
        codec: TextCodec,
        masks: TokenMasks | None = None,
        on_tokens: Callable[[list[Token]], None] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.params = params
        self.masks = masks
        self.on_tokens = on_tokens
        self.generated = 0
        self.taken = False
        """Whether the branches' locks are somebody else's now. The pool's mutex guards it."""
        self.samplers = BranchSampler.of_branches(params, self.token_ids)
        end_of_prompt = self.token_ids[-8:]
        self.branches = [
            Branch(index, params, Detokenizer(codec, end_of_prompt), streamed=on_tokens is not None)
            for index in range(params.n)
        ]

    def fault(self) -> EngineError | None:
        """Why every branch was given up. None while one was not."""
        faults = [branch.fault for branch in self.branches]
        return None if None in faults else faults[0]

    def num_logits(self) -> int:
        return 1

    def num_future_tokens(self, sequence: Sequence, usual: float) -> int:
        if sequence.branch is None:
            return sequence.num_new_tokens + self._num_expected_tokens(0, usual) * self.params.n
        return sequence.num_new_tokens + self._num_expected_tokens(len(sequence.branch.token_ids), usual)

    def _num_expected_tokens(self, written: int, usual: float) -> int:
        """Number of tokens that a branch is expected to write still.

        It is what completions usually have. One that has more already is expected to double.
        """
        longest = self.params.max_tokens
        return (longest if self.params.endless else min(longest, max(int(usual), 2 * written))) - written

    def give_up(self, pool: Pool) -> bool:
        given = super().give_up(pool)
        for branch in self.branches:  # those that ended
            if branch.prefix is not None and branch.num_computed_tokens and pool.recomputable(branch.prefix):
                pool.release(branch.locks)
                branch.prefix, branch.num_computed_tokens = pool.start(branch.prefix.segment.adapter), 0
                branch.locks = branch.prefix.locks()
                pool.acquire(branch.locks)
                given = True
        return given

    def discard(self, pool: Pool) -> None:
        with pool.mutex:
            self.taken = True
            for branch in self.branches:
                pool.release(branch.locks)
                branch.locks = ()


class Sequence:
    """A sequence of the batch: its ids, and how far their KV goes.

    KV ends at `prefix`. It continues in the arena when the sequence has a `slot`. `is_writer` says that the
    sequence appends to the segment of `prefix`.
    """

    def __init__(self, request: Request, ids: Listing[int], branch: Branch | None = None) -> None:
        self.request = request
        self.token_ids = list(ids)
        self.branch = branch
        self.num_computed_tokens = 0
        self.num_tree_tokens = 0
        """Number of tokens whose KV is in the tree, up to `prefix`. Those of the tail are not counted."""
        self.num_reused_tokens = 0
        self.prefix: PrefixEnd | None = None
        self.is_writer = False
        self.slot = -1
        self.uses_slots = True
        self.locks: Locks = ()
        self.views: tuple[View, ...] = ()
        self.view_order: tuple[int, ...] = ()

    @property
    def num_new_tokens(self) -> int:
        """Number of tokens to read before the next one can be sampled."""
        return len(self.token_ids) - self.num_computed_tokens

    @property
    def segment(self) -> Segment:
        assert self.prefix is not None
        return self.prefix.segment

    def num_kept_tokens(self, branch: Branch | None = None) -> int:
        """Number of tokens of KV that the context of `branch`, by default its own, covers."""
        branch = branch or self.branch
        assert branch is not None
        kept, _ = branch.kept_tokens()
        return min(len(self.request.token_ids) + kept, self.num_computed_tokens)

    def move_to(self, prefix: PrefixEnd) -> None:
        """Record where the KV ends, and the order among sequences that see the same views."""
        self.prefix = prefix
        self.views = prefix.segment.prefix_views if self.is_writer else prefix.views()
        self.view_order = (
            *(view.segment.serial for view in prefix.segment.prefix_views),
            prefix.segment.serial,
        )
