"""The run context: what is constant for a run, and the errors of nodes that lack a part of it."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Protocol, TypeAlias

from braid.engine import BraidError, Budget, Engine, Message, Usage
from braid.engine.scope import ambient_budget
from braid.executors.graph import GraphPatch, NodeRecord, TaskGraph
from braid.executors.joins import Verify, check_call, verifier_problem, verifier_tool
from braid.executors.nodes import Expr, FailureKind, ToolCall
from braid.executors.scheduler.emitter import Emit, EventEmitter
from braid.executors.scheduler.outcome import Limits
from braid.executors.scheduler.priority import Estimate
from braid.executors.scheduler.replay import RecordedRun
from braid.executors.tools import (
    CallLog,
    CallMemo,
    Effect,
    MemoryCalls,
    Tool,
    ToolDefinitionError,
    ToolRegistry,
)
from braid.executors.values import Secrets, preview


class ApprovalError(BraidError):
    """A mutating tool was not approved, or nobody is there to approve it."""


class NothingToThinkWithError(BraidError):
    """A think node in a run without an engine."""


class NoVerifierError(BraidError):
    """A join or a thought that needs a verifier, and neither the plan nor the run names one."""


class NobodyToAskError(BraidError):
    """An ask node in a run without a person."""


class NodeTimeoutError(BraidError, TimeoutError):
    """A node took longer than the run's `node_timeout`."""


@dataclass(frozen=True, kw_only=True)
class ToolCallRequest:
    """A call of a mutating tool that waits for approval."""

    node: str
    """The id of the node."""
    tool: str
    """The name of the tool."""
    args: Mapping[str, Any]
    """Copies of the arguments, by name."""
    effect: Effect


def shown_call(tool: str, args: Mapping[str, Any]) -> str:
    """A call as a person is asked about it: all of it, with texts in quotes."""
    shown = (
        f"{name}={json.dumps(value, ensure_ascii=False) if isinstance(value, str) else preview(value, 2000)}"
        for name, value in args.items()
    )
    return f"{tool}({', '.join(shown)})"


Approve: TypeAlias = Callable[[ToolCallRequest], bool | Awaitable[bool]]
"""Returns whether a mutating tool may be called. A plain function holds the loop up while it decides."""

AskPerson: TypeAlias = Callable[[str], str | Awaitable[str]]
"""Puts a question to the person who runs the task and returns the answer, as `Approve` does."""


async def awaited(reply: Any) -> Any:
    """The reply of a function that may be a coroutine function."""
    return await reply if inspect.isawaitable(reply) else reply


class RunJournal(CallLog, Protocol):
    """What a run writes down before anybody sees it, so that another process can go on from there.

    It is called on the event loop, before readers of a node are released and before events are emitted. What
    the graph derives by itself (guards, skips, maps, blocked readers) is not written. `Replay` derives it
    again.
    """

    def begin(self) -> RecordedRun | None:
        """A run of the graph begins. Returns what an earlier process wrote down of this very run."""
        ...

    def patched(self, patch: GraphPatch, *, at: float, running: Sequence[str]) -> None:
        """The graph has taken `patch`, while `running` ran (given only where a name was bound anew)."""
        ...

    def planned(self, *, at: float) -> None:
        """The stream of patches is at its end."""
        ...

    def settled(
        self,
        node: str,
        *,
        state: Literal["done", "failed"],
        value: Any,
        error: str | None,
        started: float,
        finished: float,
        usage: Usage | None,
        failure: FailureKind = "error",
    ) -> None:
        """A node that ran has ended by itself. Times are seconds since the graph's first run began."""
        ...

    def commit(self, nodes: Collection[str] | None = None) -> None:
        """Make what was written of `nodes` (None: of all nodes), and all before it, outlive the process.

        Something outside the process is about to see an effect of these nodes. An item of a map goes by the
        map's id.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What the nodes of a run work with. It does not change, and rounds on the same graph may share it."""

    tools: ToolRegistry
    engine: Engine | None = None
    """What think nodes think with."""
    root: Sequence[Message] = ()
    """What the prompt of every think node begins with."""
    budget: Budget | None = None
    """None takes the ambient one. Each tool call spends one call of it."""
    limits: Limits = field(default_factory=Limits)
    approve: Approve | None = None
    """Asked before each call of a mutating tool. None refuses them."""
    refused: set[str] = field(default_factory=lambda: set[str]())
    """The calls that the person refused, by `result_key`. Rounds of one run share it."""
    ask: AskPerson | None = None
    """Answers the ask nodes. None fails them."""
    deps: Any = None
    """Handed to tools as `ToolContext.deps`."""
    seed: int = 0
    """What the seeds of think nodes are derived from."""
    sampling: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())
    """Options of reasoning methods, such as `temperature`, for think nodes that do not set them.

    A method gets those that it names.
    """
    run_id: str | None = None
    """Part of every idempotency key. None takes a random one for each call of `run_graph`."""
    verifier: Tool | Verify | None = None
    """Checks the parts of `verified` joins, and the samples of `best_of_n`, where the plan names no tool.

    A tool or a function of the answer, or of question and answer. Its calls are calls of a tool.
    """
    question: str = ""
    """What the task asks. The verifier is given it with answers that are no thoughts."""
    estimate: Estimate | None = None
    """How long nodes will take, for the order in which they start when slots are scarce.

    What it does not know is taken from the run's own measurements.
    """
    journal: RunJournal | None = None
    """Written to before anybody sees what happened.

    What it knows of this call from an earlier process is replayed first (`Replay`). Only what is not finished
    is run. The patch stream then goes on where the recorded patches end.
    """
    memo: CallMemo | None = None
    """Makes equal calls of pure tools once. None makes each call that the plan has."""
    secrets: Secrets | None = None
    """Learns the secret arguments of calls before they are made."""
    emit: Emit | None = None
    """Called for each event, at once, on the event loop. What it raises ends the run."""
    think_text: bool = False
    """Whether thoughts of one sample are emitted as they are written (`ThinkText`)."""
    clock: Callable[[], float] = time.monotonic
    """Returns monotonic seconds. All times of nodes are measured by it."""


@dataclass(frozen=True, kw_only=True)
class GraphContext(RunContext):
    """The context of one call of `run_graph`: the caller's `RunContext` and what the call adds to it."""

    graph: TaskGraph
    budget: Budget = field(default_factory=ambient_budget)
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    verifier: Tool | None = None
    """One of `tools`, which no plan can name."""
    calls: CallLog
    """What became of mutating calls: the journal, or a log in memory."""
    emitter: EventEmitter
    asking: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """One for each call that waits for approval, so that equal calls are asked about once."""

    @classmethod
    def of(cls, context: RunContext, graph: TaskGraph, *, elapsed: float = 0.0) -> GraphContext:
        """The context of a call on `graph`, whose earlier processes ran for `elapsed` seconds."""
        graph.start_clock(context.clock, elapsed=elapsed)
        given = {each.name: getattr(context, each.name) for each in fields(RunContext)}
        for name in ("budget", "run_id"):
            if given[name] is None:
                del given[name]
        if context.verifier is not None:
            given["tools"], given["verifier"] = _with_verifier(context.tools, context.verifier)
        calls = context.journal if context.journal is not None else MemoryCalls()
        emitter = EventEmitter(graph, context.emit, context.clock)
        return cls(**given, graph=graph, calls=calls, emitter=emitter)

    def verifier_of(self, name: str | None) -> Tool:
        """The tool of that name as a verifier. None is the run's own.

        Raises:
            NoVerifierError: The run has none of its own.
            ToolDefinitionError: The tool is no verifier.
            UnknownToolError: There is no such tool.
        """
        if name is None:
            if self.verifier is None:
                raise NoVerifierError(
                    "there is no verifier: name a tool with verifier=, or give the run one of its own"
                )
            return self.verifier
        found = self.tools.get(name)
        if problem := verifier_problem(found.spec):
            raise ToolDefinitionError(problem, tool=name)
        return found

    def make_check(self, verifier: str | None, answer: Expr) -> ToolCall:
        """The call that checks `answer`, by a tool or by the run's own verifier. Raises as `verifier_of`."""
        return check_call(self.verifier_of(verifier), self.question, answer)

    def is_mutating(self, entry: NodeRecord) -> bool:
        """Whether `entry` calls a mutating tool. An unknown tool is none."""
        tool = entry.tool
        return (
            self.tools.has_mutating
            and tool is not None
            and tool in self.tools
            and self.tools.get(tool).spec.effect == "mutating"
        )


def _with_verifier(tools: ToolRegistry, given: Tool | Verify) -> tuple[ToolRegistry, Tool]:
    """The tools with the run's verifier among them, and that verifier."""
    made = verifier_tool(given, taken=tools)
    known = made.name in tools and tools.get(made.name) is made
    return (tools if known else ToolRegistry([*tools, made])), made
