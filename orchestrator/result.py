"""The result of a run."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from braid.engine import BudgetExceededError, Envelope, Message, Usage
from braid.engine.scope import Spending
from braid.executors import RunOutcome, TaskGraph
from braid.executors.report import DiagramKind, RunReport, diagram, report_of, run_page, spans_of, to_networkx
from braid.executors.values import Secrets, own_copy
from braid.orchestrator.events import RunStatus, StopReason
from braid.orchestrator.sampled_plans import PlanSampled
from braid.planner import PlannerFinished, Routed, RouteKind, thinks

if TYPE_CHECKING:
    import networkx

OutputT = TypeVar("OutputT")


@dataclass(frozen=True, kw_only=True)
class ModelCall:
    """What one piece of a run's work with a model cost. It may be several requests: `usage.calls`."""

    kind: Literal["plan", "think", "direct", "output", "tool"]
    """What the model was asked for.

    A round of planning with its repairs, a thought, an answer without a plan, or an answer restated as the
    output type. `tool` is a tool that tells what it spent, such as an agent.
    """
    node: str = ""
    """The id of the node, for `think` and `tool`."""
    engine: str = ""
    """Address of the engine. Empty for `tool`."""
    usage: Usage
    seconds: float
    """Wall time. Other calls may have run beside it."""


@dataclass(frozen=True, kw_only=True)
class RunResult(Generic[OutputT]):
    """The answer to a question and how it came about.

    Threads and loops may share it.
    """

    run_id: str
    """What `Agent.resume` takes, where there is a journal."""
    question: str
    answer: str
    """The answer as text. Where the run declined, why. Where it ended early, what was found out."""
    output: OutputT
    """The answer as a value of `output_type`.

    Without an `output_type` it is the plan's own value, or a tuple of several. None where there is no answer.
    """
    graph: TaskGraph = field(repr=False)
    plan: str
    """The plans as the model wrote them."""
    rounds: int
    """How many plans were written."""
    usage: Usage
    """What plans and thoughts cost together."""
    calls: Sequence[ModelCall] = field(repr=False)
    """What each plan, thought, direct answer and restated output cost, and each tool that says what it cost.

    They add up to `usage`, except for the critical path, which is no sum.
    """
    engine: str
    """Address of the engine that plans."""
    seconds: float
    """Wall time of the run."""
    planning_seconds: float
    """How long plans were being written."""
    status: RunStatus
    """How the run ended: `answered`, `declined`, `partial` or `failed`."""
    stopped: StopReason | None
    """Why the run ended early. None where the plan reached its answer, or declined."""
    reason: str
    """Why there is no full answer, in words."""
    events: Sequence[Envelope] = field(repr=False)
    history: Sequence[Message] = field(repr=False)
    """The conversation so far, to give to the next run: messages, and the typed turns behind them."""
    unheard: Sequence[str]
    """What the person said during the run and no plan has taken up: it is still to be answered."""
    root: Sequence[Message] = field(repr=False)
    """What all prompts of the run began with."""
    budget: Mapping[str, Spending] = field(default_factory=lambda: dict[str, Spending](), repr=False)
    """What was spent of each limit, by tools and by agents that a tool called too."""
    exceeded: BudgetExceededError | None = field(default=None, repr=False)
    """The limit that stopped the run, if one did. It knows its scope."""
    hint: str = ""
    """What would answer a question that was declined, in one line."""
    confidence: float | None = None
    """How far the plans agreed, from 0 to 1, where several were drawn and voted on."""
    doubt: str = ""
    """Why the answer is doubted: too few of the plans agree. Empty where it is not doubted."""
    secrets: Secrets = field(default_factory=Secrets, repr=False, compare=False)
    """What is taken out of `page()` and `to_dict()`."""

    @property
    def complete(self) -> bool:
        """Whether the plan reached its answer."""
        return self.status == "answered"

    def __getitem__(self, name: str) -> Any:
        """The value that the plan gave to `name`, as a copy.

        Raises:
            KeyError: No node of that name has a value. The error names those that have.
        """
        graph = self.graph
        known = {
            node.name: id
            for id, node in graph.nodes.items()
            if node.name is not None and graph.state(id) == "done" and graph.entry(id).parent is None
        }
        if name not in known:
            raise KeyError(f"no value is named {name!r}; there are: {', '.join(known) or 'none'}")
        return own_copy(graph.result(known[name]))

    def diagram(self, kind: DiagramKind = "mermaid") -> str:
        """The graph of the run as text for Mermaid or for Graphviz (`dot`)."""
        return diagram(spans_of(self.graph), kind)

    def to_networkx(self) -> networkx.DiGraph[str]:
        """The graph of the run for networkx.

        A node has its statement, tool, state, times and result in short. An edge leads to each reader.
        """
        return to_networkx(spans_of(self.graph))

    def _repr_html_(self) -> str:
        """The page of the run, for notebooks."""
        page = html.escape(self.page(), quote=True)
        return f'<iframe srcdoc="{page}" style="width:100%;height:32em;border:0"></iframe>'

    @property
    def route(self) -> RouteKind:
        """Where the question went: `plan`, or what answered it without one."""
        for envelope in self.events:
            if isinstance(envelope.event, Routed):
                return envelope.event.route
        return "plan"

    def report(self) -> RunReport:
        """Work W, critical path L, parallelism W/L and the speed-up. `report().text()` is for people."""
        return report_of(
            self.graph,
            planner_seconds=self.planning_seconds,
            run_seconds=self.seconds,
            usage=self.usage,
        )

    def page(self) -> str:
        """The run as one self-contained HTML page: report, graph, timeline and nodes.

        Secrets are left out.
        """
        hide = self.secrets.redact
        notes = [f"run {self.run_id}, {self.engine}"]
        if not self.complete:
            notes.insert(0, f"{self.status}: {self.reason}")
        if self.hint:
            notes.insert(1, self.hint)
        if self.doubt:
            notes.insert(0, f"not sure: {self.doubt}")
        spans = [
            replace(span, source=hide(span.source), text=hide(span.text), error=hide(span.error))
            for span in spans_of(self.graph)
        ]
        return run_page(
            spans,
            self.report(),
            title=hide(self.question),
            answer=hide(self.answer) if self.status != "declined" else "",
            notes=[hide(note) for note in notes],
        )

    def to_dict(self) -> dict[str, Any]:
        """The run as JSON-able data: what `braid run --json` prints. Secrets are left out."""
        document = {
            "run_id": self.run_id,
            "question": self.question,
            "status": self.status,
            "answer": self.answer if self.complete else None,
            "partial": self.answer if self.stopped is not None else None,
            "stopped": self.stopped,
            "reason": self.reason,
            "hint": self.hint,
            "confidence": self.confidence,
            "doubt": self.doubt,
            "engine": self.engine,
            "route": self.route,
            "plan": self.plan,
            "rounds": self.rounds,
            "nodes": self.graph.to_dict()["nodes"],
            "usage": asdict(self.usage),
            "calls": [asdict(call) for call in self.calls],
            "budget": {limit: asdict(spending) for limit, spending in self.budget.items()},
            "seconds": self.seconds,
            "report": self.report().model_dump(mode="json", exclude={"usage"}),
        }
        return self.secrets.redact_data(document)


def plan_calls(planned: Sequence[PlannerFinished | PlanSampled], engine: str) -> list[ModelCall]:
    """What each round of planning cost, and each plan of several that were drawn.

    A plan that code wrote asked no model, and is none.
    """
    return [
        ModelCall(
            kind="plan",
            engine=engine,
            usage=Usage(
                prompt_tokens=plan.prompt_tokens,
                cached_tokens=plan.cached_tokens,
                reasoning_tokens=plan.reasoning_tokens,
                generated_tokens=plan.generated_tokens,
                critical_path_tokens=plan.generated_tokens,
                calls=plan.attempts,
            ),
            seconds=plan.seconds,
        )
        for plan in planned
        if plan.prompt_tokens or plan.generated_tokens
    ]


def node_calls(graph: TaskGraph, engine: str) -> list[ModelCall]:
    """What each node of the run cost, in the order of the graph."""
    return [
        ModelCall(
            kind="think" if (thought := thinks([entry.node])) else "tool",
            node=id,
            engine=engine if thought else "",
            usage=entry.usage,
            seconds=entry.seconds,
        )
        for id, entry in graph.entries.items()
        if entry.usage is not None
    ]


def total_usage(calls: Sequence[ModelCall], outcomes: Sequence[RunOutcome]) -> Usage:
    """What `calls`, those of nodes left out, and the nodes of `outcomes` cost together.

    The critical path counts them as one after the other, so it is an upper bound.
    """
    total = Usage()
    for usage in (*[call.usage for call in calls if not call.node], *[each.usage for each in outcomes]):
        total = total.then(usage)
    return total
