"""`braid resume`: go on with a recorded run."""

from __future__ import annotations

from typing import Annotated

import typer

from braid.executors import ToolRegistry
from braid.orchestrator.agent import Agent
from braid.orchestrator.cli.commands.replay import recorded_exit_code, show_recorded
from braid.orchestrator.cli.commands.run import json_document, saying_how_to_go_on, show_result
from braid.orchestrator.cli.commands.runs import find_run, read_run
from braid.orchestrator.cli.display import display_for_stderr
from braid.orchestrator.cli.group import EXIT_CODES
from braid.orchestrator.cli.options import (
    JsonOption,
    OutputOption,
    PriceOption,
    RunArgument,
    ThinkEngineOption,
    YesOption,
    budget_limits,
    make_agent,
    run_async,
    selected_tools,
)
from braid.orchestrator.cli.output import print_json
from braid.orchestrator.cli.person import Person
from braid.orchestrator.events import RunStatus
from braid.orchestrator.resume import stored_spec
from braid.orchestrator.settings import BudgetLimits

HELP = """\
Go on with a run whose process ended before it, that was stopped, or that failed.

What is done is not done again. Where a call that changes something was
under way, its tool is asked whether it happened, else you are; it is never
repeated blindly. The exit code is that of `braid run`.

[bold]Examples[/bold]

  braid resume last

  braid resume 3f2a --budget-tokens 50000
"""


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
    think_engine: ThinkEngineOption = None,
    output: OutputOption = None,
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
    budget_cost: Annotated[
        float | None,
        typer.Option(
            "--budget-cost",
            min=0,
            metavar="MONEY",
            show_default=False,
            help="The same for money, by the run's own prices or those of --price.",
        ),
    ] = None,
    price: PriceOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Go on although tools that the run needs have changed.")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Resume a recorded run, and show it."""
    row = find_run(run)
    if row.final and not as_json and output is None:  # no model need be loaded for that
        show_recorded(*read_run(row.id))
        raise typer.Exit(recorded_exit_code(row))
    spec = stored_spec(row)
    if engine is not None:
        spec = spec.model_copy(update={"engine": engine, "think_engine": think_engine})
    elif think_engine is not None:
        spec = spec.model_copy(update={"think_engine": think_engine})
    known = ToolRegistry(selected_tools(None, spec.tools_from))
    person = Person(yes=yes)
    tools = [known.get(name) for name in spec.tools if name in known]
    review = person.review if spec.review else None
    agent = make_agent(spec, tools, person=person, output=output, review=review)
    limits = budget_limits(
        price,
        spec.budget,
        tokens=budget_tokens,
        seconds=budget_seconds,
        calls=budget_calls,
        cost=budget_cost,
    )
    work = _resumed(agent, row.id, person, limits=limits, force=force, as_json=as_json)
    raise typer.Exit(EXIT_CODES[run_async(work)])


async def _resumed(
    agent: Agent, run: str, person: Person, *, limits: BudgetLimits | None, force: bool, as_json: bool
) -> RunStatus:
    """Resume and show."""
    async with agent:
        if not agent.spec.plan:
            await agent.open()  # as in `braid run`, loading a model is no part of the time
        budget = limits and limits.budget()
        if as_json:
            result = await agent.resume(run, budget=budget, force=force)
            print_json(json_document(agent, result))
            return result.status
        with display_for_stderr() as display:
            person.display = display
            try:
                stream = agent.stream_resume(run, budget=budget, force=force)
                async with stream as events:
                    async for envelope in saying_how_to_go_on(agent, events):
                        display(envelope)
            finally:
                person.display = None
        show_result(stream.result, typed=agent.output_type is not None)
        return stream.result.status
