"""Training sequences of braid-mini: several examples for the same tools in one.

The tools stand once, then one question and plan behind the other. Each sees the tools and itself alone, at
the positions that it has when it stands alone. So a packed sequence teaches exactly what its examples teach
one by one, at half the cost.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast

from braid.planner.prompts import OWN, Markers
from braid.training.batches import Batch, BatchSource, Encoded, TokenRow
from braid.training.planner_model.examples import DEFAULT_MIXTURE, Example, Mixture, draw_group
from braid.training.tokens import PAD, token_id

POOL = 1024
"""Sequences that are drawn together and sorted by length. So those of a batch have about one length."""


@dataclass(frozen=True)
class Packed(TokenRow):
    """Several examples that share their first tokens. `ids` has these, then each example's own."""

    shared: int
    """Number of shared tokens."""
    parts: Sequence[tuple[int, int]]
    """For each example, the number of its own tokens, and how many of these are the prompt's."""


def encode(example: Example, tokenizer: PreTrainedTokenizerFast, markers: Markers = OWN) -> Encoded:
    """Encode prompt and plan apart, as they are when the model is used."""
    prompt: list[int] = tokenizer.encode(_with(markers, example.prompt), add_special_tokens=False)
    plan: list[int] = tokenizer.encode(_with(markers, example.plan), add_special_tokens=False)
    return Encoded(prompt + plan, len(prompt))


def pack(examples: Sequence[Example], tokenizer: PreTrainedTokenizerFast, markers: Markers = OWN) -> Packed:
    """One sequence of examples whose prompts begin with the same tools.

    Args:
        examples: With braid-mini's markers.
        tokenizer: Makes the ids.
        markers: What stands between the parts in the sequence.

    Raises:
        ValueError: An example has other tools.
    """
    tools = examples[0].prompt.partition(OWN.question)[0]
    ids: list[int] = tokenizer.encode(_with(markers, tools), add_special_tokens=False)
    length = len(ids)
    parts: list[tuple[int, int]] = []
    for example in examples:
        if not example.prompt.startswith(tools + OWN.question):
            raise ValueError(f"an example has other tools than the first of its group: {example.prompt!r}")
        own = _with(markers, example.prompt[len(tools) :])
        prompt = tokenizer.encode(own, add_special_tokens=False)
        plan = tokenizer.encode(_with(markers, example.plan), add_special_tokens=False)
        ids += prompt + plan
        parts.append((len(prompt) + len(plan), len(prompt)))
    return Packed(ids, length, parts)


def _with(markers: Markers, text: str) -> str:
    """`text` with other markers than braid-mini's. Nothing else in it looks like one."""
    for name in ("tools", "question", "plan", "stop"):
        text = text.replace(getattr(OWN, name), getattr(markers, name))
    return text


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


class PackedSource(BatchSource[Packed]):
    """Packed examples of braid-mini.

    The first `easy_pools` pools hold only sequences of at most `easy_length` tokens. Copying is learned
    sooner on short prompts. Sequences over `max_length` tokens are dropped. `sizes` are the fewest and the
    most examples of a sequence, `pool` is the number of sequences that are drawn together.
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
        sizes: tuple[int, int] = (3, 6),
        pool: int = POOL,
        markers: Markers = OWN,
    ) -> None:
        super().__init__(seed=seed, batch_tokens=batch_tokens)
        self.sizes = sizes
        self.size = pool
        self.markers = markers
        self.tokenizer = tokenizer
        self._pad = token_id(tokenizer, PAD if markers is OWN else markers.stop)
        self.mixture = mixture
        self.easy_pools = easy_pools
        self.easy_length = easy_length
        self.max_length = max_length

    def rows(self, index: int) -> list[Packed]:
        easy = index < self.easy_pools
        limit = self.easy_length if easy else self.max_length
        rows: list[Packed] = []
        for number in range(index * self.size, (index + 1) * self.size):
            rng = random.Random(f"train/{self.seed}/{number}")
            size = rng.randint(2, 4) if easy else rng.randint(*self.sizes)
            row = pack(draw_group(rng, self.mixture, size=size), self.tokenizer, self.markers)
            if len(row.ids) <= limit:
                rows.append(row)
        return rows

    def collate(self, rows: Sequence[Packed]) -> Batch:
        return collate_packed(rows, self._pad)
