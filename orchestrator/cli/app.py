"""The `braid` command: its own options, and its commands, which `BraidGroup` loads when they are used."""

from __future__ import annotations

from typing import Annotated

import typer

from braid.orchestrator.cli.group import BraidGroup

HELP = """\
A model plans your question as a graph of tool calls; Braid runs the graph's nodes side by side.

[bold]Start here[/bold]

  braid run "How much taller is K2 than Mont Blanc?"

  braid repl            ask one question after another

  braid doctor          what is installed, and what is missing
"""

app = typer.Typer(
    name="braid",
    cls=BraidGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def show_version(value: bool) -> None:
    """Print the version and end the command, where `--version` was given."""
    if value:
        from braid.package_info import braid_version

        typer.echo(f"braid {braid_version()}")
        raise typer.Exit


@app.callback(help=HELP)
def braid(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=show_version, is_eager=True),
    ] = False,
) -> None:
    """The options of `braid` itself."""
