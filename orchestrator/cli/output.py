"""The output of the commands: answers and documents on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from braid.executors.values import Secrets
from braid.orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from braid.engine import Event

_CONTROL = dict.fromkeys((*range(32), 127, *range(128, 160), 8232, 8233), " ")


class OutputFileError(OrchestratorError, OSError):
    """A file that a command was asked to write cannot be written."""


def console(*, stderr: bool = False) -> Console:
    """A console on the present stdout or stderr. A pipe gets no escape codes and lines of any length.

    A terminal gets texts as `printable` shows them: they may come from a tool or a model. stderr, which may
    be a log, gets them without secrets.
    """
    from rich.console import Console

    class PlainTextConsole(Console):
        def print(self, *objects: Any, **options: Any) -> None:
            show = Secrets().redact if stderr else str
            shown = [show(item) if isinstance(item, str) else item for item in objects]
            if self.is_terminal:
                shown = [printable(item) if isinstance(item, str) else item for item in shown]
            super().print(*shown, **options)

    found = PlainTextConsole(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not found.is_terminal:
        return PlainTextConsole(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    return found


def without_secrets(event: Event, secrets: Secrets) -> Event:
    """`event` as a display may show it."""
    if not secrets:
        return event
    data = event.model_dump(mode="python")
    found = secrets.redact_data(data)
    return event if found == data else type(event).model_validate(found)


def print_answer(text: str, *, style: str = "") -> None:
    """An answer on stdout. A terminal gets it as `printable` shows it, a program as it is."""
    out = console()
    if out.is_terminal:
        out.print(text, style=style, soft_wrap=True)
    else:
        sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_json(document: Any) -> None:
    """One JSON document on stdout, without secrets. Text that stdout cannot encode is escaped."""
    document = Secrets().redact_data(document)
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


def printable(text: str) -> str:
    """`text` for a terminal: line breaks and tabs stay, other control characters are shown escaped.

    What a tool returns must not move the cursor, clear the screen or write the clipboard.
    """
    return "".join(
        f"\\x{ord(c):02x}" if c not in "\n\t" and (c < " " or "\x7f" <= c <= "\x9f") else c for c in text
    )


def check_writable(file: Path) -> None:
    """Say before a run that its page cannot be written.

    Raises:
        OutputFileError: The folder is missing, or is not writable.
    """
    folder = file.parent
    if not folder.is_dir():
        raise OutputFileError(f"cannot write {str(file)!r}: there is no folder {str(folder)!r}")
    if file.is_dir() or not os.access(file if file.exists() else folder, os.W_OK):
        raise OutputFileError(f"cannot write {str(file)!r}: permission denied")


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
