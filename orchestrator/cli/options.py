"""Options that several commands share, and the tools, limits and agents that are made of them."""

from __future__ import annotations

import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from braid.engine import Price
from braid.executors import Tool, ToolRegistry
from braid.executors.report import DiagramKind
from braid.orchestrator.agent import Agent
from braid.orchestrator.cli.interrupts import InterruptedBySignal, run_interruptible
from braid.orchestrator.cli.output_type import read_output_type, read_tools
from braid.orchestrator.default_tools import registry_of
from braid.orchestrator.history import History
from braid.orchestrator.options import MOST_SAMPLES
from braid.orchestrator.resume import history_of
from braid.orchestrator.review import Review
from braid.orchestrator.settings import BudgetLimits, RunSpec, journal_file, load_settings

if TYPE_CHECKING:
    from braid.orchestrator.cli.person import Person

T = TypeVar("T")


def non_empty(value: str) -> str:
    """`value`, where there is something in it.

    Raises:
        typer.BadParameter: It is empty.
    """
    if not value.strip():
        raise typer.BadParameter("it is empty")
    return value


def non_empty_if_given(value: str | None) -> str | None:
    """`non_empty` for what may be left out."""
    return None if value is None else non_empty(value)


Question = Annotated[
    str, typer.Argument(help="What you want to know, in quotes.", show_default=False, callback=non_empty)
]
OptionalQuestion = Annotated[
    str | None,
    typer.Argument(
        metavar="QUESTION",
        help="What you want to know, in quotes. Not needed with --plan.",
        show_default=False,
        callback=non_empty_if_given,
    ),
]
PlanFileOption = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="FILE",
        help="Run this plan, written by hand, in place of a model's. - reads stdin.",
        show_default=False,
    ),
]
ReviewOption = Annotated[
    bool, typer.Option("--review", help="Show each plan before anything of it runs, to approve or edit it.")
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        "-e",
        metavar="ADDRESS",
        help="Which model plans and thinks: local:braid-mini, local:<folder>, or openai:<url>#<model>. "
        "Default: BRAID_ENGINE, else the embedded model.",
        show_default=False,
    ),
]
ThinkEngineOption = Annotated[
    str | None,
    typer.Option(
        "--think-engine",
        metavar="ADDRESS",
        help="A model of its own for thoughts, direct answers and typed outputs. Default: that of --engine.",
        show_default=False,
    ),
]
ToolsOption = Annotated[
    str | None,
    typer.Option(
        "--tools",
        "-t",
        metavar="NAMES",
        help="Let the plan use these tools only, such as search,calculate (see `braid tools`).",
        show_default=False,
    ),
]
ToolsFromOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tools-from",
        metavar="MODULE:NAME",
        help="Add your own: a tool, a typed function or a list of these, such as desk:tools. "
        "May be given again.",
        show_default=False,
    ),
]
McpOption = Annotated[
    Path | None,
    typer.Option(
        "--mcp",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help='Start the MCP servers of this file, {"mcpServers": {...}}, and let the plan use their tools.',
        show_default=False,
    ),
]
JournalOption = Annotated[
    bool | None,
    typer.Option(
        "--journal/--no-journal",
        help="Write the run down as it happens, for `braid resume` and `braid replay`. Default: yes.",
        show_default=False,
    ),
]
ShortcutsOption = Annotated[
    bool | None,
    typer.Option(
        "--shortcuts/--no-shortcuts",
        help="Answer sums, conversions, dates and small talk without a plan. Default: yes.",
        show_default=False,
    ),
]
PriceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--price",
        metavar="MODEL=IN/OUT",
        help="Money for a million tokens read and generated, such as 'gpt-*=2.50/10'. May be given again.",
        show_default=False,
    ),
]
InstructionsOption = Annotated[
    str | None,
    typer.Option(
        "--instructions",
        metavar="TEXT",
        help="Tell the planner this with every question.",
        show_default=False,
    ),
]
TemperatureOption = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        min=0,
        metavar="T",
        help="Temperature of plans and thoughts. Default: 0, or what a reasoning method has.",
        show_default=False,
    ),
]
SamplesOption = Annotated[
    int | None,
    typer.Option(
        "--samples",
        min=1,
        max=MOST_SAMPLES,
        metavar="N",
        help="Write N plans side by side and vote on what they come to. Default: what the engine says, or 1.",
        show_default=False,
    ),
]
MaxTokensOption = Annotated[
    int | None,
    typer.Option(
        "--max-tokens", min=1, metavar="N", help="Most tokens of one generation.", show_default=False
    ),
]
TopPOption = Annotated[
    float | None,
    typer.Option(
        "--top-p",
        max=1,
        metavar="P",
        help="Sample among the likeliest tokens that make up this share.",
        show_default=False,
    ),
]
StopOption = Annotated[
    list[str] | None,
    typer.Option(
        "--stop",
        metavar="TEXT",
        help="Ends a thought or a direct answer. May be given again.",
        show_default=False,
    ),
]
OutputOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="TYPE",
        help="Print the answer as JSON of this type: a file with a JSON schema, or module:Type.",
        show_default=False,
    ),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", metavar="N", help="Makes sampling repeatable.", show_default=False)
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, metavar="N", help="CPU threads of the local engine.", show_default=False
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="NAME", help="Where the local engine runs, such as cuda.", show_default=False
    ),
]
MemoryOption = Annotated[
    int | None,
    typer.Option(
        "--memory", min=1, metavar="MIB", help="Limit of the local engine's KV.", show_default=False
    ),
]
CacheOption = Annotated[
    int | None,
    typer.Option(
        "--cache", min=0, metavar="MIB", help="KV the local engine keeps for reuse.", show_default=False
    ),
]
ChunkOption = Annotated[
    int | None,
    typer.Option(
        "--chunk", min=1, metavar="N", help="Prompt tokens the local engine reads a step.", show_default=False
    ),
]
ProbeOption = Annotated[
    bool | None,
    typer.Option("--probe", help="Find out what the remote engine's server can do.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document for a program to read.")]
MermaidOption = Annotated[bool, typer.Option("--mermaid", help="Print the graph for Mermaid.")]
DotOption = Annotated[bool, typer.Option("--dot", help="Print the graph for Graphviz.")]
ContinueOption = Annotated[
    bool, typer.Option("--continue", "-c", help="Go on with the conversation of the last run in the journal.")
]
YesOption = Annotated[
    bool, typer.Option("--yes", "-y", help="Allow tools that change something, without asking.")
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, its beginning, or `last`.", show_default=False)
]


def conversation(run: str) -> History:
    """The conversation up to a run of the user's journal, this run included.

    Raises:
        UnknownRunError: There is no such run.
        InvalidHistoryError: The run is not over.
    """
    from braid.executors.journal import Journal

    with Journal(journal_file()) as journal:
        return history_of(journal, run)


def run_spec(**given: Any) -> RunSpec:
    """The options of a run: those in `given`, and those of the settings for what is None."""
    return RunSpec.of(load_settings(), **given)


def read_plan(file: str | None) -> str:
    """The text of `--plan`. Empty where it is not given.

    Raises:
        typer.BadParameter: It cannot be read.
    """
    if file is None:
        return ""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"--plan {file} cannot be read: {error}") from error
    if not text.strip():
        raise typer.BadParameter(f"--plan {file} is empty")
    return text


def reviewer(person: Person, *, review: bool) -> Review | None:
    """Who reviews plans.

    Raises:
        typer.BadParameter: There is no terminal to ask at.
    """
    if review and person.review is None:
        raise typer.BadParameter("--review asks at a terminal, and there is none")
    return person.review if review else None


def chosen_diagram(*, mermaid: bool, dot: bool, as_json: bool) -> DiagramKind | None:
    """The diagram that is asked for.

    Raises:
        typer.BadParameter: It is not the only thing that is asked for.
    """
    if mermaid + dot + as_json > 1:
        raise typer.BadParameter("--mermaid, --dot and --json exclude one another")
    return "mermaid" if mermaid else "dot" if dot else None


def selected_tools(names: str | None, sources: Sequence[str] = ()) -> list[Tool]:
    """All tools, or those named by `--tools`. `sources` name further ones (`--tools-from`).

    Raises:
        UnknownToolError: There is no tool of a name.
        ToolDefinitionError: Two tools have one name.
        typer.BadParameter: A source cannot be read.
    """
    more = [tool for source in sources for tool in read_tools(source)]
    known = ToolRegistry([*registry_of(None), *more])
    if names is None:
        return list(known)
    return [known.get(name) for name in dict.fromkeys(map(str.strip, names.split(","))) if name]


def make_agent(
    spec: RunSpec,
    tools: Sequence[Tool],
    *,
    person: Person | None = None,
    journal: bool | None = None,
    review: Review | None = None,
    output: str | None = None,
) -> Agent:
    """An agent with the options of `spec`. `journal` None takes the default of the settings.

    Raises:
        typer.BadParameter: `output` names no type.
    """
    return Agent.from_spec(
        spec,
        tools=tools,
        builtins=False,
        output_type=None if output is None else read_output_type(output),
        approve=None if person is None else person.approve,
        ask=None if person is None else person.ask,
        review=review,
        journal=load_settings().journal if journal is None else journal,
    )


def budget_limits(
    prices: Sequence[str] | None = None, earlier: BudgetLimits | None = None, **limits: Any
) -> BudgetLimits | None:
    """The limits of a run. None where neither a limit nor a price is given, whatever `soft` is.

    The prices of `earlier`, the limits that the run had, hold where none is given for a model.
    """
    if not prices and all(value is None for name, value in limits.items() if name != "soft"):
        return None
    known = earlier.prices or {} if earlier is not None else {}
    given = dict(map(read_price, prices or ()))
    return BudgetLimits(**limits, prices={**given, **{k: v for k, v in known.items() if k not in given}})


def read_price(text: str) -> tuple[str, Price]:
    """`MODEL=PROMPT/GENERATED` or `MODEL=PROMPT/CACHED/GENERATED`, in money for a million tokens.

    Raises:
        typer.BadParameter: It is not written like that.
    """
    model, _, amounts = text.rpartition("=")
    try:
        numbers = [float(amount) for amount in amounts.split("/")]
    except ValueError:
        numbers = []
    if not model or len(numbers) not in (2, 3) or min(numbers) < 0:
        raise typer.BadParameter(f"--price takes MODEL=PROMPT/GENERATED per million tokens, got {text!r}")
    cached = numbers[1] if len(numbers) == 3 else None
    return model, Price(prompt=numbers[0], cached=cached, generated=numbers[-1])


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end.

    Ctrl-C cancels it, waits for what it started, and ends the command with exit code 130. SIGTERM does the
    same with 143. A second signal does not wait.
    """
    try:
        return run_interruptible(work)
    except InterruptedBySignal as stop:
        for line in ("interrupted", *stop.notes):
            typer.echo(f"braid: {line}", err=True)
        raise typer.Exit(stop.exit_code) from None
