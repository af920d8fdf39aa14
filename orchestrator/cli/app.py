"""The commands of `braid` and their options. Each hands over to a module of its own, imported only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from braid.orchestrator.cli.group import BraidGroup
from braid.orchestrator.cli.runs import replay, resume, runs_app, view

app = typer.Typer(
    name="braid",
    cls=BraidGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def non_empty(value: str) -> str:
    if not value.strip():
        raise typer.BadParameter("it is empty")
    return value


Question = Annotated[
    str, typer.Argument(help="What you want to know, in quotes.", show_default=False, callback=non_empty)
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
SeedOption = Annotated[
    int | None, typer.Option("--seed", metavar="N", help="Makes sampling repeatable.", show_default=False)
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, metavar="N", help="CPU threads of the local engine.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document for a program to read.")]


def show_version(value: bool) -> None:
    if value:
        from braid.orchestrator.cli.package_info import braid_version

        typer.echo(f"braid {braid_version()}")
        raise typer.Exit


@app.callback()
def braid(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=show_version, is_eager=True),
    ] = False,
) -> None:
    """A model plans your question as a graph of tool calls; Braid runs the graph's nodes side by side.

    [bold]Start here[/bold]

      braid run "How much taller is K2 than Mont Blanc?"

      braid repl            ask one question after another

      braid doctor          what is installed, and what is missing
    """


@app.command()
def run(
    question: Question,
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
    engine: EngineOption = None,
    tools: ToolsOption = None,
    mcp: McpOption = None,
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
            help="From this share of a limit on, do with less: fewer samples, and an answer with what is known.",
            show_default=False,
        ),
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(
            "--price",
            metavar="MODEL=IN/OUT",
            help="Money for a million tokens read and generated, such as 'gpt-*=2.50/10'. May be given again.",
            show_default=False,
        ),
    ] = None,
    seed: SeedOption = None,
    threads: ThreadsOption = None,
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
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Allow tools that change something, without asking.")
    ] = False,
) -> None:
    """Plan a question, run the plan, and print the answer.

    The terminal shows every node with its state and time while it runs; a pipe gets plain lines.
    Exit code: 0 answered, 1 no (full) answer, 2 wrong usage, 130 interrupted.

    [bold]Examples[/bold]

      braid run "Which is longer, the Nile or the Amazon, and by how much?"

      braid run "..." --json | jq .answer

      braid run "..." --compare --budget-seconds 30

      braid run "..." --engine openai:http://127.0.0.1:8000/v1#my-model
    """
    if sequential and compare:
        raise typer.BadParameter("--compare measures a run side by side; leave out --sequential")
    from braid.orchestrator.cli.commands.run import run_command
    from braid.orchestrator.cli.options import RunOptions

    run_command(
        RunOptions(
            question=question,
            engine=engine,
            tools=tools,
            mcp=mcp,
            max_rounds=max_rounds,
            budget_tokens=budget_tokens,
            budget_seconds=budget_seconds,
            budget_calls=budget_calls,
            budget_cost=budget_cost,
            budget_soft=budget_soft,
            prices=tuple(price or ()),
            seed=seed,
            threads=threads,
            sequential=sequential,
            yes=yes,
            journal=journal,
        ),
        as_json=as_json,
        compare=compare,
        html=html,
    )


@app.command()
def plan(
    question: Question,
    as_json: JsonOption = False,
    engine: EngineOption = None,
    tools: ToolsOption = None,
    mcp: McpOption = None,
    seed: SeedOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Show the plan for a question as it is written, and run nothing.

    [bold]Example[/bold]

      braid plan "Is the Eiffel Tower taller than the Statue of Liberty?"
    """
    from braid.orchestrator.cli.commands.plan import plan_command
    from braid.orchestrator.cli.options import RunOptions

    plan_command(
        RunOptions(question=question, engine=engine, tools=tools, mcp=mcp, seed=seed, threads=threads),
        as_json=as_json,
    )


@app.command()
def repl(
    engine: EngineOption = None,
    tools: ToolsOption = None,
    mcp: McpOption = None,
    max_rounds: Annotated[
        int | None,
        typer.Option(
            "--max-rounds", min=1, metavar="N", help="Plans per question at most.", show_default=False
        ),
    ] = None,
    seed: SeedOption = None,
    threads: ThreadsOption = None,
    journal: JournalOption = None,
    history: Annotated[
        Path | None,
        typer.Option(
            "--history",
            metavar="FILE",
            help="Where typed lines are kept. Default: in your state folder.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Ask one question after another; later ones may refer to earlier ones.

    Inside: /plan <question>, /tools, /engine \\[address], /help, /quit.
    A line typed while a task runs is told to the planner.
    Ctrl-C stops the running task and keeps the session; Ctrl-D leaves.
    """
    from braid.orchestrator.cli.commands.repl import repl_command
    from braid.orchestrator.cli.options import RunOptions

    repl_command(
        RunOptions(
            engine=engine,
            tools=tools,
            mcp=mcp,
            max_rounds=max_rounds,
            seed=seed,
            threads=threads,
            journal=journal,
        ),
        history_file=history,
    )


@app.command()
def serve(
    engine: EngineOption = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen; 0.0.0.0 is everywhere.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, metavar="N", help="0 takes a free one.")
    ] = 8000,
    served_model_name: Annotated[
        str | None,
        typer.Option(
            "--served-model-name",
            metavar="NAME",
            help="What clients call the model. Default: the engine's name.",
            show_default=False,
        ),
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(
            "--api-key-env",
            metavar="NAME",
            help="The environment variable with the key that clients must send. Default: BRAID_API_KEY, if it is set.",
            show_default=False,
        ),
    ] = None,
    max_concurrency: Annotated[
        int, typer.Option("--max-concurrency", min=1, metavar="N", help="Requests that run side by side.")
    ] = 32,
    max_queue: Annotated[
        int, typer.Option("--max-queue", min=0, metavar="N", help="Requests that wait; more are turned away.")
    ] = 128,
    grace: Annotated[
        float, typer.Option("--grace", min=0, metavar="S", help="Seconds to finish in when told to stop.")
    ] = 30.0,
    threads: ThreadsOption = None,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"] | None,
        typer.Option(
            "--dtype",
            help="Precision of a local engine's weights and KV. Default: auto, by the size of the model.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Put an engine behind the OpenAI API, for any OpenAI client.

    Prints its address on stdout once it listens. SIGTERM or Ctrl-C: finishes what is under way, then exits 0.

    [bold]Examples[/bold]

      braid serve

      BRAID_API_KEY=... braid serve --host 0.0.0.0 --port 9000 --engine local:./my-model
    """
    from braid.orchestrator.cli.commands.serve import ServeOptions, serve_command

    serve_command(
        ServeOptions(
            engine=engine,
            host=host,
            port=port,
            served_model_name=served_model_name,
            api_key_env=api_key_env,
            max_concurrency=max_concurrency,
            max_queue=max_queue,
            grace=grace,
            threads=threads,
            dtype=dtype,
        )
    )


@app.command()
def tools(as_json: JsonOption = False, mcp: McpOption = None) -> None:
    """List the tools that a plan may call: built in, from installed plugins, and of MCP servers.

    A package offers tools through the entry-point group braid.tools.
    """
    from braid.orchestrator.cli.commands.tools import tools_command

    tools_command(as_json=as_json, mcp=mcp)


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Check this installation: versions, extras, processors, memory, GPU, the embedded model, plugins.

    Exit code 1 when something that is needed is missing.
    """
    from braid.orchestrator.cli.commands.doctor import doctor_command

    doctor_command(as_json=as_json)


app.add_typer(runs_app, name="runs")
app.command()(resume)
app.command()(replay)
app.command()(view)


def main() -> None:
    """Entry point of the `braid` command."""
    app()
