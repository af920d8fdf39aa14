"""The display of a run on a terminal: every node with state, time and result, redrawn in place."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from braid.engine import Envelope
from braid.executors.nodes import NodeState
from braid.executors.values import Secrets
from braid.orchestrator.cli.display.state import DisplayState, Row
from braid.orchestrator.cli.output import without_secrets

_FRAMES_PER_SECOND = 8
_LINES_BESIDE_ROWS = 6
_MARKS: dict[NodeState, tuple[str, str, str]] = {
    "pending": ("·", ".", "dim"),
    "running": ("▸", ">", "bold cyan"),
    "done": ("✓", "+", "green"),
    "failed": ("✗", "x", "bold red"),
    "blocked": ("◦", "!", "yellow"),
    "skipped": ("–", "-", "dim"),
    "cancelled": ("–", "-", "yellow"),
    "uncertain": ("?", "?", "bold yellow"),
}


class LiveDisplay:
    """A display that is redrawn in place: `with LiveDisplay(console) as show: show(envelope)`.

    What it drew last stays on the screen.
    """

    def __init__(self, console: Console) -> None:
        self.state = DisplayState()
        self._secrets = Secrets()
        self._console = console
        self._input = ""
        self._plain_marks = not (console.encoding or "").lower().startswith("utf")
        self._live = Live(
            get_renderable=self.render,
            console=console,
            refresh_per_second=_FRAMES_PER_SECOND,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, envelope: Envelope) -> None:
        self.state.update(without_secrets(envelope.event, self._secrets))

    def pause(self) -> None:
        """Leave the screen to a question. `resume` draws on below it."""
        self._live.stop()

    def resume(self) -> None:
        self._live.start(refresh=False)

    def show_input(self, line: str) -> None:
        """Show what the person is typing to the planner."""
        self._input = line

    def show_opening(self, engine: str) -> None:
        """It shows that from the start."""

    def render(self) -> RenderableType:
        max_rows = max(4, self._console.height - _LINES_BESIDE_ROWS)
        rows = self.state.visible_rows(max_rows)
        parts: list[RenderableType] = []
        if self.state.read_as:
            parts.append(self._line(f"read as: {self.state.read_as}", "dim"))
        if (plan := self._plan_line()) is not None:
            parts.append(plan)
        if rows:
            parts.append(self._table(rows))
        hidden = len(self.state.rows) - len(rows)
        if hidden > 0:
            counts = ", ".join(f"{n} {state}" for state, n in sorted(self.state.counts().items()))
            parts.append(self._line(f"  and {hidden} more; in all {counts}", "dim"))
        parts += [self._line(f"  {notice}", "yellow") for notice in self.state.notices[-3:]]
        if self._input:
            parts.append(self._line(f"> {self._input}", "bold"))
        return Group(*parts)

    def _plan_line(self) -> Text | None:
        state = self.state
        if not state.opened:
            return self._line("opening the engine", "dim")
        if state.route is not None:
            return self._line(f"no plan needed: {state.route}", "dim")
        if not (state.planning or state.statements or state.planned_in):
            return None
        doing = "planning" if state.planning else "plan"
        text = f"{doing}  {state.statements} statements in {state.planning_for():.1f} s"
        if state.samples:
            text += f", {state.vote or f'{state.sampled} of {state.samples} plans drawn'}"
        if state.round:
            text += f", round {state.round + 1}"
        if state.rejected:
            text += f", {state.rejected} sent back"
        return self._line(text, "bold" if state.planning else "")

    def _line(self, text: str, style: str) -> Text:
        return Text(text, style=style, no_wrap=True, overflow="ellipsis")

    def _table(self, rows: list[Row]) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0), expand=True)
        table.add_column("mark", width=1)
        table.add_column("statement", ratio=5, no_wrap=True, overflow="ellipsis")
        table.add_column("time", width=8, justify="right", no_wrap=True)
        table.add_column("result", ratio=3, no_wrap=True, overflow="ellipsis")
        now = time.monotonic()
        for row in rows:
            mark, plain, style = _MARKS[row.state]
            seconds = row.own_time(now)
            note = row.note if row.state in ("done", "failed", "running") else row.note or row.state
            table.add_row(
                Text(plain if self._plain_marks else mark, style=style),
                Text(row.label, style="" if row.state != "pending" else "dim"),
                Text("" if seconds is None else f"{seconds:.2f} s", style="dim"),
                Text(note, style=style if row.state == "failed" else ""),
            )
        return table
