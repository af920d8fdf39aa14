"""`braid runs`: the runs in the journal. Lists them, shows one, removes old ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from braid.engine import Envelope
from braid.executors.journal import Journal, RunRow, recorded_events
from braid.orchestrator.cli.display import DisplayState
from braid.orchestrator.cli.options import JsonOption, RunArgument
from braid.orchestrator.cli.output import console, one_line, print_json
from braid.orchestrator.settings import journal_file

HELP = """\
List the runs in the journal, the latest first; `show` one, or `prune` old ones.

[bold]Examples[/bold]

  braid runs

  braid runs show last

  braid runs prune --older-than 30d --max-size 1GB
"""

_AGES: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZES: Final = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}

app = typer.Typer(
    invoke_without_command=True,
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(help=HELP)
def runs(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="The latest N.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the runs, unless a subcommand is called."""
    if context.invoked_subcommand is not None:
        return
    with Journal(journal_file()) as journal:
        rows = journal.runs(limit=limit)
    if as_json:
        print_json({"runs": [run_document(row) for row in rows]})
        return
    out = console()
    if not rows:
        console(stderr=True).print("no runs yet", style="dim")
    for row in rows:
        when = datetime.fromtimestamp(row.created).strftime("%Y-%m-%d %H:%M")
        out.print(
            f"{row.id}  {when}  {'damaged' if row.damage else row.status:<11}  {one_line(row.question, 80)}"
        )


@app.command()
def show(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show one run: its question, how it ended, its nodes, and its calls of tools that change something."""
    with Journal(journal_file()) as journal:
        row = journal.find(run)
        events = recorded_events(journal, row)
        calls = journal.calls(row.no)
    state = _display_state(events)
    if as_json:
        document = run_document(row)
        document["spec"] = row.spec
        document["spent"] = row.spent
        document["nodes"] = [
            {"id": node.id, "state": node.state, "seconds": node.seconds, "note": node.note}
            for node in state.rows.values()
        ]
        document["calls"] = [
            {"key": key, "node": node, "tool": tool, "state": state, "error": error}
            for key, node, tool, state, _, error, _ in calls
        ]
        print_json(document)
        return
    out = console()
    out.print(f"run {row.id}: {row.status}", style="bold")
    out.print(one_line(row.question, 500), soft_wrap=True)
    when = datetime.fromtimestamp(row.created).isoformat(" ", "seconds")
    spent = ", ".join(f"{amount:.6g} {key}" for key, amount in row.spent.items())
    out.print(f"{when}, {row.spec.get('engine')}{'; spent ' + spent if spent else ''}", soft_wrap=True)
    for node in state.rows.values():
        seconds = "" if node.seconds is None else f"{node.seconds:.2f} s"
        out.print(f"  {node.state:<9} {seconds:>9}  {one_line(node.label, 60)}  {one_line(node.note, 60)}")
    for _key, node, tool, state, _value, error, _args in calls:
        call_states = {
            "started": "begun, and how it ended is not known",
            "not_done": "begun, but it did not happen",
        }
        outcome = call_states.get(state, state)
        out.print(
            f"  call of {tool} by {node}: {outcome}{': ' + one_line(error) if error else ''}", soft_wrap=True
        )
    if row.answer:
        out.print(row.answer, style="bold", soft_wrap=True)


@app.command()
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
    if older_than is None and max_size is None:
        raise typer.BadParameter("say which: --older-than 30d, --max-size 1GB, or both")
    age = None if older_than is None else read_age(older_than)
    size = None if max_size is None else read_size(max_size)
    with Journal(journal_file()) as journal:
        pruned = journal.prune(older_than=age, max_size=size)
    if as_json:
        print_json(asdict(pruned))
    else:
        console().print(
            f"{pruned.runs} run{'' if pruned.runs == 1 else 's'} removed; {pruned.size / 1e6:.1f} MB are left"
        )


def find_run(run: str) -> RunRow:
    """A run in the user's journal.

    Raises:
        UnknownRunError: There is no such run.
        JournalError: The journal cannot be read.
    """
    with Journal(journal_file()) as journal:
        return journal.find(run)


def read_run(run: str) -> tuple[RunRow, list[Envelope]]:
    """A run in the user's journal, and its events. Raises what `find_run` raises."""
    with Journal(journal_file()) as journal:
        row = journal.find(run)
        return row, recorded_events(journal, row)


def read_age(text: str) -> float:
    """`30d` in seconds.

    Raises:
        typer.BadParameter: It is not written like that.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", text.lower())
    if found is None:
        raise typer.BadParameter(f"an age is a number and one of s, m, h, d, w, such as 30d; got {text!r}")
    return float(found[1]) * _AGES[found[2]]


def read_size(text: str) -> int:
    """`1GB` in bytes.

    Raises:
        typer.BadParameter: It is not written like that.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?\s*", text.upper())
    if found is None:
        raise typer.BadParameter(f"a size is a number and one of KB, MB, GB, such as 1GB; got {text!r}")
    return int(float(found[1]) * _SIZES[found[2]])


def run_document(row: RunRow) -> dict[str, Any]:
    """The JSON fields that every document about a run has."""
    return {
        "run_id": row.id,
        "created": row.created,
        "updated": row.updated,
        "status": row.status,
        "question": row.question,
        "answer": row.answer,
        "engine": row.spec.get("engine"),
        **({"damage": row.damage} if row.damage else {}),
    }


def _display_state(events: Sequence[Envelope]) -> DisplayState:
    view = DisplayState()
    for envelope in events:
        view.update(envelope.event)
    return view
