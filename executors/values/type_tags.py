"""The tags of Braid's own types of values in journals: `braid:Fact`, wherever `Fact` lives.

A tag stays for ever, since journals outlive the code. A type that moves to another module keeps its tag, and
only its module here changes. Types of users are stored as `module:qualified.name`.
"""

from __future__ import annotations

from typing import Any, Final

_TYPES: Final[tuple[tuple[str, str, str], ...]] = (
    # Its module today, its module in journals that have no tags yet ("" for what is newer), and its types.
    ("braid.engine.scope.budget", "engine.budget", "Price Spending"),
    ("braid.engine.events", "engine.events", "Envelope"),
    ("braid.engine.types", "engine.types", "EngineInfo Grammar SamplingParams Token Usage"),
    ("braid.engine.types", "", "WrittenToolCall=ToolCall"),
    ("braid.evals.log", "evals.log", "Header Row"),
    ("braid.evals.report", "evals.report", "EvalReport Figure"),
    ("braid.evals.task", "evals.task", "Options Output Sample Score"),
    ("braid.executors.builtin.atlas.entities", "executors.builtin.atlas", "Entity Fact"),
    ("braid.executors.builtin.now", "executors.builtin.now", "Moment"),
    ("braid.executors.builtin.python.tool", "executors.builtin.python", "PythonResult"),
    ("braid.executors.tools.effects", "executors.effects", "Done NotDone Recorded"),
    ("braid.executors.tools.memo", "executors.effects", "Cached"),
    (
        "braid.executors.events",
        "executors.events",
        "BudgetExceeded NodeAdded NodeBlocked NodeCancelled NodeFailed NodeFinished NodeRetried NodeSkipped "
        "NodeStarted NodeUncertain NodeWaits PlanPatched ToolAbandoned ToolHedged ToolReused",
    ),
    ("braid.executors.events", "", "ApprovalRefused ThinkText"),
    ("braid.executors.journal.store", "executors.journal_store", "Pruned RunRow"),
    (
        "braid.executors.nodes.nodes",
        "executors.nodes",
        "All=AllOf Answer Any_=AnyOf Ask Compare Const DictOf Field Guard ListOf Map Node Not Ref Template "
        "Think ToolCall",
    ),
    ("braid.executors.nodes.nodes", "", "Join"),
    ("braid.executors.scheduler.context", "executors.operations", "ToolCallRequest"),
    ("braid.executors.scheduler.outcome", "executors.outcome", "Limits RunOutcome"),
    ("braid.executors.scheduler.revisions", "executors.replanning", "Trigger=RevisionRequest"),
    ("braid.executors.report.report", "executors.report", "RunReport"),
    ("braid.executors.graph.patch", "executors.rules", "GraphPatch"),
    ("braid.executors.sandbox.run", "executors.sandbox", "Isolation SandboxLimits SandboxResult"),
    ("braid.executors.report.spans", "executors.spans", "NodeSpan=Span=Span"),
    ("braid.executors.tools.spec", "executors.tool_types", "Metered=UsageResult ToolSpec"),
    ("braid.executors.values.values", "executors.values", "ItemError"),
    (
        "braid.orchestrator.events",
        "orchestrator.events",
        "JournalFailed RoundFinished RoundStarted RunAnswered RunFailed RunFinished RunResumed RunStarted",
    ),
    ("braid.orchestrator.events", "", "AnswerDoubted PersonSaid Rewritten"),
    ("braid.orchestrator.baseline", "orchestrator.replay", "Comparison"),
    ("braid.orchestrator.options.model_settings", "", "ModelSettings"),
    (
        "braid.planner.events",
        "planner.events",
        "PlannerFinished PlannerRejected PlannerRepaired PlannerStatement PlannerText",
    ),
    ("braid.planner.events", "", "DirectText Routed"),
    ("braid.planner.asked", "", "Asked Doubt"),
    ("braid.planner.follow_up.turns", "", "LookUp Turn"),
    ("braid.planner.task", "planner.task", "Written=PartialPlan"),
    ("braid.reasoning.method", "reasoning.core", "Candidate Solution"),
    (
        "braid.reasoning.methods.spawn_join",
        "reasoning.spawn_join",
        "Span=TokenSpan ThreadCall ThreadedSolution ThreadResult",
    ),
    ("braid.reasoning.voting", "reasoning.voting", "Group"),
)
"""`TAG`, `TAG=NAME` or `TAG=NAME=BEFORE`, for the tag `braid:TAG`.

NAME is the type's name today. BEFORE is its name before there were tags. What is left out is the same as TAG.
"""

_PACKAGES: Final = frozenset({"braid"})


def _named() -> tuple[dict[str, str], dict[str, str]]:
    homes: dict[str, str] = {}
    earlier: dict[str, str] = {}
    for module, before, names in _TYPES:
        for given in names.split():
            tag, name, earlier_name = (given.split("=") + [""] * 2)[:3]
            name, earlier_name, tag = name or tag, earlier_name or tag, f"braid:{tag}"
            if tag in homes:
                raise ValueError(f"two types of values have the tag {tag!r}; give one of them another")
            homes[tag] = f"{module}:{name}"
            if before:
                earlier[f"{before}:{earlier_name}"] = tag
    return homes, earlier


HOMES, EARLIER = _named()
"""Where the type of a tag lives, and the tag of a type that an older journal names by its module."""

_TAGS: Final = {home: tag for tag, home in HOMES.items()}


def tag_of(kind: type[Any]) -> str | None:
    """The tag under which journals store values of a type of Braid's own. None for a type without one."""
    return _TAGS.get(f"{kind.__module__}:{kind.__qualname__}")


def is_own(kind: type[Any]) -> bool:
    """Whether a type is Braid's own."""
    return kind.__module__.partition(".")[0] in _PACKAGES
