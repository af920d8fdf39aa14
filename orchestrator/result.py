"""What a run gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypeVar

from engine import Envelope, Message, Usage
from executors import RunReport, TaskGraph
from orchestrator.events import StopReason

OutputT = TypeVar("OutputT")


@dataclass(frozen=True, kw_only=True)
class RunResult(Generic[OutputT]):
    """The answer to a question and how it came about.

    `answer` is text, `output` the same as a value: of `output_type` if one was given, else as the plan gave it (a tuple of
    several). When `stopped` is set the run ended early, `reason` says why, `answer` lists what was found out, and `output` is None.
    `plan` is the text of the plans as the model wrote them, `history` what to hand to the next run, `seconds` the wall time.
    """

    question: str
    answer: str
    output: OutputT
    graph: TaskGraph = field(repr=False)
    plan: str
    rounds: int
    usage: Usage
    engine: str
    seconds: float
    stopped: StopReason | None
    reason: str
    events: Sequence[Envelope] = field(repr=False)
    history: Sequence[Message] = field(repr=False)
    timing: RunReport = field(repr=False)

    @property
    def complete(self) -> bool:
        """Whether the plan reached its answer."""
        return self.stopped is None

    def report(self) -> RunReport:
        """Work W, critical path L, parallelism W/L and the speed-up that was reached; `report().text()` for people."""
        return self.timing

    def to_dict(self) -> dict[str, Any]:
        """The run as JSON-able data: what `braid run --json` prints."""
        return {
            "question": self.question,
            "answer": self.answer if self.complete else None,
            "partial": None if self.complete else self.answer,
            "stopped": self.stopped,
            "reason": self.reason,
            "engine": self.engine,
            "plan": self.plan,
            "rounds": self.rounds,
            "nodes": self.graph.to_dict()["nodes"],
            "usage": asdict(self.usage),
            "seconds": self.seconds,
            "report": self.timing.model_dump(mode="json"),
        }
