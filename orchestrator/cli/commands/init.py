"""`braid init`: a configuration file with every setting in it, as comments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

import typer

from braid.orchestrator.cli.output import OutputFileError, console
from braid.orchestrator.settings import Settings, config_file

HELP = """\
Write a configuration file that names every setting, all of them as comments.

It is read from $XDG_CONFIG_HOME/braid/config.toml (~/.config without that variable).
"""

_HEAD = """\
# Defaults of the braid command and of Agent. Take away a '#' to set one.
# A variable (BRAID_ENGINE) wins over this file, and an option of a command or an argument wins over both.
"""


def init(
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that is there, and lose what it says.")
    ] = False,
) -> None:
    """Write the configuration file.

    Raises:
        OutputFileError: It is there already, or cannot be written.
    """
    file = config_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w" if force else "x", encoding="utf-8") as opened:
            opened.write(config_text())
    except FileExistsError as error:
        raise OutputFileError(f"{file} is there already; --force replaces it") from error
    except OSError as error:
        raise OutputFileError(f"cannot write {file}: {error}") from error
    console(stderr=True).print(f"written: {file}", soft_wrap=True, highlight=False)


def config_text() -> str:
    """The file: each setting with what it is, and its default."""
    parts = [_HEAD]
    for name, meaning, value, is_set in described_settings():
        lines = [f"# {line}" for line in meaning.splitlines()]
        note = "" if is_set else "  # an example: it is not set by default"
        parts.append("\n".join([*lines, f"# {name} = {value}{note}"]) + "\n")
    return "\n".join(parts)


def described_settings() -> Iterator[tuple[str, str, str, bool]]:
    """Name, meaning, the default or an example as TOML, and whether that is the default, of each setting."""
    for name, field in Settings.model_fields.items():
        examples = field.examples or ["mcp.json"]
        value = examples[0] if field.default is None else field.default
        yield name, (field.description or "").replace("`", ""), json.dumps(value), field.default is not None
