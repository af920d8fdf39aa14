"""Measure: run a benchmark task on an engine, with standard errors, costs and a log that resumes.

The commands of `braid bench`. What they need is imported when they run, so that `--help` answers at once.
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
    help="Run a benchmark task on an engine: accuracy with standard errors, tokens, seconds, and a log that can be resumed.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document for a program to read.")]


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the tasks, and the arguments that each takes."""
    from braid.evals.command import list_command

    list_command(as_json=as_json)


@app.command()
def run(
    task: Annotated[str, typer.Argument(help="A task of `braid bench list`.", show_default=False)],
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            "-e",
            metavar="ADDRESS",
            help="Engine to measure. Default: BRAID_ENGINE, else the embedded model.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", "-n", min=1, metavar="N", help="The first N samples only.", show_default=False
        ),
    ] = None,
    sample_id: Annotated[
        list[str] | None,
        typer.Option(
            "--sample-id", metavar="ID", help="Only this sample; may be repeated.", show_default=False
        ),
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1, metavar="N", help="Run each sample N times.")] = 1,
    at_once: Annotated[
        int, typer.Option("--max-samples", min=1, metavar="N", help="Samples in the works at a time.")
    ] = 1,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Draws the samples and seeds the sampling.")
    ] = 0,
    sequential: Annotated[
        bool, typer.Option("--sequential", help="Run every plan one node at a time: the baseline arm.")
    ] = False,
    argument: Annotated[
        list[str] | None,
        typer.Option(
            "-T", metavar="NAME=VALUE", help="An argument of the task; may be repeated.", show_default=False
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            metavar="DIR",
            envvar="BRAID_DATA_DIR",
            help="Folder with data sets that Braid does not contain.",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads", min=1, metavar="N", help="CPU threads of a local engine.", show_default=False
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            metavar="FILE",
            help="Write one JSON line per sample to this new file.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="FILE",
            help="Go on with this log; samples with a score are kept.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a task and print its report. Exit code 1 when a sample could not be run.

    [bold]Examples[/bold]

      braid bench run planning --limit 50

      braid bench run planning --limit 200 -T split=heldout-entities --json

      braid bench run planning --log planning.jsonl      (Ctrl-C, then:)

      braid bench run planning --resume planning.jsonl
    """
    from braid.evals.command import RunRequest, run_command

    run_command(
        RunRequest(
            task=task,
            engine=engine,
            limit=limit,
            sample_ids=frozenset(sample_id or ()),
            epochs=epochs,
            at_once=at_once,
            seed=seed,
            sequential=sequential,
            arguments=tuple(argument or ()),
            data_dir=data_dir,
            threads=threads,
            log=log,
            resume=resume,
        ),
        as_json=as_json,
    )


@app.command()
def view(
    log: Annotated[Path, typer.Argument(help="A log of `braid bench run --log`.", show_default=False)],
    wrong: Annotated[
        bool, typer.Option("--wrong", help="Show the samples that were answered wrongly, too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the report on a log once more."""
    from braid.evals.command import view_command

    view_command(log, wrong=wrong, as_json=as_json)
