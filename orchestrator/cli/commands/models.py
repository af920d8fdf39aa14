"""`braid models`: the models that Braid can pull. Lists them, pulls one, shows one, removes one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from braid.engine.catalogue import (
    CatalogueModel,
    cached_model,
    catalogue,
    catalogue_model,
    pull_model,
    pulled_model,
    remove_model,
)
from braid.orchestrator.cli.options import JsonOption
from braid.orchestrator.cli.output import console, print_json

HELP = """\
List the models that can be pulled; `pull` one into the cache, show its `info`, `rm` it.

A model that is in the cache opens as local:NAME.

[bold]Examples[/bold]

  braid models pull smollm2-135m

  braid run -e local:smollm2-135m "Why is the sky blue?"
"""

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name in the catalogue.")]

app = typer.Typer(
    invoke_without_command=True,
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(help=HELP)
def models(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the models, unless a subcommand is called."""
    if context.invoked_subcommand is None:
        show_models(as_json=as_json)


@app.command("list")
def show_models(as_json: JsonOption = False) -> None:
    """List the models that can be pulled, and which are here."""
    known = list(catalogue().values())
    if as_json:
        print_json({"models": [_document(model) for model in known]})
        return
    out = console()
    for model in known:
        state = "here" if pulled_model(model.name) else ""
        size = f"{model.megabytes:>5} MB"
        out.print(f"{model.name:<14} {size}  {model.licence:<11} {state:<5} {model.good_for}")


@app.command()
def pull(name: NameArgument) -> None:
    """Fetch a model into the cache. A pull that was stopped goes on where it was."""
    path = pull_model(name)
    console(stderr=True).print(f"{name} is at {path}; open it as local:{name}", soft_wrap=True)


@app.command()
def info(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show one model: its source, licence, size, and where it is."""
    document = _document(catalogue_model(name))
    if as_json:
        print_json(document)
        return
    out = console()
    for key, value in document.items():
        out.print(f"{key:<9} {'-' if value is None else value}", soft_wrap=True)


@app.command()
def rm(name: NameArgument) -> None:
    """Delete a model that was pulled, and nothing else."""
    freed = remove_model(name)
    console(stderr=True).print(f"removed {name}, {freed / 1e6:.0f} MB")


def _document(model: CatalogueModel) -> dict[str, Any]:
    pulled, path = pulled_model(model.name), cached_model(model.name)
    return {
        "name": model.name,
        "title": model.title,
        "good for": model.good_for,
        "size": f"{model.megabytes} MB",
        "licence": model.licence,
        "source": str(model.source),
        "revision": pulled.revision if pulled else None,
        "pulled": pulled.pulled if pulled else None,
        "path": str(path) if path else None,
    }
