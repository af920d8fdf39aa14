"""What `braid runs`, `braid resume` and `braid replay` do."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import typer

from braid.engine import Envelope
from braid.executors.journal import Journal, RunRow, recorded_events
from braid.executors.report import report_of_spans, run_page, spans_of_events
from braid.orchestrator.cli.commands.run import show_result
from braid.orchestrator.cli.display import DisplayState
from braid.orchestrator.cli.group import EXIT_FAILURE
from braid.orchestrator.cli.options import RunOptions, run_async
from braid.orchestrator.cli.output import console, one_line, print_json, write_page
from braid.orchestrator.cli.person import Person, display_for_stderr
from braid.orchestrator.default_tools import registry_of
from braid.orchestrator.events import RunFinished
from braid.orchestrator.settings import journal_file
from braid.planner import PlannerFinished

_AGES: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZES: Final = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}
_LONGEST_WAIT: Final = 5.0


def list_command(*, limit: int, as_json: bool) -> None:
    with _journal() as journal:
        rows = journal.runs(limit=limit)
    if as_json:
        print_json({"runs": [_document(row) for row in rows]})
        return
    out = console()
    if not rows:
        console(stderr=True).print("no runs yet", style="dim")
    for row in rows:
        when = datetime.fromtimestamp(row.created).strftime("%Y-%m-%d %H:%M")
        out.print(f"{row.id}  {when}  {row.status:<11}  {one_line(row.question, 80)}")


def show_command(run: str, *, as_json: bool) -> None:
    with _journal() as journal:
        row = journal.find(run)
        events = recorded_events(journal, row)
        calls = journal.calls(row.no)
    view = _view(events)
    if as_json:
        document = _document(row)
        document["spec"] = row.spec
        document["spent"] = row.spent
        document["nodes"] = [
            {"id": one.id, "state": one.state, "seconds": one.seconds, "note": one.note}
            for one in view.rows.values()
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
    for one in view.rows.values():
        seconds = "" if one.seconds is None else f"{one.seconds:.2f} s"
        out.print(f"  {one.state:<9} {seconds:>9}  {one_line(one.label, 60)}  {one_line(one.note, 60)}")
    for _key, node, tool, state, _value, error, _args in calls:
        fates = {
            "started": "begun, and how it ended is not known",
            "not_done": "begun, but it did not happen",
        }
        fate = fates.get(state, state)
        out.print(
            f"  call of {tool} by {node}: {fate}{': ' + one_line(error) if error else ''}", soft_wrap=True
        )
    if row.answer:
        out.print(row.answer, style="bold", soft_wrap=True)


def prune_command(*, older_than: float | None, max_size: int | None, as_json: bool) -> None:
    with _journal() as journal:
        pruned = journal.prune(older_than=older_than, max_size=max_size)
    if as_json:
        print_json(asdict(pruned))
    else:
        console().print(
            f"{pruned.runs} run{'' if pruned.runs == 1 else 's'} removed; {pruned.size / 1e6:.1f} MB are left"
        )


def resume_command(run: str, options: RunOptions, *, force: bool, as_json: bool) -> None:
    with _journal() as journal:
        row = journal.find(run)
    if row.status == "answered" and not as_json:  # no model need be loaded for that
        replay_command(row.id, speed=None, as_json=False)
        return
    known = registry_of(None)
    options = replace(
        options,
        tools=",".join(name for name in row.spec["tools"] if name in known),
        mcp=row.spec.get("mcp"),
        threads=row.spec.get("threads"),
    )
    if not run_async(_resumed(row.id, options, force=force, as_json=as_json)):
        raise typer.Exit(EXIT_FAILURE)


async def _resumed(run: str, options: RunOptions, *, force: bool, as_json: bool) -> bool:
    """Resume and show; says whether there is an answer."""
    person = Person(yes=options.yes)
    async with options.agent(approve=person.approve, ask=person.ask) as agent:
        if as_json:
            result = await agent.resume(run, budget=options.budget(), force=force)
            print_json(result.to_dict())
            return result.complete
        with display_for_stderr() as display:
            person.display = display
            try:
                stream = agent.stream_resume(run, budget=options.budget(), force=force)
                async with stream as events:
                    async for envelope in events:
                        display(envelope)
            finally:
                person.display = None
        show_result(stream.result)
        return stream.result.complete


def view_command(run: str, *, html: Path | None, as_json: bool) -> None:
    with _journal() as journal:
        row = journal.find(run)
        events = recorded_events(journal, row)
    spans = spans_of_events(events)
    planning = sum(one.event.seconds for one in events if isinstance(one.event, PlannerFinished))
    report = report_of_spans(spans, planner_seconds=planning)
    if html is not None:
        notes = [f"run {row.id}, {row.status}, {row.spec.get('engine')}"]
        write_page(html, run_page(spans, report, title=row.question, answer=row.answer or "", notes=notes))
    if as_json:
        print_json({"run": row.id, "report": report.model_dump(mode="json", exclude={"usage"})})
    else:
        console().print(report.text(), soft_wrap=True, markup=False, highlight=False)


def replay_command(run: str, *, speed: float | None, as_json: bool) -> None:
    with _journal() as journal:
        row = journal.find(run)
        events = recorded_events(journal, row)
    if as_json:
        document = _document(row)
        document["events"] = [envelope.model_dump(mode="json") for envelope in events]
        print_json(document)
    else:
        run_async(_played(events, speed))
        if row.answer is not None:
            console().print(row.answer, style="bold", soft_wrap=True)
        sys.stdout.flush()
        last = next((e.event for e in reversed(events) if isinstance(e.event, RunFinished)), None)
        if row.status != "answered":
            reason = f": {last.reason}" if last is not None and last.reason else ""
            console(stderr=True).print(f"the run was {row.status}{reason}", style="yellow", soft_wrap=True)
    if row.status != "answered":
        raise typer.Exit(EXIT_FAILURE)


async def _played(events: Sequence[Envelope], speed: float | None) -> None:
    with display_for_stderr() as display:
        before = events[0].at if events else 0.0
        for envelope in events:
            if speed is not None:
                await asyncio.sleep(min(_LONGEST_WAIT, max(0.0, envelope.at - before) / speed))
            before = envelope.at
            display(envelope)


def read_age(text: str) -> float:
    """`30d` in seconds; raises `typer.BadParameter`."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", text.lower())
    if found is None:
        raise typer.BadParameter(f"an age is a number and one of s, m, h, d, w, such as 30d; got {text!r}")
    return float(found[1]) * _AGES[found[2]]


def read_size(text: str) -> int:
    """`1GB` in bytes; raises `typer.BadParameter`."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?\s*", text.upper())
    if found is None:
        raise typer.BadParameter(f"a size is a number and one of KB, MB, GB, such as 1GB; got {text!r}")
    return int(float(found[1]) * _SIZES[found[2]])


def _document(row: RunRow) -> dict[str, Any]:
    return {
        "run_id": row.id,
        "created": row.created,
        "updated": row.updated,
        "status": row.status,
        "question": row.question,
        "answer": row.answer,
        "engine": row.spec.get("engine"),
    }


def _view(events: Sequence[Envelope]) -> DisplayState:
    view = DisplayState()
    for envelope in events:
        view.update(envelope.event)
    return view


@contextmanager
def _journal() -> Iterator[Journal]:
    with Journal(journal_file()) as journal:
        yield journal
