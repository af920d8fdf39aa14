"""Training steps with our attention (`braid.training.attention`) against torch's, on the batches of training.

    python benchmarks/training_attention.py [--threads 1] [--steps 8] [--rounds 3]

Prints tokens per second of both and the ratio of the medians. The two alternate in rounds on the same
batches.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from braid.training.attention import BLOCKED
from braid.training.batches import Batch
from braid.training.countdown_model import CountdownRecipe, CountdownTrainer
from braid.training.planner_model import PlannerRecipe, PlannerTrainer
from braid.training.trainer import Trainer


def speed(trainer: Trainer, batches: Sequence[Batch], attention: str) -> float:
    """Tokens per second over `batches`."""
    trainer.model.set_attn_implementation(attention)  # pyright: ignore[reportUnknownMemberType]
    began = time.perf_counter()
    for batch in batches:
        trainer.step(batch, 0.0)
    return sum(batch.tokens for batch in batches) / (time.perf_counter() - began)


def compare(name: str, trainer: Trainer, *, pool: int, steps: int, rounds: int) -> None:
    """Alternate both attentions on the same batches, and print their medians and the ratio."""
    batches = trainer.source.pool(pool)[:steps]
    for attention in ("sdpa", BLOCKED):  # compiles
        speed(trainer, batches, attention)
    found: dict[str, list[float]] = {"sdpa": [], BLOCKED: []}
    for _ in range(rounds):
        for attention, speeds in found.items():
            speeds.append(speed(trainer, batches, attention))
    theirs, ours = (statistics.median(found[attention]) for attention in ("sdpa", BLOCKED))
    longest = max(batch.ids.shape[1] for batch in batches)
    print(
        f"{name}: sequences up to {longest}, torch {theirs:,.0f} tokens/s, "
        f"blocked {ours:,.0f} tokens/s, {ours / theirs:.2f}x",
        flush=True,
    )


def main() -> None:
    """Read the options, measure, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"bfloat16 autocast, torch.compile, {options.threads} threads, medians of {options.rounds}")
    with TemporaryDirectory() as folder:
        mini = PlannerTrainer(PlannerRecipe(tokenizer_examples=3000), Path(folder) / "mini")
        compare("braid-mini", mini, pool=5, steps=options.steps, rounds=options.rounds)
        countdown = CountdownTrainer(CountdownRecipe(), Path(folder) / "countdown")
        compare("braid-countdown", countdown, pool=0, steps=options.steps, rounds=options.rounds)


if __name__ == "__main__":
    main()
