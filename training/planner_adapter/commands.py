"""The command that makes braid-planner."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from braid.engine.local import locate_folder, locate_model, weights_hash
from braid.training.facts import FACTS
from braid.training.planner_adapter.card import write_card
from braid.training.planner_adapter.recipe import AdapterRecipe, AdapterTrainer, continue_from
from braid.training.progress_bar import train_with_bar


def train_planner(
    out: Path,
    *,
    base: str,
    start: Path | None,
    tokens: int,
    minutes: float | None,
    steps: int | None,
    seed: int,
    threads: int | None,
) -> None:
    """Train, export to `out/model` and write the card.

    The run begins with the adapter in `start`, if there is one. A folder with an unfinished run goes on.

    Args:
        out: Folder of the run.
        base: Folder, GGUF file or name of the model that is adapted.
        start: Folder of an adapter. None for a fresh one.
        tokens: Length of the run, prompts included.
        minutes: Limit of the processor time.
        steps: Limit of the optimizer steps.
        seed: Draws questions and first weights.
        threads: CPU threads. None for all.
    """
    if threads:
        torch.set_num_threads(threads)
    digest, folder = weights_hash(locate_model(base)), locate_folder(base)
    recipe = AdapterRecipe(base=base, base_digest=digest, seed=seed, minutes=minutes, tokens=tokens)
    if steps is not None:
        recipe = replace(recipe, steps=steps)
    if start is not None:
        recipe = continue_from(recipe, start)
    trainer = AdapterTrainer(recipe, out, base=folder, start=start)
    train_with_bar(trainer, evaluate_every=1800.0)
    model = out / "model"
    trainer.export(model)
    facts = {"training": trainer.facts()}
    (model / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    write_card(model, facts)
    Console(stderr=True).print(f"adapter and card: {model}")
