"""`braid run`: one question, shown while it runs; the answer on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from engine import Message
from orchestrator.agent import Agent
from orchestrator.cli.display import Display, approver, asker, display_for_stderr
from orchestrator.cli.group import EXIT_FAILURE
from orchestrator.cli.options import RunOptions, run_async
from orchestrator.cli.output import console, print_json
from orchestrator.cli.summary import comparison_lines, report_lines
from orchestrator.replay import Comparison, compare_with_sequential
from orchestrator.result import RunResult


def run_command(options: RunOptions, *, as_json: bool, compare: bool) -> None:
    result, comparison = run_async(_run(options, quiet=as_json, compare=compare))
    if as_json:
        document = result.to_dict()
        if comparison is not None:
            document["comparison"] = comparison.model_dump(mode="json")
        print_json(document)
    else:
        show_result(result, comparison)
    if not result.complete:
        raise typer.Exit(EXIT_FAILURE)


def show_result(result: RunResult[object], comparison: Comparison | None = None) -> None:
    """The answer on stdout, what it took on stderr."""
    notes = console(stderr=True)
    if result.complete:
        answer = console()
        answer.print(result.answer, style="bold", soft_wrap=True)
    else:
        notes.print(f"no full answer: {result.reason}", style="yellow", soft_wrap=True)
        if result.answer:
            notes.print("known so far:", style="yellow")
            console().print(result.answer, soft_wrap=True)
    sys.stdout.flush()
    for line in report_lines(result):
        notes.print(line, style="dim")
    if comparison is not None:
        for line in comparison_lines(comparison):
            notes.print(line)


async def watch(
    agent: Agent, options: RunOptions, display: Display, *, history: Sequence[Message] = ()
) -> RunResult[object]:
    """Run the question of `options` and show it on `display`."""
    await agent.open()  # loading a model is no part of the time that the budget allows
    run = agent.stream(
        options.question, history=history, budget=options.budget(), sequential=options.sequential
    )
    async with run as events:
        async for envelope in events:
            display(envelope)
    return run.result


async def _run(
    options: RunOptions, *, quiet: bool, compare: bool
) -> tuple[RunResult[object], Comparison | None]:
    display: Display | None = None if quiet else display_for_stderr()
    agent = options.agent(approve=approver(options.yes, lambda: display), ask=asker(lambda: display))
    async with agent:
        if display is None:
            await agent.open()
            result = await agent.run(options.question, budget=options.budget(), sequential=options.sequential)
        else:
            with display:
                result = await watch(agent, options, display)
        comparison = await compare_with_sequential(agent, result) if compare and result.complete else None
    return result, comparison
