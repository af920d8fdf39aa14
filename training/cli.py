"""Make and measure the models of this repository.

The commands of `braid train`. torch is imported when they run, so that `--help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Train the embedded planner model from data that is generated on the way, and measure it.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


OutOption = Annotated[
    Path,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Folder of the run: checkpoint, losses, and the model in DIR/model. "
        "A run that was killed goes on.",
        show_default=False,
    ),
]
CountdownArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Folder of an exported braid-countdown.", show_default=False)
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", help="Draws data and first weights.")]
ThreadsOption = Annotated[
    int | None,
    typer.Option("--threads", min=1, metavar="N", help="CPU threads. Default: all.", show_default=False),
]
PlainOption = Annotated[
    bool, typer.Option("--no-compile", help="Do without torch.compile, which needs a C++ compiler.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document for a program to read.")]


@app.command()
def mini(
    out: OutOption,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Go on from this exported model, with another --seed than its own, instead of from nothing.",
            show_default=False,
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.1, metavar="N", help="Limit of the training's processor time.")
    ] = 75.0,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            metavar="N",
            help="Optimizer steps instead of a time limit: "
            "the result then does not depend on the machine's speed.",
            show_default=False,
        ),
    ] = None,
    seed: SeedOption = 0,
    threads: ThreadsOption = None,
    plain: PlainOption = False,
) -> None:
    """Train braid-mini, export it to DIR/model, measure it and write its card."""
    from braid.training.planner_model import train_mini

    train_mini(out, start=start, minutes=minutes, steps=steps, seed=seed, threads=threads, compiled=not plain)


@app.command()
def planner(
    out: OutOption,
    base: Annotated[
        str, typer.Option("--base", metavar="MODEL", help="Folder, GGUF file or name of the model to adapt.")
    ] = "smollm2-135m",
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Go on from this adapter, with another --seed than its own.",
            show_default=False,
        ),
    ] = None,
    tokens: Annotated[
        int, typer.Option("--tokens", min=1, metavar="N", help="Length of the run, prompts included.")
    ] = 4_000_000,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes", min=0.1, metavar="N", help="Limit of the processor time.", show_default=False
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, metavar="N", help="Limit of the steps.", show_default=False),
    ] = None,
    seed: SeedOption = 0,
    threads: ThreadsOption = None,
) -> None:
    """Train the adapter braid-planner, write it to DIR/model together with its card."""
    from braid.training.planner_adapter import train_planner

    train_planner(
        out,
        base=base,
        start=start,
        tokens=tokens,
        minutes=minutes,
        steps=steps,
        seed=seed,
        threads=threads,
    )


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
    seed: Annotated[
        int,
        typer.Option(
            "--seed", metavar="N", help="Draws the questions. Those of --runs are there for 0 and 1."
        ),
    ] = 0,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure an exported model on held-out questions, and rewrite its card with the result."""
    from braid.training.planner_model import measure_model

    measure_model(
        model, samples=samples, runs=runs, data_dir=data_dir, seed=seed, threads=threads, as_json=as_json
    )


@app.command()
def countdown(
    out: OutOption,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes", min=0.1, metavar="N", help="Time limit of the training.", show_default=False
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=1, metavar="N", help="Optimizer steps. Default: the recipe's.", show_default=False
        ),
    ] = None,
    seed: SeedOption = 0,
    threads: ThreadsOption = None,
    plain: PlainOption = False,
) -> None:
    """Train braid-countdown, export it to DIR/model, measure it on the test problems and write its card."""
    from braid.training.countdown_model import train_countdown

    train_countdown(out, minutes=minutes, steps=steps, seed=seed, threads=threads, compiled=not plain)


@app.command(
    "measure-countdown",
    help="Measure all three modes of braid-countdown beside the symbolic demonstrator, "
    "print the tables, rewrite the card.",
)
def measure_countdown_(
    model: CountdownArgument,
    problems: Annotated[
        int, typer.Option("--problems", "-n", min=1, metavar="N", help="Problems of the split.")
    ] = 500,
    split: Annotated[
        Literal["validation", "test"],
        typer.Option("--split", help="Tune on validation; the card shows the test split."),
    ] = "test",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """The command `braid train measure-countdown`."""
    from braid.training.countdown_model import measure_countdown

    measure_countdown(model, split=split, problems=problems, threads=threads, as_json=as_json)


@app.command("improve-countdown")
def improve_countdown_(
    model: CountdownArgument,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the improved model.", show_default=False)
    ],
    iterations: Annotated[
        int, typer.Option("--iterations", min=1, metavar="N", help="Rounds of rollouts and updates.")
    ] = 150,
    prompts: Annotated[
        int, typer.Option("--prompts", min=1, metavar="N", help="Problems per round; each is tried 5 times.")
    ] = 64,
    problems: Annotated[
        int,
        typer.Option("--problems", "-n", min=2, metavar="N", help="Validation problems, before and after."),
    ] = 500,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Draws problems and samples.")] = 0,
    threads: ThreadsOption = None,
) -> None:
    """Reinforcement learning (GRPO) of spawn/join, with rollouts on Braid's own engine. Meant for a GPU."""
    from braid.training.countdown_model import improve_countdown

    improve_countdown(
        model, out, iterations=iterations, prompts=prompts, problems=problems, seed=seed, threads=threads
    )
