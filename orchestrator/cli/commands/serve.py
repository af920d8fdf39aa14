"""`braid serve`: an engine behind the OpenAI API, until it is told to stop."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_address

import typer

from braid.engine import Engine, InvalidParamsError, connect
from braid.engine.server import ServerLimits, ServerOptions, bind, read_api_key, serve
from braid.orchestrator.cli.options import run_async
from braid.orchestrator.settings import load_settings


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """The options of `braid serve` as they were given; None is the default."""

    engine: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    served_model_name: str | None = None
    api_key_env: str | None = None
    max_concurrency: int = 32
    max_queue: int = 128
    grace: float = 30.0
    threads: int | None = None
    dtype: str | None = None


def serve_command(options: ServeOptions) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises what is wrong with the options before the model is loaded."""
    run_async(_serve(options, _server_options(options)))


def _server_options(options: ServeOptions) -> ServerOptions:
    return ServerOptions(
        host=options.host,
        port=options.port,
        served_model_name=options.served_model_name,
        api_key=read_api_key(options.api_key_env),
        grace=options.grace,
        limits=ServerLimits(max_concurrency=options.max_concurrency, max_queue=options.max_queue),
    )


async def _serve(options: ServeOptions, server: ServerOptions) -> None:
    logging.basicConfig(level=logging.WARNING, format="braid: %(levelname)s: %(message)s")
    settings = load_settings()
    address = settings.engine if options.engine is None else options.engine
    threads = settings.threads if options.threads is None else options.threads
    local: dict[str, object] = {}
    if address.startswith("local:"):
        given = {"threads": threads, "dtype": options.dtype}
        local = {name: value for name, value in given.items() if value is not None}
    elif options.dtype is not None:
        raise InvalidParamsError(f"--dtype is for local engines, not for {address}")
    # The address comes first: that it is taken should be told before a model is loaded.
    with closing(bind(server.host, server.port)) as listener:
        async with await connect(address, **local) as engine:
            await serve(
                engine, server, listener=listener, on_ready=lambda url: _announce(url, engine, server)
            )
    typer.echo("braid: stopped", err=True)


def _announce(url: str, engine: Engine, server: ServerOptions) -> None:
    model = server.served_model_name or engine.info.model
    key = "with an API key" if server.api_key else "without an API key"
    # On stdout: what starts this command waits for this line.
    typer.echo(f"braid: serving {model!r} ({engine.info.uri}) at {url} {key}")
    if server.api_key is None and not _is_loopback(server.host):
        typer.echo("braid: warning: anyone who reaches this machine can use it; set BRAID_API_KEY", err=True)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
