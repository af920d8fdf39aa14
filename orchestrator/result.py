"""What a run gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypeVar

from braid.engine import Envelope, Message, Usage
from braid.engine.scope import Spending
from braid.executors import RunOutcome, TaskGraph
from braid.executors.report import RunReport, report_of, run_page, spans_of
from braid.orchestrator.events import StopReason
from braid.planner import PlannerFinished

OutputT = TypeVar("OutputT")


@dataclass(frozen=True, kw_only=True)
class RunResult(Generic[OutputT]):
    """The answer to a question and how it came about.

    `answer` is text, `output` the same as a value: of `output_type` if one was given, else as the plan gave it (a tuple of
    several). When `stopped` is set the run ended early, `reason` says why, `answer` lists what was found out, `output` is None.
    `run_id` is what `Agent.resume` takes where there is a journal.
    `plan` is the text of the plans as the model wrote them, `history` what to hand to the next run, `seconds` the
    wall time of the run, `planning_seconds` how long plans were being written, `root` what all its prompts began with,
    `budget` what was spent of each limit (money too), by tools and agents that a tool called as well.
    """

    run_id: str
    question: str
    answer: str
    output: OutputT
    graph: TaskGraph = field(repr=False)
    plan: str
    rounds: int
    usage: Usage
    engine: str
    seconds: float
    planning_seconds: float
    stopped: StopReason | None
    reason: str
    events: Sequence[Envelope] = field(repr=False)
    history: Sequence[Message] = field(repr=False)
    root: Sequence[Message] = field(repr=False)
    budget: Mapping[str, Spending] = field(default_factory=lambda: dict[str, Spending](), repr=False)

    @property
    def complete(self) -> bool:
        """Whether the plan reached its answer."""
        return self.stopped is None

    def report(self) -> RunReport:
        """Work W, critical path L, parallelism W/L and the speed-up that was reached; `report().text()` for people."""
        return report_of(self.graph, planner_seconds=self.planning_seconds, usage=self.usage)

    def page(self) -> str:
        """The run as one self-contained HTML page: report, graph, timeline and nodes."""
        notes = [f"run {self.run_id}, {self.engine}"]
        if not self.complete:
            notes.insert(0, f"no full answer: {self.reason}")
        return run_page(
            spans_of(self.graph), self.report(), title=self.question, answer=self.answer, notes=notes
        )

    def to_dict(self) -> dict[str, Any]:
        """The run as JSON-able data: what `braid run --json` prints."""
        return {
            "run_id": self.run_id,
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
            "budget": {limit: asdict(spending) for limit, spending in self.budget.items()},
            "seconds": self.seconds,
            "report": self.report().model_dump(mode="json", exclude={"usage"}),
        }


def total_usage(planned: Sequence[PlannerFinished], outcomes: Sequence[RunOutcome]) -> Usage:
    """What plans and thoughts cost together. The critical path counts them as one after the other: an upper bound."""
    total = Usage()
    for plan in planned:
        total = total.then(
            Usage(
                prompt_tokens=plan.prompt_tokens,
                cached_tokens=plan.cached_tokens,
                generated_tokens=plan.generated_tokens,
                critical_path_tokens=plan.generated_tokens,
                calls=plan.attempts,
            )
        )
    for outcome in outcomes:
        total = total.then(outcome.usage)
    return total
