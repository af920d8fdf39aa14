"""Logits to tokens: the sampling distribution, seeded draws, and the log-probabilities reported with them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import torch

from engine.types import SamplingParams, branch_seed

_GREEDY_BELOW = 1e-5


def branch_generators(params: SamplingParams) -> list[torch.Generator]:
    """One random source per branch, so that a branch draws the same whatever is beside it."""
    seed = secrets.randbits(63) if params.seed is None else params.seed
    made: list[torch.Generator] = []
    for index in range(params.n):
        generator = torch.Generator()
        generator.manual_seed(branch_seed(seed, index) % 2**63)
        made.append(generator)
    return made


def sampling_probabilities(logits: torch.Tensor, params: SamplingParams) -> torch.Tensor:
    """The distribution that `params` draws from, float32 [rows, vocabulary], for logits of that shape.

    Temperature first, then top-k, top-p over what is left, then min-p relative to the best token.
    """
    scaled = logits.float() / params.temperature
    if 0 < params.top_k < scaled.shape[-1]:
        kth = torch.topk(scaled, params.top_k, dim=-1).values[:, -1:]
        scaled = scaled.masked_fill(scaled < kth, -torch.inf)
    if params.top_p < 1:
        ordered, places = torch.sort(scaled, dim=-1, descending=True)
        before = torch.softmax(ordered, dim=-1).cumsum(dim=-1).roll(1, dims=-1)
        before[:, 0] = 0  # the best token always stays
        ordered = ordered.masked_fill(before >= params.top_p, -torch.inf)
        scaled = torch.empty_like(scaled).scatter_(-1, places, ordered)
    probabilities = torch.softmax(scaled, dim=-1)
    if params.min_p > 0:
        floor = params.min_p * probabilities.amax(dim=-1, keepdim=True)
        probabilities = probabilities.masked_fill(probabilities < floor, 0)
        probabilities /= probabilities.sum(dim=-1, keepdim=True)
    return probabilities


def draw(logits: torch.Tensor, params: SamplingParams, generators: Sequence[torch.Generator]) -> list[int]:
    """One token for each row of `logits` [rows, vocabulary]; row `i` draws from `generators[i]`."""
    if params.temperature < _GREEDY_BELOW:
        return torch.argmax(logits, dim=-1).tolist()
    probabilities = sampling_probabilities(logits, params)
    return [
        int(torch.multinomial(row, 1, generator=generator))
        for row, generator in zip(probabilities, generators, strict=True)
    ]


def top_logprobs(logprobs: torch.Tensor, count: int) -> list[tuple[int, float]]:
    """The `count` best tokens of one row of log-probabilities, best first."""
    best = torch.topk(logprobs, min(count, logprobs.shape[-1]))
    return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
