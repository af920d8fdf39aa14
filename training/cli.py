"""Make and measure the models of this repository.

The commands of `braid train`. torch is imported when they run, so that `--help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Train the embedded planner model from data that is generated on the way, and measure it.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def mini(
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder of the run: checkpoint, losses, and the model in DIR/model. A run that was killed goes on.",
            show_default=False,
        ),
    ],
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.1, metavar="N", help="Wall-clock limit of the training.")
    ] = 60.0,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            metavar="N",
            help="Optimizer steps instead of a time limit: the result then does not depend on the machine's speed.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Draws data and first weights.")] = 0,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, metavar="N", help="CPU threads. Default: all.", show_default=False),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--no-compile", help="Do without torch.compile, which needs a C++ compiler.")
    ] = False,
) -> None:
    """Train braid-mini, export it to DIR/model, measure it and write its card."""
    from training.command import train_mini

    train_mini(out, minutes=minutes, steps=steps, seed=seed, threads=threads, compiled=not plain)


@app.command()
def measure(
    model: Annotated[Path, typer.Argument(help="Folder of an exported model.", show_default=False)],
    samples: Annotated[
        int, typer.Option("--samples", "-n", min=1, metavar="N", help="Questions per split.")
    ] = 200,
    runs: Annotated[
        int,
        typer.Option(
            "--runs",
            min=0,
            metavar="N",
            help="Questions per split that are planned and run to their answer; 0 for none.",
        ),
    ] = 100,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            metavar="DIR",
            envvar="BRAID_DATA_DIR",
            help="Folder with ParallelQA, which Braid does not contain.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Draws the questions.")] = 0,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, metavar="N", help="CPU threads. Default: all.", show_default=False),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document for a program to read.")
    ] = False,
) -> None:
    """Measure an exported model on held-out questions, and rewrite its card with the result."""
    from training.command import measure_model

    measure_model(
        model, samples=samples, runs=runs, data_dir=data_dir, seed=seed, threads=threads, as_json=as_json
    )
