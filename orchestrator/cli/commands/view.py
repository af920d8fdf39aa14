"""`braid view`: where the time of a recorded run went, as text or as a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from braid.executors.report import diagram, report_of_spans, run_page, spans_of_events
from braid.orchestrator.cli.commands.runs import read_run
from braid.orchestrator.cli.options import DotOption, JsonOption, MermaidOption, RunArgument, chosen_diagram
from braid.orchestrator.cli.output import console, print_json, write_page
from braid.orchestrator.events import RunFinished
from braid.planner import PlannerFinished

HELP = """\
Report on a run: work, critical path, speed-up, where the time went; with `--html` as a page with graph
and timeline.

[bold]Examples[/bold]

  braid view last

  braid view 3f2a --html run.html

  braid view last --dot | dot -Tsvg > run.svg
"""


def view(
    run: RunArgument,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", help="Write it as a page: report, graph, timeline.", show_default=False
        ),
    ] = None,
    mermaid: MermaidOption = False,
    dot: DotOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the report on a recorded run, or write it as a page."""
    drawn = chosen_diagram(mermaid=mermaid, dot=dot, as_json=as_json)
    row, events = read_run(run)
    spans = spans_of_events(events)
    planning = sum(
        envelope.event.seconds for envelope in events if isinstance(envelope.event, PlannerFinished)
    )
    took = [envelope.event.seconds for envelope in events if isinstance(envelope.event, RunFinished)]
    report = report_of_spans(spans, planner_seconds=planning, run_seconds=took[-1] if took else 0.0)
    if html is not None:
        notes = [f"run {row.id}, {row.status}, {row.spec.get('engine')}"]
        answer = row.answer or ""
        if row.status == "declined":
            answer = ""
            notes.insert(0, f"declined: {row.answer}")
        write_page(html, run_page(spans, report, title=row.question, answer=answer, notes=notes))
    if drawn is not None:
        sys.stdout.write(diagram(spans, drawn))
    elif as_json:
        print_json({"run": row.id, "report": report.model_dump(mode="json", exclude={"usage"})})
    else:
        console().print(report.text(), soft_wrap=True, markup=False, highlight=False)
