"""Measure: run a benchmark task on an engine, with standard errors, costs and a log that resumes.

The commands of `braid bench`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from braid.engine import connect
from braid.engine.automatic import resolve
from braid.evals.log import Row, read_log
from braid.evals.report import EvalReport, report_on
from braid.evals.runner import run_task
from braid.evals.task import EvalError, Options, Task
from braid.evals.tasks import all_tasks, get_task
from braid.orchestrator import load_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Run a benchmark task on an engine: accuracy with standard errors, tokens, seconds, "
    "and a log that can be resumed.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document for a program to read.")]


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the tasks, and the arguments that each takes."""
    from rich.table import Table

    tasks = all_tasks()
    if as_json:
        Console().print_json(
            data=[{"name": t.name, "summary": t.summary, "arguments": dict(t.arguments)} for t in tasks]
        )
        return
    table = Table("task", "what it is", "-T arguments")
    for task in tasks:
        table.add_row(task.name, task.summary, "\n".join(f"{k}: {v}" for k, v in task.arguments.items()))
    Console().print(table)


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
    max_samples: Annotated[
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
    if log is not None and resume is not None:
        raise EvalError("--log starts a new log and --resume goes on with one: give one of them")
    if log is not None and log.exists():
        raise EvalError(f"{str(log)!r} is there already: name a new file, or go on with it by --resume")
    options = Options(
        seed=seed,
        limit=limit,
        sequential=sequential,
        data_dir=data_dir,
        arguments=dict(_pair(text) for text in argument or ()),
    )
    try:
        report = asyncio.run(
            _run(
                get_task(task),
                options,
                address=engine,
                threads=threads,
                epochs=epochs,
                max_concurrency=max_samples,
                sample_ids=frozenset(sample_id or ()),
                log=resume or log,
                resume=resume is not None,
            )
        )
    except KeyboardInterrupt:
        kept = f"; go on with: braid bench run {task} --resume {log or resume}" if log or resume else ""
        typer.echo(f"braid: interrupted{kept}", err=True)
        raise typer.Exit(130) from None
    _print(report, as_json=as_json)
    if report.errors:
        raise typer.Exit(1)


@app.command()
def view(
    log: Annotated[Path, typer.Argument(help="A log of `braid bench run --log`.", show_default=False)],
    wrong: Annotated[
        bool, typer.Option("--wrong", help="Show the samples that were answered wrongly, too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the report on a log once more."""
    header, rows = read_log(log)
    _print(report_on(header, rows, log=str(log)), as_json=as_json)
    if wrong and not as_json:
        for row in rows:
            if row.error is not None or (row.score is not None and row.score.correct < 1):
                typer.echo(f"\n{row.sample}: {row.question}\n  expected {row.target!r}, got {_got(row)}")


async def _run(
    task: Task,
    options: Options,
    *,
    address: str | None,
    threads: int | None,
    epochs: int,
    max_concurrency: int,
    sample_ids: frozenset[str],
    log: Path | None,
    resume: bool,
) -> EvalReport:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    task.samples(options)  # a mistake in the arguments shows before a model is loaded
    settings = load_settings()
    address = resolve(address or settings.engine)
    threads = threads or settings.threads
    engine_options = {"threads": threads} if threads and address.startswith("local:") else {}
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[right]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    right = scored = 0.0

    def show_progress(row: Row, done: int, total: int) -> None:
        nonlocal right, scored
        if row.score is not None:
            scored += 1
            right += row.score.correct
        share = f"{100 * right / scored:.0f} % right" if scored else ""
        bar.update(shown, completed=done, total=total, right=share)

    async with await connect(address, **engine_options) as engine:
        with bar:
            shown = bar.add_task(task.name, total=None, right="")
            return await run_task(
                task,
                engine,
                options,
                epochs=epochs,
                max_concurrency=max_concurrency,
                sample_ids=sample_ids,
                log=log,
                resume=resume,
                on_progress=show_progress,
            )


def _print(report: EvalReport, *, as_json: bool) -> None:
    typer.echo(report.model_dump_json(indent=2) if as_json else report.text())


def _got(row: Row) -> str:
    if row.error is not None:
        return f"an error: {row.error}"
    return repr(row.output.answer) if row.output is not None else "nothing"


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise EvalError(f"-T takes NAME=VALUE, got {text!r}")
    return name, value
