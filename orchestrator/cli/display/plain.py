"""The display of a run where there is no terminal: one line for each step, without escape codes."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self, TextIO

from braid.engine import Envelope, Event
from braid.executors import ApprovalRefused, NodeFailed, NodeFinished, NodeUncertain, NodeWaits
from braid.executors.values import Secrets
from braid.orchestrator.cli.display.state import DisplayState, ballot_line, vote_line
from braid.orchestrator.cli.output import one_line, without_secrets
from braid.orchestrator.events import (
    JournalFailed,
    PersonSaid,
    Rewritten,
    RoundFinished,
    RoundStarted,
    RunResumed,
    RunStarted,
)
from braid.orchestrator.sampled_plans import PlanSampled, PlansRequested, PlansVoted
from braid.planner import PlannerRejected, PlannerStatement, Routed

_DETAILED = 60
_THEN_EVERY = 100


class PlainDisplay:
    """A display as lines of text: `with PlainDisplay(sys.stderr) as show: show(envelope)`.

    After 60 nodes only failures and every hundredth node have a line.
    """

    def __init__(self, stream: TextIO) -> None:
        self.state = DisplayState()
        self._secrets = Secrets()
        self._stream = stream
        self._began = time.monotonic()
        self._planned = 0
        self._ended = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()

    def pause(self) -> None:
        self._stream.flush()

    def show_input(self, line: str) -> None:
        """A pipe has no place to show what is being typed."""

    def show_opening(self, engine: str) -> None:
        """Say that something is going on before the run begins."""
        self._say(f"getting {engine} ready")

    def resume(self) -> None:
        pass

    def _start(self, event: RunStarted) -> None:
        self._began = time.monotonic()  # opening the engine is no part of the run
        if event.engine_reason:
            self._say(f"engine {event.engine}: {event.engine_reason}")

    def __call__(self, envelope: Envelope) -> None:
        event = without_secrets(envelope.event, self._secrets)
        self.state.update(event)
        match event:
            case RunStarted():
                self._start(event)
            case RoundStarted() if event.round:
                self._say(f"round {event.round + 1}: planning again")
            case RoundFinished() if event.why:
                self._say(f"round {event.round + 1} brought no answer: {event.why}")
            case RunResumed():
                self._say(f"resumed; {event.done} nodes were done")
            case JournalFailed():
                self._say(f"from here on the run cannot be resumed: {event.error}")
            case PlannerStatement():
                self._planned += 1
                if self._planned <= _DETAILED:
                    condition = f"if {event.condition}: " if event.condition else ""
                    self._say(f"plan  {condition}{event.source}")
            case PlannerRejected():
                self._say(f"plan  line {event.line} is sent back: {event.message}")
            case NodeFinished():
                self._ended += 1
                if self._ended <= _DETAILED:
                    self._say(f"done  {self._name(event.node)}  {event.seconds:.2f} s  {event.result}")
                elif self._ended % _THEN_EVERY == 0:
                    self._say(f"{self._ended} nodes done")
            case NodeUncertain():
                self._say(f"uncertain  {self._name(event.node)}  {event.reason}")
            case NodeWaits():
                self._say(f"waits  {self._name(event.node)}  for a person ({event.reason})")
            case NodeFailed():
                self._say(f"failed  {self._name(event.node)}  {event.error}")
            case _:
                self._show_talk(event)

    def _show_talk(self, event: Event) -> None:
        """What the question was taken for, and what was said between the run and the person."""
        match event:
            case Routed() if event.route != "plan" and not event.declined:
                self._say(f"no plan needed: {event.route.replace('_', ' ')}")
            case Rewritten():
                self._say(f"read as: {event.question}")
            case PlansRequested():
                self._say(f"writing {event.samples} plans side by side")
            case PlanSampled():
                self._say(ballot_line(event))
            case PlansVoted():
                self._say(vote_line(event))
            case PersonSaid():
                self._say(f"you: {event.text}")
            case ApprovalRefused():
                self._say(f"refused  {self._name(event.node)}  for all equal calls of this run")
            case _:
                pass

    def _name(self, node: str) -> str:
        row = self.state.rows.get(node)
        return row.label if row is not None and row.label != node else node

    def _say(self, text: str) -> None:
        line = f"[{time.monotonic() - self._began:7.2f} s] {one_line(text)}"
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")
        self._stream.flush()
