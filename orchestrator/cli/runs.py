"""The commands about earlier runs: `braid runs` (list, show, prune), `braid resume`, `braid replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

runs_app = typer.Typer(
    invoke_without_command=True,
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, its beginning, or `last`.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document for a program to read.")]


@runs_app.callback()
def runs(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="The latest N.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the runs in the journal, the latest first; `show` one, or `prune` old ones.

    [bold]Examples[/bold]

      braid runs

      braid runs show last

      braid runs prune --older-than 30d --max-size 1GB
    """
    if context.invoked_subcommand is None:
        from braid.orchestrator.cli.commands.journal import list_command

        list_command(limit=limit, as_json=as_json)


@runs_app.command()
def show(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show one run: its question, how it ended, its nodes, and its calls of tools that change something."""
    from braid.orchestrator.cli.commands.journal import show_command

    show_command(run, as_json=as_json)


@runs_app.command()
def prune(
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="AGE",
            help="Remove runs untouched for so long: 12h, 30d, 8w.",
            show_default=False,
        ),
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option(
            "--max-size",
            metavar="SIZE",
            help="Remove the oldest until the journal is no larger: 500MB, 1GB.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Remove runs from the journal for good. One that a process works on stays."""
    from braid.orchestrator.cli.commands.journal import prune_command, read_age, read_size

    if older_than is None and max_size is None:
        raise typer.BadParameter("say which: --older-than 30d, --max-size 1GB, or both")
    age = None if older_than is None else read_age(older_than)
    size = None if max_size is None else read_size(max_size)
    prune_command(older_than=age, max_size=size, as_json=as_json)


def resume(
    run: RunArgument,
    as_json: JsonOption = False,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            "-e",
            metavar="ADDRESS",
            help="In place of the run's own engine.",
            show_default=False,
        ),
    ] = None,
    budget_tokens: Annotated[
        int | None,
        typer.Option(
            "--budget-tokens",
            min=0,
            metavar="N",
            show_default=False,
            help="Take the place of the run's own limit; what was spent counts.",
        ),
    ] = None,
    budget_seconds: Annotated[
        float | None,
        typer.Option(
            "--budget-seconds", min=0, metavar="S", show_default=False, help="The same for seconds."
        ),
    ] = None,
    budget_calls: Annotated[
        int | None,
        typer.Option(
            "--budget-calls",
            min=0,
            metavar="N",
            show_default=False,
            help="The same for calls of model and tools.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Go on although tools that the run needs have changed.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Allow tools that change something, without asking.")
    ] = False,
) -> None:
    """Go on with a run whose process ended before it, that was stopped, or that failed.

    What is done is not done again. Where a call that changes something was
    under way, its tool is asked whether it happened, else you are; it is never
    repeated blindly.

    [bold]Examples[/bold]

      braid resume last

      braid resume 3f2a --budget-tokens 50000
    """
    from braid.orchestrator.cli.commands.journal import resume_command
    from braid.orchestrator.cli.options import RunOptions

    options = RunOptions(
        engine=engine,
        budget_tokens=budget_tokens,
        budget_seconds=budget_seconds,
        budget_calls=budget_calls,
        yes=yes,
    )
    resume_command(run, options, force=force, as_json=as_json)


def view(
    run: RunArgument,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", help="Write it as a page: report, graph, timeline.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Report on a run: work, critical path, speed-up, where the time went; with `--html` as a page with graph and timeline.

    [bold]Examples[/bold]

      braid view last

      braid view 3f2a --html run.html
    """
    from braid.orchestrator.cli.commands.journal import view_command

    view_command(run, html=html, as_json=as_json)


def replay(
    run: RunArgument,
    speed: Annotated[
        float | None,
        typer.Option(
            "--speed",
            min=0.01,
            metavar="X",
            help="As fast as it was (1), ten times as fast (10); without it, at once.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a run again as it came, and end as it did. No tool is called and no model asked.

    [bold]Example[/bold]

      braid replay last --speed 10
    """
    from braid.orchestrator.cli.commands.journal import replay_command

    replay_command(run, speed=speed, as_json=as_json)
