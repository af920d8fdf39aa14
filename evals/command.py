"""What the commands of `braid bench` do."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from braid.engine import connect
from braid.evals.log import Row, read_log
from braid.evals.report import EvalReport, report_on
from braid.evals.runner import run_task
from braid.evals.task import EvalError, Options, all_tasks, get_task
from braid.orchestrator import load_settings


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """The options of `braid bench run`, as typed."""

    task: str
    engine: str | None
    limit: int | None
    sample_ids: frozenset[str]
    epochs: int
    at_once: int
    seed: int
    sequential: bool
    arguments: tuple[str, ...]
    data_dir: Path | None
    threads: int | None
    log: Path | None
    resume: Path | None


def list_command(*, as_json: bool) -> None:
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


def run_command(request: RunRequest, *, as_json: bool) -> None:
    if request.log is not None and request.resume is not None:
        raise EvalError("--log starts a new log and --resume goes on with one: give one of them")
    if request.log is not None and request.log.exists():
        raise EvalError(
            f"{str(request.log)!r} is there already: name a new file, or go on with it by --resume"
        )
    options = Options(
        seed=request.seed,
        limit=request.limit,
        sequential=request.sequential,
        data_dir=request.data_dir,
        arguments=dict(_pair(text) for text in request.arguments),
    )
    try:
        report = asyncio.run(_run(request, options))
    except KeyboardInterrupt:
        log = request.log or request.resume
        kept = f"; go on with: braid bench run {request.task} --resume {log}" if log else ""
        typer.echo(f"braid: interrupted{kept}", err=True)
        raise typer.Exit(130) from None
    _print(report, as_json=as_json)
    if report.errors:
        raise typer.Exit(1)


def view_command(log: Path, *, wrong: bool, as_json: bool) -> None:
    header, rows = read_log(log)
    _print(report_on(header, rows, log=str(log)), as_json=as_json)
    if wrong and not as_json:
        for row in rows:
            if row.error is not None or (row.score is not None and row.score.correct < 1):
                typer.echo(f"\n{row.sample}: {row.question}\n  expected {row.target!r}, got {_got(row)}")


async def _run(request: RunRequest, options: Options) -> EvalReport:
    task = get_task(request.task)
    task.samples(options)  # a mistake in the arguments shows before a model is loaded
    settings = load_settings()
    address = request.engine or settings.engine
    threads = request.threads or settings.threads
    more = {"threads": threads} if threads and address.startswith("local:") else {}
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

    def progress(row: Row, done: int, total: int) -> None:
        nonlocal right, scored
        if row.score is not None:
            scored += 1
            right += row.score.correct
        share = f"{100 * right / scored:.0f} % right" if scored else ""
        bar.update(shown, completed=done, total=total, right=share)

    async with await connect(address, **more) as engine:
        with bar:
            shown = bar.add_task(task.name, total=None, right="")
            return await run_task(
                task,
                engine,
                options,
                epochs=request.epochs,
                at_once=request.at_once,
                sample_ids=request.sample_ids,
                log=request.resume or request.log,
                resume=request.resume is not None,
                progress=progress,
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
