"""The command group behind `braid`. Its commands are loaded when they are used, and its errors are one line.

A plugin is an entry point of the group `braid.commands`. Its name is the command, and its object is a
`typer.Typer` or a function. `braid --help` shows the first line of the docstring of the plugin's module. The
line is read from the source, and nothing is imported for it. Braid's own commands are loaded in the same way.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command as command_of

from braid.orchestrator.cli.output import one_line, printable

if TYPE_CHECKING:
    # The classes behind typer.Context and commands have no public name in typer.
    from typer._click.core import Command, Context

    from braid.orchestrator.events import RunStatus

PLUGIN_GROUP = "braid.commands"
EXIT_FAILURE, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
MAX_MESSAGE = 4_000
"""Most characters of an error that are printed."""
EXIT_CODES: Final[dict[RunStatus, int]] = {"answered": 0, "declined": 4, "partial": 3, "failed": EXIT_FAILURE}
"""The exit code of a command that runs a question, by the status of the run."""

_HOME: Final = "braid.orchestrator.cli.commands"
OWN_COMMANDS: Final = {
    "run": f"{_HOME}.run:run",
    "plan": f"{_HOME}.plan:plan",
    "repl": f"{_HOME}.repl:repl",
    "serve": f"{_HOME}.serve:serve",
    "tools": f"{_HOME}.tools:tools",
    "models": f"{_HOME}.models:app",
    "doctor": f"{_HOME}.doctor:doctor",
    "resume": f"{_HOME}.resume:resume",
    "replay": f"{_HOME}.replay:replay",
    "view": f"{_HOME}.view:view",
    "runs": f"{_HOME}.runs:app",
    "init": f"{_HOME}.init:init",
}
"""The commands of Braid itself, in the order in which they are listed, and where each is defined.

The text `HELP` of a command's module is its help.
"""


class BrokenPluginError(typer.TyperException):
    """A plugin's command could not be loaded."""


class BraidGroup(TyperGroup):
    """The commands of Braid and of plugins.

    Errors are one line on stderr. Exit codes are 2 (usage), 1 (failure) and 130 (Ctrl-C). A run
    has further ones (`EXIT_CODES`).
    """

    def list_commands(self, ctx: Context) -> list[str]:
        return list(commands())

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """For listings. A command that is not loaded comes as a stand-in with its name and summary."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        point = commands().get(cmd_name)
        return None if point is None else TyperCommand(point.name, help=summary(point))

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """For running. The command itself is loaded."""
        point = commands().get(args[0])
        if point is not None:
            self.commands[point.name] = load_command(point)
        else:
            # The error suggests the nearest of these names.
            self.commands.update({name: TyperCommand(name) for name in OWN_COMMANDS})
        return super().resolve_command(ctx, args)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        options: dict[str, Any] = {
            "args": args,
            "prog_name": prog_name or "braid",
            "complete_var": complete_var,
            "windows_expand_args": windows_expand_args,
            **extra,
        }
        open_missing_streams()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # an answer that the terminal cannot show is no failure
        warnings.showwarning = warning_printer()
        if not standalone_mode:
            return super().main(standalone_mode=False, **options)
        try:
            code = super().main(standalone_mode=False, **options)
        except SystemExit as stop:
            if isinstance(stop.__context__, BrokenPipeError):  # rich saw it first
                sys.exit(report_error(stop.__context__))
            raise
        except Exception as error:
            sys.exit(report_error(error))
        sys.exit(code if isinstance(code, int) else 0)


def open_missing_streams() -> None:
    """Put the null device in the place of a stream that the caller closed (`>&-`)."""
    null = Path(os.devnull)
    sys.stdin = sys.stdin or null.open()
    sys.stdout = sys.stdout or null.open("w")
    sys.stderr = sys.stderr or null.open("w")


def warning_printer() -> Callable[..., None]:
    """Prints each warning once, as one line, without the place in the code that gave it."""
    said = set[str]()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        line = f"braid: warning: {one_line(str(message), 500)}"
        if line not in said:
            said.add(line)
            typer.echo(line, err=True)

    return show


def report_error(error: BaseException) -> int:
    """Print an error as one line on stderr, and mistakes of a plan with their lines.

    `BRAID_DEBUG=1` adds the traceback.

    Returns:
        The exit code.
    """
    from braid.engine import BraidError
    from braid.executors.values import Secrets

    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone. stdout must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0  # `braid runs | head -1` got what it wanted
    if os.environ.get("BRAID_DEBUG", "") not in ("", "0"):
        traceback.print_exception(error)
    code = EXIT_FAILURE
    if isinstance(error, typer.TyperException):
        message, code = error.format_message(), error.exit_code
        context = getattr(error, "ctx", None)
        if code == EXIT_USAGE and context is not None:
            message = f"{message.rstrip('.')} (see `{context.command_path} --help`)"
    elif isinstance(error, (BraidError, OSError)):
        message = str(error) or type(error).__name__
        code = EXIT_USAGE if getattr(error, "wrong_usage", False) else EXIT_FAILURE
    elif isinstance(error, typer.Abort):
        message, code = "interrupted", EXIT_INTERRUPTED
    else:
        message = f"internal error: {type(error).__name__}: {error} (BRAID_DEBUG=1 shows the traceback)"
    message = Secrets().redact(message)
    if getattr(error, "shows_lines", False):
        message = printable(message)[:MAX_MESSAGE]
    else:
        message = one_line(message, MAX_MESSAGE)
    typer.echo(f"braid: {message}", err=True)
    return code


def commands() -> dict[str, EntryPoint]:
    """All commands by name, Braid's own first. A plugin cannot take the place of one of these."""
    own = {name: EntryPoint(name, value, "") for name, value in OWN_COMMANDS.items()}
    return own | {point.name: point for point in plugins() if point.name not in own}


def plugins() -> list[EntryPoint]:
    """The installed command plugins, sorted by name. Of two with one name the first counts."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=PLUGIN_GROUP):
        found.setdefault(point.name, point)
    return [found[name] for name in sorted(found)]


def load_command(point: EntryPoint) -> Command:
    """Import a command.

    Raises:
        BrokenPluginError: It cannot be loaded. The error says where it is defined.
    """
    try:
        target = point.load()
        app = target
        if not isinstance(target, typer.Typer):
            text = import_module(point.module).HELP if point.name in OWN_COMMANDS else None
            app = typer.Typer(add_completion=False)
            app.command(name=point.name, help=text)(target)
        command = command_of(app)
    except Exception as error:
        raise BrokenPluginError(
            f"the command {point.name!r} ({point.value}) is broken: {type(error).__name__}: {error}"
        ) from error
    command.name = point.name
    return command


def summary(point: EntryPoint) -> str:
    """One line about a command, read from the source of its module without importing it.

    For a plugin it is the first line of the module's docstring. For a command of Braid it is the first
    paragraph of its help.
    """
    try:
        source = _source(point.module)
        module = ast.parse(source.read_bytes()) if source else None
    except (OSError, SyntaxError, ValueError) as error:
        return f"(broken: {type(error).__name__}: {error})"
    if module is None:
        return f"(broken: no module {point.module!r})"
    if point.name in OWN_COMMANDS:
        return " ".join(_help(module).partition("\n\n")[0].split())
    docstring = ast.get_docstring(module)
    return docstring.partition("\n")[0] if docstring else f"from {point.value}"


def _help(module: ast.Module) -> str:
    """The text `HELP` of a command's module."""
    for statement in module.body:
        match statement:
            case ast.Assign(targets=[ast.Name("HELP")], value=ast.Constant(str(text))):
                return text
            case _:
                pass
    return ""


def _source(module: str) -> Path | None:
    """The file of `module`, found without importing its packages. None if there is none."""
    package, *rest = module.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin else None
    for folder in spec.submodule_search_locations or ():
        base = Path(folder).joinpath(*rest)
        for file in (base.with_name(base.name + ".py"), base / "__init__.py"):
            if file.is_file():
                return file
    return None
