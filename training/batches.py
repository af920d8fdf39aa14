"""Batches of training sequences: drawn by index, sorted by length, cut to a number of tokens."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch


@dataclass(frozen=True)
class TokenRow:
    """One training sequence."""

    ids: Sequence[int]


@dataclass(frozen=True)
class Encoded(TokenRow):
    """Token ids of a prompt and of what is to be learned behind it."""

    prompt_length: int
    """Number of the prompt's tokens."""


Row = TypeVar("Row", bound=TokenRow)


@dataclass(frozen=True)
class Batch:
    """Right-padded sequences."""

    ids: torch.Tensor
    """[batch, length] int64."""
    targets: torch.Tensor
    """[batch, length] int64: the next token, or -100 where nothing is learned (prompt and padding)."""
    tokens: int
    """Number of tokens that are no padding."""
    positions: torch.Tensor | None = None
    """[batch, length] int64: the place of each token in its own example. None where that is its index."""
    mask: torch.Tensor | None = None
    """[batch, 1, length, length] bool: what each token sees. None for all before it."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        if self.ids.device == device:
            return self
        positions = None if self.positions is None else self.positions.to(device)
        mask = None if self.mask is None else self.mask.to(device)
        return Batch(self.ids.to(device), self.targets.to(device), self.tokens, positions, mask)


def collate(rows: Sequence[Encoded], pad: int) -> Batch:
    """A batch of rows that stand alone, padded with `pad`."""
    length = max(len(row.ids) for row in rows) - 1
    ids = torch.full((len(rows), length), pad)
    targets = torch.full((len(rows), length), -100)
    for index, row in enumerate(rows):
        tokens = torch.tensor(row.ids)
        ids[index, : len(tokens) - 1] = tokens[:-1]
        targets[index, row.prompt_length - 1 : len(tokens) - 1] = tokens[row.prompt_length :]
    return Batch(ids, targets, sum(len(row.ids) - 1 for row in rows))


class BatchSource(ABC, Generic[Row]):
    """All batches of a training run, each a function of the seed and its place."""

    def __init__(self, *, seed: int, batch_tokens: int) -> None:
        """`batch_tokens` is the most that a batch holds, padding included."""
        self.seed = seed
        self.batch_tokens = batch_tokens

    @abstractmethod
    def rows(self, index: int) -> Sequence[Row]:
        """The sequences of pool `index`."""

    @abstractmethod
    def collate(self, rows: Sequence[Row]) -> Batch:
        """One batch of `rows`."""

    def pool(self, index: int) -> list[Batch]:
        """The batches of pool `index`, in the order in which they are trained on."""
        rows = sorted(self.rows(index), key=lambda row: len(row.ids))
        batches: list[Batch] = []
        start = 0
        for end in range(1, len(rows) + 1):
            if end == len(rows) or (end + 1 - start) * len(rows[end].ids) > self.batch_tokens:
                batches.append(self.collate(rows[start:end]))
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
