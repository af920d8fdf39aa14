"""Prints the help of `braid` and of each of its commands, as a process that no test has touched."""

from __future__ import annotations

import contextlib
from typing import Any

from typer.main import get_command

from braid.orchestrator.cli.app import app
from braid.orchestrator.cli.group import commands, load_command


def show(command: Any, path: tuple[str, ...]) -> None:
    print(f"$ braid {' '.join((*path, '--help'))}", flush=True)  # noqa: T201
    with contextlib.suppress(SystemExit):
        app([*path, "--help"])
    for name, below in getattr(command, "commands", {}).items():
        show(below, (*path, name))


def main() -> None:
    braid: Any = get_command(app)
    braid.commands |= {name: load_command(point) for name, point in commands().items()}
    show(braid, ())


if __name__ == "__main__":
    main()
