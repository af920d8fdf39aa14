"""`braid run`: one question, shown while it runs; the answer on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from braid.engine import Message
from braid.orchestrator.agent import Agent
from braid.orchestrator.baseline import ReplayError, compare_with_sequential
from braid.orchestrator.cli.display import comparison_lines, report_lines
from braid.orchestrator.cli.group import EXIT_FAILURE
from braid.orchestrator.cli.keyboard import KeyboardInput
from braid.orchestrator.cli.options import RunOptions, run_async
from braid.orchestrator.cli.output import console, print_json, write_page
from braid.orchestrator.cli.person import Person, display_for_stderr
from braid.orchestrator.result import RunResult


def run_command(options: RunOptions, *, as_json: bool, compare: bool, html: Path | None = None) -> None:
    if not run_async((_document if as_json else _shown)(options, compare, html)):
        raise typer.Exit(EXIT_FAILURE)


def show_result(result: RunResult[object]) -> None:
    """The answer on stdout, what it took on stderr."""
    notes = console(stderr=True)
    if result.complete:
        console().print(result.answer, style="bold", soft_wrap=True)
    else:
        notes.print(f"no full answer: {result.reason}", style="yellow", soft_wrap=True)
        if result.answer:
            notes.print("known so far:", style="yellow")
            console().print(result.answer, soft_wrap=True)
    sys.stdout.flush()
    for line in report_lines(result):
        notes.print(line, style="dim")


async def watch(
    agent: Agent, options: RunOptions, person: Person, *, history: Sequence[Message] = ()
) -> RunResult[object]:
    """Run the question of `options` and show it on stderr."""
    with display_for_stderr() as display:
        person.display = display
        try:
            await agent.open()  # loading a model is no part of the time that the budget allows
            run = agent.stream(
                options.question, history=history, budget=options.budget(), sequential=options.sequential
            )
            async with run as events:
                with KeyboardInput(events.say, display.typed) as person.steering:
                    async for envelope in events:
                        display(envelope)
        finally:
            person.display = person.steering = None
    return run.result


async def _shown(options: RunOptions, compare: bool, html: Path | None) -> bool:
    """Run and show; says whether there is an answer."""
    person = Person(yes=options.yes)
    async with options.agent(approve=person.approve, ask=person.ask) as agent:
        result = await watch(agent, options, person)
        show_result(result)
        if html is not None:
            write_page(html, result.page())
        if compare and result.complete:
            notes = console(stderr=True)
            notes.print("running the same plan again, one node at a time", style="dim")
            try:
                lines = comparison_lines(await compare_with_sequential(agent, result))
            except ReplayError as error:
                lines = iter([f"not compared: {error}"])
            for line in lines:
                notes.print(line, soft_wrap=True)
    return result.complete


async def _document(options: RunOptions, compare: bool, html: Path | None) -> bool:
    """Run and print one JSON document; says whether there is an answer."""
    person = Person(yes=options.yes)
    async with options.agent(approve=person.approve, ask=person.ask) as agent:
        await agent.open()
        result = await agent.run(options.question, budget=options.budget(), sequential=options.sequential)
        document = result.to_dict()
        if html is not None:
            write_page(html, result.page())
        if compare and result.complete:
            try:
                comparison = await compare_with_sequential(agent, result)
                document["comparison"] = comparison.model_dump(mode="json")
            except ReplayError as error:
                document["comparison"] = {"error": str(error)}
        print_json(document)
    return result.complete
