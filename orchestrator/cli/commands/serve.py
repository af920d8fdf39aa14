"""`braid serve`: an engine behind the OpenAI API, until it is told to stop."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from ipaddress import ip_address
from typing import Annotated, Literal

import typer

from braid.engine import Engine, InvalidParamsError, connect, server
from braid.engine.automatic import resolve
from braid.engine.server import ServerLimits, ServerOptions, bind, read_api_key
from braid.executors import Tool
from braid.orchestrator.cli.options import (
    CacheOption,
    ChunkOption,
    DeviceOption,
    EngineOption,
    InstructionsOption,
    McpOption,
    MemoryOption,
    ProbeOption,
    ThreadsOption,
    ToolsFromOption,
    ToolsOption,
    YesOption,
    make_agent,
    run_async,
    run_spec,
    selected_tools,
)
from braid.orchestrator.cli.person import Person
from braid.orchestrator.serving import AgentEngine
from braid.orchestrator.settings import RunSpec

HELP = """\
Put an engine behind the OpenAI API, for any OpenAI client.

Prints its address on stdout once it listens. SIGTERM or Ctrl-C: finishes what is under way, then exits 0.

[bold]Examples[/bold]

  braid serve

  braid serve --agent --mcp mcp.json     a whole agent, with its plan and tools, as a model

  BRAID_API_KEY=... braid serve --host 0.0.0.0 --port 9000 --engine local:./my-model
"""


def serve(
    engine: EngineOption = None,
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            "--adapter",
            metavar="NAME=FOLDER",
            help="A LoRA adapter of a local engine, served as a model of this name; may be repeated.",
            show_default=False,
        ),
    ] = None,
    agent: Annotated[
        bool,
        typer.Option(
            "--agent",
            help="Serve an agent: each question is planned and run, and answered as a chat. "
            "Plan and nodes come beside the text, in the field `braid`.",
        ),
    ] = False,
    tools: ToolsOption = None,
    tools_from: ToolsFromOption = None,
    mcp: McpOption = None,
    instructions: InstructionsOption = None,
    yes: YesOption = False,
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
            help="The environment variable with the key that clients must send. "
            "Default: BRAID_API_KEY, if it is set.",
            show_default=False,
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="A name by which clients may call this server, beside addresses in digits and localhost; "
            "may be repeated; '*' allows all.",
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
    device: DeviceOption = None,
    memory: MemoryOption = None,
    cache: CacheOption = None,
    chunk: ChunkOption = None,
    probe: ProbeOption = None,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"] | None,
        typer.Option(
            "--dtype",
            help="Precision of a local engine's weights and KV. Default: auto, by the size of the model.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C. What is wrong with the options is raised before a model is loaded."""
    options = ServerOptions(
        host=host,
        port=port,
        served_model_name=served_model_name,
        api_key=read_api_key(api_key_env),
        allow_hosts=tuple(allow_host or ()),
        grace=grace,
        limits=ServerLimits(max_concurrency=max_concurrency, max_queue=max_queue),
    )
    for_agents = {
        "--tools": tools,
        "--tools-from": tools_from,
        "--mcp": mcp,
        "--instructions": instructions,
        "--yes": yes or None,
    }
    named = [name for name, value in for_agents.items() if value is not None]
    if named and not agent:
        raise typer.BadParameter(f"{', '.join(named)}: for an agent, so give --agent too")
    spec = run_spec(
        tools_from=tools_from or None,
        engine=engine,
        mcp=mcp,
        instructions=instructions,
        threads=threads,
        device=device,
        memory_mib=memory,
        cache_mib=cache,
        chunk_tokens=chunk,
        probe=probe,
    )
    if agent:
        for option, value in (("--dtype", dtype), ("--adapter", adapter)):
            if value:
                raise typer.BadParameter(f"{option} is for an engine, and not for an agent")
        run_async(_serve_agent(options, spec, selected_tools(tools, spec.tools_from), yes=yes))
    else:
        run_async(_serve(options, spec, dtype, _adapters(adapter or ())))


async def _serve_agent(options: ServerOptions, spec: RunSpec, tools: Sequence[Tool], *, yes: bool) -> None:
    """Serve an agent. Nobody is there to approve what its tools change, unless `yes` allows it all."""
    logging.basicConfig(level=logging.WARNING, format="braid: %(levelname)s: %(message)s")
    name = options.served_model_name or "braid-agent"
    with closing(bind(options.host, options.port)) as listener:
        person = Person(yes=True) if yes else None
        async with make_agent(spec, tools, person=person, journal=False) as agent:
            await agent.open()
            served = AgentEngine(agent, model=name)
            await server.serve(
                served, options, listener=listener, on_ready=lambda url: _announce(url, served, options)
            )
    typer.echo("braid: stopped", err=True)


def _adapters(given: Sequence[str]) -> dict[str, str]:
    """Folders of adapters, by name."""
    named: dict[str, str] = {}
    for each in given:
        name, equals, folder = each.partition("=")
        if not (name and equals and folder) or name in named:
            raise typer.BadParameter(f"--adapter is NAME=FOLDER, each name once, got {each!r}")
        named[name] = folder
    return named


async def _serve(
    options: ServerOptions, spec: RunSpec, dtype: str | None, adapters: Mapping[str, str]
) -> None:
    logging.basicConfig(level=logging.WARNING, format="braid: %(levelname)s: %(message)s")
    address = resolve(spec.engine)
    local = spec.engine_options(address)
    for option, value in (("dtype", dtype), ("adapters", adapters)):
        if value:
            if not address.startswith("local:"):
                raise InvalidParamsError(
                    f"--{option.removesuffix('s')} is for local engines, not for {address}"
                )
            local[option] = value
    # The address comes first. An address that is taken is an error before a model is loaded.
    with closing(bind(options.host, options.port)) as listener:
        async with await connect(address, **local) as opened:
            await server.serve(
                opened, options, listener=listener, on_ready=lambda url: _announce(url, opened, options)
            )
    typer.echo("braid: stopped", err=True)


def _announce(url: str, engine: Engine, options: ServerOptions) -> None:
    model = options.served_model_name or engine.info.model
    key = "with an API key" if options.api_key else "without an API key"
    # On stdout, since programs that start this command wait for this line.
    typer.echo(f"braid: serving {model!r} ({engine.info.uri}) at {url} {key}")
    if options.api_key is None and not _is_loopback(options.host):
        typer.echo("braid: warning: anyone who reaches this machine can use it; set BRAID_API_KEY", err=True)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
