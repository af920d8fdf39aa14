"""`braid run`: one question, shown while it runs. The answer goes to stdout, everything else to stderr."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic_core import to_jsonable_python

from braid.engine import Envelope, Message
from braid.orchestrator.agent import BY_HAND, Agent
from braid.orchestrator.baseline import ReplayError, compare_with_sequential
from braid.orchestrator.cli.display import Display, comparison_lines, display_for_stderr, report_lines
from braid.orchestrator.cli.group import EXIT_CODES
from braid.orchestrator.cli.keyboard import KeyboardInput
from braid.orchestrator.cli.options import (
    CacheOption,
    ChunkOption,
    ContinueOption,
    DeviceOption,
    EngineOption,
    InstructionsOption,
    JournalOption,
    JsonOption,
    MaxTokensOption,
    McpOption,
    MemoryOption,
    OptionalQuestion,
    OutputOption,
    PlanFileOption,
    PriceOption,
    ProbeOption,
    ReviewOption,
    SamplesOption,
    SeedOption,
    ShortcutsOption,
    StopOption,
    TemperatureOption,
    ThinkEngineOption,
    ThreadsOption,
    ToolsFromOption,
    ToolsOption,
    TopPOption,
    YesOption,
    budget_limits,
    conversation,
    make_agent,
    read_plan,
    reviewer,
    run_async,
    run_spec,
    selected_tools,
)
from braid.orchestrator.cli.output import check_writable, console, print_answer, print_json, write_page
from braid.orchestrator.cli.person import Person
from braid.orchestrator.events import RunStatus
from braid.orchestrator.result import RunResult
from braid.orchestrator.settings import RunSpec
from braid.orchestrator.stream import RunStream

PATIENCE = 1.0
"""Seconds after which a pipe is told that the engine is being opened."""
HELP = """\
Plan a question, run the plan, and print the answer.

The terminal shows every node with its state and time while it runs; a pipe gets plain lines.
Exit code: 0 answered, 4 declined, 3 partial (stopped early, with results),
1 failed, 2 wrong usage, 130 interrupted.

[bold]Examples[/bold]

  braid run "Which is longer, the Nile or the Amazon, and by how much?"

  braid run "..." --json | jq .answer

  braid run --continue "And Mont Blanc?"

  braid run "..." --compare --budget-seconds 30

  braid run --plan heights.plan --review

  braid run "..." --engine openai:http://127.0.0.1:8000/v1#my-model
"""


def run(
    question: OptionalQuestion = None,
    as_json: JsonOption = False,
    sequential: Annotated[
        bool, typer.Option("--sequential", help="One node at a time, in plan order: the honest baseline.")
    ] = False,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Afterwards run the same plan one node at a time, and print the speed-up."
        ),
    ] = False,
    plan: PlanFileOption = None,
    review: ReviewOption = False,
    engine: EngineOption = None,
    think_engine: ThinkEngineOption = None,
    tools: ToolsOption = None,
    tools_from: ToolsFromOption = None,
    mcp: McpOption = None,
    samples: SamplesOption = None,
    max_rounds: Annotated[
        int | None,
        typer.Option(
            "--max-rounds",
            min=1,
            metavar="N",
            help="How often a plan that brings no answer may be mended.",
            show_default=False,
        ),
    ] = None,
    budget_tokens: Annotated[
        int | None,
        typer.Option(
            "--budget-tokens",
            min=0,
            metavar="N",
            help="Stop after so many tokens, with what is known by then.",
            show_default=False,
        ),
    ] = None,
    budget_seconds: Annotated[
        float | None,
        typer.Option(
            "--budget-seconds", min=0, metavar="S", help="Stop after so many seconds.", show_default=False
        ),
    ] = None,
    budget_calls: Annotated[
        int | None,
        typer.Option(
            "--budget-calls",
            min=0,
            metavar="N",
            help="Stop after so many calls of model and tools.",
            show_default=False,
        ),
    ] = None,
    budget_cost: Annotated[
        float | None,
        typer.Option(
            "--budget-cost",
            min=0,
            metavar="MONEY",
            help="Stop when so much is spent, by the prices given with --price.",
            show_default=False,
        ),
    ] = None,
    budget_soft: Annotated[
        float | None,
        typer.Option(
            "--budget-soft",
            min=0,
            max=1,
            metavar="SHARE",
            help="From this share of a limit on, do with less: "
            "fewer samples, and an answer with what is known.",
            show_default=False,
        ),
    ] = None,
    price: PriceOption = None,
    instructions: InstructionsOption = None,
    temperature: TemperatureOption = None,
    max_tokens: MaxTokensOption = None,
    top_p: TopPOption = None,
    stop: StopOption = None,
    output: OutputOption = None,
    seed: SeedOption = None,
    shortcuts: ShortcutsOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = None,
    memory: MemoryOption = None,
    cache: CacheOption = None,
    chunk: ChunkOption = None,
    probe: ProbeOption = None,
    journal: JournalOption = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write the run's page: report, graph, timeline.",
            show_default=False,
            dir_okay=False,
        ),
    ] = None,
    goes_on: ContinueOption = False,
    after: Annotated[
        str | None,
        typer.Option(
            "--continue-from",
            metavar="RUN",
            help="The same with another run: its id, or the beginning of it.",
            show_default=False,
        ),
    ] = None,
    yes: YesOption = False,
) -> None:
    """Run one question, and show it while it runs."""
    if sequential and compare:
        raise typer.BadParameter("--compare measures a run side by side; leave out --sequential")
    if html is not None:
        check_writable(html)
    text = read_plan(plan)
    if question is None and not text:
        raise typer.BadParameter("give a question, or a plan by --plan", param_hint="'QUESTION'")
    spec = run_spec(
        tools_from=tools_from or None,
        plan=text or None,
        engine=engine,
        think_engine=think_engine,
        mcp=mcp,
        samples=samples,
        max_rounds=max_rounds,
        instructions=instructions,
        temperature=temperature,
        max_tokens=max_tokens,
        top_p=top_p,
        stop=stop,
        seed=seed,
        shortcuts=shortcuts,
        threads=threads,
        device=device,
        memory_mib=memory,
        cache_mib=cache,
        chunk_tokens=chunk,
        probe=probe,
        sequential=sequential,
        budget=budget_limits(
            price,
            tokens=budget_tokens,
            seconds=budget_seconds,
            calls=budget_calls,
            cost=budget_cost,
            soft=budget_soft,
        ),
    )
    earlier = conversation(after or "last") if goes_on or after is not None else ()
    person = Person(yes=yes)
    agent = make_agent(
        spec,
        selected_tools(tools, spec.tools_from),
        person=person,
        journal=journal,
        review=reviewer(person, review=review),
        output=output,
    )
    asked = question or (BY_HAND if plan is None or plan == "-" else f"Carry out {Path(plan).name}.")
    if as_json:
        work = _document(agent, asked, earlier, compare=compare, html=html)
    else:
        work = _shown(agent, asked, person, earlier, compare=compare, html=html)
    raise typer.Exit(EXIT_CODES[run_async(work)])


def show_result(result: RunResult[object], *, typed: bool = False) -> None:
    """The answer on stdout, what it took on stderr. A `typed` answer is its output as JSON."""
    notes = console(stderr=True)
    if result.complete and typed:
        print_json(to_jsonable_python(result.output, fallback=str))
    elif result.complete:
        print_answer(result.answer, style="bold")
    else:
        notes.print(f"{result.status}: {result.reason}", style="yellow")
        if result.status == "partial":
            notes.print("known so far:", style="yellow")
            print_answer(result.answer)
        if result.hint:
            notes.print(result.hint, style="dim")
    sys.stdout.flush()
    if result.doubt:
        notes.print(f"not sure: {result.doubt}", style="yellow")
    for line in report_lines(result):
        notes.print(line, style="dim")


async def watch(
    agent: Agent, question: str, person: Person, *, history: Sequence[Message] = ()
) -> RunResult[object]:
    """Run `question` and show it on stderr."""
    with display_for_stderr() as display:
        person.display = display
        try:
            await _opened(agent, question, history, display)
            run = agent.stream(question, history=history, **_own_options(agent.spec))
            async with run as events:
                with KeyboardInput(events.say, display.show_input) as person.keyboard:
                    async for envelope in saying_how_to_go_on(agent, events):
                        display(envelope)
        finally:
            person.display = person.keyboard = None
    return run.result


async def _opened(agent: Agent, question: str, history: Sequence[Message], display: Display) -> None:
    """Open what a run of `question` needs. Loading a model is no part of the time that the budget allows."""
    notice = asyncio.get_running_loop().call_later(PATIENCE, display.show_opening, agent.spec.engine)
    try:
        await agent.job(question, history=history)
    finally:
        notice.cancel()


async def saying_how_to_go_on(agent: Agent, run: RunStream) -> AsyncIterator[Envelope]:
    """The events of `run`. Where it is interrupted, a line says which command goes on with it."""
    began = ""
    try:
        async for envelope in run:
            began = envelope.run
            yield envelope
    except asyncio.CancelledError as stop:
        if began and agent.journal is not None:
            stop.add_note(f"`braid resume {began}` goes on")  # `run_async` prints it
        raise


def json_document(agent: Agent, result: RunResult[object]) -> dict[str, Any]:
    """What `--json` prints of a run, with its output where a type was asked for."""
    document = result.to_dict()
    if agent.output_type is not None:
        document["output"] = to_jsonable_python(result.output, fallback=str)
    return document


def _own_options(spec: RunSpec) -> dict[str, Any]:
    """What `Agent.run` is given for one run. The clock of the budget starts now."""
    return {"budget": spec.budget and spec.budget.budget(), "sequential": spec.sequential}


async def _shown(
    agent: Agent,
    question: str,
    person: Person,
    earlier: Sequence[Message],
    *,
    compare: bool,
    html: Path | None,
) -> RunStatus:
    """Run and show."""
    async with agent:
        result = await watch(agent, question, person, history=earlier)
        show_result(result, typed=agent.output_type is not None)
        for text in result.unheard:
            note = f"not taken up: {text} (ask it with `braid run --continue`)"
            console(stderr=True).print(note, style="yellow", soft_wrap=True)
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
    return result.status


async def _document(
    agent: Agent, question: str, earlier: Sequence[Message], *, compare: bool, html: Path | None
) -> RunStatus:
    """Run and print one JSON document."""
    async with agent:
        await agent.job(question, history=earlier)
        run = agent.stream(question, history=earlier, **_own_options(agent.spec))
        async for _ in saying_how_to_go_on(agent, run):
            pass
        result = run.result
        document = json_document(agent, result)
        if html is not None:
            write_page(html, result.page())
        if compare and result.complete:
            try:
                comparison = await compare_with_sequential(agent, result)
                document["comparison"] = comparison.model_dump(mode="json")
            except ReplayError as error:
                document["comparison"] = {"error": str(error)}
        print_json(document)
    return result.status
