"""Batches of training examples: drawn by index, sorted by length, cut to a number of tokens."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast

from training.data import DEFAULT_MIXTURE, Example, Mixture, draw_example
from training.tokenizer import PAD, token_id

POOL = 1024
"""Examples that are drawn at once and sorted by length, so that a batch holds sequences of about one length."""


@dataclass(frozen=True)
class Encoded:
    """Token ids of prompt and plan, and how many of them are the prompt's."""

    ids: Sequence[int]
    prompt_length: int


@dataclass(frozen=True)
class Batch:
    """Right-padded sequences.

    Args:
        ids: [batch, length] int64.
        targets: [batch, length] int64, the next token; -100 where nothing is learned (prompt and padding).
        tokens: number of tokens that are no padding.
    """

    ids: torch.Tensor
    targets: torch.Tensor
    tokens: int


def encode(example: Example, tokenizer: PreTrainedTokenizerFast) -> Encoded:
    """Prompt and plan are encoded apart, as they are when the model is used."""
    prompt = tokenizer.encode(example.prompt, add_special_tokens=False)
    return Encoded(prompt + tokenizer.encode(example.plan, add_special_tokens=False), len(prompt))


def collate(rows: Sequence[Encoded], pad: int) -> Batch:
    length = max(len(row.ids) for row in rows) - 1
    ids = torch.full((len(rows), length), pad)
    targets = torch.full((len(rows), length), -100)
    for index, row in enumerate(rows):
        tokens = torch.tensor(row.ids)
        ids[index, : len(tokens) - 1] = tokens[:-1]
        targets[index, row.prompt_length - 1 : len(tokens) - 1] = tokens[row.prompt_length :]
    return Batch(ids, targets, sum(len(row.ids) - 1 for row in rows))


class BatchSource:
    """All batches of a training run, each a function of the seed and its place.

    The first `easy_pools` pools hold only sequences of at most `easy_length` tokens: copying is learned sooner on
    short prompts. Sequences over `max_length` tokens are dropped.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        *,
        seed: int,
        batch_tokens: int,
        mixture: Mixture = DEFAULT_MIXTURE,
        easy_pools: int = 12,
        easy_length: int = 240,
        max_length: int = 768,
    ) -> None:
        self.tokenizer = tokenizer
        self.seed = seed
        self.batch_tokens = batch_tokens
        self.mixture = mixture
        self.easy_pools = easy_pools
        self.easy_length = easy_length
        self.max_length = max_length

    def pool(self, index: int) -> list[Batch]:
        """The batches of pool `index`, in the order in which they are trained on."""
        limit = self.easy_length if index < self.easy_pools else self.max_length
        rows: list[Encoded] = []
        for number in range(index * POOL, (index + 1) * POOL):
            row = encode(
                draw_example(random.Random(f"train/{self.seed}/{number}"), self.mixture), self.tokenizer
            )
            if len(row.ids) <= limit:
                rows.append(row)
        rows.sort(key=lambda row: len(row.ids))
        batches: list[Batch] = []
        start = 0
        for end in range(1, len(rows) + 1):
            if end == len(rows) or (end + 1 - start) * len(rows[end].ids) > self.batch_tokens:
                batches.append(collate(rows[start:end], token_id(self.tokenizer, PAD)))
                start = end
        random.Random(f"order/{self.seed}/{index}").shuffle(batches)
        return batches

    def batches(self, *, pool: int = 0, position: int = 0) -> Iterator[tuple[int, int, Batch]]:
        """Endless `(pool, position, batch)`, from a given place on."""
        while True:
            for place, batch in enumerate(self.pool(pool)):
                if place >= position:
                    yield pool, place, batch
            pool, position = pool + 1, 0
