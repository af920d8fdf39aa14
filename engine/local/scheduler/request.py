"""What the scheduler is asked for, and the sequences that it runs for it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from collections.abc import Sequence as Listing
from dataclasses import dataclass
from typing import Any

import torch

from braid.engine.local.kv import Pins, Pool, PrefixEnd, Segment, View
from braid.engine.local.model import BranchSampler, Detokenizer, TextCodec, TokenMasks
from braid.engine.local.scheduler.branch import Branch
from braid.engine.scope import Budget
from braid.engine.types import SamplingParams, Token

_serial = itertools.count()


class Request:
    """Work on `ids`, of which the KV of the first `covered` ends at `base`, pinned with `pins`.

    Made on the caller's side, run by the scheduler.
    """

    def __init__(
        self,
        ids: Listing[int],
        base: PrefixEnd,
        covered: int,
        pins: Pins,
        *,
        scope: Budget,
        priority: float = 0.0,
    ) -> None:
        self.ids = list(ids)
        self.base = base
        self.covered = covered
        self.pins = pins
        self.scope = scope
        self.priority = priority
        self.serial = next(_serial)
        self.arrived = time.monotonic()
        self.cancelled = False
        self.sequences: list[Sequence] = []

    def must_run(self) -> int:
        """How many ids at the end of a sequence are read even if their KV is known, for their logits."""
        return 0

    def urgency(self, now: float) -> float:
        """Priority in seconds, and it grows with the wait, so that nothing starves."""
        return self.priority + now - self.arrived

    def inherit(self, urgency: float, now: float) -> None:
        """Become at least as urgent as somebody who waits for what this request reads."""
        self.priority = max(self.priority, urgency - (now - self.arrived))

    def future_tokens(self, sequence: Sequence) -> int:
        """How many tokens of KV `sequence` may still need."""
        return len(sequence.ids) - sequence.covered

    def start(self) -> Sequence:
        sequence = Sequence(self, self.ids)
        self.sequences = [sequence]
        return sequence

    def discard(self, pool: Pool) -> None:
        """Give back what an outcome that nobody wants holds."""


@dataclass(frozen=True)
class Finished:
    """A request that the scheduler is done with."""

    request: Request
    result: Any
    """What the kind of request produces. None after an error."""
    error: BaseException | None = None


class Read(Request):
    """Makes the KV of all of `ids`; the outcome is (tip, pins, tokens that were there already)."""

    outcome: tuple[PrefixEnd, Pins, int] | None = None

    def discard(self, pool: Pool) -> None:
        if self.outcome is not None:
            pool.unpin(self.outcome[1])
            self.outcome = None


class Score(Request):
    """The log-probability of each of the last `count` ids; the outcome is a list of them."""

    def __init__(self, *args: Any, count: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self.targets = self.ids[-count:]
        self.ids = self.ids[:-1]
        self.scores: list[float] = []

    def must_run(self) -> int:
        return len(self.targets) - len(self.scores)

    def take(self, logits: torch.Tensor) -> None:
        """Logits [tokens, vocabulary] of the next tokens of `ids`."""
        done = len(self.scores)
        targets = torch.tensor(self.targets[done : done + len(logits)], device=logits.device)
        self.scores += torch.log_softmax(logits, -1).gather(1, targets[:, None])[:, 0].tolist()


class Generate(Request):
    """Samples `params.n` branches behind `ids`; the outcome is the list of branches."""

    def __init__(
        self,
        *args: Any,
        params: SamplingParams,
        codec: TextCodec,
        masks: TokenMasks | None = None,
        show: Callable[[list[Token]], None] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.params = params
        self.masks = masks
        self.show = show
        self.generated = 0
        self.draws = BranchSampler.of_branches(params, self.ids)
        before = self.ids[-8:]
        self.branches = [
            Branch(index, params, Detokenizer(codec, before), streamed=show is not None)
            for index in range(params.n)
        ]

    def must_run(self) -> int:
        return 1

    def future_tokens(self, sequence: Sequence) -> int:
        each = self.params.max_tokens
        if sequence.branch is None:
            return len(sequence.ids) - sequence.covered + each * self.params.n
        return len(self.ids) + each - sequence.covered

    def discard(self, pool: Pool) -> None:
        for branch in self.branches:
            pool.unpin(branch.pins)
            branch.pins = ()


class Sequence:
    """A row of the batch: ids, and how far their KV goes.

    KV ends at `tip`; then, when it has a `slot`, goes on in the arena. `grows` says that it appends to `tip.segment`.
    """

    def __init__(self, request: Request, ids: Listing[int], branch: Branch | None = None) -> None:
        self.request = request
        self.ids = list(ids)
        self.branch = branch
        self.covered = 0
        self.settled = 0
        """How many tokens have their KV in the tree, up to `tip`; those of the tail come on top."""
        self.reused = 0
        self.tip: PrefixEnd | None = None
        self.grows = False
        self.slot = -1
        self.pins: Pins = ()
        self.views: tuple[View, ...] = ()
        self.order: tuple[int, ...] = ()

    @property
    def pending(self) -> int:
        """How many tokens are to be read before the next one can be sampled."""
        return len(self.ids) - self.covered

    @property
    def segment(self) -> Segment:
        assert self.tip is not None
        return self.tip.segment

    def needed(self, branch: Branch | None = None) -> int:
        """How many tokens of KV the context of `branch`, by default its own, covers."""
        branch = branch or self.branch
        assert branch is not None
        kept, _ = branch.kept()
        return min(len(self.request.ids) + kept, self.covered)

    def see(self, tip: PrefixEnd) -> None:
        """Take note of where the KV ends, for grouping with others that see the same."""
        self.tip = tip
        self.views = tip.segment.prefix if self.grows else tip.views()
        self.order = (*(view.segment.serial for view in tip.segment.prefix), tip.segment.serial)
