"""`braid plan`: the plan as the model writes it, or one written by hand. Nothing is run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated

import typer

from braid.engine import Event, Message
from braid.executors import GraphPatch, TaskGraph
from braid.executors.report import DiagramKind, diagram, spans_of
from braid.executors.values import RedactedStream, Secrets
from braid.orchestrator.agent import BY_HAND, Agent
from braid.orchestrator.cli.group import EXIT_FAILURE
from braid.orchestrator.cli.options import (
    CacheOption,
    ChunkOption,
    DeviceOption,
    DotOption,
    EngineOption,
    JsonOption,
    MaxTokensOption,
    McpOption,
    MemoryOption,
    MermaidOption,
    OptionalQuestion,
    ProbeOption,
    SeedOption,
    ShortcutsOption,
    TemperatureOption,
    ThreadsOption,
    ToolsFromOption,
    ToolsOption,
    TopPOption,
    chosen_diagram,
    make_agent,
    read_plan,
    run_async,
    run_spec,
    selected_tools,
)
from braid.orchestrator.cli.output import console, print_json
from braid.orchestrator.loop import plan_task, planner_of
from braid.orchestrator.question import decide, draft_for, give_earlier_values, in_context
from braid.orchestrator.recorder import Recorder
from braid.planner import PlannerFinished, PlannerRejected, PlannerText, Routed, check_plan

HELP = """\
Show the plan for a question as it is written, and run nothing.

[bold]Example[/bold]

  braid plan "Is the Eiffel Tower taller than the Statue of Liberty?"

  braid plan --plan heights.plan --dot | dot -Tsvg > plan.svg
"""


def plan(
    question: OptionalQuestion = None,
    as_json: JsonOption = False,
    file: Annotated[
        str | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="Check this plan, written by hand, in place of a model's. - reads stdin.",
            show_default=False,
        ),
    ] = None,
    mermaid: MermaidOption = False,
    dot: DotOption = False,
    engine: EngineOption = None,
    tools: ToolsOption = None,
    tools_from: ToolsFromOption = None,
    mcp: McpOption = None,
    temperature: TemperatureOption = None,
    max_tokens: MaxTokensOption = None,
    top_p: TopPOption = None,
    seed: SeedOption = None,
    shortcuts: ShortcutsOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = None,
    memory: MemoryOption = None,
    cache: CacheOption = None,
    chunk: ChunkOption = None,
    probe: ProbeOption = None,
) -> None:
    """Write a plan, and show it."""
    text = read_plan(file)
    spec = run_spec(
        tools_from=tools_from or None,
        plan=text or None,
        engine=engine,
        mcp=mcp,
        temperature=temperature,
        max_tokens=max_tokens,
        top_p=top_p,
        seed=seed,
        shortcuts=shortcuts,
        threads=threads,
        device=device,
        memory_mib=memory,
        cache_mib=cache,
        chunk_tokens=chunk,
        probe=probe,
    )
    agent = make_agent(spec, selected_tools(tools, spec.tools_from))
    drawn = chosen_diagram(mermaid=mermaid, dot=dot, as_json=as_json)
    if text:
        run_async(_check(agent, text, as_json=as_json, drawn=drawn))
    elif question is None:
        raise typer.BadParameter("give a question, or a plan by --plan", param_hint="'QUESTION'")
    elif not run_async(_plan(agent, question, as_json=as_json, drawn=drawn)):
        raise typer.Exit(EXIT_FAILURE)


async def _check(agent: Agent, text: str, *, as_json: bool, drawn: DiagramKind | None) -> None:
    """Check a plan that was written by hand, and show it."""
    async with agent:
        job = await agent.job(BY_HAND)
        nodes = check_plan(text, job.tools.specs())
        graph = TaskGraph()
        graph.apply(GraphPatch(base_version=0, add=tuple(nodes)))
        if as_json:
            print_json({"plan": text, "valid": True, "nodes": graph.to_dict()["nodes"]})
        else:
            sys.stdout.write(text.rstrip("\n") + "\n" if drawn is None else diagram(spans_of(graph), drawn))
        console(stderr=True).print(f"{len(nodes)} nodes", style="dim")


async def _plan(agent: Agent, question: str, *, as_json: bool, drawn: DiagramKind | None) -> bool:
    async with agent:
        if drawn is not None:
            events, graph = await write_plan(agent, question)
            sys.stdout.write(diagram(spans_of(graph), drawn))
            return next(event for event in events if isinstance(event, PlannerFinished)).valid
        if not as_json:
            return await show_plan(agent, question)
        if (routed := await _decision(agent, question)) is not None:
            print_json(
                {
                    "question": question,
                    "plan": "",
                    "valid": True,
                    **routed.model_dump(exclude={"kind", "question"}),
                }
            )
            return True
        events, graph = await write_plan(agent, question)
        finished = next(event for event in events if isinstance(event, PlannerFinished))
        print_json(
            {
                "question": question,
                "route": "plan",
                "engine": (await agent.job(question)).engine.info.uri,
                "plan": finished.plan,
                "valid": finished.valid,
                "nodes": graph.to_dict()["nodes"],
                "rejected": [event.text for event in events if isinstance(event, PlannerRejected)],
                "text": finished.text,
                "seconds": finished.seconds,
                "usage": finished.model_dump(include={"prompt_tokens", "cached_tokens", "generated_tokens"}),
            }
        )
        return finished.valid


async def _decision(agent: Agent, question: str, history: Sequence[Message] = ()) -> Routed | None:
    """The decision before the plan. None where the question goes to the planner."""
    job = await agent.job(question, history=history)
    routed = decide(job) if job.spec.shortcuts else None
    return routed if routed is not None and routed.route != "plan" else None


async def show_plan(agent: Agent, question: str, *, history: Sequence[Message] = ()) -> bool:
    """Print the plan while it is written.

    On a terminal the raw text is streamed. The accepted plan follows if statements were sent back. A pipe
    gets the accepted plan alone. A question that needs no plan is answered.

    Returns:
        Whether the plan is valid.
    """
    live = sys.stdout.isatty()
    notes = console(stderr=True)
    if (routed := await _decision(agent, question, history)) is not None:
        notes.print(f"no plan needed: {routed.route.replace('_', ' ')}", style="dim")
        if routed.answer is not None:
            console().print(routed.answer, soft_wrap=True)
        return True
    secrets = Secrets()
    pieces = RedactedStream(secrets)

    def show(event: Event) -> None:
        match event:
            case PlannerText() if live:
                sys.stdout.write(pieces.take(event.text))
                sys.stdout.flush()
            case PlannerRejected():
                notes.print(
                    f"\nsent back: {event.text}" if live else f"sent back: {event.text}", style="yellow"
                )
            case _:
                pass

    events, _ = await write_plan(agent, question, history=history, emit=show)
    finished = next(event for event in events if isinstance(event, PlannerFinished))
    if live and not finished.text.endswith("\n"):
        sys.stdout.write("\n")
    if not live or finished.attempts > 1:
        sys.stdout.write(secrets.redact(finished.plan).rstrip("\n") + "\n")
    sys.stdout.flush()
    if finished.unread:
        notes.print(f"nothing reads {', '.join(finished.unread)}", style="yellow")
    verdict = "" if finished.valid else "; not valid"
    notes.print(f"{finished.statements} statements in {finished.seconds:.1f} s{verdict}", style="dim")
    return finished.valid


async def write_plan(
    agent: Agent,
    question: str,
    *,
    history: Sequence[Message] = (),
    emit: Callable[[Event], None] | None = None,
) -> tuple[list[Event], TaskGraph]:
    """Let the model write a plan, and check it. Nothing is run."""
    job = await agent.job(question, history=history)
    graph = TaskGraph()
    events: list[Event] = []

    def take(event: Event) -> None:
        events.append(event)
        if emit is not None:
            emit(event)

    planner = planner_of(job)
    compact = planner.style == "compact"
    read = in_context(job.question, job.spec.turns, compact=compact, recorder=Recorder())
    job = replace(job, question=read.question)
    job = replace(job, draft=read.draft or draft_for(job))
    give_earlier_values(graph, job.spec.turns)
    job = replace(job, prompt=await planner.prompt_length(plan_task(job, graph)))
    # The last event says whether the planner gave up: `PlannerFinished(valid=False)`.
    async for patch in planner.start(plan_task(job, graph), emit=take):
        graph.apply(patch)
    return events, graph
