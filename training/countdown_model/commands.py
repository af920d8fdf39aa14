"""What `braid train countdown` and `braid train measure-countdown` do."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import AutoModelForCausalLM, Qwen3ForCausalLM

from braid.engine import connect
from braid.evals.countdown import (
    Curves,
    Size,
    Split,
    gap_table,
    generate,
    measure_direct,
    measure_serial,
    measure_spawn,
    oracle_engine,
    table,
)
from braid.training.countdown_model.card import write_countdown_card
from braid.training.countdown_model.recipe import (
    CountdownRecipe,
    CountdownTrainer,
    Spawning,
    countdown_tokenizer,
)
from braid.training.export import ExportError, export
from braid.training.facts import FACTS
from braid.training.grpo import GRPO, GRPORecipe
from braid.training.progress_bar import train_with_bar


def train_countdown(
    out: Path, *, minutes: float | None, steps: int | None, seed: int, threads: int | None, compiled: bool
) -> None:
    """Train, export to `out/model`, measure on the test problems and write the card."""
    if threads:
        torch.set_num_threads(threads)
    recipe = CountdownRecipe(seed=seed, compile=compiled, minutes=minutes)
    if steps is not None:
        recipe = replace(recipe, steps=steps)
    trainer = CountdownTrainer(recipe, out)
    train_with_bar(trainer)
    export_countdown(trainer, out / "model")
    measure_countdown(out / "model", split="test", problems=500, threads=threads, as_json=False)


def export_countdown(trainer: CountdownTrainer, folder: Path) -> None:
    """The model as transformers loads it, and what its training took."""
    export(trainer.model, trainer.tokenizer, folder, prompt_style=None)
    (folder / FACTS).write_text(json.dumps({"training": trainer.facts()}, indent=1) + "\n", encoding="utf-8")


def measure_countdown(
    folder: Path, *, split: Split, problems: int, threads: int | None, as_json: bool
) -> None:
    """Measure all three modes, print the tables, write the figures beside the model, and rewrite its card.

    Raises:
        ExportError: `folder` holds no exported model.
    """
    if not (folder / "config.json").is_file():
        raise ExportError(f"{str(folder)!r} holds no model: give the folder that has its config.json")
    model, oracle = asyncio.run(_measure(folder, split=split, problems=problems, threads=threads))
    path = folder / FACTS
    facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    facts[split] = {"model": model.model_dump(), "demonstrator": oracle.model_dump()}
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    write_countdown_card(folder, facts)
    console = Console()
    if as_json:
        console.print_json(data=facts[split])
        return
    text = f"{problems} problems, split {split}\n\n{table(model, oracle)}\n\n{gap_table(model, oracle)}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)


async def _measure(
    folder: Path, *, split: Split, problems: int, threads: int | None
) -> tuple[Curves, Curves]:
    size = model_size(folder)
    chosen = generate(split, problems)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    found: list[Curves] = []
    with bar:
        for name, opened in (
            ("model", await connect(f"local:{folder}", **({"threads": threads} if threads else {}))),
            ("demonstrator", oracle_engine()),
        ):
            task = bar.add_task(name, total=problems * (13 if name == "model" else 12))
            async with opened as engine:

                def advance(task: object = task) -> None:
                    bar.advance(task)  # pyright: ignore[reportArgumentType]

                found.append(
                    Curves(
                        engine=engine.info.model,
                        split=split,
                        problems=problems,
                        size=size,
                        direct=await measure_direct(engine, chosen, size, on_progress=advance)
                        if name == "model"
                        else [],
                        serial=await measure_serial(engine, chosen, size, on_progress=advance),
                        spawn=await measure_spawn(engine, chosen, size, on_progress=advance),
                    )
                )
    return found[0], found[1]


def improve_countdown(
    folder: Path, out: Path, *, iterations: int, prompts: int, problems: int, seed: int, threads: int | None
) -> None:
    """GRPO on spawn/join from the model in `folder`, into `out`.

    Prints solved problems and threads before and after.

    Raises:
        ExportError: `folder` holds no exported model.
    """
    if not (folder / "config.json").is_file():
        raise ExportError(f"{str(folder)!r} holds no model: give the folder that has its config.json")
    if threads:
        torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert isinstance(model, Qwen3ForCausalLM)
    torch.nn.Module.to(model, device)
    tokenizer = countdown_tokenizer()
    recipe = GRPORecipe(iterations=iterations, prompts=prompts, seed=seed)
    trainer = GRPO(model, tokenizer, Spawning(), recipe)
    console = Console()
    console.print(f"before: {asyncio.run(_spawned(folder, problems))}")
    for number in range(iterations):
        done = asyncio.run(trainer.iterate())
        console.print(
            f"iteration {number + 1}: reward {done.reward:.3f}, {done.threads:.1f} threads, "
            f"divergence {done.divergence:.5f}"
        )
    torch.nn.Module.to(model, "cpu")
    export(model, tokenizer, out, prompt_style=None)
    console.print(f"after: {asyncio.run(_spawned(out, problems))}")


async def _spawned(folder: Path, problems: int) -> str:
    """Solved validation problems and threads run, with 10 threads allowed."""
    async with await connect(f"local:{folder}") as engine:
        (point,) = await measure_spawn(
            engine, generate("validation", problems), model_size(folder), threads=(10,)
        )
    return (
        f"{100 * point.accuracy:.1f} ± {100 * point.margin:.1f} % solved (95 %), {point.threads:.1f} threads"
    )


def model_size(folder: Path) -> Size:
    """What FLOPs depend on, from the configuration of a model.

    The tied embedding counts once, as the output layer.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    width = config["num_attention_heads"] * config["head_dim"]
    shared = config["num_key_value_heads"] * config["head_dim"]
    each = 2 * hidden * width + 2 * hidden * shared + 3 * hidden * config["intermediate_size"]
    return Size(parameters=layers * each + hidden * config["vocab_size"], layers=layers, width=width)
