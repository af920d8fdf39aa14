"""Batches of training examples: drawn by index, packed, sorted by length, cut to a number of tokens.

Examples for the same tools are packed into one sequence: the tools once, then one question and plan behind the other. Each
sees the tools and itself alone, at the positions that it has when it stands alone, so a packed sequence
teaches exactly what its examples teach one by one, at half the cost.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast

from braid.planner.prompts import QUESTION
from braid.training.planner_model.examples import DEFAULT_MIXTURE, Example, Mixture, draw_group
from braid.training.planner_model.tokenizer import PAD, token_id

POOL = 1024
"""Examples that are drawn at once and sorted by length, so that a batch holds sequences of about one length."""


@dataclass(frozen=True)
class Encoded:
    """Token ids of prompt and plan, and how many of them are the prompt's."""

    ids: Sequence[int]
    prompt_length: int


@dataclass(frozen=True)
class Packed:
    """Several examples that share their first `shared` tokens.

    Args:
        ids: the shared tokens, then each example's own.
        parts: for each example, the length of its own tokens and how many of these are the prompt's.
    """

    ids: Sequence[int]
    shared: int
    parts: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Batch:
    """Right-padded sequences.

    Args:
        ids: [batch, length] int64.
        targets: [batch, length] int64, the next token; -100 where nothing is learned (prompt and padding).
        tokens: number of tokens that are no padding.
        positions: [batch, length] int64, the place of each token in its own example; None where that is its index.
        mask: [batch, 1, length, length] bool, what each token sees; None for all before it.
    """

    ids: torch.Tensor
    targets: torch.Tensor
    tokens: int
    positions: torch.Tensor | None = None
    mask: torch.Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        if self.ids.device == device:
            return self
        positions = None if self.positions is None else self.positions.to(device)
        mask = None if self.mask is None else self.mask.to(device)
        return Batch(self.ids.to(device), self.targets.to(device), self.tokens, positions, mask)


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


def pack(examples: Sequence[Example], tokenizer: PreTrainedTokenizerFast) -> Packed:
    """One sequence of examples whose prompts begin with the same tools."""
    shared, marker, _ = examples[0].prompt.partition(QUESTION)
    ids: list[int] = tokenizer.encode(shared, add_special_tokens=False)
    length = len(ids)
    parts: list[tuple[int, int]] = []
    for example in examples:
        if not example.prompt.startswith(shared + marker):
            raise ValueError(f"an example has other tools than the first of its group: {example.prompt!r}")
        prompt = tokenizer.encode(example.prompt[len(shared) :], add_special_tokens=False)
        plan = tokenizer.encode(example.plan, add_special_tokens=False)
        ids += prompt + plan
        parts.append((len(prompt) + len(plan), len(prompt)))
    return Packed(ids, length, parts)


def collate_packed(rows: Sequence[Packed], pad: int) -> Batch:
    """A batch of packed sequences with positions and mask."""
    length = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), length), pad)
    targets = torch.full((len(rows), length), -100)
    positions = torch.zeros((len(rows), length), dtype=torch.int64)
    # Which example a token belongs to: 0 for the shared tokens, -1 for padding.
    owner = torch.full((len(rows), length), -1)
    for index, row in enumerate(rows):
        tokens = torch.tensor(row.ids)
        ids[index, : len(tokens)] = tokens
        positions[index, : row.shared] = torch.arange(row.shared)
        owner[index, : row.shared] = 0
        start = row.shared
        for number, (size, prompt) in enumerate(row.parts, start=1):
            end = start + size
            positions[index, start:end] = torch.arange(row.shared, row.shared + size)
            owner[index, start:end] = number
            targets[index, start + prompt - 1 : end - 1] = tokens[start + prompt : end]
            start = end
    seen = owner[:, None, :]
    mask = ((seen == 0) | (seen == owner[:, :, None])).tril()
    return Batch(ids, targets, sum(len(row.ids) for row in rows), positions, mask[:, None])


def _collated(rows: Sequence[Encoded | Packed], pad: int) -> Batch:
    packed = [row for row in rows if isinstance(row, Packed)]
    return (
        collate_packed(packed, pad) if packed else collate([r for r in rows if isinstance(r, Encoded)], pad)
    )


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
        easy_pools: int = 4,
        easy_length: int = 520,
        max_length: int = 1280,
    ) -> None:
        self.tokenizer = tokenizer
        self.seed = seed
        self.batch_tokens = batch_tokens
        self.mixture = mixture
        self.easy_pools = easy_pools
        self.easy_length = easy_length
        self.max_length = max_length

    def rows(self, index: int) -> Sequence[Encoded | Packed]:
        """The sequences of pool `index`."""
        easy = index < self.easy_pools
        limit = self.easy_length if easy else self.max_length
        rows: list[Packed] = []
        for number in range(index * POOL, (index + 1) * POOL):
            rng = random.Random(f"train/{self.seed}/{number}")
            row = pack(
                draw_group(rng, self.mixture, size=rng.randint(2, 4) if easy else rng.randint(3, 6)),
                self.tokenizer,
            )
            if len(row.ids) <= limit:
                rows.append(row)
        return rows

    def pool(self, index: int) -> list[Batch]:
        """The batches of pool `index`, in the order in which they are trained on."""
        rows = sorted(self.rows(index), key=lambda row: len(row.ids))
        batches: list[Batch] = []
        start = 0
        for end in range(1, len(rows) + 1):
            if end == len(rows) or (end + 1 - start) * len(rows[end].ids) > self.batch_tokens:
                batches.append(_collated(rows[start:end], token_id(self.tokenizer, PAD)))
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
