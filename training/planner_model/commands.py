"""The commands that make and measure braid-mini."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from transformers import AutoModelForCausalLM, Qwen3ForCausalLM

from braid.engine import connect
from braid.training.export import ExportError, export
from braid.training.facts import FACTS
from braid.training.planner_model.card import write_card
from braid.training.planner_model.measure import CopyReport, invented_examples, measure_copying, measure_runs
from braid.training.planner_model.recipe import PlannerRecipe, PlannerTrainer, continue_from
from braid.training.planner_model.spelling import measure_spelling
from braid.training.planner_model.tokenizer import load_tokenizer
from braid.training.progress_bar import train_with_bar


def train_mini(
    out: Path,
    *,
    start: Path | None,
    minutes: float,
    steps: int | None,
    seed: int,
    threads: int | None,
    compiled: bool,
) -> None:
    """Train, export to `out/model`, measure and write the card.

    The run begins with the model in `start`, if there is one.
    """
    if threads:
        torch.set_num_threads(threads)
    recipe = PlannerRecipe(seed=seed, compile=compiled, minutes=minutes)
    if steps is not None:
        recipe = replace(recipe, minutes=None, steps=steps)
    if start is not None:
        recipe = continue_from(recipe, start)
    trainer = PlannerTrainer(recipe, out, start=start)
    train_with_bar(trainer, evaluate_every=600.0)
    folder = out / "model"
    export(trainer.model, trainer.tokenizer, folder)
    (folder / FACTS).write_text(json.dumps({"training": trainer.facts()}, indent=1) + "\n", encoding="utf-8")
    measure_model(folder, samples=200, runs=100, data_dir=None, seed=seed + 1, threads=threads, as_json=False)
    Console(stderr=True).print(f"model and card: {folder}")


def measure_model(
    folder: Path,
    *,
    samples: int,
    runs: int,
    data_dir: Path | None,
    seed: int,
    threads: int | None,
    as_json: bool,
) -> None:
    """Measure the model in `folder`, write the figures beside it, and rewrite its card.

    Raises:
        ExportError: `folder` holds no exported model.
    """
    if not (folder / "config.json").is_file():
        raise ExportError(f"{str(folder)!r} holds no model: give the folder that has its config.json")
    if threads:
        torch.set_num_threads(threads)
    path = folder / FACTS
    facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert isinstance(model, Qwen3ForCausalLM)
    tokenizer = load_tokenizer(folder)
    # Before all that takes longer: the runs refuse a seed for which the benchmark has no questions.
    reports = asyncio.run(_runs(folder, runs=runs, seed=seed, data_dir=data_dir)) if runs else {}
    copying: CopyReport = measure_copying(model.eval(), tokenizer, n=samples, seed=seed)
    facts["spelling"] = {
        wording: measure_spelling(
            model,
            tokenizer,
            invented_examples(min(96, samples), seed=seed, held_out=wording == "held-out wording"),
        ).facts()
        for wording in ("known wording", "held-out wording")
    }
    facts["copying"] = {name: rates.facts() for name, rates in copying.items()}
    if reports:
        facts["runs"] = facts.get("runs", {}) | reports
    facts["measured"] = {"samples": samples, "runs": runs, "seed": seed}
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    write_card(folder, facts)
    console = Console()
    if as_json:
        console.print_json(
            data={key: facts[key] for key in ("spelling", "copying", "runs", "measured") if key in facts}
        )
    else:
        console.print((folder / "README.md").read_text(encoding="utf-8"), markup=False, highlight=False)


async def _runs(folder: Path, *, runs: int, seed: int, data_dir: Path | None) -> dict[str, dict[str, float]]:
    engine = await connect(f"local:{folder}")
    try:
        return await measure_runs(engine, n=runs, seed=seed, data_dir=data_dir)
    finally:
        await engine.close()
