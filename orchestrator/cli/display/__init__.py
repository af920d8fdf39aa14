"""What a run looks like in the terminal: live, plain, and the summary at its end."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol, Self

from braid.engine import Envelope
from braid.orchestrator.cli.display.live import LiveDisplay
from braid.orchestrator.cli.display.plain import PlainDisplay
from braid.orchestrator.cli.display.state import DisplayState
from braid.orchestrator.cli.display.summary import comparison_lines, report_lines
from braid.orchestrator.cli.output import console

__all__ = ["Display", "DisplayState", "comparison_lines", "display_for_stderr", "report_lines"]


class Display(Protocol):
    """Shows a run while it happens."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __call__(self, envelope: Envelope) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def show_input(self, line: str) -> None: ...
    def show_opening(self, engine: str) -> None: ...


def display_for_stderr() -> Display:
    """A live display if stderr is a terminal that can redraw, else plain lines."""
    target = console(stderr=True)
    if target.is_terminal and not target.is_dumb_terminal:
        return LiveDisplay(target)
    return PlainDisplay(sys.stderr)
