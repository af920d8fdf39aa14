"""The output of the commands: answers and documents on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from braid.orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

_CONTROL = dict.fromkeys((*range(32), 127, *range(128, 160), 8232, 8233), " ")


class OutputFileError(OrchestratorError, OSError):
    """A file that a command was asked to write cannot be written."""


def console(*, stderr: bool = False) -> Console:
    """A console on the present stdout or stderr. A pipe gets no escape codes and lines of any length."""
    from rich.console import Console

    found = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not found.is_terminal:
        return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    return found


def print_json(document: dict[str, Any]) -> None:
    """One JSON document on stdout. Text that stdout cannot encode is escaped."""
    text = json.dumps(document, ensure_ascii=False, indent=2, default=str)
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = json.dumps(document, ensure_ascii=True, indent=2, default=str)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def one_line(text: str, limit: int = 200) -> str:
    """`text` without line breaks and control characters, cut at `limit` characters.

    A result must not control the terminal.
    """
    clean = " ".join(text.translate(_CONTROL).split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def write_page(file: Path, page: str) -> None:
    """Write a run's page to `file`.

    Raises:
        OutputFileError: It cannot be written.
    """
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise OutputFileError(f"cannot write {str(file)!r}: {error.strerror or error}") from error
    console(stderr=True).print(f"wrote {file}", style="dim", soft_wrap=True)
