"""`braid replay`: a recorded run, shown again."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from braid.engine import Envelope
from braid.executors.journal import RunRow
from braid.orchestrator.cli.commands.runs import read_run, run_document
from braid.orchestrator.cli.display import display_for_stderr
from braid.orchestrator.cli.group import EXIT_CODES, EXIT_FAILURE
from braid.orchestrator.cli.options import JsonOption, RunArgument, run_async
from braid.orchestrator.cli.output import console, print_answer, print_json
from braid.orchestrator.events import RunFinished

HELP = """\
Show a run again as it came, and end as it did. No tool is called and no model asked.

[bold]Example[/bold]

  braid replay last --speed 10
"""

_LONGEST_WAIT: Final = 5.0


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
    """Show a recorded run again."""
    row, events = read_run(run)
    if as_json:
        document = run_document(row)
        document["events"] = [envelope.model_dump(mode="json") for envelope in events]
        print_json(document)
    else:
        show_recorded(row, events, speed=speed)
    raise typer.Exit(recorded_exit_code(row))


def recorded_exit_code(row: RunRow) -> int:
    """The exit code with which a recorded run ended. A run that has not ended counts as failed."""
    codes: dict[str, int] = {**EXIT_CODES}
    return codes.get(row.status, EXIT_FAILURE)


def show_recorded(row: RunRow, events: Sequence[Envelope], *, speed: float | None = None) -> None:
    """Show a recorded run, and end as it did. `speed` None shows it at once."""
    run_async(_played(events, speed))
    if row.answer and row.status != "declined":
        print_answer(row.answer, style="bold")
    sys.stdout.flush()
    last = next((e.event for e in reversed(events) if isinstance(e.event, RunFinished)), None)
    if last is not None and last.doubt:
        console(stderr=True).print(f"not sure: {last.doubt}", style="yellow")
    if row.status != "answered":
        reason = f": {last.reason}" if last is not None and last.reason else ""
        notes = console(stderr=True)
        notes.print(f"{row.status}{reason}", style="yellow")
        if last is not None and last.hint:
            notes.print(last.hint, style="dim")


async def _played(events: Sequence[Envelope], speed: float | None) -> None:
    with display_for_stderr() as display:
        before = events[0].at if events else 0.0
        for envelope in events:
            if speed is not None:
                await asyncio.sleep(min(_LONGEST_WAIT, max(0.0, envelope.at - before) / speed))
            before = envelope.at
            display(envelope)
