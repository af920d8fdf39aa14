"""A causal LM that is ready to run packed steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from braid.engine.errors import AdapterError, EngineError
from braid.engine.local.adapters import LowRank
from braid.engine.local.attention import Chunk, Rotate, Row, Step
from braid.engine.local.kv import Geometry, Pool, PrefixEnd, TailArena, View
from braid.engine.local.model.grammar import Grammars
from braid.engine.local.model.tokenizer import TextCodec

_PROBED = 4
"""Logits of each chunk that `Model.probe` compares."""


class Decoder(Protocol):
    """Code that runs a packed step through the layers."""

    path: str
    """Name of this code, shown in `EngineInfo.details`."""

    @property
    def linear_layers(self) -> Mapping[str, tuple[int, int]]:
        """(in, out) of the linear layers that an adapter can change, by their names in transformers."""
        ...

    def adapt(self, name: str, added: Mapping[str, LowRank]) -> None:
        """Know an adapter, from what it adds to layers among `linear_layers`. Steps name it from then on."""
        ...

    def forward(
        self, step: Step, ids: torch.Tensor, positions: torch.Tensor, logits_indices: torch.Tensor
    ) -> torch.Tensor | None:
        """float32 logits [logits_indices, vocabulary] of packed tokens.

        None when `logits_indices` is empty.
        """
        ...


@dataclass(eq=False, kw_only=True)
class Model:
    """A model, its tokenizer, and the facts about it that the engine goes by."""

    name: str
    """Class of the network in transformers."""
    codec: TextCodec
    end_ids: frozenset[int]
    """Token ids that end a completion."""
    prompt_style: str | None
    """Prompt style that the model was trained for."""
    vocabulary: int
    """Number of token ids. Where the network's logits are wider than its tokenizer, it is the tokenizer's."""
    max_context: int | None
    """Longest context in tokens. None: not known."""
    parameters: int
    """Number of weights."""
    device: torch.device
    geometry: Geometry
    probe_ids: torch.Tensor
    """Ids that `probe` runs."""
    decoder: Decoder
    rotate: Rotate | None = None
    """Turns queries back by a number of positions. None: positions cannot be shifted."""
    grammars: Grammars | None = None
    sampling_defaults: dict[str, float] = field(default_factory=dict[str, float])
    """What the model's makers recommend for `SamplingParams`, by the names of its fields."""
    threads: int | None = None
    """Number of CPU threads that is known to be fastest. None: it has to be measured."""
    no_grammars: str = ""
    """Why there are no grammars."""

    @property
    def dtype(self) -> str:
        """Precision of the weights and of the KV."""
        return str(self.geometry.dtype).removeprefix("torch.")

    def forward(self, step: Step, logits_indices: Sequence[int]) -> torch.Tensor | None:
        """Run a step. KV is written where the step says.

        Returns:
            float32 logits [logits_indices, vocabulary]. None when `logits_indices` is empty.
        """
        ids = torch.tensor(step.token_ids, device=self.device)
        positions = torch.tensor(step.positions, device=self.device)
        logits = self.decoder.forward(
            step, ids, positions, torch.tensor(logits_indices, dtype=torch.long, device=self.device)
        )
        return None if logits is None else logits[:, : self.vocabulary]

    def adapt(self, name: str, added: Mapping[str, LowRank]) -> None:
        """Know an adapter, and try it. Steps name it from then on. To be called between steps.

        Raises:
            AdapterError: it does not run.
        """
        self.decoder.adapt(name, added)
        ids = self.probe_ids.tolist()
        pool = Pool(self.geometry, limit_bytes=1 << 40, keep_bytes=0)
        segment = pool.extend(pool.start(name), ids, self).segment
        step = Step([Chunk(ids, segment, 0)], [], TailArena(pool), None, [(name, slice(0, len(ids)))])
        try:
            logits = self.forward(step, [len(ids) - 1])
        except (EngineError, RuntimeError) as error:
            raise AdapterError(f"the adapter {name!r} cannot be used: {error}") from error
        if logits is None or not torch.isfinite(logits).all():
            raise AdapterError(f"the adapter {name!r} makes logits that are no finite numbers")

    def probe(self) -> torch.Tensor:
        """Logits [places, vocabulary] of `probe_ids` at `probe_places`, read in the ways that there are.

        They are read as a chunk, as a second chunk, as a row in place, and as a row in a slot.
        """
        return read_in_parts(self.forward, self.geometry, self.probe_ids.tolist(), last=_PROBED)


def probe_places(length: int) -> list[int]:
    """Places among `length` ids whose logits `Model.probe` gives."""
    third = length // 3
    return [*range(third)[-_PROBED:], *range(third, length - 2)[-_PROBED:], length - 2, length - 1]


def read_in_parts(
    forward: Callable[[Step, Sequence[int]], torch.Tensor | None],
    geometry: Geometry,
    ids: Sequence[int],
    *,
    beside: Sequence[int] = (),
    last: int | None = None,
) -> torch.Tensor:
    """Logits [ids, vocabulary], read in two chunks, as a row in place, and as a row in a slot.

    Args:
        forward: runs a step.
        geometry: shape of the KV.
        ids: at least six token ids.
        beside: ids of another sequence, which is read beside the second chunk and the rows.
        last: number of logits at the end of each chunk. None: all. A row of logits is a megabyte, and takes
            longer than the layers, where the vocabulary is large.
    """
    pool = Pool(geometry, limit_bytes=1 << 40, keep_bytes=0)
    tails = TailArena(pool)
    me = object()
    found: list[torch.Tensor] = []
    third = len(ids) // 3
    segment = pool.extend(PrefixEnd(pool.root, 0), ids[:third], me, room=len(ids)).segment

    def run(chunk: Chunk | None, row: Row | None) -> None:
        chunks = [chunk] if chunk else []
        if beside and found:
            other = pool.extend(PrefixEnd(pool.root, 0), beside, object()).segment
            chunks = [Chunk(beside, other, 0), *chunks]
        step = Step(chunks, [row] if row else [], tails, None)
        read = range(len(beside) if beside and found else 0, len(step.token_ids))
        logits = forward(step, read if last is None else read[-last:])
        assert logits is not None
        found.append(logits)

    run(Chunk(ids[:third], segment, 0), None)
    segment.token_ids.extend(ids[third:-2])
    run(Chunk(ids[third:-2], segment, third), None)
    at = len(ids) - 2
    segment.token_ids.append(ids[at])
    run(None, Row(ids[at], at, (View(segment, 0, at + 1),), segment, at))
    slot = tails.open_slot()
    run(None, Row(ids[at + 1], at + 1, (View(segment, 0, at + 1),), None, 0, slot))
    return torch.cat(found)
