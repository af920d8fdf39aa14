"""Group relative policy optimization (GRPO, arXiv 2402.03300) of whole runs of a reasoning method.

As in Adaptive Parallel Reasoning, a rollout is everything that the method had generated, parents and threads
alike. Its advantage is its reward against that of its group, and goes to every sequence of it. A sequence's
loss is the mean over the sampled tokens. A rollout's loss is the mean over its sequences, so that one with
many threads weighs no more. Rollouts are drawn by our own engine, which is loaded anew with the current
weights for each iteration.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import torch
from torch.nn.functional import log_softmax
from transformers import PreTrainedTokenizerFast

from braid.engine import Engine, connect
from braid.reasoning import derived_seed
from braid.training.rollouts import RecordingEngine, Segment


@dataclass(frozen=True, kw_only=True)
class GRPORecipe:
    """Settings. The defaults are those of Adaptive Parallel Reasoning."""

    iterations: int = 150
    prompts: int = 64
    """Problems per iteration."""
    group: int = 5
    """Tries of each problem."""
    updates: int = 2
    """Optimizer steps per iteration."""
    rate: float = 1e-5
    """Learning rate."""
    clip: float = 0.2
    """How far the ratio of new to old probability may leave 1."""
    kl: float = 0.001
    """Weight of the divergence from the model that training began with."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient."""
    batch_tokens: int = 8192
    """Most tokens of a batch."""
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """The reward of one try, and the threads that it ran."""

    reward: float
    threads: int = 0


class GRPOTask(Protocol):
    """A task whose tries have rewards."""

    async def attempt(self, engine: Engine, place: int, *, seed: int) -> Outcome:
        """Try problem number `place` by sampling from `engine`."""
        ...


@dataclass(frozen=True)
class Rollout:
    """One try: its outcome, and all that was sampled in it."""

    outcome: Outcome
    segments: tuple[Segment, ...]


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """Means over the rollouts of one iteration."""

    reward: float
    threads: float
    divergence: float
    """Divergence from the reference model after the iteration, in nats per token."""


class GRPO:
    """Improves a model on a task by its own rollouts. The caller's model is changed in place."""

    def __init__(
        self, model: Any, tokenizer: PreTrainedTokenizerFast, task: GRPOTask, recipe: GRPORecipe
    ) -> None:
        self.model = model.float().train()
        self.tokenizer = tokenizer
        self.task = task
        self.recipe = recipe
        self.reference_model = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=recipe.rate, weight_decay=0.0)
        self.iteration = 0

    async def iterate(self) -> Iteration:
        """Draw rollouts for the next problems with the current weights, and learn from them."""
        groups = await self.rollouts()
        divergence = await asyncio.to_thread(self._learn, groups)
        every = [rollout.outcome for group in groups for rollout in group]
        self.iteration += 1
        return Iteration(
            reward=sum(outcome.reward for outcome in every) / len(every),
            threads=sum(outcome.threads for outcome in every) / len(every),
            divergence=divergence,
        )

    async def rollouts(self) -> list[list[Rollout]]:
        """One group of tries for each problem of this iteration."""
        recipe = self.recipe
        found: dict[tuple[int, int], Rollout] = {}
        with TemporaryDirectory() as folder:
            await asyncio.to_thread(self._write, Path(folder))
            async with await connect(f"local:{folder}", threads=torch.get_num_threads()) as engine:

                async def attempt(place: int, number: int) -> None:
                    recorder = RecordingEngine(engine)
                    index = self.iteration * recipe.prompts + place
                    seed = derived_seed(recipe.seed, index, number)
                    outcome = await self.task.attempt(recorder, index, seed=seed)
                    found[place, number] = Rollout(outcome, tuple(recorder.segments))

                async with asyncio.TaskGroup() as group:
                    for place in range(recipe.prompts):
                        for number in range(recipe.group):
                            group.create_task(attempt(place, number))
        return [[found[place, number] for number in range(recipe.group)] for place in range(recipe.prompts)]

    def _write(self, folder: Path) -> None:
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _learn(self, groups: Sequence[Sequence[Rollout]]) -> float:
        """Do the updates of one iteration. Returns the mean divergence of the last."""
        # Segments with advantage and share of the loss.
        weighted: list[tuple[Segment, float, float]] = []
        for group in groups:
            for rollout, advantage in zip(group, advantages([r.outcome.reward for r in group]), strict=True):
                share = 1.0 / (len(rollout.segments) * sum(map(len, groups)))
                weighted += [(s, advantage, share) for s in rollout.segments if s.sampled]
        weighted.sort(key=lambda item: len(item[0].context) + len(item[0].sampled))
        batches = [
            _SegmentBatch(chunk, self.tokenizer) for chunk in _chunks(weighted, self.recipe.batch_tokens)
        ]
        with torch.no_grad():
            old = [_log_probs(self.model, batch) for batch in batches]
            reference = [_log_probs(self.reference_model, batch) for batch in batches]
        divergence = 0.0
        for _ in range(self.recipe.updates):
            divergence = 0.0
            for batch, before, initial in zip(batches, old, reference, strict=True):
                now = _log_probs(self.model, batch)
                ratio = (now - before).exp()
                clipped = ratio.clamp(1 - self.recipe.clip, 1 + self.recipe.clip)
                gain = torch.minimum(ratio * batch.advantage, clipped * batch.advantage)
                away = initial - now
                kl = away.exp() - away - 1  # unbiased, never negative (Schulman's k3)
                each = (((self.recipe.kl * kl - gain) * batch.learned).sum(1)) / batch.learned.sum(1)
                (each * batch.share).sum().backward()
                divergence += float(
                    (((kl.detach() * batch.learned).sum(1) / batch.learned.sum(1)) * batch.share).sum()
                )
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.gradient_clip)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        return divergence


def advantages(rewards: Sequence[float]) -> list[float]:
    """Rewards against their group: centred, in standard deviations. All are 0 where all rewards are equal."""
    mean = sum(rewards) / len(rewards)
    deviation = (sum((r - mean) ** 2 for r in rewards) / len(rewards)) ** 0.5
    return [(r - mean) / (deviation + 1e-10) if deviation else 0.0 for r in rewards]


class _SegmentBatch:
    """Right-padded segments.

    Attributes:
        ids: [n, length] int64.
        learned: [n, length - 1], 1 where the next token was sampled.
        advantage: [n, 1].
        share: [n], the share of the loss.
    """

    def __init__(
        self, weighted: Sequence[tuple[Segment, float, float]], tokenizer: PreTrainedTokenizerFast
    ) -> None:
        rows: list[tuple[list[int], int]] = []
        for segment, _, _ in weighted:
            context = tokenizer.encode(segment.context, add_special_tokens=False)
            rows.append(([*context, *segment.sampled], len(context)))
        length = max(len(ids) for ids, _ in rows)
        self.ids = torch.zeros((len(rows), length), dtype=torch.int64)
        self.learned = torch.zeros((len(rows), length - 1))
        for index, (ids, known) in enumerate(rows):
            self.ids[index, : len(ids)] = torch.tensor(ids)
            self.learned[index, known - 1 : len(ids) - 1] = 1.0
        self.advantage = torch.tensor([[advantage] for _, advantage, _ in weighted])
        self.share = torch.tensor([share for _, _, share in weighted])


def _log_probs(model: Any, batch: _SegmentBatch) -> torch.Tensor:
    """Log-probability of each next token, [n, length - 1]."""
    logits = model(input_ids=batch.ids[:, :-1].to(model.device), use_cache=False).logits.float()
    wanted = batch.ids[:, 1:, None].to(model.device)
    return log_softmax(logits, dim=-1).gather(2, wanted).squeeze(2).to("cpu")


def _chunks(
    weighted: Sequence[tuple[Segment, float, float]], tokens: int
) -> list[Sequence[tuple[Segment, float, float]]]:
    """Runs of segments of at most `tokens` tokens, counted by words. A longer one stands alone."""
    found: list[Sequence[tuple[Segment, float, float]]] = []
    start, size = 0, 0
    for place, (segment, _, _) in enumerate(weighted):
        own = len(segment.context.split()) + len(segment.sampled)
        if size and size + own > tokens:
            found.append(weighted[start:place])
            start, size = place, 0
        size += own
    if start < len(weighted):
        found.append(weighted[start:])
    return found
