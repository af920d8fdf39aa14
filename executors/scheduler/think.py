"""What running one node means: call a tool, think with the model, ask the person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from braid.engine import BraidError, Budget, Engine, Message, Prompt
from braid.engine.scope import use_budget, use_priority
from braid.executors.graph import NodeRecord
from braid.executors.nodes import Scalar, Think
from braid.executors.tools import CallLog, CallMemo, Effect, MemoryCalls, ToolRegistry
from braid.executors.values import short_form
from braid.reasoning import MethodRun, Solution, derived_seed, fit_to_budget, get_method


class ApprovalError(BraidError):
    """A mutating tool was not approved, or nobody is there to approve it."""


class NothingToThinkWithError(BraidError):
    """A think node in a run without an engine."""


class NobodyToAskError(BraidError):
    """An ask node in a run without a person."""


class NodeTimeoutError(BraidError, TimeoutError):
    """A node took longer than the run's `node_timeout`."""


@dataclass(frozen=True, kw_only=True)
class ToolCallRequest:
    """A call of a mutating tool that waits for approval."""

    node: str
    tool: str
    args: Mapping[str, Any]
    effect: Effect


Approve = Callable[[ToolCallRequest], Awaitable[bool]]
"""Says whether a mutating tool may be called."""

AskPerson = Callable[[str], Awaitable[str]]
"""Puts a question to the person who runs the task and returns the answer."""


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What the nodes of one run work with. `calls` knows what became of mutating calls, `memo` the results of pure ones.

    `wasted` takes note of the seconds that hedged calls ran in vain, by node.
    """

    tools: ToolRegistry
    engine: Engine | None
    root: Sequence[Message]
    budget: Budget
    approve: Approve | None
    ask: AskPerson | None
    deps: Any
    seed: int
    run_id: str
    calls: CallLog = field(default_factory=MemoryCalls)
    memo: CallMemo | None = None
    wasted: dict[str, float] = field(default_factory=lambda: dict[str, float]())


async def ask_person(around: RunContext, question: Any) -> str:
    """Put a question to the person; raises `NobodyToAskError` where there is none."""
    if around.ask is None:
        raise NobodyToAskError("this run has no person to ask; pass `ask`, or find it out with a tool")
    return await around.ask(short_form(question))


async def think(around: RunContext, entry: NodeRecord, op: Think, *, priority: float = 0.0) -> Solution:
    """Prefill the run's root and this question, reason by the method, and give the context back.

    The node has a budget scope of its own; with a soft limit reached it does with less (`braid.reasoning.fit_to_budget`).

    `priority` is what the engine goes by when it has more to do than it can do at once (`braid.engine.scope.priority`).

    The branch seed depends on the node's place in the plan only, so the order of completion never changes a result.

    Raises:
        NothingToThinkWithError: the run has no engine.
        UnknownMethodError: no reasoning method of that name.
        BraidError: what the engine or the method raises.
    """
    if around.engine is None:
        raise NothingToThinkWithError("this run has no engine to think with; pass `engine`")
    options: dict[str, Scalar] = dict(op.options)
    name = op.method or ("self_consistency" if "n" in options else "direct")
    get_method(name)  # an unknown name is an error, however little the budget allows
    budget = around.budget.child(entry.node.id)
    name, options, left_out = fit_to_budget(name, options, budget)
    solve = get_method(name)
    question, known = entry.args
    run = MethodRun(engine=around.engine, budget=budget, seed=derived_seed(around.seed, *entry.order))
    prompt = think_prompt(around.engine, around.root, short_form(question), known)
    with use_priority(priority), use_budget(budget):
        async with await around.engine.prefill(prompt, budget=budget) as problem:
            solution = await solve(run, problem, **options)
    return replace(solution, degraded=(*left_out, *solution.degraded)) if left_out else solution


def think_prompt(
    engine: Engine, root: Sequence[Message], question: str, known: Sequence[tuple[str, Any]]
) -> Prompt:
    """The run's root, then the question and what is known. Flat text for an engine that knows no chat."""
    lines = [
        f"- {label}: {short_form(value)}" if label else f"- {short_form(value)}" for label, value in known
    ]
    content = "\n".join([question, "", "What is known:", *lines]) if lines else question
    if "chat" in engine.capabilities:
        return [*root, Message(role="user", content=content)]
    return "\n\n".join([*(message["content"] for message in root), content, ""])
