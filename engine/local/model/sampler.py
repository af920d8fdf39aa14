"""From logits to tokens: penalties, sampling distribution, seeded samples, and log-probabilities."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from braid.engine.types import SamplingParams, branch_seed

_GREEDY_BELOW = 1e-5
_BLOCK = 128


class BranchSampler:
    """One branch's random source, and the tokens that its penalties count.

    What it samples depends on nothing else in the batch.
    """

    def __init__(self, params: SamplingParams, seed: int, prompt: frozenset[int]) -> None:
        self.params = params
        self.greedy = params.temperature < _GREEDY_BELOW
        self.truncation = (params.top_k, params.top_p, params.min_p)
        # Random takes the absolute value of an int, and -1 would draw what 1 draws.
        self._random = random.Random(seed if seed >= 0 else str(seed))
        self._written: Counter[int] = Counter()
        self._read = prompt
        self.has_penalties = bool(
            params.repetition_penalty != 1
            or params.presence_penalty
            or params.frequency_penalty
            or params.logit_bias
        )

    @classmethod
    def of_branches(cls, params: SamplingParams, prompt: Sequence[int]) -> list[BranchSampler]:
        """One sampler for each of `params.n` branches."""
        seed = secrets.randbits(63) if params.seed is None else params.seed
        read = frozenset(prompt) if params.repetition_penalty != 1 else frozenset[int]()
        return [cls(params, branch_seed(seed, index), read) for index in range(params.n)]

    def uniform(self) -> float:
        return self._random.random()

    def force(self, token: int) -> None:
        """Take in a token that was the only one. The random source goes on as if it had been sampled."""
        if not self.greedy:
            self.uniform()
        self.record(token)

    def record(self, token: int) -> None:
        """Record a token that was sampled."""
        if self.has_penalties:
            self._written[token] += 1

    def apply_penalties(self, logits: torch.Tensor) -> None:
        """Apply penalties and bias to one row of logits, in place.

        The repetition penalty (CTRL) applies to tokens of the prompt too. Presence and frequency penalties
        apply to those that this branch wrote.
        """
        params = self.params
        if params.repetition_penalty != 1 and (seen := list(self._read | self._written.keys())):
            at = torch.tensor(seen, device=logits.device)
            values = logits[at]
            logits[at] = torch.where(
                values > 0, values / params.repetition_penalty, values * params.repetition_penalty
            )
        if self._written and (params.presence_penalty or params.frequency_penalty):
            at = torch.tensor(list(self._written), device=logits.device)
            counts = torch.tensor(list(self._written.values()), device=logits.device, dtype=logits.dtype)
            logits[at] -= params.presence_penalty + params.frequency_penalty * counts
        for token, bias in params.logit_bias.items():
            logits[token] += bias


def sampling_probabilities(
    logits: torch.Tensor,
    temperature: torch.Tensor | None,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
) -> torch.Tensor:
    """The distribution to sample from, float32 [rows, vocabulary], for logits of that shape.

    `temperature` [rows] comes first (None: 1), then top-k, top-p over what is left, then min-p relative to
    the best token.
    """
    scaled = logits.float()
    if temperature is not None:
        scaled = scaled / temperature[:, None]
    if 0 < top_k < scaled.shape[-1]:
        kth = torch.topk(scaled, top_k, dim=-1).values[:, -1:]
        scaled = scaled.masked_fill(scaled < kth, -torch.inf)
    if top_p < 1:
        ordered, places = torch.sort(scaled, dim=-1, descending=True)
        before = torch.softmax(ordered, dim=-1).cumsum(dim=-1).roll(1, dims=-1)
        before[:, 0] = 0  # the best token always stays
        ordered = ordered.masked_fill(before >= top_p, -torch.inf)
        scaled = torch.empty_like(scaled).scatter_(-1, places, ordered)
    probabilities = torch.softmax(scaled, dim=-1)
    if min_p > 0:
        floor = min_p * probabilities.amax(dim=-1, keepdim=True)
        probabilities = probabilities.masked_fill(probabilities < floor, 0)
    return probabilities


def sample_tokens(logits: torch.Tensor, samplers: Sequence[BranchSampler]) -> list[int]:
    """One token for each row of `logits` [rows, vocabulary], which is not changed."""
    if any(sampler.has_penalties for sampler in samplers):
        logits = logits.clone()
        for row, sampler in enumerate(samplers):
            if sampler.has_penalties:
                sampler.apply_penalties(logits[row])
    tokens = [0] * len(samplers)
    alike: dict[tuple[int, float, float] | None, list[int]] = {}
    for row, sampler in enumerate(samplers):
        alike.setdefault(None if sampler.greedy else sampler.truncation, []).append(row)
    for truncation, rows in alike.items():
        part = logits if len(rows) == len(samplers) else logits[rows]
        found = (
            _greedy(part)
            if truncation is None
            else _sample_rows(part, [samplers[row] for row in rows], truncation)
        )
        for row, token in zip(rows, found, strict=True):
            tokens[row] = token
    for sampler, token in zip(samplers, tokens, strict=True):
        sampler.record(token)
    return tokens


def _sample_rows(
    logits: torch.Tensor, samplers: Sequence[BranchSampler], truncation: tuple[int, float, float]
) -> list[int]:
    """Sample by inversion: one uniform number a row, so that rows need no generators of their own.

    A block of tokens is found first, then the token in it. Running sums in float64 over the whole vocabulary
    would cost more than the softmax.
    """
    temperatures = [sampler.params.temperature for sampler in samplers]
    temperature = None
    if any(sampler != 1 for sampler in temperatures):
        temperature = torch.tensor(temperatures, device=logits.device)
    blocks = _blocks(sampling_probabilities(logits, temperature, *truncation), 0.0)
    mass = blocks.sum(-1).double().cumsum(-1)
    uniform = torch.tensor(
        [sampler.uniform() for sampler in samplers], dtype=torch.float64, device=logits.device
    )
    target = uniform[:, None] * mass[:, -1:] * (1 - 1e-15)
    block = torch.searchsorted(mass, target, right=True).clamp_(max=mass.shape[1] - 1)
    inside = _pick(blocks, block).double().cumsum(-1)
    target -= mass.gather(1, block) - inside[:, -1:]
    # Rounding may put the target just outside of the block. No token without probability may be sampled then.
    target = torch.minimum(target.clamp_(min=0), inside[:, -1:] * (1 - 1e-15))
    place = torch.searchsorted(inside, target, right=True)
    return (block * _BLOCK + place)[:, 0].tolist()


def _greedy(logits: torch.Tensor) -> list[int]:
    """The first of the best tokens of each row. torch.argmax over long rows takes many times as long."""
    blocks = _blocks(logits, -torch.inf)
    block = blocks.amax(-1).argmax(-1, keepdim=True)
    return (block[:, 0] * _BLOCK + _pick(blocks, block).argmax(-1)).tolist()


def _blocks(rows: torch.Tensor, filling: float) -> torch.Tensor:
    """[rows, vocabulary] as [rows, blocks, _BLOCK]."""
    return F.pad(rows, (0, -rows.shape[-1] % _BLOCK), value=filling).unflatten(-1, (-1, _BLOCK))


def _pick(blocks: torch.Tensor, block: torch.Tensor) -> torch.Tensor:
    """One block [rows, 1] of each row, as [rows, _BLOCK]."""
    return blocks.gather(1, block[:, :, None].expand(-1, -1, _BLOCK))[:, 0]


def top_logprobs(logprobs: torch.Tensor, count: int) -> list[tuple[int, float]]:
    """The `count` best tokens of one row of log-probabilities, best first."""
    best = torch.topk(logprobs, min(count, logprobs.shape[-1]))
    return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
